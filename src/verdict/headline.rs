//! The one sentence on a run that a tired person reads first.

use crate::shape::{Fault, MetricOutcome, Origin, ShapeReport, ShapeVerdict};
use crate::verdict::acts::capacity;
use crate::verdict::drills::is_unmeasured;
use crate::verdict::{CheckedExpectation, Finding, Outcome, RunOutcome};

/// One sentence on a run with a replay: the first thing that a tired person should know.
pub(super) fn headline(
    outcome: RunOutcome,
    shape: &ShapeReport,
    origin: Origin,
    findings: &[Finding],
    expectations: &[CheckedExpectation],
) -> String {
    let first_failed = findings.iter().find(|finding| finding.outcome == Outcome::Fail);
    let expectation = |outcome: Outcome| expectations.iter().find(|each| each.outcome == outcome);
    match outcome {
        RunOutcome::Pass => {
            let expected = match expectations.len() {
                0 => String::new(),
                1 => "the expectation holds, and ".to_owned(),
                2 => "both expectations hold, and ".to_owned(),
                count => format!("all {count} expectations hold, and "),
            };
            let blind = findings.iter().filter(|each| each.outcome == Outcome::Unknown).count();
            let blind = match blind {
                0 => String::new(),
                count => format!(" ({count} of {} had too little to go by)", findings.len()),
            };
            format!("{}; {expected}no detector found a fault{blind}", produced(shape))
        }
        RunOutcome::Interrupted => {
            format!("{}; what was seen until then is below", shape.statement)
        }
        RunOutcome::Invalid if is_unsupported(shape) => {
            format!("{}, so that nothing is said about the target", cause(shape, origin))
        }
        RunOutcome::Invalid => expectation(Outcome::Unknown).map_or_else(
            || "an expectation cannot be answered".to_owned(),
            |each| format!("`{}` cannot be answered: {}", each.text, each.actual),
        ),
        RunOutcome::Fail => match (first_failed, expectation(Outcome::Fail)) {
            (Some(finding), _) => finding.title.clone(),
            (None, Some(each)) => format!("`{}` does not hold: {}", each.text, each.actual),
            (None, None) => shape.statement.clone(),
        },
    }
}

/// What was produced, in a few words. That a burst metric needs a longer run is for the section on
/// the load shape; that not even the rate could be judged belongs here.
fn produced(shape: &ShapeReport) -> String {
    let unjudged = |name: &str| {
        let metric = shape.metrics.iter().find(|metric| metric.name == name);
        metric.is_some_and(|metric| metric.outcome == MetricOutcome::NotEvaluable)
    };
    match shape.verdict {
        ShapeVerdict::Faithful => {
            let load = shape.statement.split(';').next().unwrap_or_default();
            let thin = unjudged("WAPE 1 s") && unjudged("max cumulative lag");
            let thin = if thin { ", as far as so little of it can tell" } else { "" };
            format!("{load}{thin}")
        }
        _ => shape.statement.clone(),
    }
}

/// The same for a run without a replay, with the expectations that it was asked for.
pub(super) fn drills_headline(
    outcome: RunOutcome,
    findings: &[Finding],
    expectations: &[&CheckedExpectation],
) -> String {
    let first = |outcome: Outcome| findings.iter().find(|finding| finding.outcome == outcome);
    let expected = |outcome: Outcome, verb: &str| {
        let each = expectations.iter().find(|each| each.outcome == outcome)?;
        Some(format!("`{}` {verb}: {}", each.text, each.actual))
    };
    match outcome {
        RunOutcome::Interrupted => "the run was stopped; what was seen is below".to_owned(),
        RunOutcome::Fail => first(Outcome::Fail)
            .map(|each| each.title.clone())
            .or_else(|| expected(Outcome::Fail, "does not hold"))
            .unwrap_or_default(),
        RunOutcome::Pass => {
            // A search for a number is answered by that number.
            if let Some(found) = findings.iter().find(|each| each.check == capacity::CHECK) {
                return found.title.clone();
            }
            let blind =
                match findings.iter().filter(|each| each.outcome == Outcome::Unknown).count() {
                    0 => String::new(),
                    count => format!(" ({count} of {} had too little to go by)", findings.len()),
                };
            format!("the drills found no fault{blind}; nothing was replayed")
        }
        RunOutcome::Invalid => expected(Outcome::Unknown, "cannot be answered")
            .or_else(|| {
                let unmeasured = findings.iter().find(|each| is_unmeasured(each));
                let each = unmeasured.or_else(|| first(Outcome::Unknown))?;
                Some(format!("{}: {}", each.check, each.title))
            })
            .unwrap_or_else(|| {
                "nothing was looked at: the scenario has no act that says anything".to_owned()
            }),
    }
}

/// Who kept the load from being produced, in a few words; the shape's statement has the figures.
fn cause(shape: &ShapeReport, origin: Origin) -> &'static str {
    match shape.verdict {
        ShapeVerdict::Invalid { fault: Fault::Generator } => match origin {
            Origin::Recorded => "this machine did not produce the recorded load",
            Origin::Generated => "this machine did not produce the planned load",
        },
        ShapeVerdict::Invalid { fault: Fault::Recording } if !origin.is_recorded() => {
            "the run is too short, or its rate too low, for a verdict"
        }
        ShapeVerdict::Invalid { fault: Fault::Recording } => {
            "the recording cannot support a verdict"
        }
        ShapeVerdict::Invalid { fault: Fault::Interruption } => "the run was interrupted",
        ShapeVerdict::Invalid { fault: Fault::Target } => "the target held the load back",
        ShapeVerdict::Faithful | ShapeVerdict::Degraded { .. } => "the load was produced",
    }
}

/// Whether the run says nothing about the target. Load that the target held back is a finding
/// about the target.
pub(super) fn is_unsupported(shape: &ShapeReport) -> bool {
    match shape.verdict {
        ShapeVerdict::Invalid { fault } => fault != Fault::Target,
        ShapeVerdict::Faithful | ShapeVerdict::Degraded { .. } => false,
    }
}
