//! How requests share connections: when one is opened although another one could have been used.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::FixedState;

use crate::model::owners::Owners;
use crate::model::sketch::{Law, Owned};
use crate::model::{Connections, rounded};
use crate::recording::closings::Closings;
use crate::stats::counts::{as_f64, as_index};

/// Connections of one client, or of all together, that are followed.
const MAX_FOLLOWED: usize = 1 << 20;

/// An idle connection is forgotten after so many seconds: servers close it earlier.
pub const FORGOTTEN: f64 = 3_600.0;

/// Seconds after which it is looked for those, where no more can be followed: not for each request
/// anew, since that goes through all of them.
const LOOKED_FOR: f64 = FORGOTTEN / 10.0;

/// Idle times that are told apart, in seconds.
pub const IDLE: [f64; 6] = [1.0, 5.0, 15.0, 60.0, 300.0, FORGOTTEN];

/// A request on a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Used {
    /// The connection.
    pub connection: u64,
    /// The visit that the request belongs to.
    pub session: u64,
    /// The client.
    pub owner: u32,
    /// When it was sent, in seconds.
    pub at: f64,
    /// Seconds until it was answered.
    pub took: f64,
}

/// The connections of a recording.
#[derive(Debug)]
pub struct Links {
    shared: bool,
    /// When each is free again, by its visit and then by time: the last one was used last.
    free: BTreeMap<(u64, u64), BTreeSet<u64>>,
    known: HashMap<u64, Known, FixedState>,
    looked_for: u64,
    when_busy: Tally,
    when_idle: [Tally; IDLE.len()],
    /// Requests on connections beyond those that are followed.
    pub beyond: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// The visit, and when it is free again.
    place: (u64, u64),
    owner: u32,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    opened: u64,
    all: u64,
    openers: Owners,
    keepers: Owners,
}

impl Tally {
    fn add(&mut self, opened: bool, owner: u32) {
        self.all += 1;
        self.opened += u64::from(opened);
        if opened {
            self.openers.add(owner);
        } else {
            self.keepers.add(owner);
        }
    }

    /// The share that opened one. What few clients did of the two, all did not. `None` where too
    /// few did either.
    fn share(&self) -> Option<f64> {
        let mut all = self.openers.clone();
        all.merge(&self.keepers);
        if !all.are_enough() {
            return None;
        }
        let is_mostly_opened = self.opened * 2 > self.all;
        let rarer = if is_mostly_opened { &self.keepers } else { &self.openers };
        Some(match (rarer.are_enough(), is_mostly_opened) {
            (true, _) => rounded(as_f64(self.opened) / as_f64(self.all)),
            (false, true) => 1.0,
            (false, false) => 0.0,
        })
    }
}

impl Links {
    /// Nothing seen yet.
    pub fn new(shared: bool) -> Self {
        Self {
            shared,
            free: BTreeMap::new(),
            known: HashMap::default(),
            looked_for: 0,
            when_busy: Tally::default(),
            when_idle: std::array::from_fn(|_| Tally::default()),
            beyond: 0,
        }
    }

    /// Takes the next request.
    pub fn add(&mut self, used: &Used) {
        let Used { connection, owner, .. } = *used;
        let visit = if self.shared { 0 } else { used.session };
        let now = micros(used.at);
        let known = self.known.get(&connection).copied();
        let is_new = known.is_none();
        // Where one of several sessions used it, it is not new, and says nothing of this session.
        let moved = known.is_some_and(|known| known.place.0 != visit);
        let usable = self.free.range((visit, 0)..=(visit, now)).next_back().map(|(key, _)| *key);
        let has_any = self.free.range((visit, 0)..=(visit, u64::MAX)).next().is_some();
        if let (Some((_, free_at)), false) = (usable, moved) {
            let idle = as_f64(now.saturating_sub(free_at)) / 1e6;
            if let Some(bin) = IDLE.iter().position(|most| idle <= *most) {
                self.when_idle[bin].add(is_new, owner);
            }
        } else if has_any && !moved {
            self.when_busy.add(is_new, owner);
        }
        if is_new && self.known.len() >= MAX_FOLLOWED {
            self.forget(now);
            if self.known.len() >= MAX_FOLLOWED {
                self.beyond += 1;
                return;
            }
        }
        let place = (visit, micros(used.at + used.took));
        if let Some(before) = self.known.insert(connection, Known { place, owner }) {
            self.remove(connection, before.place);
        }
        self.free.entry(place).or_default().insert(connection);
    }

    fn remove(&mut self, connection: u64, place: (u64, u64)) {
        if let Some(all) = self.free.get_mut(&place) {
            all.remove(&connection);
            if all.is_empty() {
                self.free.remove(&place);
            }
        }
    }

