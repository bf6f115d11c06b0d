//! The verdict on a run without a replay.

use std::cmp::Reverse;

use crate::scenario::expectation::Expectation;
use crate::verdict::acts::{capacity, cold, heartbeat};
use crate::verdict::headline::drills_headline;
use crate::verdict::judge::JudgeInput;
use crate::verdict::{CheckedExpectation, Finding, Outcome, RunOutcome, Verdict, watch};

/// The verdict. What is expected of the replay is not judged; what is expected of an act that was
/// performed is, and where that cannot be answered, the run is not valid. Nor is it where no act
/// tells anything, or where one that measures with load measured nothing: that probes saw nothing
/// bad meanwhile is no answer to what was asked.
pub(super) fn judge_drills(input: &JudgeInput) -> Verdict {
    let mut findings = input.drills.to_vec();
    let searched = findings.iter().find(|each| each.check == capacity::CHECK);
    let searched = searched.map(|found| found.outcome);
    // A multiple is held where all that is expected is.
    let by_trials = |each: &Expectation| match searched.filter(|_| each.is_of_trials()) {
        Some(Outcome::Pass) => (Outcome::Pass, "holds in the trials of the act `capacity`"),
        Some(_) => (Outcome::Unknown, "held against each trial of the act `capacity`"),
        None => (Outcome::Unknown, "not judged: nothing was replayed"),
    };
    findings.sort_by_key(|finding| Reverse(finding.outcome));
    let around = &input.around;
    let expectations: Vec<CheckedExpectation> = input
        .expectations
        .iter()
        .map(|each| {
            around.check(each).unwrap_or_else(|| {
                let (outcome, actual) = by_trials(each);
                CheckedExpectation { text: each.text.clone(), outcome, actual: actual.to_owned() }
            })
        })
        .collect();
    let failed = findings.iter().any(|finding| finding.outcome == Outcome::Fail)
        || expectations.iter().any(|each| each.outcome == Outcome::Fail);
    let is_asked = |at: usize| around.is_asked(&input.expectations[at]);
    let unknown = expectations
        .iter()
        .enumerate()
        .any(|(at, each)| each.outcome == Outcome::Unknown && is_asked(at));
    let outcome = if input.interrupted {
        RunOutcome::Interrupted
    } else if failed {
        RunOutcome::Fail
    } else if !unknown && is_answered(&findings) {
        RunOutcome::Pass
    } else {
        RunOutcome::Invalid
    };
    let asked = expectations.iter().enumerate().filter(|(at, _)| is_asked(*at));
    let asked: Vec<&CheckedExpectation> = asked.map(|(_, each)| each).collect();
    let headline = drills_headline(outcome, &findings, &asked);
    Verdict { outcome, headline, shape: None, findings, expectations }
}

/// Whether the acts that were performed told what they are for.
fn is_answered(findings: &[Finding]) -> bool {
    let is_of_act = |each: &&Finding| !BESIDE.contains(&each.check.as_str());
    findings.iter().filter(is_of_act).any(|each| each.outcome == Outcome::Pass)
        && !findings.iter().any(is_unmeasured)
}

/// Whether an act sent its load, or was to, and cannot say what came of it.
pub(super) fn is_unmeasured(finding: &Finding) -> bool {
    let measures = [cold::CHECK, capacity::CHECK].contains(&finding.check.as_str());
    measures && finding.outcome == Outcome::Unknown
}

