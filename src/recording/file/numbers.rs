//! How many different numbers were seen, kept as runs of neighbours.

use std::collections::BTreeMap;

/// Most runs of neighbouring numbers kept. Connections are numbered from 0 in order of appearance,
/// which makes one run and a few stragglers; numbers that are hashes make a run each, and this
/// many take about a gigabyte.
pub(super) const RUNS_MAX: usize = 1 << 24;

/// A set of numbers, small where they are dense.
///
/// Invariant: runs neither overlap nor touch.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// First to last number of each run, both included.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl Numbers {
    /// How many different numbers there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a number; false when there is no room for it.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let below = self.runs.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if below.is_some_and(|(_, last)| number <= last) {
            return true;
        }
        let above = number.checked_add(1).and_then(|next| self.runs.get(&next).copied());
        let extends = below.filter(|(_, last)| last + 1 == number);
        if extends.is_none() && above.is_none() && self.runs.len() >= RUNS_MAX {
            return false;
        }
        if above.is_some() {
            self.runs.remove(&(number + 1));
        }
        let first = extends.map_or(number, |(first, _)| first);
        self.runs.insert(first, above.unwrap_or(number));
        self.count += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0_u64..20, Just(u64::MAX), Just(u64::MAX - 1)]
    }

    proptest! {
        /// For all sequences of numbers: the count is that of a set, and dense ones are one run.
        #[test]
        fn counts_like_a_set(seen in prop::collection::vec(number(), 0..60)) {
            let mut numbers = Numbers::default();
            let mut set = BTreeSet::new();
            for number in seen {
                prop_assert!(numbers.insert(number));
                set.insert(number);
                prop_assert_eq!(numbers.count(), set.len() as u64);
            }
            if set.len() == 22 {
                prop_assert_eq!(numbers.runs.len(), 2);
            }
        }
    }
}
