//! HTTP/2: frames of both sides become exchanges, by the number of their stream.
//!
//! A capture may begin in the middle of a connection, or lose bytes in it. Frames are then sought
//! at the front of a segment, and what HPACK had sent before is unknown from there on. A gap
//! inside a frame whose header was seen is stepped over.

mod fields;
mod half;
mod exchanges;
mod blocks;
mod losses;

use crate::capture::streams::Turn;
use crate::capture::streams::http2::exchanges::Exchanges;
use crate::capture::streams::http2::half::{At, Half};
use crate::capture::streams::talk::Handover;
use crate::capture::tcp::{Data, Event, Mark, Side, What};
use crate::protocol::http2::PREFACE;
use crate::protocol::http2::frame::{END_STREAM, Frame, HEADER, Kind, is_chain};
use crate::protocol::http2::payload::{MAX_FRAME_SIZE, content, go_away, settings};

/// Frames that carry no part of a message.
const CONTROL: &str = "http2 control";

/// Bodies of streams whose beginning was not seen, or that are over.
const NO_MESSAGE: &str = "http2 data of no message";

/// One connection.
#[derive(Debug)]
pub(super) struct Http2 {
    halves: [Half; 2],
    exchanges: Exchanges,
}

impl Http2 {
    pub(super) fn new(handover: &mut Handover) -> Self {
        // What was HTTP/1 before is HTTP/2 from its first byte on.
        let is_certain = handover.is_begun || handover.number.is_some();
        let mut halves = [Half::new(is_certain), Half::new(is_certain)];
        if handover.upgraded.is_some() {
            // The client's first SETTINGS stood in the request: what they allow was not read.
            for half in &mut halves {
                half.longest = half::MAX_FRAME;
            }
        }
        Self { halves, exchanges: Exchanges::new(handover) }
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.halves.iter().map(Half::kept).sum::<usize>() + self.exchanges.kept
    }

    pub(super) fn event(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) {
        match event.what {
            What::Data(data) => self.data(event.side, data, turn),
            What::Gap(bytes) => self.gap(event.side, bytes, turn),
            What::End(_) => {
                self.cut_frame(event.side, turn);
                self.half(event.side).at = At::Over("after the end");
            }
            What::Closed => self.exchanges.hand_out_all(turn),
        }
        if turn.pressed {
            self.let_go(turn);
        }
    }

