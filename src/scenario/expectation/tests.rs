use std::time::Duration;

use super::*;
use crate::scenario::acts::ActName;
use crate::scenario::expectation::clauses::After;

#[test]
fn every_metric_statistic_and_operator_is_read() {
    for (text, metric, stat, op, value) in [
        (
            "latency p99 < 250ms",
            MetricName::Latency,
            Some(Stat::Percentile(99.0)),
            Comparison::Below,
            250e6,
        ),
        (
            "service p99.9<=1.5s",
            MetricName::Service,
            Some(Stat::Percentile(99.9)),
            Comparison::AtMost,
            1.5e9,
        ),
        ("lateness max < 1s", MetricName::Lateness, Some(Stat::Max), Comparison::Below, 1e9),
        (
            "  connection-wait   mean > 10us ",
            MetricName::ConnectionWait,
            Some(Stat::Mean),
            Comparison::Above,
            1e4,
        ),
        ("errors < 0.1%", MetricName::Errors, None, Comparison::Below, 0.001),
        ("completeness >= 100%", MetricName::Completeness, None, Comparison::AtLeast, 1.0),
        ("status-changes <= 0%", MetricName::StatusChanges, None, Comparison::AtMost, 0.0),
    ] {
        let expectation = Expectation::parse(text).unwrap();
        assert_eq!((expectation.metric, expectation.stat), (metric, stat));
        let compared = expectation.compared().unwrap();
        assert_eq!(compared.0, op);
        assert!((compared.1 - value).abs() <= value * 1e-12, "{text}");
        assert_eq!(expectation.clauses, Clauses::default());
        assert_eq!(expectation.text, text.trim());
    }
}

