//! Recordings as JSON Lines: the same there and back, little required, nothing guessed.

use std::time::Duration;

use ::bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use peakhour::recording::jsonl::{Imported, JsonlError, read_lines, write_line};
use peakhour::recording::{Exchange, Flags};

use crate::exchanges::{exchange, plain};

fn read(text: &[u8]) -> Result<(Vec<Exchange>, Imported), JsonlError> {
    let mut exchanges = Vec::new();
    let imported = read_lines(&mut { text }, "peak.jsonl", &mut |exchange| {
        exchanges.push(exchange);
        Ok(())
    })?;
    Ok((exchanges, imported))
}

/// One usable line and the lines given; what is wrong with the first of them.
fn problem(lines: &str) -> String {
    let minimal = r#"{"at_ns":5,"method":"GET","target":"/","authority":"a","connection":3}"#;
    let (exchanges, imported) = read(format!("{minimal}\n{lines}").as_bytes()).unwrap();
    assert_eq!(exchanges.len(), 1);
    assert!(imported.ledger.reconciles());
    assert_eq!(imported.ledger.frames.count("line not understood"), 1);
    let bad = imported.first_bad.unwrap();
    assert!(imported.ledger.notes.keys().next().unwrap().ends_with(&bad.to_string()));
    bad.to_string()
}

