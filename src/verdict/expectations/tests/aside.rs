//! What is no part of the load is no part of what is expected of it.

use std::time::Duration;

use super::{checked, outcome, summary};
use crate::sample::{Fate, Unsent};
use crate::summary::examples::{arrival, failed};
use crate::verdict::Outcome;

/// What a person held back, or a hook left out, was never asked for: it is no slow answer. What was
/// not sent for another reason is one.
#[test]
fn what_was_left_out_on_purpose_is_not_held_against_the_target() {
    let with = |reason: Unsent| {
        let mut summary = summary(0);
        for index in 100..200 {
            let arrival = arrival(index, Duration::from_millis(index * 10));
            summary.add(&arrival, &failed(&arrival, Fate::Unsent { reason }));
        }
        summary
    };
    for (reason, expected) in [
        (Unsent::Held, Outcome::Pass),
        (Unsent::HookSkipped, Outcome::Pass),
        (Unsent::InFlightLimit, Outcome::Fail),
    ] {
        let summary = with(reason);
        for line in [
            "latency p99 < 1s",
            "latency mean < 1s",
            "latency p99 < 1s over 2s",
            "latency p99 < 1s for route GET /item/*",
            "completeness >= 100%",
        ] {
            assert_eq!(outcome(line, &summary), expected, "{line} {reason:?}");
        }
    }
    let nothing_sent = with(Unsent::Held).seconds[1].set_aside;
    assert_eq!(nothing_sent, 100, "the second second was held");
    let checked = checked("errors < 1% after 1s", &with(Unsent::Held));
    assert_eq!(checked.outcome, Outcome::Unknown, "{}", checked.actual);
}
