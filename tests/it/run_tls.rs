//! Replay and generated load to a real nginx that speaks TLS, judged by its access log.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::certificates::Authority;
use crate::record_tls::{authority, good_and_wrong};
use crate::rehearsal::alone;
use crate::servers::{self, Server};
use crate::support::{Ran, peakhour, peakhour_with};

/// nginx with a line a request: connection, whether its session was resumed, the name it was asked
/// for, request and status. `more` stands in its configuration.
fn logging(authority: &Authority, more: &str) -> Option<Server> {
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    servers::nginx("", "", |port, folder| {
        format!(
            "log_format seen '$connection $ssl_session_reused $ssl_server_name $http_host \
             $request $status'; ssl_certificate {pem}; ssl_certificate_key {key}; {more}\n\
             server {{ listen 127.0.0.1:{port} ssl; access_log {at}/seen.log seen;\n\
             keepalive_requests 100000; location / {{ return 200 'served'; }} }}",
            at = folder.display()
        )
    })
}

fn log(server: &Server) -> Vec<Vec<String>> {
    let text = fs::read_to_string(server.folder().join("seen.log")).unwrap();
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// Writes 600 requests on 12 connections that begin one after the other, and a scenario.
fn scenario(folder: &Path, port: u16, tls: &str) {
    let lines: Vec<String> = (0..600_u64)
        .map(|index| {
            let connection = index / 50;
            let at = index * 5_000_000;
            format!(r#"{{"at_ns":{at},"connection":{connection},"method":"GET","#)
                + &format!(r#""authority":"production.example","target":"/item/{index}"}}"#)
        })
        .collect();
    fs::write(folder.join("twelve.jsonl"), lines.join("\n")).unwrap();
    let scenario = format!(
        "# Connections stay connections inside of TLS.\nname: twelve\nrecording: twelve.jsonl\n\
         tolerance: ci\ntarget:\n  url: https://127.0.0.1:{port}\n  allow: [127.0.0.1]\n{tls}"
    );
    fs::write(folder.join("s.yaml"), scenario).unwrap();
}

/// Times that a replay is tried again which this machine, and not the target, held up.
const ATTEMPTS: usize = 5;

/// A replay, and what nginx saw of it.
fn faithful(
    folder: &Path,
    server: &Server,
    environment: &[(&str, &str)],
) -> (Ran, Vec<Vec<String>>) {
    let mut attempts = (0..ATTEMPTS).map(|_| {
        let before = log(server).len();
        let run = ["run", "s.yaml", "--out", "json=run.json"];
        let ran = peakhour_with(folder, &run, environment);
        (ran, log(server).split_off(before))
    });
    attempts.find(|(ran, _)| ran.code != 98).expect("the machine is too busy")
}

fn json(folder: &Path, ran: &Ran) -> serde_json::Value {
    let text = fs::read_to_string(folder.join("run.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}\n{}", ran.stdout, ran.stderr))
}

#[test]
fn a_recording_replays_inside_of_tls_on_its_connections() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let Some(server) = logging(&authority, "") else { return };
    let tls = "  tls: { cacert: '${CA}', server_name: shop.example }\n";
    scenario(folder.path(), server.port, tls);
    let _alone = alone();
    let (ran, seen) = faithful(folder.path(), &server, &[("CA", &authority.path("ca.pem"))]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(seen.len(), 600);
    let connections: BTreeSet<&str> = seen.iter().map(|line| line[0].as_str()).collect();
    assert_eq!(connections.len(), 12, "nginx saw other connections than were recorded");
    let own = format!("127.0.0.1:{}", server.port);
    for line in &seen {
        assert_eq!(line[2..4], ["shop.example".to_owned(), own.clone()], "SNI and Host: {line:?}");
    }
    // Each connection begins when the one before was answered, and resumes its session.
    let of_kind = |kind: &str| {
        let of_it = seen.iter().filter(|line| line[1] == kind);
        of_it.map(|line| line[0].as_str()).collect::<BTreeSet<_>>().len()
    };
    let report = json(folder.path(), &ran);
    let [full, resumed] = ["tls_handshakes", "tls_resumed"]
        .map(|name| report["totals"][name].as_u64().unwrap_or_default());
    assert_eq!([of_kind("."), of_kind("r")].map(|count| count as u64), [full, resumed]);
    assert_eq!((full + resumed, full >= 1, resumed >= 9), (12, true, true), "{full} {resumed}");
    assert!(ran.words().contains(&format!("TLS: {full} in full, {resumed} resumed")));
    assert_eq!(handshakes_timed(&report), Some(12), "{}", report["figures"]["parts"]);
    assert!(ran.words().contains("its handshake"), "{}", ran.stdout);
}

/// Handshakes that the breakdown of a run tells of; `None` where it has no such part.
pub(crate) fn handshakes_timed(report: &serde_json::Value) -> Option<u64> {
    let parts = report["figures"]["parts"].as_array()?;
    let shaken = parts.iter().find(|part| part["name"] == "handshake of TLS")?;
    shaken["times"]["count"].as_u64()
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    authority.issue("client", "DNS:client.example");
    let [ca, pem, key] = ["ca.pem", "client.pem", "client-key.pem"].map(|at| authority.path(at));
    let verify = format!("ssl_verify_client on; ssl_client_certificate {ca};");
    let Some(server) = logging(&authority, &verify) else { return };
    let run = ["run", "s.yaml", "--out", "json=run.json"];
    let with = format!("  tls: {{ cacert: '{ca}', cert: '{pem}', key: '{key}' }}\n");
    scenario(folder.path(), server.port, &with);
    let ran = peakhour(folder.path(), &run);
    assert_eq!(json(folder.path(), &ran)["statuses"]["200"], 600);
    // nginx shakes hands with anybody, and then says what was missing.
    scenario(folder.path(), server.port, &format!("  tls: {{ cacert: '{ca}' }}\n"));
    let ran = peakhour(folder.path(), &run);
    assert_eq!(json(folder.path(), &ran)["statuses"]["400"], 600);
    let statuses: Vec<String> = log(&server).iter().map(|line| line[7].clone()).collect();
    assert_eq!([&statuses[0], &statuses[600]], ["200", "400"]);
}

#[test]
fn load_without_a_recording_is_sent_inside_of_tls() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let Some(server) = logging(&authority, "") else { return };
    let (url, ca) = (format!("https://127.0.0.1:{}/a", server.port), authority.path("ca.pem"));
    for pace in [&["--rate", "200"][..], &["--pace", "closed"]] {
        let load = [&["run", "--url", &url, "-d", "1s", "-c", "4"][..], pace].concat();
        let trusted = [&load[..], &["--cacert", &ca, "--tolerance", "ci"]].concat();
        let before = fs::read_to_string(server.folder().join("seen.log")).unwrap().len();
        let ran = peakhour(folder.path(), &trusted);
        assert!(ran.code == 0 || ran.code == 98, "{}\n{}", ran.stdout, ran.stderr);
        assert!(!ran.stderr.contains("INSECURE"), "{}", ran.stderr);
        let after = fs::read_to_string(server.folder().join("seen.log")).unwrap();
        assert!(after[before..].lines().count() >= 200, "{pace:?}");
        assert!(after[before..].lines().all(|line| line.ends_with("GET /a HTTP/1.1 200")));
        // Nobody is asked who is not trusted, and who takes anybody is told so, even if quiet.
        let ran = peakhour(folder.path(), &load);
        assert_eq!(ran.code, 104, "{}\n{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("nobody who is trusted; name the issuer"), "{}", ran.stderr);
        assert_eq!(fs::read_to_string(server.folder().join("seen.log")).unwrap(), after);
        let insecure = [&load[..], &["-k", "-q", "--out", "json=run.json"]].concat();
        let ran = peakhour(folder.path(), &insecure);
        assert!(ran.stderr.contains("WARNING: INSECURE: any certificate"), "{}", ran.stderr);
        let warnings = json(folder.path(), &ran)["facts"]["warnings"].to_string();
        assert!(warnings.contains("INSECURE: any certificate"), "{warnings}");
    }
}

#[test]
fn what_is_wrong_with_tls_is_said_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let Some(ours) = authority(folder.path()) else { return };
    let Some([shop, elsewhere, old]) = good_and_wrong(&ours) else { return };
    let ca = ours.path("ca.pem");
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    let [key, other] = ["shop-key.pem", "old-key.pem"].map(|name| ours.path(name));
    let pem = ours.path("shop.pem");
    for (port, tls, said) in [
        (shop.port, "{ cacert: empty.pem }".to_owned(), "empty.pem: no certificate in it"),
        (shop.port, "{ cacert: absent.pem }".to_owned(), "absent.pem: cannot be read"),
        (shop.port, format!("{{ cert: '{pem}', key: '{other}' }}"), "is not the key of the first"),
        (shop.port, format!("{{ cert: '{key}', key: '{pem}' }}"), "are the two files swapped?"),
        (elsewhere.port, format!("{{ cacert: '{ca}' }}"), "name that one (`server_name`)"),
        (old.port, format!("{{ cacert: '{ca}' }}"), "its certificate is not accepted"),
    ] {
        scenario(folder.path(), port, &format!("  tls: {tls}\n"));
        let ran = peakhour(folder.path(), &["run", "s.yaml"]);
        assert_eq!(ran.code, 104, "{}\n{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    // Acts that would send without TLS are refused where they stand.
    for (act, said) in [
        ("payloads", "s.yaml:10:5: the act `payloads` does not speak TLS to the target yet"),
        ("connections", "s.yaml:10:5: the act `connections` does not speak TLS to the target yet"),
    ] {
        let acts = format!("acts:\n  - {act}\n");
        scenario(folder.path(), shop.port, &format!("  tls: {{ cacert: '{ca}' }}\n{acts}"));
        let ran = peakhour(folder.path(), &["run", "s.yaml"]);
        assert_eq!(ran.code, 104, "{}", ran.stdout);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    for server in [shop, elsewhere, old] {
        let log = fs::read_to_string(server.folder().join("seen.log")).unwrap();
        assert_eq!(log, "", "something was sent");
    }
}
