//! How large request bodies fared, and what small requests felt beside them.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::plan::{Arrival, Touch};
use crate::sample::{Fate, Sample};
use crate::stats::histograms::{self, coarse_times, nanoseconds, record_time};
use crate::summary::evidence::is_large;

/// The status of a body that is too large.
const CONTENT_TOO_LARGE: u16 = 413;

/// How large request bodies fared. Sizes are bytes on the wire, chunk framing included.
#[derive(Clone, Debug, PartialEq)]
pub struct Bodies {
    /// Requests with a body that were answered.
    pub answered: u64,
    /// Bodies answered with 413 though production did not.
    pub refused: u64,
    /// Bodies answered with 413 where production's answer is not known.
    pub refused_unknown: u64,
    /// Smallest body that was answered with 413.
    pub smallest_refused: Option<u64>,
    /// Largest body that was answered without an error.
    pub largest_accepted: Option<u64>,
    /// Large bodies that ended in a reset or an early close.
    pub large_cut: u64,
    /// Large bodies that were answered without an error, and their bytes.
    pub large_answered: u64,
    /// See `large_answered`.
    pub large_bytes: u64,
    /// Sent to done of `large_answered`, ns.
    pub large_service: Histogram<u64>,
    /// Due to done of small requests while a large one was in flight, ns; no first touches. A
    /// blocked target holds up those that wait for its answer on their connection as well, and
    /// answers them at once when it goes on: from sent to done they would look unharmed.
    pub small_beside: Histogram<u64>,
    /// Due to done of the other small requests, ns; no first touches.
    pub small_apart: Histogram<u64>,
}

impl Bodies {
    /// Takes what one sample shows.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let size = arrival.body_bytes();
        let large = is_large(arrival);
        let cut = matches!(sample.fate, Fate::Reset | Fate::ClosedEarly { .. });
        self.large_cut += u64::from(large && cut);
        let Fate::Answered { status } = sample.fate else { return };
        if size > 0 {
            self.answered += 1;
            self.add_limit(size, status, arrival.recorded.status);
        }
        let Some((sent, done)) = sample.sent.zip(sample.done) else { return };
        let service = nanoseconds(done.saturating_sub(sent));
        if large && status < 400 {
            self.large_answered += 1;
            self.large_bytes = self.large_bytes.saturating_add(size);
            record_time(&mut self.large_service, service);
        }
        // A cold cache slows first touches wherever large bodies are, so they are no victims.
        if !large && arrival.touch != Touch::First {
            let histogram =
                if sample.beside_large { &mut self.small_beside } else { &mut self.small_apart };
            record_time(histogram, nanoseconds(done.saturating_sub(sample.due)));
        }
    }

    /// Adds the evidence of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.refused_unknown += other.refused_unknown;
        self.smallest_refused =
            [self.smallest_refused, other.smallest_refused].into_iter().flatten().min();
        self.largest_accepted = self.largest_accepted.max(other.largest_accepted);
        self.large_cut += other.large_cut;
        self.large_answered += other.large_answered;
        self.large_bytes = self.large_bytes.saturating_add(other.large_bytes);
        histograms::merge(&mut self.large_service, &other.large_service);
        histograms::merge(&mut self.small_beside, &other.small_beside);
        histograms::merge(&mut self.small_apart, &other.small_apart);
    }

    /// The median of the time per byte that large bodies took, in nanoseconds.
    pub fn time_per_byte(&self) -> Option<Duration> {
        let mean = self.large_bytes.checked_div(self.large_answered)?;
        let per_byte = self.large_service.value_at_quantile(0.5).checked_div(mean)?;
        Some(Duration::from_nanos(per_byte))
    }

    fn add_limit(&mut self, size: u64, status: u16, recorded: Option<u16>) {
        if status != CONTENT_TOO_LARGE {
            if status < 400 {
                self.largest_accepted = self.largest_accepted.max(Some(size));
            }
            return;
        }
        match recorded {
            Some(CONTENT_TOO_LARGE) => return, // Production has the same limit.
            Some(_) => self.refused += 1,
            None => self.refused_unknown += 1,
        }
        self.smallest_refused = Some(self.smallest_refused.map_or(size, |known| known.min(size)));
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            answered: 0,
            refused: 0,
            refused_unknown: 0,
            smallest_refused: None,
            largest_accepted: None,
            large_cut: 0,
            large_answered: 0,
            large_bytes: 0,
            large_service: coarse_times(),
            small_beside: coarse_times(),
            small_apart: coarse_times(),
        }
    }
}
