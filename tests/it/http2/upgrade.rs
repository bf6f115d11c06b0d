//! HTTP/2 behind a request of HTTP/1 that asks for it.

use peakhour::protocol::Protocol;
use peakhour::recording::Flags;

use crate::http2::check;
use crate::http2::frames::{DATA, END, PREFACE, SETTINGS, frame, get, headers};
use crate::talk::{GET, OK, Talk, exchanges};

const ASK: &str = "GET /a HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: tea, h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, b"")
}

#[test]
fn the_request_that_upgrades_is_answered_on_the_first_stream() {
    for is_begun in [true, false] {
        let mut talk = if is_begun { Talk::new() } else { Talk::under_way() };
        talk.client(GET).server(OK).client(ASK);
        talk.say(false, &[SWITCH.as_bytes(), &settings()].concat());
        talk.say(true, &[PREFACE, &settings(), &headers(3, END, &get("/b"))].concat());
        talk.say(false, &[headers(3, END, b"\x89"), headers(1, 0, b"\x88")].concat());
        talk.say(false, &frame(DATA, END, 1, b"hello"));
        let (middle, notes) = if is_begun { ("", 1) } else { (" mid-stream", 1) };
        let expected = [
            format!("GET /a 0 > 200 5{middle}"),
            format!("GET /b 0 > 204 0{middle}"),
            format!("GET /a 0 > 200 5{middle} upgraded"),
        ];
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&talk, &expected, &[], &[("interim responses", notes)]);
        let found = exchanges(&talk);
        let mut rows: Vec<_> = found.iter().map(|it| (it.seq, it.stream, it.protocol)).collect();
        rows.sort_unstable();
        let (one, two) = (Protocol::Http1, Protocol::Http2);
        assert_eq!(rows, [(0, None, one), (1, Some(1), two), (2, Some(3), two)]);
        assert_eq!(found[2].request_head, ASK);
        assert_eq!(found[2].connection, found[0].connection);
        assert!(found[2].flags.contains(Flags::SYNTHESISED), "the head of its response is");
    }
}

#[test]
fn a_lost_101_changes_nothing_but_the_count() {
    let mut talk = Talk::new();
    talk.client(ASK).lose(false, SWITCH).say(false, &settings());
    talk.say(true, &[PREFACE, &settings()[..]].concat());
    talk.say(false, &headers(1, END, b"\x88")).acks(40);
    check(&talk, &["GET /a 0 > 200 0 upgraded"], &[("behind a gap", 9)], &[]);
}

#[test]
fn other_upgrades_and_refused_ones_stay_http1() {
    let mut refused = Talk::new();
    refused.client(ASK).server(OK).client(GET).server(OK);
    crate::talk::check(&refused, &["GET /a 0 > 200 5", "GET /a 0 > 200 5"], &[]);
    let mut other = Talk::new();
    other.client(&ASK.replace("h2c", "ale")).server(&SWITCH.replace("h2c", "tea")).client("leaves");
    crate::talk::check(&other, &["GET /a 0 > 101 0 upgraded"], &[("upgraded", 6)]);
}

#[test]
fn an_upgrade_that_nobody_asked_for_leaves_responses_alone() {
    let mut talk = Talk::under_way();
    talk.say(false, &[SWITCH.as_bytes(), &settings(), &headers(1, END, b"\x88")].concat());
    check(&talk, &["- > 200 0"], &[], &[("interim responses", 1)]);
}
