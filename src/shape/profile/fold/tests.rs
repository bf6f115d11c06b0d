//! What the fold keeps.

use std::sync::Arc;

use super::*;
use crate::recording::file::sights::names::Class;
use crate::shape::OTHER_ROUTES;

fn seen(ms: u64, connection: u64) -> Sight {
    let at_ns = ms * 1_000_000;
    Sight { at_ns, connection, session: connection, class: class("/"), ..Sight::default() }
}

fn class(route: &str) -> Class {
    Names::default().class("GET", route)
}

fn profile(requests: &[Sight]) -> Profile {
    let mut profiler = Profiler::default();
    for request in requests {
        profiler.add(request);
    }
    let mut names = Names::default();
    for route in ["/", "/item/7"] {
        names.class("GET", route);
    }
    profiler.finish(&names)
}

#[test]
fn moments_count_from_the_first_request_on() {
    let profile = profile(&[seen(5_000, 0), seen(5_010, 0), seen(6_000, 1)]);
    assert_eq!(profile.length, Duration::from_secs(1));
    assert_eq!((profile.shape.counts[0], profile.shape.counts[1]), (1, 1));
    assert_eq!(profile.shape.counts[100], 1);
    assert_eq!(profile.shape.opens, [1, 1]);
    assert_eq!(profile.gaps.len(), 2);
    assert!((profile.rate() - 3.0).abs() < 1e-9);
}

#[test]
fn connections_routes_and_flights_are_counted() {
    let answered = |ms, connection, route, took: u64| Sight {
        class: class(route),
        took_ns: Some(took * 1_000_000),
        response_bytes: Some(100),
        request_bytes: 7,
        ..seen(ms, connection)
    };
    let requests = [
        answered(0, 0, "/", 20),
        answered(5, 1, "/item/1", 20),
        answered(100, 0, "/item/2", 10),
        answered(200, 0, "/item/3", 10),
    ];
    let profile = profile(&requests);
    assert_eq!(profile.most_in_flight, 2);
    assert_eq!(profile.waited_ns, 60_000_000);
    assert_eq!((profile.reuse.len(), profile.reuse.max()), (2, 3));
    assert_eq!(profile.idle.len(), 2);
    assert!(profile.idle.max() >= 90_000_000);
    assert_eq!(profile.shape.mix[&Arc::from("GET /item/*") as &Arc<str>], 3);
    assert_eq!(profile.route_bytes.len(), 2);
    assert_eq!(profile.bytes, [28, 400]);
    let halves: u64 = profile.halves.iter().flat_map(BTreeMap::values).sum();
    assert_eq!(halves, 4);
}

#[test]
fn what_is_beyond_the_bounds_is_counted_and_nothing_else() {
    let nowhere = Class { method: u64::MAX, route: u64::MAX };
    let far = Sight { class: nowhere, took_ns: Some(u64::MAX), ..seen(1, u64::MAX) };
    let profile = profile(&[far, Sight { at_ns: u64::MAX, ..far }, seen(0, 0)]);
    assert_eq!((profile.not_followed, profile.beyond), (1, 1));
    assert_eq!(profile.shape.total, 2);
    assert_eq!(profile.shape.mix[&Arc::from(OTHER_ROUTES) as &Arc<str>], 1);
    assert!(profile.shape.counts.len() <= MAX_WINDOWS);
}

#[test]
fn a_profile_is_shifted_by_whole_windows() {
    let mut profile = profile(&[seen(0, 0), seen(10, 0), seen(30, 0)]);
    profile.shift(149);
    assert_eq!((profile.shape.counts.len(), profile.shape.opens.len()), (153, 2));
    profile.shift(-149);
    assert_eq!((&*profile.shape.counts, &*profile.shape.opens), (&[1, 1, 0, 1][..], &[1][..]));
    profile.shift(2);
    assert_eq!(profile.shape.counts, [0, 0, 1, 1, 0, 1]);
    profile.shift(-3);
    assert_eq!(profile.shape.counts, [2, 0, 1]);
    profile.shift(-9);
    assert_eq!(profile.shape.counts, [3]);
}

#[test]
fn gaps_have_their_variation_exactly() {
    let even: Vec<Sight> = (0..100).map(|n| seen(n * 10, 0)).collect();
    assert_eq!(profile(&even).gaps_scv(), Some(0.0));
    // Gaps of 10 and 30 ms by turns: mean 20, variance 100.
    let uneven: Vec<Sight> = (0..101).map(|n| seen(n * 20 + n % 2 * 10, 0)).collect();
    let scv = profile(&uneven).gaps_scv().unwrap();
    assert!((scv - 0.25).abs() < 1e-9, "{scv}");
    assert_eq!(profile(&even[..1]).gaps_scv(), None);
}

#[test]
fn a_request_depends_on_the_answer_before_it_in_its_session() {
    let answered = |ms, session, took: Option<u64>| Sight {
        session,
        took_ns: took.map(|ms| ms * 1_000_000),
        ..seen(ms, 0)
    };
    let requests = [
        answered(0, 1, Some(50)),
        answered(10, 2, Some(5)),
        // Before the answer to the first one; then after that to the second one.
        answered(40, 1, None),
        answered(45, 2, Some(5)),
        // The answer before has no end.
        answered(90, 1, Some(5)),
    ];
    assert_eq!(profile(&requests).dependent, [1, 2]);
}

/// A clock that steps back, and moments that repeat: nothing is lost, and no gap is below nothing.
#[test]
fn moments_that_repeat_or_run_backwards_are_counted() {
    let profile = profile(&[seen(1_000, 0), seen(1_000, 1), seen(400, 0), seen(2_000, 1)]);
    assert_eq!((profile.shape.total, profile.beyond), (4, 0));
    assert_eq!((profile.shape.counts[0], profile.shape.counts[100]), (3, 1));
    assert_eq!(profile.minutes.counts(1), [4]);
    assert_eq!((profile.gaps.len(), profile.length), (3, Duration::from_secs(1)));
    assert!(profile.keys.kept().is_sorted_by_key(|kept| kept.at_ns));
}
