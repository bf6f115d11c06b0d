//! The report on a terminal: a tired person reads it in ten seconds. The verdict comes first, then
//! whether the load can be trusted, then what was asked, what was found, the numbers, what to do.

mod capacity;
pub(crate) mod grid;
mod numbers;
mod routes;
mod responses;
mod scaling;

use std::path::PathBuf;

use crate::report::model::Report;
use crate::report::terminal::capacity::capacity;
use crate::report::terminal::grid::{Grid, paint};
use crate::report::terminal::numbers::numbers;
use crate::report::terminal::responses::responses;
use crate::report::terminal::routes::{acts, routes};
use crate::report::terminal::scaling::scaling;
use crate::report::text::{clean, mark, metric_value, nanos, ratio, verdict_word};
use crate::shape::{Metric, MetricOutcome, ShapeReport, ShapeVerdict};
use crate::units::{format_count, format_counted};
use crate::verdict::{CheckedExpectation, Finding, Outcome};

/// How to write for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours: only when the output is a terminal and nobody asked otherwise.
    pub colour: bool,
    /// Columns, from [`MIN_WIDTH`] up; smaller numbers count as that.
    pub width: u16,
}

/// Narrower than this, the tables of numbers cannot be laid out.
pub const MIN_WIDTH: u16 = 60;

/// The report as text with a newline at its end. `written` are the files it was also written to.
pub fn render(report: &Report, style: Style, written: &[PathBuf]) -> String {
    let width = style.width.max(MIN_WIDTH);
    let sections = [
        headline(report, width),
        report.shape.as_ref().map_or_else(String::new, |each| shape(each, width)),
        scaling(&report.facts, width),
        capacity(&report.acts, width),
        expectations(&report.expectations, width),
        findings(&report.findings, width),
        acts(&report.acts, width),
        responses(report, width),
        if report.has_replay() { numbers(report, width) } else { String::new() },
        routes(report, width),
        next(report, written, width),
    ];
    let mut page = String::new();
    for section in sections.iter().filter(|section| !section.is_empty()) {
        if !page.is_empty() {
            page.push('\n');
        }
        page.push_str(section);
    }
    if style.colour { paint(&page, verdict_word(report.verdict)) } else { page }
}

/// The verdict in a line, for scripts and for those who asked for quiet: the word first, then why,
/// then the figures, and at the end the page.
pub fn line(report: &Report, written: &[PathBuf]) -> String {
    let totals = &report.totals;
    let mut told = vec![clean(&report.headline, MAX_SENTENCE)];
    if report.has_replay() {
        let planned = format_count(totals.planned);
        told.push(format!("{} of {planned} sent", format_count(totals.sent)));
        told.push(format!("{} errors", format_count(totals.errors)));
        // What was never answered was not fast, and is in no latency.
        let of = if report.unanswered() > 0 { " of answers" } else { "" };
        let p99 = report.latency.as_ref().map(|times| nanos(times.p99_ns));
        told.extend(p99.map(|p99| format!("p99{of} {p99}")));
    }
    let page = written.first().map(|path| clean(&path.display().to_string(), MAX_SENTENCE));
    told.extend(page);
    format!("{}  {}\n", verdict_word(report.verdict), told.join(" · "))
}

/// Longest foreign sentence that is printed; more would push the verdict off the screen.
const MAX_SENTENCE: usize = 400;

/// Most sentences of evidence printed for a finding; the page has them all.
const MAX_EVIDENCE: usize = 6;

fn headline(report: &Report, width: u16) -> String {
    let mut grid = Grid::new(width);
    let word = verdict_word(report.verdict);
    grid.row(&[word.to_owned(), clean(&report.headline, MAX_SENTENCE)]);
    let recording = &report.recording;
    let load = match &report.load {
        Some(load) => load.description.clone(),
        None => format!("{}, {}", recording.path, recording.window),
    };
    let what = format!("{} → {} · {load}", report.scenario, report.target);
    grid.row(&[String::new(), clean(&what, MAX_SENTENCE)]);
    grid.render(0)
}

fn shape(shape: &ShapeReport, width: u16) -> String {
    let outcome = match shape.verdict {
        ShapeVerdict::Faithful => Outcome::Pass,
        ShapeVerdict::Degraded { .. } => Outcome::Unknown,
        ShapeVerdict::Invalid { .. } => Outcome::Fail,
    };
    let mut top = Grid::new(width);
    top.row(&[mark(outcome).to_string(), clean(&shape.statement, MAX_SENTENCE)]);
    if !shape.worst_metric.is_empty() {
        let worst = format!(
            "worst: {} at {} × its limit · tolerances: {}",
            shape.worst_metric,
            ratio(shape.worst_ratio),
            shape.tier
        );
        top.row(&[String::new(), clean(&worst, MAX_SENTENCE)]);
    }
    let [failing, rest] = metrics(&shape.metrics, width);
    format!("Load shape\n{}{}{}", top.render(2), failing.render(4), rest.render(4))
}

