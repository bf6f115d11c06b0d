//! One pass over a recording: everything that a fit needs to know, in bounded memory.

use std::collections::{BTreeMap, HashMap};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::model::routes::{Owners, Table};
use crate::model::sketch::Owned;
use crate::protocol::Protocol;
use crate::recording::file::rows::target_hash;
use crate::recording::{Exchange, Flags};
use crate::stats::counts::as_f64;

pub mod links;

use links::Links;

/// A session is over when nothing came for so long, in seconds; what comes then is another one.
pub const SESSION_TIMEOUT: f64 = 1_800.0;

/// Requests that are looked at step by step: 200 MB. Sessions that begin later are counted in the
/// rate, and not looked at.
pub const MAX_EVENTS: usize = 12_000_000;

/// Sessions that are followed at once.
pub const MAX_OPEN: usize = 1 << 20;

/// Values kept of each size and time of a route, drawn evenly from all.
const MAX_SAMPLE: usize = 20_000;

/// Different keys counted, over all routes: a hundred megabytes.
const MAX_KEYS: usize = 2_000_000;

/// References kept of a route in their order, for how soon keys come again.
const MAX_REFERENCES: usize = 300_000;

/// Longest recording in whole seconds that are counted one by one: a year.
const MAX_SECONDS: usize = 366 * 86_400;

/// One request of a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The session, numbered in the order of their beginnings.
    pub session: u32,
    /// The number of its route.
    pub route: u16,
    /// Seconds since the request before; not a number for the first one.
    pub gap: f32,
}

/// Values of which a bounded number is kept, evenly from all.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// All that there were.
    pub seen: u64,
    /// Those that were kept.
    pub kept: Vec<Owned>,
}

impl Sample {
    fn add(&mut self, value: f64, owner: u32, random: &mut ChaCha8Rng) {
        self.seen += 1;
        if self.kept.len() < MAX_SAMPLE {
            self.kept.push((value, owner));
            return;
        }
        let place = random.random_range(0..self.seen);
        if let Some(kept) = usize::try_from(place).ok().and_then(|at| self.kept.get_mut(at)) {
            *kept = (value, owner);
        }
    }
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
    /// Requests by key.
    pub keys: HashMap<u64, u64>,
    /// Keys in their order, as far as they are kept.
    pub references: Vec<u64>,
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
    /// The same, by session.
    pub events: Vec<Event>,
    /// When each session began, in seconds, in ascending order.
    pub starts: Vec<f64>,
    /// When it was last heard of.
    pub lasts: Vec<f64>,
    /// Requests by second.
    pub per_second: Vec<u32>,
    /// How connections were used.
    pub links: Links,
    /// Requests that a model is not made of, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    open: HashMap<u64, Open>,
    keys_kept: usize,
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

impl Observation {
    /// Nothing seen yet. `shared` says that connections carry requests of several sessions.
    pub fn new(table: Table, shared: bool) -> Self {
        Self {
            routes: table.names.iter().map(|_| Asked::default()).collect(),
            table,
            requests: 0,
            events: Vec::new(),
            starts: Vec::new(),
            lasts: Vec::new(),
            per_second: Vec::new(),
            links: Links::new(shared),
            left_out: BTreeMap::new(),
            open: HashMap::new(),
            keys_kept: 0,
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
        let second = usize::try_from(exchange.at.as_secs()).unwrap_or(usize::MAX).min(MAX_SECONDS);
        if self.per_second.len() <= second {
            self.per_second.resize(second + 1, 0);
        }
        self.per_second[second] += 1;
        let route = self.table.number(&exchange.method, &exchange.route);
        let Some(owner) = self.step(exchange.session, at, route) else {
            *self.left_out.entry(TOO_MANY).or_default() += 1;
            return;
        };
        self.requests += 1;
        let response = exchange.response.as_ref();
        let took = response.and_then(|it| it.last_byte.or(it.first_byte)).unwrap_or_default();
        self.links.add(exchange.connection, u64::from(owner), at, took.as_secs_f64());
        self.size_up(exchange, route, owner);
        let key = target_hash(&exchange.authority, &exchange.target);
        let Some(asked) = self.routes.get_mut(route) else { return };
        if let Some(count) = asked.keys.get_mut(&key) {
            *count += 1;
        } else if self.keys_kept < MAX_KEYS {
            self.keys_kept += 1;
            asked.keys.insert(key, 1);
        }
        if asked.references.len() < MAX_REFERENCES {
            asked.references.push(key);
        }
    }

    /// The session goes on, or begins. `None` where it cannot be followed.
    fn step(&mut self, session: u64, at: f64, route: usize) -> Option<u32> {
        let known = self.open.get(&session).copied();
        let going = known.filter(|open| at - open.last <= SESSION_TIMEOUT);
        let is_full = self.events.len() >= MAX_EVENTS
            || (known.is_none() && self.open.len() >= MAX_OPEN && !self.forget(at));
        if going.is_none() && is_full {
            return None;
        }
        let number = if let Some(open) = going {
            open.number
        } else {
            let number = u32::try_from(self.starts.len()).ok()?;
            self.starts.push(at);
            self.lasts.push(at);
            number
        };
        #[expect(clippy::cast_possible_truncation, reason = "seven digits of a gap are enough")]
        let gap = going.map_or(f32::NAN, |open| (at - open.last) as f32);
        if self.events.len() < MAX_EVENTS {
            let route = u16::try_from(route).ok()?;
            self.events.push(Event { session: number, route, gap });
        }
        self.open.insert(session, Open { number, last: at });
        if let Some(last) = usize::try_from(number).ok().and_then(|at| self.lasts.get_mut(at)) {
            *last = at;
        }
        Some(number)
    }

    /// Forgets sessions that are over; whether that made room.
    fn forget(&mut self, now: f64) -> bool {
        self.open.retain(|_, open| now - open.last <= SESSION_TIMEOUT);
        self.open.len() < MAX_OPEN / 2
    }

    fn size_up(&mut self, exchange: &Exchange, route: usize, owner: u32) {
        let random = &mut self.random;
        let Some(asked) = self.routes.get_mut(route) else { return };
        asked.head.add(as_f64(exchange.request_head.len() as u64), owner, random);
        asked.body.add(as_f64(exchange.request_body_bytes), owner, random);
        let response = exchange.response.as_ref();
        let status = response.map_or(0, |response| response.status);
        let (count, owners) = asked.statuses.entry(status).or_default();
        *count += 1;
        owners.add(u64::from(owner));
        let Some(response) = response else { return };
        if let Some(bytes) = response.body_bytes {
            asked.answer.add(as_f64(bytes), owner, random);
        }
        let Some(first) = response.first_byte else { return };
        asked.first_byte.add(first.as_secs_f64(), owner, random);
        if let Some(last) = response.last_byte {
            asked.rest.add(last.saturating_sub(first).as_secs_f64(), owner, random);
        }
    }
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
