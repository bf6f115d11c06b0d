//! What was settled in each of the last seconds, for rules that end a run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::sample::{Fate, Sample};
use crate::stats::histograms::{self, coarse_times, nanoseconds, record_time};

/// The seconds that are kept: a row of some 20 KiB each, twice that where there were errors; five
/// minutes of them for rules, and a trial's length for those of a capacity.
#[derive(Debug)]
pub(super) struct Recent {
    keep: usize,
    seconds: BTreeMap<u64, Window>,
}

/// What was settled in a time.
#[derive(Clone, Debug)]
pub struct Window {
    /// Requests that were sent, or whose connection the target refused.
    pub sent: u64,
    /// Those that ended in an error.
    pub errors: u64,
    /// Due to done, ns, of those that were answered; two significant digits.
    pub latency: Histogram<u64>,
    /// The same of those that ended in an error.
    pub failed: Histogram<u64>,
}

impl Window {
    fn new() -> Self {
        Self { sent: 0, errors: 0, latency: coarse_times(), failed: coarse_times() }
    }
}

impl Recent {
    /// Keeps this time, in whole seconds.
    pub(super) fn new(keep: Duration) -> Self {
        // The second that is under way, and one that late writers may still touch.
        let keep = usize::try_from(keep.as_secs()).unwrap_or(usize::MAX).saturating_add(2);
        Self { keep, seconds: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, sample: &Sample, error: bool) {
        let Some(done) = sample.done.filter(|_| !matches!(sample.fate, Fate::Unsent { .. })) else {
            return;
        };
        let second = self.seconds.entry(done.as_secs()).or_insert_with(Window::new);
        second.sent += 1;
        second.errors += u64::from(error);
        let took = nanoseconds(done.saturating_sub(sample.ready()));
        if matches!(sample.fate, Fate::Answered { .. }) {
            record_time(&mut second.latency, took);
        }
        if error {
            record_time(&mut second.failed, took);
        }
        while self.seconds.len() > self.keep {
            self.seconds.pop_first();
        }
    }

    /// The seconds from `from` until before `until`.
    pub(super) fn between(&self, from: u64, until: u64) -> Window {
        let mut sum = Window::new();
        for second in self.seconds.range(from..until.max(from)).map(|(_, second)| second) {
            sum.sent += second.sent;
            sum.errors += second.errors;
            histograms::merge(&mut sum.latency, &second.latency);
            histograms::merge(&mut sum.failed, &second.failed);
        }
        sum
    }
}
