//! What the act `capacity` tried, and what the probes saw of it.

use crate::act::capacity::seen::{Capacity, Moved, Outcome as TrialOutcome, Trial};
use crate::probe::record::SeriesKind;
use crate::report::html::table::text;
use crate::report::html::table::{Cell, Kind, TableView, amount, dash, measure, outcome_class};
use crate::report::text::{at_least, number};
use crate::stats::counts::as_f64;
use crate::units::{format_rate, format_share};
use crate::verdict::Outcome;
use crate::verdict::acts::capacity::law;

/// The tables of the act.
pub(super) fn tables(seen: &Capacity) -> Vec<TableView> {
    let mut tables = Vec::new();
    if !seen.trials.is_empty() {
        tables.push(TableView {
            caption: "The trials of the search, in the order of time".to_owned(),
            columns: vec![
                "load", "planned", "requests", "sent", "answered", "p50", "p99", "errors", "held",
                "why not",
            ],
            rows: seen.trials.iter().map(trial).collect(),
            kind: Kind::Sortable,
        });
    }
    if !seen.moved.is_empty() {
        tables.push(TableView {
            caption: "Figures of probes that rose beyond the highest load that is held".to_owned(),
            columns: vec!["probe", "figure", "held", "not held", "limit"],
            rows: seen.moved.iter().map(moved).collect(),
            kind: Kind::Sortable,
        });
    }
    tables.push(TableView {
        caption: "Throughput over load".to_owned(),
        columns: vec!["what it follows"],
        rows: vec![vec![text(&law(seen))]],
        kind: Kind::Facts,
    });
    tables
}

fn trial(trial: &Trial) -> Vec<Cell> {
    let (outcome, word) = match trial.outcome {
        TrialOutcome::Held => (Outcome::Pass, "✓ held"),
        TrialOutcome::Failed => (Outcome::Fail, "✗ not held"),
        TrialOutcome::Spoiled => (Outcome::Unknown, "? no evidence"),
        TrialOutcome::Unjudged => (Outcome::Unknown, "? not known"),
    };
    let told = |at: usize, ns: u64| measure(at_least(ns, trial.at_least[at]), as_f64(ns));
    let latency = |at: usize| trial.latency_ns.map_or_else(dash, |all| told(at, all[at]));
    vec![
        measure(format!("{} ×", trial.load), trial.load),
        measure(format!("{} ×", number(trial.planned, 4)), trial.planned),
        amount(trial.requests),
        measure(format_rate(trial.sent_rate), trial.sent_rate),
        measure(format_rate(trial.answered_rate), trial.answered_rate),
        latency(0),
        latency(2),
        measure(format_share(trial.errors), trial.errors),
        Cell { text: word.to_owned(), class: outcome_class(outcome), order: None },
        text(&trial.reason),
    ]
}

fn moved(moved: &Moved) -> Vec<Cell> {
    let a_second = if moved.kind == SeriesKind::Counter { "/s" } else { "" };
    let figure = |value: f64| measure(format!("{}{a_second}", number(value, 4)), value);
    vec![
        text(&moved.probe),
        text(&moved.metric),
        figure(moved.held),
        figure(moved.failed),
        moved.limit.map_or_else(dash, |limit| measure(number(limit, 4), limit)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_not_known_is_a_least_one_and_sorts_as_that() {
        for lost in [false, true] {
            let trial = Trial {
                latency_ns: Some([1_000_000, 2_000_000, 3_000_000_000, 3_000_000_000]),
                at_least: [false, lost, lost, lost],
                ..Trial::default()
            };
            let cells = super::trial(&trial);
            assert_eq!(cells[5].text, "1 ms");
            assert_eq!(cells[6].text, if lost { "≥ 3 s" } else { "3 s" });
            assert_eq!(cells[6].order, Some(3e9));
        }
    }
}
