//! Bodies that wait for a `100 Continue`, as their clients did.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use peakhour::plan::{Arrival, Recorded};

use super::server::{Client, start};
use super::{LIMITS, fates, get, request, run};

/// A request whose body waits for leave.
fn waiting(connection: u64, seq: u32) -> Arrival {
    let arrival = request("PUT", connection, seq, b"the body");
    let recorded = Recorded { expects: true, pipelined: seq > 0, ..arrival.recorded };
    Arrival { recorded, ..arrival }
}

/// Reads no more than a head, and what came behind it within a while.
fn head_and_more(client: &mut Client, wait: Duration) -> usize {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    client.stream.set_read_timeout(Some(wait)).unwrap();
    let more = client.stream.peek(&mut [0; 64]).unwrap_or(0);
    client.stream.set_read_timeout(None).unwrap();
    more
}

fn body(client: &mut Client) -> Vec<u8> {
    let mut body = [0; 8];
    client.stream.read_exact(&mut body).unwrap();
    body.to_vec()
}

const WHILE: Duration = Duration::from_millis(100);

#[test]
fn a_body_comes_when_it_may() {
    let (seen, early) = mpsc::channel();
    let server = start(move |client| {
        for _ in 0..2 {
            seen.send(head_and_more(client, WHILE)).unwrap();
            client.say("HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(body(client), b"the body");
            client.answer();
        }
        client.wait_for_close();
    });
    let driven = run(server.address, LIMITS, vec![waiting(0, 0), waiting(0, 1)]);
    assert_eq!(fates(&driven), [("answered", 2)]);
    assert_eq!(early.iter().take(2).collect::<Vec<_>>(), [0, 0], "nothing before the leave");
    assert_eq!((driven.odd.no_leave, server.accepted()), (0, 1));
}

/// Hints, and the word that it takes a while, are no leave: a proxy may send them before the server
/// behind it was asked whether it wants the body.
#[test]
fn only_a_leave_is_a_leave() {
    let (seen, early) = mpsc::channel();
    let server = start(move |client| {
        let mut before = vec![head_and_more(client, Duration::from_millis(1))];
        for said in ["103 Early Hints\r\nLink: </a.css>", "102 Processing", "199 Whatever"] {
            client.say(&format!("HTTP/1.1 {said}\r\n\r\n"));
            client.stream.set_read_timeout(Some(WHILE)).unwrap();
            before.push(client.stream.peek(&mut [0; 64]).unwrap_or(0));
        }
        client.stream.set_read_timeout(None).unwrap();
        seen.send(before).unwrap();
        client.say("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(body(client), b"the body");
        client.answer();
        client.wait_for_close();
    });
    let driven = run(server.address, LIMITS, vec![waiting(0, 0)]);
    assert_eq!((fates(&driven), driven.odd.no_leave), (vec![("answered", 1)], 0));
    assert_eq!(early.recv().unwrap(), [0; 4]);
}

/// A final answer instead: the body is not sent, and the connection, on which the target may still
/// wait for it, is not used again.
#[test]
fn a_body_that_is_refused_is_not_sent() {
    let (seen, sent) = mpsc::channel();
    let server = start(move |client| {
        if client.number == 0 {
            let early = head_and_more(client, WHILE);
            client.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
            let mut rest = Vec::new();
            client.stream.read_to_end(&mut rest).unwrap();
            seen.send(early + rest.len()).unwrap();
        } else {
            client.answer_next();
            client.wait_for_close();
        }
    });
    let driven = run(server.address, LIMITS, vec![waiting(0, 0), get(0, 1)]);
    let statuses: Vec<_> = driven.summary.statuses.into_iter().collect();
    assert_eq!((statuses, server.accepted()), (vec![(200, 1), (417, 1)], 2));
    assert_eq!((sent.recv().unwrap(), driven.odd.no_leave), (0, 0));
}

/// A target that knows nothing of it waits for the body, which comes after a second.
#[test]
fn a_body_does_not_wait_for_ever() {
    let server = start(|client| {
        assert_eq!(head_and_more(client, WHILE), 0);
        assert_eq!(body(client), b"the body");
        client.answer();
        client.wait_for_close();
    });
    let driven = run(server.address, LIMITS, vec![waiting(0, 0)]);
    assert_eq!((fates(&driven), driven.odd.no_leave), (vec![("answered", 1)], 1));
}

/// What it said instead ends it while it waits, too.
#[test]
fn a_target_that_breaks_off_meanwhile_has_its_fate() {
    for (said, expected) in [
        ("", "closed early"),
        ("HTTP/1.1 100 Continue\r\n", "closed early"),
        ("-ERR no\r\n", "rejected"),
        ("HTTP/1.1 1xx\r\n\r\n", "malformed response"),
    ] {
        let server = start(move |client| {
            head_and_more(client, Duration::from_millis(1));
            let _ = client.stream.write_all(said.as_bytes());
        });
        assert_eq!(fates(&run(server.address, LIMITS, vec![waiting(0, 0)])), [(expected, 1)]);
    }
}
