//! Recordings drawn from a model: request after request in the order of time, in flat memory.
//!
//! Sessions begin by the rate; each goes its way through its group's chain. What is held are the
//! sessions that are under way, their connections, and the keys that were asked for last.

pub mod begin;
pub mod choice;
pub mod exchange;
mod lost;
pub mod pool;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::model::draw::begin::Begin;
use crate::model::draw::choice::Choice;
use crate::model::draw::lost::Lost;
use crate::model::draw::pool::{Link, Pool};
use crate::model::edit::{Outlier, edited};
use crate::model::file::read::MAX_RATE;
use crate::model::keys::draw::KeyDraw;
use crate::model::{Group, Model};
use crate::recording::closings::Closings;
use crate::stats::counts::as_index;

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Of every choice.
    pub seed: u64,
    /// Length; otherwise that of the model.
    pub length: Option<Duration>,
    /// Times as many sessions.
    pub scale: f64,
}

/// One request that was drawn, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Nanoseconds since the beginning.
    pub at_ns: u64,
    /// Its session, numbered from 0.
    pub session: u64,
    /// Its connection, numbered from 0.
    pub connection: u64,
    /// Position on it.
    pub seq: u32,
    /// The response before it on its connection was not complete.
    pub pipelined: bool,
    /// The number of its route.
    pub route: usize,
    /// What of the route; `None` where there is but one thing.
    pub key: Option<u64>,
    /// Bytes of its head.
    pub head: u64,
    /// Bytes of its body.
    pub body: u64,
    /// The answer; `None` without one.
    pub answer: Option<Answer>,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
    /// Nanoseconds from the request to the first byte; `None` where times were not recorded.
    pub first_ns: Option<u64>,
    /// The same to the last byte.
    pub last_ns: Option<u64>,
}

/// Sessions under way at once: some hundred megabytes. What begins beyond is not drawn.
pub const MAX_ACTIVE: usize = 1 << 20;

/// Requests of one session: one that asks each second for more than a day.
pub const MAX_REQUESTS: u32 = 100_000;

/// A recording that is being drawn.
#[derive(Debug)]
pub struct Draw {
    model: Model,
    groups: Choice<usize>,
    chains: Vec<Chain>,
    statuses: Vec<Choice<u16>>,
    keys: Vec<Option<KeyDraw>>,
    /// New routes by their number, with the share of all requests that each of them has, and of
    /// all of them together.
    added: Choice<usize>,
    share_added: f64,
    begin: Begin,
    next_begin: Option<u64>,
    /// By moment and number: which session of `active` is next.
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    active: Vec<Active>,
    vacant: Vec<usize>,
    outliers: Vec<(u64, Outlier)>,
    pool: Pool,
    sessions: u64,
    order: u64,
    end_ns: u64,
    random: ChaCha8Rng,
    lost: Lost,
}

/// A session under way.
#[derive(Debug, Default)]
struct Active {
    session: u64,
    group: usize,
    route: usize,
    requests: u32,
    /// Set for a customer whose bodies all have one size.
    outlier: Option<usize>,
    /// The route was put in by an edit: the chain goes on from where it was.
    added: Option<usize>,
    links: Vec<Link>,
}

#[derive(Debug)]
struct Chain {
    begins: Choice<usize>,
    elsewhere: Choice<usize>,
    /// By route: the steps of its state, of which `None` is the end.
    steps: Vec<Option<Choice<Option<usize>>>>,
    /// By route: its position among the states.
    states: Vec<usize>,
}