/// Findings that stand beside an act: of probes, of logs meanwhile, of recorded keys alone.
const BESIDE: [&str; 3] = [watch::CHECK, heartbeat::CHECK, cold::FORECAST];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::capacity::seen::Checked;
    use crate::act::cold::Cold;
    use crate::act::{Evidence, Performed};
    use crate::scenario::Tier;
    use crate::scenario::acts::ActName;
    use crate::verdict::expectations::around::Around;
    use crate::verdict::finding;
    use crate::verdict::judge::judge;

    const LINE: &str = "latency p99 < 1s in act cold";

    fn verdict(holds: Option<bool>, performed: bool) -> Verdict {
        let checked = Checked { text: LINE.to_owned(), holds, actual: "2 s".to_owned() };
        let cold = Cold { expectations: vec![checked], ..Cold::default() };
        let evidence = Evidence::Cold(Box::new(cold));
        let acts = [Performed { act: ActName::Cold, started_ns: 0, ended_ns: 9, evidence }];
        let acts = if performed { &acts[..] } else { &[] };
        judge(&JudgeInput {
            replayed: None,
            drills: &[finding("cold-start", Outcome::Pass, "warm at once")],
            tier: Tier::Standard,
            expectations: &[
                Expectation::parse(LINE).unwrap(),
                Expectation::parse("errors < 1%").unwrap(),
            ],
            baseline: None,
            around: Around { acts, ..Around::default() },
            interrupted: false,
        })
    }

    /// What is held by a multiple is what is expected, and nothing is said of it where none is.
    #[test]
    fn what_a_search_held_is_told_to_hold() {
        let held = |outcome: Outcome| {
            let verdict = judge(&JudgeInput {
                replayed: None,
                drills: &[finding(capacity::CHECK, outcome, "2 × the recorded peak")],
                tier: Tier::Standard,
                expectations: &[
                    Expectation::parse("errors < 1%").unwrap(),
                    Expectation::parse("errors < 2x baseline").unwrap(),
                ],
                baseline: None,
                around: Around::default(),
                interrupted: false,
            });
            [0, 1].map(|at: usize| verdict.expectations[at].outcome)
        };
        assert_eq!(held(Outcome::Pass), [Outcome::Pass, Outcome::Unknown]);
        assert_eq!(held(Outcome::Fail), [Outcome::Unknown; 2]);
        assert_eq!(held(Outcome::Unknown), [Outcome::Unknown; 2]);
    }

    /// A cold start on a machine that was late measured nothing, whatever the probes saw.
    #[test]
    fn an_act_that_measured_nothing_is_no_pass() {
        let judged = |drills: &[Finding]| {
            let verdict = judge(&JudgeInput {
                replayed: None,
                drills,
                tier: Tier::Standard,
                expectations: &[],
                baseline: None,
                around: Around::default(),
                interrupted: false,
            });
            (verdict.outcome, verdict.headline)
        };
        let watched = finding(watch::CHECK, Outcome::Pass, "redis saw nothing bad");
        let alike = finding("node-drift", Outcome::Pass, "3 nodes are alike");
        for check in [cold::CHECK, capacity::CHECK] {
            let unknown = finding(check, Outcome::Unknown, "this machine was late");
            for beside in [&watched, &alike] {
                let (outcome, headline) = judged(&[unknown.clone(), beside.clone()]);
                assert_eq!(outcome, RunOutcome::Invalid, "{check} beside {}", beside.check);
                assert_eq!(headline, format!("{check}: this machine was late"));
            }
            let told = finding(check, Outcome::Pass, "it holds");
            assert_eq!(judged(&[told, watched.clone()]).0, RunOutcome::Pass, "{check}");
        }
        let blind = finding("node-behaviour", Outcome::Unknown, "1 node was asked");
        assert_eq!(judged(&[blind.clone(), watched]).0, RunOutcome::Invalid);
        let (outcome, headline) = judged(&[blind, alike]);
        assert_eq!(outcome, RunOutcome::Pass);
        assert!(headline.contains("1 of 2 had too little"), "{headline}");
    }

    #[test]
    fn what_is_expected_of_an_act_decides_without_a_replay() {
        for (holds, performed, outcome, headline) in [
            (Some(true), true, RunOutcome::Pass, "found no fault"),
            (Some(false), true, RunOutcome::Fail, "in act cold` does not hold: 2 s"),
            (None, true, RunOutcome::Invalid, "in act cold` cannot be answered: 2 s"),
            (None, false, RunOutcome::Pass, "found no fault"),
        ] {
            let verdict = verdict(holds, performed);
            assert_eq!(verdict.outcome, outcome, "{holds:?} {performed}");
            assert!(verdict.headline.contains(headline), "{}", verdict.headline);
            assert_eq!(verdict.expectations[1].actual, "not judged: nothing was replayed");
        }
    }
}
