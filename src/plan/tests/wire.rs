//! How requests were sent, from the recording to the plan.

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Two connections; the end of the second is known.
fn two() -> (Closings, Vec<Exchange>) {
    let mut closings = Closings::default();
    closings.add(1, MS * 5_000);
    let rows = [(1_000, 0), (1_100, 1), (1_200, 0), (1_300, 1)];
    (closings, rows.map(|(at, connection)| exchange(at, connection, connection)).to_vec())
}

#[test]
fn a_connection_is_held_until_it_was_closed_in_the_time_of_the_run() {
    let (closings, rows) = two();
    let window = Window::Offset(MS * 1_000, MS * 60_000);
    let fast = Scenario { speed: 2.0, window, ..scenario() };
    let (facts, arrivals) = planned_with(closings.clone(), &rows, &fast).unwrap();
    let closes: Vec<_> = arrivals.iter().map(|it| (it.connection, it.recorded.closes)).collect();
    let held = Some(MS * 2_000);
    assert_eq!(closes, [(0, None), (1, held), (0, None), (1, held)]);
    assert_eq!(facts.peak_connections, 2);

    // Copies are held for as long, from their own moments on.
    let twice = Scenario { scale: 2.0, ..scenario() };
    let (_, arrivals) = planned_with(closings, &rows, &twice).unwrap();
    for arrival in arrivals.iter().filter(|it| it.recorded.closes.is_some()) {
        let left = arrival.recorded.closes.unwrap().saturating_sub(arrival.due);
        let recorded = if arrival.seq == 0 { MS * 3_900 } else { MS * 3_700 };
        assert_eq!(left, recorded);
    }
    assert_eq!(arrivals.iter().filter(|it| it.recorded.closes.is_some()).count(), 4);
}

/// A connection that is held is open, though nothing is asked on it any more.
#[test]
fn what_is_held_counts_as_open() {
    let (closings, rows) = two();
    let late = [&rows[..], &[exchange(4_000, 2, 2)]].concat();
    let peak = |closings| planned_with(closings, &late, &scenario()).unwrap().0.peak_connections;
    assert_eq!((peak(closings), peak(Closings::default())), (2, 2));
    let (closings, _) = two();
    let apart = [exchange(0, 1, 1), exchange(4_000, 2, 2)];
    let peak = |closings| planned_with(closings, &apart, &scenario()).unwrap().0.peak_connections;
    assert_eq!((peak(closings), peak(Closings::default())), (2, 1));
}

#[test]
fn what_a_client_did_is_in_the_plan() {
    let (_, mut rows) = two();
    let head =
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
    rows[0].method = "PUT".to_owned();
    rows[0].request_head = format!("{head}\r\n").into();
    rows[0].request_body = Bytes::from_static(b"abc");
    rows[0].request_body_bytes = 3;
    rows[0].request_chunks = Some(Bytes::from_static(b"1\r\n\r\n2\r\n\r\n0\r\nX: y\r\n\r\n"));
    // The first cannot have been: more followed on its connection.
    rows[1].flags.insert(Flags::HALF_CLOSED);
    rows[3].flags.insert(Flags::HALF_CLOSED);
    let (_, arrivals) = planned(&rows, &scenario()).unwrap();
    let of = |arrival: &Arrival| (arrival.recorded.expects, arrival.recorded.half_closes);
    let seen: Vec<_> = arrivals.iter().map(of).collect();
    assert_eq!(seen, [(true, false), (false, false), (false, false), (false, true)]);
    assert_eq!(arrivals[0].body, &b"1\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n"[..]);
    assert!(
        arrivals[0].head.ends_with(b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
    );
}

/// The switch is replayed where it is known how it was asked for, and a person is told of the rest.
#[test]
fn a_switch_of_protocols_is_replayed_and_told() {
    let (_, mut rows) = two();
    for row in &mut rows[..2] {
        row.flags.insert(Flags::UPGRADED);
    }
    let asking =
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    rows[0].request_head = asking.into();
    let (facts, arrivals) = planned(&rows, &scenario()).unwrap();
    assert_eq!((arrivals.len(), facts.skipped.get("connection upgraded")), (3, Some(&1)));
    let told = "1 connections went on in another protocol";
    assert!(facts.warnings.iter().any(|text| text.contains(told)), "{:?}", facts.warnings);
}

/// Copies begin like the connection that they are copies of.
#[test]
fn connections_begin_as_they_were_recorded() {
    let rows: Vec<Exchange> = (0..30).map(|index| exchange(index * 50, index % 3, index)).collect();
    let twice = Scenario { scale: 2.0, ..scenario() };
    let (_, arrivals) = planned_with(Closings::default(), &rows, &twice).unwrap();
    let stride = 3;
    for arrival in &arrivals {
        let expected =
            [Some(false), Some(true), None][usize::try_from(arrival.connection).unwrap() % stride];
        assert_eq!(arrival.recorded.resumed, expected, "{}", arrival.connection);
    }
    assert!(
        arrivals
            .iter()
            .any(|arrival| arrival.connection > 2 && arrival.recorded.resumed == Some(true))
    );
}