#[test]
fn a_mistake_is_pointed_at() {
    for (text, column, message) in [
        ("", 1, "there is no operator"),
        ("latency p99", 12, "there is no operator"),
        ("< 5ms", 1, "no metric"),
        ("latencey p99 < 5ms", 1, "unknown metric `latencey`"),
        ("Latency p99 < 5ms", 1, "unknown metric"),
        ("latency < 5ms", 9, "needs a statistic"),
        ("latency p(99) < 5ms", 9, "unknown statistic `p(99)`"),
        ("latency avg < 5ms", 9, "unknown statistic `avg`"),
        ("latency p0 < 5ms", 9, "unknown statistic"),
        ("latency p101 < 5ms", 9, "unknown statistic"),
        ("latency pNaN < 5ms", 9, "unknown statistic"),
        ("latency p1e1 < 5ms", 9, "unknown statistic `p1e1`"),
        ("latency p99 max < 5ms", 13, "one word too many"),
        ("errors p99 < 1%", 8, "single number"),
        ("latency p99 == 5ms", 13, "`==` is not an operator"),
        ("latency p99 ≤ 5ms", 13, "is not an operator"),
        ("latency p99 < 5", 15, "has no unit"),
        ("latency p99 <", 14, "there is no value"),
        ("latency p99 < 5%", 15, "is not a duration"),
        ("errors < 0.001", 10, "has no unit"),
        ("errors < 5ms", 10, "has no percent sign"),
        ("rate > 5ms", 8, "does not begin with a number"),
        ("rate > 0/s", 8, "is no rate"),
        ("errors < 1% and 2%", 13, "ends with its value"),
        ("errors < 0.1% over", 19, "there is no time"),
        ("errors < 0.1% over after", 20, "there is no time"),
        ("errors < 0.1% over 30", 20, "has no unit"),
        ("errors < 0.1% over 1ms", 20, "out of range"),
        ("errors < 0.1% over 25h", 20, "25h is out of range"),
        ("errors < 0.1% over 30s over 5s", 24, "for the second time"),
        ("errors < 0.1% over 30s 40s", 24, "`40s` is no clause"),
        ("errors < 0.1% in cold", 18, "`in` is followed by `act`"),
        ("errors < 0.1% in act", 21, "there is no act"),
        ("errors < 0.1% in act clod", 22, "unknown act `clod`"),
        ("errors < 0.1% over 5s in act canary", 23, "`canary` does not measure a load"),
        ("errors < 0.1% in act cold in act cold", 27, "for the second time"),
        ("errors < 0.1% abort in act cold", 15, "it is always the replay"),
        ("errors < baseline in act cold", 19, "tells of its replay only"),
        ("redis.clients 900", 18, "there is no operator"),
        ("redis.clients < many", 17, "`many` is not a plain number"),
        ("redis.clients < 9 10", 17, "`9 10` is not a plain number"),
        ("redis.clients < 9 over 5", 24, "has no unit"),
        ("redis.clients < 9 after warmup", 19, "when it was warm"),
        ("redis.clients < 9 for route /a", 19, "knows no requests"),
        ("redis.clients < 9 with >= 5 samples", 19, "knows no requests"),
        ("redis.clients < 9 abort", 19, "ends a run by a rule"),
        ("redis.clients within 5% of 9", 29, "there is no operator"),
        ("errors < 0.1% for /cart/*", 19, "`for` is followed by `route`"),
        ("errors < 0.1% for route", 24, "there is no route"),
        ("errors < 0.1% with >= samples", 20, "no number of samples"),
        ("errors < 0.1% with 10 samples", 20, "no number of samples"),
        ("service p99 < 1s over 30s", 18, "`service` is not kept by the second"),
        ("completeness > 99% after 30s", 20, "`completeness` is not kept by the second"),
        ("service p99 < 1s for route /a", 18, "`service` is not kept by route"),
        ("errors < 1% over 30s for route /a", 13, "for the whole run"),
        ("latency p99 < recorded over 30s", 24, "for the whole run only"),
        ("latency p99 < baseline over 30s", 24, "of its whole run only"),
        ("latency p99 < baseline after 30s", 24, "of its whole run only"),
        ("errors < baseline for route /a", 19, "not kept by route"),
        ("status-changes < baseline", 1, "does not tell its `status-changes`"),
        ("latency p99 < 0x baseline", 15, "no multiple of what the baseline"),
        ("errors < 2x recorded", 13, "there is no `errors` in a recording"),
        ("latency p99 < twice recorded", 15, "no multiple"),
        ("latency p99 < -1x recorded", 15, "no multiple"),
        ("latency p99 < 0x recorded", 15, "no multiple"),
        ("latency p99 < 1x 2x recorded", 15, "no multiple"),
        ("rate within 5%", 13, "that it is to be near to"),
        ("rate within 5 of recorded", 13, "has no unit"),
        ("rate within 5% of", 18, "does not begin with a number"),
        ("rate > 5/s abort", 12, "cannot end a run"),
        ("latency p99 < recorded abort", 24, "only a plain value"),
        ("errors < 1% for route /a abort", 26, "neither routes nor warm-up"),
        ("errors < 1% after warmup abort", 26, "neither routes nor warm-up"),
        ("errors < 1% over 6m abort", 21, "5m at most"),
        ("warmup > 1m", 8, "has a longest time"),
        ("warmup within 5% of 1m", 8, "has a longest time"),
        ("warmup < recorded", 10, "there is no `warmup` in a recording"),
        ("warmup < 2x baseline", 1, "does not tell its `warmup`"),
        ("warmup p99 < 1m", 8, "without a statistic"),
        ("warmup < 10", 10, "has no unit"),
        ("warmup < 1m in act capacity", 13, "what the act `cold` measures"),
        ("rate > 5/s in act capacity", 12, "a multiple of this `rate`"),
        ("errors < baseline in act capacity", 19, "tells of its replay only"),
        ("warmup < 1m in act replay", 13, "what the act `cold` measures"),
        ("warmup < 1m for route /a", 13, "not kept by route"),
        ("warmup < 1m with >= 5 samples", 13, "has no samples"),
        ("warmup < 1m abort", 13, "cannot end a run"),
        ("µ p99 < 5", 1, "unknown metric"),
    ] {
        let error = Expectation::parse(text).unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn no_number_is_never_a_pass() {
    for op in [Comparison::Below, Comparison::AtMost, Comparison::Above, Comparison::AtLeast] {
        assert!(!op.holds(f64::NAN, 1.0));
    }
    assert!(Comparison::AtMost.holds(1.0, 1.0) && !Comparison::Below.holds(1.0, 1.0));
    assert!(Comparison::AtLeast.holds(1.0, 1.0) && !Comparison::Above.holds(1.0, 1.0));
}

#[test]
fn what_narrows_it_down_is_read_in_any_order() {
    let read = |text: &str| Expectation::parse(text).unwrap().clauses;
    let all = read("latency p99 < 1s with >= 1_000 samples for route GET /cart/* over 2500ms");
    assert_eq!((all.samples, all.over), (Some(1_000), Some(Duration::from_secs(3))));
    assert_eq!((all.route.as_deref(), all.after, all.abort), (Some("GET /cart/*"), None, None));
    let late = read("errors < 1% abort after 1m after 30s over 10s");
    assert_eq!(late.abort, Some(Duration::from_mins(1)));
    assert_eq!(late.after, Some(After::Time(Duration::from_secs(30))));
    assert_eq!(read("latency p50 < 1s after warmup").after, Some(After::Warmup));
    assert_eq!(read("errors < 1% abort").abort, Some(Duration::ZERO));
}

#[test]
fn it_is_held_against_the_recording_and_from_both_sides() {
    let read = |text: &str| Expectation::parse(text).unwrap().bound;
    assert_eq!(
        read("latency p99 < 1.10x recorded"),
        Bound::Compared(Comparison::Below, Value::TimesRecorded(1.1))
    );
    assert_eq!(
        read("errors <= 2x baseline"),
        Bound::Compared(Comparison::AtMost, Value::TimesBaseline(2.0))
    );
    let Bound::Within(share, Value::TimesRecorded(factor)) = read("rate within 5% of recorded")
    else {
        panic!("it has two sides")
    };
    assert!((share - 0.05).abs() < 1e-12 && (factor - 1.0).abs() < 1e-12);
    let Bound::Within(_, Value::Absolute(rate)) = read("throughput within 0.5% of 90/1m") else {
        panic!("it has two sides")
    };
    assert!((rate - 1.5).abs() < 1e-12);
    assert_eq!(Expectation::parse("rate within 5% of recorded").unwrap().compared(), None);
    // Rates are recorded by the second, and a baseline has the latency of routes.
    for text in ["rate within 5% of recorded over 30s", "latency p99 < baseline for route /a"] {
        assert!(Expectation::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn the_opposite_is_said_without_clauses() {
    let opposite = |text: &str| Expectation::parse(text).unwrap().opposite();
    assert_eq!(opposite("errors<10% over 30s abort").as_deref(), Some("errors >= 10%"));
    assert_eq!(opposite("latency p99 >= 1s").as_deref(), Some("latency p99 < 1s"));
    assert_eq!(opposite("rate within 5% of recorded"), None);
}

#[test]
fn an_act_and_a_figure_of_a_probe_are_read() {
    let read = |text: &str| Expectation::parse(text).unwrap();
    let cold = read("latency p99 < 2s over 10s in act cold");
    assert_eq!((cold.clauses.act, cold.metric), (Some(ActName::Cold), MetricName::Latency));
    assert!(!cold.clauses.are_of_the_replay() && !cold.clauses.are_of_the_whole());
    let figure = read(" n.x{a=\"b in c\"} <= -1.5 over 3s in act canary ");
    assert_eq!((figure.metric, figure.figure.as_str()), (MetricName::Probe, "n.x{a=\"b in c\"}"));
    assert_eq!(figure.compared(), Some((Comparison::AtMost, -1.5)));
    assert_eq!(figure.clauses.act, Some(ActName::Canary));
    assert_eq!(figure.clauses.over, Some(Duration::from_secs(3)));
    assert_eq!(figure.text, "n.x{a=\"b in c\"} <= -1.5 over 3s in act canary");
}

#[test]
fn a_warm_up_is_always_that_of_the_act_cold() {
    for text in ["warmup < 10m", "warmup <= 600s in act cold"] {
        let read = Expectation::parse(text).unwrap();
        assert_eq!((read.metric, read.clauses.act), (MetricName::Warmup, Some(ActName::Cold)));
        assert_eq!(read.compared().map(|(_, ns)| ns), Some(6e11), "{text}");
        assert!(Expectation::option(text).is_err());
    }
}

/// Only the load of the replay bounds how late the replay may be.
#[test]
fn a_bound_of_another_act_is_none_of_the_replay() {
    let of = |text: &str, act| tightest_latency(&[Expectation::parse(text).unwrap()], act);
    let bound = |text: &str| of(text, ActName::Replay);
    assert_eq!(bound("latency p99 < 250ms in act cold"), None);
    assert_eq!(bound("latency p99 < 250ms in act replay"), bound("latency p99 < 250ms"));
    assert_eq!(bound("latency p99 < 250ms in act capacity"), None);
    for text in ["latency p99 < 250ms", "latency p99 < 250ms in act capacity"] {
        assert_eq!(of(text, ActName::Capacity), Some(250e6), "{text}");
    }
    assert_eq!(of("latency p99 < 250ms in act replay", ActName::Capacity), None);
}

/// What a trial of a multiple is held against: not the rate of the recorded load, which any other
/// multiple breaks, and figures of probes only where they are asked for.
#[test]
fn trials_are_held_against_what_any_multiple_can_hold() {
    for (text, expected) in [
        ("latency p99 < 250ms", true),
        ("errors < 1% in act capacity", true),
        ("rate within 5% of recorded", true),
        ("rate within 5% of 500/s", false),
        ("throughput > 400/s over 5s", false),
        ("errors < 1% in act replay", false),
        ("errors < 1% in act cold", false),
        ("errors < 2x baseline", false),
        ("warmup < 10m", false),
        ("redis.connected_clients < 900", false),
        ("redis.connected_clients < 900 in act replay", false),
        ("redis.connected_clients < 900 in act capacity", true),
    ] {
        assert_eq!(Expectation::parse(text).unwrap().is_of_trials(), expected, "{text}");
    }
}

#[test]
fn a_load_without_a_scenario_has_neither_acts_nor_probes() {
    for text in ["redis.clients < 9", "errors < 1% in act cold"] {
        let told = Expectation::option(text).unwrap_err().to_string();
        assert!(told.contains("has no acts and no probes"), "{told}");
    }
    let told = Expectation::option("errors < 1").unwrap_err().to_string();
    assert!(told.contains("(character 10 of `errors < 1`)"), "{told}");
    assert!(Expectation::option("errors < 1%").is_ok());
}
