//! Each fate, produced by a socket that really behaves so.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use peakhour::drive::stop::Stop;
use peakhour::scenario::Limits;

use super::server::{Client, healthy, start};
use super::{ALL_IS_OVER, LIMITS, await_that, fates, get, last, run, run_when};
use crate::servers::free_port;
use crate::support::peakhour;

#[test]
fn a_refused_port_is_refused() {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let driven = run(address, LIMITS, vec![get(0, 0), get(0, 1)]);
    assert_eq!(fates(&driven), [("refused", 2)]);
    assert_eq!(driven.summary.errors, 2);
}

#[test]
fn a_full_accept_queue_is_a_connect_timeout() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(100);
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, patience) {
        queued.push(stream);
    }
    let limits = Limits { connect_timeout: patience, ..LIMITS };
    assert_eq!(fates(&run(address, limits, vec![get(0, 0)])), [("connect timed out", 1)]);
}

/// The kernel completes connections that nobody has accepted yet. Who accepts late answers late;
/// who never does lets their requests wait in vain.
#[test]
fn who_accepts_late_answers_late_and_who_never_does_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(500);
    let limits = Limits { response_timeout: patience, ..LIMITS };
    let plan = || (0..3).map(|n| last(get(n, 0))).collect();
    assert_eq!(fates(&run(address, limits, plan())), [("timed out", 3)]);
    let slow = thread::spawn(move || {
        // Behind those three that are gone.
        thread::park_timeout(patience / 2);
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(&stream));
        }
    });
    assert_eq!(fates(&run(address, LIMITS, plan())), [("answered", 3)]);
    assert!(!slow.is_finished());
}

/// Requests come one at a time, and fit into one segment.
fn answer_all(mut stream: &TcpStream) {
    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    }
}

/// A target that is gone for a while: its idle connection ends, its port refuses, and it is used
/// again once it is back. The requests that come meanwhile fail, and no others.
#[test]
fn a_target_that_restarts_costs_what_comes_meanwhile() {
    const SERVES: u8 = 0;
    const IS_GONE: u8 = 1;
    const MAY_COME_BACK: u8 = 2;
    const IS_BACK: u8 = 3;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let listener = TcpListener::bind(address).unwrap();
    let state = Arc::new(AtomicU8::new(SERVES));
    let told = Arc::clone(&state);
    let target = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        for _ in 0..2 {
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
        drop((stream, listener));
        told.store(IS_GONE, SeqCst);
        await_that(|| told.load(SeqCst) == MAY_COME_BACK);
        let listener = TcpListener::bind(address).unwrap();
        told.store(IS_BACK, SeqCst);
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || answer_all(&stream));
        }
    });
    let plan = (0..6).map(|seq| get(0, seq)).collect();
    let driven = run_when(&Stop::new(), address, LIMITS, plan, |number, seen| match number {
        0 | 1 | 3 | 5 => true,
        2 => state.load(SeqCst) == IS_GONE && seen.connections_open == 0,
        _ => {
            let is_refused = seen.errors == 2;
            if is_refused && state.load(SeqCst) == IS_GONE {
                state.store(MAY_COME_BACK, SeqCst);
            }
            is_refused && state.load(SeqCst) == IS_BACK
        }
    });
    assert_eq!(fates(&driven), [("answered", 4), ("refused", 2)]);
    assert!(!target.is_finished());
}

/// A name that nobody has is an error before anything is sent, and says so.
#[test]
fn a_name_that_is_nowhere_is_told_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let url = "http://nowhere.invalid:81/";
    let load = ["run", "--url", url, "--allow", "nowhere.invalid", "--rate", "5", "-d", "1s"];
    let ran = peakhour(folder.path(), &load);
    assert_eq!(ran.code, 104, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("cannot look up nowhere.invalid:81"), "{}", ran.stderr);
}

/// Fewer bytes announced than sent: the answer is whole, and what follows it is nobody's. More of
/// them, and broken or cut chunks, leave none.
#[test]
fn lengths_that_are_wrong_and_chunks_that_end_too_soon() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (said, expected, unasked) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcde".to_owned(), "answered", 1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nabcde".to_owned(), "closed early", 0),
        (format!("{chunked}5\r\nabc"), "closed early", 0),
        (format!("{chunked}5\r\nabcde"), "closed early", 0),
        (format!("{chunked}5\r\nabcde\r\n"), "closed early", 0),
        (format!("{chunked}5\r\nabcde\r\n0\r\n"), "closed early", 0),
        (format!("{chunked}5"), "closed early", 0),
        (format!("{chunked}5\r\nabcdefg"), "malformed response", 0),
        (format!("{chunked}-5\r\nabcde\r\n"), "malformed response", 0),
        (format!("{chunked}5\r\nabcde\r\n0\r\n\r\n"), "answered", 0),
    ] {
        let server = start({
            let said = said.clone();
            move |client| {
                client.request();
                client.say(&said);
                client.stream.shutdown(Shutdown::Write).unwrap();
                client.wait_for_close();
            }
        });
        let driven = run(server.address, LIMITS, vec![get(0, 0)]);
        assert_eq!((fates(&driven), driven.odd.unasked), (vec![(expected, 1)], unasked), "{said}");
    }
}

