//! Servers that mean no good, or break: one fate each, and no hang.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use peakhour::drive::gauges::Gauges;
use peakhour::drive::stop::Stop;
use peakhour::drive::{Driven, drive};
use peakhour::plan::answers::Answers;
use peakhour::plan::bond::Bond;
use peakhour::plan::{Arrival, Recorded, Touch};
use peakhour::protocol::Protocol;
use peakhour::protocol::resp::command;
use peakhour::protocol::resp::scan::{Scan, Sender};
use peakhour::scenario::Limits;
use peakhour::scenario::endpoint::Endpoint;
use peakhour::scenario::network::Way;
use peakhour::scenario::redis::RedisTarget;

const LIMITS: Limits = Limits {
    max_in_flight: 10_000,
    connect_timeout: Duration::from_secs(30),
    response_timeout: Duration::from_secs(30),
    grace: Duration::from_secs(30),
    max_rate: 1_000_000,
    max_connections: 1_000,
};

/// Serves each connection with `serve`, which gets its number; counts them.
fn start(
    serve: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let (count, serve) = (Arc::clone(&accepted), Arc::new(serve));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (number, serve) = (count.fetch_add(1, SeqCst), Arc::clone(&serve));
            thread::spawn(move || serve(number, &mut stream));
        }
    });
    (address, accepted)
}

/// Reads so many commands; false at the end of the stream.
fn commands(stream: &mut TcpStream, mut count: usize) -> bool {
    let mut scan = Scan::new(Sender::Client);
    let mut byte = [0];
    while count > 0 {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        count -= usize::from(scan.read(&mut &byte[..]).unwrap().is_some());
    }
    true
}

fn wait_for_close(stream: &mut TcpStream) {
    let _ = std::io::copy(stream, &mut std::io::sink());
}

/// Commands on one connection; those after the first one of each moment are pipelined.
fn plan(lines: &[(u64, &str)]) -> Vec<Arrival> {
    let mut before = None;
    let mut arrivals = Vec::new();
    for (index, (at_ms, line)) in (0..).zip(lines) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let pipelined = before.replace(at_ms) == Some(at_ms);
        arrivals.push(Arrival {
            answers: Answers::default(),
            bond: Bond::default(),
            index,
            due: Duration::from_millis(*at_ms),
            connection: 0,
            protocol: Protocol::Redis,
            session: 0,
            seq: u32::try_from(index).unwrap(),
            streamed: None,
            last_on_connection: false,
            method: line.split(' ').next().unwrap().into(),
            route: "".into(),
            head: vec![].into(),
            body: command(&words).into(),
            touch: Touch::Again,
            turn: None,
            recorded: Recorded { pipelined, ..Recorded::default() },
        });
    }
    arrivals
}

fn run(address: SocketAddr, url: &str, limits: Limits, plan: Vec<Arrival>) -> Driven {
    run_until(&Stop::new(), (address, url), limits, plan)
}

fn run_until(
    stop: &Stop,
    (address, url): (SocketAddr, &str),
    limits: Limits,
    plan: Vec<Arrival>,
) -> Driven {
    let planned = plan.len() as u64;
    let endpoint = Endpoint::parse(url).unwrap();
    let redis = Some(RedisTarget { endpoint, database: None, tls: None });
    let way = Way { redis, ..Way::from(address) };
    let gauges = Arc::new(Gauges::default());
    let plan = plan.into_iter().map(Ok::<_, Infallible>);
    let driven = drive(plan, way, &limits, Arc::clone(&gauges), stop.clone()).unwrap();
    assert_eq!(driven.summary.arrivals, planned);
    assert_eq!(driven.summary.fates.values().sum::<u64>(), planned);
    let gauges = gauges.snapshot();
    assert_eq!((gauges.in_flight, gauges.connections_open), (0, 0));
    assert_eq!(gauges.sent, driven.summary.sent.total);
    driven
}

fn fates(driven: &Driven) -> Vec<(&'static str, u64)> {
    driven.summary.fates.iter().map(|(name, count)| (*name, *count)).collect()
}

const PLAIN: &str = "redis://127.0.0.1";

