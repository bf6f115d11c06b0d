//! Reads that a cache may answer, kept for a forecast: all of them while they fit, and a sample of
//! their keys beyond, in bounded memory.

pub mod cacheable;
mod hot;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::bytes::{short_name, spread};
use crate::shape::reads::hot::Hot;
use crate::stats::counts::as_f64;
use crate::stats::popularity::Popularity;
use crate::stats::shards::{MAX_SAMPLED, Shards};

/// Reads kept, 160 MB of them: an hour of 5 500 a second fits. Up to here, and to [`MAX_KEYS`], a
/// forecast is exact (science: prediction from recorded keys).
pub const MAX_READS: usize = 20_000_000;

/// Keys kept, with what is known of each: some 120 MB. A forecast needs twice as much while it is
/// made, so that all of it stays below half a gigabyte.
pub const MAX_KEYS: usize = 2_000_000;

/// Samples by different hashes, whose distance tells how far to trust them.
pub const SEEDS: usize = 3;

/// No key that means something, such as 0, has a hash of its own kind.
const SALT: u64 = 0x9e37_79b9_7f4a_7c15;

/// Routes that are told apart; the keys of further ones are together.
const MAX_ROUTES: usize = 10_000;

/// The name of routes beyond [`MAX_ROUTES`].
const OTHER: &str = "(other)";

/// Recorded times that are kept for their median.
const MAX_TIMES: usize = 100_000;

/// One read.
#[derive(Clone, Copy)]
pub struct Read<'a> {
    /// When it is asked, since the start.
    pub at: Duration,
    /// Hash of what it is cached by: equal for equal keys.
    pub key: u64,
    /// Its method and route template; asked for where the key is new.
    pub route: &'a dyn Fn() -> Arc<str>,
    /// What production took for it.
    pub took: Option<Duration>,
}

/// The reads of a load, in the order of time.
#[derive(Debug)]
pub struct Reads {
    log: Vec<Logged>,
    keys: Vec<Key>,
    number_of: HashMap<u64, u32>,
    routes: Routes,
    /// Reads in each second, kept or not.
    seconds: Vec<u32>,
    /// What production took for first reads of keys, in seconds, as far as it is recorded.
    first_seconds: Vec<f64>,
    /// Keys whose hash is at most this are kept.
    threshold: u64,
    most: (usize, usize),
    beyond: Option<Box<Beyond>>,
    /// All reads.
    pub reads: u64,
}

/// A read that is kept.
#[derive(Clone, Copy, Debug)]
struct Logged {
    at_ms: u32,
    /// Number of its key, in order of appearance.
    key: u32,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) hash: u64,
    pub(super) count: u32,
    pub(super) route: u32,
}

/// What is counted of all reads once not all of them are kept.
#[derive(Debug)]
struct Beyond {
    shards: [Shards; SEEDS],
    hot: Hot,
}

impl Default for Reads {
    fn default() -> Self {
        Self::within(MAX_READS, MAX_KEYS)
    }
}

impl Reads {
    /// No reads, of which at most so many, and of so many keys, will be kept.
    pub fn within(reads: usize, keys: usize) -> Self {
        Self {
            log: Vec::new(),
            keys: Vec::new(),
            number_of: HashMap::new(),
            routes: Routes::default(),
            seconds: Vec::new(),
            first_seconds: Vec::new(),
            threshold: u64::MAX,
            most: (reads, keys),
            beyond: None,
            reads: 0,
        }
    }

    /// Takes the next read.
    pub fn add(&mut self, read: &Read<'_>) {
        self.reads += 1;
        // 49 days; what comes later comes then.
        let at_ms = u32::try_from(read.at.as_millis()).unwrap_or(u32::MAX);
        let second = usize::try_from(at_ms / 1_000).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        self.seconds[second] = self.seconds[second].saturating_add(1);
        let hash = spread(read.key ^ SALT);
        if let Some(beyond) = &mut self.beyond {
            for shards in &mut beyond.shards {
                shards.touch(hash);
            }
            beyond.hot.add(hash, || self.routes.number(&(read.route)()));
        }
        if hash > self.threshold {
            return;
        }
        let key = match self.number_of.get(&hash) {
            Some(number) => *number,
            None => self.new_key(hash, read),
        };
        if let Some(known) = usize::try_from(key).ok().and_then(|key| self.keys.get_mut(key)) {
            known.count = known.count.saturating_add(1);
        }
        self.log.push(Logged { at_ms, key });
        while (self.log.len() > self.most.0 || self.keys.len() > self.most.1) && self.threshold > 1
        {
            self.thin();
        }
        // Keys whose hash is next to nothing cannot be halved.
        self.log.truncate(self.most.0);
    }

