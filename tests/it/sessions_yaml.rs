//! Aim: sessions in YAML are those in JSON, and what Proxy Verifier adds is used where a recording
//! has a place for it.

use std::fmt::Write;
use std::fs;
use std::io::Cursor;

use peakhour::capture::documents::{Documents, Settle};
use peakhour::capture::sessions::read_sessions;
use peakhour::capture::source::{Content, Source};
use peakhour::recording::Exchange;
use proptest::prelude::*;

use crate::support::peakhour;

const SESSIONS: &str = r#"# A test.
meta: { version: "1.0" }
blocks:
- headers: &ok { fields: [ [ Content-Length, 3 ] ] }
sessions:
- protocol: [ { name: http, version: 1 }, { name: tcp } ]
  start-time: 1000000
  delay: 500 ms
  keep-connection-open: 2s
  transactions:
  - client-request:
      method: GET
      url: /one
      version: 1.1
      headers: { fields: [ [ Host, shop ], [ uuid, 1 ] ] }
    server-response: { status: 200, reason: OK, headers: *ok, content: { size: 3 } }
  - delay: 20ms
    client-request:
      method: POST
      url: http://shop/two
      content: { data: 12345 }
  - client-request: 7
- transactions:
  - start-time: 901000000
    client-request: { method: GET, url: "http://shop/three" }
"#;

fn read(text: &[u8]) -> (Vec<Exchange>, Documents) {
    let source = Source::from_reader("s.yaml", Box::new(Cursor::new(text.to_vec()))).unwrap();
    let mut exchanges = Vec::new();
    let documents = read_sessions(vec![source], &mut |exchange| exchanges.push(exchange)).unwrap();
    assert!(documents.ledger.reconciles(), "{:?}", documents.ledger);
    let mut settle = Settle::new(&documents);
    let exchanges = exchanges.into_iter().map(|one| settle.settle(one)).collect();
    (exchanges, documents)
}

fn show(exchange: &Exchange) -> String {
    let Exchange { at, connection, seq, request_head, request_body, response, .. } = exchange;
    let head = String::from_utf8_lossy(request_head).replace("\r\n", "|");
    let body = String::from_utf8_lossy(request_body);
    let response = response.as_ref().map(|answer| (answer.status, answer.body_bytes));
    format!("{at:?} {connection}.{seq} {head}{body} > {response:?}")
}

#[test]
fn sessions_in_yaml_are_connections_with_times_and_delays() {
    let (exchanges, documents) = read(SESSIONS.as_bytes());
    assert_eq!(
        exchanges.iter().map(show).collect::<Vec<_>>(),
        [
            "0ns 0.0 GET /one HTTP/1.1|Host: shop|uuid: 1|| > Some((200, Some(3)))",
            "20ms 0.1 POST /two HTTP/1.1|Host: shop|Content-Length: 5||12345 > None",
            "400ms 1.0 GET /three HTTP/1.1|Host: shop|| > None",
        ]
    );
    assert_eq!(documents.ledger.frames.count("transaction not understood"), 1);
    assert_eq!(documents.warnings, ["s.yaml: first transaction not understood: in session 1"]);
    let notes = &documents.ledger.notes;
    assert_eq!(notes["wishes to keep a connection open, not used"], 1);
    assert_eq!(notes["transactions without time, put with their session or the one before"], 2);
}

/// The times of a session hold in JSON as well, where its transactions are read one by one.
#[test]
fn the_same_sessions_in_json_are_the_same() {
    let value: serde_json::Value = serde_yaml::from_str(SESSIONS).unwrap();
    let json = read(value.to_string().as_bytes());
    assert_eq!(json.0, read(SESSIONS.as_bytes()).0);
}

#[test]
fn yaml_is_known_by_its_first_key_or_named() {
    let known = |text: &str| {
        Source::from_reader("t", Box::new(Cursor::new(text.to_owned()))).unwrap().content()
    };
    assert_eq!(known(SESSIONS), Content::Sessions);
    assert_eq!(known("---\nsessions:\n"), Content::Sessions);
    assert_eq!(known("other:\nsessions:\n"), Content::Unknown);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), format!("x: 1\n{SESSIONS}")).unwrap();
    let import = ["import", "a", "--format", "sessions", "--jsonl", "-"];
    let ran = peakhour(folder.path(), &import);
    assert!(ran.code == 0 && ran.stdout.lines().count() == 3, "{ran:?}");
}

#[test]
fn yaml_that_is_none_says_where() {
    let (exchanges, documents) = read(b"sessions:\n- a: 1\n- }\n");
    assert!(exchanges.is_empty());
    assert_eq!(documents.ledger.frames.count("file not understood"), 1);
    assert!(documents.warnings[0].contains("line 3"), "{:?}", documents.warnings);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "sessions:\n- a: 1\n- }\n").unwrap();
    let ran = peakhour(folder.path(), &["import", "a", "-o", "out"]);
    assert!(ran.code == 104 && ran.stderr.contains("is no YAML of sessions"), "{ran:?}");
}

/// Nine lists of nine aliases each, nine deep: a few hundred bytes that would be 400 millions.
#[test]
fn aliases_cannot_fill_the_memory() {
    let mut text = "sessions:\n- a0: &a0 [x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}, ", level - 1).repeat(9);
        writeln!(text, "- a{level}: &a{level} [{before}]").unwrap();
    }
    let (exchanges, documents) = read(text.as_bytes());
    assert!(exchanges.is_empty());
    assert_eq!(documents.ledger.frames.count("file not understood"), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn damaged_yaml_never_panics_and_adds_up(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = SESSIONS.as_bytes().to_vec();
        for (at, byte) in &damage {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        prop_assert_eq!(read(&bytes), read(&bytes));
    }
}
