//! How long connections are held, how they end, and what becomes of those that switch protocols.

use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use peakhour::drive::stop::Stop;
use peakhour::plan::{Arrival, Recorded};
use peakhour::scenario::Limits;

use super::server::{Client, Server, start};
use super::{ALL_IS_OVER, LIMITS, due, fates, get, last, run, run_when};

fn closed_at(at: Duration, arrival: Arrival) -> Arrival {
    let recorded = Recorded { closes: Some(at), ..arrival.recorded };
    last(Arrival { recorded, ..arrival })
}

fn half_closed(arrival: Arrival) -> Arrival {
    let recorded = Recorded { half_closes: true, ..arrival.recorded };
    last(Arrival { recorded, ..arrival })
}

const EARLY: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_millis(1_500);
const LAST: Duration = Duration::from_secs(2);

/// Tells of the first connection, whether it was open when the request after it came, and waits for
/// its end before it answers the last one.
fn watched() -> (Server, mpsc::Receiver<bool>) {
    let (tell, told) = mpsc::channel();
    let first = Arc::new(Mutex::new(None));
    let server = start(move |client| {
        let target = client.request();
        let mut first = first.lock().unwrap();
        if target.as_deref() == Some("/0/0") {
            *first = Some(client.stream.try_clone().unwrap());
            return client.answer();
        }
        let first = first.as_mut().unwrap();
        let is_next = target.as_deref() == Some("/1/0");
        first.set_nonblocking(is_next).unwrap();
        let read = first.read(&mut [0]);
        let is_open = read.map_or_else(|it| it.kind() == ErrorKind::WouldBlock, |count| count > 0);
        tell.send(is_open).unwrap();
        client.answer();
    });
    (server, told)
}

#[test]
fn a_connection_is_held_as_long_as_its_client_held_it() {
    for (first, is_held) in [(closed_at(LATE, get(0, 0)), true), (last(get(0, 0)), false)] {
        let (server, told) = watched();
        let plan = vec![first, due(EARLY, last(get(1, 0))), due(LAST, last(get(2, 0)))];
        // Who is not held is closed at once, and that is waited for.
        let driven = run_when(&Stop::new(), server.address, LIMITS, plan, |number, seen| {
            is_held || number != 1 || ALL_IS_OVER(number, seen)
        });
        assert_eq!(fates(&driven), [("answered", 3)]);
        // And it is over when it was over.
        assert_eq!(told.iter().take(2).collect::<Vec<_>>(), [is_held, false]);
    }
}

/// Nobody waits for connections on which nothing will be said.
#[test]
fn a_run_does_not_wait_for_connections_that_are_only_held() {
    let server = start(|client| {
        client.answer_next();
        client.wait_for_close();
    });
    let hour = Duration::from_hours(1);
    let limits = Limits { grace: hour, ..LIMITS };
    let plan = (0..5).map(|number| closed_at(hour, get(number, 0))).collect();
    assert_eq!(fates(&run(server.address, limits, plan)), [("answered", 5)]);
}

/// The target closes first: that is the end of it, and its place is free.
#[test]
fn a_target_may_end_what_is_held() {
    let server = start(|client| drop(client.answer_next()));
    let limits = Limits { max_connections: 1, ..LIMITS };
    let hour = Duration::from_hours(1);
    let plan = (0..3).map(|n| closed_at(hour, get(n, 0))).collect();
    let driven = run_when(&Stop::new(), server.address, limits, plan, ALL_IS_OVER);
    assert_eq!(fates(&driven), [("answered", 3)]);
}

/// How long an end is waited for that comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads so many requests, tells whether the client has ended its side, and answers.
fn until_the_end(
    requests: usize,
    ends: bool,
    tell: mpsc::Sender<bool>,
) -> impl Fn(&mut Client) + Send + Sync {
    move |client| {
        (0..requests).for_each(|_| drop(client.request()));
        client.stream.set_read_timeout(Some(if ends { PATIENCE } else { EARLY })).unwrap();
        tell.send(client.request().is_none() && client.has_ended()).unwrap();
        (0..requests).for_each(|_| client.answer());
    }
}