    fn new_key(&mut self, hash: u64, read: &Read<'_>) -> u32 {
        let number = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let route = self.routes.number(&(read.route)());
        self.keys.push(Key { hash, count: 0, route });
        self.number_of.insert(hash, number);
        if let Some(took) = read.took
            && self.first_seconds.len() < MAX_TIMES
        {
            self.first_seconds.push(took.as_secs_f64());
        }
        number
    }

    /// Lets go of half of the keys. What was kept so far goes into the samples first.
    fn thin(&mut self) {
        if self.beyond.is_none() {
            let mut shards: [Shards; SEEDS] =
                std::array::from_fn(|seed| Shards::new(seed as u64 + 1, MAX_SAMPLED));
            for key in self.references() {
                for shards in &mut shards {
                    shards.touch(key);
                }
            }
            self.beyond = Some(Box::new(Beyond { shards, hot: Hot::of(&self.keys) }));
        }
        self.threshold /= 2;
        let threshold = self.threshold;
        let mut numbers = vec![None; self.keys.len()];
        let mut keys = Vec::new();
        for (number, key) in numbers.iter_mut().zip(&self.keys) {
            if key.hash <= threshold {
                *number = u32::try_from(keys.len()).ok();
                keys.push(*key);
            }
        }
        self.log.retain_mut(|logged| {
            let kept = usize::try_from(logged.key).ok().and_then(|key| *numbers.get(key)?);
            logged.key = kept.unwrap_or_default();
            kept.is_some()
        });
        self.number_of = keys.iter().map(|key| key.hash).zip(0..).collect();
        self.keys = keys;
    }

    /// The share of all keys that is kept; 1 while all are.
    pub fn rate(&self) -> f64 {
        (as_f64(self.threshold) + 1.0) / (as_f64(u64::MAX) + 1.0)
    }

    /// Reads that are not kept, whose keys were left out of the sample.
    pub fn beyond(&self) -> u64 {
        self.reads - self.log.len() as u64
    }

    /// Keys of the reads that are kept, in the order of time.
    pub(super) fn references(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        let hash = |key: u32| usize::try_from(key).ok().and_then(|key| self.keys.get(key));
        self.log.iter().map(move |logged| hash(logged.key).map_or(0, |key| key.hash))
    }

    /// Moments of the reads that are kept, and whether each is the first of its key.
    pub(super) fn moments(&self) -> impl ExactSizeIterator<Item = (Duration, bool)> + '_ {
        // Keys are numbered as they appear.
        let mut known = 0;
        self.log.iter().map(move |logged| {
            let is_first = logged.key >= known;
            known = known.max(logged.key.saturating_add(1));
            (Duration::from_millis(u64::from(logged.at_ms)), is_first)
        })
    }

    /// Reads in each second.
    pub(super) fn seconds(&self) -> &[u32] {
        &self.seconds
    }

    /// Distinct keys, by those kept.
    pub(super) fn distinct(&self) -> f64 {
        as_f64(self.keys.len() as u64) / self.rate()
    }

    /// How unevenly keys are asked for.
    pub(super) fn popularity(&self) -> Popularity {
        let counts = self.keys.iter().map(|key| u64::from(key.count));
        Popularity::of(counts, 1.0 / self.rate(), self.reads)
    }

    /// Keys that are asked for often: all of them while all are kept, else those that cannot have
    /// been overlooked, with counts that are too small rather than too large.
    pub(super) fn hot(&self) -> Vec<Key> {
        match &self.beyond {
            Some(beyond) => beyond.hot.keys(),
            None => self.keys.clone(),
        }
    }

    /// The name of a route.
    pub(super) fn route(&self, number: u32) -> &str {
        let known = usize::try_from(number).ok().and_then(|number| self.routes.all.get(number));
        known.map_or(OTHER, |name| name)
    }

    /// What production took for first reads, in seconds.
    pub(super) fn first_seconds(&self) -> &[f64] {
        &self.first_seconds
    }

    /// Samples of all reads, where not all are kept.
    pub(super) fn shards(&self) -> Option<&[Shards; SEEDS]> {
        self.beyond.as_ref().map(|beyond| &beyond.shards)
    }
}

