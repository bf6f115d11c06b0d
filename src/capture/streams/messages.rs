//! Heads and bodies as they begin, go on and end.

use ::bytes::Bytes;

use crate::capture::line::line_of_head;
use crate::capture::pairing::{Answer, Request, names_http2};
use crate::capture::reader::State;
use crate::capture::streams::Turn;
use crate::capture::streams::bodies::keep_body;
use crate::capture::streams::conversation::{Conversation, bucket_of};
use crate::capture::tcp::{Data, Mark, Side};
use crate::protocol::Protocol;
use crate::protocol::http1::body::{BodyDecoder, Framing};
use crate::protocol::http1::chunks::MAX_CHUNKS;
use crate::protocol::http1::framing::{
    Delimited, MAX_SIZE_FRONT, begins_with_size, of_request, of_response,
};
use crate::protocol::http1::head::Head;
use crate::protocol::http1::start::{Kind, Start, Version, is_certain_start};
use crate::recording::Flags;
use crate::recording::contents::Contents;

impl Conversation {
    /// A message begins on `side`.
    pub(super) fn message(&mut self, side: Side, head: &Head<'_>, mark: Mark, turn: &mut Turn<'_>) {
        self.number.get_or_insert_with(|| turn.next_number());
        match head.start {
            Start::Request { .. } => {
                self.client = Some(side);
                self.request(side, head, mark, turn);
            }
            Start::Response { .. } => {
                self.client = Some(side.other());
                self.response(side, head, mark, turn);
            }
        }
        self.reader(side).after_loss = false;
    }

    /// Body bytes on `side`. Returns how many were used.
    pub(super) fn body(&mut self, side: Side, data: Data<'_>, turn: &mut Turn<'_>) -> usize {
        if data.fresh && self.is_body_unsent(side, data.bytes) {
            self.end_body(side, false, turn);
            return 0;
        }
        let State::Body(decoder) = &mut self.readers[side.index()].state else {
            return 0;
        };
        let Ok(step) = decoder.decode(data.bytes) else {
            turn.ledger.note("bodies with bad chunks", 1);
            if let Some(request) = self.queue.open_request().filter(|_| self.client == Some(side)) {
                request.flags.insert(Flags::AMBIGUOUS_FRAMING);
            }
            self.end_body(side, false, turn);
            self.reader(side).seek("behind a bad chunk");
            return 0;
        };
        let kind = self.kind_at(side);
        turn.ledger.stream_bytes.end(bucket_of(kind), step.consumed as u64);
        let (around, bytes) = data.bytes[..step.data.1].split_at(step.data.0);
        self.keep_chunks(kind, around, turn);
        self.keep(kind, bytes, data.mark.at_ns, turn);
        if step.complete {
            self.end_body(side, true, turn);
        }
        step.consumed
    }

    /// The front of a body whose framing is in doubt. Returns how many bytes were used: all, and
    /// they are held, or none, and it is decided.
    pub(super) fn doubt(&mut self, side: Side, data: Data<'_>, turn: &mut Turn<'_>) -> usize {
        let reader = self.reader(side);
        let held = reader.buffer.len();
        reader.first.get_or_insert(data.mark);
        reader.buffer.extend_from_slice(&data.bytes[..data.bytes.len().min(MAX_SIZE_FRONT)]);
        match begins_with_size(&reader.buffer) {
            None => data.bytes.len(),
            Some(is_chunked) => {
                reader.buffer.truncate(held);
                self.decide(side, is_chunked, turn);
                0
            }
        }
    }

    /// What is there of a body whose framing is in doubt is no chunk size.
    pub(super) fn end_doubt(&mut self, side: Side, turn: &mut Turn<'_>) {
        self.decide(side, false, turn);
    }

    /// The framing that was in doubt is decided, and bytes that were held are read by it.
    fn decide(&mut self, side: Side, is_chunked: bool, turn: &mut Turn<'_>) {
        let is_client = self.client == Some(side);
        let reader = self.reader(side);
        let State::Doubt(otherwise) = reader.state else {
            return;
        };
        let (held, first) = (std::mem::take(&mut reader.buffer), reader.first.take());
        if let Some(request) = self.queue.open_request().filter(|_| is_chunked && is_client) {
            request.flags.insert(Flags::CHUNKED);
        }
        self.begin_body(side, if is_chunked { Framing::Chunked } else { otherwise }, turn);
        if let Some(mark) = first {
            self.data(side, Data { bytes: &held, mark, fresh: false }, turn);
        }
    }

