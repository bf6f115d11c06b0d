//! Recorded talks with a Redis, replayed against another one: what that one counted, and on which
//! connections.

mod answers;
mod fates;
mod hostile;
mod talks;
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use peakhour::protocol::resp::scan::{Scan, Sender};
use peakhour::protocol::resp::{Reader, Value, command};

use crate::schema;
use crate::servers::Server;
use crate::support::{Ran, peakhour_with};

/// A connection by hand.
pub(crate) struct Hand {
    stream: TcpStream,
    reader: Reader,
    rest: Vec<u8>,
}

impl Hand {
    pub(crate) fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, reader: Reader::new(), rest: Vec::new() }
    }

    /// Sends lines of words at once, and waits for a reply to each.
    pub(crate) fn say(&mut self, lines: &[&str]) -> Vec<Value> {
        let words = |line: &&str| -> Vec<u8> {
            command(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
        };
        let all: Vec<u8> = lines.iter().flat_map(words).collect();
        self.write(&all);
        lines.iter().map(|_| self.hear()).collect()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends one line after the other, and waits for a reply of any version to each.
    pub(crate) fn ask(&mut self, lines: &[&str]) {
        let mut scan = Scan::new(Sender::Server);
        for line in lines {
            self.write(&command(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>()));
            let mut byte = [0];
            loop {
                assert_eq!(self.stream.read(&mut byte).unwrap(), 1);
                if scan.read(&mut &byte[..]).unwrap().is_some() {
                    break;
                }
            }
        }
    }

    pub(crate) fn hear(&mut self) -> Value {
        loop {
            let mut rest = &self.rest[..];
            let value = self.reader.read(&mut rest).unwrap();
            self.rest = rest.to_vec();
            if let Some(value) = value {
                return value;
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the server has closed");
            self.rest.extend_from_slice(&buffer[..count]);
        }
    }

    pub(crate) fn text(&mut self, line: &str) -> String {
        match self.say(&[line]).remove(0) {
            Value::Bulk { kept, .. } => String::from_utf8(kept).unwrap(),
            other => format!("{other:?}"),
        }
    }
}

/// What a server counted of each command that users send: not our own looks at it.
pub(crate) fn counted(server: &Server) -> BTreeMap<String, u64> {
    counted_by(&mut Hand::new(server.port))
}

pub(crate) fn counted_by(hand: &mut Hand) -> BTreeMap<String, u64> {
    let lines = hand.text("INFO commandstats");
    let count = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    lines.lines().filter_map(count).filter(|(name, _)| name != "info" && name != "ping").collect()
}

/// One line of a recording as JSON.
pub(crate) fn line(at_ms: u64, connection: u64, words: &str, is_pipelined: bool) -> String {
    let parts: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let body = String::from_utf8(command(&parts)).unwrap();
    let key = words.split(' ').nth(1).unwrap_or_default();
    serde_json::json!({
        "at_ns": at_ms * 1_000_000,
        "connection": connection,
        "protocol": "redis",
        "scheme": "redis",
        "method": words.split(' ').next().unwrap().to_ascii_uppercase(),
        "authority": "",
        "target": key,
        "request_head": "",
        "request_body": body,
        "status": 0,
        "flags": if is_pipelined { 1 << 7 } else { 0 },
    })
    .to_string()
}

/// Writes a scenario beside `recording.jsonl`, or whatever `recording` is.
pub(crate) fn scenario(folder: &Path, recording: &str, url: &str, more: &str) {
    let text = format!(
        "# Commands of Redis, replayed.\nname: talk\nrecording: {recording}\ntolerance: ci\n\
         target: {{ url: '{url}', allow: [127.0.0.1] }}\n{more}"
    );
    fs::write(folder.join("s.yaml"), text).unwrap();
}

/// Replays lines against a URL; the report, and what was said.
pub(crate) fn replay(lines: &[String], url: &str, more: &str) -> (serde_json::Value, Ran) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("r.jsonl"), lines.join("\n")).unwrap();
    scenario(folder.path(), "r.jsonl", url, more);
    run(folder.path())
}

pub(crate) fn run(folder: &Path) -> (serde_json::Value, Ran) {
    let ran = peakhour_with(folder, &["run", "s.yaml"], &[("REDIS_PASSWORD", "s3cret-pass")]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(!shown.contains("s3cret-pass"), "{shown}");
    let reports = fs::read_dir(folder.join("reports")).unwrap_or_else(|_| panic!("{shown}"));
    let report = reports.map(|entry| entry.unwrap().path()).find(|it| it.is_dir());
    let report = report.unwrap_or_else(|| panic!("{shown}"));
    for entry in fs::read_dir(&report).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"s3cret-pass"));
    }
    let text = fs::read(report.join("run.json")).unwrap_or_else(|_| panic!("{shown}"));
    let report: serde_json::Value = serde_json::from_slice(&text).unwrap();
    schema::holds(&report);
    let fates: u64 =
        report["fates"].as_object().unwrap().values().map(|it| it.as_u64().unwrap()).sum();
    assert_eq!(report["totals"]["planned"], fates, "one fate an arrival");
    let skipped: u64 = report["facts"]["skipped"]
        .as_object()
        .unwrap()
        .values()
        .map(|it| it.as_u64().unwrap())
        .sum();
    let facts = &report["facts"];
    let replayed = facts["arrivals"].as_u64().unwrap() - facts["clones"].as_u64().unwrap();
    assert_eq!(facts["exchanges"], replayed + skipped, "each exchange is replayed or counted");
    (report, ran)
}

pub(crate) fn url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}", server.port)
}