    fn forget(&mut self, now: u64) {
        if now.saturating_sub(self.looked_for) < micros(LOOKED_FOR) {
            return;
        }
        self.looked_for = now;
        let before = now.saturating_sub(micros(FORGOTTEN));
        self.free.retain(|(_, free_at), _| *free_at >= before);
        self.known.retain(|_, known| known.place.1 >= before);
    }

    /// The layer of a model. What was never seen, or of too few clients, is as after a shorter
    /// time, or as clients usually do it: an idle connection is used, and where all are busy
    /// another one is opened.
    pub fn connections(&self) -> Connections {
        let mut when_idle: Vec<(f64, f64)> = Vec::new();
        let mut before = 0.0;
        for (most, tally) in IDLE.iter().zip(&self.when_idle) {
            before = tally.share().unwrap_or(before);
            when_idle.push((*most, before));
        }
        Connections {
            shared: self.shared,
            when_busy: self.when_busy.share().unwrap_or(1.0),
            when_idle,
            held: None,
        }
    }

    /// How long connections stay open behind their last response, as far as it is known when they
    /// were closed.
    pub fn held(&self, closings: &Closings) -> Option<Law> {
        let mut held: Vec<Owned> = Vec::new();
        #[expect(clippy::iter_over_hash_type, reason = "the law sorts them")]
        for (connection, known) in &self.known {
            let closed = closings.of(*connection).map(|at| micros(at.as_secs_f64()));
            let seconds = closed.and_then(|at| at.checked_sub(known.place.1));
            if let Some(micros) = seconds {
                held.push(((as_f64(micros) / 1e6).min(super::LONGEST), known.owner));
            }
        }
        // Those that are equal have an order, too: the same recording is the same model.
        held.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Law::fit(&held)
    }
}

fn micros(seconds: f64) -> u64 {
    as_index(seconds * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(connection: u64, session: u32, at: f64, took: f64) -> Used {
        Used { connection, session: session.into(), owner: session, at, took }
    }

    /// Sessions that use a connection again, open another one while it is busy, and a third one
    /// after it was idle for long.
    fn links(sessions: u32) -> Links {
        let mut links = Links::new(false);
        for session in 0..sessions {
            let (at, number) = (f64::from(session), u64::from(session));
            links.add(&used(number, session, at, 0.1));
            links.add(&used(number, session, at + 0.5, 0.1)); // Idle for 0.4 s, and used again.
            links.add(&used(number + 100, session, at + 0.55, 0.1)); // Busy, so another one.
            links.add(&used(number + 200, session, at + 30.0, 0.1)); // Idle for long, and closed.
        }
        links
    }

    fn tenths(told: &Connections) -> Vec<usize> {
        told.when_idle.iter().map(|(_, share)| as_index(share * 10.0)).collect()
    }

    #[test]
    fn connections_that_are_used_again_are_told_from_new_ones() {
        let told = links(30).connections();
        assert!(!told.shared);
        assert_eq!(tenths(&told), [0, 0, 0, 10, 10, 10]);
        assert!((told.when_busy - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_few_clients_did_with_their_connections_is_not_told() {
        assert_eq!(tenths(&links(19).connections()), [0; 6]);
        // A few of many who open another one while one is idle: nobody did.
        let mut links = links(30);
        for session in 0..10_u32 {
            let at = 30.5 + f64::from(session);
            links.add(&used(1_000 + u64::from(session), session, at, 0.1));
        }
        assert_eq!(tenths(&links.connections()), [0, 0, 0, 10, 10, 10]);
    }

    #[test]
    fn a_pool_is_one_for_all_sessions() {
        let mut links = Links::new(true);
        for request in 0..100 {
            links.add(&used(u64::from(request % 2), request, f64::from(request) * 0.1, 0.15));
        }
        let told = links.connections();
        assert!(told.shared && told.when_idle[0].1 < 0.02, "{told:?}");
    }

    #[test]
    fn what_is_over_is_looked_for_now_and_then_and_not_each_time() {
        let mut links = Links::new(false);
        links.looked_for = micros(1_000.0);
        links.add(&used(1, 1, 10.0, 0.1));
        links.forget(micros(1_100.0));
        links.forget(micros(4_000.0));
        assert!(links.known.is_empty() && links.looked_for == micros(4_000.0));
        links.add(&used(2, 2, 10.0, 0.1));
        links.forget(micros(4_300.0));
        assert_eq!((links.known.len(), links.looked_for), (1, micros(4_000.0)));
    }
}
