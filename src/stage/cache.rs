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
    pages: Option<Pages>,
}

/// A cache of pages that fills exponentially from the first read on.
#[derive(Debug)]
struct Pages {
    warms_over: Duration,
    first_read: Option<Duration>,
    /// The shares of reads that were missing and have not made up a whole read yet.
    owed: f64,
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
    /// In the cache but for some pages, which are there then.
    Partial {
        /// When the store has answered.
        ready: Duration,
        /// What was missing now and before makes up another read of the store.
        read: bool,
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
            pages: knobs.warms_over.map(|warms_over| Pages {
                warms_over,
                first_read: None,
                owed: 0.0,
            }),
        }
    }

    /// Forgets everything, as a restart would. One that is warm by its knob stays warm: it stands
    /// for a stack whose caches do not matter.
    pub fn empty(&mut self) {
        self.there_at.clear();
        self.oldest_first.clear();
        if let Some(pages) = &mut self.pages {
            (pages.first_read, pages.owed) = (None, 0.0);
        }
    }

    /// Looks `key` up at the moment `now` and starts a read of the store on a miss.
    pub fn look_up(&mut self, key: Key, now: Duration) -> Lookup {
        if self.warm {
            return Lookup::Hit;
        }
        if let Some(pages) = &mut self.pages {
            return pages.look_up(self.store.latency, now);
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

impl Pages {
    fn look_up(&mut self, store_latency: Duration, now: Duration) -> Lookup {
        let age = now.saturating_sub(*self.first_read.get_or_insert(now));
        let missing = (-age.as_secs_f64() / self.warms_over.as_secs_f64().max(1e-9)).exp();
        let waits = store_latency.min(LONGEST_READ).mul_f64(missing);
        self.owed += missing;
        let read = self.owed >= 1.0;
        self.owed -= f64::from(u8::from(read));
        Lookup::Partial { ready: now.saturating_add(waits), read }
    }
}

/// Longest read by pages; no scenario means more.
const LONGEST_READ: Duration = Duration::from_hours(1);

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

    fn cold_knobs() -> CacheKnobs {
        CacheKnobs { warm: false, store_latency: LATENCY, store_pool: 1, warms_over: None }
    }

    fn cold(store_pool: u32) -> Cache {
        Cache::new(&CacheKnobs { store_pool, ..cold_knobs() })
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn miss(ready: u64, duplicate: bool) -> Lookup {
        Lookup::Miss { ready: ms(ready), duplicate }
    }

    #[test]
    fn a_cache_of_pages_warms_exponentially_and_again_once_it_is_emptied() {
        let knobs = CacheKnobs { warms_over: Some(Duration::from_secs(2)), ..cold_knobs() };
        let mut cache = Cache::new(&knobs);
        for start in [5_000, 60_000] {
            let mut reads = 0;
            for at in (0..20_000).step_by(10) {
                let now = ms(start + at);
                let Lookup::Partial { ready, read } = cache.look_up(Key(at), now) else { panic!() };
                let seconds = ms(at).as_secs_f64();
                let expected = LATENCY.mul_f64((-seconds / 2.0).exp());
                assert!(
                    ready.saturating_sub(now).abs_diff(expected) < Duration::from_micros(1),
                    "{at}"
                );
                reads += i32::from(read);
            }
            // A hundred reads a second, of which the store sees those of two seconds.
            assert!((reads - 200).abs() <= 2, "{reads}");
            cache.empty();
        }
    }

    #[test]
    fn an_emptied_cache_misses_again_unless_it_is_warm() {
        let mut cache = cold(1);
        cache.look_up(Key(1), ms(0));
        assert_eq!(cache.look_up(Key(1), ms(10)), Lookup::Hit);
        cache.empty();
        assert_eq!(cache.look_up(Key(1), ms(20)), miss(30, false));
        let mut warm = Cache::new(&CacheKnobs { warm: true, ..cold_knobs() });
        warm.empty();
        assert_eq!(warm.look_up(Key(1), ms(0)), Lookup::Hit);
    }

    #[test]
    fn a_warm_cache_always_hits() {
        let mut cache = Cache::new(&CacheKnobs { warm: true, ..cold_knobs() });
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
