//! A series of runs as one page, of the same make as the report of a run.

use std::io;

use askama::Template;
use plotly::Plot;

use crate::compare::history::Changed;
use crate::report::charts::history::charts;
use crate::report::comparison::word;
use crate::report::history::{Series, probability, sentence as told};
use crate::report::html::comparison::class;
use crate::report::html::table::{Cell, Kind, TableView, numeric, text};
use crate::report::html::tables::Section;
use crate::report::html::{FindingView, Page, Titles, first_script, sentence, sentences};

/// Writes the page piece by piece.
pub fn write(series: &Series, out: &mut dyn io::Write) -> io::Result<()> {
    let history = &series.history;
    let sources = Plot::offline_js_sources();
    let page = Page {
        word: word(history.outcome).to_owned(),
        class: class(history.outcome).to_owned(),
        titles: Titles { next: "What limits this", findings: "Changes" },
        why: None,
        figures: Vec::new(),
        headline: sentence(&history.statement),
        scenario: sentence(&history.scenario),
        about: sentence(&series.about()),
        advice: Vec::new(),
        warnings: sentences(&history.limits),
        shape: None,
        expectations: None,
        findings: history.changes.iter().take(MAX_CHANGES).map(finding).collect(),
        passed: Vec::new(),
        charts: charts(history),
        sections: vec![Section { id: "runs", title: "Runs", tables: vec![runs(series)] }],
        version: sentence(env!("CARGO_PKG_VERSION")),
        script: first_script(&sources),
    };
    page.write_into(out)
}

/// Most changes of the page; the JSON has all.
const MAX_CHANGES: usize = 100;

fn finding(change: &Changed) -> FindingView {
    let class = if change.is_worse { "fail" } else { "pass" };
    let mark = match (change.is_recent, change.is_worse) {
        (true, true) => '✗',
        (true, false) => '✓',
        (false, _) => '·',
    };
    let when = if change.is_recent { "news" } else { "some time ago" };
    let mut evidence = vec![format!("{}, p {}", change.started, probability(change.p))];
    if !change.is_confirmed {
        evidence.push("the same runs in random order can be cut as well".to_owned());
    }
    evidence.extend(change.since.iter().cloned());
    FindingView {
        class,
        mark,
        check: when.to_owned(),
        when: String::new(),
        title: sentence(&told(change)),
        evidence: sentences(&evidence),
        advice: String::new(),
    }
}

fn runs(series: &Series) -> TableView {
    let history = &series.history;
    let row = |at: usize| {
        let run = &history.runs[at];
        let labels: Vec<String> =
            run.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let changed = history.changes.iter().any(|change| change.at == at);
        let figures = history.trends.iter().map(|trend| {
            let value = trend.values.get(at).copied().flatten();
            numeric(value.map_or_else(|| "–".to_owned(), |v| trend.metric.value(v)))
        });
        let class = if changed { "unknown" } else { "" };
        [text(&run.name), Cell { class, ..text(&run.started) }, text(&labels.join(" "))]
            .into_iter()
            .chain(figures)
            .collect()
    };
    TableView {
        caption: "Each run with its figures; the first run after a change stands out".to_owned(),
        columns: ["run", "started", "labels"]
            .into_iter()
            .chain(history.trends.iter().map(|trend| trend.metric.name()))
            .collect(),
        rows: (0..history.runs.len()).rev().take(MAX_ROWS).map(row).collect(),
        kind: Kind::Sortable,
    }
}

/// Most runs of the table, the latest first; the charts have all.
const MAX_ROWS: usize = 400;
