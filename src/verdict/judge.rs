//! Composes the verdict on a run: the load shape first, then findings and expectations.

use crate::drive::health::Health;
use crate::plan::facts::Facts;
use crate::scenario::Tier;
use crate::scenario::expectation::{Comparison, Expectation, MetricName, Stat};
use crate::shape::compare::{ShapeInput, judge_shape};
use crate::shape::tolerance::{CI, STANDARD, STRICT, Tolerances};
use crate::shape::{Fault, ShapeReport, ShapeVerdict};
use crate::summary::Summary;
use crate::verdict::detectors::{DetectorInput, detect, generator};
use crate::verdict::expectations::check;
use crate::verdict::{CheckedExpectation, Finding, Outcome, RunOutcome, Verdict};

/// What a verdict is made from.
#[derive(Clone, Copy, Debug)]
pub struct JudgeInput<'a> {
    /// What was about to be done.
    pub facts: &'a Facts,
    /// What happened.
    pub summary: &'a Summary,
    /// How this machine was doing.
    pub health: &'a Health,
    /// Tier of load-shape tolerances.
    pub tier: Tier,
    /// The scenario's expectations.
    pub expectations: &'a [Expectation],
    /// The user stopped the run.
    pub interrupted: bool,
}

/// The verdict on a run.
///
/// An expectation that the run cannot answer makes it invalid, unless something failed for sure: a
/// pass would claim what nobody saw.
pub fn judge(input: &JudgeInput) -> Verdict {
    let shape = judge_shape(&ShapeInput {
        planned: &input.summary.planned,
        offered: &input.summary.offered,
        sent: &input.summary.sent,
        lateness: &input.summary.lateness,
        latency_bound_ns: latency_bound_ns(input.expectations),
        tolerances: tolerances(input.tier),
        interrupted: input.interrupted,
    });
    let detector_input = DetectorInput {
        facts: input.facts,
        summary: input.summary,
        shape: &shape,
        health: input.health,
    };
    let mut findings = detect(&detector_input);
    let mut expectations: Vec<CheckedExpectation> =
        input.expectations.iter().map(|expectation| check(expectation, input.summary)).collect();
    let unsupported = is_unsupported(&shape);
    if unsupported {
        withdraw(&mut findings, &mut expectations, &shape);
    }
    let failed = findings.iter().any(|finding| finding.outcome == Outcome::Fail)
        || expectations.iter().any(|each| each.outcome == Outcome::Fail);
    let unknown = expectations.iter().any(|each| each.outcome == Outcome::Unknown);
    let outcome = if input.interrupted {
        RunOutcome::Interrupted
    } else if unsupported {
        RunOutcome::Invalid
    } else if failed {
        RunOutcome::Fail
    } else if unknown {
        RunOutcome::Invalid
    } else {
        RunOutcome::Pass
    };
    let headline = headline(outcome, &shape, &findings, &expectations);
    Verdict { outcome, headline, shape, findings, expectations }
}

/// The tolerances of a tier.
pub fn tolerances(tier: Tier) -> &'static Tolerances {
    match tier {
        Tier::Strict => &STRICT,
        Tier::Standard => &STANDARD,
        Tier::Ci => &CI,
    }
}

/// Whether the run says nothing about the target. Load that the target held back is a finding
/// about the target.
fn is_unsupported(shape: &ShapeReport) -> bool {
    match shape.verdict {
        ShapeVerdict::Invalid { fault } => fault != Fault::Target,
        ShapeVerdict::Faithful | ShapeVerdict::Degraded { .. } => false,
    }
}

/// Takes back what the run cannot support; only what is said about this machine stays.
fn withdraw(
    findings: &mut [Finding],
    expectations: &mut [CheckedExpectation],
    shape: &ShapeReport,
) {
    for finding in findings.iter_mut().filter(|finding| finding.check != generator::CHECK) {
        if finding.outcome != Outcome::Unknown {
            finding.evidence.insert(0, format!("what was seen: {}", finding.title));
            finding.title = "not known, since the recorded load was not produced".into();
        }
        finding.outcome = Outcome::Unknown;
        finding.advice = String::new();
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.outcome));
    for expectation in expectations {
        expectation.outcome = Outcome::Unknown;
        expectation.actual = format!("{}, but {}", expectation.actual, shape.statement);
    }
}

/// The tightest upper bound on a latency quantile: our own lateness must be small beside it.
fn latency_bound_ns(expectations: &[Expectation]) -> Option<f64> {
    expectations
        .iter()
        .filter(|each| matches!(each.metric, MetricName::Latency | MetricName::Service))
        .filter(|each| matches!(each.op, Comparison::Below | Comparison::AtMost))
        .filter(|each| matches!(each.stat, Some(Stat::Percentile(_))))
        .map(|each| each.value)
        .min_by(f64::total_cmp)
}

fn headline(
    outcome: RunOutcome,
    shape: &ShapeReport,
    findings: &[Finding],
    expectations: &[CheckedExpectation],
) -> String {
    let first_failed = findings.iter().find(|finding| finding.outcome == Outcome::Fail);
    let expectation = |outcome: Outcome| expectations.iter().find(|each| each.outcome == outcome);
    match outcome {
        RunOutcome::Pass => {
            let expected = match expectations.len() {
                0 => "no detector found a fault".to_owned(),
                1 => "the expectation holds, and no detector found a fault".to_owned(),
                count => format!("all {count} expectations hold, and no detector found a fault"),
            };
            format!("{}; {expected}", shape.statement)
        }
        RunOutcome::Interrupted => format!("interrupted: {}", shape.statement),
        RunOutcome::Invalid if is_unsupported(shape) => format!("not valid: {}", shape.statement),
        RunOutcome::Invalid => expectation(Outcome::Unknown).map_or_else(
            || "not valid".to_owned(),
            |each| format!("not valid: `{}` cannot be answered: {}", each.text, each.actual),
        ),
        RunOutcome::Fail => match (first_failed, expectation(Outcome::Fail)) {
            (Some(finding), _) => finding.title.clone(),
            (None, Some(each)) => format!("`{}` does not hold: {}", each.text, each.actual),
            (None, None) => shape.statement.clone(),
        },
    }
}
