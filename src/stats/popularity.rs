//! What popularity alone says of a cache, whatever the order in which keys are asked for.

use crate::stats::counts::as_f64;

/// How often keys are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Popularity {
    /// References to a key, and how many keys have so many. Of a sample, these are not whole.
    pub counts: Vec<(u64, f64)>,
    /// All references.
    pub references: f64,
}

impl Popularity {
    /// That of keys with these numbers of references, each of which stands for `weight` keys.
    pub fn of(counts: impl Iterator<Item = u64>, weight: f64, references: u64) -> Self {
        let mut sorted: Vec<u64> = counts.filter(|count| *count > 0).collect();
        sorted.sort_unstable();
        let counts = sorted
            .chunk_by(|a, b| a == b)
            .map(|equal| (equal[0], as_f64(equal.len() as u64) * weight))
            .collect();
        Self { counts, references: as_f64(references) }
    }

    /// The hit ratio of an infinite cache that was empty `after` references ago:
    /// `H(N) = Σ p (1 − e^(−pN))`. It is also that of a cache in which a key is kept for as long
    /// (Che). 0 without references.
    pub fn hit_ratio_after(&self, after: f64) -> f64 {
        if self.references <= 0.0 {
            return 0.0;
        }
        // Summed as misses: hot keys, which a sample may lack, have no part in them.
        let missed = self.counts.iter().map(|&(count, keys)| {
            let p = as_f64(count) / self.references;
            keys * p * (-p * after).exp()
        });
        (1.0 - missed.sum::<f64>()).clamp(0.0, 1.0)
    }

    /// Keys that were touched within so many references, on average: what a cache holds that
    /// keeps each key for as long.
    pub fn keys_within(&self, references: f64) -> f64 {
        let held = self.counts.iter().map(|&(count, keys)| {
            keys * (1.0 - (-as_f64(count) / self.references * references).exp())
        });
        if self.references > 0.0 { held.sum() } else { 0.0 }
    }

    /// The smallest LRU cache, in keys, that hits this share of the references once it is warm
    /// (Che's approximation): `Σ (1 − e^(−pT)) = C`, with T from `Σ p (1 − e^(−pT)) = hit`.
    /// `None` where no cache does, and without references.
    pub fn size_for(&self, hit: f64) -> Option<f64> {
        let mut high = 1.0;
        while self.hit_ratio_after(high) < hit {
            high *= 2.0;
            if high > self.references.max(1.0) * LONGEST {
                return None;
            }
        }
        let mut low = 0.0;
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.hit_ratio_after(middle) < hit {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(self.keys_within(high))
    }
}

/// Times all references after which a key of a single one is all but certain to have come.
const LONGEST: f64 = 100.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::stats::counts::as_index;
    use crate::stats::lru::Lru;

    /// Zipf 0.99 over 100 000 keys, as the reference calculation of the cold curve has it.
    fn zipf() -> (Popularity, Vec<f64>) {
        // In whole references of so many that rounding does not matter.
        let shares = (1..=100_000_u32).map(|rank| f64::from(rank).powf(-0.99));
        let cumulated: Vec<f64> = shares
            .scan(0.0, |sum, share| {
                *sum += share;
                Some(*sum)
            })
            .collect();
        let count = |rank: u32| as_index(1e10 * f64::from(rank).powf(-0.99)) as u64;
        let references = (1..=100_000).map(count).sum();
        (Popularity::of((1..=100_000).map(count), 1.0, references), cumulated)
    }

    /// The hits after the first 10 000, 100 000 and 300 000 references, predicted and simulated.
    #[test]
    fn popularity_alone_predicts_the_cold_curve() {
        let (popularity, cumulated) = zipf();
        let sum = cumulated[cumulated.len() - 1];
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut cache = Lru::new(None, None);
        let (mut done, mut recent) = (0_u32, Vec::new());
        for (references, predicted, simulated) in
            [(10_000, 0.639, 0.647), (100_000, 0.830, 0.816), (300_000, 0.912, 0.913)]
        {
            let ratio = popularity.hit_ratio_after(f64::from(references));
            assert!((ratio - predicted).abs() < 0.001, "{references}: {ratio}");
            while done < references {
                let at = random.random::<f64>() * sum;
                let key = cumulated.partition_point(|&sum| sum < at);
                recent.push(cache.touch(key as u64, Duration::ZERO));
                done += 1;
            }
            // The ratio at this point, by the last tenth of all references.
            let tail = &recent[recent.len() - as_index(f64::from(references) / 10.0)..];
            let hits = tail.iter().filter(|hit| **hit).count();
            let found = as_f64(hits as u64) / as_f64(tail.len() as u64);
            assert!((found - simulated).abs() < 0.03, "{references}: {found}");
        }
        assert!(Popularity::default().hit_ratio_after(10.0).abs() < 1e-12);
    }

    /// Che's size against an LRU cache of it, warm, under independent references.
    #[test]
    fn the_size_for_a_hit_ratio_is_that_of_a_cache_that_has_it() {
        let (popularity, cumulated) = zipf();
        let sum = cumulated[cumulated.len() - 1];
        for hit in [0.5, 0.7] {
            let size = popularity.size_for(hit).unwrap();
            let mut cache = Lru::new(Some(as_index(size)), None);
            let mut random = ChaCha8Rng::seed_from_u64(3);
            let mut hits = 0;
            for number in 0..200_000 {
                let at = random.random::<f64>() * sum;
                let key = cumulated.partition_point(|&sum| sum < at);
                let is_hit = cache.touch(key as u64, Duration::ZERO);
                hits += u64::from(is_hit && number >= 100_000);
            }
            let found = as_f64(hits) / 100_000.0;
            assert!((found - hit).abs() < 0.01, "{hit}: {found} with {size} keys");
        }
    }

    #[test]
    fn what_no_cache_hits_has_no_size() {
        assert_eq!(Popularity::default().size_for(0.9), None);
        let one = Popularity::of([1_000].into_iter(), 1.0, 1_000);
        assert!((one.size_for(0.9).unwrap() - 1.0).abs() < 0.2);
        // Of even popularity a cache hits as much as it holds.
        let even = Popularity::of(std::iter::repeat_n(5, 100), 1.0, 500);
        assert!((even.size_for(0.9).unwrap() - 90.0).abs() < 1e-6);
        assert!((even.keys_within(1e9) - 100.0).abs() < 1e-9);
    }
}
