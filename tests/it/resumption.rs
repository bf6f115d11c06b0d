//! Connections that resume a session of TLS: seen in captures and by the proxy, and opened again as
//! they were recorded, by nginx' own log.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::handshakes::Handshakes;

use crate::certificates::Authority;
use crate::exchanges::{header, plain};
use crate::record_tls::{Curl, authority, certificate, of, started};
use crate::servers::{self, Server};
use crate::support::{peakhour, program};
use crate::tls_tape::{get, tape};

/// nginx that resumes sessions by tickets and by their ids, with a line a request: connection,
/// whether its session was resumed, and target. `more` stands in its configuration.
fn nginx(authority: &Authority, listen: &str, more: &str) -> Option<Server> {
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    servers::nginx("", "", |port, folder| {
        format!(
            "log_format seen '$connection $ssl_session_reused $uri'; ssl_session_tickets on;\n\
             ssl_session_cache shared:all:1m; {more}\n\
             ssl_certificate {pem}; ssl_certificate_key {key};\n\
             server {{ listen 127.0.0.1:{port} {listen}; access_log {at}/seen.log seen;\n\
             location / {{ return 200 'served $request_uri.'; }} }}",
            at = folder.display()
        )
    })
}

/// The kind of each handshake by the number that the first part of the target gives it.
fn kinds(server: &Server) -> BTreeMap<u64, bool> {
    let text = fs::read_to_string(server.folder().join("seen.log")).unwrap();
    let kinds = text.lines().map(|line| {
        let [_, kind, target] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (target.split('/').nth(1).unwrap().parse().unwrap(), kind == "r")
    });
    kinds.collect()
}

/// A real client comes twice. What it was is told also to who has no secret.
#[test]
fn captures_tell_whether_a_session_was_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let more = "ssl_protocols TLSv1.2 TLSv1.3;";
    let Some(server) = nginx(&authority, "ssl", more) else { return };
    let session = folder.path().join("session").display().to_string();
    let (says, awaited) = get("/a");
    for version in [&["-tls1_3"][..], &["-tls1_2"], &["-tls1_2", "-no_ticket"]] {
        let first =
            tape(&server, &[version, &["-sess_out", &session]].concat(), &[(&says, &awaited)]);
        let again =
            tape(&server, &[version, &["-sess_in", &session]].concat(), &[(&says, &awaited)]);
        for (tape, resumed, note) in [
            (first, false, "tls handshakes in full"),
            (again, true, "tls handshakes that resumed a session"),
        ] {
            let (found, imported) = tape.import(&tape.keylog);
            assert_eq!((found.len(), imported.handshakes.of(0)), (1, Some(resumed)), "{version:?}");
            let (found, imported) = tape.import("");
            assert_eq!((found.len(), imported.handshakes.of(0)), (0, None));
            assert_eq!(imported.ledger.notes.get(note), Some(&1), "{:?}", imported.ledger.notes);
        }
    }
}

/// curl opens three connections for three requests, and keeps the session of the first.
#[test]
fn the_proxy_tells_which_clients_resumed_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(authority), Some(curl)) = (authority(folder.path()), program("curl")) else { return };
    let Some(server) = nginx(&authority, "ssl", "") else { return };
    let upstream = format!("https://127.0.0.1:{}", server.port);
    let trust = ["--cacert".to_owned(), authority.path("ca.pem")];
    let tls = [&certificate(&authority)[..], &trust].concat();
    let (proxy, port) = started(folder.path(), &upstream, &[], &tls);
    let curl = Curl { program: curl, authority: &authority, port };
    let url = format!("https://shop.example:{port}/b");
    curl.get(&["--http1.1", "-H", "Connection: close", &url, &url], "/b");
    let (exchanges, _) = of(folder.path(), proxy);
    assert_eq!(exchanges.len(), 3);
    let path = folder.path().join("live.parquet");
    let reader = RecordingReader::open(&path).unwrap();
    assert_eq!(reader.header().handshakes.counts(), [1, 2]);
    let told = peakhour(folder.path(), &["inspect", "live.parquet"]);
    assert!(told.words().contains("1 in full, 2 resumed a session"), "{}", told.stdout);
    let told = peakhour(folder.path(), &["inspect", "--json", "live.parquet"]);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["tls_handshakes"], serde_json::json!({ "in_full": 1, "resumed": 2 }));
}

/// What a recording with two requests on each connection says of its handshakes.
type Known = fn(u64) -> Option<bool>;

