//! HTTP/2 over real sockets: targets that speak it, and targets that do it wrongly.

mod peer;

use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use h2::Reason;
use http::HeaderMap;
use peakhour::drive::stop::Stop;
use peakhour::plan::Arrival;
use peakhour::protocol::Protocol;
use peakhour::record::tls::of_clients;
use peakhour::scenario::Limits;

use super::server::{Client, start};
use super::{ALL_IS_OVER, LIMITS, await_that, due, fate, fates, get, last};
use super::{request, run, run_when};
use crate::record_tls::authority;
use crate::servers::{free_port, pause};
use crate::support::peakhour;
use peer::{Answers, frame, said, serve, serve_with};

fn over_http2(arrival: Arrival) -> Arrival {
    let head = String::from_utf8(arrival.head.to_vec()).unwrap();
    let head = head.replacen("\r\n", "\r\nHost: shop.example\r\n", 1).into();
    Arrival { protocol: Protocol::Http2, head, ..arrival }
}

fn ask(connection: u64, seq: u32) -> Arrival {
    over_http2(get(connection, seq))
}

/// The target answers nobody before it has seen everybody, on two connections: a driver that waits
/// for answers, or opens a connection a request, would not get there.
#[test]
fn requests_share_their_recorded_connection_and_wait_for_no_answer() {
    let everybody = Arc::new(Barrier::new(60));
    let server = serve(move |mut answers: Answers| {
        everybody.wait();
        answers.answer(200, b"hello");
    });
    let plan = (0..60).map(|n| due(Duration::from_millis(n), ask(n % 2, 0))).collect();
    let driven = run(server.address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 60)]);
    assert_eq!((server.accepted(), driven.summary.connections_opened), (2, 2));
    assert_eq!(driven.summary.response_bytes, 60 * 5);
}

#[test]
fn a_target_that_allows_few_streams_is_asked_few_at_once() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, seen) = (Arc::clone(&now), Arc::clone(&most));
    let limits = |builder: &mut h2::server::Builder| _ = builder.max_concurrent_streams(3);
    let server = serve_with(limits, move |mut answers: Answers| {
        seen.fetch_max(count.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::yield_now();
        count.fetch_sub(1, SeqCst);
        answers.answer(200, b"");
    });
    // The first request is answered before the others come, so that the limit is known.
    let plan = (0..40).map(|_| ask(0, 0)).collect();
    let driven = run_when(&Stop::new(), server.address, LIMITS, plan, |number, seen| {
        number == 0 || seen.answered > 0
    });
    assert_eq!((fate(&driven, "answered"), driven.retried), (40, 0), "{:?}", fates(&driven));
    assert!((1..=3).contains(&most.load(SeqCst)), "{}", most.load(SeqCst));
    assert_eq!(server.accepted(), 1);
}

#[test]
fn what_came_of_calls_of_grpc_stands_in_their_trailers() {
    let trailers = |status: &str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        trailers
    };
    let server = serve(move |mut answers: Answers| match answers.path.as_str() {
        "/0/0" => answers.with_trailers(b"done", trailers("0")),
        "/0/1" => answers.with_trailers(b"", trailers("5")),
        "/0/2" => answers.in_head(trailers("13")),
        _ => answers.answer(200, b""),
    });
    let mut failed_before = ask(0, 1);
    failed_before.recorded.failed = true;
    let plan = vec![ask(0, 0), ask(0, 1), ask(0, 2), ask(0, 3), failed_before];
    let driven = run(server.address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 2), ("grpc: failed", 3)]);
    assert_eq!(driven.summary.errors, 2, "production failed once as well");
}

#[test]
fn a_stream_that_is_refused_is_tried_once_more_and_one_that_is_reset_is_not() {
    for (reason, always, expected, retried) in [
        (Reason::REFUSED_STREAM, false, "answered", 1),
        (Reason::REFUSED_STREAM, true, "http2: stream refused", 1),
        (Reason::INTERNAL_ERROR, true, "http2: stream reset", 0),
    ] {
        let times = AtomicUsize::new(0);
        let server = serve(move |mut answers: Answers| {
            if always || times.fetch_add(1, SeqCst) == 0 {
                answers.reset(reason);
            } else {
                answers.answer(200, b"");
            }
        });
        // A refused stream was not looked at, so that even this method may be repeated.
        let driven = run(server.address, LIMITS, vec![over_http2(request("POST", 0, 0, b"x"))]);
        assert_eq!((fates(&driven), driven.retried), (vec![(expected, 1)], retried), "{reason}");
        assert_eq!(driven.summary.sent.total, 1, "one sample, one request");
    }
}

