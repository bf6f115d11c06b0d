//! Composes the verdict on a run: the load shape first, then findings and expectations.

use std::cmp::Reverse;
use std::time::Duration;

use crate::drive::health::Health;
use crate::plan::facts::Facts;
use crate::scenario::Tier;
use crate::scenario::acts::ActName;
use crate::scenario::expectation::{Expectation, tightest_latency};
use crate::shape::compare::{ShapeInput, judge_shape};

use crate::shape::{Fault, Origin, ShapeReport, ShapeVerdict};
use crate::summary::Summary;
use crate::units::format_duration;
use crate::verdict::detectors::{DetectorInput, detect, generator};
use crate::verdict::drills::judge_drills;
use crate::verdict::expectations::around::Around;
use crate::verdict::expectations::baseline::Baseline;
use crate::verdict::expectations::{Seen, check};
use crate::verdict::headline::{headline, is_unsupported};
use crate::verdict::interference::stood_still;
use crate::verdict::little;
use crate::verdict::{CheckedExpectation, Finding, Outcome, RunOutcome, Verdict};

/// What a verdict is made from.
#[derive(Clone, Copy, Debug)]
pub struct JudgeInput<'a> {
    /// What the replay yielded; `None` where nothing was replayed.
    pub replayed: Option<Replayed<'a>>,
    /// What drills and probes found, in the order in which a person should read it.
    pub drills: &'a [Finding],
    /// Tier of load-shape tolerances.
    pub tier: Tier,
    /// The scenario's expectations.
    pub expectations: &'a [Expectation],
    /// The run that they are held against, where one is named.
    pub baseline: Option<&'a Baseline>,
    /// What they are held against besides the load of the replay.
    pub around: Around<'a>,
    /// The user stopped the run.
    pub interrupted: bool,
}

/// What a replay yielded.
#[derive(Clone, Copy, Debug)]
pub struct Replayed<'a> {
    /// What was about to be done.
    pub facts: &'a Facts,
    /// What happened.
    pub summary: &'a Summary,
    /// How this machine was doing.
    pub health: &'a Health,
    /// The target runs on this machine, too: it stands still when the machine does.
    pub target_is_here: bool,
}

