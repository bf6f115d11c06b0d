//! What became of the requests of a second, in few enough groups to be seen in one picture.

use crate::protocol::resp::{ERROR_REPLY, REPLY};
use crate::sample::{Fate, Sample};

/// The groups, in the order in which a picture stacks them: what users wanted first.
pub const NAMES: [&str; GROUPS] = [
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "other answers",
    "declined",
    "not connected",
    "broken off",
    "timed out",
    "unsent",
    "replies",
    "error replies",
];

/// How many there are.
pub const GROUPS: usize = 12;

/// Requests by group, as [`NAMES`] has them.
pub type Outcomes = [u32; GROUPS];

/// The group of a sample. Each sample has exactly one.
pub fn group(sample: &Sample) -> usize {
    match sample.fate {
        // RESP has no statuses, but replies.
        Fate::Answered { status: REPLY } => 10,
        Fate::Answered { status: ERROR_REPLY } => 11,
        Fate::Answered { status } => match status / 100 {
            class @ 2..=5 => usize::from(class) - 2,
            _ => 4,
        },
        Fate::Declined { .. } | Fate::GrpcFailed => 5,
        Fate::Refused | Fate::ConnectTimedOut | Fate::Rejected { .. } | Fate::Tls { .. } => 6,
        Fate::Reset
        | Fate::ClosedEarly { .. }
        | Fate::Malformed
        | Fate::Truncated
        | Fate::Http2 { .. } => 7,
        Fate::TimedOut => 8,
        Fate::Unsent { .. } => 9,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample::Unsent;
    use crate::summary::examples::{arrival, failed};

    #[test]
    fn every_fate_has_its_group() {
        let arrival = arrival(0, Duration::ZERO);
        for (fate, name) in [
            (Fate::Answered { status: 204 }, "2xx"),
            (Fate::Answered { status: 503 }, "5xx"),
            (Fate::Answered { status: 101 }, "other answers"),
            (Fate::Answered { status: REPLY }, "replies"),
            (Fate::Answered { status: ERROR_REPLY }, "error replies"),
            (Fate::GrpcFailed, "declined"),
            (Fate::Refused, "not connected"),
            (Fate::ClosedEarly { after_bytes: 3 }, "broken off"),
            (Fate::TimedOut, "timed out"),
            (Fate::Unsent { reason: Unsent::Held }, "unsent"),
        ] {
            assert_eq!(NAMES[group(&failed(&arrival, fate))], name);
        }
    }
}