/// GOAWAY says which streams were looked at; the others are sent once more, on a new connection.
#[test]
fn a_target_that_goes_away_is_asked_again_on_a_new_connection() {
    for (always, expected) in [(false, "answered"), (true, "http2: gone away")] {
        let server = start(move |client| {
            said(client, &[&frame(4, 0, 0, b"")[..]].concat());
            peer::read_headers(client);
            if always || client.number == 0 {
                said(client, &frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0]));
            } else {
                // A head whose one field is `:status: 200`, and the end.
                said(client, &frame(1, 5, 1, &[0x88]));
            }
            client.wait_for_close();
        });
        let driven = run(server.address, LIMITS, vec![over_http2(request("POST", 0, 0, b""))]);
        assert_eq!((fates(&driven), driven.retried), (vec![(expected, 1)], 1));
        assert_eq!(server.accepted(), 2);
    }
}

/// What is under way on a connection whose target goes away is still answered there, and what comes
/// later goes elsewhere at once.
#[test]
fn streams_that_were_looked_at_are_answered_after_a_goaway() {
    let has_gone = Arc::new(AtomicBool::new(false));
    let (tells, is_asked) = (Arc::clone(&has_gone), AtomicBool::new(false));
    let server = start(move |client| {
        said(client, &frame(4, 0, 0, b""));
        peer::read_headers(client);
        if client.number == 0 {
            said(client, &frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
            // Time enough to hear of it.
            (0..10).for_each(|_| pause());
            tells.store(true, SeqCst);
            // Answered only when the other connection has had its request.
            await_that(|| is_asked.load(SeqCst));
        }
        is_asked.store(client.number > 0, SeqCst);
        said(client, &frame(1, 5, 1, &[0x88]));
        client.wait_for_close();
    });
    let plan = vec![ask(0, 0), ask(0, 1)];
    let driven = run_when(&Stop::new(), server.address, LIMITS, plan, |number, _| {
        number == 0 || has_gone.load(SeqCst)
    });
    assert_eq!((fates(&driven), driven.retried), (vec![("answered", 2)], 0));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn each_way_to_fail_has_its_fate() {
    let settings = frame(4, 0, 0, b"");
    let headers = frame(1, 4, 1, &[0x88]);
    let part = frame(0, 0, 1, b"part");
    let length = [0x88, 0x0f, 0x0d, 1, b'9'];
    for (answer, closes, expected) in [
        // Data of no stream; a head that ends in the middle of a field; an unknown setting's size.
        (frame(0, 0, 0, b"x"), false, "http2: malformed"),
        (frame(1, 5, 1, &[0x40, 0x7f]), false, "http2: malformed"),
        (frame(4, 0, 0, b"abc"), false, "http2: malformed"),
        // Five bytes are announced to be nine.
        ([frame(1, 4, 1, &length), frame(0, 1, 1, b"hello")].concat(), false, "http2: malformed"),
        // A frame that is longer than was agreed on.
        (vec![0, 255, 255, 0, 0, 0, 0, 0, 1], false, "http2: malformed"),
        ([&headers[..], &part].concat(), true, "closed early"),
        (Vec::new(), true, "closed early"),
        (part.clone(), false, "http2: malformed"),
        ([&headers[..], &part].concat(), false, "timed out"),
        (Vec::new(), false, "timed out"),
    ] {
        let all = [&settings[..], &answer].concat();
        let server = start(move |client| {
            peer::read_headers(client);
            said(client, &all);
            if closes {
                client.stream.shutdown(Shutdown::Write).unwrap();
            }
            client.wait_for_close();
        });
        let patience = if expected == "timed out" {
            Duration::from_millis(400)
        } else {
            LIMITS.response_timeout
        };
        let limits = Limits { response_timeout: patience, ..LIMITS };
        let driven = run(server.address, limits, vec![ask(0, 0)]);
        assert_eq!((fates(&driven), driven.retried), (vec![(expected, 1)], 0), "{answer:?}");
    }
}

/// What HTTP/2 has no way to say is not sent, and holds up nothing else.
#[test]
fn a_request_that_http2_has_not_is_not_sent() {
    let server = serve(|mut answers: Answers| answers.answer(200, b""));
    let odd = |head: &'static str| Arrival { head: head.into(), ..ask(0, 1) };
    let plan = vec![
        ask(0, 0),
        odd("G\u{1}T / HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        odd("GET /a\u{1}b HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        ask(0, 2),
    ];
    let driven = run(server.address, LIMITS, plan);
    assert_eq!(fates(&driven), [("answered", 2), ("unsent: no request of http2", 2)]);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn whoever_does_not_speak_it_is_told_apart() {
    for answer in ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "-ERR who?\r\n"] {
        let server = start(move |client| {
            client.say(answer);
            client.wait_for_close();
        });
        let plan = (0..3).map(|n| last(ask(n, 0))).collect();
        assert_eq!(fates(&run(server.address, LIMITS, plan)), [("http2: not spoken", 3)]);
    }
    let reset = start(|client| {
        peer::read_headers(client);
        client.reset();
    });
    assert_eq!(fates(&run(reset.address, LIMITS, vec![ask(0, 0)])), [("reset", 1)]);
    let refused = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let driven = run(refused, LIMITS, (0..9).map(|seq| ask(0, seq)).collect());
    assert_eq!(fates(&driven), [("refused", 9)]);
}

/// An idle connection that the target closes is opened again for the next request.
#[test]
fn an_idle_connection_that_the_target_closed_is_opened_again() {
    let server = start(|client| {
        said(client, &frame(4, 0, 0, b""));
        peer::read_headers(client);
        said(client, &frame(1, 5, 1, &[0x88]));
    });
    let plan = (0..3).map(|seq| ask(0, seq)).collect();
    let driven = run_when(&Stop::new(), server.address, LIMITS, plan, ALL_IS_OVER);
    assert_eq!((fates(&driven), server.accepted()), (vec![("answered", 3)], 3));
}

/// Many a server of gRPC speaks nothing else, and is there all the same.
#[test]
fn a_target_that_speaks_nothing_else_is_reached_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let [ca, pem, key] = ["ca.pem", "shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    let mut config = of_clients(Path::new(&pem), Path::new(&key)).unwrap();
    Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec()];
    let answer = |mut answers: Answers| answers.answer(200, b"hello");
    let server = peer::serve_inside(Some(config.into()), |_| {}, answer);
    let url = format!("https://{}/", server.address);
    let load = ["run", "--url", &url, "--cacert", &ca, "-d", "1s", "-c", "1", "--rate", "5"];
    let ran = peakhour(folder.path(), &[&load[..], &["--http2"]].concat());
    assert!(ran.stdout.contains("answered: 5"), "{}\n{}", ran.stdout, ran.stderr);
    // One to see who is there, one for all requests.
    assert_eq!(server.accepted(), 2);
    let ran = peakhour(folder.path(), &load);
    assert!(ran.words().contains("tls: no common protocol: 5"), "{}\n{}", ran.stdout, ran.stderr);
}

/// One is in flight and answered within the grace; the others wait for a stream, or are hours away.
#[test]
fn stopping_sends_nothing_new_and_accounts_for_everything() {
    let stop = Stop::new();
    let asked = stop.clone();
    let limits = |builder: &mut h2::server::Builder| _ = builder.max_concurrent_streams(1);
    let server = serve_with(limits, move |mut answers: Answers| {
        if answers.path == "/0/1" {
            asked.request();
            (0..10).for_each(|_| pause());
        }
        answers.answer(200, b"");
    });
    let far = (0..1_000).map(|n| due(Duration::from_hours(1), ask(n % 50, 9)));
    let plan = (0..4).map(|seq| ask(0, seq)).chain(far).collect();
    // How many streams are allowed is known from the first answer on.
    let driven = run_when(&stop, server.address, LIMITS, plan, |number, seen| {
        number == 0 || seen.answered > 0
    });
    assert_eq!(fates(&driven), [("answered", 2), ("unsent: interrupted", 1_002)]);
}

#[test]
fn the_end_of_the_run_settles_what_is_outstanding() {
    let server = start(Client::wait_for_close);
    let limits = Limits { grace: Duration::from_millis(50), ..LIMITS };
    let driven = run(server.address, limits, (0..3).map(|seq| ask(0, seq)).collect());
    assert_eq!(fates(&driven), [("timed out", 3)]);
}
