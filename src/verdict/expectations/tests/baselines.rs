//! Expectations beside an earlier run, and beside what production took for a route.

use std::collections::BTreeMap;

use super::*;

fn against(line: &str, baseline: Option<&Baseline>) -> CheckedExpectation {
    let summary = summary(0);
    let length = Duration::from_secs(1);
    let seen = Seen { summary: &summary, length, is_recorded: true, baseline };
    check(&Expectation::parse(line).unwrap(), &seen)
}

/// 100 answers of 1 to 100 ms, beside a baseline whose p50 was 40 ms.
#[test]
fn a_baseline_is_held_against_and_never_where_it_was_another_load() {
    let values = |ms: f64| BTreeMap::from([("latency p50".to_owned(), ms * 1e6)]);
    let baseline = Baseline {
        name: "old".to_owned(),
        refused: None,
        values: values(40.0),
        routes: BTreeMap::from([("GET /item/*".to_owned(), values(60.0))]),
        hides: false,
    };
    for (line, outcome, told) in [
        ("latency p50 < 1.5x baseline", Outcome::Pass, "; baseline 40 ms"),
        ("latency p50 < 1.10x baseline", Outcome::Fail, "; baseline 40 ms"),
        ("latency p50 within 30% of baseline", Outcome::Pass, "; baseline 40 ms"),
        ("latency p50 < baseline for route /item/*", Outcome::Pass, "; baseline 60 ms"),
        ("latency p50 < baseline for route /cart/*", Outcome::Fail, "no request was sent"),
        ("latency p99 < 9x baseline", Outcome::Unknown, "does not tell its latency p99"),
        ("errors <= baseline", Outcome::Unknown, "does not tell its errors"),
    ] {
        let checked = against(line, Some(&baseline));
        assert_eq!(checked.outcome, outcome, "{line}: {}", checked.actual);
        assert!(checked.actual.contains(told), "{line}: {}", checked.actual);
    }
    let hiding = Baseline { hides: true, ..baseline.clone() };
    let checked = against("latency p50 < baseline for route /item/*", Some(&hiding));
    assert_eq!(checked.outcome, Outcome::Unknown, "others may fit, too");
    assert!(checked.actual.contains("some of the others may fit"), "{}", checked.actual);
    let refused = Some("facts.fingerprint was a and is b: other bytes".to_owned());
    let other = Baseline { refused, ..baseline };
    let checked = against("latency p50 < 9x baseline", Some(&other));
    assert_eq!(checked.outcome, Outcome::Unknown);
    assert!(checked.actual.contains("facts.fingerprint was a and is b"), "{}", checked.actual);
    assert_eq!(against("latency p50 < 9x baseline", None).outcome, Outcome::Unknown);
}

#[test]
fn a_route_is_held_against_what_production_took_for_it() {
    let mut summary = summary(0);
    for index in 0..100 {
        let mut arrival = arrival(index, Duration::from_millis(index));
        arrival.route = "GET /slow".into();
        arrival.recorded.latency = Some(Duration::from_millis(500));
        summary.add(&arrival, &answered(&arrival, Duration::from_millis(450)));
    }
    // Production took 2 ms for the other route.
    for (line, expected) in [
        ("latency p50 < recorded for route /slow", Outcome::Pass),
        ("latency p50 < 2x recorded for route /item/*", Outcome::Fail),
    ] {
        assert_eq!(outcome(line, &summary), expected, "{line}");
    }
}
