//! The requests of one connection that are on their way: they go out as they were recorded, and are
//! answered in that order. Knows no protocol: who reads the answers says which request is done.
//!
//! A request that was recorded as pipelined does not wait for the answers before it. Any other one
//! goes out only when nothing is outstanding, as its client did.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use crate::drive::desk::{InFlight, Run};
use crate::sample::Fate;

/// Most bytes handed to the kernel at once, before other connections get a turn.
const PIECE: usize = 64 * 1024;

/// Most pieces handed to the kernel at once: a head and a body each of the deepest pipelines that
/// clients use. More take another turn.
const PIECES: usize = 128;

/// Requests in the order in which they are sent and answered.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    slots: VecDeque<Slot>,
    /// How many, from the front, were handed to the kernel whole.
    written: usize,
    /// Bytes of the next one that were.
    offset: usize,
}

#[derive(Debug)]
struct Slot {
    request: Box<InFlight>,
    /// It was sent before, on a connection that was just closed.
    is_repeated: bool,
}

impl Slot {
    fn bytes(&self) -> usize {
        self.request.arrival.head.len() + self.request.arrival.body.len()
    }
}

impl Pipeline {
    /// A request that was handed to the kernel whole.
    pub(crate) fn written(request: Box<InFlight>) -> Self {
        let slots = [Slot { request, is_repeated: false }].into();
        Self { slots, written: 1, offset: 0 }
    }

