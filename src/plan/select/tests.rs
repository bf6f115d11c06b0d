//! Windows, groups, and what is left out.

use super::*;

use crate::protocol::Protocol;

fn outline(at_ms: u64, connection: u64, session: u64) -> Outline {
    Outline {
        at: Duration::from_millis(at_ms),
        connection,
        session,
        seq: 0,
        protocol: Protocol::Http1,
        method: "GET".to_owned(),
        target: 0,
        request_body_bytes: 0,
        status: None,
        response_body_bytes: None,
        first_byte: None,
        last_byte: None,
        flags: Flags::default(),
    }
}

fn busiest_of(at_ms: &[u64], length_ms: u64) -> (u128, u128) {
    let rows: Vec<_> = at_ms.iter().map(|at| Ok(outline(*at, 0, 0))).collect();
    let mut rows: Rows<Outline> = Box::new(rows.into_iter());
    let (start, end) = busiest(&mut rows, Duration::from_millis(length_ms)).unwrap();
    (start.as_millis(), end.as_millis())
}

#[test]
fn the_busiest_window_is_the_earliest_of_the_fullest() {
    // A bucket is 1 ms here.
    for (reason, at_ms, window) in [
        ("three beat two", &[0, 1, 5000, 5001, 5002][..], (4003, 5003)),
        ("the first of two equal ones", &[2000, 2001, 9000, 9001], (1002, 2002)),
        ("a pair that lies just too far apart is none", &[0, 1000, 2500, 2900], (1901, 2901)),
        ("the window does not begin before the recording", &[3, 4], (0, 1000)),
        ("an empty recording", &[], (0, 1000)),
        ("one request", &[77_000], (76_001, 77_001)),
    ] {
        assert_eq!(busiest_of(at_ms, 1000), window, "{reason}");
    }
}

#[test]
fn the_busiest_window_takes_no_memory_for_idle_years() {
    assert_eq!(busiest_of(&[1, u64::MAX / 2_000_000], 1), (0, 1));
    let tiny = Duration::from_nanos(1);
    let mut rows: Rows<Outline> = Box::new([Ok(outline(1, 0, 0))].into_iter());
    let moment = Duration::from_millis(1);
    assert_eq!(busiest(&mut rows, tiny).unwrap(), (moment, moment + tiny));
}

#[test]
fn a_clock_window_is_of_the_first_day_that_has_it() {
    const HOUR: u32 = 3600;
    const HOUR_NS: i64 = 3_600_000_000_000;
    let hours = |hours: u64| Duration::from_hours(hours);
    // 20 days after the epoch, and 5 hours before it.
    for (started, from, to, span) in [
        (480 * HOUR_NS + 8 * HOUR_NS, 9 * HOUR, 10 * HOUR, (hours(1), hours(2))),
        (480 * HOUR_NS + 8 * HOUR_NS, 7 * HOUR, 9 * HOUR, (hours(0), hours(1))),
        (480 * HOUR_NS + 23 * HOUR_NS, HOUR, 2 * HOUR, (hours(2), hours(3))),
        (480 * HOUR_NS + 23 * HOUR_NS, 23 * HOUR, 25 * HOUR, (hours(0), hours(2))),
        // It began the evening before.
        (480 * HOUR_NS + HOUR_NS, 23 * HOUR, 26 * HOUR, (hours(0), hours(1))),
        (480 * HOUR_NS + 2 * HOUR_NS, 23 * HOUR, 26 * HOUR, (hours(21), hours(24))),
        (-5 * HOUR_NS, 20 * HOUR, 21 * HOUR, (hours(1), hours(2))),
    ] {
        assert_eq!(clock_span(started, from, to), span, "{started} {from}");
    }
    let (from, to) = clock_span(i64::MIN, 0, 48 * HOUR);
    assert!(from < to);
}

#[test]
fn groups_are_tied_by_shared_connections_and_by_sessions() {
    let mut ties = Ties::default();
    for (connection, session) in [
        (5, 100),
        (3, 100), // One session on two connections.
        (9, 200),
        (9, 300), // Two sessions on one connection.
        (7, 300), // Which ties a third connection to it.
        (8, 400),
        (1, 500),
        (6, 500), // The later one takes over the smaller number.
    ] {
        ties.tie(connection, session, true).unwrap();
    }
    let (groups, largest) = ties.groups();
    let groups: BTreeMap<u64, u64> = groups.into_iter().collect();
    assert_eq!(groups, [(1, 1), (3, 3), (5, 3), (6, 1), (7, 7), (8, 8), (9, 7)].into());
    assert!((largest - 0.375).abs() < 1e-9);
}

#[test]
fn a_request_is_left_out_for_one_reason() {
    let all = MethodPolicy::All;
    let safe = MethodPolicy::Only(vec!["GET".to_owned()]);
    let both = |a: Flags, b: Flags| Flags(a.0 | b.0);
    for (flags, method, policy, reason) in [
        (Flags::default(), "GET", &safe, None),
        (Flags::default(), "POST", &all, None),
        (Flags::default(), "POST", &safe, Some(Skip::Method)),
        (Flags::default(), "get", &safe, Some(Skip::Method)),
        (Flags::default(), "CONNECT", &all, Some(Skip::Tunnel)),
        (Flags::UPGRADED, "GET", &all, None),
        (Flags::MALFORMED, "GET", &all, Some(Skip::Malformed)),
        (Flags::AMBIGUOUS_FRAMING, "GET", &all, Some(Skip::AmbiguousFraming)),
        (Flags::REQUEST_TRUNCATED, "POST", &all, Some(Skip::BodyNotWhole)),
        (both(Flags::REQUEST_TRUNCATED, Flags::MALFORMED), "X", &safe, Some(Skip::Malformed)),
        // Odd, but it can be sent again.
        (Flags::RESPONSE_TRUNCATED, "GET", &safe, None),
        (Flags::MID_STREAM, "GET", &safe, None),
        (Flags::REDACTED, "GET", &safe, None),
        (Flags::CHUNKED, "GET", &safe, None),
        (Flags::PIPELINED, "GET", &safe, None),
        (Flags::GAP, "GET", &safe, None),
    ] {
        let found = skip_reason(Protocol::Http1, flags, method, policy);
        assert_eq!(found, reason, "{flags:?} {method}");
    }
    let other = skip_reason(Protocol::Http3, Flags::MALFORMED, "GET", &all);
    assert_eq!(other, Some(Skip::OtherProtocol));
    assert_eq!(skip_reason(Protocol::Http2, Flags::GAP, "GET", &safe), None);
    let cached = skip_reason(Protocol::Http3, Flags::FROM_CACHE, "GET", &all);
    assert_eq!(cached, Some(Skip::FromCache));
}
