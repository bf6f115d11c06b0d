//! Expectations that are not about the load of the replay: of another act, or of a probe.

use std::time::Duration;

use crate::act::capacity::seen::Checked;
use crate::act::cold::Cold;
use crate::act::{Evidence, Performed};
use crate::probe::record::Record;
use crate::scenario::acts::ActName;
use crate::scenario::expectation::{Expectation, MetricName};
use crate::shape::Fault;
use crate::stats::counts::as_index;
use crate::verdict::acts::capacity;
use crate::verdict::acts::cold::{CHECK, asks_only, warm_within};
use crate::verdict::expectations::figures;
use crate::verdict::{CheckedExpectation, Finding, Outcome};

/// What there is besides the load of the replay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// The drills that were performed.
    pub acts: &'a [Performed],
    /// What was found of them.
    pub drills: &'a [Finding],
    /// What the probes saw.
    pub probes: &'a [Record],
    /// From when to when the load of the replay was sent, ns since the start of the rehearsal;
    /// `None` where nothing was replayed.
    pub replayed: Option<[u64; 2]>,
}

impl<'a> Around<'a> {
    /// Checks an expectation that is not about the load of the replay; `None` for those that are.
    /// What was not performed, and what was not seen, is `Unknown`.
    pub fn check(&self, expectation: &Expectation) -> Option<CheckedExpectation> {
        let (outcome, actual) = if expectation.clauses.act == Some(ActName::Capacity) {
            of_trials(expectation, self).unwrap_or_else(|why| (Outcome::Unknown, why))
        } else if expectation.metric == MetricName::Probe {
            figures::checked(expectation, self)
        } else if expectation.clauses.are_of_the_replay() {
            return None;
        } else {
            of_act(expectation, self).unwrap_or_else(|why| (Outcome::Unknown, why))
        };
        Some(CheckedExpectation { text: expectation.text.clone(), outcome, actual })
    }

    /// An expectation asks of something that took place.
    pub fn is_asked(&self, expectation: &Expectation) -> bool {
        match expectation.clauses.act {
            None | Some(ActName::Replay) => self.replayed.is_some(),
            Some(act) => self.performed(act).is_ok(),
        }
    }

    /// A drill, or why there is none.
    pub(super) fn performed(&self, act: ActName) -> Result<&'a Performed, String> {
        let found = self.acts.iter().find(|performed| performed.act == act);
        found.ok_or_else(|| format!("the act `{}` was not performed", act.name()))
    }
}

/// What the trials of the act `capacity` were held against: each by itself, so that what holds is
/// what held at the highest load that is held.
fn of_trials(expectation: &Expectation, around: &Around<'_>) -> Result<(Outcome, String), String> {
    let Evidence::Capacity(seen) = &around.performed(ActName::Capacity)?.evidence else {
        return Err("the act `capacity` says nothing".to_owned());
    };
    let found = capacity::judge(seen);
    let held = seen.held.filter(|_| found.outcome == Outcome::Pass);
    let Some(held) = held else {
        return Err(format!("held against each trial of the act `capacity`: {}", found.title));
    };
    let mut trials = seen.trials.iter().rev().filter(|trial| trial.is_of(held));
    let checked = trials.find_map(|trial| {
        let it = trial.expectations.iter().find(|checked| checked.text == expectation.text)?;
        (it.holds == Some(true)).then_some(it)
    });
    let Checked { actual, .. } = checked.ok_or("no trial was held against it")?;
    Ok((Outcome::Pass, format!("{actual}, at {} ×", capacity::multiple(seen, held))))
}

