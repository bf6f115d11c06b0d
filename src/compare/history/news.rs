//! Whether the changes of a series are news, and whether there could be any that is not seen.

use std::collections::BTreeMap;

use crate::compare::history::{Changed, HistoryOptions};
use crate::compare::metric::Metric;
use crate::compare::run::Run;
use crate::compare::{MIN_BASE, Outcome};
use crate::units::format_counted;

/// What it rests on that nothing changed: the first two are asked of every run, the others where
/// some run has them.
const ESSENTIAL: [Metric; 5] =
    [Metric::Errors, Metric::LatencyP50, Metric::LatencyP95, Metric::LatencyP99, Metric::Capacity];

/// Why the latest runs do not say that nothing changed; `None` where they do. What is missing is no
/// proof that it is as it was.
pub(super) fn blind(runs: &[Run], options: &HistoryOptions) -> Option<String> {
    // Of a series that only seeks a capacity, that is asked for.
    let has = |run: &Run, metrics: &[Metric]| metrics.iter().any(|it| run.value(*it).is_some());
    let only_seeks = runs.iter().any(|run| has(run, &[Metric::Capacity]))
        && !runs.iter().any(|run| has(run, &ESSENTIAL[..4]) || run.errors.is_some());
    let recent = &runs[runs.len().saturating_sub(options.recent.max(1))..];
    ESSENTIAL.into_iter().find_map(|metric| {
        let lacks = |run: &&Run| run.value(metric).is_none();
        let lacking: Vec<&Run> = recent.iter().filter(lacks).collect();
        let last = *lacking.last()?;
        let is_asked = (ESSENTIAL[..2].contains(&metric) && !only_seeks)
            || !runs.iter().all(|run| lacks(&run));
        let why = last.values.get(&metric).and_then(|value| value.as_ref().err());
        is_asked.then(|| {
            format!(
                "it cannot be said: {} of the last {} have no {}, such as {} ({})",
                lacking.len(),
                format_counted(recent.len() as u64, "run", "runs"),
                metric.name(),
                last.name,
                why.map_or("it was not measured", String::as_str)
            )
        })
    })
}

/// The latest change of each metric that is news: a regression before an improvement. Where the
/// latest runs are `blind`, only a regression is seen.
pub(super) fn outcome(runs: &[Run], changes: &[Changed], blind: bool) -> Outcome {
    if runs.len() < MIN_BASE {
        return Outcome::Unknown;
    }
    let news = news(changes);
    if news.iter().any(|change| change.is_worse) {
        Outcome::Regression
    } else if blind {
        Outcome::Unknown
    } else if news.is_empty() {
        Outcome::NoRegression
    } else {
        Outcome::Improvement
    }
}

/// Of each metric its latest change, where that is news.
fn news(changes: &[Changed]) -> Vec<&Changed> {
    let mut latest: BTreeMap<Metric, &Changed> = BTreeMap::new();
    for change in changes {
        let kept = latest.entry(change.metric).or_insert(change);
        if change.at > kept.at {
            *kept = change;
        }
    }
    latest.into_values().filter(|change| change.is_recent).collect()
}

pub(super) fn statement(
    outcome: Outcome,
    runs: &[Run],
    changes: &[Changed],
    (options, blind): (&HistoryOptions, Option<String>),
) -> String {
    let news = news(changes);
    let first = match outcome {
        Outcome::Unknown if runs.len() >= MIN_BASE => return blind.unwrap_or_default(),
        Outcome::Unknown => {
            return format!(
                "{} of this series; {MIN_BASE} are the fewest in which a change can be seen",
                format_counted(runs.len() as u64, "run is", "runs are")
            );
        }
        Outcome::NoRegression => {
            let ago = format_counted(options.recent as u64, "run", "runs");
            return format!("no change in the last {ago}, of {} in all", runs.len());
        }
        Outcome::Regression => news.iter().find(|change| change.is_worse),
        Outcome::Improvement => news.first(),
    };
    let Some(first) = first else { return String::new() };
    let since = first.since.first().map_or_else(String::new, |since| format!(" ({since})"));
    let word = if first.is_worse { "worse" } else { "better" };
    format!(
        "{} is {word} by {} since {}{since}: {} before, {} now",
        first.metric.name(),
        first.metric.change(first.change),
        first.run,
        first.metric.value(first.before),
        first.metric.value(first.after)
    )
}
