//! Where sessions set the pace: what is due waits here for the answer that it follows. Pure, like
//! the pacer: moments in, arrivals out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use crate::plan::Arrival;
use crate::plan::turns::Turn;

/// An arrival is settled: its answer is there, or will never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) session: u64,
    /// Its position in the session.
    pub(crate) position: u32,
    pub(crate) at: Duration,
}

/// What becomes of an arrival whose moment has come.
#[derive(Debug)]
pub(crate) enum Offered {
    /// Its user asks now, later than planned by the duration.
    Ready(Box<Arrival>, Duration),
    /// It waits for its turn.
    Waits,
    /// Too many wait for theirs.
    Refused(Box<Arrival>),
}

/// Arrivals that wait for their turn at most, of one worker: far more than any stack is asked for
/// by people who still wait for it.
pub(crate) const MAX_WAITING: usize = 1_000_000;

/// Bytes of their requests at most.
pub(crate) const MAX_WAITING_BYTES: usize = 1 << 30;

/// Moments of answers that a session remembers. Beyond them it knows only that there was an answer,
/// by the moment of the latest one it forgot.
const MAX_REMEMBERED: usize = 64;

/// The sessions of one worker.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: HashMap<u64, Session>,
    /// Sessions whose next arrival has a moment, by that moment.
    ready: BinaryHeap<Reverse<(Duration, u64)>>,
    waiting: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Session {
    /// What waits, in the order of the plan: nobody overtakes within a session.
    queue: VecDeque<Box<Arrival>>,
    /// The moment of its front, once that is known.
    is_scheduled: bool,
    answers: BTreeMap<u32, Duration>,
    /// The latest moment of those that were forgotten.
    forgotten: Duration,
    /// Position below which answers were forgotten.
    floor: u32,
    /// Moment of the request before: none is earlier.
    asked: Duration,
}

impl Sessions {
    /// Takes an arrival whose moment in the plan has come, in the order of the plan.
    pub(crate) fn offer(&mut self, arrival: Box<Arrival>, now: Duration) -> Offered {
        let Some(turn) = arrival.turn else { return Offered::Ready(arrival, Duration::ZERO) };
        let session = self.open.entry(arrival.session).or_default();
        if session.queue.is_empty()
            && let Some(moment) = session.moment(&arrival, turn).filter(|moment| *moment <= now)
        {
            let drift = session.ask(&arrival, moment);
            self.forget(arrival.session, turn);
            return Offered::Ready(arrival, drift);
        }
        let bytes = self.bytes.saturating_add(arrival.held_bytes());
        if self.waiting >= MAX_WAITING || bytes > MAX_WAITING_BYTES {
            // Whatever follows it must not wait for ever.
            self.settled(Settled { session: arrival.session, position: turn.position, at: now });
            return Offered::Refused(arrival);
        }
        (self.waiting, self.bytes) = (self.waiting + 1, bytes);
        let id = arrival.session;
        session.queue.push_back(arrival);
        self.schedule(id);
        Offered::Waits
    }

    /// Notes that an arrival is settled, which others may have waited for.
    pub(crate) fn settled(&mut self, settled: Settled) {
        // Of a session that is gone nothing waits.
        let Some(session) = self.open.get_mut(&settled.session) else { return };
        session.note(settled.position, settled.at);
        self.schedule(settled.session);
    }

    /// The next moment at which somebody asks.
    pub(crate) fn next_moment(&self) -> Option<Duration> {
        self.ready.peek().map(|Reverse((moment, _))| *moment)
    }

    /// Takes an arrival whose user asks by `now`, with its drift.
    pub(crate) fn next(&mut self, now: Duration) -> Option<(Box<Arrival>, Duration)> {
        let &Reverse((moment, id)) = self.ready.peek().filter(|next| next.0.0 <= now)?;
        self.ready.pop();
        let session = self.open.get_mut(&id)?;
        session.is_scheduled = false;
        let arrival = session.queue.pop_front()?;
        let drift = session.ask(&arrival, moment);
        self.waiting = self.waiting.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(arrival.held_bytes());
        self.schedule(id);
        if let Some(turn) = arrival.turn {
            self.forget(id, turn);
        }
        Some((arrival, drift))
    }

    /// Nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Takes everything that waits.
    pub(crate) fn abandon(self) -> impl Iterator<Item = Box<Arrival>> {
        self.open.into_values().flat_map(|session| session.queue)
    }

    fn schedule(&mut self, id: u64) {
        let Some(session) = self.open.get_mut(&id).filter(|session| !session.is_scheduled) else {
            return;
        };
        let Some(front) = session.queue.front() else { return };
        if let Some(moment) = front.turn.and_then(|turn| session.moment(front, turn)) {
            session.is_scheduled = true;
            self.ready.push(Reverse((moment, id)));
        }
    }

    /// A session ends with its last request: nothing follows that.
    fn forget(&mut self, id: u64, turn: Turn) {
        if turn.is_last {
            self.open.remove(&id);
        }
    }
}

impl Session {
    /// When the user of an arrival asks; `None` while the answer before is outstanding.
    fn moment(&self, arrival: &Arrival, turn: Turn) -> Option<Duration> {
        let earliest = arrival.due.max(self.asked);
        let Some((position, thought)) = turn.after else { return Some(earliest) };
        let answered = match self.answers.get(&position) {
            Some(answered) => *answered,
            None if position < self.floor => self.forgotten,
            None => return None,
        };
        Some(earliest.max(answered.saturating_add(thought)))
    }

    /// Its user asks at `moment`; returns by how much that is later than planned.
    fn ask(&mut self, arrival: &Arrival, moment: Duration) -> Duration {
        self.asked = moment;
        moment.saturating_sub(arrival.due)
    }

    fn note(&mut self, position: u32, at: Duration) {
        self.answers.insert(position, at);
        while self.answers.len() > MAX_REMEMBERED {
            let Some((position, at)) = self.answers.pop_first() else { return };
            self.floor = self.floor.max(position.saturating_add(1));
            self.forgotten = self.forgotten.max(at);
        }
    }
}

#[cfg(test)]
mod tests;
