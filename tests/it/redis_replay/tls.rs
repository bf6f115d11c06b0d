//! Commands replayed to a real Redis inside of TLS.

use std::fs;
use std::path::Path;

use crate::certificates::Authority;
use crate::record_tls::authority;
use crate::redis_replay::{Hand, counted, line, run};
use crate::run_tls::handshakes_timed;
use crate::servers::{self, Server};
use crate::support::peakhour;

/// A Redis with a port for TLS beside its plain one; `more` stands in its options.
fn sealed(authority: &Authority, more: &[&str]) -> Option<(Server, u16)> {
    let port = servers::free_port();
    let [ca, pem, key] = ["ca.pem", "shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    let number = port.to_string();
    let mut options = vec!["--tls-port", &number, "--tls-ca-cert-file", &ca];
    options.extend(["--tls-cert-file", &pem, "--tls-key-file", &key]);
    options.extend(more);
    servers::redis(&options).map(|server| (server, port))
}

/// Six connections with pipelines of values that are larger than a record, the odd ones of which
/// resumed the session of an earlier one.
fn lines() -> Vec<String> {
    let large = "v".repeat(150_000);
    let of_connection = |connection: u64| {
        let at = connection.min(1) * 500 + connection * 50;
        let set = line(at, connection, &format!("SET key:{connection} {large}"), false);
        let resumed = connection % 2 == 1;
        let set = set.replacen('{', &format!("{{\"tls_resumed\":{resumed},"), 1);
        let get = line(at, connection, &format!("GET key:{connection}"), true);
        [set, get.clone(), get.clone(), get]
    };
    (0..6).flat_map(of_connection).collect()
}

/// Replays them to a URL, with what is said of TLS.
fn replay(url: &str, tls: &str) -> (serde_json::Value, String) {
    let folder = tempfile::tempdir().unwrap();
    scenario(folder.path(), url, tls);
    let (report, ran) = run(folder.path());
    (report, ran.stdout)
}

fn scenario(folder: &Path, url: &str, tls: &str) {
    fs::write(folder.join("r.jsonl"), lines().join("\n")).unwrap();
    let text = format!(
        "name: sealed\nrecording: r.jsonl\ntolerance: ci\nmethods: all\n\
         target: {{ url: '{url}', allow: [127.0.0.1], tls: {{ {tls} }} }}\n"
    );
    fs::write(folder.join("s.yaml"), text).unwrap();
}

#[test]
fn pipelines_go_to_a_redis_inside_of_tls() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let Some((server, port)) = sealed(&authority, &["--tls-auth-clients", "no"]) else { return };
    let mut hand = Hand::new(server.port);
    hand.say(&["CONFIG SET requirepass s3cret-pass", "AUTH s3cret-pass", "SELECT 3"]);
    let url = format!("rediss://:${{REDIS_PASSWORD}}@127.0.0.1:{port}/3");
    let (report, told) = replay(&url, &format!("cacert: '{}'", authority.path("ca.pem")));
    assert_eq!(report["fates"], serde_json::json!({ "answered": 24 }), "{told}");
    assert_eq!(report["replies"], serde_json::json!({ "reply": 24 }));
    assert_eq!(report["target"], format!("rediss://127.0.0.1:{port}"));
    // Values went there and back whole.
    assert_eq!(report["totals"]["connections_opened"], 6);
    assert!(report["totals"]["response_bytes"].as_u64().unwrap() > 18 * 150_000, "{told}");
    assert_eq!(hand.text("GET key:5").len(), 150_000);
    // Sessions were resumed as they were recorded.
    let of = |name: &str| report["totals"][name].as_u64().unwrap_or_default();
    let handshakes = ["tls_handshakes", "tls_resumed", "tls_recorded_resumed", "tls_not_resumed"];
    assert_eq!(handshakes.map(of), [3, 3, 3, 0], "{told}");
    assert_eq!(handshakes_timed(&report), Some(6), "{}", report["figures"]["parts"]);
}

/// Who asks for a certificate gets it; who is not trusted, or speaks no TLS, gets nothing at all.
#[test]
fn a_redis_and_its_clients_prove_who_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    authority.issue("client", "DNS:client.example");
    let Some((server, port)) = sealed(&authority, &[]) else { return };
    let url = format!("rediss://127.0.0.1:{port}");
    let [ca, pem, key] = ["ca.pem", "client.pem", "client-key.pem"].map(|it| authority.path(it));
    let with = format!("cacert: '{ca}', cert: '{pem}', key: '{key}'");
    let (report, told) = replay(&url, &with);
    assert_eq!(report["fates"], serde_json::json!({ "answered": 24 }), "{told}");
    assert_eq!(counted(&server), [("get".to_owned(), 18), ("set".to_owned(), 6)].into());
    let plain = format!("rediss://127.0.0.1:{}", server.port);
    for (url, tls, said) in [
        (&url, "insecure: false".to_owned(), "nobody who is trusted"),
        (&plain, format!("cacert: '{ca}'"), "it did not complete the handshake"),
    ] {
        scenario(folder.path(), url, &tls);
        let ran = peakhour(folder.path(), &["run", "s.yaml"]);
        assert_eq!(ran.code, 104, "{}\n{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    assert_eq!(counted(&server).values().sum::<u64>(), 24, "nothing more was sent");
}
