//! Caches by their keys alone: what an LRU cache of any size would miss, exactly and in one pass,
//! and what one of a given size misses from empty on.

pub(super) mod stack;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::stats::counts::as_f64;
use crate::stats::lru::stack::Stack;

/// The misses of LRU caches of every size, after one look at the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissCurve {
    /// References by stack distance: how many distinct keys were touched since the last touch of
    /// the same key, itself included. A cache of at least that many keys hits.
    at_distance: Vec<u64>,
    /// First touches, which miss in any cache.
    pub compulsory: u64,
    /// All references.
    pub references: u64,
}

impl MissCurve {
    /// The misses of a cache for this many keys.
    pub fn misses(&self, size: usize) -> u64 {
        let hits: u64 = self.at_distance.iter().take(size.saturating_add(1)).sum();
        self.references - hits
    }

    /// The same as a share of all references; `None` without any.
    pub fn miss_ratio(&self, size: usize) -> Option<f64> {
        (self.references > 0).then(|| as_f64(self.misses(size)) / as_f64(self.references))
    }
}

/// The miss-ratio curve of LRU caches by stack distances (Mattson; Olken's tree as a Fenwick tree
/// over positions), in O(n log k) for k distinct keys.
pub fn miss_curve(keys: &[u64]) -> MissCurve {
    miss_curve_of(keys.iter().map(|key| (*key, true)))
}

/// The same of keys that stand nowhere together, each with whether it is a reference: what is put
/// into the cache is none, and found there by the next one.
pub fn miss_curve_of(touches: impl Iterator<Item = (u64, bool)>) -> MissCurve {
    let mut curve = MissCurve { at_distance: Vec::new(), compulsory: 0, references: 0 };
    let mut stack = Stack::new();
    for (key, is_reference) in touches {
        let distance = stack.touch(key);
        if !is_reference {
            continue;
        }
        curve.references += 1;
        let Some(distance) = distance else {
            curve.compulsory += 1;
            continue;
        };
        if curve.at_distance.len() <= distance {
            curve.at_distance.resize(distance + 1, 0);
        }
        curve.at_distance[distance] += 1;
    }
    curve
}

/// The stack distance of each reference in turn: how many distinct keys were touched since the last
/// touch of the same key, itself included; `None` for a first touch.
pub fn stack_distances(keys: impl Iterator<Item = u64>, take: &mut dyn FnMut(Option<usize>)) {
    let mut stack = Stack::new();
    for key in keys {
        take(stack.touch(key));
    }
}

/// An LRU cache, simulated: it starts empty, keeps a number of keys, and forgets each of them some
/// time after it was read from the origin.
#[derive(Debug)]
pub struct Lru {
    capacity: usize,
    time_to_live: Option<Duration>,
    slot_of: HashMap<u64, usize>,
    slots: Vec<Slot>,
    /// The slot that was touched last, and the one touched longest ago.
    newest: usize,
    oldest: usize,
}

#[derive(Debug)]
struct Slot {
    key: u64,
    read_at: Duration,
    newer: usize,
    older: usize,
}

/// No slot.
const NONE: usize = usize::MAX;

impl Lru {
    /// An empty cache. Without a capacity it keeps every key, without a time to live for good.
    pub fn new(capacity: Option<usize>, time_to_live: Option<Duration>) -> Self {
        Self {
            capacity: capacity.unwrap_or(usize::MAX),
            time_to_live,
            slot_of: HashMap::new(),
            slots: Vec::new(),
            newest: NONE,
            oldest: NONE,
        }
    }

    /// Touches a key, and says whether it was there. A key that was not is read from the origin
    /// and kept. Moments must not run backwards.
    pub fn touch(&mut self, key: u64, now: Duration) -> bool {
        if self.capacity == 0 {
            return false;
        }
        if let Some(&slot) = self.slot_of.get(&key) {
            let age = now.saturating_sub(self.slots[slot].read_at);
            let is_fresh = self.time_to_live.is_none_or(|lives| age < lives);
            if !is_fresh {
                self.slots[slot].read_at = now;
            }
            self.unlink(slot);
            self.link_as_newest(slot);
            return is_fresh;
        }
        let slot = self.free_slot();
        self.slots[slot].key = key;
        self.slots[slot].read_at = now;
        self.slot_of.insert(key, slot);
        self.link_as_newest(slot);
        false
    }

    /// Puts a key into the cache, which is as fresh from then on as one that was read.
    pub fn fill(&mut self, key: u64, now: Duration) {
        self.touch(key, now);
        if let Some(&slot) = self.slot_of.get(&key) {
            self.slots[slot].read_at = now;
        }
    }

    /// A slot that is linked to nothing: a new one, or that of the key touched longest ago.
    fn free_slot(&mut self) -> usize {
        if self.slots.len() < self.capacity {
            self.slots.push(Slot { key: 0, read_at: Duration::ZERO, newer: NONE, older: NONE });
            return self.slots.len() - 1;
        }
        let slot = self.oldest;
        self.unlink(slot);
        self.slot_of.remove(&self.slots[slot].key);
        slot
    }

