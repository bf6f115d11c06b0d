//! What of a route is asked for: how popular keys are, how many are asked for once, how soon they
//! come again.

use std::collections::HashMap;
use std::hash::BuildHasher;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;

use crate::model::{ANONYMOUS, Keys, RECENT, rounded};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::lru::miss_curve;
use crate::stats::zipf::{exponent, zeta};

/// References that are looked at for how soon keys come again.
const LOOKED_AT: usize = 100_000;

/// A share of requests that makes no difference to any cache.
const NO_MATTER: f64 = 0.02;

/// Fits the keys of a route: requests by key, and some of them in their order. `None` where there
/// is but one.
pub fn fit<S: BuildHasher>(counts: &HashMap<u64, u64, S>, references: &[u64]) -> Option<Keys> {
    if counts.len() < 2 {
        return None;
    }
    let mut by_rank: Vec<u64> = counts.values().copied().collect();
    by_rank.sort_unstable_by(|a, b| b.cmp(a));
    let all: u64 = by_rank.iter().sum();
    let once = by_rank.iter().filter(|count| **count == 1).count() as u64;
    let distinct = by_rank.len() as u64;
    if once == distinct {
        return Some(Keys { count: 1, exponent: 0.0, once: 1.0, recent: 0.0 });
    }
    let exponent = rounded(exponent(&by_rank).unwrap_or(0.0));
    let (count, share_once) = population(as_f64(all), as_f64(distinct), as_f64(once), exponent);
    let keys = Keys { count: told(count), exponent, once: rounded(share_once), recent: 0.0 };
    Some(Keys { recent: recent(&keys, references), ..keys })
}

/// How many keys there are, and the share of requests for keys that never come again, so that as
/// many different keys and as many single ones are to be expected as were seen. Rare keys of a
/// popularity come once by chance; only those beyond are single for good.
fn population(all: f64, distinct: f64, once: f64, exponent: f64) -> (u64, f64) {
    let given = |share: f64| {
        let requests = all * (1.0 - share);
        let wanted = (distinct - all * share).max(1.0);
        let (mut low, mut high) = (wanted, wanted * MOST_UNSEEN);
        for _ in 0..40 {
            let middle = (low * high).sqrt();
            if expected(requests, middle, exponent).0 < wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low, expected(requests, low, exponent).1 + all * share)
    };
    let (mut low, mut high) = (0.0, once / all);
    if given(low).1 < once {
        for _ in 0..30 {
            let middle = f64::midpoint(low, high);
            if given(middle).1 < once {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
    let share = low;
    (as_index(given(share).0.round()).max(1) as u64, share)
}

/// Times as many keys as were seen that there may be.
const MOST_UNSEEN: f64 = 1_000.0;

/// Different keys, and keys that come once, among requests for so many keys of a popularity.
fn expected(requests: f64, keys: f64, exponent: f64) -> (f64, f64) {
    let sum = zeta(as_index(keys) as u64, exponent);
    let (mut distinct, mut once, mut rank) = (0.0, 0.0, 1.0_f64);
    while rank <= keys {
        // Ranks one by one at first, and then in groups that are alike.
        let next = (rank * 1.02).floor().max(rank + 1.0).min(keys + 1.0);
        let width = next - rank;
        let hits = requests * f64::midpoint(rank, next - 1.0).powf(-exponent) / sum;
        distinct += width * (1.0 - (-hits).exp());
        once += width * hits * (-hits).exp();
        rank = next;
    }
    (distinct, once)
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
    // Chance alone makes some difference, and so does a popularity that is nearly right.
    let chance = 3.0 * (0.25 / as_f64(references.len().max(1) as u64)).sqrt();
    if seen <= expected + chance.max(NO_MATTER) {
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
        assert!((0.07..0.13).contains(&keys.once), "{keys:?}");
        assert!((4_000..=6_000).contains(&keys.count), "{keys:?}");
        assert!(keys.recent <= 0.0, "{keys:?}");
    }

    #[test]
    fn keys_that_are_rare_by_chance_are_not_single_for_good() {
        let (count, once) = population(20_000.0, 3_000.0, 0.0, 0.9);
        assert!(count >= 3_000 && once <= 0.0, "{count} {once}");
        let (distinct, single) = expected(20_000.0, 5_000.0, 0.9);
        let (count, once) = population(20_000.0, distinct, single, 0.9);
        assert!(count.abs_diff(5_000) < 50 && once < 0.001, "{count} {once}");
        let (count, once) = population(21_000.0, distinct + 1_000.0, single + 1_000.0, 0.9);
        assert!(count.abs_diff(5_000) < 500 && (once - 0.0476).abs() < 0.01, "{count} {once}");
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
