//! Both directions of a connection, and the order of their events.

use crate::capture::tcp::half::{Half, Payload};
use crate::capture::tcp::{
    Data, End, Event, Link, MAX_WINDOW, Mark, PATIENCE, START_PATIENCE, Side, What,
};
use crate::capture::{ACK, FIN, RST, SYN, Segment};
use crate::recording::ledger::Ledger;

/// Longest run of bytes cut by the snap length that one segment can claim: no segment is longer.
const MAX_CUT: u64 = 1 << 24;

/// Largest distance, in bytes, between the sequence number of a reset and the next expected one:
/// beyond it the reset belongs to something else.
const RESET_WINDOW: u64 = 1 << 24;

/// Largest distance, in bytes, between a SYN and the first data seen, for both to be of the same
/// connection although the SYN was captured late.
const LATE_SYN: u64 = 1 << 16;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Link,
    /// Position of its last segment in the capture.
    pub(super) last_segment: u64,
    halves: [Half; 2],
    /// Number of segments seen.
    tick: u64,
    reset: Option<Reset>,
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Reset {
    side: Side,
    offset: Option<u64>,
    tick: u64,
}

/// What a connection needs while it works on a segment.
pub(super) struct Turn<'t> {
    /// Memory is short: do not wait.
    pub(super) pressed: bool,
    /// Nothing more comes: do not wait.
    pub(super) finish: bool,
    pub(super) ledger: &'t mut Ledger,
    pub(super) sink: &'t mut dyn FnMut(Event<'_>, &mut Ledger),
}

impl Connection {
    pub(super) fn new(link: Link) -> Self {
        let halves = [Half::default(), Half::default()];
        Self { link, last_segment: 0, halves, tick: 0, reset: None, closed: false }
    }

