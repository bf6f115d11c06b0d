//! One pass over a recording: everything that a fit needs to know, in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use foldhash::fast::FixedState;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::model::observe::busiest::Busiest;
use crate::model::observe::links::{Links, Used};
use crate::model::owners::{Owners, owner_of};
use crate::model::routes::Table;
use crate::model::sample::Sample;
use crate::protocol::Protocol;
use crate::recording::file::rows::target_hash;
use crate::recording::{Exchange, Flags};
use crate::stats::counts::as_f64;

pub mod busiest;
pub mod links;

/// A visit is over when nothing came for so long, in seconds; what comes then is another one.
pub const SESSION_TIMEOUT: f64 = 1_800.0;

/// Requests that are looked at step by step: 200 MB. Sessions that begin later are counted in the
/// rate, and not looked at.
pub const MAX_EVENTS: usize = 12_000_000;

/// Visits whose beginnings are kept: 400 MB.
pub const MAX_SESSIONS: usize = 1 << 25;

/// Sessions that are followed at once.
pub const MAX_OPEN: usize = 1 << 20;

/// Seconds after which it is looked for what is over, where no more can be followed: not for each
/// request anew, since that goes through all of them.
const LOOKED_FOR: f64 = SESSION_TIMEOUT / 10.0;

/// References kept of a route in their order: how many keys there are, how popular, and how soon
/// they come again is told by these, and by nothing that is not tested for whose it is.
pub const MAX_REFERENCES: usize = 100_000;

/// Longest time and largest size of a model, a month and a fraction of a terabyte: what a hostile
/// recording says beyond is no time and no size of anything, and a model's file has a limit.
const LONGEST: f64 = 31.0 * 86_400.0;
const LARGEST: f64 = 5e11;

/// One request of a visit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The visit, numbered in the order of their beginnings.
    pub session: u32,
    /// The number of its route.
    pub route: u16,
    /// Seconds since the request before; not a number for the first one.
    pub gap: f32,
}

/// What was seen of a route.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Sizes of request heads.
    pub head: Sample,
    /// Sizes of request bodies.
    pub body: Sample,
    /// Sizes of response bodies that were whole.
    pub answer: Sample,
    /// Seconds to the first byte of the response.
    pub first_byte: Sample,
    /// Seconds from there to the last.
    pub rest: Sample,
    /// Requests by status; 0 without a response.
    pub statuses: BTreeMap<u16, (u64, Owners)>,
    /// Keys in their order and who asked for them, as far as they are kept.
    pub references: Vec<(u64, u32)>,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Observation {
    /// The templates.
    pub table: Table,
    /// What was seen of each of them.
    pub routes: Vec<Asked>,
    /// Requests that were looked at.
    pub requests: u64,
    /// The same, by visit, as far as they are kept.
    pub events: Vec<Event>,
    /// When each visit began, in seconds, in ascending order.
    pub starts: Vec<f64>,
    /// Whose it was.
    pub owners: Vec<u32>,
    /// When it was last heard of, of those whose requests are kept.
    pub lasts: Vec<f64>,
    /// When anybody was last heard of.
    pub latest: f64,
    /// The busiest seconds.
    pub busiest: Busiest,
    /// How connections were used.
    pub links: Links,
    /// Requests that a model is not made of, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Requests that were beyond what is kept of something, by what that is.
    pub beyond: BTreeMap<&'static str, u64>,
    open: HashMap<u64, Open, FixedState>,
    looked_for: f64,
    most_events: usize,
    random: ChaCha8Rng,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    number: u32,
    last: f64,
}

/// Why a request has no part in a model.
const NOT_HTTP1: &str = "not HTTP/1: a model knows no streams and no commands yet";
const FROM_CACHE: &str = "found in the client's cache, never sent";
const TOO_MANY: &str = "of sessions beyond those that can be followed";

/// What is known of a request but not step by step.
const NOT_STEPS: &str = "are in the rate and the sizes, and not in what follows what";
const NOT_KEYS: &str = "are in the rate and the sizes, and not in which keys are asked for";

impl Observation {
    /// Nothing seen yet. `shared` says that connections carry requests of several sessions.
    pub fn new(table: Table, shared: bool) -> Self {
        Self {
            routes: table.names.iter().map(|_| Asked::default()).collect(),
            table,
            requests: 0,
            events: Vec::new(),
            starts: Vec::new(),
            owners: Vec::new(),
            lasts: Vec::new(),
            latest: 0.0,
            busiest: Busiest::default(),
            links: Links::new(shared),
            left_out: BTreeMap::new(),
            beyond: BTreeMap::new(),
            open: HashMap::default(),
            looked_for: f64::NEG_INFINITY,
            most_events: MAX_EVENTS,
            random: ChaCha8Rng::seed_from_u64(1),
        }
    }

