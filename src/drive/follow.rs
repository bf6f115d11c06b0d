//! Answers of the target that later requests of the same client depend on: its cookies, and values
//! that take the place of recorded ones. All of it happens as requests are sent and answers come;
//! where nothing is followed, none of it does.
//!
//! A request that carries what the target has not given yet is sent as it was recorded, and
//! counted.

mod date;
pub(crate) mod jar;
pub(crate) mod known;
pub(crate) mod put;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use ::bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drive::clock::Epoch;
use crate::drive::desk::InFlight;
use crate::drive::follow::jar::{Taken, Whither};
use crate::drive::follow::known::{Known, Shard};
use crate::drive::follow::put::Changes;
use crate::drive::response::ResponseReader;
use crate::plan::Arrival;
use crate::plan::edit::{fields, target};
use crate::plan::token::Place;
use crate::scenario::rewriting::{From, Rewriting, Slot};

/// What a run follows, and what it knows of its clients. All threads of a run share it.
#[derive(Debug)]
pub struct Follow {
    rewriting: Rewriting,
    /// Hosts of the destinations, lower case, without port.
    hosts: Vec<String>,
    /// Seconds since the Unix epoch when the run was made ready: cookies end by the wall clock.
    started: i64,
    epoch: Epoch,
    shards: Vec<Mutex<Shard>>,
    counts: Counts,
}

/// Parts that are locked one by one, so that threads seldom meet.
const SHARDS: usize = 64;

/// Most bytes of a body in which declared tokens are looked for: a page with its forms.
pub const MAX_BODY: usize = 256 * 1024;

/// Longest value that is put into a request.
pub const MAX_VALUE: usize = 4096;

#[derive(Debug, Default)]
struct Counts {
    cookies_set: AtomicU64,
    cookies_sent: AtomicU64,
    cookies_refused: AtomicU64,
    tokens_taken: AtomicU64,
    tokens_put: AtomicU64,
    tokens_missing: AtomicU64,
    unreadable: AtomicU64,
    forgotten: AtomicU64,
    too_much: AtomicU64,
}

/// What following came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Followed {
    /// Cookies that the target set, deletions included.
    pub cookies_set: u64,
    /// Cookies of the target that were sent.
    pub cookies_sent: u64,
    /// Cookies that no browser would have taken: for another host, or none.
    pub cookies_refused: u64,
    /// Values taken from answers.
    pub tokens_taken: u64,
    /// Values put into requests, in place of recorded ones.
    pub tokens_put: u64,
    /// Recorded values that were sent, since the target had not given its own.
    pub tokens_missing: u64,
    /// Answers in whose bodies nothing could be looked for: in a coding that is not read.
    pub unreadable: u64,
    /// Clients that were forgotten, since there were too many.
    pub forgotten: u64,
    /// Cookies and values for which there was no room.
    pub too_much: u64,
}

/// A whole head and the beginning of a body, as they came.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Bytes of the body that are wanted.
    pub(crate) most: usize,
    /// The head was looked at.
    pub(crate) is_told: bool,
}

impl Heard {
    /// Keeps the next bytes of the body.
    pub(crate) fn keep(&mut self, piece: &[u8]) {
        let room = self.most.saturating_sub(self.body.len());
        self.body.extend_from_slice(piece.get(..piece.len().min(room)).unwrap_or_default());
    }
}

impl ResponseReader {
    /// Keeps of the answer to this request what is followed, and what is compared.
    pub(crate) fn listen(&mut self, request: &mut InFlight) {
        self.witness = request.witness();
        if let Some(follow) = &request.run().follow {
            self.heard = Some(Box::new(follow.listen(&request.arrival)));
        }
    }

    /// Takes what the answer's head gives, once it is there.
    pub(crate) fn tell_head(&mut self, request: &InFlight) {
        if let (Some(heard), Some(follow)) = (&mut self.heard, &request.run().follow) {
            follow.hear(&request.arrival, heard);
        }
    }

    /// Takes what the answer's body gives, as far as it came.
    pub(crate) fn tell_body(&mut self, request: &mut InFlight) {
        request.has_seen(self.witness.take());
        if let (Some(heard), Some(follow)) = (&self.heard, &request.run().follow) {
            follow.hear_body(&request.arrival, heard);
        }
    }
}

impl Follow {
    /// Nothing is known yet. `authorities` are those of the target and of the other hosts behind
    /// it; `started` is now, in seconds since the Unix epoch.
    pub fn new(rewriting: &Rewriting, authorities: &[String], started: i64, epoch: Epoch) -> Self {
        Self {
            rewriting: rewriting.clone(),
            hosts: authorities.iter().map(|authority| host_of(authority)).collect(),
            started,
            epoch,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            counts: Counts::default(),
        }
    }