impl Draw {
    /// Begins to draw from a model; its edits are carried out.
    pub fn new(model: &Model, options: Options) -> Self {
        let mut model = edited(model);
        let mut lost = Lost::default();
        for level in &mut model.rate {
            level.sessions *= options.scale;
            lost.levels += u64::from(level.sessions > MAX_RATE);
            level.sessions = level.sessions.min(MAX_RATE);
        }
        let recorded = model.routes.len() - model.edits.routes.len().min(model.routes.len());
        let shares = model.edits.routes.iter().map(|new| new.share);
        let share_added: f64 = shares.clone().sum();
        let added = Choice::of((recorded..model.routes.len()).zip(shares));
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let length = options.length.map_or(model.duration, |length| length.as_secs_f64());
        let late = model.edits.crowds.iter().filter(|crowd| crowd.at >= length);
        lost.crowds = late.count() as u64;
        let mut begin = Begin::new(&model, length, &mut random);
        let next_begin = begin.next(&mut random);
        let routes = model.routes.len();
        let mut draw = Self {
            groups: Choice::of(model.groups.iter().map(|group| group.share).enumerate()),
            chains: model.groups.iter().map(|group| chain(group, routes)).collect(),
            statuses: model
                .routes
                .iter()
                .map(|route| Choice::of(route.statuses.iter().copied()))
                .collect(),
            keys: model.routes.iter().map(|route| route.keys.as_ref().map(KeyDraw::new)).collect(),
            added,
            share_added,
            begin,
            next_begin,
            queue: BinaryHeap::new(),
            active: Vec::new(),
            vacant: Vec::new(),
            outliers: model.edits.outliers.iter().map(|outlier| (0, *outlier)).collect(),
            pool: Pool::new(model.connections.clone()),
            model,
            sessions: 0,
            order: 0,
            end_ns: nanos(length),
            random,
            lost,
        };
        for index in 0..draw.outliers.len() {
            draw.admit_outlier(index);
        }
        draw
    }

    /// The model that is drawn from, its edits carried out.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The end of the recording.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.end_ns)
    }

    /// When connections were closed, those that are open still not among them.
    pub fn closings(&mut self) -> Closings {
        self.pool.closings()
    }

    /// What was drawn otherwise than the model says, so far: notes of a ledger.
    pub fn notes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.lost.notes(self.pool.unkept)
    }

    fn admit(&mut self, at_ns: u64) {
        let Some(&group) = self.groups.pick(&mut self.random) else { return };
        let Some(&route) =
            self.chains.get(group).and_then(|chain| chain.begins.pick(&mut self.random))
        else {
            return;
        };
        let session = self.sessions;
        self.sessions += 1;
        let active = Active { session, group, route, ..Active::default() };
        self.enter(at_ns, active);
    }

    /// The first large body comes half a time in, the others follow evenly.
    fn admit_outlier(&mut self, index: usize) {
        let Some((_, outlier)) = self.outliers.get(index) else { return };
        let at_ns = nanos(outlier.every / 2.0);
        let has_body = |route: &crate::model::Route| route.body.most > 0.0;
        let route = self.model.routes.iter().position(has_body).unwrap_or(0);
        let session = self.sessions;
        self.sessions += 1;
        self.enter(at_ns, Active { session, route, outlier: Some(index), ..Active::default() });
    }

    fn enter(&mut self, at_ns: u64, active: Active) {
        let slot = match self.vacant.pop() {
            Some(slot) => slot,
            None if self.active.len() >= MAX_ACTIVE => {
                self.lost.not_drawn += 1;
                return;
            }
            None => {
                self.active.push(Active::default());
                self.active.len() - 1
            }
        };
        self.active[slot] = active;
        self.schedule(at_ns, slot);
    }

    fn schedule(&mut self, at_ns: u64, slot: usize) {
        self.order += 1;
        self.queue.push(Reverse((at_ns, self.order, slot)));
    }

    /// Where a session goes next, and when; it leaves where it ends.
    fn go_on(&mut self, at_ns: u64, slot: usize) {
        let next = self.next_of(slot);
        // A customer of an edit sends until the end, as it says.
        let may_end = next.is_some() && self.active[slot].outlier.is_none();
        let is_endless = may_end && self.active[slot].requests >= MAX_REQUESTS;
        self.lost.endless += u64::from(is_endless);
        if let Some((route, gap)) = next.filter(|_| !is_endless) {
            self.active[slot].route = route;
            self.schedule(at_ns.saturating_add(nanos(gap)), slot);
        } else {
            let links = std::mem::take(&mut self.active[slot].links);
            self.pool.leave(links, &mut self.random);
            self.vacant.push(slot);
        }
    }

    /// Seconds between a request and one to a route that an edit put behind it.
    const ADDED_AFTER: f64 = 0.005;

    fn next_of(&mut self, slot: usize) -> Option<(usize, f64)> {
        let active = self.active.get_mut(slot)?;
        if let Some(index) = active.outlier {
            return self.outliers.get(index).map(|(_, outlier)| (active.route, outlier.every));
        }
        let from = active.added.take().unwrap_or(active.route);
        // Behind one that was put in, too: so of all requests as many are new as the shares say,
        // however large they are.
        if self.share_added > 0.0
            && self.random.random::<f64>() < self.share_added
            && let Some(number) = self.added.pick(&mut self.random)
        {
            active.added = Some(from);
            return Some((*number, Self::ADDED_AFTER));
        }
        let chain = self.chains.get(active.group)?;
        let step = (*chain.steps.get(from)?.as_ref()?.pick(&mut self.random)?)?;
        let group = self.model.groups.get(active.group)?;
        let step = group.states.get(*chain.states.get(from)?)?.next.get(step)?;
        let to = match step.to {
            Some(to) => to,
            None => *chain.elsewhere.pick(&mut self.random)?,
        };
        Some((to, step.gap.draw(&mut self.random)))
    }

    fn request(&mut self, at_ns: u64, slot: usize) -> Option<Drawn> {
        let number = self.active.get(slot)?.route;
        let route = self.model.routes.get(number)?;
        let random = &mut self.random;
        let key = self.keys.get_mut(number)?.as_mut().map(|keys| keys.draw(random));
        let head = as_index(route.head.at(random.random()).round()) as u64;
        let mut body = route.body.draw(random);
        let active = self.active.get_mut(slot)?;
        if let Some((_, outlier)) = active.outlier.and_then(|index| self.outliers.get(index)) {
            body = outlier.bytes;
        }
        let status = self.statuses.get(number)?.pick(random).copied().unwrap_or(200);
        let answer = (status != 0).then(|| {
            let first = route.first_byte.as_ref().map(|law| nanos(law.draw(random)));
            let rest = route.rest.as_ref().map(|law| nanos(law.draw(random)));
            let last = first.zip(rest).map(|(first, rest)| first.saturating_add(rest));
            Answer { status, bytes: route.answer.draw(random), first_ns: first, last_ns: last }
        });
        let took = answer.and_then(|answer| answer.last_ns.or(answer.first_ns)).unwrap_or(0);
        let link = self.pool.take(&mut active.links, at_ns, took, random);
        active.requests += 1;
        Some(Drawn {
            at_ns,
            session: active.session,
            connection: link.connection,
            seq: link.seq,
            pipelined: link.was_busy,
            route: number,
            key,
            head,
            body,
            answer,
        })
    }
}

