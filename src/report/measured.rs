//! What of a saved run is compared with other runs.

mod facts;
mod probed;
mod routes;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::act::Evidence;
use crate::act::capacity::seen::{Capacity, Ended};
use crate::act::cold::compare::Comparison;
use crate::act::cold::warming::warming;
use crate::compare::metric::Metric;
use crate::compare::run::Run;
use crate::report::measured::facts::{conditions, nodes, word};
use crate::report::model::{Quantiles, Report, SCHEMA_VERSION, Within};
use crate::report::text::nanos;
use crate::stats::counts::as_f64;
use crate::stats::histograms::nanoseconds;
use crate::stats::shares::Share;
use crate::units::{format_count, format_share};
use crate::verdict::{Finding, Outcome, RunOutcome, abort, hold};

/// A saved run whose numbers contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {field} {problem}; the file is damaged, or was changed: run again")]
pub struct Damaged {
    /// The file.
    pub name: String,
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Most labels of a run that are kept; no run is written with more.
const MAX_LABELS: usize = 20;

/// What can be compared of a run. `name` is what its file is called by.
pub fn measured(report: &Report, name: &str) -> Result<Run, Damaged> {
    check(report).map_err(|(field, problem)| Damaged {
        name: name.to_owned(),
        field: field.to_owned(),
        problem,
    })?;
    let labels = report.labels.iter().take(MAX_LABELS);
    let mut run = Run {
        name: name.to_owned(),
        started: moment(&report.started).map_or_else(String::new, |at| {
            // In one zone and one form, so that they have the order of time as text, too.
            at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        }),
        labels: labels.map(|(key, value)| (word(key), word(value))).collect(),
        conditions: conditions(report),
        software: BTreeMap::new(),
        not_valid: not_valid(report),
        content: content(report),
        values: BTreeMap::new(),
        errors: None,
        quantiles: Vec::new(),
        within: report.within.iter().filter_map(within).collect(),
        routes: BTreeMap::new(),
        unlisted: 0,
    };
    for performed in &report.acts {
        match &performed.evidence {
            Evidence::Fingerprint(seen) => nodes(seen, &mut run),
            Evidence::Cold(cold) => {
                if let Some(comparison) = &cold.comparison {
                    warm_up(comparison, &mut run.values);
                }
            }
            Evidence::Capacity(seen) => {
                run.values.insert(Metric::Capacity, capacity(seen));
            }
            _ => {}
        }
    }
    if report.totals.planned > 0 {
        load(report, &mut run);
        routes::add(report, &mut run);
    }
    Ok(run)
}

/// The multiple that was found, as it was planned; a bound of it is no value.
fn capacity(seen: &Capacity) -> Result<f64, String> {
    if let Some(why) = &seen.untried {
        return Err(format!("no load was tried: {}", word(why)));
    }
    let held = seen.held.filter(|held| held.is_finite() && *held > 0.0);
    match (held, seen.failed) {
        (Some(_), None) => Err("no load that was tried was too much".to_owned()),
        (None, _) => Err("not even the lowest load that was tried held".to_owned()),
        (Some(_), Some(_)) if !seen.is_confirmed => {
            Err("the search ended before most trials agreed on it".to_owned())
        }
        (Some(_), Some(_)) if seen.ended != Some(Ended::Found) => {
            Err("the search ended before it had found the multiple".to_owned())
        }
        (Some(held), Some(_)) => Ok(seen.multiple_at(held)),
    }
}

fn moment(started: &str) -> Option<Timestamp> {
    started.parse().ok()
}

/// Sums and orders that every run keeps to.
fn check(report: &Report) -> Result<(), (&'static str, String)> {
    let totals = &report.totals;
    if report.schema_version != SCHEMA_VERSION {
        let known = format!("is {}, this program reads {SCHEMA_VERSION}", report.schema_version);
        return Err(("schema_version", known));
    }
    if moment(&report.started).is_none() {
        let told = word(&report.started);
        let problem = format!("is `{told}` and no moment such as 2026-03-01T02:00:00Z");
        return Err(("started", problem));
    }
    let fates: u128 = report.fates.values().map(|count| u128::from(*count)).sum();
    if fates != u128::from(totals.planned) {
        let problem =
            format!("come to {fates}, but totals.planned is {}", format_count(totals.planned));
        return Err(("fates", problem));
    }
    for (field, count) in [
        ("totals.errors", totals.errors),
        ("totals.answered", totals.answered),
        ("totals.unsent", totals.unsent),
        ("totals.sent", totals.sent),
    ] {
        if count > totals.planned {
            return Err((field, format!("is {count}, more than totals.planned")));
        }
    }
    reconciled(report)?;
    for (field, quantiles) in [("latency", &report.latency), ("service", &report.service)] {
        let Some(quantiles) = quantiles else { continue };
        if quantiles.count > totals.planned || quantiles.count == 0 {
            return Err((field, format!("counts {} values", quantiles.count)));
        }
        if !ladder(quantiles).map(|(_, ns)| ns).is_sorted() {
            return Err((field, "has quantiles that fall".to_owned()));
        }
    }
    Ok(())
}

/// What is counted twice comes to the same.
fn reconciled(report: &Report) -> Result<(), (&'static str, String)> {
    let totals = &report.totals;
    let sum = |counts: &mut dyn Iterator<Item = u64>| counts.map(u128::from).sum::<u128>();
    let unsent = report.fates.iter().filter(|(name, _)| name.starts_with("unsent"));
    let answered = report.fates.get("answered").copied().unwrap_or(0);
    let statuses = sum(&mut report.statuses.values().copied());
    let replies = sum(&mut report.replies.values().copied());
    let latencies = report.latency.as_ref().map_or(0, |latency| latency.count);
    for (field, count, other, expected) in [
        ("totals.answered", totals.answered.into(), "fates", answered.into()),
        ("totals.unsent", totals.unsent.into(), "fates", sum(&mut unsent.map(|(_, count)| *count))),
        ("latency", latencies.into(), "totals.answered", totals.answered.into()),
        ("statuses", statuses + replies, "totals.answered", u128::from(totals.answered)),
    ] {
        if count != expected {
            return Err((field, format!("counts {count}, but {other} {expected}")));
        }
    }
    Ok(())
}

/// Quantiles by rising quantile. What a version had not is 0 there, and stands as the one below.
fn ladder(quantiles: &Quantiles) -> [(f64, u64); 6] {
    let Quantiles { p50_ns, p90_ns, p95_ns, p99_ns, p99_9_ns, max_ns, .. } = *quantiles;
    let p95_ns = if p95_ns == 0 { p90_ns } else { p95_ns };
    [(0.5, p50_ns), (0.9, p90_ns), (0.95, p95_ns), (0.99, p99_ns), (0.999, p99_9_ns), (1.0, max_ns)]
}

/// Why a run says nothing of its target, or only of a part of its load.
fn not_valid(report: &Report) -> Option<String> {
    let headline = || word(&report.headline);
    let failed = |check: &str| {
        report.findings.iter().any(|each| each.check == check && each.outcome == Outcome::Fail)
    };
    match report.verdict {
        RunOutcome::Invalid => Some(format!("verdict is INVALID ({})", headline())),
        RunOutcome::Interrupted => Some("verdict is INTERRUPTED".to_owned()),
        RunOutcome::Pass | RunOutcome::Fail if failed(abort::CHECK) => {
            Some("findings: a rule ended it early (abort)".to_owned())
        }
        RunOutcome::Pass | RunOutcome::Fail if report.findings.iter().any(is_hold) => {
            Some("findings: it was held for a while (hold)".to_owned())
        }
        RunOutcome::Pass | RunOutcome::Fail => None,
    }
}

fn is_hold(finding: &Finding) -> bool {
    finding.check == hold::CHECK
}

/// Two runs never measure the same to the nanosecond.
fn content(report: &Report) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Report { started, totals, latency, service, lateness, health, .. } = report;
    let measured = (started, totals, latency, service, lateness, health.seconds.to_bits());
    format!("{measured:?}").hash(&mut hasher);
    hasher.finish()
}

