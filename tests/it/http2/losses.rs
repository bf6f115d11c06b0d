//! Captures that begin in the middle, have gaps, or are meant to do harm.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::http2::frames::{
    CONTINUATION, DATA, END, HEADERS, PADDED, PING, PREFACE, SETTINGS, WINDOW, frame, get, headers,
    kept, post,
};
use crate::http2::{begun, check};
use crate::talk::{Talk, exchanges};

#[test]
fn what_was_sent_before_the_capture_is_unknown() {
    let mut talk = Talk::under_way();
    talk.say(true, b"tail of a body").say(false, b"tail of another");
    // A path and an agent that were sent before, then a path by index that is sent here.
    talk.say(true, &headers(21, END, b"\x82\x86\xc0\x01\x04shop\xbf"));
    talk.say(
        true,
        &headers(23, END, &[b"\x82\x86\x01\x04shop", &kept(":path", "/b")[..]].concat()),
    );
    talk.say(true, &headers(25, END, b"\x82\x86\x01\x04shop\xbe"));
    talk.say(false, &headers(21, END, b"\x88\xbe")).say(false, &headers(23, END, b"\x88"));
    talk.say(false, &headers(25, END, b"\x88"));
    check(
        &talk,
        &[
            "GET  0 > 200 0 mid-stream gap malformed",
            "GET /b 0 > 200 0 mid-stream",
            "GET /b 0 > 200 0 mid-stream",
        ],
        &[("before the first message", 29)],
        &[
            ("http2 fields that are unknown", 3),
            ("http2 requests with unknown fields", 1),
            ("http2 responses with unknown fields", 1),
        ],
    );
    let found = exchanges(&talk);
    assert_eq!((found[0].request_head.len(), &*found[0].authority), (0, "shop"));
}

#[test]
fn a_connection_in_its_middle_is_told_by_frames_one_behind_the_other() {
    // The end of a DATA frame, then a control frame at the front of a segment.
    let mut talk = Talk::under_way();
    talk.say(false, b"of a body").say(false, &frame(WINDOW, 0, 0, b"\0\0\0\x09"));
    talk.say(true, &[frame(PING, 1, 0, b"12345678"), headers(5, END, &get("/a"))].concat());
    talk.say(false, &[headers(5, 0, b"\x88"), frame(DATA, END, 5, b"abc")].concat());
    check(&talk, &["GET /a 0 > 200 3 mid-stream"], &[("before the first message", 9)], &[]);
    // Bytes that are nearly frames.
    let mut other = Talk::under_way();
    other.say(true, b"\0\0\x05\x01\x04\0\0\0\x01hello, and more").say(false, &[0; 40]);
    check(&other, &[], &[("before the first message", 64)], &[]);
}

#[test]
fn whose_headers_they_are_is_told_by_content() {
    // Nothing of the first block is known: not even whose it is.
    let mut talk = Talk::under_way();
    talk.say(true, &headers(21, END, b"\xbe\xbf")).say(false, &headers(21, END, b"\x88"));
    talk.say(true, &headers(23, END, &get("/a"))).say(false, &headers(23, END, b"\x88"));
    check(
        &talk,
        &["GET /a 0 > 200 0 mid-stream", "- > 200 0"],
        &[("http2 of an unknown side", 11)],
        &[("http2 fields that are unknown", 2), ("http2 headers of an unknown side", 1)],
    );
}

#[test]
fn trailers_of_what_was_not_seen_are_no_response() {
    let mut talk = Talk::under_way();
    talk.say(true, &headers(21, END, &get("/a")));
    talk.say(false, &headers(19, END, &kept("grpc-status", "0")));
    talk.say(false, &headers(21, END, b"\x88"));
    check(&talk, &["GET /a 0 > 200 0 mid-stream"], &[], &[("http2 trailers", 1)]);
}

#[test]
fn a_gap_inside_a_body_is_stepped_over() {
    let mut talk = begun();
    talk.say(true, &headers(1, END, &get("/a"))).say(true, &headers(3, 0, &post("/b")));
    let data = frame(DATA, PADDED | END, 1, b"\x02hello world\0\0");
    talk.say(false, &headers(1, 0, b"\x88")).say(false, &data[..13]);
    // A piece of the body and of the padding.
    talk.skip(false, 9).say(false, &data[22..]).say(false, &headers(3, END, b"\x89"));
    let data = frame(DATA, END, 3, b"0123456789");
    talk.say(true, &data[..11]).skip(true, 4).say(true, &data[15..]).acks(40);
    check(&talk, &["GET /a 0 > 200 11 gap", "POST /b 10 > 204 0 request-cut gap"], &[], &[]);
}