impl Iterator for Draw {
    type Item = Drawn;

    fn next(&mut self) -> Option<Drawn> {
        loop {
            let first = self.queue.peek().map(|Reverse((at_ns, ..))| *at_ns);
            if let Some(begins) =
                self.next_begin.filter(|at| first.is_none_or(|first| *at <= first))
            {
                self.next_begin = self.begin.next(&mut self.random);
                self.admit(begins);
                continue;
            }
            let Reverse((at_ns, _, slot)) = self.queue.pop()?;
            if at_ns >= self.end_ns {
                return None;
            }
            let drawn = self.request(at_ns, slot);
            self.go_on(at_ns, slot);
            if drawn.is_some() {
                return drawn;
            }
        }
    }
}

fn chain(group: &Group, routes: usize) -> Chain {
    let mut steps: Vec<Option<Choice<Option<usize>>>> = Vec::new();
    steps.resize_with(routes, || None);
    let mut states = vec![0; routes];
    for (position, state) in group.states.iter().enumerate() {
        let next = state.next.iter().enumerate().map(|(index, step)| (Some(index), step.share));
        if let (Some(of), Some(at)) = (steps.get_mut(state.from), states.get_mut(state.from)) {
            *of = Some(Choice::of(next.chain([(None, state.ends)])));
            *at = position;
        }
    }
    Chain {
        begins: Choice::of(group.begins.iter().copied()),
        elsewhere: Choice::of(group.elsewhere.iter().copied()),
        steps,
        states,
    }
}

/// Whole nanoseconds; what is too large for them becomes the largest number.
fn nanos(seconds: f64) -> u64 {
    as_index(seconds * 1e9) as u64
}

#[cfg(test)]
mod tests;
