//! The verdict on a closed load. Its pace is the target's own, so that no shape is planned, and
//! none is judged or claimed.

use std::cmp::Reverse;
use std::time::Duration;

use crate::drive::health::Health;
use crate::plan::facts::Facts;
use crate::scenario::expectation::Expectation;
use crate::stats::counts::{as_f64, as_index};
use crate::summary::Summary;
use crate::units::{format_count, format_counted};
use crate::verdict::detectors::{DetectorInput, cold_cache, connection_limit, errors, outage};
use crate::verdict::expectations::baseline::Baseline;
use crate::verdict::expectations::{Seen, check};
use crate::verdict::little;
use crate::verdict::{Finding, Outcome, RunOutcome, Verdict, finding};

/// What a verdict on a closed load is made from.
#[derive(Clone, Copy, Debug)]
pub struct ClosedInput<'a> {
    /// What was about to be done.
    pub facts: &'a Facts,
    /// What happened.
    pub summary: &'a Summary,
    /// How this machine was doing.
    pub health: &'a Health,
    /// What must hold.
    pub expectations: &'a [Expectation],
    /// The run that they are held against, where one is named.
    pub baseline: Option<&'a Baseline>,
    /// The user stopped the run.
    pub interrupted: bool,
}

/// The verdict: what the target answered, and whether it turned connections away or failed.
pub fn judge_closed(input: &ClosedInput) -> Verdict {
    let findings = detected(input);
    let length = Duration::from_secs_f64(input.health.seconds.clamp(0.0, 1e9));
    let ClosedInput { summary, baseline, .. } = *input;
    let seen = Seen { summary, length, is_recorded: false, baseline };
    let expectations: Vec<_> = input.expectations.iter().map(|each| check(each, &seen)).collect();
    let first_failed = findings.iter().find(|each| each.outcome == Outcome::Fail);
    let expectation = |outcome: Outcome| expectations.iter().find(|each| each.outcome == outcome);
    let told = |each: &crate::verdict::CheckedExpectation, verb: &str| {
        format!("`{}` {verb}: {}", each.text, each.actual)
    };
    let rate = rate(input);
    let wrong = little::wrong(input.summary, input.health);
    let (outcome, headline) = if input.interrupted {
        (RunOutcome::Interrupted, format!("the run was stopped; until then {rate}"))
    } else if let Some(wrong) = wrong {
        (RunOutcome::Invalid, wrong)
    } else if let Some(found) = first_failed {
        (RunOutcome::Fail, found.title.clone())
    } else if let Some(each) = expectation(Outcome::Fail) {
        (RunOutcome::Fail, told(each, "does not hold"))
    } else if let Some(each) = expectation(Outcome::Unknown) {
        (RunOutcome::Invalid, told(each, "cannot be answered"))
    } else {
        (RunOutcome::Pass, format!("closed: {rate}"))
    };
    Verdict { outcome, headline, shape: None, findings, expectations }
}

/// Answers, and how many of them a second.
fn rate(input: &ClosedInput) -> String {
    let answered = input.summary.fates.get("answered").copied().unwrap_or(0);
    let a_second = as_index((as_f64(answered) / input.health.seconds.max(0.001)).round()) as u64;
    format!(
        "{} gave {} in {:.1} s, {}/s",
        format_counted(input.facts.connections, "connection", "connections"),
        format_counted(answered, "answer", "answers"),
        input.health.seconds,
        format_count(a_second)
    )
}

/// The findings that do not depend on when a request was due.
fn detected(input: &ClosedInput) -> Vec<Finding> {
    let ClosedInput { facts, summary, health, .. } = *input;
    let input = &DetectorInput { facts, summary, health };
    let outage = outage::detect(input);
    let limit = connection_limit::detect(input, &outage, &cold_cache::detect(input));
    // One request tells nothing of sizes: a refused body is an error like any other.
    let errors = errors::detect(input, &limit, &finding("", Outcome::Unknown, ""));
    let mut findings = vec![outage, limit, errors];
    findings.sort_by_key(|finding| Reverse(finding.outcome));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Fate, Sample};
    use crate::shape::Origin;
    use crate::summary::examples::{answered, arrival};

    fn verdict(status: u16, lines: &[&str]) -> Verdict {
        let mut summary = Summary::new();
        for index in 0..1_000_u32 {
            let mut arrival = arrival(u64::from(index), Duration::from_millis(1) * index);
            arrival.recorded.status = None;
            let sample = answered(&arrival, Duration::from_millis(2));
            summary.add(&arrival, &Sample { fate: Fate::Answered { status }, ..sample });
        }
        let facts = Facts { origin: Origin::Generated, connections: 64, ..Facts::default() };
        let health = Health { seconds: 2.0, ..Health::default() };
        let expectations: Vec<_> =
            lines.iter().map(|line| Expectation::parse(line).unwrap()).collect();
        judge_closed(&ClosedInput {
            facts: &facts,
            summary: &summary,
            health: &health,
            expectations: &expectations,
            baseline: None,
            interrupted: false,
        })
    }

    #[test]
    fn a_closed_load_claims_answers_and_no_shape() {
        let passed = verdict(200, &["latency p99 < 50ms"]);
        assert_eq!(passed.outcome, RunOutcome::Pass, "{passed:#?}");
        let headline = "closed: 64 connections gave 1\u{202f}000 answers in 2.0 s, 500/s";
        assert_eq!(passed.headline, headline);
        assert!(passed.shape.is_none());
        let errors = verdict(503, &[]);
        assert_eq!(errors.outcome, RunOutcome::Fail, "{errors:#?}");
        assert!(!errors.headline.contains("production"), "{}", errors.headline);
        let slow = verdict(200, &["latency p99 < 1ms"]);
        assert_eq!(slow.outcome, RunOutcome::Fail);
        assert!(slow.headline.contains("does not hold"), "{}", slow.headline);
        assert_eq!(verdict(200, &["status-changes < 1%"]).outcome, RunOutcome::Invalid);
    }
}
