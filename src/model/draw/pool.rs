//! On which connection a request goes: as clients did, one that is idle, or a new one.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::model::Connections;
use crate::model::draw::nanos;
use crate::model::observe::links::FORGOTTEN;
use crate::recording::closings::Closings;
use crate::stats::counts::as_f64;

/// A connection of a client.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Its number.
    pub connection: u64,
    /// Position of its last request.
    pub seq: u32,
    /// A response was still coming when that was sent.
    pub was_busy: bool,
    free_ns: u64,
}

/// Connections of one session that are kept: browsers have six to a host.
const MAX_LINKS: usize = 64;

/// Connections that all sessions share.
const MAX_SHARED: usize = 1 << 18;

/// All connections of a recording that is drawn.
#[derive(Debug)]
pub struct Pool {
    how: Connections,
    /// Those that all sessions share, by when they are free again.
    shared: BTreeMap<(u64, u64), Link>,
    most: usize,
    opened: u64,
    closings: Closings,
    /// Ends of connections that there was no room for.
    pub unkept: u64,
}

impl Pool {
    /// Nothing is open yet.
    pub fn new(how: Connections) -> Self {
        Self {
            how,
            shared: BTreeMap::new(),
            most: MAX_SHARED,
            opened: 0,
            closings: Closings::default(),
            unkept: 0,
        }
    }

    /// Puts a request that takes a time on a connection of the session, or of all.
    pub fn take(
        &mut self,
        links: &mut Vec<Link>,
        at_ns: u64,
        took_ns: u64,
        random: &mut impl Rng,
    ) -> Link {
        let free_ns = at_ns.saturating_add(took_ns);
        if self.how.shared {
            return self.take_shared(at_ns, free_ns, random);
        }
        let idle = (0..links.len())
            .filter(|index| links.get(*index).is_some_and(|link| link.free_ns <= at_ns))
            .max_by_key(|index| links.get(*index).map(|link| link.free_ns));
        let first_free = (0..links.len()).min_by_key(|index| links.get(*index).map(|l| l.free_ns));
        if let Some(index) = idle {
            if random.random::<f64>() >= self.opens_after(at_ns, links[index].free_ns) {
                return used(&mut links[index], at_ns, free_ns);
            }
            let closed = links.swap_remove(index);
            self.close(closed, random);
        } else if let Some(index) = first_free
            && (links.len() >= MAX_LINKS || random.random::<f64>() >= self.how.when_busy)
        {
            return used(&mut links[index], at_ns, free_ns);
        }
        let link = self.open(free_ns);
        links.push(link);
        link
    }

    fn take_shared(&mut self, at_ns: u64, free_ns: u64, random: &mut impl Rng) -> Link {
        let idle = self.shared.range(..=(at_ns, u64::MAX)).next_back().map(|(key, _)| *key);
        let key = match idle {
            Some(key) if random.random::<f64>() >= self.opens_after(at_ns, key.0) => Some(key),
            // Where there are as many as are kept, an idle one is used all the same.
            Some(key) => Some(key).filter(|_| self.shared.len() >= self.most),
            None => {
                let waits =
                    self.shared.len() >= self.most || random.random::<f64>() >= self.how.when_busy;
                self.shared.keys().next().copied().filter(|_| waits)
            }
        };
        self.forget(at_ns, random);
        let known = key.and_then(|key| self.shared.remove(&key));
        let link = match known {
            Some(mut link) => used(&mut link, at_ns, free_ns),
            None => self.open(free_ns),
        };
        self.shared.insert((link.free_ns, link.connection), link);
        link
    }

    /// What was idle for so long that nobody uses it again.
    fn forget(&mut self, now_ns: u64, random: &mut impl Rng) {
        let before = now_ns.saturating_sub(nanos(FORGOTTEN));
        while let Some(first) = self.shared.first_entry().filter(|first| first.key().0 < before) {
            let link = first.remove();
            self.close(link, random);
        }
    }

    fn opens_after(&self, at_ns: u64, free_ns: u64) -> f64 {
        let idle = as_f64(at_ns.saturating_sub(free_ns)) / 1e9;
        let bin = self.how.when_idle.iter().find(|(most, _)| idle <= *most);
        bin.map_or(1.0, |(_, share)| *share)
    }

    fn open(&mut self, free_ns: u64) -> Link {
        let link = Link { connection: self.opened, seq: 0, was_busy: false, free_ns };
        self.opened += 1;
        link
    }

    /// A session is over, and its connections with it.
    pub fn leave(&mut self, links: Vec<Link>, random: &mut impl Rng) {
        for link in links {
            self.close(link, random);
        }
    }

    fn close(&mut self, link: Link, random: &mut impl Rng) {
        if let Some(held) = &self.how.held {
            let at = link.free_ns.saturating_add(nanos(held.draw(random)));
            let is_kept = self.closings.add(link.connection, Duration::from_nanos(at));
            self.unkept += u64::from(!is_kept);
        }
    }

    /// When connections were closed.
    pub fn closings(&mut self) -> Closings {
        std::mem::take(&mut self.closings)
    }
}

fn used(link: &mut Link, at_ns: u64, free_ns: u64) -> Link {
    link.was_busy = link.free_ns > at_ns;
    link.seq = link.seq.saturating_add(1);
    link.free_ns = link.free_ns.max(free_ns);
    *link
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    /// A model that opens a connection for each request, however many are idle.
    #[test]
    fn shared_connections_have_a_bound() {
        let how = Connections { shared: true, when_busy: 1.0, when_idle: Vec::new(), held: None };
        let opened = |most: usize| {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let mut pool = Pool { most, ..Pool::new(how.clone()) };
            for request in 0..1_000_u64 {
                pool.take(&mut Vec::new(), request * 1_000, 10, &mut random);
                assert!(pool.shared.len() <= most);
            }
            pool.opened
        };
        assert_eq!(opened(20), 20);
        assert_eq!(opened(MAX_SHARED), 1_000);
    }
}
