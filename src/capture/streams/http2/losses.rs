//! What a capture has lost of a connection, or a limit lets go.

use crate::capture::streams::Turn;
use crate::capture::streams::http2::Http2;
use crate::capture::streams::http2::half::At;
use crate::capture::tcp::Side;
use crate::protocol::http2::frame::{END_HEADERS, Frame, HEADER, Kind};
use crate::protocol::http2::hpack::Decoder;

impl Http2 {
    /// `bytes` are missing from the capture.
    pub(super) fn gap(&mut self, side: Side, bytes: u64, turn: &mut Turn<'_>) {
        let lost = u32::try_from(bytes).unwrap_or(u32::MAX);
        match self.half(side).at {
            At::Over(_) | At::Seeking(_) => {}
            At::Skip(left, bucket) if lost <= left => {
                let rest = left - lost;
                self.half(side).at = if rest == 0 { At::Frame } else { At::Skip(rest, bucket) };
            }
            At::Body { stream, left, padding, ends } if lost <= left.saturating_add(padding) => {
                self.exchanges.miss_body(side, stream, u64::from(lost.min(left)));
                let padding = padding - lost.saturating_sub(left);
                let left = left.saturating_sub(lost);
                self.body_goes_on(side, At::Body { stream, left, padding, ends }, turn);
            }
            At::Body { stream, left, .. } => {
                self.exchanges.miss_body(side, stream, u64::from(left));
                self.lose(side, "behind a gap", turn);
            }
            At::Skip(..) => self.lose(side, "behind a gap", turn),
            At::Frame => self.gap_in_front(side, lost, turn),
        }
    }

    /// A gap in what is collected before it is read.
    pub(super) fn gap_in_front(&mut self, side: Side, lost: u32, turn: &mut Turn<'_>) {
        let half = self.half(side);
        let frame = half.frame();
        let seen = half.buffer.len().saturating_sub(HEADER);
        let rest = frame.and_then(|frame| {
            let seen = u32::try_from(seen).ok()?;
            frame.length.checked_sub(seen)?.checked_sub(lost)
        });
        self.cut_frame(side, turn);
        match rest {
            // The next boundary is known.
            Some(rest) => {
                self.half(side).at =
                    if rest == 0 { At::Frame } else { At::Skip(rest, "http2 cut frames") };
            }
            None => self.lose(side, "behind a gap", turn),
        }
    }

    /// What was collected of a frame will never be more. Of a header block the front is read.
    pub(super) fn cut_frame(&mut self, side: Side, turn: &mut Turn<'_>) {
        let half = &mut self.halves[side.index()];
        let begun = half.frame().zip(half.first);
        let buffer = std::mem::take(&mut half.buffer);
        half.first = None;
        turn.ledger.stream_bytes.end("http2 cut frames", buffer.len() as u64);
        let Some((frame, mark)) = begun else {
            self.end_block(side, true, turn);
            return;
        };
        let payload = buffer.get(HEADER..).unwrap_or_default();
        let begun = Frame { flags: frame.flags & !END_HEADERS, ..frame };
        match frame.kind {
            Kind::Headers | Kind::Push => {
                self.end_block(side, true, turn);
                self.block_begins(side, (begun, mark), payload, turn);
            }
            Kind::Continuation => self.block_goes_on(side, begun, payload, turn),
            Kind::Data => self.exchanges.lost_track(side),
            _ => {}
        }
        self.end_block(side, true, turn);
    }

    /// The boundaries of frames are lost, and with them the ends of bodies.
    pub(super) fn lose(&mut self, side: Side, bucket: &'static str, turn: &mut Turn<'_>) {
        self.end_block(side, true, turn);
        let half = &mut self.halves[side.index()];
        turn.ledger.stream_bytes.end(bucket, half.buffer.len() as u64);
        half.seek(bucket);
        self.exchanges.lost_track(side);
    }

    /// Memory is short: nothing is held on to.
    pub(super) fn let_go(&mut self, turn: &mut Turn<'_>) {
        for side in [Side::First, Side::Second] {
            if !self.half(side).buffer.is_empty() {
                self.gap_in_front(side, 0, turn);
            }
            self.end_block(side, true, turn);
            self.half(side).decoder = Decoder::in_the_middle();
        }
        self.exchanges.hand_out_all(turn);
    }
}