    /// Takes the next exchange in the order of time.
    pub fn add(&mut self, exchange: &Exchange) {
        if let Some(reason) = unfit(exchange) {
            *self.left_out.entry(reason).or_default() += 1;
            return;
        }
        let at = exchange.at.as_secs_f64();
        let owner = owner_of(exchange.session);
        self.busiest.add(exchange.at.as_secs(), owner);
        let route = self.table.number(&exchange.method, &exchange.route);
        let Some(session) = self.step(exchange.session, owner, at, route) else {
            *self.left_out.entry(TOO_MANY).or_default() += 1;
            return;
        };
        self.latest = self.latest.max(at);
        self.requests += 1;
        let response = exchange.response.as_ref();
        let took = response.and_then(|it| it.last_byte.or(it.first_byte)).unwrap_or_default();
        self.links.add(&Used {
            connection: exchange.connection,
            session: session.into(),
            owner,
            at,
            took: seconds(took),
        });
        self.size_up(exchange, route, owner);
        let key = target_hash(&exchange.authority, &exchange.target);
        let Some(asked) = self.routes.get_mut(route) else { return };
        if asked.references.len() < MAX_REFERENCES {
            asked.references.push((key, owner));
        } else {
            *self.beyond.entry(NOT_KEYS).or_default() += 1;
        }
    }

    /// The visit goes on, or another one begins. `None` where it cannot be followed.
    fn step(&mut self, session: u64, owner: u32, at: f64, route: usize) -> Option<u32> {
        let known = self.open.get(&session).copied();
        let going = known.filter(|open| at - open.last <= SESSION_TIMEOUT);
        let is_full = self.starts.len() >= MAX_SESSIONS
            || (known.is_none() && self.open.len() >= MAX_OPEN && !self.forget(at));
        if going.is_none() && is_full {
            return None;
        }
        let number = if let Some(open) = going {
            open.number
        } else {
            let number = u32::try_from(self.starts.len()).ok()?;
            self.starts.push(at);
            self.owners.push(owner);
            if self.events.len() < self.most_events {
                self.lasts.push(at);
            }
            number
        };
        #[expect(clippy::cast_possible_truncation, reason = "seven digits of a gap are enough")]
        let gap = going.map_or(f32::NAN, |open| (at - open.last) as f32);
        if self.events.len() < self.most_events {
            let route = u16::try_from(route).ok()?;
            self.events.push(Event { session: number, route, gap });
        } else {
            *self.beyond.entry(NOT_STEPS).or_default() += 1;
        }
        self.open.insert(session, Open { number, last: at });
        if let Some(last) = usize::try_from(number).ok().and_then(|at| self.lasts.get_mut(at)) {
            *last = at;
        }
        Some(number)
    }

    /// Forgets sessions that are over; whether that made room.
    fn forget(&mut self, now: f64) -> bool {
        if now - self.looked_for >= LOOKED_FOR {
            self.looked_for = now;
            self.open.retain(|_, open| now - open.last <= SESSION_TIMEOUT);
        }
        self.open.len() < MAX_OPEN
    }

    fn size_up(&mut self, exchange: &Exchange, route: usize, owner: u32) {
        let random = &mut self.random;
        let Some(asked) = self.routes.get_mut(route) else { return };
        let bytes = |count: u64| as_f64(count).min(LARGEST);
        asked.head.add(bytes(exchange.request_head.len() as u64), owner, random);
        asked.body.add(bytes(exchange.request_body_bytes), owner, random);
        let response = exchange.response.as_ref();
        let status = response.map_or(0, |response| response.status);
        // What is no status is no answer.
        let status = if (100..1_000).contains(&status) { status } else { 0 };
        let (count, owners) = asked.statuses.entry(status).or_default();
        *count += 1;
        owners.add(owner);
        let Some(response) = response else { return };
        if let Some(size) = response.body_bytes {
            asked.answer.add(bytes(size), owner, random);
        }
        let Some(first) = response.first_byte else { return };
        asked.first_byte.add(seconds(first), owner, random);
        if let Some(last) = response.last_byte {
            asked.rest.add(seconds(last.saturating_sub(first)), owner, random);
        }
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().min(LONGEST)
}

/// Why an exchange has no part in a model.
pub fn unfit(exchange: &Exchange) -> Option<&'static str> {
    if exchange.protocol != Protocol::Http1 {
        Some(NOT_HTTP1)
    } else if exchange.flags.contains(Flags::FROM_CACHE) {
        Some(FROM_CACHE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
