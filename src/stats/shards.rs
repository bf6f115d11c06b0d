//! Miss-ratio curves of LRU caches in constant memory: distances among a sample of the keys, chosen
//! by their hash (SHARDS, with a fixed number of keys and the adjustment of its first bucket).

use std::collections::{BinaryHeap, HashMap};

use crate::bytes::spread;
use crate::stats::counts::{as_f64, as_index};
use crate::stats::lru::stack::Fenwick;

/// Keys in the sample at most (science: prediction from recorded keys): some 3 MB.
pub const MAX_SAMPLED: usize = 32 * 1024;

/// A miss-ratio curve that grows reference by reference.
///
/// Keys are kept whose hash is below a threshold. Where too many are, the one with the largest hash
/// goes, and the threshold with it. A reference stands for as many as the threshold leaves out, and
/// so does each key that lies between two references of the same one.
#[derive(Debug)]
pub struct Shards {
    seed: u64,
    most: usize,
    threshold: u64,
    /// Where each kept key was touched last; keys are their hashes, which no two share.
    last: HashMap<u64, usize>,
    by_hash: BinaryHeap<u64>,
    /// A one stands at the last position of each kept key.
    ones: Fenwick,
    position: usize,
    /// References by distance, in buckets.
    at_distance: Vec<f64>,
    /// First touches.
    first: f64,
    /// All references, kept or not.
    pub references: u64,
}

impl Shards {
    /// An empty curve of this many keys at most. Other seeds keep other keys.
    pub fn new(seed: u64, most: usize) -> Self {
        let most = most.max(1);
        Self {
            seed,
            most,
            threshold: u64::MAX,
            last: HashMap::new(),
            by_hash: BinaryHeap::new(),
            ones: Fenwick::new(most * ROOM),
            position: 0,
            at_distance: Vec::new(),
            first: 0.0,
            references: 0,
        }
    }

    /// The share of all keys that is kept.
    pub fn rate(&self) -> f64 {
        (as_f64(self.threshold) + 1.0) / (as_f64(u64::MAX) + 1.0)
    }

    /// Takes the next reference.
    pub fn touch(&mut self, key: u64) {
        self.references += 1;
        self.see(key, true);
    }

    /// Takes a key that is put into the cache, which is no reference.
    pub fn fill(&mut self, key: u64) {
        self.see(key, false);
    }

