//! The driver over real sockets. No test looks at how long something took.

mod books;
mod expect;
mod fates;
mod hostile;
mod http2;
mod lifetimes;
mod pipelined;
mod server;
mod tls;

use std::convert::Infallible;
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use peakhour::drive::drive;
use peakhour::drive::gauges::{GaugeSnapshot, Gauges};
use peakhour::drive::stop::Stop;
use peakhour::drive::{DriveError, Driven};
use peakhour::plan::answers::Answers;
use peakhour::plan::bond::Bond;
use peakhour::plan::{Arrival, LARGE_BODY, Recorded, Touch};
use peakhour::protocol::Protocol;
use peakhour::scenario::Limits;
use peakhour::scenario::network::Way;

use crate::servers::pause;
use server::{Client, healthy, start};

const LIMITS: Limits = Limits {
    max_in_flight: 1_000,
    connect_timeout: Duration::from_secs(30),
    response_timeout: Duration::from_secs(30),
    grace: Duration::from_secs(30),
    max_rate: 1_000_000,
    max_connections: 1_000_000,
};

fn get(connection: u64, seq: u32) -> Arrival {
    request("GET", connection, seq, &[])
}

fn request(method: &str, connection: u64, seq: u32, body: &[u8]) -> Arrival {
    let length = body.len();
    let head = format!("{method} /{connection}/{seq} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
    Arrival {
        answers: Answers::default(),
        bond: Bond::default(),
        index: 0,
        due: Duration::ZERO,
        connection,
        protocol: Protocol::Http1,
        session: connection,
        seq,
        streamed: None,
        last_on_connection: false,
        method: method.into(),
        route: format!("{method} /*/*").into(),
        head: head.into(),
        body: body.to_vec().into(),
        touch: Touch::First,
        turn: None,
        recorded: Recorded::default(),
    }
}

fn due(at: Duration, arrival: Arrival) -> Arrival {
    Arrival { due: at, ..arrival }
}

fn last(arrival: Arrival) -> Arrival {
    Arrival { last_on_connection: true, ..arrival }
}

fn run(to: impl Into<Way>, limits: Limits, plan: Vec<Arrival>) -> Driven {
    run_until(&Stop::new(), to, limits, plan)
}

fn run_until(stop: &Stop, to: impl Into<Way>, limits: Limits, plan: Vec<Arrival>) -> Driven {
    run_when(stop, to, limits, plan, |_, _| true)
}

/// The driver gets an arrival only when that is so of its number in the plan and of the gauges.
/// What has to come before it has come then, on however busy a machine.
type IsTime = fn(u64, &GaugeSnapshot) -> bool;

/// All before it were answered, and their connections are closed.
const ALL_IS_OVER: IsTime = |number, seen| seen.answered == number && seen.connections_open == 0;

/// Drives a plan and checks what holds for every run: one fate an arrival, and gauges that agree.
fn run_when(
    stop: &Stop,
    to: impl Into<Way>,
    limits: Limits,
    plan: Vec<Arrival>,
    is_time: impl Fn(u64, &GaugeSnapshot) -> bool,
) -> Driven {
    let planned = plan.len() as u64;
    let gauges = Arc::new(Gauges::default());
    let seen = Arc::clone(&gauges);
    let plan = (0..planned).zip(plan).map(|(number, arrival)| {
        await_that(|| is_time(number, &seen.snapshot()));
        Ok::<_, Infallible>(arrival)
    });
    let driven = drive(plan, to, &limits, Arc::clone(&gauges), stop.clone()).unwrap();
    assert_eq!(driven.summary.arrivals, planned);
    assert_eq!(driven.summary.fates.values().sum::<u64>(), planned);
    let gauges = gauges.snapshot();
    assert_eq!((gauges.in_flight, gauges.connections_open), (0, 0));
    assert_eq!(gauges.answered, fate(&driven, "answered"));
    assert_eq!(gauges.due, driven.summary.lateness.len());
    assert_eq!(gauges.sent, driven.summary.sent.total);
    driven
}

/// Waits until something is so; fails after half a minute.
fn await_that(is_so: impl Fn() -> bool) {
    for _ in 0..1_500 {
        if is_so() {
            return;
        }
        pause();
    }
    panic!("what is waited for does not come");
}

fn fate(driven: &Driven, name: &str) -> u64 {
    driven.summary.fates.get(name).copied().unwrap_or(0)
}

fn fates(driven: &Driven) -> Vec<(&'static str, u64)> {
    driven.summary.fates.iter().map(|(name, count)| (*name, *count)).collect()
}

#[test]
fn recorded_connections_stay_connections() {
    let server = healthy();
    let plan = (0..20).flat_map(|seq| (0..18).map(move |connection| get(connection, seq)));
    let driven = run(server.address, LIMITS, plan.collect());
    assert_eq!(fates(&driven), [("answered", 360)]);
    assert_eq!((server.accepted(), driven.summary.connections_opened), (18, 18));
    assert_eq!(driven.summary.statuses.get(&200), Some(&360));
}

/// The target answers nobody before it has seen everybody, over moments that are apart: a driver
/// that waits for answers would never get there.
#[test]
fn a_stalled_target_holds_back_no_later_arrival() {
    let everybody = Barrier::new(40);
    let server = start(move |client| {
        client.request();
        everybody.wait();
        client.answer();
        client.wait_for_close();
    });
    let plan = (0..40).map(|n| due(Duration::from_millis(n * 2), get(n, 0))).collect();
    assert_eq!(fates(&run(server.address, LIMITS, plan)), [("answered", 40)]);
}

/// Requests on one connection: in the plan's order, each only after the answer to the one before,
/// though all are due at once.
#[test]
fn requests_on_a_connection_keep_their_order_and_wait_for_answers() {
    let (seen, order) = mpsc::channel();
    let server = start(move |client| {
        while let Some(target) = client.request() {
            seen.send((target, client.has_more())).unwrap();
            client.answer();
        }
    });
    let driven = run(server.address, LIMITS, (0..30).map(|seq| get(7, seq)).collect());
    assert_eq!(fates(&driven), [("answered", 30)]);
    let expected: Vec<_> = (0..30).map(|seq| (format!("/7/{seq}"), false)).collect();
    assert_eq!(order.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_last_request_of_a_connection_closes_it() {
    let (closed, is_closed) = mpsc::channel();
    let (closed, is_closed) = (Mutex::new(closed), Mutex::new(is_closed));
    let server = start(move |client| {
        if client.request().unwrap() == "/1/0" {
            client.answer();
            client.wait_for_close();
            closed.lock().unwrap().send(()).unwrap();
        } else {
            is_closed.lock().unwrap().recv().unwrap();
            client.answer();
            client.wait_for_close();
        }
    });
    // The second request is answered once the first one's connection is closed.
    let driven = run(server.address, LIMITS, vec![last(get(1, 0)), get(2, 0)]);
    assert_eq!(fates(&driven), [("answered", 2)]);
}

#[test]
fn bodies_are_counted_however_they_are_framed() {
    let server = start(|client| {
        client.request();
        match client.number {
            0 => {
                client.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n");
                client.say("\r\nhello");
            }
            1 => client
                .say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            // Ends with the connection.
            _ => return client.say(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(300_000))),
        }
        client.wait_for_close();
    });
    let driven = run(server.address, LIMITS, (0..3).map(|n| get(n, 0)).collect());
    assert_eq!(fates(&driven), [("answered", 3)]);
    assert_eq!(driven.summary.response_bytes, 5 + 3 + 300_000);
}

#[test]
fn an_idle_connection_that_the_target_closed_is_opened_again() {
    let server = start(|client| drop(client.answer_next()));
    // A POST may not be repeated, so that the close must be noticed before it is written.
    let plan = (0..3).map(|seq| request("POST", 0, seq, b"x")).collect();
    let driven = run_when(&Stop::new(), server.address, LIMITS, plan, ALL_IS_OVER);
    assert_eq!(fates(&driven), [("answered", 3)]);
    assert_eq!((driven.summary.connections_opened, driven.retried), (3, 0));
}

/// The target closes a reused connection with a request on its way.
#[test]
fn only_a_safe_request_is_sent_again_and_only_once() {
    let serve = |client: &mut Client| {
        if client.number == 0 {
            client.answer_next();
            client.request();
        } else {
            client.answer_next();
            client.wait_for_close();
        }
    };
    let server = start(serve);
    let driven = run(server.address, LIMITS, vec![get(0, 0), get(0, 1)]);
    assert_eq!((fates(&driven), driven.retried), (vec![("answered", 2)], 1));
    assert_eq!(driven.summary.sent.total, 2, "one sample, one request");

    let plan = vec![get(0, 0), request("POST", 0, 1, b"x"), request("POST", 0, 2, b"x")];
    let driven = run(start(serve).address, LIMITS, plan);
    assert_eq!((fates(&driven), driven.retried), (vec![("answered", 2), ("closed early", 1)], 0));

    // The second try is on a fresh connection, and its failure is the target's.
    let closing = start(|client| {
        if client.number == 0 {
            client.answer_next();
        }
        client.request();
    });
    let driven = run(closing.address, LIMITS, vec![get(0, 0), get(0, 1)]);
    assert_eq!((fates(&driven), driven.retried), (vec![("answered", 1), ("closed early", 1)], 1));
    assert_eq!(closing.accepted(), 2);
}

/// While a large body waits for a target that does not read, others are served.
#[test]
fn a_large_body_blocks_no_other_connection() {
    let (read_on, may_read) = mpsc::channel();
    let (read_on, may_read) = (Mutex::new(read_on), Mutex::new(may_read));
    let server = start(move |client| {
        let mut first = [0; 6];
        client.stream.peek(&mut first).unwrap();
        if first.starts_with(b"POST") {
            may_read.lock().unwrap().recv().unwrap();
            client.answer_next();
        } else {
            client.answer_next();
            read_on.lock().unwrap().send(()).unwrap();
        }
        client.wait_for_close();
    });
    let body = vec![b'x'; 20 * 1024 * 1024];
    assert!(body.len() > LARGE_BODY);
    let later = Duration::from_millis(100);
    let plan = vec![request("POST", 0, 0, &body), due(later, get(1, 0))];
    let driven = run(server.address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 2)]);
    assert!(driven.summary.request_bytes > body.len() as u64);
}

