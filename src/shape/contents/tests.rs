use super::*;
use crate::protocol::Protocol;
use crate::recording::{Flags, Response};

fn exchange(at_ms: u64, connection: u64, took_ms: Option<u64>) -> Exchange {
    Exchange {
        at: Duration::from_millis(at_ms),
        connection,
        session: connection / 2,
        seq: 0,
        stream: None,
        protocol: Protocol::Http1,
        method: "GET".into(),
        scheme: "http".into(),
        authority: "a".into(),
        target: "/".into(),
        route: "/".into(),
        request_head: "0123456789".into(),
        request_body: bytes::Bytes::new(),
        request_body_bytes: 90,
        request_stored: None,
        request_chunks: None,
        response: took_ms.map(|took| Response {
            status: 200,
            head: bytes::Bytes::new(),
            body_bytes: Some(took),
            digest: None,
            first_byte: Some(Duration::from_millis(took / 2)),
            last_byte: Some(Duration::from_millis(took)),
        }),
        flags: Flags::default(),
    }
}

fn facts(exchanges: &[Exchange], length_ms: u64) -> Facts {
    let mut contents = Contents::default();
    for exchange in exchanges {
        contents.add(exchange);
    }
    contents.facts(Duration::from_millis(length_ms), Duration::from_nanos(1))
}

#[test]
fn requests_and_connections_at_once_are_counted() {
    // Three connections; the second answer comes while two others are awaited.
    let facts = facts(
        &[
            exchange(0, 0, Some(100)),
            exchange(10, 1, Some(20)),
            exchange(20, 2, Some(80)),
            exchange(100, 0, Some(100)),
            exchange(150, 2, None),
        ],
        200,
    );
    assert_eq!((facts.most_in_flight, facts.most_open_connections), (Some(3), Some(3)));
    assert_eq!((facts.answers, facts.answers_timed, facts.sessions), (4, 4, 2));
    assert!((facts.mean_in_flight.unwrap() - 1.5).abs() < 0.01, "{:?}", facts.mean_in_flight);
    assert!((facts.mean_per_second - 25.0).abs() < 1e-9);
    assert_eq!(facts.statuses, BTreeMap::from([("200".into(), 4), ("none".into(), 1)]));
    assert_eq!(facts.protocols, BTreeMap::from([("http1".into(), 5)]));
    let reuse = Spread { count: 3, p50: 2, p90: 2, p99: 2, max: 2 };
    assert_eq!(facts.requests_per_connection, Some(reuse));
}

/// A log without durations does not say that nothing was ever in flight.
#[test]
fn what_was_at_once_is_unknown_where_no_answer_says_how_long_it_took() {
    let untimed = |at_ms| {
        let mut exchange = exchange(at_ms, at_ms, Some(1));
        let response = exchange.response.as_mut().unwrap();
        (response.first_byte, response.last_byte) = (None, None);
        exchange
    };
    let all = facts(&[untimed(0), untimed(10), exchange(20, 20, None)], 100);
    assert_eq!(
        (all.most_in_flight, all.mean_in_flight, all.most_open_connections),
        Default::default()
    );
    assert_eq!((all.answers, all.answers_timed), (2, 0));
    let some = facts(&[untimed(0), exchange(10, 10, Some(10)), untimed(20)], 100);
    assert_eq!((some.most_in_flight, some.most_open_connections), (Some(1), Some(1)));
    assert_eq!((some.answers, some.answers_timed), (3, 1));
}

#[test]
fn sizes_have_their_tail() {
    // 99 responses of 10 bytes and one of 1 010: half of all bytes.
    let mut exchanges: Vec<Exchange> =
        (0..99).map(|number| exchange(number * 10, number, Some(10))).collect();
    exchanges.push(exchange(990, 99, Some(1_010)));
    let facts = facts(&exchanges, 2_000);
    let spread = Spread { count: 100, p50: 10, p90: 10, p99: 10, max: 1_010 };
    assert_eq!(facts.response_sizes_bytes, Some(spread));
    let share = facts.response_bytes_top_share.unwrap();
    assert!((share - 1_010.0 / 2_000.0).abs() < 0.001, "{share}");
    assert!((facts.request_bytes_top_share.unwrap() - 0.01).abs() < 1e-9);
    assert_eq!((facts.request_bytes, facts.response_bytes), (10_000, 2_000));
    let latency = facts.last_byte_ns.unwrap();
    assert_eq!((latency.p50 / 10_000, latency.max / 1_000_000), (1_000, 1_010));
    // Even gaps do not vary.
    assert!(facts.gaps_scv.unwrap() < 1e-9);
}

#[test]
fn an_empty_recording_has_no_facts() {
    let facts = facts(&[], 0);
    assert_eq!((facts.most_open_connections, facts.gaps_scv, facts.plateau), (None, None, None));
    assert_eq!((facts.request_sizes_bytes, facts.request_bytes_top_share), (None, None));
}

#[test]
fn routes_beyond_the_bound_are_counted_together() {
    let mut contents = Contents::default();
    for number in 0..MAX_ROUTES + 7 {
        let mut one = exchange(0, 0, None);
        one.route = format!("/{number}");
        contents.add(&one);
    }
    assert_eq!(contents.routes.len(), MAX_ROUTES + 1);
    assert_eq!(contents.routes[OTHER], 7);
}

/// Two routes of half a megabyte that begin alike.
#[test]
fn long_names_of_routes_are_cut_and_stay_apart() {
    let (mut contents, mut reads) = (Contents::default(), crate::shape::reads::Reads::default());
    for number in 0..4 {
        let mut long = exchange(number, 1, None);
        long.route = format!("/{}{}", "ä".repeat(250_000), number % 2);
        long.target = format!("/{number}");
        contents.add(&long);
        reads.add_exchange(&long);
    }
    let names: Vec<&String> = contents.routes.keys().collect();
    assert!(contents.routes.values().all(|count| *count == 2), "{names:?}");
    assert!(names.len() == 2 && names.iter().all(|name| name.len() < 1_100), "{names:?}");
    assert!(names[0].starts_with("GET /ää") && reads.route(0).len() < 1_100);
    assert_ne!(reads.route(0), reads.route(1));
    contents.add(&exchange(9, 1, None));
    assert_eq!(contents.routes["GET /"], 1, "a short name is as it is");
}
