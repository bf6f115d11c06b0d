//! What the fold keeps.

use super::*;

fn seen(ms: u64, connection: u64) -> Sight {
    Sight { at: Duration::from_millis(ms), connection, session: connection, ..Sight::default() }
}

fn profile(requests: &[Sight]) -> Profile {
    let mut profiler = Profiler::default();
    for request in requests {
        profiler.add(request);
    }
    profiler.finish(&[Arc::from("GET /"), Arc::from("GET /item/*")])
}

#[test]
fn moments_count_from_the_first_request_on() {
    let profile = profile(&[seen(5_000, 0), seen(5_010, 0), seen(6_000, 1)]);
    assert_eq!(profile.first, Some(Duration::from_secs(5)));
    assert_eq!(profile.length, Duration::from_secs(1));
    assert_eq!((profile.shape.counts[0], profile.shape.counts[1]), (1, 1));
    assert_eq!(profile.shape.counts[100], 1);
    assert_eq!(profile.shape.opens, [1, 1]);
    assert_eq!(profile.gaps.len(), 2);
    assert!((profile.rate() - 3.0).abs() < 1e-9);
}

#[test]
fn connections_routes_and_flights_are_counted() {
    let answered = |ms, connection, route, took| Sight {
        route,
        took: Some(Duration::from_millis(took)),
        response_bytes: Some(100),
        request_bytes: 7,
        ..seen(ms, connection)
    };
    let requests = [
        answered(0, 0, 0, 20),
        answered(5, 1, 1, 20),
        answered(100, 0, 1, 10),
        answered(200, 0, 1, 10),
    ];
    let profile = profile(&requests);
    assert_eq!(profile.most_in_flight, 2);
    assert!((profile.waited - 0.06).abs() < 1e-9);
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
    let far = Sight { route: u32::MAX, took: Some(Duration::MAX), ..seen(1, u64::MAX) };
    let profile = profile(&[far, Sight { at: Duration::MAX, ..far }, seen(0, 0)]);
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
