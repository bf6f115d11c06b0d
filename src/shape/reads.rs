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
    /// It is a write, which puts the key into the cache and asks for nothing.
    pub is_write: bool,
}

/// The reads of a load, and the writes between them that fill a cache, in the order of time.
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
    /// All writes.
    pub writes: u64,
}

/// A read or a write that is kept.
#[derive(Clone, Copy, Debug)]
struct Logged {
    at_ms: u32,
    /// Number of its key, in order of appearance; with [`WRITE`] for a write.
    key: u32,
}

/// Keys are far fewer than this bit could number.
const WRITE: u32 = 1 << 31;

impl Logged {
    fn number(self) -> u32 {
        self.key & !WRITE
    }

    fn is_write(self) -> bool {
        self.key & WRITE != 0
    }
}

/// What happens to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Touch {
    pub(super) at: Duration,
    /// Hash of the key.
    pub(super) key: u64,
    /// Nothing touched the key before.
    pub(super) is_first: bool,
    pub(super) is_write: bool,
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
            writes: 0,
        }
    }

    /// Takes the next read or write.
    pub fn add(&mut self, read: &Read<'_>) {
        *(if read.is_write { &mut self.writes } else { &mut self.reads }) += 1;
        // 49 days; what comes later comes then.
        let at_ms = u32::try_from(read.at.as_millis()).unwrap_or(u32::MAX);
        let second = usize::try_from(at_ms / 1_000).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        self.seconds[second] = self.seconds[second].saturating_add(u32::from(!read.is_write));
        let hash = spread(read.key ^ SALT);
        if let Some(beyond) = &mut self.beyond {
            for shards in &mut beyond.shards {
                touched(shards, hash, read.is_write);
            }
            if !read.is_write {
                beyond.hot.add(hash, || self.routes.number(&(read.route)()));
            }
        }
        if hash > self.threshold {
            return;
        }
        let key = match self.number_of.get(&hash) {
            Some(number) => *number,
            None => self.new_key(hash, read),
        };
        if let Some(known) = usize::try_from(key).ok().and_then(|key| self.keys.get_mut(key)) {
            known.count = known.count.saturating_add(u32::from(!read.is_write));
        }
        let key = if read.is_write { key | WRITE } else { key };
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
        if let Some(took) = read.took.filter(|_| !read.is_write)
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
            for touch in self.touches() {
                for shards in &mut shards {
                    touched(shards, touch.key, touch.is_write);
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
            let number = usize::try_from(logged.number()).ok();
            let kept = number.and_then(|key| *numbers.get(key)?);
            logged.key = kept.unwrap_or_default() | (logged.key & WRITE);
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
        let kept = self.log.iter().filter(|logged| !logged.is_write()).count() as u64;
        self.reads.saturating_sub(kept)
    }

    /// The reads and writes that are kept, in the order of time.
    pub(super) fn touches(&self) -> impl Iterator<Item = Touch> + '_ {
        // Keys are numbered as they appear.
        let mut known = 0;
        self.log.iter().map(move |logged| {
            let number = logged.number();
            let is_first = number >= known;
            known = known.max(number.saturating_add(1));
            let key = usize::try_from(number).ok().and_then(|key| self.keys.get(key));
            Touch {
                at: Duration::from_millis(u64::from(logged.at_ms)),
                key: key.map_or(0, |key| key.hash),
                is_first,
                is_write: logged.is_write(),
            }
        })
    }

    /// Of the reads that are kept, whether each is the first touch of its key: no cache that begins
    /// empty has it.
    pub(super) fn firsts(&self) -> impl Iterator<Item = bool> + '_ {
        self.touches().filter(|touch| !touch.is_write).map(|touch| touch.is_first)
    }

    /// Reads in each second.
    pub(super) fn seconds(&self) -> &[u32] {
        &self.seconds
    }

    /// Distinct keys that are read, by those kept.
    pub(super) fn distinct(&self) -> f64 {
        let read = self.keys.iter().filter(|key| key.count > 0).count();
        as_f64(read as u64) / self.rate()
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
            None => self.keys.iter().copied().filter(|key| key.count > 0).collect(),
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

fn touched(shards: &mut Shards, key: u64, is_write: bool) {
    if is_write {
        shards.fill(key);
    } else {
        shards.touch(key);
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
mod tests;
