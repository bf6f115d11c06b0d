//! On their way into recordings: through the proxy, and out of packets.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tempfile::tempdir;

use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::{Exchange, Flags};

use super::{MIB, log, noise, replayed, scenario, sha256, storage, taken};
use crate::record::{end, recorded, start};
use crate::support::peakhour;
use crate::talk::{OK, Talk, bytes_of};

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
