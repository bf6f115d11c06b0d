//! Bytes that no client should send.

use peakhour::scenario::knobs::StageKnobs;
use proptest::prelude::*;

use crate::stage::client::Client;
use crate::stage::{counted, request, stage};

#[test]
fn hostile_bytes_get_an_answer_or_a_closed_connection() {
    let stage = stage(StageKnobs::default());
    let long = "x".repeat(600_000);
    for bytes in [
        "\0\0\0\0\r\n\r\n".to_owned(),
        "\r\n\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET /".to_owned(),
        "*1\r\n$4\r\nPING\r\n".to_owned(),
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nab".to_owned(),
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_owned(),
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nab".to_owned(),
        format!("GET /{long} HTTP/1.1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(10_000)),
    ] {
        let mut client = Client::connect(stage.address);
        client.try_send(bytes.as_bytes());
        client.finish_sending();
        client.rest();
    }
    let counters = counted(&stage, |counters| counters.connections_open == 0);
    assert_eq!(counters.panics, 0);
    assert!(counters.connections_broken > 0);
    assert_eq!(Client::connect(stage.address).ask(request("GET /")).status, 200);
}

/// For all bytes, alone and inside a request: the stage closes the connection in the end, does not
/// panic, and serves the next client.
#[test]
fn no_bytes_panic_it() {
    let stage = stage(StageKnobs { body_limit: Some(9), ..StageKnobs::default() });
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"POST /a HTTP/1.0\r\n".to_vec()),
        Just(b"Content-Length: 12\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Expect: 100-continue\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"5\r\nhello\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
    ];
    let pieces = prop::collection::vec(piece, 0..12);
    proptest!(ProptestConfig::with_cases(200), |(pieces in pieces)| {
        let mut client = Client::connect(stage.address);
        client.try_send(&pieces.concat());
        client.finish_sending();
        client.rest();
        drop(client);
        prop_assert_eq!(stage.counters().panics, 0);
        prop_assert_eq!(Client::connect(stage.address).ask(request("GET /")).status, 200);
    });
    let counters = counted(&stage, |counters| counters.connections_open == 0);
    assert_eq!(counters.panics, 0);
}
