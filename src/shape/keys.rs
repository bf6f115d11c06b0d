//! Which resources were asked for, and in which order: a sample by key that tells popularity, cache
//! curves and, request by request, the way from one recording to another.
//!
//! Keys are kept or left out by their hash (SHARDS), so that all requests for a kept key are there,
//! and two recordings keep the same ones.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use crate::stats::counts::as_f64;

/// Requests kept of one recording: 48 MiB. Where there are more, half of the keys are let go, and
/// again; up to here, all are kept and curves are exact.
pub const MAX_KEPT: usize = 1 << 21;

/// A sample of the requests of a recording, by key.
#[derive(Clone, Debug)]
pub struct Keys {
    kept: Vec<Kept>,
    /// Keys whose hash is at most this are kept.
    threshold: u64,
    most: usize,
    /// Requests that a cache may answer, kept or not.
    pub reads: u64,
}

/// One request of a kept key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Hash of method and target, spread over all of its bits but the lowest one, which is set for
    /// a read that a cache may answer.
    pub key: u64,
    /// Its moment, in nanoseconds.
    pub at_ns: u64,
    /// Hash of its session.
    pub session: u32,
}

impl Kept {
    /// A cache may answer it.
    pub fn is_read(self) -> bool {
        self.key & 1 == 1
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::within(MAX_KEPT)
    }
}

impl Keys {
    /// No requests, of which at most so many will be kept.
    pub fn within(most: usize) -> Self {
        Self { kept: Vec::new(), threshold: u64::MAX, most, reads: 0 }
    }

    /// Takes the next request in the order of time; its moment is in nanoseconds, and its session
    /// is a hash.
    #[inline]
    pub fn add(&mut self, hash: u64, is_read: bool, at_ns: u64, session: u32) {
        self.reads += u64::from(is_read);
        let key = hash & !1 | u64::from(is_read);
        if key > self.threshold {
            return;
        }
        self.kept.push(Kept { key, at_ns, session });
        if self.kept.len() > self.most {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        while self.kept.len() > self.most && self.threshold > 1 {
            self.lower(self.threshold / 2);
        }
        // Requests for one key alone cannot be halved by key.
        self.kept.truncate(self.most);
    }

    /// Lets go of the keys above a threshold, so that two samples keep the same ones.
    pub fn lower(&mut self, threshold: u64) {
        if threshold < self.threshold {
            self.threshold = threshold;
            self.kept.retain(|kept| kept.key <= threshold);
        }
    }

    /// Keys whose hash is at most this are kept.
    pub fn threshold(&self) -> u64 {
        self.threshold
    }

    /// The share of all keys that is kept.
    pub fn rate(&self) -> f64 {
        as_f64(self.threshold) / as_f64(u64::MAX)
    }

    /// Distinct keys among those kept that fit.
    pub fn distinct(&self, fits: impl Fn(Kept) -> bool) -> u64 {
        let kept = self.kept.iter().filter(|kept| fits(**kept));
        let keys: HashSet<u64, FixedState> = kept.map(|kept| kept.key).collect();
        keys.len() as u64
    }

    /// The keys up to a threshold that are read, and how often: the most popular first.
    pub fn popular(&self, threshold: u64) -> Vec<(u64, u64)> {
        let mut reads: HashMap<u64, u64, FixedState> = HashMap::default();
        for kept in self.kept.iter().filter(|kept| kept.is_read() && kept.key <= threshold) {
            *reads.entry(kept.key).or_default() += 1;
        }
        let mut popular: Vec<(u64, u64)> = reads.into_iter().collect();
        popular.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        popular
    }

    /// What was kept, in the order of time.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::spread;

    fn filled(most: usize, requests: u64, keys: u64) -> Keys {
        let mut sample = Keys::within(most);
        for number in 0..requests {
            sample.add(spread(number % keys + 1), true, number, 0);
        }
        sample
    }

    #[test]
    fn all_requests_of_a_kept_key_are_kept() {
        let sample = filled(1_000, 10_000, 500);
        assert!((200..=1_000).contains(&sample.kept().len()), "{}", sample.kept().len());
        assert_eq!(sample.reads, 10_000);
        assert_eq!(sample.distinct(Kept::is_read) * 20, sample.kept().len() as u64);
        for kept in sample.kept() {
            assert!(kept.is_read() && kept.key <= sample.threshold());
            // Each key comes every 500 requests: 20 times.
            let same = sample.kept().iter().filter(|other| other.key == kept.key).count();
            assert_eq!(same, 20);
        }
        assert!(sample.rate() > 0.02 && sample.rate() < 0.2, "{}", sample.rate());
        let all = filled(20_000, 10_000, 500);
        assert_eq!((all.kept().len(), all.threshold()), (10_000, u64::MAX));
    }

    #[test]
    fn the_most_popular_come_first_and_what_is_not_read_does_not() {
        let mut sample = Keys::within(1_000);
        for (key, times) in [(20, 3), (30, 9), (40, 3)] {
            for at_ns in 0..times {
                sample.add(key, true, at_ns, 0);
                sample.add(50, false, at_ns, 0);
            }
        }
        assert_eq!(sample.popular(u64::MAX), [(31, 9), (21, 3), (41, 3)]);
        assert_eq!(sample.popular(35), [(31, 9), (21, 3)]);
    }

    #[test]
    fn one_key_alone_stays_within_the_bound() {
        let sample = filled(100, 5_000, 1);
        assert!(sample.kept().len() <= 100);
    }
}
