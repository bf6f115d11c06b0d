//! Whether this machine produced the load of a trial: what a late one saw is no evidence.

use std::time::Duration;

use crate::act::capacity::seen::Outcome;
use crate::plan::facts::Facts;
use crate::scenario::Scenario;
use crate::scenario::acts::ActName;
use crate::scenario::expectation::tightest_latency;
use crate::shape::compare::{ShapeInput, judge_shape};
use crate::shape::{Fault, Origin, ShapeVerdict};
use crate::stats::counts::as_f64;
use crate::summary::Summary;
use crate::units::{format_duration, format_share};

/// What a trial says, and why.
pub(super) type Said = (Outcome, String);

pub(super) fn spoiled(reason: String) -> Said {
    (Outcome::Spoiled, reason)
}

/// A target on this machine stands still when the machine does: where that took half of what a
/// request may take, what did not hold is not its fault.
pub(super) fn stood_still(summary: &Summary, bound_ns: Option<f64>) -> Option<String> {
    let longest = summary.seconds.iter().map(|second| second.max_lateness_ns).max()?;
    let is_long = bound_ns.is_some_and(|bound| as_f64(longest) >= bound / 2.0);
    is_long.then(|| {
        format!(
            "this machine stood still for {}, and the target, which runs on it too, with it",
            format_duration(Duration::from_nanos(longest))
        )
    })
}

/// What is said where the load that was offered is not the one that was planned. What the target
/// made of it, such as requests that waited for their connection, is in the latencies.
pub(super) fn not_produced(scenario: &Scenario, facts: &Facts, summary: &Summary) -> Option<Said> {
    let shape = judge_shape(&ShapeInput {
        planned: &summary.planned,
        offered: &summary.offered,
        sent: &summary.offered,
        lateness: &summary.lateness,
        latency_bound_ns: tightest_latency(&scenario.expect, ActName::Capacity),
        clock_step_ns: facts.clock_step_ns,
        origin: Origin::Recorded,
        tolerances: scenario.tolerance.tolerances(),
        interrupted: false,
    });
    match shape.verdict {
        ShapeVerdict::Faithful | ShapeVerdict::Degraded { .. } => None,
        ShapeVerdict::Invalid { fault: Fault::Recording } => {
            let reason = "not known: of so little load no request is due in the time that counts";
            Some((Outcome::Unjudged, reason.to_owned()))
        }
        // It says that this machine did not produce the load.
        ShapeVerdict::Invalid { .. } => Some(spoiled(shape.statement)),
    }
}

/// The same for a trial that was ended early: its lateness alone.
pub(super) fn late(scenario: &Scenario, summary: &Summary) -> Option<String> {
    let [most, ..] = scenario.tolerance.tolerances().lateness_ms;
    let p99 = Duration::from_nanos(summary.lateness.value_at_quantile(0.99));
    (p99.as_secs_f64() * 1e3 > most).then(|| {
        let late = format_duration(p99);
        format!(
            "this machine did not produce the load: {} of it was {late} late",
            format_share(0.01)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;
    use crate::summary::examples::{answered, arrival};

    /// A tenth of a small load may be nothing, which is no fault of the generator.
    #[test]
    fn a_load_without_requests_is_not_known() {
        let text = "# t\nrecording: a\ntarget: { url: stage }\n";
        let (scenario, facts) = (from_text(text, "t.yaml").unwrap(), Facts::default());
        let said = not_produced(&scenario, &facts, &Summary::new());
        let (outcome, reason) = said.unwrap();
        assert_eq!(outcome, Outcome::Unjudged);
        assert!(reason.starts_with("not known: of so little load"), "{reason}");
    }

    /// The twins differ in how late the generator was once.
    #[test]
    fn a_machine_that_stood_still_is_told_from_a_slow_target() {
        for (late_ms, is_told) in [(80, false), (130, true)] {
            let mut summary = Summary::new();
            for index in 0..100_u64 {
                let arrival = arrival(index, Duration::from_millis(index * 20));
                let mut sample = answered(&arrival, Duration::from_millis(400));
                if index == 50 {
                    let late = Duration::from_millis(late_ms);
                    sample.dispatched = sample.dispatched.map(|at| at + late);
                }
                summary.add(&arrival, &sample);
            }
            let told = stood_still(&summary, Some(250e6));
            assert_eq!(told.is_some(), is_told, "{late_ms} ms: {told:?}");
            assert_eq!(stood_still(&summary, None), None, "no time is expected");
        }
    }
}
