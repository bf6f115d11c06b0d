//! One direction of a connection: what was delivered, what waits, what is missing.

use std::collections::BTreeMap;
use std::ops::Bound::Excluded;

use crate::capture::tcp::{MAX_HELD, MAX_HELD_SEGMENTS, MAX_WINDOW, Mark, RECENT};
use crate::recording::ledger::Ledger;

/// Where the first sequence number seen stands in the stream's 64-bit offsets: high enough that
/// nothing before it becomes negative.
const ORIGIN: u64 = 1 << 33;

/// Distance, in sequence numbers, at which an acknowledgement and the data it should be about
/// have nothing to do with each other.
const UNRELATED: u32 = 1 << 30;

/// One direction.
///
/// Invariants: pieces in `held` do not overlap, and none begins before `next`.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// A sequence number and its offset, near what comes next.
    reference: Option<(u32, u64)>,
    /// The reference comes from this side's own segments, not from acknowledgements of the peer.
    seen: bool,
    /// Offset of the first byte of the stream, once that is known.
    first: Option<u64>,
    /// Offset of the next byte to deliver; set together with `first`.
    pub(super) next: Option<u64>,
    /// Offset of the first byte, where a SYN told it.
    pub(super) syn: Option<u64>,
    /// Offset behind the last byte, told by a FIN, and the tick at which it did.
    pub(super) fin: Option<(u64, u64)>,
    /// The end was told to the sink.
    pub(super) ended: bool,
    /// Offset up to which the peer has received everything.
    acked: Option<u64>,
    /// Tick at which the peer acknowledged bytes that are missing here.
    pub(super) proven: Option<u64>,
    held: BTreeMap<u64, Piece>,
    /// Captured bytes in `held`.
    pub(super) held_bytes: usize,
    /// The last bytes delivered.
    recent: Vec<u8>,
}

/// Bytes that wait for others.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) mark: Mark,
    pub(super) fresh: bool,
    pub(super) bytes: Vec<u8>,
    /// Bytes that follow but were not captured.
    pub(super) cut: u64,
}

/// The payload of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    pub(super) mark: Mark,
    pub(super) fresh: bool,
    pub(super) bytes: &'a [u8],
    pub(super) cut: u64,
}

impl Piece {
    pub(super) fn payload(&self) -> Payload<'_> {
        Payload { mark: self.mark, fresh: self.fresh, bytes: &self.bytes, cut: self.cut }
    }
}

impl Payload<'_> {
    fn end(&self) -> u64 {
        self.mark.offset + self.bytes.len() as u64 + self.cut
    }

    /// The part that lies between two offsets.
    fn part(&self, from: u64, to: u64) -> Piece {
        let at = |offset: u64| {
            let relative = offset.saturating_sub(self.mark.offset);
            usize::try_from(relative).map_or(self.bytes.len(), |at| at.min(self.bytes.len()))
        };
        let bytes = self.bytes[at(from)..at(to)].to_vec();
        let cut = (to - from) - bytes.len() as u64;
        let fresh = self.fresh && from == self.mark.offset;
        Piece { mark: Mark { offset: from, ..self.mark }, fresh, bytes, cut }
    }

    /// How many captured bytes of two payloads stand at the same offset and differ.
    fn differing(&self, other: &Payload<'_>) -> u64 {
        let from = self.mark.offset.max(other.mark.offset);
        let mine = self.part(from, self.end().max(from)).bytes;
        let theirs = other.part(from, other.end().max(from)).bytes;
        mine.iter().zip(&theirs).filter(|(mine, theirs)| mine != theirs).count() as u64
    }
}

impl Half {
    /// The offset of a sequence number of this side.
    pub(super) fn own_offset(&mut self, seq: u32) -> u64 {
        let unrelated = self.reference.is_none_or(|(known, _)| {
            !self.seen && seq.wrapping_sub(known).cast_signed().unsigned_abs() > UNRELATED
        });
        if unrelated {
            self.reference = Some((seq, ORIGIN));
            (self.first, self.next) = (None, None);
            self.forget_acknowledged();
        }
        self.seen = true;
        self.known_offset(seq).unwrap_or(ORIGIN)
    }