/// Metrics that fail, each in a row of its own, and all others by what they say.
pub(super) fn metrics(metrics: &[Metric], width: u16) -> [Grid; 2] {
    let mut failing = Grid::new(width).right(&[2]);
    for metric in metrics.iter().filter(|metric| metric.outcome == MetricOutcome::Fail) {
        failing.row(&failing_row(metric));
    }
    let mut rest = Grid::new(width);
    for (outcome, mark, title) in [
        (MetricOutcome::Pass, "✓", "within limits"),
        (MetricOutcome::Report, "·", "reported only"),
        (MetricOutcome::NotEvaluable, "?", "not evaluable"),
    ] {
        let metrics = metrics.iter().filter(|metric| metric.outcome == outcome);
        let items = match outcome {
            MetricOutcome::NotEvaluable => unjudged(metrics),
            _ => in_a_line(metrics),
        };
        if !items.is_empty() {
            rest.row(&[mark.to_owned(), format!("{title}: {items}")]);
        }
    }
    [failing, rest]
}

fn failing_row(metric: &Metric) -> [String; 5] {
    [
        mark(Outcome::Fail).to_string(),
        clean(&metric.name, MAX_SENTENCE),
        metric_value(metric),
        metric.limit.clone(),
        clean(&metric.note, MAX_SENTENCE),
    ]
}

/// Metrics that need no line of their own: nobody has to act on them. Where one of several
/// quantiles follows another, only the quantile is named.
fn in_a_line<'a>(metrics: impl Iterator<Item = &'a Metric>) -> String {
    let mut items: Vec<String> = Vec::new();
    let mut family = "";
    for metric in metrics {
        let (stem, quantile) = metric.name.rsplit_once(' ').unwrap_or(("", &metric.name));
        let is_quantile = quantile == "max" || quantile.starts_with('p');
        let name = if is_quantile && stem == family { quantile } else { &metric.name };
        family = if is_quantile { stem } else { "" };
        items.push(format!("{} {}", clean(name, MAX_SENTENCE), metric_value(metric)));
    }
    items.join(", ")
}

/// Metrics without a value; a reason that several share is told once, after the last of them.
fn unjudged<'a>(metrics: impl Iterator<Item = &'a Metric>) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for metric in metrics {
        let name = clean(&metric.name, MAX_SENTENCE);
        match reasons.iter_mut().find(|(reason, _)| *reason == metric.note) {
            Some((_, names)) => names.push(name),
            None => reasons.push((&metric.note, vec![name])),
        }
    }
    let told = |(reason, names): &(&str, Vec<String>)| match *reason {
        "" => names.join(", "),
        reason => format!("{} ({})", names.join(", "), clean(reason, MAX_SENTENCE)),
    };
    reasons.iter().map(told).collect::<Vec<_>>().join(", ")
}

fn expectations(expectations: &[CheckedExpectation], width: u16) -> String {
    if expectations.is_empty() {
        return String::new();
    }
    let mut grid = Grid::new(width);
    // Where there are more than a person reads, those that hold are only counted.
    let is_told = |one: &&CheckedExpectation| {
        expectations.len() <= MAX_EXPECTATIONS || one.outcome != Outcome::Pass
    };
    let told = expectations.iter().filter(is_told).take(MAX_EXPECTATIONS);
    for expectation in told.clone() {
        grid.row(&[
            mark(expectation.outcome).to_string(),
            clean(&expectation.text, MAX_SENTENCE),
            clean(&expectation.actual, MAX_SENTENCE),
        ]);
    }
    let mut rest = Grid::new(width);
    let held = expectations.iter().filter(|one| one.outcome == Outcome::Pass).count();
    let others = expectations.len() - told.count();
    if others > 0 {
        let held = format!("{} hold; all are in the report files", format_count(held as u64));
        rest.row(&["·".to_owned(), held]);
    }
    format!("Expectations\n{}{}", grid.render(2), rest.render(2))
}

/// Most expectations and most failed findings that are printed; the page has more of them.
const MAX_EXPECTATIONS: usize = 40;
const MAX_FAILED: usize = 20;

fn findings(findings: &[Finding], width: u16) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut text = format!("Findings ({})\n", outcome_counts(findings));
    let all = || findings.iter().filter(|finding| finding.outcome == Outcome::Fail);
    for finding in all().take(MAX_FAILED) {
        text.push_str(&failed(finding, width));
    }
    text.push_str(&more(all().count().saturating_sub(MAX_FAILED), "failed", width));
    // Many checks are unknown for one reason: it is told once.
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.outcome == Outcome::Unknown) {
        match reasons.iter_mut().find(|(title, _)| *title == finding.title) {
            Some((_, checks)) => checks.push(&finding.check),
            None => reasons.push((&finding.title, vec![&finding.check])),
        }
    }
    let mut grid = Grid::new(width);
    for (title, checks) in reasons {
        let line = format!("{}: {title}", checks.join(", "));
        grid.row(&[mark(Outcome::Unknown).to_string(), clean(&line, MAX_SENTENCE)]);
    }
    let passed = passed(findings);
    if !passed.is_empty() {
        grid.row(&[mark(Outcome::Pass).to_string(), clean(&passed, MAX_SENTENCE)]);
    }
    text.push_str(&grid.render(2));
    text
}