    /// What it came to so far.
    pub fn counts(&self) -> Followed {
        let Counts {
            cookies_set,
            cookies_sent,
            cookies_refused,
            tokens_taken,
            tokens_put,
            tokens_missing,
            unreadable,
            forgotten,
            too_much,
        } = &self.counts;
        Followed {
            cookies_set: cookies_set.load(Relaxed),
            cookies_sent: cookies_sent.load(Relaxed),
            cookies_refused: cookies_refused.load(Relaxed),
            tokens_taken: tokens_taken.load(Relaxed),
            tokens_put: tokens_put.load(Relaxed),
            tokens_missing: tokens_missing.load(Relaxed),
            unreadable: unreadable.load(Relaxed),
            forgotten: forgotten.load(Relaxed),
            too_much: too_much.load(Relaxed),
        }
    }

    /// Puts into a request what the target gave its client. Called once, when it is about to be
    /// sent.
    pub(crate) fn prepare(&self, arrival: &mut Arrival) {
        let Some(mut shard) = self.shard(arrival.bond.client) else { return };
        let nothing = Known::default();
        let known = shard.of(arrival.bond.client).unwrap_or(&nothing);
        let mut changes = Changes::new(&arrival.head, &arrival.body, arrival.protocol);
        self.put_learned(arrival, known, &mut changes);
        self.put_declared(known, &mut changes);
        if self.rewriting.follow_cookies && !known.jar.is_empty() {
            self.put_cookies(arrival, known, &mut changes);
        }
        drop(shard);
        if let Some((head, body)) = changes.made() {
            (arrival.head, arrival.body) = (head, body);
        }
    }

    fn put_learned(&self, arrival: &Arrival, known: &Known, changes: &mut Changes<'_>) {
        for used in arrival.bond.tokens.iter().flat_map(|tokens| &tokens.uses) {
            let Some(value) = known.learned(used.id) else {
                self.counts.tokens_missing.fetch_add(1, Relaxed);
                continue;
            };
            let put = match &used.place {
                Place::Target => changes.in_target(&used.recorded, value, used.is_escaped),
                Place::Header(name) => changes.in_header(name, &used.recorded, value),
                Place::Body => changes.in_body(&used.recorded, value, used.is_escaped),
            };
            let count = if put { &self.counts.tokens_put } else { &self.counts.tokens_missing };
            count.fetch_add(1, Relaxed);
        }
    }

    fn put_declared(&self, known: &Known, changes: &mut Changes<'_>) {
        for (number, declared) in self.rewriting.tokens.declared.iter().enumerate() {
            for slot in &declared.to {
                let value = known.declared(number);
                let put = match slot {
                    Slot::Header(name) => changes.header(name, value),
                    Slot::Query(name) => changes.query(name, value),
                    Slot::Form(name) => changes.form(name, value),
                    Slot::Json(name) => changes.json(name, value),
                };
                let count = match value {
                    Some(_) => &self.counts.tokens_put,
                    None => &self.counts.tokens_missing,
                };
                count.fetch_add(u64::from(put), Relaxed);
            }
        }
    }

    fn put_cookies(&self, arrival: &Arrival, known: &Known, changes: &mut Changes<'_>) {
        let path = path_of(&arrival.head);
        let whither = self.whither(arrival, &path);
        let mut sent = 0;
        changes.cookies(|recorded| {
            let (cookies, count) = known.jar.cookies(recorded, whither);
            sent = count;
            cookies
        });
        self.counts.cookies_sent.fetch_add(sent, Relaxed);
    }

    /// What is to be kept of the answer to a request: its head, and so many bytes of its body.
    pub(crate) fn listen(&self, arrival: &Arrival) -> Heard {
        let path = path_of(&arrival.head);
        let wants = |declared: &&crate::scenario::rewriting::Declared| {
            declared.from == From::Body && fits(declared, &path)
        };
        let is_wanted = self.rewriting.tokens.declared.iter().any(|declared| wants(&declared));
        Heard { most: if is_wanted { MAX_BODY } else { 0 }, ..Heard::default() }
    }

    /// Takes what an answer gives whose head has just become whole.
    pub(crate) fn hear(&self, arrival: &Arrival, heard: &mut Heard) {
        if !heard.is_told && !heard.head.is_empty() {
            heard.is_told = true;
            self.hear_head(arrival, &heard.head);
            if heard.most == 0 {
                heard.head = Vec::new();
            }
        }
    }