#[test]
fn a_client_that_closed_its_side_closes_it_and_has_its_answers() {
    for (requests, ends, plan) in [
        (1, true, vec![half_closed(get(0, 0))]),
        (1, false, vec![last(get(0, 0))]),
        (2, true, vec![get(0, 0), half_closed(piped(get(0, 1)))]),
        (2, false, vec![get(0, 0), last(piped(get(0, 1)))]),
    ] {
        let (tell, told) = mpsc::channel();
        let server = start(until_the_end(requests, ends, tell));
        let driven = run(server.address, LIMITS, plan);
        assert_eq!(fates(&driven), [("answered", requests as u64)]);
        assert_eq!((told.recv().unwrap(), server.accepted()), (ends, 1), "{requests}");
    }
}

fn piped(arrival: Arrival) -> Arrival {
    let recorded = Recorded { pipelined: true, ..arrival.recorded };
    Arrival { recorded, ..arrival }
}

fn switching(connection: u64) -> Arrival {
    let head = format!("GET /{connection}/0 HTTP/1.1\r\nConnection: upgrade\r\nupgrade: x\r\n\r\n");
    Arrival { head: head.into(), ..get(connection, 0) }
}

/// A switch that was asked for ends HTTP on its connection, which is held like others, whatever is
/// said on it; one that was not breaks the protocol.
#[test]
fn a_switch_of_protocols_ends_http_on_its_connection() {
    let (tell, told) = mpsc::channel();
    let server = start(move |client| {
        if client.number > 0 {
            return client.answer_next().map_or((), drop);
        }
        client.request();
        client.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\x01and more");
        let mut said = Vec::new();
        client.stream.read_to_end(&mut said).unwrap();
        tell.send(said.len()).unwrap();
    });
    let plan = vec![switching(0), due(EARLY, last(get(0, 1)))];
    let driven = run(server.address, LIMITS, plan);
    let statuses: Vec<_> = driven.summary.statuses.into_iter().collect();
    assert_eq!((statuses, server.accepted()), (vec![(101, 1), (200, 1)], 2));
    assert_eq!((told.recv().unwrap(), driven.odd.unasked), (0, 0), "HTTP is over there");

    let server = start(|client| {
        client.request();
        client.say("HTTP/1.1 101 Switching Protocols\r\n\r\n");
        client.wait_for_close();
    });
    for plan in [vec![get(0, 0)], vec![get(0, 0), piped(get(0, 1))]] {
        let malformed = [("malformed response", plan.len() as u64)];
        assert_eq!(fates(&run(server.address, LIMITS, plan)), malformed);
    }
}

#[test]
fn a_connection_that_switched_is_held_until_it_was_closed() {
    let (server, told) = {
        let (tell, told) = mpsc::channel();
        let first = Arc::new(Mutex::new(None));
        let server = start(move |client| {
            client.request();
            if client.number == 0 {
                let kept = client.stream.try_clone().unwrap();
                *first.lock().unwrap() = Some(kept);
                client.say("HTTP/1.1 101 Switching Protocols\r\n\r\nhello");
            } else {
                let mut first = first.lock().unwrap();
                let first = first.as_mut().unwrap();
                first.set_nonblocking(true).unwrap();
                let read = first.read(&mut [0]);
                tell.send(read.is_err_and(|it| it.kind() == ErrorKind::WouldBlock)).unwrap();
                client.answer();
            }
        });
        (server, told)
    };
    let plan = vec![closed_at(LATE, switching(0)), due(EARLY, last(get(1, 0)))];
    let driven = run(server.address, LIMITS, plan);
    assert_eq!((fates(&driven), told.recv().unwrap()), (vec![("answered", 2)], true));
}

/// A connection that is only held, and on which somebody never stops speaking, keeps no other one
/// waiting, and is closed when it was closed.
#[test]
fn who_never_stops_speaking_keeps_nobody_waiting() {
    let server = start(|client| {
        client.request();
        if client.number > 0 {
            return client.answer();
        }
        client.say("HTTP/1.1 101 Switching Protocols\r\n\r\n");
        let flood = vec![b'x'; 65_536];
        while client.stream.write_all(&flood).is_ok() {}
    });
    let plan = vec![closed_at(LAST, switching(0)), due(EARLY, last(get(1, 0)))];
    let driven = run(server.address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 2)]);
}