    /// A body begins on `side`, framed for sure.
    fn begin_body(&mut self, side: Side, framing: Framing, turn: &mut Turn<'_>) {
        let decoder = BodyDecoder::new(framing);
        let is_complete = decoder.is_complete();
        self.reader(side).state = State::Body(decoder);
        if is_complete {
            self.end_body(side, true, turn);
        }
    }

    /// `bytes` of a body are missing from the capture.
    pub(super) fn miss_body(&mut self, side: Side, bytes: u64) {
        match self.kind_at(side) {
            Kind::Request => {
                if let Some(request) = self.queue.open_request() {
                    request.body_bytes += bytes;
                    request.flags.insert(Flags::GAP);
                    request.flags.insert(Flags::REQUEST_TRUNCATED);
                }
            }
            Kind::Response => {
                if let Some(answer) = self.answer.as_mut() {
                    answer.body_gap(bytes, &mut self.messages_kept);
                }
            }
        }
    }

    /// The body on `side` is over.
    pub(super) fn end_body(&mut self, side: Side, whole: bool, turn: &mut Turn<'_>) {
        match self.kind_at(side) {
            Kind::Request => {
                let cut = if whole { Flags::default() } else { Flags::REQUEST_TRUNCATED };
                self.queue.request_ends(cut);
            }
            Kind::Response => self.response_ends(whole, turn),
        }
        self.reader(side).state = State::Boundary;
    }

    /// Bytes without a head answer a request without version. Returns whether they do here.
    pub(super) fn simple_answer(
        &mut self,
        side: Side,
        data: Data<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_server = self.client == Some(side.other());
        if !is_server || !self.queue.first_waiting().is_some_and(|request| request.is_simple) {
            return false;
        }
        let mark = self.reader(side).first.unwrap_or(data.mark);
        self.queue.response_begins(&mark, false);
        self.begin_answer(mark, 0, Bytes::new(), turn);
        self.reader(side).clear();
        self.reader(side).state = State::Body(BodyDecoder::new(Framing::UntilClose));
        true
    }

    fn kind_at(&self, side: Side) -> Kind {
        if self.client == Some(side) { Kind::Request } else { Kind::Response }
    }

    fn request(&mut self, side: Side, head: &Head<'_>, mark: Mark, turn: &mut Turn<'_>) {
        let Start::Request { method, .. } = head.start else {
            return;
        };
        let Delimited { framing, otherwise, ambiguous } = of_request(head);
        let mut flags = Flags::default();
        let odd = [
            (head.malformed, Flags::MALFORMED),
            (ambiguous, Flags::AMBIGUOUS_FRAMING),
            (framing == Framing::Chunked && otherwise.is_none(), Flags::CHUNKED),
            (!self.is_begun, Flags::MID_STREAM),
            (self.cut.is_some(), Flags::REQUEST_TRUNCATED),
        ];
        for (_, flag) in odd.into_iter().filter(|(is_set, _)| *is_set) {
            flags.insert(flag);
        }
        flags.insert(self.cut.unwrap_or_default());
        let head_bytes = Bytes::copy_from_slice(head.bytes);
        let line = line_of_head(Some(head));
        self.messages_kept += head_bytes.len() + line.size();
        turn.ledger.messages.enter(1);
        let paired_late = self.queue.request_begins(Request {
            mark,
            method: Bytes::copy_from_slice(method),
            head: head_bytes,
            body: Vec::new(),
            stored: None,
            chunks: None,
            body_bytes: 0,
            seq: 0,
            is_simple: head.version() == Version::Http09,
            protocol: Protocol::Http1,
            stream: None,
            line: Box::new(line),
            flags,
        });
        // The orphan was counted as a message, and is now part of this one.
        turn.ledger.messages.total -= u64::from(paired_late);
        match otherwise {
            _ if self.cut.is_some() => self.end_body(side, true, turn),
            Some(otherwise) => self.reader(side).state = State::Doubt(otherwise),
            None => self.begin_body(side, framing, turn),
        }
    }