    /// The offset of a sequence number that the peer acknowledges.
    pub(super) fn peer_offset(&mut self, seq: u32) -> u64 {
        self.reference.get_or_insert((seq, ORIGIN));
        self.known_offset(seq).unwrap_or(ORIGIN)
    }

    /// The offset of a sequence number, where any number of this side is known.
    pub(super) fn known_offset(&self, seq: u32) -> Option<u64> {
        let (known, offset) = self.reference?;
        let distance = i64::from(seq.wrapping_sub(known).cast_signed());
        Some(offset.saturating_add_signed(distance))
    }

    /// The stream begins at `offset`; what was held from elsewhere is no part of it.
    pub(super) fn start_at(&mut self, offset: u64, ledger: &mut Ledger) {
        (self.first, self.next) = (Some(offset), Some(offset));
        self.fin = self.fin.filter(|(fin, _)| *fin >= offset);
        self.follow(offset);
        self.held_bytes = 0;
        for piece in std::mem::take(&mut self.held).into_values() {
            self.insert(piece.payload(), ledger);
        }
    }

    /// The stream ends at `offset`, unless it went on behind it already.
    pub(super) fn end_at(&mut self, offset: u64, tick: u64) {
        if self.fin.is_none() && self.next.is_none_or(|next| offset >= next) {
            self.fin = Some((offset, tick));
        }
    }

    /// Everything before the FIN was delivered or given up.
    pub(super) fn is_at_end(&self) -> bool {
        self.fin.zip(self.next).is_some_and(|((fin, _), next)| fin <= next)
    }

    /// Where the stream goes on, and the tick since when that is known: the first piece that
    /// waits, or the FIN.
    pub(super) fn goes_on_at(&self) -> Option<(u64, u64)> {
        let front = self.front().map(|piece| (piece.mark.offset, piece.mark.tick));
        match (front, self.fin) {
            (Some(front), Some(fin)) => Some(if fin.0 < front.0 { fin } else { front }),
            (front, fin) => front.or(fin),
        }
    }

    /// Anything was delivered or given up.
    pub(super) fn has_moved(&self) -> bool {
        self.next != self.first
    }

    /// The peer has received everything before `offset`.
    pub(super) fn acknowledge(&mut self, offset: u64, tick: u64) {
        let limit = self.next.unwrap_or(offset).saturating_add(MAX_WINDOW);
        if offset <= limit && self.acked.is_none_or(|acked| offset > acked) {
            self.acked = Some(offset);
        }
        self.prove(tick);
    }

    /// Forgets what the peer acknowledged: it was about another initial sequence number.
    pub(super) fn forget_acknowledged(&mut self) {
        (self.acked, self.proven) = (None, None);
    }

    /// The first piece that waits.
    pub(super) fn front(&self) -> Option<&Piece> {
        self.held.first_key_value().map(|(_, piece)| piece)
    }

    /// Takes the first piece out, wherever it stands.
    pub(super) fn take_front(&mut self) -> Option<Piece> {
        let (_, piece) = self.held.pop_first()?;
        self.held_bytes -= piece.bytes.len();
        Some(piece)
    }

    /// A limit forbids to wait any longer.
    pub(super) fn holds_too_much(&self) -> bool {
        self.held_bytes > MAX_HELD || self.held.len() > MAX_HELD_SEGMENTS
    }

    /// The payload is exactly what comes next, and nothing waits.
    pub(super) fn is_next(&self, payload: &Payload<'_>) -> bool {
        let at_the_end = self.fin.is_some_and(|(fin, _)| payload.end() > fin);
        self.held.is_empty() && self.next == Some(payload.mark.offset) && !at_the_end
    }

