//! A series of runs, one a night: since when is a metric another one?

mod news;

use std::collections::BTreeMap;

use crate::compare::Outcome;
use crate::compare::conditions::{Difference, differences};
use crate::compare::errors::LEAST as LEAST_ERRORS;
use crate::compare::history::news::{blind, outcome, statement};
use crate::compare::metric::{Metric, Quantity};
use crate::compare::run::Run;
use crate::stats::divisive::{
    Change, Permutations, Windows, by_permutations, by_windows, measured,
};
use crate::stats::effects::mean;
use crate::units::format_counted;

/// How changes are sought.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryOptions {
    /// Windows and thresholds, as Otava has them.
    pub windows: Windows,
    /// A change so many runs ago is news.
    pub recent: usize,
    /// The scenario; that of the newest run, where nobody said.
    pub scenario: Option<String>,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        let windows = Windows { length: 50, p: 0.001, magnitude: 0.05 };
        Self { windows, recent: 7, scenario: None }
    }
}

/// Fewer runs are too few for the usual thresholds, which is told.
pub const ENOUGH: usize = 30;

/// A run of the series.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Night {
    /// Its file or folder.
    pub name: String,
    /// Wall clock of its start, RFC 3339.
    pub started: String,
    /// What the user wrote on it.
    pub labels: BTreeMap<String, String>,
}

/// A metric over the series.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Trend {
    /// Which.
    pub metric: Metric,
    /// Its value in each run.
    pub values: Vec<Option<f64>>,
    /// Stretches of one level: the first run, the one after the last, and the mean.
    pub levels: Vec<(usize, usize, f64)>,
}

/// A change of a metric.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Changed {
    /// Which.
    pub metric: Metric,
    /// The first run after it, by its place in the series.
    pub at: usize,
    /// The name of that run.
    pub run: String,
    /// When that run was.
    pub started: String,
    /// Mean of the runs before, back to the change before.
    pub before: f64,
    /// Mean of the runs from there on.
    pub after: f64,
    /// The change: relative, or of a share its difference.
    pub change: f64,
    /// By Student's test.
    pub p: f64,
    /// It is for the worse.
    pub is_worse: bool,
    /// It is news.
    pub is_recent: bool,
    /// The same runs in random order can rarely be cut as well: it does not hang on a wild run.
    pub is_confirmed: bool,
    /// What else changed with that run: labels such as a commit, packages, the machine.
    pub since: Vec<String>,
}

/// A series of runs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct History {
    /// The scenario of its runs.
    pub scenario: String,
    /// Whether a change is news.
    pub outcome: Outcome,
    /// One sentence: the first thing that a tired person should know.
    pub statement: String,
    /// The runs, by their start.
    pub runs: Vec<Night>,
    /// The metrics that runs have.
    pub trends: Vec<Trend>,
    /// The changes, the latest first.
    pub changes: Vec<Changed>,
    /// What limits what is said, and what was left out.
    pub limits: Vec<String>,
}

/// Puts runs in a series and seeks its changes. Runs that are not of the series are left out, and
/// told; without any run of it the series is empty.
pub fn history(runs: Vec<Run>, options: &HistoryOptions) -> History {
    let (runs, scenario, mut limits) = series(runs, options);
    let mut trends = Vec::new();
    let mut changes = Vec::new();
    for metric in Metric::ALL {
        let values: Vec<Option<f64>> = runs.iter().map(|run| run.value(metric)).collect();
        let known: Vec<(usize, f64)> =
            values.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?))).collect();
        if known.is_empty() {
            continue;
        }
        let found = sought(metric, &known, options);
        trends.push(Trend { metric, levels: levels(&known, &found), values });
        changes.extend(found.iter().map(|change| changed(metric, change, &known, &runs, options)));
    }
    changes.sort_by(|a: &Changed, b| b.at.cmp(&a.at).then(a.metric.cmp(&b.metric)));
    if (1..ENOUGH).contains(&runs.len()) {
        limits.push(format!(
            "{} is a short history: {ENOUGH} and more show changes of a few percent",
            format_counted(runs.len() as u64, "run", "runs")
        ));
    }
    let blind = blind(&runs, options);
    let outcome = outcome(&runs, &changes, blind.is_some());
    History {
        statement: statement(outcome, &runs, &changes, (options, blind)),
        scenario,
        outcome,
        runs: runs
            .into_iter()
            .map(|run| Night { name: run.name, started: run.started, labels: run.labels })
            .collect(),
        trends,
        changes,
        limits,
    }
}

/// The runs that can be set beside the newest one, by their start; the scenario; what was left out.
fn series(mut runs: Vec<Run>, options: &HistoryOptions) -> (Vec<Run>, String, Vec<String>) {
    runs.sort_by(|a, b| (&a.started, &a.name).cmp(&(&b.started, &b.name)));
    let is_asked =
        |run: &Run| options.scenario.as_deref().is_none_or(|asked| scenario_of(run) == Some(asked));
    let newest = runs.iter().rev().find(|run| run.not_valid.is_none() && is_asked(run)).cloned();
    let mut left: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    runs.retain(|run| {
        let reason = if run.not_valid.is_some() {
            Some("not valid".to_owned())
        } else if !seen.insert(run.content) {
            Some("there twice".to_owned())
        } else {
            newest.as_ref().and_then(|newest| foreign(newest, run))
        };
        let keeps = reason.is_none();
        if let Some(reason) = reason {
            *left.entry(reason).or_default() += 1;
        }
        keeps
    });
    let told = left.into_iter().map(|(reason, count)| {
        format!("{} left out: {reason}", format_counted(count, "run was", "runs were"))
    });
    let told = told.collect();
    match newest {
        Some(newest) => (runs, scenario_of(&newest).unwrap_or_default().to_owned(), told),
        None => (Vec::new(), options.scenario.clone().unwrap_or_default(), told),
    }
}

