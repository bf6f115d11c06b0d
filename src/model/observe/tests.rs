use ::bytes::Bytes;

use super::*;
use crate::model::routes::Seen;
use crate::recording::Response;

fn exchange(session: u64, at: Duration) -> Exchange {
    Exchange {
        at,
        connection: session,
        session,
        seq: 0,
        stream: None,
        protocol: Protocol::Http1,
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority: "shop.example".to_owned(),
        target: "/".to_owned(),
        route: "/".to_owned(),
        request_head: Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"),
        request_body: Bytes::new(),
        request_body_bytes: 0,
        request_stored: None,
        request_chunks: None,
        response: Some(Response {
            status: 200,
            head: Bytes::new(),
            body_bytes: Some(u64::MAX),
            digest: None,
            shape: None,
            first_byte: Some(Duration::MAX),
            last_byte: None,
        }),
        flags: Flags::default(),
    }
}

fn observation() -> Observation {
    Observation::new(Seen::default().table(false), false)
}

#[test]
fn sessions_that_begin_when_no_more_steps_are_kept_are_in_the_rate() {
    let mut seen = observation();
    seen.most_events = 10;
    for second in 0..50 {
        seen.add(&exchange(second, Duration::from_secs(second)));
    }
    assert_eq!((seen.starts.len(), seen.owners.len(), seen.events.len()), (50, 50, 10));
    assert_eq!((seen.lasts.len(), seen.requests), (10, 50));
    assert!((seen.latest - 49.0).abs() < 1e-9);
    assert_eq!(seen.beyond, BTreeMap::from([(NOT_STEPS, 40)]));
    assert!(seen.left_out.is_empty(), "{:?}", seen.left_out);
}

/// Twenty visits of one client are one client, and not twenty.
#[test]
fn visits_of_one_client_have_one_owner() {
    let (mut one, mut many) = (observation(), observation());
    for visit in 0..20 {
        let at = Duration::from_secs(visit * 3_600);
        one.add(&exchange(7, at));
        many.add(&exchange(visit, at));
    }
    assert_eq!((one.starts.len(), many.starts.len()), (20, 20));
    for (seen, enough) in [(one, false), (many, true)] {
        let owners: Owners = seen.owners.iter().copied().collect();
        let asked = seen.routes.last().unwrap();
        assert_eq!(owners.are_enough(), enough);
        assert_eq!(asked.statuses[&200].1.are_enough(), enough);
        let of_heads: Owners = asked.head.kept.iter().map(|(_, owner)| *owner).collect();
        assert_eq!(of_heads.are_enough(), enough);
    }
}

#[test]
fn times_and_sizes_without_end_have_one() {
    let mut seen = observation();
    seen.add(&exchange(1, Duration::ZERO));
    let asked = seen.routes.last().unwrap();
    assert_eq!((asked.answer.kept[0].0, asked.first_byte.kept[0].0), (LARGEST, LONGEST));
}

#[test]
fn sessions_that_are_over_are_looked_for_now_and_then_and_not_each_time() {
    let mut seen = observation();
    seen.step(1, 1, 0.0, 0);
    seen.looked_for = 2_000.0;
    assert!(seen.forget(2_100.0) && seen.open.len() == 1, "too soon to look");
    assert!(seen.forget(2_180.0) && seen.open.is_empty());
}
