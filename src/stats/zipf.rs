//! How unevenly things are asked for: the truncated zeta distribution, `p(r) ∝ r^−s` for the ranks
//! 1 to K, and its exponent by maximum likelihood.

use crate::stats::counts::as_f64;

/// Terms that are summed one by one; beyond, the sum is close to an integral.
const EXACT_TERMS: u64 = 200;

/// The generalised harmonic number `Σ r^−s` of the ranks 1 to `count` (Euler and Maclaurin beyond
/// the first terms; exact to ten digits).
pub fn zeta(count: u64, exponent: f64) -> f64 {
    let exact = count.min(EXACT_TERMS);
    let sum: f64 = (1..=exact).map(|rank| as_f64(rank).powf(-exponent)).sum();
    if count == exact {
        return sum;
    }
    let (from, to) = (as_f64(exact), as_f64(count));
    let term = |x: f64| x.powf(-exponent);
    let integral = if (exponent - 1.0).abs() < 1e-12 {
        (to / from).ln()
    } else {
        (to * term(to) - from * term(from)) / (1.0 - exponent)
    };
    let slope = |x: f64| -exponent * term(x) / x;
    let third = |x: f64| -exponent * (exponent + 1.0) * (exponent + 2.0) * term(x) / x.powi(3);
    sum + integral + (term(to) - term(from)) / 2.0 + (slope(to) - slope(from)) / 12.0
        - (third(to) - third(from)) / 720.0
}

/// Largest exponent that is looked for: beyond, nearly all requests are for the first rank.
pub const MAX_EXPONENT: f64 = 5.0;

/// Fewest requests of a rank that tells the exponent: the order of rarer ones is chance.
const LEAST_HITS: u64 = 10;

/// Fewest such ranks; with fewer, all ranks are taken.
const LEAST_RANKS: usize = 20;

/// The exponent of a truncated zeta distribution from requests by rank (most first), by maximum
/// likelihood: a line through logarithms is wrong by up to 0.28. It is told by ranks with ten hits
/// and more, where there are enough of them. `None` with fewer than two ranks, or without hits.
pub fn exponent(counts: &[u64]) -> Option<f64> {
    let frequent = counts.iter().take_while(|count| **count >= LEAST_HITS).count();
    let counts = if frequent >= LEAST_RANKS { counts.get(..frequent)? } else { counts };
    let total = as_f64(counts.iter().sum());
    if counts.len() < 2 || total <= 0.0 {
        return None;
    }
    let ranked = (1_u64..).zip(counts);
    let mean_log = ranked.map(|(rank, count)| as_f64(*count) * as_f64(rank).ln()).sum::<f64>();
    let mean_log = mean_log / total;
    // The likelihood has one maximum, where the mean of ln r is that of the distribution, which
    // falls with the exponent.
    let ranks = counts.len() as u64;
    let expected = |s: f64| {
        let step = 1e-5;
        (zeta(ranks, s - step).ln() - zeta(ranks, s + step).ln()) / (2.0 * step)
    };
    let (mut low, mut high) = (0.0, MAX_EXPONENT);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if expected(middle) > mean_log {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(f64::midpoint(low, high))
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};
    use rand_distr::Zipf;

    use super::*;

    /// The constant that the usual benchmark of key-value stores carries in its source.
    #[test]
    fn the_constant_of_a_well_known_benchmark_comes_out() {
        let value = zeta(10_000_000_000, 0.99);
        assert!((value - 26.469_028_201_752).abs() < 1e-8, "{value}");
        let exact: f64 = (1..=5_000_u32).map(|rank| f64::from(rank).powf(-1.3)).sum();
        assert!((zeta(5_000, 1.3) - exact).abs() < 1e-10);
        assert!((zeta(1_000_000, 1.0) - 14.392_726_722_865).abs() < 1e-9);
    }

    /// Science, section 6.5, with fewer draws.
    #[test]
    fn the_exponent_of_draws_is_found() {
        for (truth, expected) in
            [(0.6, 0.589), (0.8, 0.794), (0.99, 0.986), (1.2, 1.198), (1.5, 1.499)]
        {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            let zipf = Zipf::new(20_000.0, truth).unwrap();
            let mut counts = vec![0_u64; 20_000];
            for _ in 0..300_000 {
                let rank: f64 = random.sample(zipf);
                counts[crate::stats::counts::as_index(rank) - 1] += 1;
            }
            counts.sort_unstable_by(|a, b| b.cmp(a));
            let found = exponent(&counts).unwrap();
            assert!((found - expected).abs() < 0.02, "{truth}: {found}");
        }
    }

    #[test]
    fn too_little_has_no_exponent() {
        assert_eq!(exponent(&[]), None);
        assert_eq!(exponent(&[7]), None);
        assert_eq!(exponent(&[0, 0]), None);
        assert!(exponent(&[5, 5, 5, 5]).unwrap() < 0.001);
    }
}