    fn unlink(&mut self, slot: usize) {
        let Slot { newer, older, .. } = self.slots[slot];
        match self.slots.get_mut(newer) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_as_newest(&mut self, slot: usize) {
        let before = std::mem::replace(&mut self.newest, slot);
        self.slots[slot].newer = NONE;
        self.slots[slot].older = before;
        match self.slots.get_mut(before) {
            Some(before) => before.newer = slot,
            None => self.oldest = slot,
        }
    }
}

/// First touches in bins: of each bin its references and those whose key was never touched before,
/// which is what an infinite cache misses that starts empty. Moments are bins, by index.
pub fn first_touches(references: impl Iterator<Item = (usize, u64)>) -> Vec<[u64; 2]> {
    let mut seen: HashSet<u64> = HashSet::new();
    let mut bins: Vec<[u64; 2]> = Vec::new();
    for (bin, key) in references {
        if bins.len() <= bin {
            bins.resize(bin + 1, [0; 2]);
        }
        bins[bin][0] += 1;
        bins[bin][1] += u64::from(seen.insert(key));
    }
    bins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The plainest LRU there is: a list with the newest key first.
    fn brute_force_misses(keys: &[u64], size: usize) -> u64 {
        let mut cache: Vec<u64> = Vec::new();
        let mut misses = 0;
        for key in keys {
            match cache.iter().position(|kept| kept == key) {
                Some(position) => drop(cache.remove(position)),
                None => misses += 1,
            }
            cache.insert(0, *key);
            cache.truncate(size);
        }
        misses
    }

    proptest! {
        /// For all keys and sizes: the curve, the simulated cache and the plainest one agree.
        #[test]
        fn the_curve_is_what_each_cache_would_miss(
            keys in prop::collection::vec(0_u64..30, 0..200),
            size in 0_usize..35,
        ) {
            let curve = miss_curve(&keys);
            let expected = brute_force_misses(&keys, size);
            prop_assert_eq!(curve.misses(size), expected);
            let mut cache = Lru::new(Some(size), None);
            let missed = keys.iter().filter(|key| !cache.touch(**key, Duration::ZERO)).count();
            prop_assert_eq!(missed as u64, expected);
            prop_assert!(cache.slots.len() <= size && cache.slot_of.len() <= size);
        }

        /// For all keys: a cache as large as there are keys misses each once, as one without a
        /// bound does, and as the first touches of all bins say.
        #[test]
        fn an_infinite_cache_misses_first_touches_only(
            keys in prop::collection::vec(0_u64..30, 0..200),
        ) {
            let curve = miss_curve(&keys);
            prop_assert_eq!(curve.misses(usize::MAX), curve.compulsory);
            let mut cache = Lru::new(None, None);
            let missed = keys.iter().filter(|key| !cache.touch(**key, Duration::ZERO)).count();
            let bins = first_touches(keys.iter().enumerate().map(|(at, key)| (at / 10, *key)));
            let first: u64 = bins.iter().map(|[_, first]| first).sum();
            let all: u64 = bins.iter().map(|[all, _]| all).sum();
            prop_assert_eq!((missed as u64, first), (curve.compulsory, curve.compulsory));
            prop_assert_eq!(all, keys.len() as u64);
        }

        /// For all keys and lives: a key hits exactly when its last read from the origin is young.
        #[test]
        fn a_time_to_live_counts_from_the_read(
            keys in prop::collection::vec(0_u64..5, 0..100),
            lives in 1_u64..20,
        ) {
            let mut cache = Lru::new(None, Some(Duration::from_secs(lives)));
            let mut read_at: HashMap<u64, u64> = HashMap::new();
            for (now, key) in (0_u64..).zip(&keys) {
                let expected = read_at.get(key).is_some_and(|read| now - read < lives);
                if !expected {
                    read_at.insert(*key, now);
                }
                prop_assert_eq!(cache.touch(*key, Duration::from_secs(now)), expected);
            }
        }
    }

    /// Positions run out many times over, with few keys and with many.
    #[test]
    fn a_long_series_has_the_distances_that_it_would_have_on_a_short_stack() {
        for keys in [3_u64, 700, 5_000] {
            let all: Vec<u64> = (0..30_000_u64).map(|n| n * n % 7_919 % keys).collect();
            let curve = miss_curve(&all);
            for size in [1, 2, 100, 600, 4_000] {
                let mut cache = Lru::new(Some(size), None);
                let missed = all.iter().filter(|key| !cache.touch(**key, Duration::ZERO)).count();
                assert_eq!(curve.misses(size), missed as u64, "{keys} keys, {size}");
            }
        }
    }

    #[test]
    fn distances_count_distinct_keys_only() {
        // The second `1` comes after 2, 2, 3: it needs a cache of three keys.
        let curve = miss_curve(&[1, 2, 2, 3, 1]);
        assert_eq!([0, 1, 2, 3].map(|size| curve.misses(size)), [5, 4, 4, 3]);
        assert_eq!((curve.compulsory, curve.references), (3, 5));
        assert_eq!(miss_curve(&[]).miss_ratio(1), None);
    }
}