/// Connections that are opened 25 ms after each other, and from number 24 on all at once. The first
/// two have a second for themselves, so that tickets are there whatever the machine does.
fn replayed(folder: &Path, port: u16, connections: u64, known: Known, tls: &str) -> String {
    let head_start = |connection: u64| if connection < 2 { 0 } else { 1_000_000_000 };
    let opened = |connection: u64| head_start(connection) + connection.min(24) * 25_000_000;
    let line = |connection: u64, seq: u64| {
        let at = opened(connection) + seq * 150_000_000;
        let resumed = known(connection).filter(|_| seq == 0);
        let resumed = resumed.map_or(String::new(), |it| format!(r#","tls_resumed":{it}"#));
        let line = format!(
            r#"{{"at_ns":{at},"connection":{connection},"method":"GET","scheme":"https",
            "authority":"production.example","target":"/{connection}/{seq}"{resumed}}}"#
        );
        (at, line.replace('\n', ""))
    };
    let mut lines: Vec<(u64, String)> =
        (0..connections * 2).map(|index| line(index / 2, index % 2)).collect();
    lines.sort();
    let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
    let scenario = format!(
        "# Whatever was recorded.\nname: resumption\nrecording: r.jsonl\ntolerance: ci\n\
         target:\n  url: https://127.0.0.1:{port}\n  allow: [127.0.0.1]\n  tls: {{ {tls} }}\n"
    );
    fs::write(folder.join("s.yaml"), scenario).unwrap();
    let ran = peakhour(folder, &["run", "s.yaml", "--out", "json=run.json"]);
    assert!(ran.code == 0 || ran.code == 98, "{}\n{}", ran.stdout, ran.stderr);
    ran.words()
}

fn totals(folder: &Path) -> [u64; 5] {
    let text = fs::read_to_string(folder.join("run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&text).unwrap();
    [
        "tls_handshakes",
        "tls_resumed",
        "tls_recorded_handshakes",
        "tls_recorded_resumed",
        "tls_not_resumed",
    ]
    .map(|name| run["totals"][name].as_u64().unwrap_or_default())
}

/// Every third connection resumes, in either version; without a word of it, all but one would.
#[test]
fn connections_resume_sessions_as_they_were_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let tls = format!("cacert: '{}'", authority.path("ca.pem"));
    let third: Known = |connection| Some(connection % 3 == 2);
    for version in ["TLSv1.2", "TLSv1.3"] {
        let more = format!("ssl_protocols {version};");
        let Some(server) = nginx(&authority, "ssl", &more) else { return };
        let told = replayed(folder.path(), server.port, 24, third, &tls);
        let expected: BTreeMap<u64, bool> = (0..24).map(|it| (it, it % 3 == 2)).collect();
        assert_eq!(kinds(&server), expected, "{version}");
        assert_eq!(totals(folder.path()), [16, 8, 16, 8, 0]);
        let line = "TLS: 16 in full, 8 resumed (recorded: 16 in full, 8 resumed)";
        assert!(told.contains(line), "{told}");

        let Some(server) = nginx(&authority, "ssl", &more) else { return };
        let told = replayed(folder.path(), server.port, 24, |_| None, &tls);
        let resumed = kinds(&server).into_values().filter(|is_resumed| *is_resumed).count();
        assert!(resumed >= 20, "{version}: {resumed}");
        assert_eq!(totals(folder.path())[2..], [0, 0, 0]);
        assert!(!told.contains("(recorded:"), "{told}");
    }
}

/// More than one client's store holds resume at one moment, and the rest is not known.
#[test]
fn many_connections_resume_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let tls = format!("cacert: '{}'", authority.path("ca.pem"));
    let Some(server) = nginx(&authority, "ssl", "ssl_protocols TLSv1.3;") else { return };
    let known: Known = |connection| match connection {
        24..54 => Some(true),
        54.. => None,
        _ => Some(false),
    };
    let told = replayed(folder.path(), server.port, 55, known, &tls);
    let resumed = kinds(&server).into_iter().filter(|(_, is_resumed)| *is_resumed);
    assert_eq!(resumed.map(|(it, _)| it).collect::<Vec<_>>(), (24..54).collect::<Vec<_>>());
    assert_eq!(totals(folder.path()), [25, 30, 24, 30, 0]);
    assert!(told.contains("(recorded: 24 in full, 30 resumed, 1 not known)"), "{told}");
}

