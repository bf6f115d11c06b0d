//! What Redis tells a client that monitors it becomes exchanges, from a real server and from lines
//! of every kind.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use peakhour::capture::documents::Documents;
use peakhour::capture::monitor::read_monitor;
use peakhour::capture::source::{Content, Source};
use peakhour::protocol::Protocol;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::{Exchange, Flags};

use crate::servers;
use crate::support::peakhour;

fn source(text: &str) -> Source {
    Source::from_reader("m.log", Box::new(Cursor::new(text.as_bytes().to_vec()))).unwrap()
}

fn read(text: &str) -> (Vec<Exchange>, Documents) {
    let mut found = Vec::new();
    let documents = read_monitor(vec![source(text)], &mut |one| found.push(one)).unwrap();
    assert!(documents.ledger.reconciles(), "{:?}", documents.ledger);
    (found, documents)
}

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn each_line_is_a_command_of_the_connection_that_sent_it() {
    let text = "OK\n\
        1700000000.000001 [0 10.0.0.1:5000] \"SET\" \"user:17\" \"a \\\"b\\\"\"\n\
        1700000000.000002 [0 10.0.0.2:5000] \"get\" \"user:17\"\n\
        1700000000.000003 [0 10.0.0.1:5000] \"EVAL\" \"return 1\" \"1\" \"k\"\n\
        1700000000.000003 [0 lua] \"GET\" \"k\"\n\
        1700000000.000004 [0 10.0.0.1:5000] \"AUTH\" \"(redacted)\"\n\
        1700000000.000005 [0 unix:/run/redis.sock] \"PING\"\n\
        what is this\n";
    assert_eq!(source(text).content(), Content::Monitor);
    let (found, documents) = read(text);
    let shown: Vec<String> = found
        .iter()
        .map(|it| format!("{} {} {} {} {}", it.connection, it.seq, it.method, it.target, it.route))
        .collect();
    let alone = i32::MAX;
    assert_eq!(
        shown,
        [
            "0 0 SET user:17 user:*".to_owned(),
            "1 0 GET user:17 user:*".to_owned(),
            "0 1 EVAL k k".to_owned(),
            "0 2 AUTH  ".to_owned(),
            format!("2 {alone} PING  "),
        ]
    );
    assert_eq!(found[0].at, Duration::new(1_700_000_000, 1_000));
    let wire: &[u8] = b"*3\r\n$3\r\nSET\r\n$7\r\nuser:17\r\n$5\r\na \"b\"\r\n";
    assert_eq!((found[0].request_body.as_ref(), found[0].request_body_bytes), (wire, 37));
    assert!(found.iter().all(|it| it.protocol == Protocol::Redis && it.response.is_none()));
    assert!(found[3].flags.contains(Flags::REDACTED));
    let ledger = &documents.ledger;
    assert_eq!(
        ledger.frames.buckets,
        counts(&[
            ("command", 5),
            ("command of a script", 1),
            ("line not understood", 1),
            ("line that is no command", 1),
        ])
    );
    assert_eq!(
        ledger.notes,
        counts(&[
            ("commands with secrets that the server left out", 1),
            ("requests whose connection is not known", 1),
        ])
    );
    assert_eq!(documents.clock_resolution_ns, 1_000);
    assert_eq!(documents.warnings, ["m.log: 1 lines were not understood; the first is line 8"]);
}

#[test]
fn secrets_that_an_old_server_tells_are_replaced() {
    let (found, _) =
        read("1.000001 [0 1.1.1.1:1] \"config\" \"set\" \"requirepass\" \"hunter2\"\n");
    assert!(!String::from_utf8_lossy(&found[0].request_body).contains("hunter2"));
    assert!(found[0].flags.contains(Flags::REDACTED));
}

#[test]
fn what_a_real_server_tells_is_imported() {
    let Some(server) = servers::redis(&[]) else { return };
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let ask = |stream: &mut TcpStream, command: &[u8], until: &[u8]| {
        stream.write_all(command).unwrap();
        let mut said = Vec::new();
        while !said.ends_with(until) {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            said.push(byte[0]);
        }
        said
    };
    let (mut monitor, mut client) = (connect(), connect());
    let mut told = ask(&mut monitor, b"MONITOR\r\n", b"+OK\r\n");
    ask(&mut client, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\x00\xff\n\r\n", b"+OK\r\n");
    ask(&mut client, b"EVAL \"return redis.call('GET','k')\" 0\r\n", b"\n\r\n");
    ask(&mut client, b"ECHO the-end\r\n", b"the-end\r\n");
    told.extend(ask(&mut monitor, b"", b"\"the-end\"\r\n"));

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("told.log"), &told).unwrap();
    for arguments in [&[][..], &["--format", "monitor"]] {
        let arguments = [&["import", "told.log", "-o", "m.parquet"], arguments].concat();
        let _ = fs::remove_file(folder.path().join("m.parquet"));
        let ran = peakhour(folder.path(), &arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let reader = RecordingReader::open(&folder.path().join("m.parquet")).unwrap();
        assert_eq!(reader.header().clock_resolution_ns, 1_000);
        let found: Vec<Exchange> = reader.exchanges(None).map(Result::unwrap).collect();
        let methods: Vec<&str> = found.iter().map(|it| it.method.as_str()).collect();
        assert_eq!(methods, ["SET", "EVAL", "ECHO"]);
        assert!(found[0].request_body.ends_with(b"$3\r\n\x00\xff\n\r\n"));
        assert_eq!((found[0].connection, found[2].seq), (found[2].connection, 2));
    }
}
