//! The verdict on a run without a replay.

use std::cmp::Reverse;

use crate::scenario::expectation::Expectation;
use crate::verdict::acts::capacity;
use crate::verdict::headline::drills_headline;
use crate::verdict::judge::JudgeInput;
use crate::verdict::{CheckedExpectation, Outcome, RunOutcome, Verdict};

/// The verdict. What is expected of the replay is not judged; what is expected of an act that was
/// performed is, and where that cannot be answered, the run is not valid.
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
    } else if !unknown && findings.iter().any(|finding| finding.outcome == Outcome::Pass) {
        RunOutcome::Pass
    } else {
        RunOutcome::Invalid
    };
    let asked = expectations.iter().enumerate().filter(|(at, _)| is_asked(*at));
    let asked: Vec<&CheckedExpectation> = asked.map(|(_, each)| each).collect();
    let headline = drills_headline(outcome, &findings, &asked);
    Verdict { outcome, headline, shape: None, findings, expectations }
}

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
