//! A simulated rehearsal for tests: sessions of a shop against the embedded stage's model, with the
//! stage's own knobs. Virtual time; the same seed gives the same samples.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::plan::{Arrival, Touch};
use crate::sample::{Fate, Sample};
use crate::scenario::knobs::{BeyondLimit, StageKnobs};
use crate::summary::Summary;
use crate::summary::evidence::is_large;
use crate::summary::examples::{answered, arrival};

/// How much traffic: sessions of 4 to 12 requests, one a second each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    /// Length of the rehearsal.
    pub(super) length: Duration,
    /// Sessions, each on a connection of its own.
    pub(super) sessions: u64,
}

/// A minute of some 100 requests a second on some 110 connections.
pub(super) const MINUTE: Traffic = Traffic { length: Duration::from_mins(1), sessions: 750 };

/// A quarter of a minute of some 80 requests a second on some 100 connections.
pub(super) const SHORT: Traffic = Traffic { length: Duration::from_secs(15), sessions: 200 };

/// Longest wait for a connect and for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that the kernel completes ahead of a stage that does not accept.
const BACKLOG: usize = 9;

/// A plan of this much traffic; each 50th request uploads a few hundred kilobytes.
pub(super) fn plan(traffic: Traffic, seed: u64) -> Vec<Arrival> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut requests = Vec::new();
    for session in 0..traffic.sessions {
        let mut at = traffic.length.mul_f64(random.random::<f64>());
        for _ in 0..random.random_range(4..13) {
            if at < traffic.length {
                requests.push((at, session));
            }
            at += Duration::from_millis(200).mul_f64(random.random::<f64>() * 10.0);
        }
    }
    requests.sort_unstable();
    let last: BTreeMap<u64, usize> =
        requests.iter().enumerate().map(|(index, &(_, session))| (session, index)).collect();
    let (mut seqs, mut touched) = (BTreeMap::new(), BTreeSet::new());
    let mut plan = Vec::new();
    for (index, &(due, session)) in requests.iter().enumerate() {
        let mut arrival = arrival(index as u64, due);
        let seq = seqs.entry(session).or_insert(0);
        (arrival.connection, arrival.session, arrival.seq) = (session, session, *seq);
        *seq += 1;
        arrival.last_on_connection = last[&session] == index;
        // Few targets are asked for often, most seldom.
        let target = 3_000.0 * random.random::<f64>().powi(3);
        let target = crate::stats::counts::as_index(target);
        arrival.route = Arc::from(format!("GET /{}/*", target % 9));
        arrival.touch = if touched.insert(target) { Touch::First } else { Touch::Again };
        if index % 50 == 20 {
            arrival.method = Arc::from("POST");
            arrival.route = Arc::from("POST /sync");
            arrival.touch = Touch::Again;
            arrival.body = vec![b'x'; random.random_range(100_000..300_000)].into();
        }
        plan.push(arrival);
    }
    plan
}

/// Rehearses a plan and folds what becomes of it.
pub(super) fn rehearse(plan: &[Arrival], knobs: &StageKnobs) -> Summary {
    let mut world = World::new(plan, knobs);
    world.run();
    let samples: Vec<Sample> = world.samples.into_iter().flatten().collect();
    assert_eq!(samples.len(), plan.len(), "every arrival has one fate");
    let large: Vec<(Duration, Duration)> = plan
        .iter()
        .zip(&samples)
        .filter(|(arrival, _)| is_large(arrival))
        .filter_map(|(_, sample)| sample.sent.zip(sample.done))
        .collect();
    let mut summary = Summary::new();
    for (arrival, mut sample) in plan.iter().zip(samples) {
        if let (false, Some((from, to))) = (is_large(arrival), sample.dispatched.zip(sample.done)) {
            sample.beside_large = large.iter().any(|&(begin, end)| begin < to && from < end);
        }
        summary.add(arrival, &sample);
    }
    summary
}

/// What can happen, ordered by its moment; the number keeps the order of equal moments.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The request of this index may be sent: it is due and its connection is free.
    Ready(usize),
    /// A connection was closed.
    Closed,
}

struct World<'a> {
    plan: &'a [Arrival],
    knobs: &'a StageKnobs,
    samples: Vec<Option<Sample>>,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    /// The next request on each connection, by the index of the one before.
    next: BTreeMap<usize, usize>,
    /// Connections served now.
    open: BTreeSet<u64>,
    /// Requests whose connection is not accepted, with the moment they came.
    waiting: VecDeque<(Duration, usize)>,
    /// When each connection to the store is free.
    store: BinaryHeap<Reverse<Duration>>,
    /// The event loop does nothing until then.
    blocked_until: Duration,
}

