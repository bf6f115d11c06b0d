//! Header blocks, over as many frames as they take.

use crate::capture::streams::Turn;
use crate::capture::streams::http2::Http2;
use crate::capture::streams::http2::fields::Fields;
use crate::capture::streams::http2::half::{HeaderBlock, MAX_BLOCK};
use crate::capture::tcp::{Mark, Side};
use crate::protocol::http2::frame::{END_HEADERS, END_STREAM, Frame, Kind};
use crate::protocol::http2::hpack::Decoder;
use crate::protocol::http2::payload::{content, push};

impl Http2 {
    /// A HEADERS or `PUSH_PROMISE`.
    pub(super) fn block_begins(
        &mut self,
        side: Side,
        (frame, mark): (Frame, Mark),
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let is_promise = frame.kind == Kind::Push;
        let is_cut = payload.len() < frame.length as usize;
        let fragment = if is_promise {
            push(&frame, payload).map(|push| push.fragment)
        } else {
            content(&frame, payload.first().copied()).and_then(|content| {
                let end = content.before.checked_add(content.length)? as usize;
                payload.get(content.before as usize..end.min(payload.len()))
            })
        };
        if is_promise {
            self.exchanges.client_is(side.other());
            turn.ledger.note("http2 pushes", 1);
        }
        turn.ledger.note("http2 frames with bad padding", u64::from(fragment.is_none()));
        let is_long = is_cut && payload.len() >= MAX_BLOCK;
        turn.ledger.note("http2 header blocks too long", u64::from(is_long));
        self.half(side).block = Some(HeaderBlock {
            stream: frame.stream,
            is_promise,
            ends: !is_promise && frame.has(END_STREAM),
            mark,
            bytes: fragment.unwrap_or_default().to_vec(),
            is_cut: is_cut || fragment.is_none(),
        });
        if frame.has(END_HEADERS) {
            self.end_block(side, false, turn);
        }
    }

    pub(super) fn block_goes_on(
        &mut self,
        side: Side,
        frame: Frame,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let half = &mut self.halves[side.index()];
        let Some(block) = half.block.as_mut().filter(|block| block.stream == frame.stream) else {
            turn.ledger.note("http2 continuations of nothing", 1);
            half.block = None;
            half.decoder = Decoder::in_the_middle();
            return;
        };
        let room = MAX_BLOCK.saturating_sub(block.bytes.len());
        let kept = payload.get(..room).unwrap_or(payload);
        block.bytes.extend_from_slice(kept);
        let is_long = !block.is_cut && block.bytes.len() >= MAX_BLOCK;
        turn.ledger.note("http2 header blocks too long", u64::from(is_long));
        block.is_cut |= kept.len() < frame.length as usize;
        if frame.has(END_HEADERS) {
            self.end_block(side, false, turn);
        }
    }

    /// The header block is over; `is_cut` where it is not whole.
    pub(super) fn end_block(&mut self, side: Side, is_cut: bool, turn: &mut Turn<'_>) {
        let half = &mut self.halves[side.index()];
        let Some(mut block) = half.block.take() else {
            return;
        };
        block.is_cut |= is_cut;
        let mut decoded = half.decoder.decode(&block.bytes);
        if block.is_cut {
            decoded.whole = false;
            half.decoder = Decoder::in_the_middle();
        }
        turn.ledger.note("http2 header blocks not whole", u64::from(!decoded.whole));
        turn.ledger.note("http2 fields that are unknown", decoded.unknown);
        turn.ledger.note("http2 fields too long to keep", decoded.left_out);
        if !block.is_promise {
            self.exchanges.headers(side, &block, Fields::of(&decoded), turn);
        }
    }
}