/// An interval of a quantile by the run alone, where it is one.
fn within(told: &Within) -> Option<(f64, [f64; 2])> {
    let Within { q, low_ns, high_ns } = *told;
    let is_one = q > 0.0 && q < 1.0 && low_ns > 0 && low_ns <= high_ns;
    is_one.then(|| (q, [as_f64(low_ns), as_f64(high_ns)]))
}

type Values = BTreeMap<Metric, Result<f64, String>>;

fn warm_up(comparison: &Comparison, values: &mut Values) {
    let requests = |of: &dyn Fn(&crate::act::cold::compare::Bin) -> u64| {
        comparison.bins.iter().map(of).fold(0_u64, u64::saturating_add)
    };
    if let Some([cold, warm]) = comparison.origin_reads {
        let all = [
            (Metric::ColdReads, cold, requests(&|bin| bin.cold.requests)),
            (Metric::WarmReads, warm, requests(&|bin| bin.warm.requests)),
        ];
        for (metric, reads, requests) in all {
            values.insert(metric, Ok(reads.max(0.0) / as_f64(requests.max(1))));
        }
    }
    let steady = warming(comparison).and_then(|warming| {
        let steady = warming.p50.steady.zip(warming.p95.steady);
        steady.ok_or_else(|| "the cold run never became as fast as the warm one".to_owned())
    });
    let longest = steady.map(|(p50, p95)| as_f64(nanoseconds(p50.max(p95))));
    values.insert(Metric::WarmUp, longest);
}

