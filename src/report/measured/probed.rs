//! What the probes of a run saw, as far as it is compared.

use std::time::Duration;

use crate::compare::metric::Metric;
use crate::compare::run::Run;
use crate::probe::record::Record;
use crate::report::measured::facts::word;
use crate::report::model::Report;
use crate::scenario::redis::is_redis;
use crate::stats::counts::as_f64;
use crate::stats::histograms::nanoseconds;

/// The kinds of probes, their gauge of connections, and their counter of what they were asked.
type Probed = (&'static str, (Metric, &'static str), (Metric, &'static str));

const PROBED: [Probed; 3] = [
    (
        "redis",
        (Metric::RedisClients, "connected_clients"),
        (Metric::RedisCommands, "total_commands_processed"),
    ),
    ("mysql", (Metric::MysqlThreads, "Threads_connected"), (Metric::MysqlQuestions, "Questions")),
    (
        "postgres",
        (Metric::PostgresConnections, "connections"),
        (Metric::PostgresCommits, "xact_commit"),
    ),
];

/// Adds them. Of several probes of a kind, the highest level and the sum of what they were asked
/// count; where one of them was blind, neither is known: what is left would look like less.
pub(super) fn add(report: &Report, asked: u64, run: &mut Run) {
    let seconds = report.health.seconds;
    let from = report.replay_started_ns.unwrap_or(0);
    let length = Duration::try_from_secs_f64(seconds).map_or(0, nanoseconds);
    let to = from.saturating_add(length);
    for (kind, peak, counted) in PROBED {
        let probes = || report.probes.iter().filter(move |probe| probe.kind == kind);
        let levels = probes().map(|probe| (probe, most(probe, peak.1, from)));
        if let Some(highest) = of_all(levels, f64::max) {
            run.values.insert(peak.0, highest);
        }
        // A Redis that is the target itself is asked by the load alone.
        if is_redis(&report.target) {
            continue;
        }
        let rates = probes().map(|probe| (probe, probe.rate_between(counted.1, from, to)));
        if let Some(rate) = of_all(rates, |sum, rate| sum + rate) {
            run.values.insert(counted.0, rate.map(|rate| rate * seconds / as_f64(asked)));
        }
    }
}

/// What all of them come to; `None` where none saw anything, as where there is none.
fn of_all<'a>(
    seen: impl Iterator<Item = (&'a Record, Option<f64>)>,
    join: fn(f64, f64) -> f64,
) -> Option<Result<f64, String>> {
    let (mut all, mut blind) = (None, None);
    for (probe, value) in seen {
        match value {
            Some(value) => all = Some(all.map_or(value, |all| join(all, value))),
            None => blind = blind.or(Some(probe)),
        }
    }
    let all = all?;
    Some(match blind {
        Some(probe) => Err(format!("the probe {} saw too little", word(&probe.name))),
        None => Ok(all),
    })
}

fn most(probe: &Record, metric: &str, from: u64) -> Option<f64> {
    let points = probe.metric(metric)?.points.iter().filter(|(at, _)| *at >= from);
    points.map(|(_, value)| *value).filter(|value| value.is_finite()).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(value: Option<f64>) -> (Record, Option<f64>) {
        (Record { name: "redis-2".to_owned(), ..Record::default() }, value)
    }

    /// Two of three that answer are not three that are asked less.
    #[test]
    fn one_that_is_blind_makes_all_unknown() {
        let all = |values: &[Option<f64>]| {
            let records: Vec<_> = values.iter().map(|value| seen(*value)).collect();
            let seen = records.iter().map(|(record, value)| (record, *value));
            of_all(seen, |sum, value| sum + value)
        };
        assert_eq!(all(&[Some(1.0), Some(2.0)]), Some(Ok(3.0)));
        assert_eq!(all(&[None, None]), None);
        assert_eq!(all(&[]), None);
        for blind in [[Some(1.0), None], [None, Some(1.0)]] {
            let told = all(&blind).unwrap().unwrap_err();
            assert_eq!(told, "the probe redis-2 saw too little");
        }
    }
}
