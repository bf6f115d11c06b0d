//! Replay and generated load in HTTP/2, to a real nginx and to the embedded stage.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::record_tls::authority;
use crate::run_tls::handshakes_timed;
use crate::servers::{self, Server};
use crate::support::{Ran, peakhour};

/// nginx with a line a request: connection, protocol, host, a header, and the request.
fn logging(listen: &str, tls: &str) -> Option<Server> {
    servers::nginx("", "", |port, folder| {
        fs::write(folder.join("large"), vec![b'x'; 3_000_000]).unwrap();
        format!(
            "log_format seen '$connection $server_protocol $http_host $http_x_trace \
             $request_length $request_method $request_uri $status'; {tls}\n\
             client_max_body_size 0; keepalive_requests 100000;\n\
             server {{ listen 127.0.0.1:{port} {listen}; access_log {at}/seen.log seen;\n\
             location / {{ return 200 'served'; }}\n\
             location /large/ {{ rewrite .* /large break; root {at}; }}\n\
             location /orders/ {{ proxy_pass http://unix:{at}/inner; }} }}\n\
             server {{ listen unix:{at}/inner; location / {{ return 201 'noted'; }} }}",
            at = folder.display()
        )
    })
}

fn log(server: &Server) -> Vec<Vec<String>> {
    let text = fs::read_to_string(server.folder().join("seen.log")).unwrap();
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// Requests on five connections of HTTP/2, each at once with nine others, and 60 on two of HTTP/1.
fn recording(folder: &Path) {
    let lines = (0..360_u64).map(|index| {
        let (at, is_old) = (index / 10 * 50_000_000, index % 6 == 5);
        let (connection, protocol) =
            if is_old { (6 + index / 6 % 2, "http1") } else { (index % 6, "http2") };
        let target = match index {
            7 => "/large/1".to_owned(),
            _ => format!("/item/{index}"),
        };
        let head =
            format!(r"GET {target} HTTP/1.1\r\nHost: production.example\r\nx-trace: t1\r\n\r\n");
        format!(
            r#"{{"at_ns":{at},"connection":{connection},"protocol":"{protocol}","method":"GET","#
        ) + &format!(
            r#""authority":"production.example","target":"{target}","request_head":"{head}"}}"#
        )
    });
    fs::write(folder.join("peak.jsonl"), lines.collect::<Vec<_>>().join("\n")).unwrap();
}

fn ran(folder: &Path, target: &str) -> (Ran, serde_json::Value) {
    let scenario =
        format!("name: http2\nrecording: peak.jsonl\ntolerance: ci\nmethods: all\n{target}");
    fs::write(folder.join("s.yaml"), scenario).unwrap();
    let ran = peakhour(folder, &["run", "s.yaml", "--out", "json=run.json"]);
    let text = fs::read_to_string(folder.join("run.json")).unwrap_or_default();
    let json = serde_json::from_str(&text);
    (Ran { ..ran }, json.unwrap_or_else(|_| panic!("{text}")))
}

#[test]
fn recorded_streams_are_replayed_on_their_connections() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    let tls = format!("ssl_certificate {pem}; ssl_certificate_key {key};");
    let ca = format!(", tls: {{ cacert: '{}' }}", authority.path("ca.pem"));
    for (scheme, listen, tls, ca) in
        [("https", "ssl http2", tls.as_str(), ca.as_str()), ("http", "http2", "", "")]
    {
        let Some(server) = logging(listen, tls) else { return };
        recording(folder.path());
        let own = format!("127.0.0.1:{}", server.port);
        let target = format!("target: {{ url: '{scheme}://{own}', allow: [127.0.0.1]{ca} }}\n");
        let (ran, json) = ran(folder.path(), &target);
        // A port that is spoken to in HTTP/2 without TLS speaks nothing else to nginx of old.
        let seen = log(&server);
        let of = |protocol: &str| -> Vec<&Vec<String>> {
            seen.iter().filter(|line| line[1] == protocol).collect()
        };
        let connections = |lines: &[&Vec<String>]| {
            lines.iter().map(|line| line[0].clone()).collect::<BTreeSet<_>>().len()
        };
        let (new, old) = (of("HTTP/2.0"), of("HTTP/1.1"));
        assert_eq!(new.len(), 300, "{scheme}: {}\n{}", ran.stdout, ran.stderr);
        assert_eq!(connections(&new), 5, "nginx saw other connections than were recorded");
        for line in &new {
            assert_eq!(line[2..4], [own.clone(), "t1".to_owned()], "{line:?}");
        }
        assert_eq!(json["fates"]["answered"], 300 + old.len(), "{}", json["fates"]);
        if scheme == "https" {
            assert_eq!((old.len(), connections(&old)), (60, 2), "{}", ran.stdout);
            let handshakes = [&json["totals"]["tls_handshakes"], &json["totals"]["tls_resumed"]];
            let handshakes: u64 = handshakes.iter().filter_map(|count| count.as_u64()).sum();
            assert_eq!(handshakes, 7);
        }
        let timed = (scheme == "https").then_some(7);
        assert_eq!(handshakes_timed(&json), timed, "{}", json["figures"]["parts"]);
        assert!(json["totals"]["response_bytes"].as_u64() > Some(3_000_000));
        assert_eq!(json["facts"]["skipped"], serde_json::json!({}));
    }
}

