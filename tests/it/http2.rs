//! Aim: HTTP/2 is read from its first byte, from the middle, and behind an upgrade; what cannot
//! be known is counted.

mod frames;
mod live;
mod losses;
mod upgrade;

use std::collections::BTreeMap;

use peakhour::protocol::Protocol;
use peakhour::recording::{Exchange, Flags};

use crate::http2::frames::{
    CONTINUATION, DATA, END, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PUSH, RESET,
    SETTINGS, WHOLE, WINDOW, field, frame, get, headers, post,
};
use crate::talk::{Talk, exchanges, lines};

/// A connection whose sides have said what they allow.
fn begun() -> Talk {
    let mut talk = Talk::new();
    talk.say(true, &[PREFACE, &frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x64")].concat());
    talk.say(false, &[frame(SETTINGS, 0, 0, b""), frame(SETTINGS, 1, 0, b"")].concat());
    talk
}

/// Checks the exchanges, the buckets of bytes that belong to no message, and the notes.
fn check(talk: &Talk, expected: &[&str], others: &[(&str, u64)], notes: &[(&str, u64)]) {
    let (found, imported) = talk.import();
    assert_eq!(lines(&found), expected, "{:#?}", imported.ledger);
    let of = |all: &[(&str, u64)]| -> BTreeMap<String, u64> {
        all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    let mut buckets = imported.ledger.stream_bytes.buckets;
    buckets
        .retain(|name, _| !["http request", "http response", "http2 control"].contains(&&**name));
    assert_eq!(buckets, of(others));
    let mut found = imported.ledger.notes;
    found.retain(|name, _| !["connections with http2", "gaps", "gap bytes"].contains(&&**name));
    assert_eq!(found, of(notes));
}

#[test]
fn exchanges_are_paired_by_stream_in_whatever_order() {
    let mut talk = begun();
    talk.say(true, &[headers(1, END, &get("/a")), headers(3, 0, &post("/b"))].concat());
    talk.say(true, &[frame(DATA, 0, 3, b"hel"), headers(5, END, &get("/c"))].concat());
    talk.say(true, &frame(DATA, END, 3, b"lo"));
    talk.say(false, &[headers(5, 0, b"\x88"), headers(3, END, b"\x89")].concat());
    talk.say(false, &[frame(DATA, 0, 5, b"cc"), headers(1, 0, b"\x8d")].concat());
    talk.say(false, &[frame(DATA, END, 1, b"a"), frame(DATA, END, 5, b"cc")].concat());
    check(&talk, &["POST /b 5 > 204 0", "GET /a 0 > 404 1", "GET /c 0 > 200 4"], &[], &[]);
}

#[test]
fn a_row_has_the_heads_as_text_and_the_times_of_its_stream() {
    let mut talk = begun();
    let block = [post("/b"), field("cookie", "a=1"), field("x", "y"), field("cookie", "b=2")];
    talk.say(true, &headers(7, 0, &block.concat())).say(true, &frame(DATA, END, 7, b"hello"));
    talk.say(false, &headers(7, 0, &[b"\x88", &field("server", "s")[..]].concat()));
    talk.say(false, &frame(DATA, END, 7, b"hi"));
    let Exchange { request_head, response, .. } = &exchanges(&talk)[0];
    let head = "POST /b HTTP/1.1\r\nHost: shop\r\ncookie: a=1; b=2\r\nx: y\r\n\
                Content-Length: 5\r\n\r\n";
    assert_eq!(request_head, head);
    let response = response.as_ref().unwrap();
    assert_eq!(response.head, "HTTP/1.1 200 \r\nserver: s\r\n\r\n");
    let times = [response.first_byte, response.last_byte].map(|it| it.unwrap().as_millis());
    assert_eq!(times, [2, 3]);
    let exchange = &exchanges(&talk)[0];
    assert_eq!((exchange.protocol, exchange.stream, exchange.seq), (Protocol::Http2, Some(7), 0));
    assert_eq!((&*exchange.scheme, &*exchange.authority), ("http", "shop"));
    assert_eq!((exchange.flags, &exchange.request_body[..]), (Flags::SYNTHESISED, &b"hello"[..]));
}

#[test]
fn frames_may_be_cut_anywhere() {
    let sent = [
        PREFACE.to_vec(),
        frame(SETTINGS, 0, 0, b""),
        headers(1, 0, &post("/b")),
        frame(DATA, PADDED | END, 1, b"\x02hello\0\0"),
        headers(3, END, &get("/c")),
    ];
    let answers = [
        frame(SETTINGS, 0, 0, b""),
        headers(1, 0, b"\x88"),
        frame(DATA, PADDED, 1, b"\x01hi\0"),
        frame(DATA, END, 1, b""),
    ];
    for size in [1, 2, 3, 7, 10, 999] {
        let mut talk = Talk::new();
        for (side, bytes) in [(true, sent.concat()), (false, answers.concat())] {
            for piece in bytes.chunks(size) {
                talk.say(side, piece);
            }
        }
        check(&talk, &["POST /b 5 > 200 2", "GET /c 0 > -"], &[], &[]);
    }
}

#[test]
fn padding_and_priority_are_no_part_of_a_message() {
    let mut talk = begun();
    let block = [&b"\x03\0\0\0\0\x10"[..], &get("/a"), b"\0\0\0"].concat();
    talk.say(true, &frame(HEADERS, PADDED | PRIORITY | WHOLE | END, 1, &block));
    talk.say(false, &headers(1, 0, b"\x88"));
    talk.say(false, &frame(DATA, PADDED, 1, b"\x03abc\0\0\0"));
    talk.say(false, &frame(DATA, PADDED | END, 1, b"\x00de"));
    // More padding than payload: the boundaries stay, the header block is none.
    talk.say(false, &frame(DATA, PADDED, 1, b"\x09abc"));
    talk.say(true, &headers(3, END, &get("/c"))).say(false, &headers(3, END, b"\x88"));
    check(
        &talk,
        &["GET /a 0 > 200 5", "GET /c 0 > 200 0"],
        &[],
        &[("http2 frames with bad padding", 1)],
    );
}

#[test]
fn a_header_block_takes_as_many_frames_as_it_likes() {
    let mut talk = begun();
    let block = get("/a");
    talk.say(true, &frame(HEADERS, END, 1, &block[..3]));
    talk.say(true, &frame(CONTINUATION, 0, 1, &block[3..5]));
    talk.say(true, &frame(CONTINUATION, WHOLE, 1, &block[5..]));
    talk.say(false, &headers(1, END, b"\x88"));
    // Another frame between them, and one that continues nothing.
    talk.say(true, &frame(HEADERS, END, 3, &block)).say(true, &frame(PING, 0, 0, b"12345678"));
    talk.say(true, &frame(CONTINUATION, WHOLE, 3, b"\x82")).say(false, &headers(3, END, b"\x88"));
    check(
        &talk,
        &["GET /a 0 > 200 0", "GET /a 0 > 200 0 gap"],
        &[],
        &[
            ("http2 continuations of nothing", 1),
            ("http2 header blocks not whole", 1),
            ("http2 requests with unknown fields", 1),
        ],
    );
}

#[test]
fn interim_responses_and_trailers_are_no_responses() {
    let mut talk = begun();
    talk.say(true, &headers(1, 0, &post("/b")))
        .say(false, &headers(1, 0, &field(":status", "100")));
    talk.say(true, &frame(DATA, 0, 1, b"hello")).say(true, &headers(1, END, &field("sum", "1")));
    talk.say(false, &headers(1, 0, &field(":status", "103"))).say(false, &headers(1, 0, b"\x88"));
    talk.say(false, &frame(DATA, 0, 1, b"hi")).say(false, &headers(1, END, &field("sum", "2")));
    check(&talk, &["POST /b 5 > 200 2"], &[], &[("http2 trailers", 2), ("interim responses", 2)]);
    assert!(!exchanges(&talk)[0].response.as_ref().unwrap().head.ends_with(b"sum: 2\r\n\r\n"));
}

#[test]
fn the_status_of_a_grpc_call_is_kept() {
    let grpc = field("content-type", "application/grpc");
    let ok = [b"\x88", &grpc[..]].concat();
    for (status, is_failed) in [("0", false), ("14", true)] {
        let mut talk = begun();
        talk.say(true, &headers(1, END, &post("/svc/Call"))).say(false, &headers(1, 0, &ok));
        talk.say(false, &frame(DATA, 0, 1, b"\0\0\0\0\0"));
        talk.say(false, &headers(1, END, &field("grpc-status", status)));
        // Without a body the trailers are the head.
        talk.say(true, &headers(3, END, &post("/svc/Call")));
        talk.say(false, &headers(3, END, &[&ok[..], &field("grpc-status", status)].concat()));
        let found = exchanges(&talk);
        for exchange in &found {
            let head = &exchange.response.as_ref().unwrap().head;
            assert!(head.ends_with(format!("\r\ngrpc-status: {status}\r\n\r\n").as_bytes()));
            assert_eq!(exchange.flags.contains(Flags::ERROR_REPLY), is_failed);
        }
        let notes = talk.import().1.ledger.notes;
        let failed = notes.get("grpc calls that failed").copied();
        assert_eq!((found.len(), failed), (2, is_failed.then_some(2)));
    }
}

#[test]
fn a_reset_ends_a_stream_but_not_what_is_on_its_way() {
    let mut talk = begun();
    let paths = ["/a", "/b", "/c"].into_iter().zip([1, 3, 5]);
    for (path, stream) in paths {
        talk.say(true, &headers(stream, END, &get(path)));
    }
    talk.say(true, &headers(7, 0, &post("/d")));
    talk.say(false, &headers(1, 0, b"\x88")).say(false, &frame(DATA, 0, 1, b"part"));
    talk.say(false, &frame(RESET, 0, 1, b"\0\0\0\x02"));
    talk.say(true, &frame(RESET, 0, 3, b"\0\0\0\x08"))
        .say(true, &frame(RESET, 0, 5, b"\0\0\0\x08"));
    talk.say(false, &headers(3, 0, b"\x88")).say(false, &frame(DATA, END, 3, b"whole"));
    talk.say(false, &headers(7, END, b"\x8c")).say(true, &frame(RESET, 0, 7, b"\0\0\0\0"));
    talk.say(true, &frame(RESET, 0, 3, b"\0\0\0\x08")).say(true, &frame(DATA, 0, 7, b"late"));
    // Both sides may reset the same stream.
    talk.say(true, &headers(9, END, &get("/e"))).say(true, &frame(RESET, 0, 9, b"\0\0\0\x08"));
    talk.say(false, &frame(RESET, 0, 9, b"\0\0\0\x08"));
    talk.say(false, &frame(GOAWAY, 0, 0, b"\0\0\0\x07\0\0\0\0"));
    talk.say(false, &frame(GOAWAY, 0, 0, b"\0\0\0\x07\0\0\0\x01why"));
    check(
        &talk,
        &[
            "GET /a 0 > 200 ? response-cut",
            "GET /b 0 > 200 5",
            "POST /d 0 > 400 0 request-cut",
            "GET /e 0 > -",
            "GET /c 0 > -",
        ],
        &[("http2 data of no message", 4)],
        &[("http2 goaway", 1), ("http2 goaway with an error", 1), ("http2 streams reset", 5)],
    );
}

#[test]
fn pushed_responses_are_counted_and_not_replayed() {
    let mut talk = begun();
    talk.say(true, &headers(1, END, &get("/a")));
    let promise = [&b"\0\0\0\x02"[..], &get("/style.css"), b"\x40\x01k\x01v"].concat();
    talk.say(false, &frame(PUSH, WHOLE, 1, &promise)).say(false, &headers(1, END, b"\x88\xbe"));
    talk.say(false, &headers(2, 0, b"\x88")).say(false, &frame(DATA, END, 2, b"body{}"));
    check(
        &talk,
        &["GET /a 0 > 200 0"],
        &[("http2 data of no message", 6)],
        &[("http2 pushed responses", 1), ("http2 pushes", 1)],
    );
    // What the promise inserted is known by index.
    assert!(exchanges(&talk)[0].response.as_ref().unwrap().head.ends_with(b"k: v\r\n\r\n"));
}

#[test]
fn kinds_that_nobody_knows_are_skipped() {
    let mut talk = begun();
    talk.say(true, &[frame(0x63, 255, 1, b"later"), headers(1, END, &get("/a"))].concat());
    talk.say(false, &[frame(WINDOW, 0, 0, b"\0\0\0\x09"), headers(1, END, b"\x88")].concat());
    check(&talk, &["GET /a 0 > 200 0"], &[], &[]);
}

#[test]
fn a_server_alone_is_told_by_its_settings() {
    for at in [1, 4, 9, 15] {
        let mut talk = Talk::new();
        let bytes = [frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x64"), headers(1, END, b"\x88")].concat();
        talk.say(false, &bytes[..at]).say(false, &bytes[at..]);
        check(&talk, &["- > 200 0"], &[], &[]);
    }
}
