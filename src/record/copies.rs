//! Copies of what passes, on their way to the recorder.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::capture::tcp::{Data, End, Event, Link, Mark, Side, What};
use crate::record::Tee;

/// What a copy costs beside its bytes.
const OVERHEAD: u64 = 160;

/// What was seen of a connection, in the order in which it passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    link: Link,
    side: Side,
    piece: Piece,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Data(Mark, Bytes),
    Gap(u64),
    End(End),
    /// When, nanoseconds since the Unix epoch.
    Closed(i64),
}

impl Seen {
    /// As reassembly would tell it.
    pub fn event(&self) -> Event<'_> {
        let what = match &self.piece {
            Piece::Data(mark, bytes) => What::Data(Data { mark: *mark, bytes, fresh: true }),
            Piece::Gap(bytes) => What::Gap(*bytes),
            Piece::End(end) => What::End(*end),
            Piece::Closed(_) => What::Closed,
        };
        Event { link: self.link, side: self.side, what }
    }

    /// When it passed, nanoseconds since the Unix epoch; `None` where nothing did.
    pub fn at_ns(&self) -> Option<i64> {
        if let Piece::Data(mark, _) = &self.piece { Some(mark.at_ns) } else { None }
    }

    /// When a connection closed, nanoseconds since the Unix epoch; of everything else, when it
    /// passed, and zero where nothing did.
    pub fn moment_ns(&self) -> i64 {
        if let Piece::Closed(at_ns) = self.piece { at_ns } else { self.at_ns().unwrap_or(0) }
    }

    pub(super) fn cost(&self) -> u64 {
        let bytes = if let Piece::Data(_, bytes) = &self.piece { bytes.len() as u64 } else { 0 };
        OVERHEAD + bytes
    }
}

/// The copies of one connection.
pub(super) struct Copies<'a> {
    pub(super) tee: &'a Tee,
    link: Link,
    flow: Mutex<Flow>,
    /// Nothing of it is copied.
    is_left_out: bool,
}

/// How far the two directions are.
#[derive(Default)]
pub(super) struct Flow {
    tick: u64,
    offsets: [u64; 2],
    /// Bytes that were dropped since the last copy.
    lost: [u64; 2],
    ended: [Option<End>; 2],
}

impl<'a> Copies<'a> {
    /// While the recorder is behind nothing begins: what waits for it is bounded by the
    /// connections that had begun before.
    pub(super) fn begin(tee: &'a Tee, link: Link) -> Self {
        let is_behind = tee.passed.waiting.load(Ordering::Relaxed) > tee.room / 8 * 7;
        tee.passed.unrecorded.fetch_add(u64::from(is_behind), Ordering::Relaxed);
        Self { tee, link, flow: Mutex::default(), is_left_out: is_behind }
    }

    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a copy over, or drops it; never waits.
    pub(super) fn data(&self, side: Side, bytes: &Bytes) {
        let at_ns = self.tee.clock.now_ns();
        let (mut flow, index, length) = (self.flow(), side.index(), bytes.len() as u64);
        flow.tick += 1;
        let ack = Some(flow.offsets[side.other().index()]);
        let mark = Mark { at_ns, tick: flow.tick, offset: flow.offsets[index], ack };
        flow.offsets[index] += length;
        let waiting = self.tee.passed.waiting.load(Ordering::Relaxed);
        let is_full = waiting.saturating_add(length + OVERHEAD) > self.tee.room;
        if is_full || self.is_left_out {
            flow.lost[index] += length;
            for (count, amount) in self.tee.passed.dropped.iter().zip([1, length]) {
                count.fetch_add(amount, Ordering::Relaxed);
            }
            return;
        }
        let lost = std::mem::take(&mut flow.lost[index]);
        if lost > 0 {
            self.tell(side, Piece::Gap(lost));
        }
        self.tell(side, Piece::Data(mark, bytes.clone()));
    }

    /// A side sends nothing more: told at once, since the other one may go on.
    pub(super) fn end(&self, side: Side, end: End) {
        let mut flow = self.flow();
        if flow.ended[side.index()].is_none() {
            flow.ended[side.index()] = Some(end);
            self.tell_end(side, end, &mut flow);
        }
    }

    /// A side has ended.
    pub(super) fn has_ended(&self, side: Side) -> bool {
        self.flow().ended[side.index()].is_some()
    }

    fn tell_end(&self, side: Side, end: End, flow: &mut Flow) {
        if self.is_left_out {
            return;
        }
        let lost = std::mem::take(&mut flow.lost[side.index()]);
        if lost > 0 {
            self.tell(side, Piece::Gap(lost));
        }
        self.tell(side, Piece::End(end));
    }

    /// Tells the recorder that nothing more comes, which must never be dropped: it lets go of the
    /// connection then.
    pub(super) fn close(&self, end: End) {
        for side in [Side::First, Side::Second] {
            self.end(side, end);
        }
        if !self.is_left_out {
            self.tell(Side::First, Piece::Closed(self.tee.clock.now_ns()));
        }
    }

    fn tell(&self, side: Side, piece: Piece) {
        let seen = Seen { link: self.link, side, piece };
        self.tee.passed.waiting.fetch_add(seen.cost(), Ordering::Relaxed);
        // The recorder is gone only with the process.
        let _ = self.tee.recorder.send(seen);
    }
}
