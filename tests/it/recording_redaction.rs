//! Credentials do not get into a recording.

use std::fs;

use ::bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::tempdir;

use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::redaction::redact;
use peakhour::recording::{Exchange, Flags, Response};

use crate::exchanges::{exchange, header, plain};

/// Each is found by searching for `s3cret`.
fn secretive(number: u32) -> Exchange {
    let head = "POST http://s3cret-me:s3cret@shop.example/in?token=s3cret&page=2 HTTP/1.1\r\n\
                Host: shop.example\r\nAuthorization: Bearer s3cret\r\nCookie: a=s3cret; b=\r\n \
                s3cret\r\nx-csrf-token: s3cret\nReferer: /?api_key=s3cret\r\n\
                Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=s3cret; Path=/\r\n\
                  Location: /next;jsessionid=s3cret?a=b\r\n\r\n";
    let plain = plain(u64::from(number), 0, number);
    Exchange {
        target: "http://s3cret-me:s3cret@shop.example/in?token=s3cret&page=2".to_owned(),
        route: "/in?token=s3cret".to_owned(),
        authority: "s3cret@shop.example".to_owned(),
        request_head: Bytes::from_static(head.as_bytes()),
        request_body: Bytes::from_static(b"user=me&password=s3cret"),
        response: plain
            .response
            .clone()
            .map(|response| Response { head: Bytes::from_static(answer.as_bytes()), ..response }),
        ..plain
    }
}

/// Statistics of text columns are in the footer as they are, so a secret that got past would be
/// found; the columns themselves are packed, and are searched as they are read.
#[test]
fn no_secret_is_anywhere_in_the_file() {
    let directory = tempdir().unwrap();
    for (redacted, expected) in [(true, 0), (false, 8)] {
        let path = directory.path().join("peak.parquet");
        let mut writer = RecordingWriter::create(&path).unwrap();
        for number in 0..3 {
            let mut exchange = secretive(number);
            if redacted {
                redact(&mut exchange);
                assert!(exchange.flags.contains(Flags::REDACTED));
            }
            writer.push(exchange).unwrap();
        }
        writer.finish(header()).unwrap();
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(6).filter(|window| window == b"s3cret").count();
        // Unredacted: target, route and authority show in their statistics, heads and bodies
        // never do.
        assert!(if redacted { found == 0 } else { found >= expected }, "{found}");
        for row in RecordingReader::open(&path).unwrap().exchanges(None) {
            let row = format!("{:?}", row.unwrap());
            assert_eq!(row.contains("s3cret"), !redacted, "{row}");
        }
    }
}

#[test]
fn an_exchange_without_secrets_is_not_touched() {
    let mut exchange = plain(0, 0, 0);
    redact(&mut exchange);
    assert_eq!(exchange, plain(0, 0, 0));
}

proptest! {
    /// For all exchanges, well formed or not: no length changes, and redacting twice is redacting
    /// once.
    #[test]
    fn lengths_stay(
        exchange in exchange(),
        pieces in vec(prop_oneof![
            Just("Cookie:"), Just("set-cookie: "), Just("\r\n"), Just("\n"), Just("\r"), Just(" "),
            Just("a=b"), Just(";"), Just("\""), Just("?token="), Just("http://"), Just("@"),
            Just("Authorization: Bearer"), Just("Content-Type: application/x-www-form-urlencoded"),
            Just("\u{e4}"), Just("%5"),
        ], 0..30),
    ) {
        let text = pieces.concat();
        let mut once = Exchange {
            request_head: text.clone().into(), target: text, ..exchange.clone()
        };
        let before = once.clone();
        redact(&mut once);
        prop_assert_eq!(once.request_head.len(), before.request_head.len());
        prop_assert_eq!(once.request_body.len(), before.request_body.len());
        prop_assert_eq!(once.target.len(), before.target.len());
        prop_assert_eq!(once.authority.len(), before.authority.len());
        let head = |exchange: &Exchange| exchange.response.as_ref().map(|r| r.head.len());
        prop_assert_eq!(head(&once), head(&before));
        let mut twice = once.clone();
        redact(&mut twice);
        prop_assert_eq!(twice, once);
    }
}
