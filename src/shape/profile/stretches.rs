//! Gaps between requests by stretches of a load, so that it is known how much their lengths vary
//! from one stretch to the next: gaps of a bursty load are worth fewer independent ones.

use crate::stats::counts::as_f64;
use crate::stats::dispersion::straight_scatter;

/// Stretches at most. Where there would be more, each takes in the next one: the last merge leaves
/// half of them, which are enough to tell how much they vary.
const MAX_STRETCHES: usize = 128;

/// Lengths told apart: powers of two, in nanoseconds.
const LENGTHS: usize = 64;

/// Fewest stretches from which something is known of how much they vary.
const LEAST_STRETCHES: usize = 32;

/// Gaps by length, in stretches of as many gaps each; the last one may have fewer.
#[derive(Clone, Debug)]
pub struct Stretches {
    counts: Vec<[u64; LENGTHS]>,
    /// Gaps in each stretch.
    each: u64,
    /// Gaps in the last one.
    in_last: u64,
}

impl Default for Stretches {
    fn default() -> Self {
        Self { counts: Vec::new(), each: 1, in_last: 1 }
    }
}

impl Stretches {
    /// Takes the next gap.
    pub(super) fn add(&mut self, gap_ns: u64) {
        if self.in_last == self.each {
            if self.counts.len() == MAX_STRETCHES {
                self.counts = merged(&self.counts);
                self.each *= 2;
            }
            self.counts.push([0; LENGTHS]);
            self.in_last = 0;
        }
        self.in_last += 1;
        if let Some(last) = self.counts.last_mut() {
            last[length_of(gap_ns)] += 1;
        }
    }

    /// For each power of two of nanoseconds: how many gaps stand for one that is independent, where
    /// the share of those that are shorter is estimated. 1 where they are independent, or where
    /// there are too few to tell.
    ///
    /// By how much the share varies from a straight line through neighbouring stretches, so that a
    /// rate that slowly rises and falls is no chance; of stretches of two lengths, of which the
    /// longer ones hold bursts that the shorter ones cut.
    pub fn designs(&self) -> [f64; LENGTHS + 1] {
        let whole = self.counts.len().saturating_sub(usize::from(self.in_last < self.each));
        let finer = self.counts.get(..whole).unwrap_or_default();
        let coarser = merged(finer);
        let mut designs = [1.0; LENGTHS + 1];
        for (stretches, each) in [(finer, self.each), (&coarser[..], 2 * self.each)] {
            if stretches.len() < LEAST_STRETCHES {
                continue;
            }
            let mut shorter = vec![0_u64; stretches.len()];
            for (length, design) in designs.iter_mut().enumerate().skip(1) {
                for (sum, counts) in shorter.iter_mut().zip(stretches) {
                    *sum += counts[length - 1];
                }
                let all = as_f64(each) * as_f64(shorter.len() as u64);
                let share = as_f64(shorter.iter().sum()) / all;
                let expected = as_f64(each) * share * (1.0 - share);
                let seen = straight_scatter(&shorter, 1).filter(|_| expected > 0.0);
                *design = seen.map_or(1.0, |seen| seen / expected).max(*design);
            }
        }
        designs
    }
}

/// Two by two; what is left over is none.
fn merged(stretches: &[[u64; LENGTHS]]) -> Vec<[u64; LENGTHS]> {
    let (pairs, _) = stretches.as_chunks::<2>();
    pairs.iter().map(|[one, next]| std::array::from_fn(|at| one[at] + next[at])).collect()
}

/// The power of two that a gap is shorter than, and half of which it is not.
pub(crate) fn length_of(gap_ns: u64) -> usize {
    let bits = u64::BITS - gap_ns.leading_zeros();
    usize::try_from(bits).unwrap_or(LENGTHS).min(LENGTHS - 1)
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::bytes::spread;
    use crate::stats::counts::as_index;

    /// Gaps of random lengths, around a mean that each one has.
    fn stretches(count: u64, mean: impl Fn(u64) -> f64) -> Stretches {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut stretches = Stretches::default();
        for number in 0..count {
            let gap = -(1.0 - random.random::<f64>()).ln() * mean(number);
            stretches.add(as_index(gap) as u64);
        }
        stretches
    }

    fn most(stretches: &Stretches) -> f64 {
        stretches.designs().into_iter().fold(0.0, f64::max)
    }

    #[test]
    fn gaps_that_come_together_are_worth_fewer() {
        // By chance, of some sixty stretches, half as much again.
        assert!(most(&stretches(10_000, |_| 1e9)) < 2.0);
        // Forty short ones or forty long ones at a time.
        let by_turns = |number| if spread(number / 40).is_multiple_of(2) { 1e8 } else { 1e10 };
        let design = most(&stretches(10_000, by_turns));
        assert!((10.0..60.0).contains(&design), "{design}");
        // What changes slowly is a curve.
        let slow = |number| if number < 5_000 { 1e9 } else { 1.5e9 };
        assert!(most(&stretches(10_000, slow)) < 3.0);
        assert!(most(&stretches(31, by_turns)) <= 1.0, "too few to tell");
    }

    #[test]
    fn every_gap_is_in_one_of_so_many_stretches() {
        for count in [0, 1, 127, 128, 129, 10_000] {
            let stretches = stretches(count, |_| 1e9);
            let kept: u64 = stretches.counts.iter().flatten().sum();
            assert_eq!(kept, count);
            assert!(stretches.counts.len() <= MAX_STRETCHES);
        }
        let longest: Vec<usize> = [0, 1, 2, u64::MAX].map(length_of).to_vec();
        assert_eq!(longest, [0, 1, 2, 63]);
    }
}
