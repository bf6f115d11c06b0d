//! What it means that a run was held.

use crate::drive::hold::Held;
use crate::sample::Unsent;
use crate::summary::Summary;
use crate::units::{format_counted, format_duration};
use crate::verdict::{Outcome, Verdict, finding};

/// A run that was held for a time.
pub const CHECK: &str = "hold";

/// Most times that stand in the report one by one.
const MAX_TOLD: usize = 10;

/// Adds what was held back: neither the target's fault nor this machine's, and no part of the load
/// whose shape is claimed.
pub fn add(verdict: &mut Verdict, held: &Held, summary: &Summary) {
    if held.times.is_empty() && held.more == 0 {
        return;
    }
    let unsent = summary.fates.get(Unsent::Held.name()).copied().unwrap_or(0);
    let times = format_counted(held.times.len() as u64 + held.more, "time", "times");
    let title = format!(
        "the run was held {times}: {} due meanwhile, not sent, and in no part of the load shape",
        format_counted(unsent, "request was", "requests were")
    );
    let mut found = finding(CHECK, Outcome::Unknown, title);
    found.evidence = held
        .times
        .iter()
        .take(MAX_TOLD)
        .map(|(from, to)| {
            format!("held from {} to {}", format_duration(*from), format_duration(*to))
        })
        .collect();
    let more = held.times.len().saturating_sub(MAX_TOLD) as u64 + held.more;
    if more > 0 {
        found.evidence.push(format!("and {}", format_counted(more, "more time", "more times")));
    }
    "Repeat the run without holding it where all of the load counts.".clone_into(&mut found.advice);
    let place = verdict.findings.iter().take_while(|each| each.outcome == Outcome::Fail).count();
    verdict.findings.insert(place, found);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample::{Fate, Sample};
    use crate::summary::examples::{answered, arrival};
    use crate::verdict::RunOutcome;

    #[test]
    fn a_run_that_was_held_says_when_and_what_was_not_sent() {
        let mut summary = Summary::new();
        for index in 0..5 {
            let arrival = arrival(index, Duration::from_millis(index));
            let sample = answered(&arrival, Duration::from_millis(1));
            let fate = Fate::Unsent { reason: Unsent::Held };
            let dispatched = None;
            summary.add(&arrival, &Sample { dispatched, sent: None, done: None, fate, ..sample });
        }
        let mut verdict = Verdict {
            outcome: RunOutcome::Pass,
            headline: String::new(),
            shape: None,
            findings: vec![finding("errors", Outcome::Fail, "many")],
            expectations: Vec::new(),
        };
        add(&mut verdict, &Held::default(), &summary);
        assert_eq!(verdict.findings.len(), 1);
        let seconds = Duration::from_secs;
        add(&mut verdict, &Held { times: vec![(seconds(2), seconds(5))], more: 1 }, &summary);
        let found = &verdict.findings[1];
        assert_eq!((found.check.as_str(), found.outcome), (CHECK, Outcome::Unknown));
        assert!(found.title.contains("held 2 times: 5 requests were due"), "{}", found.title);
        assert_eq!(found.evidence, ["held from 2 s to 5 s", "and 1 more time"]);
    }
}