/// Three commands at once, to a server that says this and goes on as told.
fn fates_when(
    said: &'static [u8],
    then: fn(&mut TcpStream),
    patience: Duration,
) -> Vec<(&'static str, u64)> {
    let (address, _) = start(move |_, stream| {
        commands(stream, 3);
        let _ = stream.write_all(said);
        then(stream);
    });
    let limits = Limits { response_timeout: patience, ..LIMITS };
    let lines = [(0, "SET a 1"), (0, "SET b 1"), (0, "SET c 1")];
    fates(&run(address, PLAIN, limits, plan(&lines)))
}

#[test]
fn each_way_to_break_has_its_fate() {
    fn leave(_: &mut TcpStream) {}
    fn reset(stream: &mut TcpStream) {
        socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    fn go_on(stream: &mut TcpStream) {
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    }
    fn nest(stream: &mut TcpStream) {
        while stream.write_all(&b"*2\r\n".repeat(1_000)).is_ok() {}
    }
    let (long, short) = (LIMITS.response_timeout, Duration::from_secs(2));
    for (said, then, patience, expected) in [
        (&b"+OK\r\n+OK\r\n+OK\r\n"[..], leave as fn(&mut TcpStream), long, &[("answered", 3)][..]),
        (b"", leave, long, &[("closed early", 3)]),
        (b"+OK\r\n$100\r\nabc", leave, long, &[("answered", 1), ("closed early", 2)]),
        (b"+OK\r\n$100\r\nabc", reset, long, &[("answered", 1), ("reset", 2)]),
        (
            b"+OK\r\nHTTP/1.1 400 Bad\r\n",
            wait_for_close,
            long,
            &[("answered", 1), ("malformed response", 2)],
        ),
        (b"$3\r\nabcdef", wait_for_close, long, &[("malformed response", 3)]),
        (b"+", go_on, long, &[("malformed response", 3)]),
        (b"*9\r\n+", go_on, long, &[("malformed response", 3)]),
        (b"", nest, short, &[("timed out", 3)]),
        (b"$1000000000\r\n", go_on, Duration::from_millis(100), &[("timed out", 3)]),
        (b"+OK\r\n", wait_for_close, short, &[("answered", 1), ("timed out", 2)]),
        (b"-ERR max number of clients reached\r\n", leave, long, &[("rejected", 3)]),
        (
            b"-LOADING x\r\n-MOVED 1 a:1\r\n-ASK 1 a:1\r\n",
            leave,
            long,
            &[("declined: loading", 1), ("redirected: ask", 1), ("redirected: moved", 1)],
        ),
        (b">2\r\n+invalidate\r\n*0\r\n+OK\r\n+OK\r\n+OK\r\n", leave, long, &[("answered", 3)]),
    ] {
        let found = fates_when(said, then, patience);
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(said));
    }
}

/// What nobody asked for answers nothing: the next command gets a connection of its own.
#[test]
fn a_reply_before_its_command_answers_nothing() {
    let (address, accepted) = start(|number, stream| {
        commands(stream, 1);
        let _ = stream.write_all(if number == 0 { b"+OK\r\n+OK\r\n" } else { b"-ERR mine\r\n" });
        wait_for_close(stream);
    });
    let driven = run(address, PLAIN, LIMITS, plan(&[(0, "SET a 1"), (300, "SET b 1")]));
    assert_eq!(fates(&driven), [("answered", 2)]);
    assert_eq!(accepted.load(SeqCst), 2);
    assert_eq!(driven.summary.statuses.get(&1_000), Some(&1), "{:?}", driven.summary.statuses);
}

/// An idle connection is closed just as commands are on their way: what reads is asked again, once.
#[test]
fn what_is_safe_is_repeated_once() {
    let repeated = |lines: &[(u64, &str)]| {
        let (address, accepted) = start(|number, stream| {
            commands(stream, 1);
            let _ = stream.write_all(b"+OK\r\n");
            if number == 0 {
                commands(stream, 2);
            } else {
                commands(stream, 1);
                let _ = stream.write_all(b"+OK\r\n");
                wait_for_close(stream);
            }
        });
        let driven = run(address, PLAIN, LIMITS, plan(lines));
        (fates(&driven), driven.retried, accepted.load(SeqCst))
    };
    let reads = [(0, "GET a"), (100, "GET b"), (100, "GET c")];
    assert_eq!(repeated(&reads), (vec![("answered", 3)], 2, 2));
    let writes = [(0, "GET a"), (100, "GET b"), (100, "INCR c")];
    assert_eq!(repeated(&writes), (vec![("answered", 1), ("closed early", 2)], 0, 1));
}