/// What the replay, or the load, measured.
fn load(report: &Report, run: &mut Run) {
    let totals = &report.totals;
    let asked = totals.planned - totals.unsent;
    if asked == 0 {
        return;
    }
    let errors = Share { part: totals.errors.min(asked), whole: asked };
    run.errors = Some(errors);
    run.values.insert(Metric::Errors, Ok(errors.ratio()));
    latencies(report.latency.as_ref(), asked, run);
    let seconds = report.health.seconds;
    if seconds.is_finite() && seconds > 0.0 {
        run.values.insert(Metric::Throughput, Ok(as_f64(totals.answered) / seconds));
    }
    run.values.insert(Metric::Connections, Ok(as_f64(totals.connections_opened)));
    probed::add(report, asked, run);
}

/// Quantiles that are compared.
const COMPARED: [(Metric, f64); 4] = [
    (Metric::LatencyP50, 0.5),
    (Metric::LatencyP95, 0.95),
    (Metric::LatencyP99, 0.99),
    (Metric::LatencyP999, 0.999),
];

/// So much of the requests beyond a quantile may have had no answer: of lognormal latencies with a
/// standard deviation of 0.6, as those of `simulated`, p50 is then low by 4 %, and p99 by 2 %.
const MOST_MISSING: f64 = 0.1;

/// The share of the requests that had no answer, where it is too large beside what lies beyond a
/// quantile. What was never answered was not fast, and is beyond all that was measured: the
/// quantile of all requests is a higher one of those that were answered.
pub(in crate::report) fn missing_beyond(q: f64, answers: u64, asked: u64) -> Option<f64> {
    let missing = as_f64(asked.saturating_sub(answers)) / as_f64(asked.max(1));
    (missing > (1.0 - q) * MOST_MISSING).then_some(missing)
}

/// An interval of a quantile needs so many values over the share beyond it (science, section 10).
const NEEDED: f64 = 5.66;

fn latencies(latency: Option<&Quantiles>, asked: u64, run: &mut Run) {
    let Some(latency) = latency else {
        for (metric, _) in COMPARED {
            run.values.insert(metric, Err("nothing was answered".to_owned()));
        }
        return;
    };
    let supported = |q: f64| {
        if let Some(missing) = missing_beyond(q, latency.count, asked) {
            return Err(format!("{} of the requests had no answer", format_share(missing)));
        }
        let needed = NEEDED / (1.0 - q);
        if as_f64(latency.count) < needed {
            let few = format_count(latency.count);
            return Err(format!("{few} answers, {needed:.0} are needed"));
        }
        Ok(())
    };
    for (q, ns) in ladder(latency).into_iter().filter(|(q, _)| *q < 1.0) {
        let is_known = (q - 0.95).abs() > 1e-9 || latency.p95_ns > 0;
        let value = if is_known {
            supported(q).map(|()| as_f64(ns))
        } else {
            Err("of a version without p95".to_owned())
        };
        if let Ok(ns) = value {
            run.quantiles.push((q, ns));
        }
        if let Some((metric, _)) = COMPARED.iter().find(|(_, compared)| (compared - q).abs() < 1e-9)
        {
            run.values.insert(*metric, value);
        }
    }
}

/// A quantile's value for people.
pub(crate) fn time(ns: f64) -> String {
    nanos(crate::stats::counts::as_index(ns) as u64)
}
