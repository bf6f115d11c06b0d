//! New runs beside those of a baseline as one page, of the same make as the report of a run.

use std::io;

use askama::Template;
use plotly::Plot;

use crate::compare::routes::Routes;
use crate::compare::{Judged, Outcome};
use crate::report::charts::comparison::charts;
use crate::report::comparison::{Compared, cells, mark, word};
use crate::report::html::table::{Cell, Kind, TableView, numeric, text};
use crate::report::html::tables::Section;
use crate::report::html::{FindingView, Page, Titles, first_script, sentence, sentences};

/// Writes the page piece by piece.
pub fn write(compared: &Compared, out: &mut dyn io::Write) -> io::Result<()> {
    let comparison = &compared.comparison;
    let sources = Plot::offline_js_sources();
    let changed = comparison
        .metrics
        .iter()
        .map(|judged| (judged.metric.name().to_owned(), judged))
        .chain(foremost(&comparison.routes))
        .filter(|(_, judged)| is_changed(judged));
    let page = Page {
        word: word(comparison.outcome).to_owned(),
        class: class(comparison.outcome).to_owned(),
        titles: Titles { next: "What limits this", findings: "What changed" },
        why: None,
        figures: Vec::new(),
        headline: sentence(&comparison.statement),
        scenario: "New runs beside a baseline".to_owned(),
        about: sentence(&compared.about()),
        advice: Vec::new(),
        warnings: sentences(&comparison.limits),
        shape: None,
        expectations: None,
        findings: changed.map(|(name, judged)| finding(&name, judged)).collect(),
        passed: Vec::new(),
        charts: charts(compared),
        sections: [
            ("metrics", "Metrics", metrics(compared)),
            ("routes", "Routes", routes(&comparison.routes)),
            ("changed", "What else changed", others(&comparison.changed)),
            ("runs", "Runs", runs(compared)),
        ]
        .into_iter()
        // Runs of one route have none to be compared.
        .filter(|(id, _, table)| *id != "routes" || !table.rows.is_empty())
        .map(|(id, title, table)| Section { id, title, tables: vec![table] })
        .collect(),
        version: sentence(env!("CARGO_PKG_VERSION")),
        script: first_script(&sources),
    };
    page.write_into(out)
}

/// The style of an outcome: that of a verdict, and that of a cell.
pub(super) fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Regression => "fail",
        Outcome::Unknown => "invalid",
        Outcome::Improvement | Outcome::NoRegression => "pass",
    }
}

fn cell_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unknown => "unknown",
        other => class(other),
    }
}

fn is_changed(judged: &Judged) -> bool {
    matches!(judged.outcome, Outcome::Regression | Outcome::Improvement)
}

/// Most routes that stand among what changed; all are in their table.
const MAX_FOREMOST: usize = 20;

fn foremost(routes: &Routes) -> impl Iterator<Item = (String, &Judged)> {
    let named = |(route, judged): (&str, &'_ Judged)| {
        sentence(&format!("{} of {route}", judged.metric.name()))
    };
    routes
        .foremost(MAX_FOREMOST)
        .into_iter()
        .map(move |(route, judged)| (named((route, judged)), judged))
}

fn finding(name: &str, judged: &Judged) -> FindingView {
    let [base, new, change, interval, _] = cells(judged);
    FindingView {
        class: cell_class(judged.outcome),
        mark: mark(judged.outcome),
        check: judged.outcome.name().to_owned(),
        title: format!("{name} {change}"),
        when: String::new(),
        evidence: vec![
            format!("{base} in the baseline, {new} in the new runs (medians)"),
            format!("95 % interval {interval}"),
        ],
        advice: String::new(),
    }
}

/// What else changed, without a judgement.
fn others(changed: &[String]) -> TableView {
    TableView {
        caption: "What all runs of a side have in common, and those of the other have otherwise"
            .to_owned(),
        columns: vec!["with the new runs"],
        rows: changed.iter().map(|each| vec![text(each)]).collect(),
        kind: Kind::Plain,
    }
}

/// The columns of what is said of a metric.
const TOLD: [&str; 6] = ["outcome", "baseline", "new", "change", "95 % interval", "seen from"];

/// What is said of a metric, and its figures.
fn told(judged: &Judged) -> impl Iterator<Item = Cell> + use<> {
    let outcome = format!("{} {}", mark(judged.outcome), judged.outcome.name());
    let outcome = Cell { text: outcome, class: cell_class(judged.outcome), order: None };
    std::iter::once(outcome).chain(cells(judged).map(numeric))
}

fn metrics(compared: &Compared) -> TableView {
    let row = |judged: &Judged| {
        let p = judged.p.map_or_else(|| "–".to_owned(), |p| format!("{p:.4}"));
        let mut row = vec![text(judged.metric.name())];
        row.extend(told(judged));
        row.extend([numeric(p), Cell { class: "note", ..text(&judged.note) }]);
        row
    };
    TableView {
        caption: "Medians of the runs; p after Holm; the least change that four of five such \
                  comparisons see"
            .to_owned(),
        columns: [&["metric"][..], &TOLD, &["p", "note"]].concat(),
        rows: compared.comparison.metrics.iter().map(row).collect(),
        kind: Kind::Plain,
    }
}

/// Each metric of each route.
fn routes(routes: &Routes) -> TableView {
    let row = |(route, judged): (&str, &Judged)| {
        let route = Cell { class: "route", ..text(&sentence(route)) };
        let mut row = vec![route, text(judged.metric.name())];
        row.extend(told(judged));
        row
    };
    TableView {
        caption: "Each route that every run has often enough".to_owned(),
        columns: [&["route", "metric"][..], &TOLD].concat(),
        rows: routes.foremost(usize::MAX).into_iter().map(row).collect(),
        kind: Kind::Sortable,
    }
}

fn runs(compared: &Compared) -> TableView {
    let judged = &compared.comparison.metrics;
    let shown: Vec<&Judged> =
        judged.iter().filter(|judged| judged.medians.iter().any(Option::is_some)).collect();
    let sides = [("baseline", &compared.base), ("new", &compared.new)];
    let rows = sides.into_iter().enumerate().flat_map(|(side, (word, names))| {
        let shown = &shown;
        names.iter().enumerate().map(move |(at, name)| {
            let value = |judged: &&Judged| {
                let value = judged.values[side].get(at).copied().flatten();
                numeric(value.map_or_else(|| "–".to_owned(), |v| judged.metric.value(v)))
            };
            [text(name), text(word)].into_iter().chain(shown.iter().map(value)).collect()
        })
    });
    TableView {
        caption: "Each run with its figures".to_owned(),
        columns: ["run", "side"]
            .into_iter()
            .chain(shown.iter().map(|judged| judged.metric.name()))
            .collect(),
        rows: rows.collect(),
        kind: Kind::Sortable,
    }
}
