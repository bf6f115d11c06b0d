//! A rate that changes now and then, told from counts: PELT (Killick, Fearnhead, Eckley) with the
//! likelihood of Poisson counts.

use crate::stats::counts::as_f64;

/// A stretch of one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// Its first count.
    pub start: usize,
    /// How many counts it has.
    pub length: usize,
    /// Mean of its counts.
    pub mean: f64,
}

/// The penalty of a change, in units of ln n: two for its place and its level, as the usual
/// criterion has it, and one more, since a change that is none would be noise that is kept for
/// good.
const PENALTY: f64 = 3.0;

/// Cuts counts into stretches of one rate. `dispersion` is by how much more than those of a Poisson
/// process the counts vary within one (at least 1): what varies more needs more to be a change.
pub fn stretches(counts: &[u64], dispersion: f64) -> Vec<Stretch> {
    let count = counts.len();
    if count == 0 {
        return Vec::new();
    }
    let mut sums = vec![0_u64; count + 1];
    for (index, value) in counts.iter().enumerate() {
        sums[index + 1] = sums[index] + value;
    }
    let price = |start: usize, end: usize| {
        let sum = as_f64(sums[end] - sums[start]);
        if sum > 0.0 { -2.0 * sum * (sum / as_f64((end - start) as u64)).ln() } else { 0.0 }
    };
    let penalty = PENALTY * as_f64(count as u64).ln().max(1.0) * dispersion.max(1.0);
    let mut cost = vec![0.0; count + 1];
    let mut cut = vec![0; count + 1];
    cost[0] = -penalty;
    let mut candidates = vec![0];
    for end in 1..=count {
        let mut best = (f64::INFINITY, 0);
        let prices: Vec<f64> =
            candidates.iter().map(|start| cost[*start] + price(*start, end)).collect();
        for (total, start) in prices.iter().zip(&candidates) {
            if *total < best.0 {
                best = (*total, *start);
            }
        }
        cost[end] = best.0 + penalty;
        cut[end] = best.1;
        let mut kept = prices.iter().map(|total| *total <= cost[end]);
        candidates.retain(|_| kept.next().unwrap_or(true));
        candidates.push(end);
    }
    let mut found = Vec::new();
    let mut end = count;
    while end > 0 {
        let start = cut[end];
        let length = end - start;
        let mean = as_f64(sums[end] - sums[start]) / as_f64(length as u64);
        found.push(Stretch { start, length, mean });
        end = start;
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};
    use rand_distr::Poisson;

    use super::*;

    fn drawn(seed: u64, levels: &[(usize, f64)]) -> Vec<u64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut counts = Vec::new();
        for (length, mean) in levels {
            let law = Poisson::new(*mean).unwrap();
            for _ in 0..*length {
                let count: f64 = random.sample(law);
                counts.push(crate::stats::counts::as_index(count) as u64);
            }
        }
        counts
    }

    #[test]
    fn a_rate_that_stays_is_one_stretch() {
        for seed in 0..20 {
            let found = stretches(&drawn(seed, &[(600, 100.0)]), 1.0);
            assert_eq!(found.len(), 1, "seed {seed}: {found:?}");
        }
    }

    #[test]
    fn a_crowd_of_fifteen_seconds_is_found_where_it_is() {
        let found = stretches(&drawn(3, &[(300, 50.0), (15, 90.0), (300, 50.0)]), 1.0);
        let starts: Vec<usize> = found.iter().map(|stretch| stretch.start).collect();
        assert_eq!(starts.len(), 3, "{found:?}");
        assert!(starts[1].abs_diff(300) <= 1 && starts[2].abs_diff(315) <= 1, "{found:?}");
        assert!((found[1].mean - 90.0).abs() < 8.0, "{found:?}");
    }

    #[test]
    fn one_second_may_stand_alone_and_total_and_length_are_kept() {
        let mut counts = drawn(4, &[(100, 10.0)]);
        counts[40] = 100;
        let found = stretches(&counts, 1.0);
        assert!(found.iter().any(|stretch| (stretch.start, stretch.length) == (40, 1)));
        let length: usize = found.iter().map(|stretch| stretch.length).sum();
        let total: f64 =
            found.iter().map(|stretch| stretch.mean * as_f64(stretch.length as u64)).sum();
        assert_eq!(length, 100);
        assert!((total - as_f64(counts.iter().sum())).abs() < 1e-6);
        assert_eq!(stretches(&[], 1.0), []);
        assert_eq!(stretches(&[0, 0, 0], 1.0).len(), 1);
    }
}