    fn half(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side.index()]
    }

    fn data(&mut self, side: Side, data: Data<'_>, turn: &mut Turn<'_>) {
        let mut left = data;
        while !left.bytes.is_empty() {
            let used = match self.half(side).at {
                At::Over(bucket) => {
                    turn.ledger.stream_bytes.end(bucket, left.bytes.len() as u64);
                    left.bytes.len()
                }
                At::Seeking(bucket) => self.seek(side, left, bucket, turn),
                At::Skip(count, bucket) => self.skip(side, left, (count, bucket), turn),
                At::Body { .. } => self.body(side, left, turn),
                At::Frame => self.collect(side, left, turn),
            };
            left.advance(used);
        }
    }

    /// Skips bytes unless frames certainly begin here.
    fn seek(
        &mut self,
        side: Side,
        data: Data<'_>,
        bucket: &'static str,
        turn: &mut Turn<'_>,
    ) -> usize {
        let longest = self.half(side).longest.min(half::MAX_SOUGHT);
        if data.fresh && (data.bytes.starts_with(PREFACE) || is_chain(data.bytes, longest)) {
            self.half(side).at = At::Frame;
            return 0;
        }
        turn.ledger.stream_bytes.end(bucket, data.bytes.len() as u64);
        data.bytes.len()
    }

    fn skip(
        &mut self,
        side: Side,
        data: Data<'_>,
        (count, bucket): (u32, &'static str),
        turn: &mut Turn<'_>,
    ) -> usize {
        let used = data.bytes.len().min(count as usize);
        let left = count.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        self.half(side).at = if left == 0 { At::Frame } else { At::Skip(left, bucket) };
        turn.ledger.stream_bytes.end(bucket, used as u64);
        used
    }

    /// Body bytes and padding.
    fn body(&mut self, side: Side, data: Data<'_>, turn: &mut Turn<'_>) -> usize {
        let At::Body { stream, left, padding, ends } = self.half(side).at else {
            return 0;
        };
        let used = data.bytes.len().min(left as usize);
        let bytes = data.bytes.get(..used).unwrap_or_default();
        let is_read = self.exchanges.body(side, stream, (bytes, data.mark.at_ns), turn);
        let bucket = if is_read { self.exchanges.bucket(side) } else { NO_MESSAGE };
        turn.ledger.stream_bytes.end(bucket, used as u64);
        let left = left.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        self.body_goes_on(side, At::Body { stream, left, padding, ends }, turn);
        used
    }

    /// Ends the body of a frame once nothing is left of it.
    fn body_goes_on(&mut self, side: Side, at: At, turn: &mut Turn<'_>) {
        self.half(side).at = at;
        if let At::Body { stream, left: 0, padding, ends } = at {
            self.half(side).at = if padding == 0 { At::Frame } else { At::Skip(padding, CONTROL) };
            if ends {
                self.exchanges.ends(side, stream, turn);
            }
        }
    }

    /// Collects the front of a frame. Returns how many of the new bytes were used.
    fn collect(&mut self, side: Side, data: Data<'_>, turn: &mut Turn<'_>) -> usize {
        let half = &mut self.halves[side.index()];
        if half.buffer.is_empty() {
            half.first = Some(data.mark);
        }
        let missing = half.needed().saturating_sub(half.buffer.len());
        let taken = data.bytes.get(..missing).unwrap_or(data.bytes);
        half.buffer.extend_from_slice(taken);
        let is_unsound = half.frame().is_some_and(|frame| !frame.is_sound(half.longest));
        if is_unsound {
            turn.ledger.note("http2 frames that are none", 1);
            self.lose(side, "behind a bad frame", turn);
        } else if half.buffer.len() >= half.needed() {
            self.complete(side, data.mark, turn);
        }
        taken.len()
    }

    /// As much of a frame, or of the preface, is there as is read at once.
    fn complete(&mut self, side: Side, now: Mark, turn: &mut Turn<'_>) {
        let half = &mut self.halves[side.index()];
        let mark = half.first.unwrap_or(now);
        let frame = half.frame();
        let buffer = std::mem::take(&mut half.buffer);
        half.first = None;
        let Some(frame) = frame else {
            self.exchanges.client_is(side);
            turn.ledger.stream_bytes.end(CONTROL, buffer.len() as u64);
            return;
        };
        let payload = buffer.get(HEADER..).unwrap_or_default();
        let left = frame.length.saturating_sub(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        if half.block.is_some() && frame.kind != Kind::Continuation {
            // Nothing may stand between the pieces of a header block.
            self.end_block(side, true, turn);
        }
        let half = &mut self.halves[side.index()];
        if left > 0 {
            half.at = At::Skip(left, CONTROL);
        }
        match frame.kind {
            Kind::Data => self.data_begins(side, frame, payload, turn),
            Kind::Headers | Kind::Push => self.block_begins(side, (frame, mark), payload, turn),
            Kind::Continuation => self.block_goes_on(side, frame, payload, turn),
            Kind::Reset => self.exchanges.reset(side, frame.stream, turn),
            Kind::Settings => {
                let longest = settings(payload).filter(|(name, _)| *name == MAX_FRAME_SIZE);
                let peer = self.half(side.other());
                peer.longest = longest.map(|(_, value)| value).fold(peer.longest, u32::max);
            }
            Kind::GoAway => {
                let is_orderly = go_away(payload).is_some_and(|it| it.code == 0);
                let note = if is_orderly { "http2 goaway" } else { "http2 goaway with an error" };
                turn.ledger.note(note, 1);
            }
            Kind::Priority | Kind::Ping | Kind::Window | Kind::Other(_) => {}
        }
        let bucket = match frame.kind {
            Kind::Headers | Kind::Push | Kind::Continuation => self.exchanges.bucket(side),
            _ => CONTROL,
        };
        turn.ledger.stream_bytes.end(bucket, buffer.len() as u64);
    }

    fn data_begins(&mut self, side: Side, frame: Frame, payload: &[u8], turn: &mut Turn<'_>) {
        let Some(content) = content(&frame, payload.first().copied()) else {
            turn.ledger.note("http2 frames with bad padding", 1);
            return;
        };
        let at = At::Body {
            stream: frame.stream,
            left: content.length,
            padding: content.after,
            ends: frame.has(END_STREAM),
        };
        self.body_goes_on(side, at, turn);
    }
}

#[cfg(test)]
mod tests;