    fn response(&mut self, side: Side, head: &Head<'_>, mark: Mark, turn: &mut Turn<'_>) {
        let Start::Response { status, .. } = head.start else {
            return;
        };
        let after_loss = self.reader(side).after_loss;
        let request = self.queue.response_begins(&mark, after_loss);
        let method = request.as_ref().map(|request| request.method.clone());
        let tunnel = method.as_deref() == Some(b"CONNECT") && (200..300).contains(&status);
        if matches!(status, 100 | 102..=199) {
            turn.ledger.note("interim responses", 1);
            self.queue.response_was_interim();
            return;
        }
        if let Some(request) = request.filter(|_| tunnel || status == 101) {
            request.flags.insert(Flags::UPGRADED);
            if status == 101 && asks_for_websocket(head) {
                request.flags.insert(Flags::WEBSOCKET);
                turn.ledger.note("websocket connections", 1);
            }
        }
        if status == 101 && names_http2(head) {
            // The response proper comes in HTTP/2.
            turn.ledger.note("interim responses", 1);
            self.queue.response_was_interim();
            self.other_protocol("http2", turn);
            return;
        }
        let Delimited { framing, otherwise, ambiguous } = of_response(head, method.as_deref());
        turn.ledger.note("responses with ambiguous framing", u64::from(ambiguous));
        turn.ledger.note("malformed responses", u64::from(head.malformed));
        self.begin_answer(mark, status, Bytes::copy_from_slice(head.bytes), turn);
        if tunnel || status == 101 {
            self.response_ends(true, turn);
            self.queue.request_ends(Flags::default());
            self.stop(side, "upgraded", turn);
            self.stop(side.other(), "upgraded", turn);
        } else if self.cut.is_some() {
            self.end_body(side, false, turn);
        } else if let Some(otherwise) = otherwise {
            self.reader(side).state = State::Doubt(otherwise);
        } else {
            self.begin_body(side, framing, turn);
        }
    }

    fn begin_answer(&mut self, mark: Mark, status: u16, head: Bytes, turn: &mut Turn<'_>) {
        if self.queue.current_request().is_none() {
            turn.ledger.messages.enter(1);
        }
        self.messages_kept += head.len();
        self.answer = Some(Answer {
            mark,
            status,
            head,
            body_bytes: 0,
            witness: turn.contents.then(Box::default),
            contents: Contents::default(),
            whole: false,
            last_ns: mark.at_ns,
            flags: self.cut.unwrap_or_default(),
        });
    }

    fn response_ends(&mut self, whole: bool, turn: &mut Turn<'_>) {
        if let Some(mut answer) = self.answer.take() {
            answer.whole = whole;
            answer.body_ends(&mut self.messages_kept);
            if !whole {
                answer.flags.insert(Flags::RESPONSE_TRUNCATED);
            }
            let paired_late = self.queue.response_ends(answer);
            // The orphan was counted as a message, and is now part of its request's.
            turn.ledger.messages.total -= u64::from(paired_late);
        }
    }

    /// Keeps what stands around the bytes of a request's chunked body.
    fn keep_chunks(&mut self, kind: Kind, around: &[u8], turn: &mut Turn<'_>) {
        if kind == Kind::Response || around.is_empty() {
            return;
        }
        let Some(request) = self.queue.open_request() else { return };
        // The first of them is there before any byte of the body.
        let is_known = request.chunks.is_some() || request.body_bytes == 0;
        let kept = request.chunks.get_or_insert_default();
        if !is_known || turn.pressed || kept.len() + around.len() > MAX_CHUNKS {
            turn.ledger.note("chunked bodies of too many chunks", u64::from(is_known));
            self.messages_kept = self.messages_kept.saturating_sub(kept.len());
            request.chunks = None;
            return;
        }
        kept.extend_from_slice(around);
        self.messages_kept += around.len();
    }

    fn keep(&mut self, kind: Kind, bytes: &[u8], at_ns: i64, turn: &mut Turn<'_>) {
        match kind {
            Kind::Request => {
                let Some(request) = self.queue.open_request() else {
                    return;
                };
                keep_body(request, bytes, &mut self.messages_kept, turn);
            }
            Kind::Response => {
                if let Some(answer) = self.answer.as_mut() {
                    let pressed = (turn.pressed, &mut *turn.ledger);
                    answer.body(bytes, &mut self.messages_kept, pressed);
                    answer.last_ns = at_ns;
                }
            }
        }
    }

    /// The server has answered before any byte of the body was sent, and instead of the body the
    /// next request follows: a client that expected `100 Continue` may do so.
    fn is_body_unsent(&mut self, side: Side, bytes: &[u8]) -> bool {
        self.client == Some(side)
            && self.queue.is_open_request_answered()
            && self.queue.open_request().is_some_and(|request| request.body_bytes == 0)
            && is_certain_start(Kind::Request, bytes)
    }
}

/// The head switches to WebSocket.
fn asks_for_websocket(head: &Head<'_>) -> bool {
    let mut names = head.values("upgrade").flat_map(|value| value.split(|byte| *byte == b','));
    names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}
