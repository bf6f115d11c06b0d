//! Requests that were recorded as pipelined go out without waiting, and answers are matched in
//! order, whatever the target does in between.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use peakhour::plan::{Arrival, Recorded};

use super::server::{Client, start};
use super::{LIMITS, due, fates, get, last, request, run};

/// A request that was sent before the answer to the one before it had come.
fn piped(arrival: Arrival) -> Arrival {
    let recorded = Recorded { pipelined: true, ..arrival.recorded };
    Arrival { recorded, ..arrival }
}

/// One that was not, and so many behind it that were.
fn train(connection: u64, length: u32) -> Vec<Arrival> {
    (0..length)
        .map(|seq| if seq == 0 { get(connection, 0) } else { piped(get(connection, seq)) })
        .collect()
}

/// Reads all of them before it answers the first: a driver that waits would never get there. The
/// answers come in one piece, in single bytes, and of another length each.
#[test]
fn pipelined_requests_do_not_wait_and_answers_are_matched_in_order() {
    let server = start(|client| {
        let asked: Vec<_> = (0..40).map(|_| client.request().unwrap()).collect();
        let answer = |at: usize| {
            let (status, body) = (400 + at, "x".repeat(at));
            format!("HTTP/1.1 {status} OK\r\nContent-Length: {at}\r\n\r\n{body}")
        };
        let answers = (0..asked.len()).map(answer).collect::<Vec<_>>().concat();
        if client.number == 0 {
            client.say(&answers);
        } else {
            client.stream.set_nodelay(true).unwrap();
            for byte in answers.as_bytes() {
                client.stream.write_all(&[*byte]).unwrap();
            }
        }
        client.wait_for_close();
    });
    let plan = [train(0, 40), train(1, 40)].concat();
    let driven = run(server.address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 80)]);
    assert_eq!(server.accepted(), 2);
    assert!((400..440).all(|status| driven.summary.statuses.get(&status) == Some(&2)));
    assert_eq!(driven.summary.response_bytes, 2 * (0..40).sum::<u64>());
    assert_eq!(driven.odd.unasked, 0);
}

/// Moments that are apart: the second joins while the first is under way.
#[test]
fn a_request_joins_one_that_is_under_way() {
    let server = start(|client| {
        client.request();
        client.request();
        client.answer();
        client.answer();
        client.wait_for_close();
    });
    let later = Duration::from_millis(60);
    let plan = vec![get(0, 0), due(later, piped(get(0, 1)))];
    assert_eq!(fates(&run(server.address, LIMITS, plan)), [("answered", 2)]);
}

/// What was not recorded as pipelined waits for all answers before it, also behind a train.
#[test]
fn what_was_not_pipelined_waits_behind_a_train() {
    let (seen, order) = mpsc::channel();
    let server = start(move |client| {
        for _ in 0..3 {
            client.request().unwrap();
        }
        seen.send(client.has_more()).unwrap();
        (0..3).for_each(|_| client.answer());
        seen.send(client.answer_next().as_deref() == Some("/0/3")).unwrap();
        client.wait_for_close();
    });
    let plan = [train(0, 3), vec![get(0, 3)]].concat();
    assert_eq!(fates(&run(server.address, LIMITS, plan)), [("answered", 4)]);
    assert_eq!(order.iter().take(2).collect::<Vec<_>>(), [false, true]);
    assert_eq!(server.accepted(), 1);
}

/// Reads so many requests, answers so many of them, and closes.
fn leaves(read: usize, answered: usize) -> impl Fn(&mut Client) + Send + Sync + 'static {
    move |client| {
        if client.number > 0 {
            while client.answer_next().is_some() {}
            return;
        }
        (0..read).for_each(|_| drop(client.request()));
        (0..answered).for_each(|_| client.answer());
    }
}

/// Those without an answer are asked again where that is safe and the connection had served, and
/// are failures of the target otherwise.
#[test]
fn a_close_in_the_middle_leaves_each_request_its_fate() {
    let server = start(leaves(4, 2));
    let driven = run(server.address, LIMITS, train(0, 4));
    assert_eq!((fates(&driven), driven.retried), (vec![("answered", 4)], 2));
    assert_eq!(server.accepted(), 2);

    let server = start(leaves(4, 0));
    let driven = run(server.address, LIMITS, train(0, 4));
    assert_eq!((fates(&driven), driven.retried), (vec![("closed early", 4)], 0));

    let posts = |at: u32| piped(request("POST", 0, at, b"x"));
    let plan = vec![get(0, 0), posts(1), piped(get(0, 2)), posts(3)];
    let driven = run(start(leaves(4, 1)).address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 2), ("closed early", 2)]);
    assert_eq!(driven.retried, 1);

    let cut = start(|client| {
        (0..3).for_each(|_| drop(client.request()));
        client.answer();
        client.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        if client.number == 0 {
            client.reset();
        }
    });
    let driven = run(cut.address, LIMITS, train(0, 3));
    assert_eq!(fates(&driven), [("answered", 1), ("reset", 2)]);
}

