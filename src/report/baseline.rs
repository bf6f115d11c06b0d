//! A saved run as what expectations are held against.

use std::collections::BTreeMap;

use crate::compare::conditions::differences;
use crate::report::measured::measured;
use crate::report::model::{Quantiles, Report};
use crate::scenario::expectation::MetricName;
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
    let (before, now) = match (measured(saved, name), measured(current, "this run")) {
        (Ok(before), Ok(now)) => (before, now),
        (Err(damaged), _) | (_, Err(damaged)) => return refused(damaged.to_string()),
    };
    if let Some(reason) = before.not_valid {
        return refused(format!("its {reason}"));
    }
    if let Some(difference) = differences(&before, &now).first() {
        let said = |value: Option<&str>| value.unwrap_or("not told").to_owned();
        return refused(format!(
            "{} was {} and is {}: {}",
            difference.field,
            said(difference.first),
            said(difference.other),
            difference.condition.hint()
        ));
    }
    Baseline {
        name: name.to_owned(),
        refused: None,
        values: whole(saved),
        routes: saved.routes.iter().map(|row| (row.route.clone(), of_route(row))).collect(),
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

fn of_route(row: &crate::report::model::RouteRow) -> Values {
    let mut values = Values::new();
    times(&mut values, MetricName::Latency, row.latency.as_ref(), row.arrivals);
    values
}

/// Adds the statistics of times that a saved run keeps. Those that lie among the requests without
/// an answer had no end, and are not there.
fn times(values: &mut Values, metric: MetricName, quantiles: Option<&Quantiles>, requests: u64) {
    let Some(quantiles) = quantiles else { return };
    let missing = as_f64(requests.saturating_sub(quantiles.count)) / as_f64(requests.max(1));
    let Quantiles { p50_ns, p90_ns, p95_ns, p99_ns, p99_9_ns, max_ns, mean_ns, .. } = *quantiles;
    for (percentile, ns) in
        [(50.0, p50_ns), (90.0, p90_ns), (95.0, p95_ns), (99.0, p99_ns), (99.9, p99_9_ns)]
    {
        // A version without p95 says 0.
        if missing <= 1.0 - percentile / 100.0 && ns > 0 {
            values.insert(key(metric, Some(Stat::Percentile(percentile))), as_f64(ns));
        }
    }
    if requests <= quantiles.count {
        values.insert(key(metric, Some(Stat::Max)), as_f64(max_ns));
    }
    values.insert(key(metric, Some(Stat::Mean)), as_f64(mean_ns));
}
