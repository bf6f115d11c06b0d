//! The first screen: why the verdict is what it is, and the few figures that everybody asks for.

use crate::report::html::findings::finding_view;
use crate::report::html::{FindingView, MAX_SENTENCES, sentence};
use crate::report::model::Report;
use crate::report::text::{mark, nanos, share};
use crate::shape::ShapeVerdict;
use crate::units::{format_count, format_counted};
use crate::verdict::{CheckedExpectation, Finding, Outcome, RunOutcome};

/// Most lines of evidence on the first screen; the findings have all of it.
const MAX_EVIDENCE: usize = 5;

/// The first reason for the verdict, with its evidence.
pub(super) fn why(report: &Report) -> FindingView {
    let failed = |outcome: Outcome| report.findings.iter().find(|each| each.outcome == outcome);
    let missed = |outcome: Outcome| report.expectations.iter().find(|one| one.outcome == outcome);
    let reason = match report.verdict {
        RunOutcome::Pass => None,
        RunOutcome::Fail => failed(Outcome::Fail)
            .map(of_finding)
            .or_else(|| missed(Outcome::Fail).map(of_expectation)),
        RunOutcome::Invalid | RunOutcome::Interrupted => failed(Outcome::Fail)
            .map(of_finding)
            .or_else(|| missed(Outcome::Unknown).map(of_expectation))
            .or_else(|| failed(Outcome::Unknown).map(of_finding)),
    };
    reason.unwrap_or_else(|| checked(report))
}

fn of_finding(finding: &Finding) -> FindingView {
    let mut view = finding_view(finding);
    let more = view.evidence.len().saturating_sub(MAX_EVIDENCE);
    view.evidence.truncate(MAX_EVIDENCE);
    if more > 0 {
        view.evidence.push(format!("{} more below", format_count(more as u64)));
    }
    // What to do stands beside it.
    view.advice.clear();
    view
}

fn of_expectation(expectation: &CheckedExpectation) -> FindingView {
    of_finding(&Finding {
        check: "expectation".to_owned(),
        subject: String::new(),
        outcome: expectation.outcome,
        title: format!("expected: {}", expectation.text),
        evidence: vec![format!("measured: {}", expectation.actual)],
        advice: String::new(),
    })
}

/// What speaks for a run in which nothing failed.
fn checked(report: &Report) -> FindingView {
    let count = |outcome: Outcome| {
        report.findings.iter().filter(|finding| finding.outcome == outcome).count() as u64
    };
    let names = |outcome: Outcome| {
        let all = report.findings.iter().filter(|finding| finding.outcome == outcome);
        all.take(MAX_SENTENCES).map(|one| one.check.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut evidence = Vec::new();
    let expected = report.expectations.len() as u64;
    if expected > 0 {
        let held = report.expectations.iter().filter(|one| one.outcome == Outcome::Pass).count();
        let held = format_count(held as u64);
        evidence.push(format!("{held} of {} expectations hold", format_count(expected)));
    }
    for (outcome, words) in [(Outcome::Pass, "passed"), (Outcome::Unknown, "could not be told")] {
        if count(outcome) > 0 {
            let (checks, names) =
                (format_counted(count(outcome), "check", "checks"), names(outcome));
            evidence.push(sentence(&format!("{checks} {words}: {names}")));
        }
    }
    let statement = report.shape.as_ref().map_or(&report.headline, |shape| &shape.statement);
    let outcome = match report.verdict {
        RunOutcome::Pass => Outcome::Pass,
        RunOutcome::Fail => Outcome::Fail,
        RunOutcome::Invalid | RunOutcome::Interrupted => Outcome::Unknown,
    };
    finding_view(&Finding {
        check: "verdict".to_owned(),
        subject: String::new(),
        outcome,
        title: statement.clone(),
        evidence,
        advice: String::new(),
    })
}

/// The figures that everybody asks for, each with its name.
pub(super) fn figures(report: &Report) -> Vec<(&'static str, String)> {
    if !report.has_replay() {
        return Vec::new();
    }
    let totals = &report.totals;
    let planned = format_count(totals.planned);
    let mut figures = vec![
        ("requests sent", format!("{} of {planned}", format_count(totals.sent))),
        (
            "errors",
            format!("{} ({})", format_count(totals.errors), share(totals.errors, report.asked())),
        ),
    ];
    if let Some(latency) = &report.latency {
        // What was never answered was not fast: it is in neither of them.
        let unanswered = report.unanswered() > 0;
        let of = |all, answered| if unanswered { answered } else { all };
        figures.push((of("latency p50", "p50 of answers"), nanos(latency.p50_ns)));
        let recorded = report.recorded_latency.as_ref();
        let beside =
            recorded.map(|then| format!(" (recorded {})", nanos(then.p99_ns))).unwrap_or_default();
        let p99 = nanos(latency.p99_ns) + &beside;
        figures.push((of("latency p99", "p99 of answers"), p99));
        if unanswered {
            let share = share(report.unanswered(), report.asked());
            figures.push(("no whole answer", share));
        }
    }
    if let Some(shape) = &report.shape {
        let word = match shape.verdict {
            ShapeVerdict::Faithful => "✓ faithful",
            ShapeVerdict::Degraded { .. } => "? degraded",
            ShapeVerdict::Invalid { .. } => "✗ not produced",
        };
        figures.push(("load shape", word.to_owned()));
    }
    if !report.expectations.is_empty() {
        let all = report.expectations.iter();
        let held = all.filter(|one| one.outcome == Outcome::Pass).count();
        let worst = report.expectations.iter().map(|one| one.outcome).max();
        let mark = mark(worst.unwrap_or(Outcome::Unknown));
        figures.push(("expectations", format!("{mark} {held} of {}", report.expectations.len())));
    }
    figures
}
