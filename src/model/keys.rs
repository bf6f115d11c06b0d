//! What of a route is asked for: how popular keys are, how many are asked for once, how soon they
//! come again.

use std::collections::HashMap;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;

use crate::model::{ANONYMOUS, Keys, RECENT, rounded};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::lru::miss_curve;
use crate::stats::zipf::exponent;

/// References that are looked at for how soon keys come again.
const LOOKED_AT: usize = 100_000;

/// Fits the keys of a route: requests by key, and some of them in their order. `None` where there
/// is but one.
pub fn fit(counts: &HashMap<u64, u64>, references: &[u64]) -> Option<Keys> {
    if counts.len() < 2 {
        return None;
    }
    let mut by_rank: Vec<u64> = counts.values().copied().collect();
    by_rank.sort_unstable_by(|a, b| b.cmp(a));
    let all: u64 = by_rank.iter().sum();
    let once = by_rank.iter().filter(|count| **count == 1).count() as u64;
    let again = by_rank.len() as u64 - once;
    // A key or two that are asked for again are no distribution.
    let exponent = if again < 2 { 0.0 } else { exponent(&by_rank).unwrap_or(0.0) };
    let share_once = as_f64(once) / as_f64(all);
    let keys = Keys {
        count: told(again.max(1)),
        exponent: rounded(exponent),
        once: if again < 2 { 1.0 } else { rounded(share_once) },
        recent: 0.0,
    };
    Some(Keys { recent: recent(&keys, references), ..keys })
}

/// Few keys are as many as there are, many are rounded.
fn told(count: u64) -> u64 {
    if count < ANONYMOUS as u64 { count } else { as_index(rounded(as_f64(count))) as u64 }
}

/// By how much more often than their popularity says keys come again soon.
fn recent(keys: &Keys, references: &[u64]) -> f64 {
    let references = &references[..references.len().min(LOOKED_AT)];
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let Ok(zipf) = Zipf::new(as_f64(keys.count), keys.exponent) else { return 0.0 };
    let mut fresh = u64::MAX;
    let independent: Vec<u64> = references
        .iter()
        .map(|_| {
            if random.random::<f64>() < keys.once {
                fresh -= 1;
                return fresh;
            }
            let rank: f64 = random.sample(zipf);
            as_index(rank) as u64
        })
        .collect();
    let soon = |keys: &[u64]| 1.0 - miss_curve(keys).miss_ratio(RECENT).unwrap_or(1.0);
    let (seen, expected) = (soon(references), soon(&independent));
    // Chance alone makes some difference.
    let chance = 3.0 * (0.25 / as_f64(references.len().max(1) as u64)).sqrt();
    if seen <= expected + chance {
        return 0.0;
    }
    rounded(((seen - expected) / (1.0 - expected)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(references: &[u64]) -> HashMap<u64, u64> {
        let mut counts = HashMap::new();
        for key in references {
            *counts.entry(*key).or_insert(0) += 1;
        }
        counts
    }

    fn drawn(seed: u64, recent: f64) -> Vec<u64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let zipf = Zipf::new(5_000.0, 0.9).unwrap();
        let mut references: Vec<u64> = Vec::new();
        for position in 0..60_000_u64 {
            let again = references.len() > 50 && random.random::<f64>() < recent;
            let key = if again {
                references[references.len() - 1 - random.random_range(0..20)]
            } else if random.random::<f64>() < 0.1 {
                1_000_000 + position
            } else {
                let rank: f64 = random.sample(zipf);
                as_index(rank) as u64
            };
            references.push(key);
        }
        references
    }

    #[test]
    fn popularity_and_single_requests_are_found() {
        let references = drawn(1, 0.0);
        let keys = fit(&counted(&references), &references).unwrap();
        assert!((keys.exponent - 0.9).abs() < 0.05, "{keys:?}");
        assert!((0.08..0.13).contains(&keys.once), "{keys:?}");
        assert!((4_000..=5_000).contains(&keys.count), "{keys:?}");
        assert!(keys.recent <= 0.0, "{keys:?}");
    }

    #[test]
    fn what_comes_again_soon_is_found() {
        let references = drawn(1, 0.4);
        let keys = fit(&counted(&references), &references).unwrap();
        assert!((0.3..0.5).contains(&keys.recent), "{keys:?}");
    }

    #[test]
    fn one_key_is_none_and_keys_that_never_come_again_are_told() {
        assert_eq!(fit(&counted(&[7, 7, 7]), &[7, 7, 7]), None);
        let new: Vec<u64> = (0..100).collect();
        let keys = fit(&counted(&new), &new).unwrap();
        assert!(keys.once >= 1.0 && keys.recent <= 0.0, "{keys:?}");
    }
}