/// What the act itself has held its load against.
fn of_act(expectation: &Expectation, around: &Around<'_>) -> Result<(Outcome, String), String> {
    let act = expectation.clauses.act.unwrap_or(ActName::Replay);
    let Evidence::Cold(cold) = &around.performed(act)?.evidence else {
        return Err(format!("the act `{}` does not measure a load", act.name()));
    };
    let Cold { untried, comparison, expectations, .. } = &**cold;
    if let Some(untried) = untried {
        return Err(format!("the act `cold` measured nothing: {untried}"));
    }
    if expectation.metric == MetricName::Warmup {
        let (_, limit) = expectation.compared().ok_or("it is held against no time")?;
        let limit = Duration::from_nanos(as_index(limit) as u64);
        // Where the act has asked the same, and nothing else, it is judged and told there.
        let told = around.drills.iter().find(|found| found.check == CHECK);
        let found = told.filter(|_| asks_only(cold, limit));
        return Ok(match found {
            Some(Finding { outcome: Outcome::Unknown, title, .. }) => {
                (Outcome::Unknown, title.clone())
            }
            Some(found) => (found.outcome, format!("as the finding `{CHECK}` says")),
            None => {
                let found = warm_within(cold, limit);
                (found.outcome, found.title)
            }
        });
    }
    let shape = comparison.as_ref().map(|comparison| &comparison.cold_shape);
    if let Some(shape) = shape.filter(|shape| shape.fault.is_some_and(|it| it != Fault::Target)) {
        return Err(format!("the load on cold caches was not produced: {}", shape.statement));
    }
    let told = expectations.iter().find(|checked| checked.text == expectation.text);
    let Checked { holds, actual, .. } = told.ok_or("the act `cold` was not held against it")?;
    let outcome = match holds {
        Some(true) => Outcome::Pass,
        Some(false) => Outcome::Fail,
        None => Outcome::Unknown,
    };
    Ok((outcome, format!("{actual}, on cold caches")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::capacity::seen::{Asked, Capacity, Ended, Outcome as TrialOutcome, Trial};
    use crate::act::cold::compare::{Comparison, Produced};
    use crate::act::cold::warming::tests::simulated;
    use crate::verdict::finding;

    fn cold(change: impl FnOnce(&mut Cold)) -> Performed {
        let checked = |text: &str, holds: Option<bool>| Checked {
            text: text.to_owned(),
            holds,
            actual: "900 ms".to_owned(),
        };
        let mut cold = Cold {
            comparison: Some(Comparison::default()),
            expectations: vec![
                checked("latency p99 < 1s in act cold", Some(true)),
                checked("latency p99 < 2ms in act cold", Some(false)),
                checked("errors < 1% in act cold", None),
            ],
            ..Cold::default()
        };
        change(&mut cold);
        let evidence = Evidence::Cold(Box::new(cold));
        Performed { act: ActName::Cold, started_ns: 0, ended_ns: 9, evidence }
    }

    fn outcome(line: &str, acts: &[Performed]) -> Option<(Outcome, String)> {
        let around = Around { acts, ..Around::default() };
        let checked = around.check(&Expectation::parse(line).unwrap())?;
        Some((checked.outcome, checked.actual))
    }

    #[test]
    fn an_act_tells_what_it_held_its_own_load_against() {
        let acts = [cold(|_| ())];
        for (line, expected) in [
            ("latency p99 < 1s in act cold", Outcome::Pass),
            ("latency p99 < 2ms in act cold", Outcome::Fail),
            ("errors < 1% in act cold", Outcome::Unknown),
        ] {
            let (found, actual) = outcome(line, &acts).unwrap();
            assert_eq!((found, actual.as_str()), (expected, "900 ms, on cold caches"), "{line}");
        }
        for line in ["latency p99 < 1s", "latency p99 < 1s in act replay"] {
            assert_eq!(outcome(line, &acts), None, "{line} is about the replay");
        }
    }

    #[test]
    fn a_warm_up_is_held_against_its_longest_time() {
        let with =
            |seconds: f64| cold(|cold| cold.comparison = Some(simulated(1, 300, 4.0, seconds)));
        for (acts, line, expected) in [
            ([with(10.0)], "warmup < 2m", Outcome::Pass),
            ([with(40.0)], "warmup < 2m", Outcome::Fail),
            ([with(40.0)], "warmup < 4m in act cold", Outcome::Pass),
            ([cold(|_| ())], "warmup < 2m", Outcome::Unknown),
        ] {
            let (found, actual) = outcome(line, &acts).unwrap();
            assert_eq!(found, expected, "{line}: {actual}");
        }
        let (found, why) = outcome("warmup < 2m", &[]).unwrap();
        assert_eq!((found, why.as_str()), (Outcome::Unknown, "the act `cold` was not performed"));
    }

    /// Where the act asks the same and nothing else, its finding is the judgement.
    #[test]
    fn a_warm_up_that_the_act_judges_is_judged_and_told_once() {
        let told = |limit_s: u64, slo_ns, outcome| {
            let acts = [cold(|cold| {
                cold.comparison = Some(simulated(1, 300, 4.0, 10.0));
                cold.bounds.warmup_ns = limit_s * 1_000_000_000;
                cold.bounds.slo_ns = slo_ns;
            })];
            let drills = [finding(CHECK, outcome, "a finding of the act")];
            let around = Around { acts: &acts, drills: &drills, ..Around::default() };
            let line = Expectation::parse("warmup < 2m").unwrap();
            let checked = around.check(&line).unwrap();
            (checked.outcome, checked.actual)
        };
        let as_told = (Outcome::Pass, "as the finding `cold-start` says".to_owned());
        assert_eq!(told(120, None, Outcome::Pass), as_told);
        assert_eq!(told(120, None, Outcome::Fail), (Outcome::Fail, as_told.1));
        let unknown = (Outcome::Unknown, "a finding of the act".to_owned());
        assert_eq!(told(120, None, Outcome::Unknown), unknown);
        // The twins ask the act something else, or more.
        for (limit, slo_ns) in [(60, None), (120, Some(1))] {
            let (outcome, actual) = told(limit, slo_ns, Outcome::Fail);
            assert_eq!(outcome, Outcome::Pass, "{actual}");
            assert!(actual.starts_with("a cold start is as fast"), "{actual}");
        }
    }

    /// What is expected of trials holds where the multiple does, and is told of the highest.
    #[test]
    fn trials_tell_what_they_were_held_against() {
        let line = "latency p99 < 250ms in act capacity";
        let searched = |at_least: f64, text: &str| {
            let trial = |load: f64, holds: bool| Trial {
                load,
                planned: load,
                outcome: if holds { TrialOutcome::Held } else { TrialOutcome::Failed },
                expectations: vec![Checked {
                    text: text.to_owned(),
                    holds: Some(holds),
                    actual: if holds { "90 ms".to_owned() } else { "3 s".to_owned() },
                }],
                ..Trial::default()
            };
            let seen = Capacity {
                asked: Asked { at_least, ..Asked::default() },
                trials: vec![trial(2.4, true), trial(2.45, false)],
                ended: Some(Ended::Found),
                held: Some(2.4),
                failed: Some(2.45),
                is_confirmed: true,
                ..Capacity::default()
            };
            let evidence = Evidence::Capacity(Box::new(seen));
            [Performed { act: ActName::Capacity, started_ns: 0, ended_ns: 9, evidence }]
        };
        for at in [line, "redis.clients < 9 in act capacity"] {
            let found = outcome(at, &searched(1.0, at)).unwrap();
            assert_eq!(found, (Outcome::Pass, "90 ms, at 2.4 ×".to_owned()));
        }
        let (found, actual) = outcome(line, &searched(3.0, line)).unwrap();
        assert_eq!(found, Outcome::Unknown, "that the multiple is too low is the finding's to say");
        assert!(actual.starts_with("held against each trial of the act `capacity`: "), "{actual}");
        let (found, actual) = outcome(line, &searched(1.0, "another")).unwrap();
        assert_eq!((found, actual.as_str()), (Outcome::Unknown, "no trial was held against it"));
        let (found, actual) = outcome(line, &[]).unwrap();
        assert_eq!(found, Outcome::Unknown);
        assert!(actual.contains("was not performed"), "{actual}");
    }

    #[test]
    fn an_act_that_did_not_run_says_nothing() {
        let line = "latency p99 < 1s in act cold";
        let late = Produced { statement: "late".to_owned(), fault: Some(Fault::Generator) };
        for (acts, why) in [
            (vec![], "the act `cold` was not performed"),
            (
                vec![cold(|cold| cold.untried = Some("not consented".to_owned()))],
                "measured nothing: not consented",
            ),
            (
                vec![cold(|cold| cold.comparison.as_mut().unwrap().cold_shape = late)],
                "was not produced: late",
            ),
            (vec![cold(|cold| cold.expectations.clear())], "was not held against it"),
        ] {
            let (found, actual) = outcome(line, &acts).unwrap();
            assert_eq!(found, Outcome::Unknown, "{why}");
            assert!(actual.contains(why), "{actual}");
        }
        let held_back = Produced { statement: String::new(), fault: Some(Fault::Target) };
        let acts = [cold(|cold| cold.comparison.as_mut().unwrap().cold_shape = held_back)];
        assert_eq!(outcome(line, &acts).unwrap().0, Outcome::Pass);
    }
}