#[test]
fn behind_a_gap_frames_are_sought_and_fields_sent_before_are_unknown() {
    let mut talk = begun();
    let block = [&b"\x82\x86\x01\x04shop"[..], &kept(":path", "/a")].concat();
    talk.say(true, &headers(1, END, &block)).say(true, &headers(3, 0, &post("/open")));
    talk.skip(true, 100).say(true, b"of something").say(true, &headers(5, END, b"\x82\x86\xbe"));
    talk.say(true, &headers(7, END, &get("/d"))).say(true, &frame(DATA, END, 3, b"end"));
    for stream in [1, 3, 5, 7] {
        talk.say(false, &headers(stream, END, b"\x89"));
    }
    talk.acks(40);
    check(
        &talk,
        &[
            "GET /a 0 > 204 0",
            "POST /open 3 > 204 0 request-cut gap",
            "GET  0 > 204 0 gap malformed",
            "GET /d 0 > 204 0",
        ],
        &[("behind a gap", 12)],
        &[("http2 fields that are unknown", 1), ("http2 requests with unknown fields", 1)],
    );
}

#[test]
fn a_body_that_a_gap_may_have_cut_is_whole_where_its_length_is_known() {
    for (length, expected) in
        [("9", "POST /b 9 > 204 0 gap"), ("8", "POST /b 9 > 204 0 request-cut gap")]
    {
        let mut talk = begun();
        let block = [&post("/b")[..], b"\x0f\x0d\x01", length.as_bytes()].concat();
        talk.say(true, &headers(1, 0, &block)).say(true, &frame(DATA, 0, 1, b"hello"));
        talk.skip(true, 13).say(true, &frame(DATA, END, 1, b"more"));
        talk.say(false, &headers(1, END, b"\x89")).acks(40);
        check(&talk, &[expected], &[], &[]);
    }
}

#[test]
fn of_a_header_block_with_a_gap_the_front_is_read() {
    let mut talk = begun();
    let bytes = headers(1, END, &[&get("/a")[..], &kept("x", "y"), &kept("z", "z")].concat());
    talk.say(true, &bytes[..bytes.len() - 8]).skip(true, 6).say(true, &bytes[bytes.len() - 2..]);
    talk.say(true, &headers(3, END, &[&get("/b")[..], b"\xbe"].concat()));
    talk.say(false, &[headers(1, END, b"\x88"), headers(3, END, b"\x88")].concat()).acks(40);
    check(
        &talk,
        &["GET /a 0 > 200 0 gap", "GET /b 0 > 200 0 gap"],
        &[("http2 cut frames", bytes.len() as u64 - 6)],
        &[
            ("http2 fields that are unknown", 1),
            ("http2 header blocks not whole", 1),
            ("http2 requests with unknown fields", 2),
        ],
    );
}

#[test]
fn a_frame_that_is_none_is_left_for_the_next_that_is() {
    for bad in [
        &b"\0\0\x05\x08\0\0\0\0\0hello"[..],
        b"\x7f\0\0\0\0\0\0\0\x01some body",
        b"\0\0\x03\0\0\0\0\0\0abc",
    ] {
        let mut talk = begun();
        talk.say(true, &headers(1, END, &get("/a"))).say(true, bad);
        talk.say(true, &headers(3, END, &get("/b")));
        talk.say(false, &[headers(1, END, b"\x88"), headers(3, END, b"\x88")].concat());
        check(
            &talk,
            &["GET /a 0 > 200 0", "GET /b 0 > 200 0"],
            &[("behind a bad frame", bad.len() as u64)],
            &[("http2 frames that are none", 1)],
        );
    }
}

#[test]
fn a_capture_that_ends_inside_a_frame_keeps_what_there_is() {
    let mut talk = begun();
    talk.say(true, &headers(1, END, &get("/a")));
    let answer = [headers(1, 0, b"\x88"), frame(DATA, END, 1, b"hello")].concat();
    talk.say(false, &answer[..answer.len() - 2]);
    let next = headers(3, 0, &get("/b"));
    talk.say(true, &next[..next.len() - 6]);
    check(
        &talk,
        &["GET /a 0 > 200 ? response-cut", "GET /b 0 > - request-cut gap"],
        &[("http2 cut frames", next.len() as u64 - 6)],
        &[("http2 header blocks not whole", 1), ("http2 requests with unknown fields", 1)],
    );
}

