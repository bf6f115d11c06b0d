//! Little's law, as an audit of our own books: what is in flight on average is what arrives in a
//! second times how long each stays. One side is counted as requests come and go, the other is
//! summed up from their samples; where they part, samples were lost, or counted twice.

mod bins;

use crate::drive::health::Health;
use crate::stats::counts::as_f64;
use crate::summary::Summary;
use crate::verdict::little::bins::Parted;

pub(super) use bins::Bins;

/// How far apart the two may be, as a share of the larger one (science: capacity).
const TOLERANCE: f64 = 0.02;

/// The two sides of the law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Little {
    /// Requests in flight, on average over the run, as they were counted.
    pub(super) counted: f64,
    /// The same from the samples: their rate times their mean time in flight.
    pub(super) sampled: f64,
}

/// What is wrong with the books of a run, over all of it or in one of its bins.
pub(super) fn wrong(summary: &Summary, health: &Health) -> Option<String> {
    let little = Little::of(summary, health).filter(|little| !little.holds());
    let parted = || Bins::of(summary, health).parted.map(Parted::statement);
    little.map(Little::statement).or_else(parted)
}

impl Little {
    /// Both, where they are known.
    pub(super) fn of(summary: &Summary, health: &Health) -> Option<Self> {
        let counted = health.in_flight_seconds? / health.seconds;
        let sampled = as_f64(summary.in_flight_ns) / 1e9 / health.seconds;
        (counted.is_finite() && sampled.is_finite()).then_some(Self { counted, sampled })
    }

    /// What is wrong with a run in which they part.
    fn statement(self) -> String {
        format!(
            "peakhour lost count: {:.2} requests were in flight on average, and their samples tell \
             of {:.2}; this is an error of peakhour, please report it",
            self.counted, self.sampled
        )
    }

    /// They agree.
    pub(super) fn holds(self) -> bool {
        (self.counted - self.sampled).abs() <= TOLERANCE * self.counted.max(self.sampled)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::summary::examples::{answered, arrival};

    /// A thousand requests of 3 ms in 10 s, of which so many have samples.
    fn little(samples: u32) -> Little {
        let mut summary = Summary::new();
        for index in 0..samples {
            let arrival = arrival(u64::from(index), Duration::from_millis(10) * index);
            summary.add(&arrival, &answered(&arrival, Duration::from_millis(3)));
        }
        let in_flight_seconds = Some(3.0);
        let health = Health { seconds: 10.0, in_flight_seconds, ..Health::default() };
        Little::of(&summary, &health).unwrap()
    }

    #[test]
    fn every_sample_is_missed_and_none_is_invented() {
        assert!(little(1_000).holds(), "{:?}", little(1_000));
        assert!(little(990).holds());
        assert!(!little(970).holds() && !little(1_030).holds());
    }

    #[test]
    fn what_was_not_counted_is_not_known() {
        assert_eq!(Little::of(&Summary::new(), &Health::default()), None);
        let no_time = Health { in_flight_seconds: Some(1.0), ..Health::default() };
        assert_eq!(Little::of(&Summary::new(), &no_time), None);
        let idle = Health { seconds: 1.0, in_flight_seconds: Some(0.0), ..Health::default() };
        assert!(Little::of(&Summary::new(), &idle).is_some_and(Little::holds));
    }
}