impl<'a> Replayed<'a> {
    /// What expectations are held against.
    fn seen(&self, baseline: Option<&'a Baseline>) -> Seen<'a> {
        let Facts { duration_ns, origin, .. } = *self.facts;
        let length = Duration::from_nanos(duration_ns);
        let is_recorded = origin == Origin::Recorded;
        Seen { summary: self.summary, length, is_recorded, baseline }
    }
}

/// The verdict on a run.
///
/// An expectation that the run cannot answer makes it invalid, unless something failed for sure: a
/// pass would claim what nobody saw. So does a run of drills that all saw nothing.
pub fn judge(input: &JudgeInput) -> Verdict {
    let Some(replayed) = input.replayed else { return judge_drills(input) };
    let mut shape = judge_shape(&ShapeInput {
        planned: &replayed.summary.planned,
        offered: &replayed.summary.offered,
        sent: &replayed.summary.sent,
        lateness: &replayed.summary.lateness,
        latency_bound_ns: tightest_latency(input.expectations, ActName::Replay),
        clock_step_ns: replayed.facts.clock_step_ns,
        origin: replayed.facts.origin,
        tolerances: input.tier.tolerances(),
        interrupted: input.interrupted,
    });
    let detected_in = |shape: &ShapeReport| {
        let Replayed { facts, summary, health, .. } = replayed;
        detect(&DetectorInput { facts, summary, health }, shape)
    };
    let mut detected = detected_in(&shape);
    if replayed.target_is_here
        && let Some(length) = stood_still(&shape, replayed.summary, &detected)
    {
        shape.verdict = ShapeVerdict::Invalid { fault: Fault::Generator };
        shape.statement = format!(
            "this machine stood still for {} while the target, which runs on it too, held the \
             load back",
            format_duration(length)
        );
        detected = detected_in(&shape);
    }
    if let Some(wrong) = little::wrong(replayed.summary, replayed.health) {
        shape.verdict = ShapeVerdict::Invalid { fault: Fault::Generator };
        shape.statement = wrong;
        detected = detected_in(&shape);
    }
    let seen = replayed.seen(input.baseline);
    let mut expectations: Vec<CheckedExpectation> = input
        .expectations
        .iter()
        .map(|each| input.around.check(each).unwrap_or_else(|| check(each, &seen)))
        .collect();
    let unsupported = is_unsupported(&shape);
    if unsupported {
        withdraw(&mut detected, &mut expectations, replayed.facts.origin);
    }
    // What a drill found explains what the replay met, and comes before it.
    let mut findings = [input.drills, &detected].concat();
    findings.sort_by_key(|finding| Reverse(finding.outcome));
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
    let origin = replayed.facts.origin;
    let headline = headline(outcome, &shape, origin, &findings, &expectations);
    Verdict { outcome, headline, shape: Some(shape), findings, expectations }
}

/// Takes back what the run cannot support; only what is said about this machine stays.
fn withdraw(findings: &mut [Finding], expectations: &mut [CheckedExpectation], origin: Origin) {
    for finding in findings.iter_mut().filter(|finding| finding.check != generator::CHECK) {
        let why = format!("not known, since the {} load was not produced", origin.word());
        match finding.outcome {
            Outcome::Unknown => {}
            // A target that crashed may be why, and where to look first.
            Outcome::Fail => finding.title = format!("{why}; what was seen: {}", finding.title),
            Outcome::Pass => {
                finding.evidence.insert(0, format!("what was seen: {}", finding.title));
                finding.title = why;
            }
        }
        finding.outcome = Outcome::Unknown;
        finding.advice = String::new();
    }
    findings.sort_by_key(|finding| Reverse(finding.outcome));
    for expectation in expectations {
        expectation.outcome = Outcome::Unknown;
        expectation.actual = format!("{}, but not judged: see above", expectation.actual);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Touch;
    use crate::sample::{Fate, Sample, Unsent};
    use crate::summary::examples::{answered, arrival, failed};

    const MS: Duration = Duration::from_millis(1);

    /// 3 000 arrivals in 30 s; `change` may spoil the sample of each.
    fn summary(change: impl Fn(u64, &mut Sample)) -> Summary {
        let mut summary = Summary::new();
        for index in 0..3_000 {
            let arrival = arrival(index, MS * 10 * u32::try_from(index).unwrap());
            let mut sample = answered(&arrival, MS);
            change(index, &mut sample);
            summary.add(&arrival, &sample);
        }
        summary
    }

    fn verdict(summary: &Summary, lines: &[&str], interrupted: bool) -> Verdict {
        let expectations: Vec<Expectation> =
            lines.iter().map(|line| Expectation::parse(line).unwrap()).collect();
        let (facts, health) = (Facts::default(), Health::default());
        judge(&JudgeInput {
            replayed: Some(Replayed {
                facts: &facts,
                summary,
                health: &health,
                target_is_here: true,
            }),
            drills: &[],
            tier: Tier::Standard,
            expectations: &expectations,
            baseline: None,
            around: Around::default(),
            interrupted,
        })
    }

    fn shape_of(verdict: &Verdict) -> &ShapeReport {
        verdict.shape.as_ref().unwrap()
    }

    #[test]
    fn a_good_run_passes_and_says_what_was_produced() {
        let verdict = verdict(&summary(|_, _| ()), &["latency p99 < 50ms", "errors < 1%"], false);
        assert_eq!(verdict.outcome, RunOutcome::Pass, "{}", verdict.headline);
        let headline = &verdict.headline;
        assert!(
            headline.starts_with("the recorded load of 3\u{202f}000 requests was produced; both")
        );
        // Detectors without evidence have not found the target healthy, and the headline says so.
        let blind = verdict.findings.iter().filter(|each| each.outcome == Outcome::Unknown).count();
        assert!(blind > 0, "{:#?}", verdict.findings);
        let said = format!("no detector found a fault ({blind} of 12 had too little to go by)");
        assert!(headline.ends_with(&said), "{headline}");
    }

    #[test]
    fn an_expectation_that_does_not_hold_fails_the_run() {
        let verdict = verdict(&summary(|_, _| ()), &["errors < 1%", "latency p99 < 1ms"], false);
        assert_eq!(verdict.outcome, RunOutcome::Fail);
        assert!(verdict.headline.contains("`latency p99 < 1ms` does not hold"));
    }

    #[test]
    fn lateness_of_our_own_makes_everything_else_unknown() {
        let late = summary(|_, sample| {
            sample.dispatched = sample.dispatched.map(|at| at + 30 * MS);
            sample.fate = Fate::Answered { status: 503 };
        });
        let verdict = verdict(&late, &["errors < 1%"], false);
        assert_eq!(verdict.outcome, RunOutcome::Invalid, "{}", verdict.headline);
        assert_eq!(shape_of(&verdict).verdict, ShapeVerdict::Invalid { fault: Fault::Generator });
        assert!(verdict.headline.starts_with("this machine did not produce"));
        let (first, others) = verdict.findings.split_first().unwrap();
        assert_eq!((first.check.as_str(), first.outcome), (generator::CHECK, Outcome::Fail));
        assert!(others.iter().all(|finding| finding.outcome == Outcome::Unknown));
        assert_eq!(verdict.expectations[0].outcome, Outcome::Unknown);
        let errors = others.iter().find(|finding| finding.check == "errors").unwrap();
        assert!(errors.title.starts_with("not known, since"), "{}", errors.title);
        assert!(errors.title.contains("ended in an error"), "what was seen is not lost");
        let passed = others.iter().find(|finding| finding.check == "outage").unwrap();
        assert_eq!(passed.title, "not known, since the recorded load was not produced");
        assert!(passed.evidence[0].starts_with("what was seen: "), "{:?}", passed.evidence);
    }

    #[test]
    fn our_own_lack_of_resources_is_not_the_targets_fault() {
        let mut short = summary(|_, _| ());
        for index in 0..30 {
            let arrival = arrival(index, MS);
            let fate = Fate::Unsent { reason: Unsent::LocalResources };
            short.add(&arrival, &failed(&arrival, fate));
        }
        let verdict = verdict(&short, &[], false);
        assert_eq!(shape_of(&verdict).verdict, ShapeVerdict::Invalid { fault: Fault::Generator });
        assert!(verdict.findings[0].advice.contains("limit of open files"));
    }

    #[test]
    fn a_target_that_never_answers_passes_nothing_that_rests_on_answers() {
        let mut mute = Summary::new();
        for index in 0..3_000 {
            let mut arrival = arrival(index, MS * 10 * u32::try_from(index).unwrap());
            arrival.touch = if index % 4 == 0 { Touch::First } else { Touch::Again };
            let sample = Sample { fate: Fate::TimedOut, ..answered(&arrival, 2_000 * MS) };
            mute.add(&arrival, &sample);
        }
        let verdict = verdict(&mute, &[], false);
        assert_eq!(verdict.outcome, RunOutcome::Fail);
        assert_eq!(verdict.headline, "none of the 3\u{202f}000 requests sent was answered");
        let cold = verdict.findings.iter().find(|each| each.check == "cold-cache").unwrap();
        assert_eq!(cold.outcome, Outcome::Unknown, "{cold:#?}");
    }

    fn held_back(lateness: Duration) -> Summary {
        summary(|index, sample| {
            let wait = MS * u32::try_from(index % 400).unwrap();
            (sample.sent, sample.done) =
                (sample.sent.map(|at| at + wait), sample.done.map(|at| at + wait));
            if index % 400 == 399 {
                sample.dispatched = sample.dispatched.map(|at| at + lateness);
            }
        })
    }

    /// The twins differ in whether this machine was late in the very seconds.
    #[test]
    fn a_machine_that_stood_still_with_the_target_on_it_is_to_blame() {
        for (lateness, outcome) in [(12 * MS, RunOutcome::Invalid), (MS, RunOutcome::Fail)] {
            let verdict = verdict(&held_back(lateness), &[], false);
            assert_eq!(verdict.outcome, outcome, "{}", verdict.headline);
            let blamed =
                shape_of(&verdict).statement.contains("this machine stood still for 12 ms");
            assert_eq!(blamed, outcome == RunOutcome::Invalid, "{:?}", verdict.shape);
        }
        let summary = held_back(12 * MS);
        let (facts, health) = (Facts::default(), Health::default());
        let elsewhere = judge(&JudgeInput {
            replayed: Some(Replayed {
                facts: &facts,
                summary: &summary,
                health: &health,
                target_is_here: false,
            }),
            drills: &[],
            tier: Tier::Standard,
            expectations: &[],
            baseline: None,
            around: Around::default(),
            interrupted: false,
        });
        assert_eq!(elsewhere.outcome, RunOutcome::Fail);
    }

    #[test]
    fn load_that_the_target_holds_back_is_a_finding_and_no_excuse() {
        let verdict = verdict(&held_back(MS), &["latency p50 < 1s"], false);
        assert_eq!(verdict.outcome, RunOutcome::Fail, "{}", verdict.headline);
        assert_eq!(verdict.findings[0].check, "held-back");
        assert_eq!(verdict.expectations[0].outcome, Outcome::Pass);
    }

    #[test]
    fn an_expectation_without_data_makes_a_run_invalid_unless_something_failed() {
        let known_status = summary(|_, _| ());
        let mut unknown_status = Summary::new();
        for index in 0..3_000 {
            let mut arrival = arrival(index, MS * 10 * u32::try_from(index).unwrap());
            arrival.recorded.status = None;
            unknown_status.add(&arrival, &answered(&arrival, MS));
        }
        let lines = ["status-changes < 1%"];
        assert_eq!(verdict(&known_status, &lines, false).outcome, RunOutcome::Pass);
        let unknown = verdict(&unknown_status, &lines, false);
        assert_eq!(unknown.outcome, RunOutcome::Invalid);
        assert!(unknown.headline.contains("`status-changes < 1%` cannot be answered"));
        let failing = ["status-changes < 1%", "latency p99 < 1us"];
        assert_eq!(
            shape_of(&verdict(&unknown_status, &failing, false)).verdict,
            ShapeVerdict::Invalid { fault: Fault::Generator }
        );
        let failing = ["status-changes < 1%", "latency p99 < 1ms"];
        assert_eq!(verdict(&unknown_status, &failing, false).outcome, RunOutcome::Fail);
    }

    #[test]
    fn a_stopped_run_is_interrupted() {
        let stopped = summary(|index, sample| {
            if index >= 1_000 {
                (sample.dispatched, sample.sent, sample.done) = (None, None, None);
                sample.opened = false;
                sample.fate = Fate::Unsent { reason: Unsent::Interrupted };
            }
        });
        let verdict = verdict(&stopped, &["errors < 1%"], true);
        assert_eq!(verdict.outcome, RunOutcome::Interrupted);
        assert_eq!(verdict.expectations[0].outcome, Outcome::Unknown);
        assert!(verdict.headline.starts_with("the run was stopped with "));
    }

    #[test]
    fn our_lateness_must_be_small_beside_the_latency_under_test() {
        let late = summary(|_, sample| {
            sample.dispatched = sample.dispatched.map(|at| at + 3 * MS);
        });
        assert_eq!(verdict(&late, &["latency p99 < 50ms"], false).outcome, RunOutcome::Pass);
        let tight = verdict(&late, &["latency p99 < 20ms"], false);
        assert_eq!(tight.outcome, RunOutcome::Invalid);
        assert_eq!(shape_of(&tight).worst_metric, "lateness p99 of latency bound");
    }
}