/// A server that closes on them twice is not asked a third time.
#[test]
fn each_is_asked_again_once() {
    let server = start(|client| {
        client.answer_next();
        client.request();
    });
    let driven = run(server.address, LIMITS, train(0, 3));
    // The first answer lets two go again; on their connection one is answered, and the other was
    // sent twice.
    assert_eq!((fates(&driven), driven.retried), (vec![("answered", 2), ("closed early", 1)], 2));
    assert_eq!(server.accepted(), 2);
}

/// `Connection: close` ends a train: what is behind it goes out on a new connection.
#[test]
fn an_answer_that_closes_sends_the_rest_elsewhere() {
    let server = start(|client| {
        client.request();
        client.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    let driven = run(server.address, LIMITS, train(0, 2));
    assert_eq!((fates(&driven), driven.retried), (vec![("answered", 2)], 1));
}

#[test]
fn what_stalls_or_breaks_the_protocol_fails_all_that_wait() {
    let limits =
        peakhour::scenario::Limits { response_timeout: Duration::from_millis(300), ..LIMITS };
    let stalls = start(|client| {
        client.answer_next();
        client.wait_for_close();
    });
    let driven = run(stalls.address, limits, train(0, 4));
    assert_eq!(fates(&driven), [("answered", 1), ("timed out", 3)]);

    let babbles = start(|client| {
        client.answer_next();
        client.request();
        client.say("HTTP/1.1 2x0 OK\r\n\r\n");
        client.wait_for_close();
    });
    let driven = run(babbles.address, LIMITS, train(0, 3));
    let expected = [("answered", 1), ("closed early", 1), ("malformed response", 1)];
    assert_eq!(fates(&driven), expected);
}

/// An answer while nothing is outstanding belongs to nobody: it costs the connection, is counted,
/// and is never taken for the next request's.
#[test]
fn an_answer_that_nobody_asked_for_is_counted_and_taken_by_nobody() {
    for at_once in [true, false] {
        let server = start(move |client| {
            client.request();
            if client.number > 0 {
                client.say("HTTP/1.1 204 No Content\r\n\r\n");
            } else if at_once {
                client.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\n\r\n");
            } else {
                client.answer();
                // It reaches an idle connection.
                std::thread::park_timeout(Duration::from_millis(100));
                client.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
            }
            client.wait_for_close();
        });
        let plan = vec![get(0, 0), due(Duration::from_millis(1_500), get(0, 1))];
        let driven = run(server.address, LIMITS, plan);
        let statuses: Vec<_> = driven.summary.statuses.keys().copied().collect();
        assert_eq!((statuses, driven.odd.unasked), (vec![200, 204], 1), "{at_once}");
        assert_eq!((driven.retried, server.accepted()), (0, 2));
    }
    // Behind a train, too.
    let server = start(|client| {
        (0..2).for_each(|_| drop(client.request()));
        (0..3).for_each(|_| client.answer());
        client.wait_for_close();
    });
    let driven = run(server.address, LIMITS, train(0, 2));
    assert_eq!((fates(&driven), driven.odd.unasked), (vec![("answered", 2)], 1));
}

/// More than a socket takes: the target answers while it reads, and both go on.
#[test]
fn a_train_of_large_bodies_goes_through() {
    let server = start(|client| {
        while client.request().is_some() {
            client.say(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 20));
            client.say(&"y".repeat(1 << 20));
        }
    });
    let body = vec![b'x'; 3 << 20];
    let plan = (0..8).map(|seq| request("POST", 0, seq, &body)).map(piped).collect();
    let driven = run(server.address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 8)]);
    assert_eq!((driven.summary.response_bytes, server.accepted()), (8 << 20, 1));
}

/// The end of the run finds some on their way.
#[test]
fn the_end_of_a_run_settles_a_train() {
    let server = start(|client| {
        let mut some = [0; 64];
        while client.stream.read(&mut some).is_ok_and(|count| count > 0) {}
    });
    let limits = peakhour::scenario::Limits { grace: Duration::from_millis(100), ..LIMITS };
    let plan = [train(0, 5), vec![last(get(0, 5))]].concat();
    assert_eq!(
        fates(&run(server.address, limits, plan)),
        [("timed out", 5), ("unsent: run ended", 1)]
    );
}
