use std::borrow::Cow;

use super::*;
use crate::probe::record::Readings;
use crate::stats::histograms::{coarse_times, record_time};

fn rule(text: &str) -> AbortRule {
    AbortRule::parse(text).unwrap()
}

fn window(sent: u64, errors: u64, answers_ms: &[u64]) -> Window {
    let mut latency = coarse_times();
    for ms in answers_ms {
        record_time(&mut latency, ms * 1_000_000);
    }
    Window { sent, errors, latency, failed: coarse_times() }
}

fn holds(text: &str, window: &Window) -> Option<bool> {
    look_at(&rule(text), window).map(|seen| seen.holds)
}

#[test]
fn errors_are_a_share_of_what_was_sent() {
    let errors = "errors > 10% over 1s";
    assert_eq!(holds(errors, &window(100, 11, &[])), Some(true));
    assert_eq!(holds(errors, &window(100, 10, &[])), Some(false));
    assert_eq!(holds(errors, &window(0, 0, &[])), None, "nothing sent says nothing");
    let seen = look_at(&rule(errors), &window(4, 2, &[])).unwrap();
    assert_eq!(seen.text, "50 % of 4 requests");
}

#[test]
fn latency_counts_what_never_was_answered_as_slow() {
    let p50 = "latency p50 > 2s over 1s";
    assert_eq!(holds(p50, &window(3, 0, &[10, 2_100, 2_200])), Some(true));
    assert_eq!(holds(p50, &window(3, 0, &[10, 10, 2_200])), Some(false));
    assert_eq!(holds(p50, &window(3, 2, &[10])), Some(true), "two of three had no answer");
    assert_eq!(holds("latency mean > 2s over 1s", &window(3, 2, &[10])), Some(false));
    assert_eq!(holds("latency max >= 2s over 1s", &window(2, 0, &[10, 2_500])), Some(true));
    assert_eq!(holds(p50, &window(3, 3, &[])), None, "no answer is no latency");
}

/// A probe that looked once a second.
fn record(kind: SeriesKind, values: &[f64]) -> Record {
    let mut record = Record { name: "redis".to_owned(), ..Record::default() };
    for (second, value) in (0_u64..).zip(values) {
        let values = vec![(Cow::from("connected_clients"), kind, "", *value)];
        record.add(second * 1_000_000_000, Readings { values, ..Readings::default() });
    }
    record
}

fn at(started: u64, now_ms: u64) -> Moments {
    Moments { started: Duration::from_secs(started), now: Duration::from_millis(now_ms) }
}

fn probed(text: &str, record: &Record, started: u64, now_ms: u64) -> Option<bool> {
    let rule = rule(text);
    let AbortOn::Probe { name } = &rule.what else { panic!("{text}") };
    let moments = at(started, now_ms);
    look_at_probe(name, &rule, std::slice::from_ref(record), moments).map(|seen| seen.holds)
}

#[test]
fn a_gauge_is_judged_at_each_look() {
    let rising = record(SeriesKind::Gauge, &[1.0, 800.0, 901.0, 950.0]);
    let one = "redis.connected_clients > 900";
    assert_eq!(probed(one, &rising, 0, 3_200), Some(true));
    assert_eq!(probed("redis.connected_clients > 950", &rising, 0, 3_200), Some(false));
    assert_eq!(probed("redis.other > 1", &rising, 0, 3_200), None);
    assert_eq!(probed("valkey.connected_clients > 1", &rising, 0, 3_200), None);
    assert_eq!(probed("redis.connected_clients > 900 over 1s", &rising, 0, 3_000), Some(true));
    assert_eq!(probed("redis.connected_clients > 900 over 2s", &rising, 0, 3_000), Some(false));
    assert_eq!(probed("redis.connected_clients > 1 over 2s", &rising, 2, 3_000), None, "too soon");
    assert_eq!(probed(one, &rising, 4, 4_500), None, "what was seen before is not of this replay");
}

#[test]
fn a_probe_that_sees_nothing_ends_nothing() {
    let mut blind = record(SeriesKind::Gauge, &[901.0, 902.0]);
    blind.fail(2_000_000_000, "connection refused");
    assert_eq!(probed("redis.connected_clients > 900", &blind, 0, 2_100), None);
    assert_eq!(probed("redis.connected_clients > 900 over 1s", &blind, 0, 2_100), None);
}

#[test]
fn a_counter_is_judged_by_its_growth() {
    let counter = record(SeriesKind::Counter, &[500.0, 500.0, 503.0, 503.0]);
    assert_eq!(probed("redis.connected_clients > 2 over 2s", &counter, 0, 3_500), Some(true));
    assert_eq!(probed("redis.connected_clients > 3 over 2s", &counter, 0, 3_500), Some(false));
    assert_eq!(probed("redis.connected_clients > 0 over 1s", &counter, 0, 3_500), Some(false));
    assert_eq!(probed("redis.connected_clients > 2", &counter, 1, 3_500), Some(true));
    assert_eq!(probed("redis.connected_clients > 3", &counter, 1, 3_500), Some(false));
    assert_eq!(probed("redis.connected_clients > 2", &counter, 0, 3_500), None, "none before it");
}