proptest! {
    /// For all exchanges: what is read is what was written, and all of it is counted.
    #[test]
    fn what_is_written_is_read(exchanges in vec(exchange(), 1..20)) {
        let mut text = Vec::new();
        for exchange in &exchanges {
            write_line(exchange, &mut text).unwrap();
        }
        prop_assert_eq!(text.split_inclusive(|byte| *byte == b'\n').count(), exchanges.len());
        let (found, imported) = read(&text).unwrap();
        prop_assert_eq!(&found, &exchanges);
        prop_assert!(imported.ledger.reconciles());
        prop_assert_eq!(imported.ledger.messages.total, exchanges.len() as u64);
        prop_assert_eq!(imported.first_bad, None);
    }

    /// For all damage to a file: reading ends, and every line is in one bucket.
    #[test]
    fn every_line_is_counted_once(
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..9),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut text = Vec::new();
        for number in 0..4 {
            write_line(&plain(u64::from(number), 0, number), &mut text).unwrap();
        }
        for (place, byte) in flips {
            let place = place.index(text.len());
            text[place] = byte;
        }
        text.truncate(cut.index(text.len()) + 1);
        let lines = text.split_inclusive(|byte| *byte == b'\n').count() as u64;
        match read(&text) {
            Ok((exchanges, imported)) => {
                prop_assert!(imported.ledger.reconciles());
                prop_assert_eq!(imported.ledger.frames.total, lines);
                prop_assert_eq!(imported.ledger.messages.total, exchanges.len() as u64);
            }
            Err(JsonlError::NothingUsable { lines: counted, .. }) => {
                prop_assert_eq!(counted, lines);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

/// The fields are the columns of the file, so that both are documented at once.
#[test]
fn a_line_reads_like_a_row() {
    let mut text = Vec::new();
    let exchange = Exchange {
        request_body: Bytes::from_static(b"\xff\x00"),
        request_body_bytes: 2,
        stream: Some(1),
        flags: Flags::CHUNKED,
        ..plain(1, 2, 3)
    };
    write_line(&exchange, &mut text).unwrap();
    let expected = concat!(
        r#"{"at_ns":1000000,"connection":2,"session":2,"seq":3,"stream":1,"protocol":"http1","#,
        r#""method":"GET","scheme":"http","authority":"shop.example","target":"/item/3","#,
        r#""route":"/item/*","request_head":"GET /item/3 HTTP/1.1\r\nHost: shop.example\r\n\r\n","#,
        r#""request_body":{"base64":"/wA="},"request_body_bytes":2,"status":200,"#,
        r#""response_head":"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n","#,
        r#""response_body_bytes":2,"response_digest":"07070707070707070707070707070707","#,
        r#""response_shape":".: object\nid: number","#,
        r#""first_byte_ns":3000000,"last_byte_ns":4000000,"flags":64}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn four_fields_make_an_exchange() {
    let text = concat!(
        "\u{feff}",
        r#"{"at_ns":7,"method":"PUT","target":"/a?b=c","authority":"A.example:8080","#,
        r#""request_body":"hi"}"#,
        "\r\n\n",
        r#"{"at_ns":6,"method":"GET","target":"/d","authority":""}"#,
    );
    let (exchanges, imported) = read(text.as_bytes()).unwrap();
    let [put, get] = exchanges.as_slice() else { panic!("{exchanges:?}") };
    assert_eq!(
        put.request_head,
        "PUT /a?b=c HTTP/1.1\r\nHost: A.example:8080\r\nContent-Length: 2\r\n\r\n"
    );
    assert_eq!((put.at, put.connection, put.session, put.seq), (Duration::from_nanos(7), 1, 1, 0));
    assert_eq!((put.route.as_str(), put.scheme.as_str()), ("/a", "http"));
    assert_eq!((put.request_body_bytes, &put.response), (2, &None));
    assert_eq!((get.connection, get.session), (3, 3), "the third line");
    assert_eq!(imported.servers.authorities, ["a.example:8080"]);
    assert_eq!(imported.ledger.frames.count("empty line"), 1);
    assert_eq!(imported.ledger.messages.count("request without response"), 2);
}

#[test]
fn positions_on_a_connection_are_counted() {
    let rest = r#""at_ns":0,"method":"GET","target":"/","authority":""}"#;
    let line = |connection: u64, seq: &str| format!(r#"{{"connection":{connection}{seq},{rest}"#);
    let lines =
        [line(7, ""), line(8, ""), line(7, ""), line(7, r#","seq":9"#), line(7, "")].join("\n");
    let (exchanges, _) = read(lines.as_bytes()).unwrap();
    let found: Vec<_> = exchanges.iter().map(|e| (e.connection, e.seq)).collect();
    assert_eq!(found, [(7, 0), (8, 0), (7, 1), (7, 9), (7, 10)]);
}

#[test]
fn a_bad_line_is_named_without_its_values() {
    let line = |fields: &str| {
        format!(
            r#"{{"at_ns":0,"method":"GET","target":"/","authority":"","connection":1{fields}}}"#
        )
    };
    for (lines, expected) in [
        (line(r#","statsu":1"#), "2, column 77: unknown field `statsu`"),
        (line(r#","seq":"s3cret""#), "2, column 83: invalid type, expected u32"),
        (line(r#","seq":-1"#), "2, column 77: invalid value, expected u32"),
        (
            line(r#","protocol":"s3cret""#),
            "2, column 88: unknown variant, expected one of `http1`, `http2`, \
             `http3`, `redis`, `mysql`, `postgres`",
        ),
        (line(r#","request_body":{"base64":"s3cret!"}"#), "2, column 104: base64 is not valid"),
        (
            line(r#","request_body":"abc","request_body_bytes":2"#),
            "2: `request_body_bytes` is less than `request_body` has",
        ),
        (line(r#","response_head":"a""#), "2: there is a response without `status`"),
        (
            line(r#","status":200,"response_digest":"+0070707070707070707070707070707""#),
            "2: `response_digest` has not 32 hexadecimal digits",
        ),
        (
            line(r#","seq":4000000000"#),
            "2: exchange 4000000000 of connection 1 cannot be recorded: `seq` is beyond 2^31",
        ),
        (
            line("").replace(r#","connection":1"#, ""),
            "2: `connection` must be in every line or in none",
        ),
        (
            line("").replace(r#""target":"/""#, r#""target":"/ HTTP/1.1\r\nX: y""#),
            "2: `target` is no single word, and there is no `request_head`",
        ),
        (
            line("").replace(r#""at_ns":0"#, r#""at_ns":1700000000000000000"#),
            "2: `at_ns` is a wall clock: subtract the recording's start",
        ),
        (line("").replace(r#""at_ns":0,"#, ""), "2, column 59: missing field `at_ns`"),
        ("{".to_owned(), "2, column 1: EOF while parsing an object"),
    ] {
        assert_eq!(problem(&lines), expected);
    }
}

#[test]
fn a_file_without_any_usable_line_is_an_error() {
    let error = read(b"hello\n\n").unwrap_err().to_string();
    assert_eq!(
        error,
        "peak.jsonl: none of 2 lines is an exchange; the first problem is in line 1, column 1: \
         expected value"
    );
    assert_eq!(
        read(b"").unwrap_err().to_string(),
        "peak.jsonl: none of 0 lines is an exchange; the first problem is in line 1: the file is \
         empty"
    );
}