/// A target may refuse a body without reading it; its answer counts, its connection does not.
#[test]
fn an_early_answer_counts() {
    let server = start(|client| {
        if client.number == 0 {
            client.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
        } else {
            client.answer_next();
        }
        client.wait_for_close();
    });
    let body = vec![b'x'; 20 * 1024 * 1024];
    let plan = vec![request("POST", 0, 0, &body), get(0, 1)];
    let driven = run(server.address, LIMITS, plan);
    let statuses: Vec<_> = driven.summary.statuses.into_iter().collect();
    assert_eq!((statuses, driven.summary.connections_opened), (vec![(200, 1), (413, 1)], 2));
}

/// One is answered, one is in flight and answered within the grace, one waits behind it, and the
/// others, more than the driver reads ahead, are hours away.
#[test]
fn stopping_sends_nothing_new_and_accounts_for_everything() {
    let stop = Stop::new();
    let asked = stop.clone();
    let server = start(move |client| {
        while let Some(target) = client.request() {
            if target == "/0/1" {
                asked.request();
            }
            client.answer();
        }
    });
    let far = (0..100_000).map(|n| due(Duration::from_hours(1), get(n % 50, 9)));
    let plan = (0..3).map(|seq| get(0, seq)).chain(far).collect();
    let driven = run_until(&stop, server.address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 2), ("unsent: interrupted", 100_001)]);
    assert!(driven.interrupted);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_run_that_is_stopped_before_it_begins_sends_nothing() {
    let (server, stop) = (healthy(), Stop::new());
    stop.request();
    let driven = run_until(&stop, server.address, LIMITS, (0..9).map(|n| get(n, 0)).collect());
    assert_eq!(fates(&driven), [("unsent: interrupted", 9)]);
    assert_eq!(server.accepted(), 0);
}