/// The connection breaks behind `MULTI`: what was to be queued is not done outside of it.
#[test]
fn the_rest_of_a_broken_transaction_is_not_sent() {
    let (address, accepted) = start(|number, stream| {
        commands(stream, 1);
        let _ = stream.write_all(b"+OK\r\n");
        if number > 0 {
            wait_for_close(stream);
        }
    });
    let lines =
        [(0, "MULTI"), (900, "INCR a"), (901, "INCR b"), (902, "EXEC"), (1_500, "INCR outside")];
    let driven = run(address, PLAIN, LIMITS, plan(&lines));
    // Of the three, none was sent: the connection was gone before.
    assert_eq!(driven.summary.sent.total, 2, "{:?}", fates(&driven));
    assert_eq!(fates(&driven), [("answered", 2), ("closed early", 3)]);
    assert_eq!(accepted.load(SeqCst), 2);
}

/// A login is said once a connection, waited for, and never shown.
#[test]
fn a_login_that_is_not_answered_well() {
    let answered = |said: &'static [u8]| {
        let (address, _) = start(move |_, stream| {
            commands(stream, 1);
            let _ = stream.write_all(said);
            commands(stream, 1);
            let _ = stream.write_all(b"+OK\r\n");
        });
        let patience = if said.is_empty() { 400 } else { 30_000 };
        let limits = Limits { connect_timeout: Duration::from_millis(patience), ..LIMITS };
        let driven = run(address, "redis://:s3cret@h", limits, plan(&[(0, "SET a 1")]));
        assert!(!format!("{:?}", driven.summary.evidence).contains("s3cret"));
        fates(&driven).remove(0).0
    };
    for (said, expected) in [
        (&b"+OK\r\n"[..], "answered"),
        (b"-WRONGPASS s3cret\r\n", "declined: login refused"),
        (b"-ERR s3cret is no password\r\n", "declined: login refused"),
        (b"-ERR max number of clients reached s3cret\r\n", "rejected"),
        (b"-LOADING\r\n", "declined: loading"),
        (b"", "connect timed out"),
        (b"HTTP/1.1 400 s3cret\r\n", "malformed response"),
        (b"+OK\r\n+OK\r\n", "malformed response"),
    ] {
        assert_eq!(answered(said), expected, "{}", String::from_utf8_lossy(said));
    }
}

/// A stop ends the run though nothing is answered; what was not sent says so.
#[test]
fn a_stop_leaves_nothing_hanging() {
    let stop = Stop::new();
    let asked = stop.clone();
    let (address, _) = start(move |_, stream| {
        commands(stream, 1);
        asked.request();
        wait_for_close(stream);
    });
    let limits = Limits { grace: Duration::from_millis(100), ..LIMITS };
    let lines = [(0, "SET a 1"), (1, "SET b 1"), (60_000, "SET c 1")];
    let driven = run_until(&stop, (address, PLAIN), limits, plan(&lines));
    assert_eq!(fates(&driven), [("timed out", 1), ("unsent: interrupted", 2)]);
    assert!(driven.interrupted);
}

/// A value of any size is counted and not kept.
#[test]
fn a_large_reply_is_counted() {
    let (address, _) = start(|_, stream| {
        commands(stream, 1);
        let _ = stream.write_all(b"$67108864\r\n");
        (0..64).for_each(|_| drop(stream.write_all(&vec![b'x'; 1 << 20])));
        let _ = stream.write_all(b"\r\n");
        wait_for_close(stream);
    });
    let driven = run(address, PLAIN, LIMITS, plan(&[(0, "GET a")]));
    assert_eq!(fates(&driven), [("answered", 1)]);
    assert_eq!(driven.summary.response_bytes, (64 << 20) + 13);
}
