//! Miss-ratio curves of caches, from samples of the keys.

use crate::shape::keys::Keys;
use crate::stats::counts::{as_f64, as_index};
use crate::stats::lru::{MissCurve, miss_curve};

/// Cache sizes at which curves are compared, evenly by their logarithm.
const CACHE_SIZES: u32 = 32;

/// A miss-ratio curve from a sample of the keys (SHARDS).
pub(super) struct Curve {
    sampled: MissCurve,
    rate: f64,
    /// Reads that the sample stands for.
    reads: f64,
    /// Distinct keys, in the whole recording.
    distinct: f64,
}

impl Curve {
    /// Of the keys up to a threshold, or fewer where fewer were kept.
    pub(super) fn of(keys: &Keys, threshold: u64) -> Option<Self> {
        let threshold = threshold.min(keys.threshold());
        let reads = keys.kept().iter().filter(|kept| kept.is_read() && kept.key <= threshold);
        let reads: Vec<u64> = reads.map(|kept| kept.key).collect();
        if reads.is_empty() {
            return None;
        }
        let sampled = miss_curve(&reads);
        let rate = as_f64(threshold) / as_f64(u64::MAX);
        let distinct = as_f64(sampled.compulsory) / rate;
        Some(Self { sampled, rate, reads: as_f64(keys.reads), distinct })
    }

    /// The share of reads that a cache of so many keys would miss. Where the sample has more or
    /// fewer reads than its rate says, the difference is that of a few hot keys, which hit.
    fn ratio(&self, size: f64) -> f64 {
        let size = as_index((size * self.rate).round());
        (as_f64(self.sampled.misses(size)) / (self.reads * self.rate)).min(1.0)
    }

    /// The mean and the largest distance of two curves, over cache sizes from one key to all.
    pub(super) fn distance(&self, other: &Self) -> (f64, f64) {
        let all = self.distinct.max(other.distinct).max(2.0);
        let (mut sum, mut most) = (0.0, 0.0_f64);
        for step in 0..=CACHE_SIZES {
            let size = all.powf(f64::from(step) / f64::from(CACHE_SIZES));
            let apart = (self.ratio(size) - other.ratio(size)).abs();
            sum += apart;
            most = most.max(apart);
        }
        (sum / f64::from(CACHE_SIZES + 1), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::spread;

    fn keys(most: usize, ask: impl Fn(u64) -> u64) -> Keys {
        let mut keys = Keys::within(most);
        for number in 0..60_000 {
            keys.add(spread(ask(number) + 1), true, number * 1_000_000, 0);
        }
        keys
    }

    #[test]
    fn a_curve_of_all_keys_is_exact() {
        // 100 keys by turns: a cache of fewer misses all, one of 100 only the first round.
        let curve = Curve::of(&keys(100_000, |number| number % 100), u64::MAX).unwrap();
        assert!((curve.ratio(99.0) - 1.0).abs() < 1e-12);
        assert!((curve.ratio(100.0) - 100.0 / 60_000.0).abs() < 1e-12);
        let same = Curve::of(&keys(100_000, |number| number % 100), u64::MAX).unwrap();
        assert_eq!(curve.distance(&same), (0.0, 0.0));
        let one = Curve::of(&keys(100_000, |_| 7), u64::MAX).unwrap();
        let (mean, most) = curve.distance(&one);
        assert!(mean > 0.8 && most > 0.99, "{mean} {most}");
        assert!(Curve::of(&Keys::default(), u64::MAX).is_none());
    }

    #[test]
    fn a_sample_of_the_keys_gives_nearly_the_same_curve() {
        // A few hot keys, and many that come rarely.
        let ask = |number: u64| {
            let drawn = spread(number) % 100_000;
            if drawn < 30_000 { drawn % 50 } else { drawn / 10 }
        };
        let (all, sampled) = (
            Curve::of(&keys(100_000, ask), u64::MAX).unwrap(),
            Curve::of(&keys(10_000, ask), u64::MAX).unwrap(),
        );
        assert!(sampled.rate < 0.3, "{}", sampled.rate);
        let (mean, _) = all.distance(&sampled);
        assert!(mean < 0.03, "{mean}");
    }
}
