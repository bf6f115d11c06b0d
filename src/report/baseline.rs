//! A saved run as what expectations are held against.

use std::collections::BTreeMap;

use crate::report::earlier::Pair;
use crate::report::measured::missing_beyond;
use crate::report::model::{Quantiles, Report, RouteRow};
use crate::scenario::expectation::MetricName;
use crate::shape::OTHER_ROUTES;
use crate::stats::counts::as_f64;
use crate::stats::histograms::Stat;
use crate::verdict::expectations::baseline::{Baseline, key};

/// The figures of `saved`, where it was the same load as `current` under the same conditions: the
/// same that `compare` asks for. `current` needs no verdict yet.
pub fn baseline(saved: &Report, name: &str, current: &Report) -> Baseline {
    let refused = |reason: String| Baseline {
        name: name.to_owned(),
        refused: Some(reason),
        ..Baseline::default()
    };
    let pair = match Pair::of(saved, name, current) {
        Ok(pair) => pair,
        Err(damaged) => return refused(damaged.to_string()),
    };
    if let Some(reason) = pair.not_valid() {
        return refused(format!("its {reason}"));
    }
    if let Some(first) = pair.differences().first() {
        return refused(format!(
            "{} was {} and is {}: {}",
            first.field,
            first.before,
            first.now,
            first.condition.hint()
        ));
    }
    let is_listed = |row: &&RouteRow| row.route != OTHER_ROUTES;
    let routes = saved.routes.iter().filter(is_listed);
    Baseline {
        name: name.to_owned(),
        refused: None,
        values: whole(saved),
        routes: routes.map(|row| (row.route.clone(), of_route(row))).collect(),
        hides: saved.other_routes.routes > 0 || !saved.routes.iter().all(|row| is_listed(&row)),
    }
}

type Values = BTreeMap<String, f64>;

fn whole(saved: &Report) -> Values {
    let totals = &saved.totals;
    let mut values = Values::new();
    let asked = totals.planned.saturating_sub(totals.unsent);
    for (metric, part, all) in [
        (MetricName::Errors, totals.errors, asked),
        (MetricName::Completeness, totals.sent, totals.planned),
    ] {
        if all > 0 {
            values.insert(key(metric, None), as_f64(part) / as_f64(all));
        }
    }
    let [latency, service] = [&saved.latency, &saved.service].map(Option::as_ref);
    let [lateness, wait] = [&saved.lateness, &saved.connection_wait].map(Option::as_ref);
    let count = |quantiles: Option<&Quantiles>| quantiles.map_or(0, |it| it.count);
    times(&mut values, MetricName::Latency, latency, totals.planned);
    times(&mut values, MetricName::Service, service, totals.sent);
    times(&mut values, MetricName::Lateness, lateness, count(lateness));
    times(&mut values, MetricName::ConnectionWait, wait, asked.max(count(wait)));
    values
}

fn of_route(row: &RouteRow) -> Values {
    let mut values = Values::new();
    times(&mut values, MetricName::Latency, row.latency.as_ref(), row.arrivals);
    values
}

/// Adds the statistics of times that a saved run keeps: of those that ended. Where enough of the
/// requests had no end to move a statistic of all of them, it is not there.
fn times(values: &mut Values, metric: MetricName, quantiles: Option<&Quantiles>, requests: u64) {
    let Some(quantiles) = quantiles else { return };
    let Quantiles { p50_ns, p90_ns, p95_ns, p99_ns, p99_9_ns, max_ns, mean_ns, count } = *quantiles;
    // A version without p95 says 0.
    let p95_ns = Some(p95_ns).filter(|ns| *ns >= p90_ns);
    for (percentile, ns) in [
        (50.0, Some(p50_ns)),
        (90.0, Some(p90_ns)),
        (95.0, p95_ns),
        (99.0, Some(p99_ns)),
        (99.9, Some(p99_9_ns)),
    ] {
        let is_whole = missing_beyond(percentile / 100.0, count, requests).is_none();
        if let Some(ns) = ns.filter(|_| is_whole) {
            values.insert(key(metric, Some(Stat::Percentile(percentile))), as_f64(ns));
        }
    }
    if requests <= count {
        values.insert(key(metric, Some(Stat::Max)), as_f64(max_ns));
        values.insert(key(metric, Some(Stat::Mean)), as_f64(mean_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 000 requests of which so many were answered.
    fn told(answers: u64, p95_ns: u64) -> Values {
        let quantiles = Quantiles { p50_ns: 0, p95_ns, ..Quantiles::example(answers) };
        let mut values = Values::new();
        times(&mut values, MetricName::Latency, Some(&quantiles), 1_000);
        values
    }

    fn keys(values: &Values) -> Vec<&str> {
        values.keys().map(|key| key.trim_start_matches("latency ")).collect()
    }

    /// What never ended is beyond all that did: p99 of the answers is no p99 of the requests, and a
    /// run with as many losses would be held against a value that is too low.
    #[test]
    fn statistics_that_losses_moved_are_not_told() {
        let all = ["max", "mean", "p50", "p90", "p95", "p99", "p99.9"];
        assert_eq!(keys(&told(1_000, 3)), all);
        assert_eq!(keys(&told(999, 3)), ["p50", "p90", "p95", "p99"], "one of the ten slowest");
        assert_eq!(keys(&told(998, 3)), ["p50", "p90", "p95"]);
        assert_eq!(keys(&told(960, 3)), ["p50"]);
        assert_eq!(keys(&told(500, 3)), [""; 0], "half of all: it is not the median of all");
    }

    #[test]
    fn what_a_version_did_not_keep_is_not_told_and_no_time_is_one() {
        assert!(!told(1_000, 0).contains_key("latency p95"));
        assert_eq!(told(1_000, 3).get("latency p50"), Some(&0.0));
    }
}