#[test]
fn each_way_to_fail_has_its_fate() {
    assert_eq!(
        fate_when(|client| {
            client.request();
            client.reset();
        }),
        "reset"
    );
    assert_eq!(fate_when(|client| drop(client.request())), "closed early");
    assert_eq!(
        fate_when(|client| {
            client.request();
            client.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        }),
        "closed early"
    );
    assert_eq!(
        fate_when(|client| {
            client.request();
            client.say("HTTP/1.1 200 OK\r\nContent-Length: zz\r\n\r\n");
            client.wait_for_close();
        }),
        "malformed response"
    );
    let patience = Duration::from_millis(100);
    assert_eq!(
        fate_within(patience, |client| {
            client.request();
            client.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
            client.wait_for_close();
        }),
        "timed out"
    );
}

/// The target says why it does not serve and closes without reading, as Redis does: the request
/// meets a reset, and what was said survives it. Also when it leaves the line unfinished.
#[test]
fn a_banner_survives() {
    for banner in ["-ERR max number of clients reached\r\n", "too many"] {
        assert_eq!(fate_when(move |client| client.say(banner)), "rejected");
    }
    let patience = Duration::from_secs(2);
    assert_eq!(
        fate_within(patience, |client| {
            client.say("220 mail");
            client.wait_for_close();
        }),
        "rejected"
    );
}

#[test]
fn what_exceeds_the_limit_in_flight_is_not_sent() {
    let server = start(Client::wait_for_close);
    let limits =
        Limits { max_in_flight: 3, response_timeout: Duration::from_millis(300), ..LIMITS };
    let driven = run(server.address, limits, (0..10).map(|n| last(get(n, 0))).collect());
    assert_eq!(fates(&driven), [("timed out", 3), ("unsent: in-flight limit", 7)]);
    assert_eq!(server.accepted(), 3);
}

/// Ten clients come one after the other, and none is answered: a third connection is never opened.
#[test]
fn what_would_need_a_connection_too_many_is_not_sent() {
    let server = start(Client::wait_for_close);
    let limits =
        Limits { max_connections: 2, response_timeout: Duration::from_millis(300), ..LIMITS };
    let driven = run(server.address, limits, (0..10).map(|n| last(get(n, 0))).collect());
    assert_eq!(fates(&driven), [("timed out", 2), ("unsent: connection limit", 8)]);
    assert_eq!((server.accepted(), driven.summary.errors), (2, 2));
    // Where each is answered, its place is free for the next.
    let server = healthy();
    let plan = (0..10).map(|n| last(get(n, 0))).collect();
    let driven = run_when(&Stop::new(), server.address, limits, plan, ALL_IS_OVER);
    assert_eq!(fates(&driven), [("answered", 10)]);
}

#[test]
fn the_end_of_the_run_settles_what_is_outstanding() {
    let server = start(Client::wait_for_close);
    let limits = Limits { grace: Duration::from_millis(50), ..LIMITS };
    let driven = run(server.address, limits, vec![get(0, 0), get(0, 1), get(0, 2)]);
    assert_eq!(fates(&driven), [("timed out", 1), ("unsent: run ended", 2)]);
    assert!(!driven.interrupted);
}

/// The fate of a single request to a server that treats its connections like this.
pub(super) fn fate_when(serve: impl Fn(&mut Client) + Send + Sync + 'static) -> &'static str {
    fate_within(LIMITS.response_timeout, serve)
}

pub(super) fn fate_within(
    response_timeout: Duration,
    serve: impl Fn(&mut Client) + Send + Sync + 'static,
) -> &'static str {
    let limits = Limits { response_timeout, ..LIMITS };
    let driven = run(start(serve).address, limits, vec![get(0, 0)]);
    assert_eq!(driven.retried, 0, "a fresh connection that fails is the target's failure");
    fates(&driven)[0].0
}