#[test]
fn a_flood_of_continuations_is_bounded() {
    let mut talk = begun();
    talk.say(true, &frame(HEADERS, END, 1, &get("/a")));
    let lines: Vec<u8> = (0..160).flat_map(|_| kept("k", &"v".repeat(95))).collect();
    for _ in 0..40 {
        talk.say(true, &frame(CONTINUATION, 0, 1, &lines))
            .say(true, &frame(CONTINUATION, 0, 1, b""));
    }
    talk.say(true, &frame(CONTINUATION, 4, 1, b"")).say(false, &headers(1, END, b"\x88"));
    let (_, imported) = talk.import();
    let notes = &imported.ledger.notes;
    assert_eq!(notes["http2 header blocks too long"], 1);
    assert!(notes["http2 fields too long to keep"] > 100);
    let found = exchanges(&talk);
    assert_eq!((found.len(), &*found[0].target), (1, "/a"));
    assert!(found[0].request_head.len() < 256 * 1024);
}

#[test]
fn a_header_that_names_one_long_field_for_ever_is_bounded() {
    let mut talk = begun();
    let bomb = [&get("/a")[..], &kept("k", &"v".repeat(120)), &[0xbe; 16_000]].concat();
    talk.say(true, &headers(1, END, &bomb)).say(false, &headers(1, END, b"\x88"));
    let (_, imported) = talk.import();
    assert!(imported.ledger.notes["http2 fields too long to keep"] > 14_000);
    assert!(exchanges(&talk)[0].request_head.len() < 256 * 1024);
}

#[test]
fn streams_beyond_the_limit_leave_unanswered() {
    let mut talk = begun();
    for number in 0..1030 {
        talk.say(true, &headers(number * 2 + 1, END, &get("/a")));
    }
    talk.say(false, &headers(2049, END, b"\x88")).say(false, &headers(1, END, b"\x88"));
    let (found, imported) = talk.import();
    assert_eq!(imported.ledger.notes["http2 streams ended by the limit"], 6);
    assert_eq!(imported.ledger.messages.count("exchange"), 1);
    assert_eq!(imported.ledger.messages.count("response without request"), 1);
    assert_eq!(found.len(), 1031);
}

#[test]
fn a_length_that_lies_holds_nothing() {
    let mut talk = begun();
    // A peer that allows frames of 16 MiB, and one that begins.
    talk.say(false, &frame(SETTINGS, 0, 0, b"\0\x05\0\xff\xff\xff"));
    talk.say(true, &[&b"\xff\xff\xf0\x01\x05\0\0\0\x01"[..], &get("/a")].concat());
    check(
        &talk,
        &["GET /a 0 > - gap"],
        &[("http2 cut frames", 9 + get("/a").len() as u64)],
        &[("http2 header blocks not whole", 1), ("http2 requests with unknown fields", 1)],
    );
}

/// A conversation in which everything happens, segment by segment.
fn lively() -> Talk {
    let mut talk = begun();
    for round in 0..4_u32 {
        let stream = round * 4 + 1;
        talk.say(true, &headers(stream, 0, &[&post("/b")[..], &kept("k", "value")].concat()));
        talk.say(true, &frame(DATA, PADDED | END, stream, b"\x02hello\0\0"));
        talk.say(true, &frame(HEADERS, END, stream + 2, &get("/c")));
        talk.say(true, &frame(CONTINUATION, 4, stream + 2, b"\xbe"));
        talk.say(false, &headers(stream + 2, 0, &[b"\x88", &kept("server", "s")[..]].concat()));
        talk.say(
            false,
            &[frame(DATA, 0, stream + 2, b"abc"), headers(stream, END, b"\x89")].concat(),
        );
        talk.say(false, &headers(stream + 2, END, b"\xbe"));
    }
    talk
}

/// A byte of a segment, and the bit of it that flips.
type Flip = (Index, Index, u8);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_of_any_kind_is_accounted_for(
        flips in vec((any::<Index>(), any::<Index>(), 0..8_u8), 0..8),
        lost in vec(any::<Index>(), 0..3),
        is_begun in any::<bool>(),
    ) {
        let mut talk = lively();
        let flips: Vec<Flip> = flips;
        for (piece, byte, bit) in flips {
            let piece = piece.get_mut(&mut talk.pieces);
            if !piece.payload.is_empty() {
                *byte.get_mut(&mut piece.payload[..]) ^= 1 << bit;
            }
        }
        for piece in lost {
            talk.pieces.remove(piece.index(talk.pieces.len()));
        }
        if !is_begun {
            talk.pieces.drain(..4);
        }
        // That every byte and message is accounted for is asserted inside.
        let (found, imported) = talk.import();
        let messages = &imported.ledger.messages;
        prop_assert_eq!(messages.total, found.len() as u64);
    }

    #[test]
    fn bytes_whatever_behind_a_preface_are_accounted_for(
        segments in vec((any::<bool>(), vec(any::<u8>(), 1..60)), 1..20),
    ) {
        let mut talk = Talk::new();
        talk.say(true, PREFACE);
        for (side, bytes) in segments {
            talk.say(side, &bytes);
        }
        talk.import();
    }
}
