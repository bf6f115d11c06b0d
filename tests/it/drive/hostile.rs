//! Targets that never end, stutter, or break off at any moment: one right fate each, without
//! keeping what they say.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use peakhour::scenario::Limits;

use super::fates::{fate_when, fate_within};
use super::server::{Client, start};
use super::{LIMITS, due, fate, fates, get, last, run};

/// Says `first`, then `again` until the driver has gone away.
fn endlessly(
    first: &'static str,
    again: &'static str,
) -> impl Fn(&mut Client) + Send + Sync + 'static {
    move |client| {
        client.request();
        client.say(first);
        let piece = again.repeat(16 * 1024 / again.len());
        while client.stream.write_all(piece.as_bytes()).is_ok() {}
    }
}

#[test]
fn what_must_end_is_cut_off() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    for (first, again) in [
        ("HTTP/1.1 ", "2"),
        ("HTTP/1.1 200 OK\r\nX: ", "x"),
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n"),
        ("", "HTTP/1.1 102 Processing\r\n\r\n"),
        (chunked, "0"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x"),
        (trailer, "x"),
        (trailer, "X: y\r\n"),
    ] {
        assert_eq!(fate_when(endlessly(first, again)), "malformed response", "{first}{again}...");
    }
    assert_eq!(fate_when(endlessly("", "\x01\x02\n")), "rejected");
}

/// What is legal for ever, and what trickles, ends by the limit of time, and holds nobody up: the
/// other connection is served.
#[test]
fn what_may_go_on_ends_by_the_limit_of_time() {
    let limits = Limits { response_timeout: Duration::from_millis(500), ..LIMITS };
    for (first, again) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\n", "x"),
        ("", "\r\n"),
    ] {
        let bad = endlessly(first, again);
        assert_eq!(fate_within(limits.response_timeout, bad), "timed out", "{first}{again}...");
    }
    let trickle = |client: &mut Client| {
        client.request();
        client.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        while !matches!(client.stream.read(&mut [0]), Ok(0)) && client.stream.write(b"\n").is_ok() {
            // The driver says nothing more: reading takes twenty milliseconds.
        }
    };
    assert_eq!(fate_within(limits.response_timeout, trickle), "timed out");
}

#[test]
fn a_response_in_single_bytes_or_of_any_size_is_whole() {
    let server = start(|client| {
        client.request();
        if client.number == 0 {
            client.stream.set_nodelay(true).unwrap();
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc" {
                let _ = client.stream.write_all(&[*byte]);
            }
        } else {
            client.say(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20));
            let piece = "x".repeat(1 << 20);
            (0..64).for_each(|_| client.say(&piece));
        }
        client.wait_for_close();
    });
    let driven = run(server.address, LIMITS, vec![last(get(0, 0)), last(get(1, 0))]);
    assert_eq!(fates(&driven), [("answered", 2)]);
    assert_eq!(driven.summary.response_bytes, 3 + (64 << 20));
}

#[test]
fn a_reset_is_a_reset_at_every_phase() {
    for said in [
        "",
        "HTT",
        "HTTP/1.1 200 OK\r\nContent-",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    ] {
        let reset = move |client: &mut Client| {
            client.request();
            client.say(said);
            client.reset();
        };
        assert_eq!(fate_when(reset), "reset", "{said}");
    }
    assert_eq!(fate_when(|client| client.reset()), "reset", "before the request was read");
    let after = start(|client| {
        client.answer_next();
        client.reset();
    });
    let driven = run(after.address, LIMITS, vec![get(0, 0)]);
    assert_eq!(fates(&driven), [("answered", 1)], "what follows an answer concerns nobody");
}

/// The target closes its half and goes on reading.
#[test]
fn a_half_closed_connection_ends_the_response() {
    for (said, expected) in [
        ("", "closed early"),
        ("HTTP/1.1 200 OK\r\n", "closed early"),
        ("-ERR no", "rejected"),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "answered"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "answered"),
    ] {
        let half = move |client: &mut Client| {
            client.say(said);
            client.stream.shutdown(Shutdown::Write).unwrap();
            client.wait_for_close();
        };
        assert_eq!(fate_when(half), expected, "{said}");
    }
}

/// A target that goes away in the middle and comes back on the same port.
#[test]
fn a_target_that_comes_back_is_used_again() {
    let server = start(|client| {
        // The third connection finds a target that is starting, the others are served once.
        if client.number != 2 {
            client.answer_next();
        }
        client.reset();
    });
    let pause = Duration::from_millis(200);
    let plan = (0..5).map(|seq| due(pause * seq, get(0, seq)));
    let driven = run(server.address, LIMITS, plan.collect());
    assert_eq!((fate(&driven, "answered"), fate(&driven, "reset")), (4, 1));
}