    /// Keeps what is new of a segment until it can be delivered; the rest ends in the ledger.
    pub(super) fn insert(&mut self, payload: Payload<'_>, ledger: &mut Ledger) {
        let captured = payload.bytes.len() as u64;
        let fin = self.fin.map_or(u64::MAX, |(fin, _)| fin);
        let from = payload.mark.offset.max(self.next.unwrap_or(0));
        let to = payload.end().min(fin);
        let bucket = match () {
            () if payload.end() <= from => Some(self.why_old(&payload)),
            () if payload.end() > from.saturating_add(MAX_WINDOW) => Some("outside the window"),
            () if self.ended || to <= from => Some("after the end"),
            () => None,
        };
        if bucket != Some("keep-alive probe") {
            self.compare_with_delivered(&payload, ledger);
        }
        if let Some(bucket) = bucket {
            ledger.stream_bytes.end(bucket, captured);
            return;
        }
        let free = self.free_ranges((from, to), &payload, ledger);
        let mut kept = 0;
        for (from, to) in &free {
            let piece = payload.part(*from, *to);
            kept += piece.bytes.len() as u64;
            self.held_bytes += piece.bytes.len();
            self.held.insert(*from, piece);
        }
        let bucket = if free.is_empty() { "retransmitted" } else { "overlapping" };
        ledger.stream_bytes.end(bucket, captured - kept);
    }

    /// Notes that everything before `next` was delivered or given up; `bytes` are the last of it.
    pub(super) fn advance_to(&mut self, next: u64, bytes: &[u8], tick: u64) {
        self.next = Some(next);
        self.follow(next);
        self.prove(tick);
        let kept = &bytes[bytes.len().saturating_sub(RECENT)..];
        if kept.len() == RECENT {
            self.recent.clear();
        } else {
            let surplus = (self.recent.len() + kept.len()).saturating_sub(RECENT);
            self.recent.drain(..surplus.min(self.recent.len()));
        }
        self.recent.extend_from_slice(kept);
    }

    /// Bytes are missing: what was delivered no longer stands right before what comes next.
    pub(super) fn forget_recent(&mut self) {
        self.recent.clear();
    }

    /// Frees what is of no use once nothing more is delivered.
    pub(super) fn release(&mut self, ledger: &mut Ledger) {
        while let Some(piece) = self.take_front() {
            ledger.stream_bytes.end("after the end", piece.bytes.len() as u64);
        }
        self.recent = Vec::new();
    }

    /// Keeps the reference near what comes next, so that sequence numbers may wrap around.
    fn follow(&mut self, next: u64) {
        if let Some((seq, offset)) = self.reference {
            // Truncation is the arithmetic of sequence numbers.
            #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is meant")]
            let moved = next.wrapping_sub(offset) as u32;
            self.reference = Some((seq.wrapping_add(moved), next));
        }
    }

    fn prove(&mut self, tick: u64) {
        let missing = self.acked.zip(self.next).is_some_and(|(acked, next)| acked > next);
        self.proven = if missing { self.proven.or(Some(tick)) } else { None };
    }

    fn why_old(&self, payload: &Payload<'_>) -> &'static str {
        let is_probe = payload.bytes.len() == 1 && Some(payload.end()) == self.next;
        let before_start = self.first.is_some_and(|first| payload.mark.offset < first);
        match () {
            () if is_probe => "keep-alive probe",
            () if before_start => "before the start",
            () => "retransmitted",
        }
    }

    /// The parts of a payload that no held piece covers.
    fn free_ranges(
        &self,
        (from, to): (u64, u64),
        payload: &Payload<'_>,
        ledger: &mut Ledger,
    ) -> Vec<(u64, u64)> {
        let (mut at, mut free) = (from, Vec::new());
        let before = self.held.range(..=from).next_back();
        let inside = self.held.range((Excluded(from), Excluded(to)));
        for (start, piece) in before.into_iter().chain(inside) {
            let held = piece.payload();
            if held.end() <= at {
                continue;
            }
            if *start > at {
                free.push((at, *start));
            }
            ledger.note("overlapping bytes that differ", held.differing(payload));
            at = held.end();
        }
        if at < to {
            free.push((at, to));
        }
        free
    }

    fn compare_with_delivered(&self, payload: &Payload<'_>, ledger: &mut Ledger) {
        let Some(next) = self.next else {
            return;
        };
        if payload.mark.offset >= next || self.recent.is_empty() {
            return;
        }
        let mark = Mark { offset: next - self.recent.len() as u64, ..payload.mark };
        let recent = Payload { mark, fresh: false, bytes: &self.recent, cut: 0 };
        ledger.note("overlapping bytes that differ", recent.differing(payload));
    }
}