    /// Takes what the head of an answer gives.
    pub(crate) fn hear_head(&self, arrival: &Arrival, head: &[u8]) {
        let path = path_of(&arrival.head);
        let takes = arrival.bond.tokens.iter().flat_map(|tokens| &tokens.takes);
        let learned = takes.filter_map(|take| Some((take.id, take.part.of(head)?)));
        let mut found: Vec<(Give, Bytes)> = learned
            .map(|(id, value)| (Give::Learned(id), Bytes::from(value.into_owned())))
            .collect();
        for (number, declared) in self.rewriting.tokens.declared.iter().enumerate() {
            let From::Header(name) = &declared.from else { continue };
            let named = fields(head).filter(|field| field.is_named(head, name));
            let matched = named
                .filter_map(|field| known::capture(&declared.pattern.0, head.get(field.value)?));
            if let Some(value) = matched.last().filter(|_| fits(declared, &path)) {
                found.push((Give::Declared(number), value));
            }
        }
        let is_set = self.rewriting.follow_cookies
            && fields(head).any(|field| field.is_named(head, "Set-Cookie"));
        if found.is_empty() && !is_set {
            return;
        }
        self.give(arrival, found);
        if is_set {
            self.set_cookies(arrival, head, &path);
        }
    }

    /// Takes what the body of an answer gives, once all that is wanted of it is there.
    pub(crate) fn hear_body(&self, arrival: &Arrival, heard: &Heard) {
        if heard.most == 0 || heard.body.is_empty() {
            return;
        }
        let Some(body) = known::plain(&heard.head, &heard.body, MAX_BODY) else {
            self.counts.unreadable.fetch_add(1, Relaxed);
            return;
        };
        let path = path_of(&arrival.head);
        let mut found = Vec::new();
        for (number, declared) in self.rewriting.tokens.declared.iter().enumerate() {
            if declared.from == From::Body
                && fits(declared, &path)
                && let Some(value) = known::capture(&declared.pattern.0, &body)
            {
                found.push((Give::Declared(number), value));
            }
        }
        self.give(arrival, found);
    }

    fn give(&self, arrival: &Arrival, found: Vec<(Give, Bytes)>) {
        let Some(mut shard) = self.shard(arrival.bond.client) else { return };
        for (give, value) in found {
            // What could end a line is nothing to put into a head.
            if value.len() > MAX_VALUE || value.iter().any(u8::is_ascii_control) {
                self.counts.too_much.fetch_add(1, Relaxed);
                continue;
            }
            self.counts.tokens_taken.fetch_add(1, Relaxed);
            shard.change(arrival.bond.client, |known| match give {
                Give::Learned(id) => known.learn(id, value),
                Give::Declared(number) => known.declare(number, value),
            });
        }
        self.counts.forgotten.fetch_add(shard.shrink(), Relaxed);
    }

    fn set_cookies(&self, arrival: &Arrival, head: &[u8], path: &str) {
        let whither = self.whither(arrival, path);
        let Some(mut shard) = self.shard(arrival.bond.client) else { return };
        shard.change(arrival.bond.client, |known| {
            for field in fields(head).filter(|field| field.is_named(head, "Set-Cookie")) {
                let line = head.get(field.value).unwrap_or_default();
                let count = match known.jar.set(line, whither) {
                    Taken::Kept => &self.counts.cookies_set,
                    Taken::Refused => &self.counts.cookies_refused,
                    Taken::TooMuch => &self.counts.too_much,
                };
                count.fetch_add(1, Relaxed);
            }
        });
        self.counts.forgotten.fetch_add(shard.shrink(), Relaxed);
    }

    fn shard(&self, client: u64) -> Option<std::sync::MutexGuard<'_, Shard>> {
        // Numbers of clients may be counted one by one, or be hashes: all bits count.
        let mixed = client.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let at = usize::try_from(mixed).unwrap_or(0) % SHARDS;
        Some(self.shards.get(at)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn whither<'a>(&'a self, arrival: &Arrival, path: &'a str) -> Whither<'a> {
        let host = self.hosts.get(usize::from(arrival.bond.goal)).map_or("", String::as_str);
        let passed = i64::try_from(self.epoch.now().as_secs()).unwrap_or(i64::MAX);
        Whither { host, path, now: self.started.saturating_add(passed) }
    }
}

/// Which value an answer gave.
enum Give {
    Learned(u64),
    Declared(usize),
}

fn fits(declared: &crate::scenario::rewriting::Declared, path: &str) -> bool {
    declared.path.as_ref().is_none_or(|pattern| pattern.0.is_match(path.as_bytes()))
}

/// The path that a request asks for.
fn path_of(head: &[u8]) -> String {
    let place = target(head).unwrap_or_default();
    let target = String::from_utf8_lossy(head.get(place).unwrap_or_default()).into_owned();
    let start = match target.find("://") {
        Some(scheme) if !target.starts_with('/') => {
            let rest = target.get(scheme + 3..).unwrap_or_default();
            scheme + 3 + rest.find('/').unwrap_or(rest.len())
        }
        _ => 0,
    };
    let path = target.get(start..).unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() { "/".to_owned() } else { path.to_owned() }
}

/// The host of an authority, lower case, without port and brackets.
fn host_of(authority: &str) -> String {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}