    fn see(&mut self, key: u64, counts: bool) {
        let hash = spread(key ^ self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if hash > self.threshold {
            return;
        }
        if self.position == self.most * ROOM {
            self.compact();
        }
        let weight = if counts { 1.0 / self.rate() } else { 0.0 };
        match self.last.insert(hash, self.position) {
            None => {
                self.first += weight;
                self.by_hash.push(hash);
            }
            Some(before) => {
                let between = self.ones.sum_before(self.position) - self.ones.sum_before(before);
                // The key itself is the last of these distances, and the middle of those it stands
                // for is half a step below.
                let bucket = bucket_of((as_f64(between as u64) - 0.5) / self.rate() + 0.5);
                if self.at_distance.len() <= bucket {
                    self.at_distance.resize(bucket + 1, 0.0);
                }
                self.at_distance[bucket] += weight;
                self.ones.add(before, false);
            }
        }
        self.ones.add(self.position, true);
        self.position += 1;
        if self.last.len() > self.most
            && let Some(largest) = self.by_hash.pop()
            && let Some(position) = self.last.remove(&largest)
        {
            self.ones.add(position, false);
            self.threshold = largest.saturating_sub(1);
        }
    }

    /// Moves the last positions together, in their order, so that there is room for further ones.
    fn compact(&mut self) {
        let mut order: Vec<(usize, u64)> = self.last.iter().map(|(key, at)| (*at, *key)).collect();
        order.sort_unstable();
        self.ones = Fenwick::new(self.most * ROOM);
        for (position, (_, key)) in order.iter().enumerate() {
            self.last.insert(*key, position);
            self.ones.add(position, true);
        }
        self.position = order.len();
    }

    /// The share of references that a cache of so many keys would miss, by linear parts of buckets;
    /// `None` without references.
    ///
    /// The sample has more or fewer references than its rate says, mostly those of a few hot keys,
    /// which hit: the difference counts as hits at the smallest distance.
    pub fn miss_ratio(&self, size: f64) -> Option<f64> {
        let all = as_f64(self.references);
        // What lies beyond the size, and all first touches: hot keys have no part in it.
        let beyond: f64 = self
            .at_distance
            .iter()
            .enumerate()
            .map(|(bucket, weight)| weight * share_beyond(bucket, size))
            .sum();
        (all > 0.0).then(|| if size < 1.0 { 1.0 } else { ((beyond + self.first) / all).min(1.0) })
    }

    /// Distinct keys among all references that were not put there before, by those kept.
    pub fn keys(&self) -> f64 {
        self.first
    }
}

/// Positions for each key that is kept: one in so many touches moves them together.
const ROOM: usize = 4;

/// Buckets of a doubling of distances: each is at most 1.1 % wide.
const BUCKETS: f64 = 64.0;

/// The bucket of a distance, which is at least 1.
fn bucket_of(distance: f64) -> usize {
    as_index(distance.max(1.0).log2() * BUCKETS)
}

/// The share of a bucket's distances that a cache of a size is too small for.
fn share_beyond(bucket: usize, size: f64) -> f64 {
    let edge = |bucket: usize| (as_f64(bucket as u64) / BUCKETS).exp2();
    let (low, high) = (edge(bucket), edge(bucket + 1));
    // Distances are whole: the size itself hits, and the next one does not.
    ((high - size - 0.5) / (high - low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};
    use rand_distr::Zipf;

    use super::*;
    use crate::stats::lru::{MissCurve, miss_curve};

    /// References to so many keys by Zipf's law.
    fn zipf(references: usize, keys: u32, exponent: f64) -> Vec<u64> {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let law = Zipf::new(f64::from(keys), exponent).unwrap();
        (0..references).map(|_| as_index(random.sample::<f64, _>(law)) as u64).collect()
    }

    fn sampled(keys: &[u64], seed: u64, most: usize) -> Shards {
        let mut shards = Shards::new(seed, most);
        for key in keys {
            shards.touch(*key);
        }
        shards
    }

    /// The mean distance over a hundred sizes, evenly spaced, and the same without the adjustment.
    fn error(exact: &MissCurve, shards: &Shards) -> [f64; 2] {
        let largest = as_f64(exact.compulsory);
        let kept: f64 = shards.at_distance.iter().sum::<f64>() + shards.first;
        let unadjusted = as_f64(shards.references) / kept;
        let sums = (1..=100).fold([0.0; 2], |sums, step| {
            let size = (largest * f64::from(step) / 100.0).round();
            let truth = exact.miss_ratio(as_index(size)).unwrap();
            let found = shards.miss_ratio(size).unwrap();
            [sums[0] + (found - truth).abs(), sums[1] + (found * unadjusted - truth).abs()]
        });
        sums.map(|sum| sum / 100.0)
    }

    #[test]
    fn a_sample_of_all_keys_is_exact_but_for_its_buckets() {
        let keys = zipf(20_000, 3_000, 0.9);
        let exact = miss_curve(&keys);
        let shards = sampled(&keys, 1, MAX_SAMPLED);
        assert!((shards.rate() - 1.0).abs() < 1e-12);
        assert!((shards.keys() - as_f64(exact.compulsory)).abs() < 1e-6);
        let [mean, _] = error(&exact, &shards);
        assert!(mean < 0.001, "{mean}");
        assert_eq!(shards.miss_ratio(0.0), Some(1.0));
        assert_eq!(Shards::new(1, 10).miss_ratio(1.0), None);
    }

    /// Science, section 7.3: the mean error is below 0.01, here at the size that is used.
    #[test]
    fn a_large_load_is_found_within_a_hundredth() {
        let keys = zipf(600_000, 400_000, 0.9);
        let exact = miss_curve(&keys);
        assert!(exact.compulsory > 3 * MAX_SAMPLED as u64, "{}", exact.compulsory);
        for seed in 1..=3 {
            let shards = sampled(&keys, seed, MAX_SAMPLED);
            assert!(shards.rate() < 0.35 && shards.last.len() <= MAX_SAMPLED);
            let [mean, unadjusted] = error(&exact, &shards);
            assert!(mean < 0.01 && mean < unadjusted, "seed {seed}: {mean} {unadjusted}");
            let keys = shards.keys() / as_f64(exact.compulsory);
            assert!((keys - 1.0).abs() < 0.02, "seed {seed}: {keys}");
        }
    }

    /// What it is not for: of few keys a small sample is far off, and less so with the adjustment.
    /// That is why all is exact as long as it fits.
    #[test]
    fn a_small_load_is_too_small_to_be_sampled() {
        let keys = zipf(60_000, 10_000, 1.0);
        let exact = miss_curve(&keys);
        let errors: Vec<[f64; 2]> =
            (1..=12).map(|seed| error(&exact, &sampled(&keys, seed, 60))).collect();
        let mean = |which: usize| errors.iter().map(|error| error[which]).sum::<f64>() / 12.0;
        assert!(mean(0) > 0.01, "{errors:?}");
        assert!(mean(1) > 2.0 * mean(0), "{errors:?}");
    }

    #[test]
    fn memory_stays_within_the_sample() {
        let mut shards = Shards::new(5, 100);
        for key in 0..50_000 {
            shards.touch(key);
        }
        assert!(shards.last.len() <= 100 && shards.by_hash.len() <= 100);
        assert!((shards.keys() / 50_000.0 - 1.0).abs() < 0.2, "{}", shards.keys());
        assert!((shards.miss_ratio(1e9).unwrap() - 1.0).abs() < 0.2);
    }
}