fn scenario_of(run: &Run) -> Option<&str> {
    run.conditions.iter().find(|fact| fact.field == "scenario").map(|fact| fact.value.as_str())
}

/// Why a run does not belong to the series of another one.
fn foreign(newest: &Run, run: &Run) -> Option<String> {
    let mut all = differences(newest, run).into_iter();
    // The name of a load without a scenario is that of its target, and names the series.
    let is_foreign = |difference: &Difference<'_>| {
        !difference.condition.may_change_over_time() || difference.field == "scenario"
    };
    let difference = all.find(is_foreign)?;
    Some(match (difference.field, difference.other) {
        ("scenario", Some(other)) => format!("scenario {other} (see --scenario)"),
        (field, _) => format!("{field} is not that of the newest run"),
    })
}

fn sought(metric: Metric, known: &[(usize, f64)], options: &HistoryOptions) -> Vec<Change> {
    let values: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
    let mut found = by_windows(&values, options.windows);
    let size = |change: &Change| (change.after - change.before).abs();
    while metric.quantity() == Quantity::Share {
        let least = found.iter().min_by(|a, b| size(a).total_cmp(&size(b)));
        let Some(least) = least.filter(|change| size(change) < LEAST_ERRORS) else { break };
        // Those beside it have other means without it.
        let cuts = found.iter().map(|change| change.at).filter(|at| *at != least.at);
        found = measured(&values, &cuts.collect::<Vec<usize>>());
    }
    found
}

/// The stretches between changes.
fn levels(known: &[(usize, f64)], found: &[Change]) -> Vec<(usize, usize, f64)> {
    let starts = std::iter::once(0).chain(found.iter().map(|change| change.at));
    let ends = found.iter().map(|change| change.at).chain(std::iter::once(known.len()));
    starts
        .zip(ends)
        .filter_map(|(start, end)| {
            let part = known.get(start..end)?;
            let values: Vec<f64> = part.iter().map(|(_, value)| *value).collect();
            Some((part.first()?.0, part.last()?.0 + 1, mean(&values)))
        })
        .collect()
}

/// How the confirmation by permutations is done.
const CONFIRMED: Permutations = Permutations { count: 199, p: 0.05, seed: 11 };

/// Runs on either side that a change is confirmed by.
const AROUND: usize = 25;

/// A cut so many runs from a change is that change.
const NEAR: usize = 2;

/// Random orders confirm a change at this place, and not only one somewhere around it.
fn is_confirmed(values: &[f64], at: usize) -> bool {
    let from = at.saturating_sub(AROUND);
    let around = &values[from..(at + AROUND).min(values.len())];
    let points: Vec<[f64; 1]> = around.iter().map(|value| [*value]).collect();
    by_permutations(&points, CONFIRMED).iter().any(|cut| (cut + from).abs_diff(at) <= NEAR)
}

fn changed(
    metric: Metric,
    change: &Change,
    known: &[(usize, f64)],
    runs: &[Run],
    options: &HistoryOptions,
) -> Changed {
    let at = known[change.at].0;
    let values: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
    let previous = known[change.at - 1].0;
    Changed {
        metric,
        at,
        run: runs[at].name.clone(),
        started: runs[at].started.clone(),
        before: change.before,
        after: change.after,
        change: match metric.quantity() {
            Quantity::Share => change.after - change.before,
            _ => change.relative(),
        },
        p: change.p,
        is_worse: (change.after - change.before) * metric.worse() > 0.0,
        is_recent: runs.len() - at <= options.recent,
        is_confirmed: is_confirmed(&values, change.at),
        since: since(&runs[previous], &runs[at]),
    }
}

/// Most things that are told to have changed with a run.
const MAX_SINCE: usize = 8;

/// What a run has that the one before had not.
fn since(before: &Run, after: &Run) -> Vec<String> {
    let nothing = String::new();
    let mut told: Vec<String> = after
        .labels
        .iter()
        .map(|(label, value)| (label, before.labels.get(label).unwrap_or(&nothing), value))
        .filter(|(_, old, value)| old != value)
        .map(|(label, old, value)| match old.as_str() {
            "" => format!("{label}: {value}"),
            old => format!("{label}: {old} → {value}"),
        })
        .collect();
    let facts = differences(before, after).into_iter().map(|difference| {
        let said = |value: Option<&str>| value.unwrap_or("not told").to_owned();
        let (old, value) = (said(difference.first), said(difference.other));
        format!("{}: {old} → {value}", difference.field)
    });
    told.extend(facts);
    let software = after
        .software
        .iter()
        .filter(|(name, hash)| before.software.get(*name).is_some_and(|old| old != *hash));
    told.extend(software.map(|(name, _)| format!("{name} is not what it was")));
    if told.len() > MAX_SINCE {
        let more = told.len() - MAX_SINCE;
        told.truncate(MAX_SINCE);
        told.push(format!("{more} more"));
    }
    told
}

#[cfg(test)]
mod tests;
