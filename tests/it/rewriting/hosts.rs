//! Hosts of the recording with targets of their own.

use std::collections::BTreeSet;

use serde_json::json;
use tempfile::tempdir;

use super::{App, ok, record, run};
use crate::record_tls::authority;

/// Two connections, each of which asks two hosts in turn.
fn recorded(folder: &std::path::Path) {
    let lines: Vec<_> = (0..40_u64)
        .map(|index| {
            let (at, connection) = (index * 5_000_000, index % 2);
            let host = if index / 2 % 2 == 0 { "shop.example" } else { "img.example:80" };
            json!({
                "at_ns": at, "connection": connection, "method": "GET", "authority": host,
                "target": format!("/{index}"), "status": 200,
            })
        })
        .collect();
    record(folder, &lines);
}

#[test]
fn each_host_is_asked_at_its_own_target_on_connections_of_its_own() {
    let folder = tempdir().unwrap();
    let (shop, images) = (App::start(|_| ok("", "a")), App::start(|_| ok("", "b")));
    recorded(folder.path());
    let target = format!("url: '{}', allow: [127.0.0.1]", shop.url());
    let mapped = format!("target: {{ {target}, hosts: {{ img.example: '{}' }} }}\n", images.url());
    let (ran, report) = run(folder.path(), &mapped, &[]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(report["fates"], json!({ "answered": 40 }), "{shown}");
    for (app, first) in [(&shop, 0), (&images, 2)] {
        let seen = app.seen();
        let own = format!("127.0.0.1:{}", app.port);
        assert!(seen.iter().all(|asked| asked.header("Host") == own), "{seen:?}");
        let asked: BTreeSet<String> = seen.iter().map(super::Asked::line).collect();
        let planned = (0..40).filter(|index| index / 2 % 2 == first / 2);
        assert_eq!(asked, planned.map(|index| format!("GET /{index}")).collect(), "{shown}");
        let connections: BTreeSet<usize> = seen.iter().map(|asked| asked.connection).collect();
        // One more asked whether it is there, and said nothing.
        assert_eq!(connections.len(), 2, "{seen:?}");
    }
    assert_eq!(report["facts"]["connections"], 4);
    let told = format!("20 requests of `img.example` go to 127.0.0.1:{}", images.port);
    assert!(ran.words().contains(&told), "{shown}");

    // Without the map, everything goes to the target.
    let (ran, report) = run(folder.path(), &format!("target: {{ {target} }}\n"), &[]);
    assert_eq!(report["fates"], json!({ "answered": 40 }), "{}", ran.stderr);
    assert_eq!((shop.seen().len(), images.seen().len()), (60, 20));
}

/// A plain target beside one that speaks TLS, whose certificate is verified.
#[test]
fn a_host_may_speak_tls_where_the_target_does_not() {
    let folder = tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    let tls = format!("ssl_certificate {pem}; ssl_certificate_key {key};");
    let Some(images) = crate::record_tls::serving("ssl", &tls) else { return };
    let shop = App::start(|_| ok("", "a"));
    recorded(folder.path());
    let target = |tls: &str| {
        format!(
            "target: {{ url: '{}', allow: [127.0.0.1], hosts: {{ img.example: \
             'https://127.0.0.1:{}' }}{tls} }}\n",
            shop.url(),
            images.port
        )
    };
    let trusted = target(&format!(", tls: {{ cacert: '{}' }}", authority.path("ca.pem")));
    let (ran, report) = run(folder.path(), &trusted, &[]);
    assert_eq!(report["totals"]["answered"], 40, "{}\n{}", ran.stdout, ran.stderr);
    let totals = &report["totals"];
    let handshakes = [&totals["tls_handshakes"], &totals["tls_resumed"]];
    assert_eq!(handshakes.iter().filter_map(|count| count.as_u64()).sum::<u64>(), 2);
    assert_eq!(shop.seen().len(), 20);
    let (ran, _) = run(folder.path(), &target(""), &[]);
    assert_eq!(ran.code, 104, "{}", ran.stdout);
    assert!(ran.stderr.contains("was issued by nobody who is trusted"), "{}", ran.stderr);
}

#[test]
fn each_of_them_must_be_allowed_and_no_server_of_the_recording() {
    let folder = tempdir().unwrap();
    let shop = App::start(|_| ok("", "a"));
    recorded(folder.path());
    for (hosts, allow, told) in [
        ("img.example: 'http://10.1.2.3'", "", "add `10.1.2.3` to `target.allow`"),
        ("img.example: 'http://img.example'", ", img.example", "the recording was made from it"),
        ("img.example: 'http://shop.example:81'", ", shop.example", "was made from it"),
        ("img.example: 'http://127.0.0.1:1'", "", "or correct `target.hosts`"),
    ] {
        let target = format!(
            "target: {{ url: '{}', allow: [127.0.0.1{allow}], hosts: {{ {hosts} }} }}\n",
            shop.url()
        );
        let (ran, _) = run(folder.path(), &target, &[]);
        assert_eq!(ran.code, 104, "{hosts}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{hosts}: {}", ran.stderr);
    }
    assert!(shop.seen().is_empty(), "nothing is sent where a host is refused");
    let text = format!(
        "recording: r.jsonl\ntarget: {{ url: '{}', allow: [127.0.0.1], hosts: {{ img.example: \
         'http://shop.example' }} }}\n",
        shop.url()
    );
    std::fs::write(folder.path().join("p.yaml"), text).unwrap();
    let plan = crate::support::peakhour(folder.path(), &["plan", "p.yaml"]);
    assert!(plan.words().contains("run will refuse this: shop.example"), "{}", plan.stdout);
    assert!(plan.words().contains("img.example at shop.example"), "{}", plan.stdout);
}
