//! The keys that are asked for most, in constant memory (Misra and Gries).

use std::collections::HashMap;

use crate::shape::reads::Key;

/// Keys counted at once, some 3 MB. Of N reads, what is asked for more than N/65 536 times is not
/// overlooked, and no count is too small by more: far below what a stampede needs.
const MAX_HOT: usize = 1 << 16;

/// Counts of keys.
#[derive(Debug)]
pub(super) struct Hot {
    /// By hash: count and route.
    counts: HashMap<u64, (u32, u32)>,
}

impl Hot {
    /// The most frequent of keys whose counts are known.
    pub(super) fn of(keys: &[Key]) -> Self {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable_by_key(|key| (std::cmp::Reverse(key.count), key.hash));
        sorted.truncate(MAX_HOT);
        let counts = sorted.iter().map(|key| (key.hash, (key.count, key.route)));
        Self { counts: counts.collect() }
    }

    /// Counts a read.
    pub(super) fn add(&mut self, hash: u64, route: impl FnOnce() -> u32) {
        if let Some((count, _)) = self.counts.get_mut(&hash) {
            *count = count.saturating_add(1);
        } else if self.counts.len() < MAX_HOT {
            self.counts.insert(hash, (1, route()));
        } else {
            // Each such round takes as many reads as there are counters, so that it is cheap.
            self.counts.retain(|_, (count, _)| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// Those counted, in a fixed order.
    pub(super) fn keys(&self) -> Vec<Key> {
        let key = |(hash, (count, route)): (&u64, &(u32, u32))| Key {
            hash: *hash,
            count: *count,
            route: *route,
        };
        let mut keys: Vec<Key> = self.counts.iter().map(key).collect();
        keys.sort_unstable_by_key(|key| (std::cmp::Reverse(key.count), key.hash));
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequent_key_is_found_among_many_rare_ones() {
        let mut hot = Hot::of(&[]);
        for number in 0..400_000_u64 {
            hot.add(number + 10, || 0);
            if number % 4 == 0 {
                hot.add(7, || 3);
            }
        }
        let keys = hot.keys();
        assert!(keys.len() <= MAX_HOT);
        assert_eq!((keys[0].hash, keys[0].route), (7, 3));
        assert!((100_000 - 8..=100_000).contains(&keys[0].count), "{}", keys[0].count);
    }
}
