//! The histograms of a run, all with bounds that are known before it.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::stats::counts::{as_f64, as_index};

/// Longest time that a histogram tells apart, in nanoseconds: one hour. No request of a rehearsal
/// waits longer, since response timeouts are minutes at most.
pub const MAX_TIME_NS: u64 = 3_600_000_000_000;

/// Largest request or response that a histogram tells apart: 4 GiB.
pub const MAX_SIZE: u64 = 4 << 30;

/// A statistic of a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stat {
    /// A percentile, 0 to 100.
    Percentile(f64),
    /// The mean.
    Mean,
    /// The largest value.
    Max,
}

/// A statistic of the times of `requests`, of which those in the histogram came to an end, in
/// nanoseconds. What was never answered was not fast: percentiles are ranks among all requests, the
/// others behind those that ended, and infinite where they lie among the others. The mean is that
/// of those that ended. `None` where none did.
pub fn time_of(histogram: &Histogram<u64>, requests: u64, stat: Stat) -> Option<f64> {
    let ended = histogram.len();
    if ended == 0 {
        return None;
    }
    let Some(rank) = rank_of(stat, requests.max(ended)) else { return Some(histogram.mean()) };
    if rank > ended {
        return Some(f64::INFINITY);
    }
    Some(as_f64(ranked(histogram, rank)))
}

/// The least that a statistic can be which [`time_of`] finds among requests that never ended, each
/// of which was waited for so long, in nanoseconds. However soon after that they had ended, only as
/// many as they are had been faster than what did end.
pub fn longer_than(histogram: &Histogram<u64>, requests: u64, stat: Stat, waited_ns: u64) -> u64 {
    let all = requests.max(histogram.len());
    let rank = rank_of(stat, all).unwrap_or(1);
    match rank.saturating_sub(all - histogram.len()) {
        0 => waited_ns,
        rank => waited_ns.max(ranked(histogram, rank)),
    }
}

/// The rank of a statistic among so many, from 1; a mean has none.
fn rank_of(stat: Stat, all: u64) -> Option<u64> {
    let percentile = match stat {
        Stat::Percentile(percentile) => percentile,
        Stat::Max => 100.0,
        Stat::Mean => return None,
    };
    // A product of floating point numbers may be above a whole number by the least there is.
    Some(as_index((percentile / 100.0 * as_f64(all) - SLACK).ceil().max(1.0)) as u64)
}

/// The value of a rank.
fn ranked(histogram: &Histogram<u64>, rank: u64) -> u64 {
    // Between two ranks, so that rounding finds this one.
    histogram.value_at_quantile((as_f64(rank) - 0.5) / as_f64(histogram.len()))
}

/// A part of a rank that is none.
const SLACK: f64 = 1e-6;

/// Whole nanoseconds; what does not fit 64 bits (584 years) becomes the largest number.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds up to [`MAX_TIME_NS`] with three significant digits; about 270 KiB.
///
/// # Panics
/// Never: the bounds are valid constants.
pub fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_TIME_NS, 3).expect("the bounds are valid constants")
}

/// Nanoseconds with two significant digits from 50 µs on, and half a microsecond below. It starts
/// small and grows with the largest value up to [`MAX_TIME_NS`] (15 KiB for a second, 27 KiB for an
/// hour), because a run keeps one for each of its seconds and routes.
///
/// # Panics
/// Never: the bounds are valid constants.
pub fn coarse_times() -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_bounds(1_000, 2_000, 2).expect("the bounds are valid constants");
    histogram.auto(true);
    histogram
}

/// Bytes up to [`MAX_SIZE`] with three significant digits.
///
/// # Panics
/// Never: the bounds are valid constants.
pub fn sizes() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_SIZE, 3).expect("the bounds are valid constants")
}

/// Records a time, and says whether it was above [`MAX_TIME_NS`] and counted as that.
pub fn record_time(histogram: &mut Histogram<u64>, ns: u64) -> bool {
    let clipped = ns.min(MAX_TIME_NS);
    // Only `record` makes a growing histogram grow; no time fails that is within the range.
    if histogram.record(clipped).is_err() {
        histogram.saturating_record(clipped);
    }
    ns > MAX_TIME_NS
}

/// Adds `other` to `histogram`; both must be of the same kind.
///
/// # Panics
/// When they are not: the range of one may not hold the values of the other.
pub fn merge(histogram: &mut Histogram<u64>, other: &Histogram<u64>) {
    histogram.add(other).expect("histograms of one kind have the same range, or grow");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_above_the_range_is_clipped_and_reported() {
        let mut exact = times();
        assert!(!record_time(&mut exact, MAX_TIME_NS));
        assert!(record_time(&mut exact, u64::MAX));
        assert_eq!(exact.count_between(exact.lowest_equivalent(MAX_TIME_NS), u64::MAX), 2);

        let mut coarse = coarse_times();
        assert!(record_time(&mut coarse, u64::MAX));
        assert_eq!(coarse.len(), 1, "a growing histogram takes the largest time as well");
    }

    #[test]
    fn what_never_ended_was_not_fast() {
        let mut histogram = times();
        assert_eq!(time_of(&histogram, 9, Stat::Max), None);
        for ns in [10, 20, 30, 40] {
            record_time(&mut histogram, ns);
        }
        for (requests, stat, value) in [
            (4, Stat::Percentile(50.0), 20.0),
            (4, Stat::Max, 40.0),
            (4, Stat::Mean, 25.0),
            (5, Stat::Percentile(50.0), 30.0),
            (5, Stat::Percentile(90.0), f64::INFINITY),
            (5, Stat::Max, f64::INFINITY),
            (9, Stat::Mean, 25.0),
            // Ranks are those among all, not among those that ended.
            (8, Stat::Percentile(50.0), 40.0),
            (8, Stat::Percentile(25.0), 20.0),
            (8, Stat::Percentile(51.0), f64::INFINITY),
            (4, Stat::Percentile(0.0), 10.0),
        ] {
            assert_eq!(time_of(&histogram, requests, stat), Some(value), "{requests} {stat:?}");
        }
    }

    #[test]
    fn coarse_times_keep_two_digits() {
        let mut histogram = coarse_times();
        for us in 1..=10_000_u64 {
            record_time(&mut histogram, us * 1_000);
        }
        let median = histogram.value_at_quantile(0.5);
        assert!((4_950_000..=5_050_000).contains(&median), "{median}");
    }

    #[test]
    fn coarse_times_of_different_ranges_merge() {
        let mut short = coarse_times();
        record_time(&mut short, 10_000);
        let mut long = coarse_times();
        record_time(&mut long, MAX_TIME_NS);
        merge(&mut short, &long);
        assert_eq!(short.len(), 2);
        assert!(short.max() >= MAX_TIME_NS / 100 * 99);
    }
}
