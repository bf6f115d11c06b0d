//! Whether the stack returns to what it was before the cold start once the load is gone: one that
//! does not is stuck by itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::act::Ground;
use crate::act::cold::trickle::trickle;
use crate::plan::arrivals::Plan;
use crate::summary::Summary;
use crate::units::format_duration;

/// The stack under a few requests a second, after the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// Median latency of the same requests before the load, ns.
    pub before_ns: u64,
    /// When it was last looked at; `None` where too few were answered.
    pub after_ns: Option<u64>,
    /// How long it was waited, ns.
    pub waited_ns: u64,
    /// It is as fast as before.
    pub has_recovered: bool,
}

/// As fast as before is within this share of it ...
const WITHIN: f64 = 0.1;

/// ... or within this time.
const UNFELT: Duration = Duration::from_millis(5);

/// Length of a look: long enough for a median.
const LOOK: Duration = Duration::from_secs(4);

/// Fewest answers of a median.
pub(super) const FEWEST: u64 = 20;

/// The shortest wait, where the scenario does not say.
const SHORTEST: Duration = Duration::from_mins(2);

/// The longest.
const LONGEST: Duration = Duration::from_mins(10);

/// How long it is waited: as the scenario says, or five times the time constant of the warm-up.
pub(super) fn allowed(asked: Option<Duration>, constant: Option<Duration>) -> Duration {
    let five = constant.unwrap_or_default().saturating_mul(5);
    asked.unwrap_or(five.clamp(SHORTEST, LONGEST))
}

/// Looks until the stack is as fast as `before_ns`, or `allowed` is over.
pub(super) fn recovery(
    ground: &Ground<'_>,
    before_ns: u64,
    allowed: Duration,
    plan: impl Fn() -> Result<Plan, String>,
) -> Result<Recovery, String> {
    let begun = ground.epoch.now();
    let mut found = Recovery { before_ns, ..Recovery::default() };
    loop {
        let looked = trickle(ground, LOOK, plan()?)?;
        if ground.stop.is_requested() {
            return Err("the run was interrupted".to_owned());
        }
        let waited = ground.epoch.now().saturating_sub(begun);
        found.waited_ns = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        let Some(looked) = looked else { return Ok(found) };
        found.look(&looked.summary);
        if found.has_recovered || waited >= allowed {
            return Ok(found);
        }
        (ground.say)(&format!(
            "cold: the stack is slower than before the load; waiting {} for it to recover",
            format_duration(allowed.saturating_sub(waited))
        ));
    }
}

impl Recovery {
    fn look(&mut self, seen: &Summary) {
        let answered = seen.latency.len();
        let enough = answered >= FEWEST.min(seen.arrivals) && answered > 0;
        self.after_ns = enough.then(|| seen.latency.value_at_quantile(0.5));
        let seconds = |ns: u64| Duration::from_nanos(ns).as_secs_f64();
        // Half of what was late may be late by twice the average, and so may the target be.
        let late = if seen.lateness.is_empty() { 0.0 } else { seen.lateness.mean() / 1e9 };
        let before = seconds(self.before_ns);
        let most = before + (WITHIN * before).max(UNFELT.as_secs_f64()) + 2.0 * late;
        self.has_recovered = self.after_ns.is_some_and(|after| seconds(after) <= most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(ms: &[u64], arrivals: u64) -> bool {
        let mut seen = Summary::new();
        seen.arrivals = arrivals;
        for ms in ms {
            seen.latency.record(ms * 1_000_000).unwrap();
        }
        let mut found = Recovery { before_ns: 100_000_000, ..Recovery::default() };
        found.look(&seen);
        found.has_recovered
    }

    #[test]
    fn a_stack_has_recovered_within_a_tenth_of_what_it_was() {
        assert!(looked(&[109; 20], 20) && looked(&[60; 20], 20));
        assert!(!looked(&[115; 20], 20));
        assert!(!looked(&[100; 10], 20), "half of the requests have no answer");
        assert!(!looked(&[], 0));
    }

    #[test]
    fn the_wait_is_bounded() {
        let second = Duration::from_secs;
        assert_eq!(allowed(None, None), second(120));
        assert_eq!(allowed(None, Some(second(40))), second(200));
        assert_eq!(allowed(None, Some(Duration::MAX)), second(600));
        assert_eq!(allowed(Some(second(3)), Some(second(40))), second(3));
    }
}
