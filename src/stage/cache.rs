//! A cache in front of a slow store, as a pure function of time: it says when a read is ready and
//! leaves the waiting to the caller. So a reader that hangs up changes nothing for the others.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use crate::scenario::knobs::CacheKnobs;
use crate::stage::catalogue::Key;

/// The cache and the store behind it. Moments are since the start of the stage and never run
/// backwards.
#[derive(Debug)]
pub struct Cache {
    warm: bool,
    store: Store,
    /// When the value of a key is there: in the future while the first read is under way.
    there_at: HashMap<Key, Duration>,
    /// The keys of `there_at`, oldest first.
    oldest_first: VecDeque<Key>,
    max_keys: usize,
}

/// What a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// In the cache: ready at once.
    Hit,
    /// Read from the store.
    Miss {
        /// When the store has answered.
        ready: Duration,
        /// Another read of the same key was under way already: nobody waits for somebody else's
        /// read here, which is the stampede this cache stands for.
        duplicate: bool,
    },
}

/// Keys kept at once, as many as a catalogue has; beyond it the oldest is forgotten and will miss
/// again. Bounds the cache's memory to some tens of MB.
pub const MAX_KEYS: usize = 1 << 20;

impl Cache {
    /// A cache as the knobs say; a pool of 0 connections to the store would never answer and
    /// counts as 1.
    pub fn new(knobs: &CacheKnobs) -> Self {
        Self {
            warm: knobs.warm,
            store: Store {
                latency: knobs.store_latency,
                connections: usize::try_from(knobs.store_pool).unwrap_or(usize::MAX).max(1),
                busy_until: BinaryHeap::new(),
            },
            there_at: HashMap::new(),
            oldest_first: VecDeque::new(),
            max_keys: MAX_KEYS,
        }
    }

    /// Looks `key` up at the moment `now` and starts a read of the store on a miss.
    pub fn look_up(&mut self, key: Key, now: Duration) -> Lookup {
        if self.warm {
            return Lookup::Hit;
        }
        let known = self.there_at.get(&key).copied();
        if known.is_some_and(|there_at| there_at <= now) {
            return Lookup::Hit;
        }
        let ready = self.store.read(now);
        if known.is_none() {
            self.remember(key, ready);
        }
        Lookup::Miss { ready, duplicate: known.is_some() }
    }

    fn remember(&mut self, key: Key, there_at: Duration) {
        if self.there_at.len() >= self.max_keys
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.there_at.remove(&oldest);
        }
        if let Entry::Vacant(vacant) = self.there_at.entry(key) {
            vacant.insert(there_at);
            self.oldest_first.push_back(key);
        }
    }
}

/// First come, first served by a fixed number of connections, each read taking the same time.
#[derive(Debug)]
struct Store {
    latency: Duration,
    connections: usize,
    /// The moment each used connection is free again; never more than `connections`.
    busy_until: BinaryHeap<Reverse<Duration>>,
}

impl Store {
    /// Queues a read and says when it is answered. It starts on the connection that is free first,
    /// exactly when that becomes free, so that late wake-ups of this process do not slow the store.
    fn read(&mut self, now: Duration) -> Duration {
        while self.busy_until.peek().is_some_and(|Reverse(free)| *free <= now) {
            self.busy_until.pop();
        }
        let all_busy = self.busy_until.len() >= self.connections;
        let start = match self.busy_until.pop() {
            Some(Reverse(free)) if all_busy => free,
            Some(still_busy) => {
                self.busy_until.push(still_busy);
                now
            }
            None => now,
        };
        let answered = start.saturating_add(self.latency);
        self.busy_until.push(Reverse(answered));
        answered
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LATENCY: Duration = Duration::from_millis(10);

    fn cold(store_pool: u32) -> Cache {
        Cache::new(&CacheKnobs { warm: false, store_latency: LATENCY, store_pool })
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn miss(ready: u64, duplicate: bool) -> Lookup {
        Lookup::Miss { ready: ms(ready), duplicate }
    }

    #[test]
    fn a_warm_cache_always_hits() {
        let mut cache =
            Cache::new(&CacheKnobs { warm: true, store_latency: LATENCY, store_pool: 1 });
        assert_eq!(cache.look_up(Key(1), ms(0)), Lookup::Hit);
    }

    #[test]
    fn a_cold_cache_misses_each_key_once() {
        let mut cache = cold(1);
        assert_eq!(cache.look_up(Key(1), ms(0)), miss(10, false));
        assert_eq!(cache.look_up(Key(1), ms(10)), Lookup::Hit);
        assert_eq!(cache.look_up(Key(2), ms(20)), miss(30, false));
    }

    #[test]
    fn reads_of_one_key_at_once_all_go_to_the_store() {
        let mut cache = cold(8);
        assert_eq!(cache.look_up(Key(1), ms(0)), miss(10, false));
        assert_eq!(cache.look_up(Key(1), ms(4)), miss(14, true));
        // The first read is what fills the cache.
        assert_eq!(cache.look_up(Key(1), ms(10)), Lookup::Hit);
    }

    #[test]
    fn reads_beyond_the_pool_queue_in_order() {
        let mut cache = cold(2);
        let ready: Vec<Lookup> = (0..5).map(|key| cache.look_up(Key(key), ms(key))).collect();
        let expected = [
            miss(10, false), // Both connections are free ...
            miss(11, false), // ...
            miss(20, false), // ... then each waits for the one that is free first.
            miss(21, false),
            miss(30, false),
        ];
        assert_eq!(ready, expected);
    }

    #[test]
    fn a_pool_of_none_counts_as_one() {
        let mut cache = cold(0);
        assert_eq!(cache.look_up(Key(1), ms(0)), miss(10, false));
        assert_eq!(cache.look_up(Key(2), ms(0)), miss(20, false));
    }

    #[test]
    fn the_oldest_key_makes_room() {
        let mut cache = Cache { max_keys: 2, ..cold(u32::MAX) };
        for key in 0..=2 {
            cache.look_up(Key(key), ms(0));
        }
        assert_eq!((cache.there_at.len(), cache.oldest_first.len()), (2, 2));
        assert_eq!(cache.look_up(Key(1), ms(10)), Lookup::Hit);
        assert_eq!(cache.look_up(Key(0), ms(10)), miss(20, false));
    }

    proptest! {
        /// For all arrivals: at no moment does the store serve more reads than it has connections,
        /// and no read takes less than the store's latency.
        #[test]
        fn the_pool_is_never_exceeded(
            gaps in prop::collection::vec(0_u64..8, 1..100),
            pool in 1_u32..5,
        ) {
            let mut cache = cold(pool);
            let mut now = 0;
            let mut answers = Vec::new();
            for (key, gap) in (0..).zip(gaps) {
                now += gap;
                if let Lookup::Miss { ready, .. } = cache.look_up(Key(key), ms(now)) {
                    prop_assert!(ready >= ms(now) + LATENCY);
                    answers.push(ready);
                }
            }
            // A read is in service during the `LATENCY` before its answer.
            for ready in &answers {
                let together = answers
                    .iter()
                    .filter(|other| **other <= *ready && **other + LATENCY > *ready)
                    .count();
                prop_assert!(together <= pool as usize);
            }
        }
    }
}
