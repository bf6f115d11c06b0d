//! On their way into recordings: through the proxy, and out of packets.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::tempdir;

use peakhour::capture::import::{Found, read_capture_with};
use peakhour::capture::tls::keylog::Secrets;
use peakhour::protocol::Protocol;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::stored::spool::Spool;
use peakhour::recording::{Exchange, Flags};

use super::{MIB, log, noise, replayed, scenario, sha256, storage, taken};
use crate::record::{end, recorded, start};
use crate::support::{peakhour, program};
use crate::talk::{OK, Talk, bytes_of, file_of};

/// Sends a request and waits for an answer, which closes the connection.
fn ask(port: u16, head: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 201 "), "{answer}");
}

/// 64 MiB by their length and in chunks, through the proxy to nginx and from the recording to
/// another one, which says that it was asked the same.
#[test]
fn what_goes_through_the_proxy_is_recorded_and_replayed_whole() {
    let (Some(server), Some(staging)) = (storage(""), storage("")) else { return };
    let folder = tempdir().unwrap();
    let (proxy, port) = start(folder.path(), server.port, &["--grace", "1s"]);
    let host = format!("Host: 127.0.0.1:{}\r\nConnection: close\r\n", server.port);
    let body = noise(11, 64 * MIB);
    let head = format!("PUT /length HTTP/1.1\r\n{host}Content-Length: {}\r\n\r\n", body.len());
    ask(port, &head, &body);
    let head = format!("PUT /chunks HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n");
    let mut chunks = Vec::new();
    for chunk in body.chunks(50_000) {
        chunks.extend_from_slice(format!("{:x};n\r\n", chunk.len()).as_bytes());
        chunks.extend_from_slice(chunk);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\nX-End: yes\r\n\r\n");
    ask(port, &head, &chunks);
    let (code, said) = end(proxy);
    assert_eq!(code, Some(0), "{said}");
    assert!(taken(&server, "length") == body && taken(&server, "chunks") == body);

    let path = folder.path().join("live.parquet");
    let (reader, rows) = recorded(&path);
    assert!(reader.header().ledger.reconciles());
    for row in &rows {
        let stored = row.request_stored.as_ref().unwrap();
        assert_eq!(stored.digest(), Some(&sha256(&body)));
        assert!(!row.flags.contains(Flags::REQUEST_TRUNCATED) && row.request_body.is_empty());
        assert_eq!(row.request_body_bytes, body.len() as u64);
    }
    fs::rename(&path, folder.path().join("peak.parquet")).unwrap();
    scenario(folder.path(), &staging);
    let ran = replayed(folder.path());
    for name in ["length", "chunks"] {
        assert!(taken(&staging, name) == body, "{name}: {ran:?} {:?}", log(&staging));
    }
    let mut lines = [log(&server), log(&staging)];
    for lines in &mut lines {
        lines.sort();
    }
    assert_eq!(lines[0], lines[1], "lengths with all framing");
}

/// By curl, and the same from the recording.
#[test]
fn streams_of_http2_are_recorded_whole() {
    let (Some(server), Some(staging)) = (storage("http2"), storage("http2")) else { return };
    let Some(curl) = program("curl") else { return };
    let folder = tempdir().unwrap();
    let (proxy, port) = start(folder.path(), server.port, &["--grace", "1s"]);
    let bodies = [noise(21, 5 * MIB + 1), noise(22, 3 * MIB + 1)];
    for (name, body) in ["a", "b"].into_iter().zip(&bodies) {
        let file = folder.path().join(name);
        fs::write(&file, body).unwrap();
        let mut command = Command::new(&curl);
        command.args(["-sS", "--fail", "--http2-prior-knowledge", "-T"]).arg(file);
        command.arg(format!("http://127.0.0.1:{port}/{name}"));
        assert!(command.status().unwrap().success());
    }
    let (code, said) = end(proxy);
    assert_eq!(code, Some(0), "{said}");
    let (reader, rows) = recorded(&folder.path().join("live.parquet"));
    assert!(reader.header().ledger.reconciles());
    fs::rename(folder.path().join("live.parquet"), folder.path().join("peak.parquet")).unwrap();
    scenario(folder.path(), &staging);
    replayed(folder.path());
    for (name, body) in ["a", "b"].into_iter().zip(&bodies) {
        let row = rows.iter().find(|row| row.target == format!("/{name}")).unwrap();
        assert_eq!(row.protocol, Protocol::Http2);
        assert_eq!(row.request_stored.as_ref().unwrap().digest(), Some(&sha256(body)));
        assert!(taken(&server, name) == *body && taken(&staging, name) == *body, "{name}");
    }
}

/// Nobody can write there: the front of the body is what there was before, and it is counted.
#[test]
fn what_the_disk_refuses_is_cut_and_counted() {
    let body = noise(31, 3 * MIB);
    let mut talk = Talk::new();
    talk.client(&format!("PUT /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()));
    for piece in body.chunks(60_000) {
        talk.say(true, piece);
    }
    talk.server(OK);
    let spool = Some(Arc::new(Spool::beside(Path::new("/nowhere/peak.parquet"))));
    let mut found = Vec::new();
    let sources = vec![file_of(&talk.pieces)];
    let mut keep = |one| found.push(one);
    let imported = read_capture_with(sources, Secrets::default(), spool, false, &mut keep).unwrap();
    assert!(imported.ledger.reconciles());
    assert_eq!(imported.ledger.notes["request bodies cut, the disk refused them"], 1);
    let Some(Found::Exchange(row)) = found.pop() else { panic!("{found:?}") };
    assert!(row.flags.contains(Flags::REQUEST_TRUNCATED) && row.request_stored.is_none());
    assert!(row.request_body[..] == body[..MIB] && row.request_body_bytes == body.len() as u64);
}

/// A segment each, 8 MiB; one body is cut by a gap, and one by the limit that was named.
#[test]
fn bodies_in_packets_are_kept_whole_up_to_the_limit() {
    let folder = tempdir().unwrap();
    let body = noise(4, 8 * MIB);
    let mut talk = Talk::new();
    let say = |talk: &mut Talk, name: &str, gap: bool| {
        talk.client(&format!("PUT /{name} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()));
        for (number, piece) in body.chunks(60_000).enumerate() {
            if gap && number == 99 {
                talk.skip(true, piece.len());
            } else {
                talk.say(true, piece);
            }
            talk.acks(1);
        }
        talk.server(OK);
    };
    say(&mut talk, "whole", false);
    say(&mut talk, "gap", true);
    fs::write(folder.path().join("a.pcap"), bytes_of(&talk.pieces)).unwrap();
    let rows = |arguments: &[&str]| -> Vec<Exchange> {
        let all = [&["import", "a.pcap", "-o", "a.parquet"], arguments].concat();
        let ran = peakhour(folder.path(), &all);
        assert_eq!(ran.code, 0, "{ran:?}");
        let reader = RecordingReader::open(&folder.path().join("a.parquet")).unwrap();
        assert!(reader.header().ledger.reconciles());
        let cut = reader.header().ledger.notes.get("request bodies over the limit, cut").copied();
        assert_eq!(cut.is_some(), !arguments.is_empty());
        reader.exchanges(None).map(Result::unwrap).collect()
    };
    let kept = rows(&[]);
    assert_eq!(kept[0].request_stored.as_ref().unwrap().digest(), Some(&sha256(&body)));
    let limited = rows(&["--longest-body", "5MiB"]);
    for row in [&kept[1], &limited[0], &limited[1]] {
        assert!(row.request_stored.is_none() && row.request_body[..] == body[..MIB]);
        assert!(row.flags.contains(Flags::REQUEST_TRUNCATED));
        assert_eq!(row.request_body_bytes, body.len() as u64);
    }
}
