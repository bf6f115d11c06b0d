//! Each fate, produced by a socket that really behaves so.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use peakhour::scenario::Limits;

use super::server::{Client, healthy, start};
use super::{LIMITS, due, fates, get, last, run};

#[test]
fn a_refused_port_is_refused() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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
    let apart = |n: u32| due(Duration::from_millis(30) * n, last(get(n.into(), 0)));
    let driven = run(server.address, limits, (0..10).map(apart).collect());
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