#[test]
fn the_stage_speaks_http2_as_well() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path());
    let (ran, json) = ran(folder.path(), "target: { url: stage }\n");
    assert_eq!(json["fates"], serde_json::json!({ "answered": 360 }), "{}", ran.stdout);
    assert_eq!(json["totals"]["connections_opened"], 7);
}

#[test]
fn a_target_that_does_not_speak_it_is_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    let tls = format!("ssl_certificate {pem}; ssl_certificate_key {key};");
    let ca = format!(", tls: {{ cacert: '{}' }}", authority.path("ca.pem"));
    recording(folder.path());
    for (scheme, listen, tls, ca) in
        [("https", "ssl", tls.as_str(), ca.as_str()), ("http", "", "", "")]
    {
        let Some(server) = logging(listen, tls) else { return };
        let port = server.port;
        let target =
            format!("target: {{ url: '{scheme}://127.0.0.1:{port}', allow: [127.0.0.1]{ca} }}\n");
        let (ran, json) = ran(folder.path(), &target);
        let expected = serde_json::json!({ "answered": 60, "http2: not spoken": 300 });
        assert_eq!(json["fates"], expected, "{scheme}: {}", ran.stdout);
    }
}

#[test]
fn load_without_a_recording_is_sent_in_http2() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = logging("http2", "") else { return };
    let url = format!("http://127.0.0.1:{}/orders/7", server.port);
    let body = "x".repeat(100_000);
    for (option, pace) in
        [("--http2", &["--rate", "100"][..]), ("--http2-prior-knowledge", &["--pace", "closed"])]
    {
        let load = ["run", "--url", &url, "-d", "1s", "-c", "4", option, "-X", "POST"];
        let body = ["--body", &body, "--tolerance", "ci", "--out", "json=run.json"];
        let before = log(&server).len();
        let ran = peakhour(folder.path(), &[&load[..], pace, &body].concat());
        let text = fs::read_to_string(folder.path().join("run.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let seen = log(&server).split_off(before);
        let answered = json["totals"]["answered"].as_u64().unwrap();
        assert!(answered >= 20, "{}\n{}", ran.stdout, ran.stderr);
        assert_eq!(json["statuses"]["201"].as_u64(), Some(answered), "{}", ran.stdout);
        assert_eq!(seen.len() as u64, answered);
        let connections: BTreeSet<&str> = seen.iter().map(|line| line[0].as_str()).collect();
        assert_eq!(connections.len(), 4, "{pace:?}");
        for line in &seen {
            assert_eq!((line[1].as_str(), line[5].as_str()), ("HTTP/2.0", "POST"), "{line:?}");
            assert!(line[4].parse::<u64>().unwrap() > 100_000, "all of the body came: {line:?}");
        }
    }
}