#[test]
fn an_empty_plan_is_driven() {
    let driven = run(healthy().address, LIMITS, Vec::new());
    assert_eq!(driven.summary.arrivals, 0);
    assert!(driven.health.processors > 0 && driven.health.open_files_limit.is_some());
}

/// A reader that is slow (a disk, a large row group) makes us late, and it must show.
#[test]
fn a_plan_that_comes_late_is_our_own_lateness() {
    let (server, gauges) = (healthy(), Arc::<Gauges>::default());
    let (slow, clock) = (Duration::from_millis(500), Arc::clone(&gauges));
    let plan = (0..3).map(|seq| {
        while seq == 2 && clock.snapshot().elapsed < slow {
            std::thread::yield_now();
        }
        Ok::<_, Infallible>(get(0, seq))
    });
    let driven = drive(plan, server.address, &LIMITS, gauges, Stop::new()).unwrap();
    assert_eq!(fates(&driven), [("answered", 3)]);
    let lateness = &driven.summary.lateness;
    assert_eq!(lateness.len(), 3, "all were dispatched");
    assert!(Duration::from_nanos(lateness.max()) >= slow, "{} ns", lateness.max());
}

#[test]
fn a_plan_that_breaks_off_is_carried_out_so_far_and_is_an_error() {
    let (seen, requests) = mpsc::channel();
    let server = start(move |client| {
        while let Some(target) = client.answer_next() {
            seen.send(target).unwrap();
        }
    });
    let broken = (0..5).map(|seq| if seq < 3 { Ok(get(0, seq)) } else { Err("row 4 is gone") });
    let error = drive(broken, server.address, &LIMITS, Arc::default(), Stop::new()).unwrap_err();
    assert!(matches!(&error, DriveError::Plan { arrivals: 3, source }
        if source.to_string() == "row 4 is gone"));
    assert!(error.to_string().contains("broke off after 3 arrivals"), "{error}");
    assert_eq!(requests.iter().take(3).collect::<Vec<_>>(), ["/0/0", "/0/1", "/0/2"]);
}
