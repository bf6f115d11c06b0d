//! What it means that a rule ended a run, or could not have.

use crate::act::abort::Guarded;
use crate::units::format_duration;
use crate::verdict::{Finding, Outcome, RunOutcome, Verdict, finding};

/// A rule that ends a run.
pub const CHECK: &str = "abort";

const ADVICE: &str = "Find out what the target met at that moment; lower the load, or loosen the \
                      rule, if it may go on from there.";

/// Adds what the rules have come to. A run that a rule ended has failed, whatever else is known of
/// it: the load was not produced to its end because the target did not bear it.
pub fn add(verdict: &mut Verdict, guarded: &Guarded) {
    if let Some(aborted) = &guarded.aborted {
        let at = format_duration(aborted.at);
        let title = format!("aborted after {at}: `{}` holds ({})", aborted.rule, aborted.seen);
        verdict.outcome = RunOutcome::Fail;
        verdict.headline.clone_from(&title);
        let mut failed = finding(CHECK, Outcome::Fail, title);
        failed.evidence =
            vec!["nothing was sent from then on; what was in flight was waited for".to_owned()];
        ADVICE.clone_into(&mut failed.advice);
        verdict.findings.insert(0, failed);
    } else if guarded.rules > 0 && guarded.silent.is_empty() {
        let place = verdict.findings.len();
        verdict.findings.insert(place, passed(guarded.rules));
    }
    for rule in &guarded.silent {
        let mut silent =
            finding(CHECK, Outcome::Unknown, format!("`{rule}` was never judged: no data"));
        silent.subject.clone_from(rule);
        silent.advice = format!(
            "Give the rule `{rule}` something to be judged by: a run that is longer than its time, \
             answers, or a probe that sees."
        );
        let after = verdict.findings.iter().take_while(|each| each.outcome != Outcome::Pass);
        let place = after.count();
        verdict.findings.insert(place, silent);
    }
}

fn passed(rules: usize) -> Finding {
    let title = match rules {
        1 => "the rule that would have ended the run never held".to_owned(),
        count => format!("none of the {count} rules that would have ended the run held"),
    };
    finding(CHECK, Outcome::Pass, title)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::act::abort::Aborted;

    fn verdict() -> Verdict {
        Verdict {
            outcome: RunOutcome::Interrupted,
            headline: "the run was stopped".to_owned(),
            shape: None,
            findings: vec![finding("errors", Outcome::Pass, "none")],
            expectations: Vec::new(),
        }
    }

    #[test]
    fn an_aborted_run_has_failed_and_says_by_which_rule() {
        let aborted = Aborted {
            rule: "errors > 10% over 10s".to_owned(),
            at: Duration::from_millis(12_400),
            seen: "53 % of 900 requests".to_owned(),
        };
        let mut verdict = verdict();
        add(&mut verdict, &Guarded { aborted: Some(aborted), silent: Vec::new(), rules: 1 });
        assert_eq!(verdict.outcome, RunOutcome::Fail);
        let told = "aborted after 12.4 s: `errors > 10% over 10s` holds (53 % of 900 requests)";
        assert_eq!(verdict.headline, told);
        assert_eq!((verdict.findings[0].check.as_str(), verdict.findings.len()), (CHECK, 2));
    }

    #[test]
    fn rules_that_did_not_hold_pass_and_those_without_data_are_not_known() {
        let mut held_off = verdict();
        add(&mut held_off, &Guarded { rules: 1, ..Guarded::default() });
        assert_eq!((held_off.outcome, held_off.findings.len()), (RunOutcome::Interrupted, 2));
        assert_eq!(held_off.findings[1].outcome, Outcome::Pass);
        let mut silent = verdict();
        let rule = "redis.clients > 9".to_owned();
        add(&mut silent, &Guarded { silent: vec![rule], rules: 1, aborted: None });
        assert_eq!(silent.findings[0].outcome, Outcome::Unknown);
        assert!(silent.findings[0].advice.contains("`redis.clients > 9`"));
        let mut without = verdict();
        add(&mut without, &Guarded::default());
        assert_eq!(without.findings.len(), 1);
    }
}