/// The checks that passed, each once, with what they were about: of two endpoints one may have
/// failed the same check.
fn passed(findings: &[Finding]) -> String {
    let mut checks: Vec<(&str, Vec<&str>)> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.outcome == Outcome::Pass) {
        let check = finding.check.as_str();
        let at = checks.iter().position(|(name, _)| *name == check).unwrap_or_else(|| {
            checks.push((check, Vec::new()));
            checks.len() - 1
        });
        if !finding.subject.is_empty() {
            checks[at].1.push(&finding.subject);
        }
    }
    let told = |(check, subjects): &(&str, Vec<&str>)| match subjects[..] {
        [] => (*check).to_owned(),
        _ => format!("{check} ({})", subjects.join(", ")),
    };
    checks.iter().map(told).collect::<Vec<_>>().join(", ")
}

fn failed(finding: &Finding, width: u16) -> String {
    let mut head = Grid::new(width);
    let title = format!("{}: {}", finding.check, finding.title);
    head.row(&[mark(finding.outcome).to_string(), clean(&title, MAX_SENTENCE)]);
    let mut body = Grid::new(width);
    for evidence in finding.evidence.iter().take(MAX_EVIDENCE) {
        body.row(&["·".to_owned(), clean(evidence, MAX_SENTENCE)]);
    }
    if finding.evidence.len() > MAX_EVIDENCE {
        let more = finding.evidence.len() - MAX_EVIDENCE;
        body.row(&["·".to_owned(), format!("{more} more in the report files")]);
    }
    if !finding.advice.is_empty() {
        body.row(&["→".to_owned(), clean(&finding.advice, MAX_SENTENCE)]);
    }
    head.render(2) + &body.render(4)
}

/// That there are more of something than is printed; empty where there are not.
fn more(beyond: usize, what: &str, width: u16) -> String {
    let mut grid = Grid::new(width);
    if beyond > 0 {
        let beyond = format_count(beyond as u64);
        grid.row(&["·".to_owned(), format!("{beyond} more {what} are in the report files")]);
    }
    grid.render(2)
}

/// Most sentences of advice, and most warnings, at the end.
const MAX_ADVICE: usize = 3;
const MAX_WARNINGS: usize = 5;

fn outcome_counts(findings: &[Finding]) -> String {
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    [(Outcome::Fail, "failed"), (Outcome::Unknown, "unknown"), (Outcome::Pass, "passed")]
        .into_iter()
        .map(|(outcome, word)| (count(outcome), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn next(report: &Report, written: &[PathBuf], width: u16) -> String {
    let mut grid = Grid::new(width);
    for warning in report.facts.warnings.iter().take(MAX_WARNINGS) {
        grid.row(&["!".to_owned(), clean(warning, MAX_SENTENCE)]);
    }
    // What stands at its finding a few lines above is not said again.
    let said = |advice: &String| {
        let mut failed = report.findings.iter().filter(|each| each.outcome == Outcome::Fail);
        failed.any(|finding| finding.advice == *advice)
    };
    let advice: Vec<&String> = report.advice.iter().filter(|&advice| !said(advice)).collect();
    for advice in advice.iter().take(MAX_ADVICE) {
        grid.row(&["→".to_owned(), clean(advice, MAX_SENTENCE)]);
    }
    let warnings = report.facts.warnings.len().saturating_sub(MAX_WARNINGS);
    for (beyond, [one, several]) in [
        (warnings, ["more warning is", "more warnings are"]),
        (
            advice.len().saturating_sub(MAX_ADVICE),
            ["more piece of advice is", "more pieces of advice are"],
        ),
    ] {
        if beyond > 0 {
            let beyond = format_counted(beyond as u64, one, several);
            grid.row(&["·".to_owned(), format!("{beyond} in the report files")]);
        }
    }
    for path in written {
        grid.row(&["·".to_owned(), clean(&path.display().to_string(), MAX_SENTENCE)]);
    }
    let rows = grid.render(2);
    if rows.is_empty() { rows } else { format!("Next\n{rows}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One endpoint may pass what another fails: the name of the check alone would contradict it.
    #[test]
    fn what_passed_stands_once_with_what_it_is_about() {
        let of = |check: &str, subject: &str, outcome: Outcome| Finding {
            check: check.to_owned(),
            subject: subject.to_owned(),
            outcome,
            title: String::new(),
            evidence: Vec::new(),
            advice: String::new(),
        };
        let findings = [
            of("connections", "target", Outcome::Pass),
            of("connection-demand", "redis", Outcome::Fail),
            of("outage", "", Outcome::Pass),
            of("watch", "errors", Outcome::Pass),
            of("connections", "redis", Outcome::Pass),
            of("watch", "redis", Outcome::Pass),
        ];
        let told = "connections (target, redis), outage, watch (errors, redis)";
        assert_eq!(passed(&findings), told);
        assert_eq!(passed(&findings[1..2]), "");
    }
}
