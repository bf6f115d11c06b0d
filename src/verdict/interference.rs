//! A target on this very machine stands still when the machine does. What it held back then is not
//! its fault.

use std::time::Duration;

use crate::shape::{Fault, ShapeReport, ShapeVerdict};
use crate::summary::Summary;
use crate::verdict::detectors::held_back;
use crate::verdict::{Finding, Outcome};

/// From this lateness of the generator on, the machine was interrupted in that second: the pacer
/// does nothing but wait for its moment, and is microseconds late otherwise.
const STOOD_STILL: Duration = Duration::from_millis(10);

/// How long this machine stood still in the seconds in which the target, which runs on it too,
/// held load back; `None` where that explains less than half of what was held back, or where
/// something else was found that does.
pub(super) fn stood_still(
    shape: &ShapeReport,
    summary: &Summary,
    findings: &[Finding],
) -> Option<Duration> {
    if shape.verdict != (ShapeVerdict::Invalid { fault: Fault::Target }) {
        return None;
    }
    let mut failed = findings.iter().filter(|finding| finding.outcome == Outcome::Fail);
    if failed.any(|finding| finding.check != held_back::CHECK) {
        return None;
    }
    let (mut moved, mut moved_in_stops, mut longest) = (0, 0, Duration::ZERO);
    // What is held back in one second is often sent in the next: both belong to the stop.
    let mut stopped_before = false;
    for second in &summary.seconds {
        let difference = u64::from(second.due.abs_diff(second.sent));
        let lateness = Duration::from_nanos(second.max_lateness_ns);
        let stopped = lateness >= STOOD_STILL;
        moved += difference;
        if difference > 0 && (stopped || stopped_before) {
            moved_in_stops += difference;
            longest = longest.max(lateness);
        }
        stopped_before = stopped;
    }
    (moved > 0 && moved_in_stops * 2 >= moved).then_some(longest)
}