/// A target that forgets its clients is asked, answers in full, and that is told.
#[test]
fn sessions_that_are_not_resumed_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let tls = format!("cacert: '{}'", authority.path("ca.pem"));
    let [pem, key] = ["shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    let forgets = servers::nginx("", "", |port, folder| {
        format!(
            "log_format seen '$connection $ssl_session_reused $uri'; ssl_session_tickets off;\n\
             ssl_certificate {pem}; ssl_certificate_key {key};\n\
             server {{ listen 127.0.0.1:{port} ssl; access_log {at}/seen.log seen;\n\
             location / {{ return 200 'served'; }} }}",
            at = folder.display()
        )
    });
    let Some(server) = forgets else { return };
    let half: Known = |connection| Some(connection % 2 == 1);
    let told = replayed(folder.path(), server.port, 12, half, &tls);
    assert!(kinds(&server).into_values().all(|is_resumed| !is_resumed));
    assert_eq!(totals(folder.path()), [12, 0, 6, 6, 6]);
    assert!(told.contains("6 of them had no session to resume"), "{told}");
}

/// In HTTP/2 as well: the streams of a connection share its handshake.
#[test]
fn connections_of_http2_resume_sessions_as_they_were_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let Some(server) = nginx(&authority, "ssl http2", "") else { return };
    let lines: Vec<String> = (0..12_u64)
        .map(|connection| {
            let (head_start, resumed) = (connection.min(1) * 1_000_000_000, connection % 2 == 1);
            let at = head_start + connection * 25_000_000;
            format!(r#"{{"at_ns":{at},"connection":{connection},"stream":1,"protocol":"http2","#)
                + r#""method":"GET","scheme":"https","authority":"p.example","#
                + &format!(r#""target":"/{connection}/0","tls_resumed":{resumed}}}"#)
        })
        .collect();
    fs::write(folder.path().join("r.jsonl"), lines.join("\n")).unwrap();
    let scenario = format!(
        "name: h2\nrecording: r.jsonl\ntolerance: ci\ntarget:\n  url: https://127.0.0.1:{}\n  \
         allow: [127.0.0.1]\n  tls: {{ cacert: '{}' }}\n",
        server.port,
        authority.path("ca.pem")
    );
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let ran = peakhour(folder.path(), &["run", "s.yaml", "--out", "json=run.json"]);
    let expected: BTreeMap<u64, bool> = (0..12).map(|it| (it, it % 2 == 1)).collect();
    assert_eq!(kinds(&server), expected, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(totals(folder.path()), [6, 6, 6, 6, 0]);
}

#[test]
fn handshakes_are_kept_and_move_with_their_connections() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, at: u64, handshakes: &Handshakes| {
        let mut known = header();
        known.handshakes = handshakes.clone();
        let mut writer = RecordingWriter::create(&folder.path().join(name)).unwrap();
        writer.push(plain(at, 0, 0)).unwrap();
        writer.finish(known).unwrap();
    };
    let read = |name: &str| {
        RecordingReader::open(&folder.path().join(name)).unwrap().header().handshakes.clone()
    };
    let (mut first, mut second) = (Handshakes::default(), Handshakes::default());
    first.add(0, false);
    second.add(0, true);
    second.add(1_000_000, false);
    for handshakes in [&Handshakes::default(), &first, &second] {
        written("r.parquet", 0, handshakes);
        assert_eq!(&read("r.parquet"), handshakes);
    }
    written("a.parquet", 0, &first);
    written("b.parquet", 1, &second);
    let ran = peakhour(folder.path(), &["import", "a.parquet", "b.parquet", "-o", "c.parquet"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let all = read("c.parquet");
    assert_eq!([0, 1, 1_000_001].map(|it| all.of(it)), [Some(false), Some(true), Some(false)]);
    // Lines say it of connections that have one, and are understood again.
    let lines = ["import", "a.parquet", "b.parquet", "--jsonl", "c.jsonl"];
    assert_eq!(peakhour(folder.path(), &lines).code, 0);
    let lines = fs::read_to_string(folder.path().join("c.jsonl")).unwrap();
    let said = ["false", "true"].map(|it| lines.matches(&format!("_resumed\":{it}")).count());
    assert_eq!(said, [1, 1], "{lines}");
    let ran = peakhour(folder.path(), &["import", "c.jsonl", "-o", "again.parquet"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!([0, 1].map(|it| read("again.parquet").of(it)), [Some(false), Some(true)]);
}
