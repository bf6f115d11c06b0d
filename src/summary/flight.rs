//! How long requests were in flight, by the time in which they were: what Little's law needs of
//! the samples.

use std::time::Duration;

use crate::shape::MAX_SECONDS;
use crate::stats::histograms::nanoseconds;

/// Width of a bin: long enough for looks from aside to tell a mean, and short enough to find what
/// a run of an hour would hide.
pub const BIN: Duration = Duration::from_secs(10);

/// Bins kept. What comes later is not audited in bins.
pub const MAX_BINS: usize = MAX_SECONDS / 10;

/// The bin of a moment of the run, and the rest of it, in nanoseconds.
pub fn bin_of(moment_ns: u64) -> (usize, u64) {
    let width = nanoseconds(BIN);
    (usize::try_from(moment_ns / width).unwrap_or(usize::MAX), width - moment_ns % width)
}

/// What was in flight in each bin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    bins: Vec<InBin>,
    /// When the first request began that has no end: from then on more was in flight than is known.
    endless_ns: Option<u64>,
}

/// What was in flight in a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InBin {
    /// Nanoseconds that all requests together were in flight in it.
    pub ns: u64,
    /// Requests that came to be in it.
    pub begun: u64,
}

impl Flight {
    /// Adds a request that was in flight from one moment of the run until another.
    pub(crate) fn add(&mut self, from: Duration, until: Duration) {
        let (mut from, until) = (nanoseconds(from), nanoseconds(until));
        let mut begun = 1;
        while from < until {
            let (bin, rest) = bin_of(from);
            if bin >= MAX_BINS {
                return;
            }
            if self.bins.len() <= bin {
                self.bins.resize(bin + 1, InBin::default());
            }
            let part = rest.min(until - from);
            if let Some(sum) = self.bins.get_mut(bin) {
                sum.ns = sum.ns.saturating_add(part);
                sum.begun += std::mem::take(&mut begun);
            }
            from += part;
        }
    }

    /// A request was in flight from a moment on that the run did not wait for.
    pub(crate) fn add_endless(&mut self, from: Duration) {
        let from = nanoseconds(from);
        self.endless_ns = Some(self.endless_ns.map_or(from, |first| first.min(from)));
    }

    /// All is known that was in flight until this moment.
    pub fn is_known_until(&self, moment: Duration) -> bool {
        self.endless_ns.is_none_or(|endless| nanoseconds(moment) <= endless)
    }

    /// Adds those of another part of the run.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.endless_ns = self.endless_ns.into_iter().chain(other.endless_ns).min();
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), InBin::default());
        }
        for (sum, more) in self.bins.iter_mut().zip(&other.bins) {
            sum.ns = sum.ns.saturating_add(more.ns);
            sum.begun += more.begun;
        }
    }

    /// What was in flight in the bin with this number.
    pub fn in_bin(&self, bin: usize) -> InBin {
        self.bins.get(bin).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_in_each_bin_for_as_long_as_it_was_in_it() {
        let seconds = Duration::from_secs;
        let (mut one, mut other) = (Flight::default(), Flight::default());
        one.add(seconds(1), seconds(3));
        one.add(seconds(9), seconds(9));
        other.add(seconds(8), seconds(31));
        one.merge(&other);
        other.merge(&Flight::default());
        let seconds = |flight: &Flight, bin| flight.in_bin(bin).ns / 1_000_000_000;
        let sums = |flight: &Flight| [0, 1, 2, 3, 4].map(|bin| seconds(flight, bin));
        assert_eq!((sums(&one), sums(&other)), ([4, 10, 10, 1, 0], [2, 10, 10, 1, 0]));
        assert_eq!([0, 1].map(|bin| one.in_bin(bin).begun), [2, 0]);
        assert!(one.is_known_until(Duration::MAX));
        for endless in [20, 12, 15] {
            other.add_endless(Duration::from_secs(endless));
        }
        one.merge(&other);
        one.merge(&Flight::default());
        let known = [11, 12, 13].map(|until| one.is_known_until(Duration::from_secs(until)));
        assert_eq!(known, [true, true, false]);
    }

    #[test]
    fn there_are_no_more_bins_than_are_kept() {
        let mut flight = Flight::default();
        let last = BIN * u32::try_from(MAX_BINS).unwrap();
        flight.add(last.saturating_sub(Duration::from_secs(1)), Duration::MAX);
        assert_eq!((flight.bins.len(), flight.in_bin(MAX_BINS - 1).ns), (MAX_BINS, 1_000_000_000));
        flight.add(Duration::MAX, Duration::ZERO);
        assert_eq!(flight.bins.len(), MAX_BINS);
    }
}