/// Names of routes, each once.
#[derive(Debug, Default)]
struct Routes {
    all: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Routes {
    fn number(&mut self, name: &Arc<str>) -> u32 {
        let name = &match short_name(name) {
            Cow::Borrowed(_) => Arc::clone(name),
            Cow::Owned(short) => Arc::from(short),
        };
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        if self.all.len() >= MAX_ROUTES {
            return u32::MAX;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(Arc::clone(name));
        self.numbers.insert(Arc::clone(name), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut reads: Reads, count: u64, keys: u64) -> Reads {
        for number in 0..count {
            let key = number % keys;
            reads.add(&Read {
                at: Duration::from_millis(number * 10),
                key,
                route: &|| Arc::from(if key == 0 { "GET /hot" } else { "GET /item/*" }),
                took: (key == 0).then(|| Duration::from_millis(20)),
            });
        }
        reads
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let reads = filled(Reads::default(), 1_000, 40);
        assert_eq!((reads.reads, reads.beyond(), reads.log.len()), (1_000, 0, 1_000));
        assert!((reads.rate() - 1.0).abs() < 1e-12 && (reads.distinct() - 40.0).abs() < 1e-9);
        assert!(reads.shards().is_none());
        assert_eq!(reads.moments().filter(|(_, is_first)| *is_first).count(), 40);
        assert_eq!(reads.moments().take(41).filter(|(_, is_first)| *is_first).count(), 40);
        assert_eq!(reads.seconds(), [100; 10]);
        assert_eq!(reads.first_seconds().len(), 1);
        assert!((reads.first_seconds()[0] - 0.02).abs() < 1e-12);
        assert_eq!(reads.hot().len(), 40);
        assert_eq!(reads.route(reads.keys[0].route), "GET /hot");
        assert_eq!(reads.route(u32::MAX), OTHER);
    }

    #[test]
    fn what_does_not_fit_becomes_a_sample_by_key() {
        let reads = filled(Reads::within(5_000, 1_000), 40_000, 2_000);
        assert!(reads.log.len() <= 5_000 && reads.keys.len() <= 1_000);
        assert_eq!(reads.reads, 40_000);
        assert_eq!(reads.beyond() + reads.log.len() as u64, 40_000);
        assert_eq!(reads.seconds().iter().sum::<u32>(), 40_000);
        assert!(reads.rate() < 0.2, "{}", reads.rate());
        assert!((reads.distinct() / 2_000.0 - 1.0).abs() < 0.2, "{}", reads.distinct());
        // All reads of a kept key are kept, and each is first once.
        assert!(reads.keys.iter().all(|key| key.count == 20));
        assert_eq!(reads.keys.len() * 20, reads.log.len());
        let firsts = reads.moments().filter(|(_, is_first)| *is_first).count();
        assert_eq!(firsts, reads.keys.len());
        let shards = reads.shards().unwrap();
        assert!(shards.iter().all(|shards| shards.references == 40_000));
        assert!((shards[0].keys() - 2_000.0).abs() < 1e-6, "all keys fit into the samples");
        // Hot keys are counted among all, whatever was left out.
        assert_eq!(reads.hot().iter().map(|key| u64::from(key.count)).sum::<u64>(), 40_000);
    }

    #[test]
    fn one_key_beyond_all_bounds_ends_and_stays_bounded() {
        let reads = filled(Reads::within(100, 10), 5_000, 1);
        assert!(reads.log.len() <= 100);
        assert_eq!(reads.hot()[0].count, 5_000);
        assert_eq!(reads.popularity().hit_ratio_after(1.0).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn a_moment_far_away_takes_little_memory() {
        let mut reads = Reads::default();
        let route: &dyn Fn() -> Arc<str> = &|| Arc::from("GET /");
        reads.add(&Read { at: Duration::MAX, key: 1, route, took: None });
        assert!(reads.seconds().len() < 5_000_000);
    }
}