    /// Adds requests behind all others.
    pub(crate) fn extend(&mut self, requests: impl IntoIterator<Item = Box<InFlight>>) {
        let slots = requests.into_iter().map(|request| Slot { request, is_repeated: false });
        self.slots.extend(slots);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many have left, wholly or in part, and wait for their answers.
    pub(crate) fn begun(&self) -> usize {
        self.written + usize::from(self.offset > 0)
    }

    /// All of them have left.
    pub(crate) fn is_all_begun(&self) -> bool {
        self.begun() == self.slots.len()
    }

    /// Something can be handed to the kernel without waiting for an answer.
    pub(crate) fn may_go(&self) -> bool {
        self.slots.get(self.written).is_some_and(|slot| self.goes(self.written, slot))
    }

    fn goes(&self, at: usize, slot: &Slot) -> bool {
        let is_begun = at == self.written && self.offset > 0;
        at == 0 || is_begun || slot.request.arrival.recorded.pipelined
    }

    /// The last one has left whole, and its client sent nothing behind it.
    pub(crate) fn ends_sending(&self) -> bool {
        let last = self.slots.back().filter(|_| self.written == self.slots.len());
        last.is_some_and(|last| last.request.arrival.recorded.half_closes)
    }

    /// The oldest request; its answer is next.
    pub(crate) fn first(&mut self) -> Option<&mut InFlight> {
        self.slots.front_mut().map(|slot| &mut *slot.request)
    }

    /// Those that have left, in order.
    pub(crate) fn outstanding(&self) -> impl Iterator<Item = &InFlight> {
        self.slots.iter().take(self.begun()).map(|slot| &*slot.request)
    }

    /// Hands as much as may go to `write`, at `moment`, and returns how many bytes it took.
    pub(crate) fn write_piece(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
        moment: Duration,
    ) -> io::Result<usize> {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let (mut count, mut room, mut skip) = (0, PIECE, self.offset);
        for (at, slot) in self.slots.iter().enumerate().skip(self.written) {
            if !self.goes(at, slot) || room == 0 || count + 2 > PIECES {
                break;
            }
            for part in [&slot.request.arrival.head, &slot.request.arrival.body] {
                let left = part.get(skip..).unwrap_or_default();
                skip = skip.saturating_sub(part.len());
                let piece = left.get(..room.min(left.len())).unwrap_or_default();
                if let Some(place) = pieces.get_mut(count).filter(|_| !piece.is_empty()) {
                    *place = IoSlice::new(piece);
                    count += 1;
                    room -= piece.len();
                }
            }
        }
        let taken = match write(pieces.get(..count).unwrap_or_default()) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if let Some(first) = self.slots.front() {
            let after = first.request.run().epoch.now().max(moment);
            self.account(taken, moment, after);
        }
        Ok(taken)
    }

    /// So many bytes were taken, from `moment` to `after`.
    fn account(&mut self, mut taken: usize, moment: Duration, after: Duration) {
        while taken > 0 {
            let Some(slot) = self.slots.get_mut(self.written) else { return };
            if self.offset == 0 {
                slot.request.sample.connected = Some(moment);
                slot.request.first_byte_sent(moment);
            }
            let left = slot.bytes() - self.offset;
            if taken < left {
                self.offset += taken;
                return;
            }
            slot.request.sample.sent_last = Some(after);
            taken -= left;
            self.offset = 0;
            self.written += 1;
        }
    }

    /// Takes the oldest one out, since its answer has come; and whether it had left whole.
    pub(crate) fn answered(&mut self) -> Option<(Box<InFlight>, bool)> {
        let slot = self.slots.pop_front()?;
        let is_whole = self.written > 0;
        self.written = self.written.saturating_sub(1);
        if !is_whole {
            self.offset = 0;
        }
        Some((slot.request, is_whole))
    }

    /// The connection is lost: settles those that have left. The others can go on a new one.
    pub(crate) fn lose(&mut self, first: Fate, others: &Fate) {
        let mut first = Some(first);
        for mut slot in self.slots.drain(..self.begun()) {
            let fate = first.take().unwrap_or_else(|| {
                // One connection ends once: the first one tells of it.
                slot.request.sample.connected = None;
                others.clone()
            });
            slot.request.finish(fate);
        }
        (self.written, self.offset) = (0, 0);
    }

    /// The connection is lost, and those that have left may be sent again: each of them once. False
    /// when one of them has been sent twice already.
    pub(crate) fn take_back(&mut self) -> bool {
        let begun = self.begun();
        if self.slots.iter().take(begun).any(|slot| slot.is_repeated) {
            return false;
        }
        for slot in self.slots.iter_mut().take(begun) {
            slot.is_repeated = true;
            slot.request.run().gauges.sent_again();
            slot.request.take_back();
        }
        (self.written, self.offset) = (0, 0);
        true
    }

    /// The connection is lost: those that have left and `may_repeat` are sent again, each of them
    /// once, and the others are settled.
    pub(crate) fn take_back_if(&mut self, may_repeat: impl Fn(&InFlight) -> bool, fate: &Fate) {
        let behind = self.slots.split_off(self.begun());
        let mut is_first = true;
        for mut slot in std::mem::take(&mut self.slots) {
            if may_repeat(&slot.request) && !slot.is_repeated {
                slot.is_repeated = true;
                slot.request.run().gauges.sent_again();
                slot.request.take_back();
                self.slots.push_back(slot);
                continue;
            }
            if !std::mem::take(&mut is_first) {
                slot.request.sample.connected = None;
            }
            slot.request.finish(fate.clone());
        }
        self.slots.extend(behind);
        (self.written, self.offset) = (0, 0);
    }

    /// Settles the first of those that have not left.
    pub(crate) fn give_up_next(&mut self, fate: Fate) {
        if let Some(slot) = self.slots.remove(self.begun()) {
            slot.request.finish(fate);
        }
    }

    /// Settles all of those that have not left.
    pub(crate) fn give_up_rest(&mut self, fate: &Fate) {
        for slot in self.slots.drain(self.begun()..) {
            slot.request.finish(fate.clone());
        }
    }

    /// The first of those that have not left.
    pub(crate) fn next(&mut self) -> Option<&mut InFlight> {
        let begun = self.begun();
        self.slots.get_mut(begun).map(|slot| &mut *slot.request)
    }
}

/// How long the oldest request may still take; `None` when there is none.
pub(crate) fn patience(pipeline: &mut Pipeline, run: &Run) -> Option<Duration> {
    let now = run.epoch.now();
    let sample = &mut pipeline.first()?.sample;
    // One that the kernel does not take waits, too.
    let since = sample.sent.unwrap_or(*sample.connected.get_or_insert(now));
    Some(since.saturating_add(run.limits.response_timeout).saturating_sub(now))
}
