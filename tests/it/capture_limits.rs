//! Aim: everything that waits has a limit, and what is beyond it is counted.

use std::net::Ipv4Addr;

use peakhour::capture::import::Import;
use peakhour::capture::pairing::MAX_WAITING;
use peakhour::capture::tcp::{MAX_CONNECTIONS, MAX_HELD, MAX_HELD_SEGMENTS};
use peakhour::capture::{ACK, SYN, Segment};

use crate::talk::{GET, OK, Talk, check, exchanges, import_with, lines};

#[test]
fn an_acknowledged_hole_is_not_waited_for_to_the_end() {
    let mut talk = Talk::new();
    talk.client(GET).server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    talk.lose(false, "def").server("ghi").acks(40);
    assert_eq!(found_before_the_end(&talk), 1);
}

#[test]
fn a_hole_that_nobody_acknowledges_is_waited_for_up_to_a_limit() {
    for (size, count) in [(1, MAX_HELD_SEGMENTS + 9), (60_000, MAX_HELD / 60_000 + 9)] {
        let length = size * count + 7;
        let mut talk = Talk::new();
        talk.client(&format!("PUT / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"));
        talk.lose(true, "missing");
        for _ in 0..count {
            talk.say(true, &vec![b'x'; size]);
        }
        talk.server(OK);
        assert_eq!(found_before_the_end(&talk), 1);
    }
}

#[test]
fn below_the_limit_a_hole_is_waited_for() {
    let mut talk = Talk::new();
    talk.client("PUT / HTTP/1.1\r\nContent-Length: 5007\r\n\r\n").lose(true, "missing");
    for _ in 0..5 {
        talk.client(&"x".repeat(1000));
    }
    talk.server(OK);
    assert_eq!(found_before_the_end(&talk), 0);
    check(&talk, &["PUT / 5007 > 200 5 request-cut gap"], &[]);
}

fn found_before_the_end(talk: &Talk) -> usize {
    let mut count = 0;
    import_with(&talk.pieces, &mut |_, is_over| count += usize::from(!is_over));
    count
}

#[test]
fn beyond_the_limit_of_connections_the_quiet_ones_end() {
    let mut import = Import::default();
    let mut found = 0;
    for number in 0..=u32::try_from(MAX_CONNECTIONS).unwrap() {
        let source = (Ipv4Addr::from(number), 4000).into();
        let destination = (Ipv4Addr::from(number), 80).into();
        let payload = if number == 1 { GET.as_bytes() } else { b"" };
        for (flags, payload) in [(SYN, &b""[..]), (ACK, payload)] {
            let (seq, ack, cut_bytes) = (u32::from(flags != SYN), 0, 0);
            let segment =
                Segment { at_ns: 0, source, destination, seq, ack, flags, payload, cut_bytes };
            import.segment(&segment, &mut |_| found += 1);
        }
    }
    assert_eq!(found, 1, "the second connection is among the quiet ones");
    let ledger = import.finish(&mut |_| ()).ledger;
    assert_eq!(ledger.notes["open connections ended by the limit"], MAX_CONNECTIONS as u64 / 4);
}

#[test]
fn requests_beyond_the_limit_do_not_wait_and_do_not_shift_the_others() {
    let mut talk = Talk::new();
    for number in 0..MAX_WAITING + 2 {
        talk.client(&GET.replace("/a", &format!("/{number}")));
    }
    for number in 0..MAX_WAITING + 2 {
        talk.server(&format!("HTTP/1.1 200 OK\r\nContent-Length: {number}\r\n\r\n"));
        talk.server(&"x".repeat(number));
    }
    let (found, _) = talk.import();
    let lines = lines(&found);
    assert_eq!(lines[..2], ["GET /0 0 > -", "GET /1 0 > - pipelined"]);
    assert_eq!(lines[2..4], ["- > 200 0", "- > 200 1"]);
    for (number, line) in (2..MAX_WAITING + 2).zip(&lines[4..]) {
        assert_eq!(*line, format!("GET /{number} 0 > 200 {number} pipelined"));
    }
}

#[test]
fn a_head_beyond_the_limit_is_dropped_and_counted() {
    let mut talk = Talk::new();
    let head = format!("GET /a HTTP/1.1\r\nA: {}", "x".repeat(300_000));
    for piece in head.as_bytes().chunks(1400) {
        talk.say(true, piece);
    }
    check(&talk, &[], &[("head too long", head.len() as u64)]);
}

#[test]
fn a_body_beyond_the_limit_is_kept_in_part() {
    let mut talk = Talk::new();
    let length = (1 << 20) + 7;
    talk.client(&format!("PUT / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"));
    for piece in vec![b'x'; length].chunks(60_000) {
        talk.say(true, piece);
    }
    check(talk.server(OK), &[&format!("PUT / {length} > 200 5 request-cut")], &[]);
    assert_eq!(exchanges(&talk)[0].request_body.len(), 1 << 20);
}
