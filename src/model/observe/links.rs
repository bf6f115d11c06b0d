//! How requests share connections: when one is opened although another one could have been used.

use std::collections::{BTreeMap, HashMap};

use crate::model::sketch::{Law, Owned};
use crate::model::{Connections, rounded};
use crate::recording::closings::Closings;
use crate::stats::counts::{as_f64, as_index};

/// Connections of one client, or of all together, that are followed.
const MAX_FOLLOWED: usize = 1 << 20;

/// An idle connection is forgotten after so many seconds: servers close it earlier.
pub const FORGOTTEN: f64 = 3_600.0;

/// Idle times that are told apart, in seconds.
pub const IDLE: [f64; 6] = [1.0, 5.0, 15.0, 60.0, 300.0, FORGOTTEN];

/// The connections of a recording.
#[derive(Debug)]
pub struct Links {
    shared: bool,
    /// When each is free again, by its owner and then by time: the last one was used last.
    free: BTreeMap<(u64, u64), Vec<u64>>,
    known: HashMap<u64, (u64, u64)>,
    when_busy: Tally,
    when_idle: [Tally; IDLE.len()],
    /// Connections beyond those that are followed.
    pub beyond: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    opened: u64,
    all: u64,
}

impl Tally {
    fn add(&mut self, opened: bool) {
        self.all += 1;
        self.opened += u64::from(opened);
    }

    fn share(self, otherwise: f64) -> f64 {
        if self.all == 0 { otherwise } else { rounded(as_f64(self.opened) / as_f64(self.all)) }
    }
}

impl Links {
    /// Nothing seen yet.
    pub fn new(shared: bool) -> Self {
        Self {
            shared,
            free: BTreeMap::new(),
            known: HashMap::new(),
            when_busy: Tally::default(),
            when_idle: [Tally::default(); IDLE.len()],
            beyond: 0,
        }
    }

    /// A request on a connection: of a session, at a moment in seconds, answered after so many.
    pub fn add(&mut self, connection: u64, session: u64, at: f64, took: f64) {
        let owner = if self.shared { 0 } else { session };
        let now = micros(at);
        let known = self.known.get(&connection).copied();
        let is_new = known.is_none();
        // Where one of several sessions used it, it is not new, and says nothing of this session.
        let moved = known.is_some_and(|(of, _)| of != owner);
        let usable = self.free.range((owner, 0)..=(owner, now)).next_back().map(|(key, _)| *key);
        let has_any = self.free.range((owner, 0)..=(owner, u64::MAX)).next().is_some();
        if let (Some((_, free_at)), false) = (usable, moved) {
            let idle = as_f64(now.saturating_sub(free_at)) / 1e6;
            if let Some(bin) = IDLE.iter().position(|most| idle <= *most) {
                self.when_idle[bin].add(is_new);
            }
        } else if has_any && !moved {
            self.when_busy.add(is_new);
        }
        if is_new && self.known.len() >= MAX_FOLLOWED {
            self.forget(now);
            if self.known.len() >= MAX_FOLLOWED {
                self.beyond += 1;
                return;
            }
        }
        let key = (owner, micros(at + took));
        if let Some(before) = self.known.insert(connection, key) {
            self.remove(connection, before);
        }
        self.free.entry(key).or_default().push(connection);
    }

    fn remove(&mut self, connection: u64, key: (u64, u64)) {
        if let Some(all) = self.free.get_mut(&key) {
            all.retain(|other| *other != connection);
            if all.is_empty() {
                self.free.remove(&key);
            }
        }
    }

    fn forget(&mut self, now: u64) {
        let before = now.saturating_sub(micros(FORGOTTEN));
        self.free.retain(|(_, free_at), _| *free_at >= before);
        self.known.retain(|_, (_, free_at)| *free_at >= before);
    }

    /// The layer of a model. What was never seen is as clients usually do it: an idle connection
    /// is used, and where all are busy another one is opened.
    pub fn connections(&self) -> Connections {
        let mut when_idle: Vec<(f64, f64)> = Vec::new();
        let mut before = 0.0;
        for (most, tally) in IDLE.iter().zip(self.when_idle) {
            before = tally.share(before);
            when_idle.push((*most, before));
        }
        Connections {
            shared: self.shared,
            when_busy: self.when_busy.share(1.0),
            when_idle,
            held: None,
        }
    }

    /// How long connections stay open behind their last response, as far as it is known when they
    /// were closed.
    pub fn held(&self, closings: &Closings) -> Option<Law> {
        let mut held: Vec<Owned> = Vec::new();
        #[expect(clippy::iter_over_hash_type, reason = "the law sorts them")]
        for (connection, (_, free_at)) in &self.known {
            let closed = closings.of(*connection).map(|at| micros(at.as_secs_f64()));
            let number = u32::try_from(*connection).ok();
            let seconds = closed.and_then(|at| at.checked_sub(*free_at));
            if let (Some(micros), Some(number)) = (seconds, number) {
                held.push((as_f64(micros) / 1e6, number));
            }
        }
        Law::fit(&mut held)
    }
}

fn micros(seconds: f64) -> u64 {
    as_index(seconds * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_are_used_again_are_told_from_new_ones() {
        let mut links = Links::new(false);
        for session in 0..10 {
            let at = as_f64(session);
            links.add(session, session, at, 0.1);
            links.add(session, session, at + 0.5, 0.1); // Idle for 0.4 s, and used again.
            links.add(session + 100, session, at + 0.55, 0.1); // Busy, so another one.
            links.add(session + 200, session, at + 30.0, 0.1); // Idle for long, and closed.
        }
        let told = links.connections();
        assert!(!told.shared);
        let shares: Vec<usize> =
            told.when_idle.iter().map(|(_, share)| as_index(share * 10.0)).collect();
        assert_eq!(shares, [0, 0, 0, 10, 10, 10]);
        assert!((told.when_busy - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_pool_is_one_for_all_sessions() {
        let mut links = Links::new(true);
        for request in 0..100 {
            links.add(request % 2, request, as_f64(request) * 0.1, 0.15);
        }
        let told = links.connections();
        assert!(told.shared && told.when_idle[0].1 < 0.02, "{told:?}");
    }
}