impl<'a> World<'a> {
    fn new(plan: &'a [Arrival], knobs: &'a StageKnobs) -> Self {
        let (mut last, mut next, mut events) =
            (BTreeMap::new(), BTreeMap::new(), BinaryHeap::new());
        for (index, arrival) in plan.iter().enumerate() {
            match last.insert(arrival.connection, index) {
                Some(before) => _ = next.insert(before, index),
                None => events.push(Reverse((arrival.due, Event::Ready(index)))),
            }
        }
        let store = vec![Reverse(Duration::ZERO); knobs.cache.store_pool as usize];
        Self {
            plan,
            knobs,
            samples: vec![None; plan.len()],
            events,
            next,
            open: BTreeSet::new(),
            waiting: VecDeque::new(),
            store: store.into(),
            blocked_until: Duration::ZERO,
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((now, event))) = self.events.pop() {
            match event {
                Event::Ready(index) => self.send(index, now),
                Event::Closed => self.accept_waiting(now),
            }
        }
        // Nothing closes any more: who still waits, waits in vain.
        while let Some((since, index)) = self.waiting.pop_front() {
            self.give_up(since, index);
        }
        while let Some(Reverse((now, event))) = self.events.pop() {
            if let Event::Ready(index) = event {
                self.give_up(now, index);
            }
        }
    }

    fn send(&mut self, index: usize, now: Duration) {
        let arrival = &self.plan[index];
        let reused = self.open.contains(&arrival.connection);
        let limit = self.knobs.connection_limit.as_ref();
        let full = limit.filter(|limit| self.open.len() >= limit.max as usize);
        match full.map(|limit| limit.beyond) {
            Some(BeyondLimit::Banner) if !reused => {
                let banner = "-ERR max number of clients reached".to_owned();
                let mut sample = answered(arrival, Duration::ZERO);
                sample.first_byte = None;
                sample.fate = Fate::Rejected { banner };
                self.settle(index, sample, now + Duration::from_micros(300));
            }
            Some(BeyondLimit::StopAccepting) if !reused => self.waiting.push_back((now, index)),
            _ => self.serve(index, now, now, !reused),
        }
    }

    /// Serves a request that was sent at `sent` and is looked at from `from` on.
    fn serve(&mut self, index: usize, sent: Duration, from: Duration, opened: bool) {
        let arrival = &self.plan[index];
        self.open.insert(arrival.connection);
        let mut at = self.awake(from.max(self.blocked_until));
        let bytes = arrival.body.len() as u64;
        if self.knobs.body_limit.is_some_and(|limit| bytes > limit) {
            let mut sample = answered(arrival, Duration::ZERO);
            (sample.opened, sample.sent) = (opened, Some(sent));
            sample.fate = Fate::Answered { status: 413 };
            return self.settle(index, sample, at + self.knobs.service);
        }
        let block = Duration::from_nanos(bytes * self.knobs.block_ns_per_byte);
        if !block.is_zero() {
            self.blocked_until = at + block;
            at = self.blocked_until;
        }
        if !self.knobs.cache.warm && arrival.touch == Touch::First {
            let Reverse(free) = self.store.pop().unwrap();
            at = free.max(at) + self.knobs.cache.store_latency;
            self.store.push(Reverse(at));
        }
        let done = self.awake(at + self.knobs.service);
        let mut sample = answered(arrival, Duration::ZERO);
        (sample.opened, sample.sent, sample.first_byte) = (opened, Some(sent), Some(done));
        if done.saturating_sub(sent) > TIMEOUT {
            (sample.fate, sample.first_byte) = (Fate::TimedOut, None);
            return self.settle(index, sample, sent + TIMEOUT);
        }
        self.settle(index, sample, done);
    }

    /// The end of the stall for moments in it.
    fn awake(&self, at: Duration) -> Duration {
        let stall = self.knobs.stall.filter(|stall| at >= stall.at && at < stall.at + stall.length);
        stall.map_or(at, |stall| stall.at + stall.length)
    }

    fn accept_waiting(&mut self, now: Duration) {
        if let Some((since, index)) = self.waiting.pop_front() {
            if now.saturating_sub(since) > TIMEOUT {
                self.give_up(since, index);
                self.accept_waiting(now);
            } else {
                self.serve(index, since, now, true);
            }
        }
    }

    /// The first few in the queue were connected by the kernel, the others were not.
    fn give_up(&mut self, since: Duration, index: usize) {
        let mut sample = answered(&self.plan[index], Duration::ZERO);
        sample.first_byte = None;
        if self.waiting.len() < BACKLOG {
            sample.fate = Fate::TimedOut;
            sample.sent = Some(since);
        } else {
            sample.fate = Fate::ConnectTimedOut;
            (sample.connected, sample.sent) = (None, None);
        }
        self.settle(index, sample, since + TIMEOUT);
    }

    /// Settles a request at `done`; the next one on its connection may go.
    fn settle(&mut self, index: usize, mut sample: Sample, done: Duration) {
        let arrival = &self.plan[index];
        let due = arrival.due;
        sample.sent = sample.sent.map(|sent| sent.max(due) + Duration::from_micros(30));
        sample.sent_last = sample.sent;
        sample.connected = sample.connected.and(sample.sent);
        sample.established = sample.connected.filter(|_| sample.opened);
        sample.done = Some(done + Duration::from_micros(60));
        let lost = !matches!(sample.fate, Fate::Answered { .. });
        if (arrival.last_on_connection || lost) && self.open.remove(&arrival.connection) {
            self.events.push(Reverse((done, Event::Closed)));
        }
        self.samples[index] = Some(sample);
        if let Some(&next) = self.next.get(&index) {
            let ready = done.max(self.plan[next].due);
            self.events.push(Reverse((ready, Event::Ready(next))));
        }
    }
}
