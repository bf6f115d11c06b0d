//! Arbitrary exchanges and a header for them.

use std::time::Duration;

use ::bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use peakhour::protocol::Protocol;
use peakhour::recording::closings::Closings;
use peakhour::recording::handshakes::Handshakes;
use peakhour::recording::ledger::Ledger;
use peakhour::recording::{Exchange, FORMAT_VERSION, Flags, Header, Response, Servers};

/// Any exchange that a recording can hold: times are few, so that some are equal.
pub(crate) fn exchange() -> impl Strategy<Value = Exchange> {
    let place = (0_u64..5_000, any::<u64>(), any::<u64>(), 0..=i32::MAX, option::of(0..=i32::MAX));
    let text = (".{0,9}", "https?", "[a-z.:0-9]{0,9}", "/.{0,40}", "/[a-z*/]{0,9}");
    let wire = (bytes(80), bytes(30), 0..i64::MAX, option::of(response()), any::<u32>());
    let wire = (wire, option::of(bytes(20)));
    (place, text, wire).prop_map(|(place, text, (wire, chunks))| Exchange {
        at: Duration::from_nanos(place.0 * 1_000_003),
        connection: place.1 % 7 + (place.1 & 1) * (u64::MAX - 10),
        session: place.2,
        seq: place.3.unsigned_abs(),
        stream: place.4.map(i32::unsigned_abs),
        protocol: Protocol::Http1,
        method: text.0,
        scheme: text.1,
        authority: text.2,
        target: text.3,
        route: text.4,
        request_body_bytes: (wire.1.len() as u64).max(wire.2.unsigned_abs()),
        request_head: wire.0,
        request_body: wire.1,
        request_stored: None,
        request_chunks: chunks,
        response: wire.3,
        flags: Flags(wire.4),
    })
}

fn response() -> impl Strategy<Value = Response> {
    let shape = option::of("[a-z]{0,5}(\n[a-zäß]{0,9}: null){0,2}");
    let body = (option::of(0..i64::MAX), option::of(any::<[u8; 16]>()), shape);
    let times = (option::of(0..i64::MAX / 2), option::of(0..i64::MAX / 2));
    (any::<u16>(), bytes(60), body, times).prop_map(|(status, head, body, times)| Response {
        status,
        head,
        body_bytes: body.0.map(i64::unsigned_abs),
        digest: body.1,
        shape: body.2.map(Into::into),
        first_byte: times.0.map(|nanos| Duration::from_nanos(nanos.unsigned_abs())),
        last_byte: times.1.map(|nanos| Duration::from_nanos(nanos.unsigned_abs())),
    })
}

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop_oneof![
        vec(any::<u8>(), 0..most).prop_map(Bytes::from),
        "GET /[a-z]{0,9} HTTP/1.1\r\nHost: x\r\n\r\n".prop_map(Bytes::from),
    ]
}

/// A plain request at a moment.
pub(crate) fn plain(at_ms: u64, connection: u64, seq: u32) -> Exchange {
    Exchange {
        at: Duration::from_millis(at_ms),
        connection,
        session: connection,
        seq,
        stream: None,
        protocol: Protocol::Http1,
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority: "shop.example".to_owned(),
        target: format!("/item/{seq}"),
        route: "/item/*".to_owned(),
        request_head: Bytes::from(format!(
            "GET /item/{seq} HTTP/1.1\r\nHost: shop.example\r\n\r\n"
        )),
        request_body: Bytes::new(),
        request_body_bytes: 0,
        request_stored: None,
        request_chunks: None,
        response: Some(Response {
            status: 200,
            head: Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
            body_bytes: Some(2),
            digest: Some([7; 16]),
            shape: Some(".: object\nid: number".into()),
            first_byte: Some(Duration::from_millis(3)),
            last_byte: Some(Duration::from_millis(4)),
        }),
        flags: Flags::default(),
    }
}

/// A header before the writer has filled it in.
pub(crate) fn header() -> Header {
    let mut ledger = Ledger::default();
    ledger.frames.enter(2);
    ledger.frames.end("tcp payload", 2);
    Header {
        format_version: FORMAT_VERSION,
        origin: "peak.pcap (pcap)".to_owned(),
        started_unix_ns: 1_700_000_000_123_456_789,
        duration_ns: 0,
        clock_resolution_ns: 1_000,
        exchanges: 0,
        connections: 0,
        servers: Servers {
            authorities: vec!["shop.example".to_owned()],
            addresses: vec!["[2001:db8::1]:443".parse().unwrap()],
        },
        part: None,
        redacted_headers: vec!["Cookie".to_owned()],
        redaction: None,
        ledger,
        closings: Closings::default(),
        handshakes: Handshakes::default(),
    }
}