    /// Captured bytes that wait.
    pub(super) fn held(&self) -> usize {
        self.halves.iter().map(|half| half.held_bytes).sum()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The segment belongs to a later connection between the same addresses.
    pub(super) fn is_reused_by(&self, segment: &Segment<'_>) -> bool {
        let half = &self.halves[self.side_of(segment).index()];
        let offset = half.known_offset(segment.seq);
        if segment.flags & SYN != 0 {
            let first = offset.map(|offset| offset.saturating_add(1));
            let is_known = half.syn.is_some() && half.syn == first;
            let moved = self.halves.iter().any(Half::has_moved);
            let is_late = half.syn.is_none()
                && half
                    .next
                    .zip(first)
                    .is_some_and(|(next, first)| next.abs_diff(first) < LATE_SYN);
            return !is_known && !is_late && (self.closed || moved && segment.flags & ACK == 0);
        }
        let is_near = || half.next.zip(offset).is_none_or(|(a, b)| a.abs_diff(b) < MAX_WINDOW / 64);
        self.closed && !segment.payload.is_empty() && !is_near()
    }

    pub(super) fn segment(&mut self, segment: &Segment<'_>, turn: &mut Turn<'_>) {
        self.tick += 1;
        let side = self.side_of(segment);
        if self.closed {
            self.late(side, segment, turn.ledger);
            return;
        }
        if segment.flags & SYN != 0 {
            self.handshake(side, segment, turn.ledger);
        }
        let reset = segment.flags & RST != 0;
        let ack = (segment.flags & ACK != 0 && !reset).then(|| {
            let peer = &mut self.halves[side.other().index()];
            let offset = peer.peer_offset(segment.ack);
            peer.acknowledge(offset, self.tick);
            offset
        });
        if reset {
            self.reset_by(side, segment, turn.ledger);
        } else {
            self.payload(side, ack, segment, turn);
        }
        self.advance(turn);
    }

    /// Delivers what is left and ends both sides.
    pub(super) fn finish(&mut self, turn: &mut Turn<'_>) {
        if self.closed {
            return;
        }
        self.advance(turn);
        let end = if self.reset.is_some() { End::Reset } else { End::Cut };
        for side in [Side::First, Side::Second] {
            self.end(side, end, turn);
        }
        self.close(turn);
    }

    fn side_of(&self, segment: &Segment<'_>) -> Side {
        if segment.source == self.link.ends[0] { Side::First } else { Side::Second }
    }

    /// A segment behind the end of both sides.
    fn late(&mut self, side: Side, segment: &Segment<'_>, ledger: &mut Ledger) {
        let half = &self.halves[side.index()];
        let end = half.known_offset(segment.seq).unwrap_or(0) + segment.payload.len() as u64;
        let is_old = half.next.is_some_and(|next| end <= next);
        let bucket = if is_old { "retransmitted" } else { "after the end" };
        ledger.stream_bytes.end(bucket, segment.payload.len() as u64);
    }

    fn handshake(&mut self, side: Side, segment: &Segment<'_>, ledger: &mut Ledger) {
        let is_answer = segment.flags & ACK != 0;
        let opener = if is_answer { side.other() } else { side };
        self.link.client.get_or_insert(opener);
        let half = &mut self.halves[side.index()];
        let first = half.own_offset(segment.seq) + 1;
        if half.syn == Some(first) {
            ledger.note("handshakes repeated", 1);
        } else if half.has_moved() || half.ended {
            ledger.note("handshakes in the middle of a stream", 1);
        } else {
            if half.syn.is_some() {
                // Nothing was delivered for the first number, so the later one is the real one.
                ledger.note(if is_answer { "second syn-ack" } else { "second syn" }, 1);
                half.forget_acknowledged();
                half.fin = None;
            }
            half.syn = Some(first);
            half.start_at(first, ledger);
            // Nobody opens a connection that it has reset: the reset was another's.
            if self.reset.is_some_and(|reset| reset.side == side) {
                ledger.note("resets that did not end the connection", 1);
                self.reset = None;
            }
        }
        let peer = &mut self.halves[side.other().index()];
        if is_answer && peer.next.is_none() {
            let first = peer.peer_offset(segment.ack);
            peer.start_at(first, ledger);
        }
    }

    fn reset_by(&mut self, side: Side, segment: &Segment<'_>, ledger: &mut Ledger) {
        let bytes = segment.payload.len() as u64;
        ledger.stream_bytes.end("inside a reset", bytes);
        let half = &self.halves[side.index()];
        let offset = half.known_offset(segment.seq);
        // A reset answers what was never open with sequence number 0.
        let is_far = offset.zip(half.next).is_some_and(|(a, b)| a.abs_diff(b) > RESET_WINDOW);
        if is_far && half.has_moved() {
            ledger.note("resets outside the window", 1);
        } else if self.reset.is_none() {
            self.reset = Some(Reset { side, offset, tick: self.tick });
        }
    }

    fn payload(
        &mut self,
        side: Side,
        ack: Option<u64>,
        segment: &Segment<'_>,
        turn: &mut Turn<'_>,
    ) {
        let seq = segment.seq.wrapping_add(u32::from(segment.flags & SYN != 0));
        let cut = u64::from(segment.cut_bytes).min(MAX_CUT);
        let length = segment.payload.len() as u64 + cut;
        let half = &mut self.halves[side.index()];
        let offset = half.own_offset(seq);
        if segment.flags & FIN != 0 {
            half.end_at(offset + length, self.tick);
        }
        if length == 0 {
            return;
        }
        let sent_after_reset = self.reset.is_some_and(|reset| {
            reset.side == side && reset.offset.is_none_or(|reset| offset >= reset)
        });
        if sent_after_reset {
            turn.ledger.note("resets that did not end the connection", 1);
            self.reset = None;
        }
        let mark = Mark { at_ns: segment.at_ns, tick: self.tick, offset, ack };
        let payload = Payload { mark, fresh: true, bytes: segment.payload, cut };
        if self.halves[side.index()].is_next(&payload) && !self.is_blocked(side, ack) {
            self.deliver(side, payload, turn);
        } else {
            self.halves[side.index()].insert(payload, turn.ledger);
        }
    }

    /// Delivers everything that can be, oldest first, and gives up what was waited for enough.
    fn advance(&mut self, turn: &mut Turn<'_>) {
        let over = self.reset.is_some_and(|reset| self.tick - reset.tick >= PATIENCE);
        let hurry = turn.finish || turn.pressed || over;
        loop {
            let sides = self.by_age();
            for side in sides {
                self.start(side, hurry, turn.ledger);
            }
            if let Some(side) = sides.into_iter().find(|side| self.is_ready(*side)) {
                self.deliver_front(side, turn);
            } else if let Some(side) = sides.into_iter().find(|side| self.is_overdue(*side, hurry))
            {
                self.give_up(side, turn);
            } else {
                break;
            }
        }
        for side in [Side::First, Side::Second] {
            if over {
                self.end(side, End::Reset, turn);
            }
        }
        if self.halves.iter().all(|half| half.ended) {
            self.close(turn);
        }
    }

    /// The side whose first waiting piece was captured earlier comes first.
    fn by_age(&self) -> [Side; 2] {
        let age = |side: Side| {
            let half = &self.halves[side.index()];
            let fin = half.fin.map_or(u64::MAX, |(_, tick)| tick);
            half.front().map_or(fin, |piece| piece.mark.tick)
        };
        if age(Side::First) <= age(Side::Second) {
            [Side::First, Side::Second]
        } else {
            [Side::Second, Side::First]
        }
    }

    /// Begins a stream whose start was not seen, once it was waited for.
    fn start(&mut self, side: Side, hurry: bool, ledger: &mut Ledger) {
        let half = &mut self.halves[side.index()];
        if half.next.is_some() {
            return;
        }
        let waited = half.goes_on_at().is_some_and(|(_, seen)| self.tick - seen >= START_PATIENCE);
        if !waited && !hurry && !half.holds_too_much() {
            return;
        }
        // A single zero byte in front is a probe that kept an idle connection alive.
        while half.front().is_some_and(|piece| piece.bytes == [0] && piece.cut == 0) {
            half.take_front();
            ledger.stream_bytes.end("keep-alive probe", 1);
        }
        if let Some((first, _)) = half.goes_on_at() {
            half.start_at(first, ledger);
        }
    }

    fn is_ready(&self, side: Side) -> bool {
        let half = &self.halves[side.index()];
        let next = half.front().map(|piece| piece.mark).filter(|m| Some(m.offset) == half.next);
        let is_next = next.is_some_and(|mark| !self.is_blocked(side, mark.ack));
        !half.ended && (is_next || half.is_at_end())
    }

    /// Data that acknowledges bytes of the peer comes after these bytes.
    fn is_blocked(&self, side: Side, ack: Option<u64>) -> bool {
        let peer = &self.halves[side.other().index()];
        let Some(ack) = ack.filter(|_| !peer.ended) else {
            return false;
        };
        match peer.next {
            Some(next) => ack > next,
            None => peer.front().is_some_and(|piece| ack > piece.mark.offset),
        }
    }

    fn is_overdue(&self, side: Side, hurry: bool) -> bool {
        let half = &self.halves[side.index()];
        let Some(next) = half.next.filter(|_| !half.ended) else {
            return false;
        };
        let Some((offset, seen)) = half.goes_on_at() else {
            return false;
        };
        let patient = |since: u64| self.tick - since < PATIENCE;
        let waited = if offset > next {
            half.proven.is_some_and(|proven| !patient(proven.max(seen)))
        } else {
            !patient(seen)
        };
        hurry || waited || half.holds_too_much()
    }

    /// What is missing before the first waiting piece becomes a gap, and the piece is delivered.
    fn give_up(&mut self, side: Side, turn: &mut Turn<'_>) {
        let half = &self.halves[side.index()];
        if let (Some(next), Some((offset, _))) = (half.next, half.goes_on_at())
            && offset > next
        {
            self.gap(side, offset - next, turn);
        }
        self.deliver_front(side, turn);
    }

    fn deliver_front(&mut self, side: Side, turn: &mut Turn<'_>) {
        let half = &mut self.halves[side.index()];
        if half.is_at_end() {
            self.end(side, End::Fin, turn);
        } else if let Some(piece) = half.take_front() {
            self.deliver(side, piece.payload(), turn);
        }
    }

    fn deliver(&mut self, side: Side, payload: Payload<'_>, turn: &mut Turn<'_>) {
        let Payload { mark, fresh, bytes, cut } = payload;
        let half = &mut self.halves[side.index()];
        half.advance_to(mark.offset + bytes.len() as u64, bytes, self.tick);
        if !bytes.is_empty() {
            let what = What::Data(Data { mark, bytes, fresh });
            (turn.sink)(Event { link: self.link, side, what }, turn.ledger);
        }
        if cut > 0 {
            self.gap(side, cut, turn);
        }
    }

    fn gap(&mut self, side: Side, bytes: u64, turn: &mut Turn<'_>) {
        let half = &mut self.halves[side.index()];
        half.forget_recent();
        half.advance_to(half.next.unwrap_or(0) + bytes, &[], self.tick);
        turn.ledger.note("gaps", 1);
        turn.ledger.note("gap bytes", bytes);
        (turn.sink)(Event { link: self.link, side, what: What::Gap(bytes) }, turn.ledger);
    }

    fn end(&mut self, side: Side, end: End, turn: &mut Turn<'_>) {
        let half = &mut self.halves[side.index()];
        if !half.ended {
            half.ended = true;
            half.release(turn.ledger);
            (turn.sink)(Event { link: self.link, side, what: What::End(end) }, turn.ledger);
        }
    }

    fn close(&mut self, turn: &mut Turn<'_>) {
        if !self.closed {
            self.closed = true;
            (turn.sink)(
                Event { link: self.link, side: Side::First, what: What::Closed },
                turn.ledger,
            );
        }
    }
}
