//! Holds the scenario's expectations against the summary.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::scenario::expectation::{Comparison, Expectation, MetricName, Stat};
use crate::stats::counts::{as_f64, as_index};
use crate::summary::Summary;
use crate::units::{format_duration, format_share};
use crate::verdict::{CheckedExpectation, Outcome};

/// Checks one expectation. Without data it is `Unknown`, never met.
///
/// A request that never got an answer was not fast: where a percentile of latency or service lies
/// among those, it is longer than any bound.
pub fn check(expectation: &Expectation, summary: &Summary) -> CheckedExpectation {
    let (outcome, actual) = match measure(expectation, summary) {
        Err(reason) => (Outcome::Unknown, reason),
        Ok((value, text)) if holds(expectation.op, value, expectation.value) => {
            (Outcome::Pass, text)
        }
        Ok((_, text)) => (Outcome::Fail, text),
    };
    CheckedExpectation { text: expectation.text.clone(), outcome, actual }
}

fn holds(op: Comparison, actual: f64, bound: f64) -> bool {
    match op {
        Comparison::Below => actual < bound,
        Comparison::AtMost => actual <= bound,
        Comparison::Above => actual > bound,
        Comparison::AtLeast => actual >= bound,
    }
}

/// The value in the metric's own unit and as text, or why there is none.
fn measure(expectation: &Expectation, summary: &Summary) -> Result<(f64, String), String> {
    let time = |histogram: &Histogram<u64>, requests: u64| {
        let stat = expectation.stat.ok_or("it names no statistic such as p99")?;
        measure_time(histogram, requests, stat)
    };
    match expectation.metric {
        MetricName::Latency => time(&summary.latency, summary.arrivals),
        MetricName::Service => time(&summary.service, summary.sent.total),
        MetricName::Lateness => time(&summary.lateness, summary.lateness.len()),
        MetricName::ConnectionWait => time(&summary.connection_wait, summary.offered.total),
        MetricName::Errors => {
            share(summary.errors, summary.arrivals - unsent(summary), "no request was sent")
        }
        MetricName::Completeness => {
            share(summary.sent.total, summary.arrivals, "nothing was planned")
        }
        MetricName::StatusChanges => share(
            summary.status_changes,
            summary.evidence.answers_compared,
            "there is no answer whose recorded status is known",
        ),
    }
}

/// A statistic of the `requests` of which those in the histogram came to an end.
fn measure_time(
    histogram: &Histogram<u64>,
    requests: u64,
    stat: Stat,
) -> Result<(f64, String), String> {
    if histogram.is_empty() {
        return Err("there is no answer to measure".into());
    }
    let missing = requests.saturating_sub(histogram.len());
    let missing_share = as_f64(missing) / as_f64(requests.max(1));
    let beyond = match stat {
        Stat::Percentile(percentile) => Some(1.0 - percentile / 100.0),
        Stat::Max => Some(0.0),
        Stat::Mean => None,
    };
    if missing > 0 && beyond.is_some_and(|beyond| missing_share > beyond) {
        let text = format!("no end: {} of the requests had none", format_share(missing_share));
        return Ok((f64::INFINITY, text));
    }
    let ns = match stat {
        Stat::Percentile(percentile) => as_f64(histogram.value_at_percentile(percentile)),
        Stat::Max => as_f64(histogram.max()),
        Stat::Mean => histogram.mean(),
    };
    Ok((ns, format_duration(Duration::from_nanos(as_index(ns) as u64))))
}

fn share(part: u64, whole: u64, without: &str) -> Result<(f64, String), String> {
    if whole == 0 {
        return Err(without.to_owned());
    }
    let share = as_f64(part) / as_f64(whole);
    Ok((share, format_share(share)))
}

/// Arrivals that never left this machine.
fn unsent(summary: &Summary) -> u64 {
    summary
        .fates
        .iter()
        .filter(|(name, _)| name.starts_with("unsent"))
        .map(|(_, count)| count)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Fate, Unsent};
    use crate::summary::examples::{answered, arrival, failed};

    /// 100 arrivals answered after 1 to 100 ms, the first `lost` of them refused instead.
    fn summary(lost: u64) -> Summary {
        let mut summary = Summary::new();
        for index in 0..100 {
            let arrival = arrival(index, Duration::from_millis(index * 10));
            let service = Duration::from_millis(index + 1);
            let sample = if index < lost {
                failed(&arrival, Fate::Refused)
            } else {
                answered(&arrival, service)
            };
            summary.add(&arrival, &sample);
        }
        summary
    }

    fn outcome(line: &str, summary: &Summary) -> Outcome {
        check(&Expectation::parse(line).unwrap(), summary).outcome
    }

    #[test]
    fn each_metric_is_held_against_its_bound() {
        let summary = summary(0);
        for (line, expected) in [
            ("latency p50 < 60ms", Outcome::Pass),
            ("latency p50 < 40ms", Outcome::Fail),
            ("latency max > 99ms", Outcome::Pass),
            ("service mean <= 51ms", Outcome::Pass),
            ("service mean >= 52ms", Outcome::Fail),
            ("lateness p99 < 1ms", Outcome::Pass),
            ("connection-wait p99 < 10us", Outcome::Fail),
            ("errors < 0.1%", Outcome::Pass),
            ("completeness >= 100%", Outcome::Pass),
            ("completeness > 100%", Outcome::Fail),
            ("status-changes < 1%", Outcome::Pass),
        ] {
            assert_eq!(outcome(line, &summary), expected, "{line}");
        }
    }

    #[test]
    fn a_percentile_among_the_unanswered_is_no_pass() {
        let summary = summary(3);
        assert_eq!(outcome("latency p97 < 1s", &summary), Outcome::Pass);
        assert_eq!(outcome("latency p98 < 1s", &summary), Outcome::Fail);
        assert_eq!(outcome("latency max < 1s", &summary), Outcome::Fail);
        assert_eq!(outcome("errors < 3%", &summary), Outcome::Fail);
        let checked = check(&Expectation::parse("latency p99 < 1s").unwrap(), &summary);
        assert_eq!(checked.actual, "no end: 3 % of the requests had none");
    }

    #[test]
    fn no_data_is_unknown() {
        let empty = Summary::new();
        let mut unsent = Summary::new();
        let arrival = arrival(0, Duration::ZERO);
        let fate = Fate::Unsent { reason: Unsent::LocalResources };
        unsent.add(&arrival, &failed(&arrival, fate));
        for line in [
            "latency p99 < 250ms",
            "service p99 < 250ms",
            "connection-wait max < 1s",
            "errors < 1%",
            "status-changes < 1%",
        ] {
            assert_eq!(outcome(line, &empty), Outcome::Unknown, "{line}");
            assert_eq!(outcome(line, &unsent), Outcome::Unknown, "{line}");
        }
        assert_eq!(outcome("lateness p99 < 1ms", &empty), Outcome::Unknown);
        assert_eq!(outcome("completeness >= 99%", &empty), Outcome::Unknown);
        assert_eq!(outcome("completeness >= 99%", &unsent), Outcome::Fail);
    }

    #[test]
    fn values_are_formatted_with_their_unit() {
        let checked = check(&Expectation::parse("latency p50 < 60ms").unwrap(), &summary(0));
        assert_eq!(checked.actual, "50.1 ms");
        assert_eq!(checked.text, "latency p50 < 60ms");
    }
}
