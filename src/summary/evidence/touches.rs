//! First requests for a target against later ones: what a cold cache does to them.

use hdrhistogram::Histogram;

use crate::plan::{Arrival, Touch};
use crate::sample::{Fate, Sample};
use crate::stats::histograms::{self, coarse_times, nanoseconds, record_time};

/// Service times (sent to done, ns) of GET and HEAD requests that were answered or timed out, and
/// what production took for the same requests where the recording knows. A time-out counts with the
/// time that was waited: when a store is so overloaded that most first reads never come back, the
/// few that do would look fine.
#[derive(Clone, Debug, PartialEq)]
pub struct Touches {
    /// First requests for their target: a cold cache must miss.
    pub first: Histogram<u64>,
    /// Later requests for it: a warmed cache hits.
    pub again: Histogram<u64>,
    /// Production's time for `first`.
    pub recorded_first: Histogram<u64>,
    /// Production's time for `again`.
    pub recorded_again: Histogram<u64>,
}

impl Touches {
    /// Takes what one sample shows.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let read = matches!(&*arrival.method, "GET" | "HEAD");
        let waited = matches!(sample.fate, Fate::Answered { .. } | Fate::TimedOut);
        let Some((sent, done)) = sample.sent.zip(sample.done) else { return };
        if !(read && waited) {
            return;
        }
        let (service, recorded) = match arrival.touch {
            Touch::First => (&mut self.first, &mut self.recorded_first),
            Touch::Again => (&mut self.again, &mut self.recorded_again),
            Touch::Unknown => return,
        };
        record_time(service, nanoseconds(done.saturating_sub(sent)));
        if let Some(latency) = arrival.recorded.latency {
            record_time(recorded, nanoseconds(latency));
        }
    }

    /// Adds the evidence of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        histograms::merge(&mut self.first, &other.first);
        histograms::merge(&mut self.again, &other.again);
        histograms::merge(&mut self.recorded_first, &other.recorded_first);
        histograms::merge(&mut self.recorded_again, &other.recorded_again);
    }
}

impl Default for Touches {
    fn default() -> Self {
        Self {
            first: coarse_times(),
            again: coarse_times(),
            recorded_first: coarse_times(),
            recorded_again: coarse_times(),
        }
    }
}
