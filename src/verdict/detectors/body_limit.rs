//! A limit on request bodies that production does not have.

use crate::units::{format_count, format_counted, format_size};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "body-limit";

const NONE: &str = "there was no request with a body, or none that was accepted";

/// Looks for bodies answered with 413 (content too large) that production accepted. One is enough:
/// the limit is exact, and it hits the same customer every time.
pub fn detect(input: &DetectorInput) -> Finding {
    let bodies = &input.summary.evidence.bodies;
    let refused = bodies.refused + bodies.refused_unknown;
    let largest = bodies.largest_accepted.map(format_size);
    if refused == 0 {
        return match largest {
            Some(size) => {
                finding(CHECK, Outcome::Pass, format!("bodies up to {size} were accepted"))
            }
            None => finding(CHECK, Outcome::Unknown, NONE),
        };
    }
    let smallest = bodies.smallest_refused.map_or_else(String::new, format_size);
    let count = format_counted(refused, "request body", "request bodies");
    let title = match &largest {
        Some(largest) => {
            format!("413 (too large) for {count}, from {smallest} on; {largest} passed")
        }
        None => format!("413 (too large) for {count}, from {smallest} on"),
    };
    // What production answered decides: where nothing of it is known, it may have the same limit.
    let outcome = if bodies.refused > 0 { Outcome::Fail } else { Outcome::Unknown };
    let mut found = finding(CHECK, outcome, title);
    if bodies.refused > 0 {
        let known = format_count(bodies.refused);
        found.evidence.push(format!("production accepted {known} of them"));
    }
    let origin = input.facts.origin;
    if bodies.refused_unknown > 0 && origin.is_recorded() {
        let unknown = format_count(bodies.refused_unknown);
        found.evidence.push(format!("production's answer to {unknown} of them is not known"));
    }
    if bodies.large_cut > 0 {
        let cut = format_counted(bodies.large_cut, "more large body", "more large bodies");
        found.evidence.push(format!("{cut} cut off without an answer"));
    }
    found.advice = format!(
        "Raise the body limit of every tier (such as client_max_body_size) above the largest {} \
         body, then rehearse again.",
        origin.word()
    );
    found
}
