//! Both sides of a connection as messages.

use crate::capture::pairing::{Answer, Paired, Queue, Request};
use crate::capture::reader::{Front, Reader, State, look, look_in_the_middle};
use crate::capture::streams::talk::{Handover, Piece};
use crate::capture::streams::{Origin, Turn};
use crate::capture::tcp::{Data, End, Event, Link, Side, What};
use crate::protocol::http1::head::{Progress, salvage};
use crate::protocol::http1::start::{Kind, Version, is_certain_start};
use crate::recording::Flags;

/// Longest request line without version, in bytes: it is looked at again with every answer. For the
/// same reason a longer front of a message stays what it was taken for.
const MAX_SIMPLE: usize = 8 * 1024;

/// One connection.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) link: Link,
    pub(super) readers: [Reader; 2],
    /// Who sends requests: by handshake, corrected by content.
    pub(super) client: Option<Side>,
    /// The start of the connection was seen.
    pub(super) is_begun: bool,
    pub(super) queue: Queue,
    /// The response being read.
    pub(super) answer: Option<Answer>,
    /// While a head is read that will never be whole: what is odd about its message.
    pub(super) cut: Option<Flags>,
    /// Its number, once it had a message.
    pub(super) number: Option<u64>,
    /// Bytes of messages that are not complete.
    pub(super) messages_kept: usize,
    /// Another protocol is spoken: who reads on.
    pub(super) handover: Option<Handover>,
}

impl Conversation {
    pub(super) fn new(link: Link) -> Self {
        // Without a handshake the first bytes may be the tail of anything.
        let reader = || match link.client {
            Some(_) => Reader::new(State::Boundary),
            None => Reader::new(State::Seeking("before the first message")),
        };
        Self {
            link,
            readers: [reader(), reader()],
            client: link.client,
            is_begun: link.client.is_some(),
            queue: Queue::new(link.client.is_some()),
            answer: None,
            cut: None,
            number: None,
            messages_kept: 0,
            handover: None,
        }
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.readers.iter().map(|reader| reader.buffer.len()).sum::<usize>() + self.messages_kept
    }

    pub(super) fn event(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) {
        match event.what {
            What::Data(data) => self.data(event.side, data, turn),
            What::Gap(bytes) => self.gap(event.side, bytes, turn),
            What::End(end) => self.end(event.side, end, turn),
            What::Closed => {
                // The orphan was counted as a message, and is now part of its request's.
                turn.ledger.messages.total -= u64::from(self.queue.close());
            }
        }
        if turn.pressed {
            self.queue.forget(usize::MAX);
        }
        if self.handover.is_some() {
            // Nothing of this protocol comes any more. The orphan was counted as a message.
            turn.ledger.messages.total -= u64::from(self.queue.close());
        }
        self.hand_out(turn);
    }

    pub(super) fn reader(&mut self, side: Side) -> &mut Reader {
        &mut self.readers[side.index()]
    }

    pub(super) fn data(&mut self, side: Side, data: Data<'_>, turn: &mut Turn<'_>) {
        if self.client == Some(side.other()) {
            self.end_simple_request(turn);
        }
        let mut left = data;
        while !left.bytes.is_empty() {
            if let Some(handover) = &mut self.handover {
                handover.pieces.push(Piece::new(side, &left));
                return;
            }
            let used = match &self.reader(side).state {
                State::Over(bucket) => {
                    turn.ledger.stream_bytes.end(bucket, left.bytes.len() as u64);
                    left.bytes.len()
                }
                State::Seeking(bucket) => {
                    let bucket = *bucket;
                    self.seek(side, left, bucket, turn)
                }
                State::Boundary => self.boundary(side, left, turn),
                State::Doubt(_) => self.doubt(side, left, turn),
                State::Body(_) => self.body(side, left, turn),
            };
            left.advance(used);
        }
    }

    /// Skips bytes unless a message certainly begins here.
    fn seek(
        &mut self,
        side: Side,
        data: Data<'_>,
        bucket: &'static str,
        turn: &mut Turn<'_>,
    ) -> usize {
        let kind = self.kind_of(side, data.bytes);
        if data.fresh && is_certain_start(kind, data.bytes) {
            self.reader(side).state = State::Boundary;
            return 0;
        }
        if data.fresh
            && self.number.is_none()
            && let Front::Other(name) = look_in_the_middle(kind, data.bytes)
        {
            self.other_protocol(name, turn);
            return 0;
        }
        turn.ledger.stream_bytes.end(bucket, data.bytes.len() as u64);
        data.bytes.len()
    }

    /// Collects a head. Returns how many of the new bytes were used.
    fn boundary(&mut self, side: Side, data: Data<'_>, turn: &mut Turn<'_>) -> usize {
        let reader = &mut self.readers[side.index()];
        if reader.buffer.is_empty() {
            let is_blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let blank = data.bytes.iter().take_while(|byte| is_blank(byte)).count();
            if blank > 0 {
                turn.ledger.stream_bytes.end("blank lines", blank as u64);
                return blank;
            }
            reader.first = Some(data.mark);
        }
        let buffered = std::mem::take(&mut reader.buffer);
        let mut scan = reader.scan;
        let old = buffered.len();
        let mut joined = buffered;
        let view = if old == 0 {
            data.bytes
        } else {
            joined.extend_from_slice(data.bytes);
            &joined
        };
        let before = self.reader(side).kind.filter(|_| old > MAX_SIMPLE);
        let kind = before.unwrap_or_else(|| self.kind_of(side, view));
        let front = look(kind, view, &mut scan, self.number.is_none());
        let consumed = match front {
            Front::Unknown if !turn.pressed => {
                let buffer = if old == 0 { view.to_vec() } else { joined };
                let reader = self.reader(side);
                (reader.buffer, reader.scan, reader.kind) = (buffer, scan, Some(kind));
                return data.bytes.len();
            }
            Front::Other(name) => {
                joined.truncate(old);
                self.reader(side).buffer = joined;
                self.other_protocol(name, turn);
                return 0;
            }
            Front::Head(Progress::Whole { head, consumed }) => {
                let mark = self.reader(side).first.unwrap_or(data.mark);
                self.reader(side).clear();
                self.message(side, &head, mark, turn);
                consumed
            }
            Front::Head(Progress::NotHttp) if self.simple_answer(side, data, turn) => {
                // What was taken for the front of a head is that of the answer.
                self.body(side, Data { bytes: &view[..old], ..data }, turn);
                return 0;
            }
            front => {
                let bucket = match front {
                    Front::Head(Progress::TooLong) => "head too long",
                    Front::Unknown => "dropped by a limit",
                    _ if self.is_begun => "not http",
                    _ => "before the first message",
                };
                self.reader(side).seek(bucket);
                turn.ledger.stream_bytes.end(bucket, view.len() as u64);
                return data.bytes.len();
            }
        };
        let bucket = bucket_of(kind);
        turn.ledger.stream_bytes.end(bucket, consumed as u64);
        if consumed < old {
            // A request line stood alone; what was taken for its header lines is something else.
            let reader = self.reader(side);
            reader.first = Some(data.mark);
            reader.buffer = joined.split_off(consumed);
            reader.buffer.truncate(old - consumed);
            return 0;
        }
        consumed - old
    }

    /// The kind of message that `side` sends. Content wins over the handshake as long as there
    /// was no message.
    fn kind_of(&self, side: Side, bytes: &[u8]) -> Kind {
        let by_content = || {
            let is_response = bytes.get(..5).is_some_and(|it| it.eq_ignore_ascii_case(b"HTTP/"));
            if is_response { Kind::Response } else { Kind::Request }
        };
        match self.client {
            Some(_) if self.number.is_none() && is_certain_start(by_content(), bytes) => {
                by_content()
            }
            Some(client) if client == side => Kind::Request,
            Some(_) => Kind::Response,
            None => by_content(),
        }
    }

    /// Another protocol is spoken: what was collected of heads is read anew by its reader.
    pub(super) fn other_protocol(&mut self, name: &'static str, turn: &mut Turn<'_>) {
        turn.ledger.note(&format!("connections with {name}"), 1);
        let mut pieces = Vec::new();
        for side in [Side::First, Side::Second] {
            // Whatever was under way on the other side has no end, but it was a message.
            if matches!(self.reader(side).state, State::Body(_) | State::Doubt(_)) {
                self.end_body(side, false, turn);
                self.reader(side).first = None;
            }
            let reader = self.reader(side);
            let bytes = std::mem::take(&mut reader.buffer);
            if let Some(mark) = reader.first.filter(|_| !bytes.is_empty()) {
                pieces.push(Piece { side, mark, bytes, fresh: true });
            } else {
                turn.ledger.stream_bytes.end(name, bytes.len() as u64);
            }
            self.reader(side).stop(name);
        }
        pieces.sort_by_key(|piece| piece.mark.tick);
        let upgraded = (name == "http2").then(|| self.queue.take_upgrading()).flatten();
        self.messages_kept = self.messages_kept.saturating_sub(upgraded.as_ref().map_or(0, size));
        let Self { number, client, is_begun, link, .. } = *self;
        let (to, next_seq) = (name, self.queue.next_seq());
        let upgraded = upgraded.map(Box::new);
        self.handover = Some(Handover {
            to,
            pieces,
            number,
            client,
            is_begun,
            link,
            next_seq,
            upgraded,
            goes_on_inside: false,
        });
    }

    /// `side` is not read any more.
    pub(super) fn stop(&mut self, side: Side, bucket: &'static str, turn: &mut Turn<'_>) {
        let reader = self.reader(side);
        turn.ledger.stream_bytes.end(bucket, reader.buffer.len() as u64);
        reader.stop(bucket);
    }

    fn gap(&mut self, side: Side, bytes: u64, turn: &mut Turn<'_>) {
        self.end_doubt(side, turn);
        match &mut self.reader(side).state {
            State::Over(_) | State::Doubt(_) => {}
            State::Seeking(_) => self.reader(side).after_loss = true,
            State::Boundary => {
                self.end_head(side, Flags::GAP, turn);
                self.reader(side).seek("behind a gap");
            }
            State::Body(decoder) => {
                let covered = decoder.skip_lost(bytes);
                let complete = decoder.is_complete();
                self.miss_body(side, covered);
                if complete || covered < bytes {
                    self.end_body(side, complete, turn);
                }
                if covered < bytes {
                    self.reader(side).seek("behind a gap");
                }
            }
        }
    }

    fn end(&mut self, side: Side, end: End, turn: &mut Turn<'_>) {
        self.end_doubt(side, turn);
        if self.client == Some(side) && end == End::Fin {
            self.queue.client_ends();
        }
        match &self.reader(side).state {
            State::Boundary => self.end_head(side, Flags::default(), turn),
            State::Body(decoder) => {
                let whole = decoder.is_until_close() && end == End::Fin;
                self.end_body(side, whole, turn);
            }
            State::Seeking(_) | State::Over(_) | State::Doubt(_) => {}
        }
        self.reader(side).stop("after the end");
    }

    /// A head will never be whole: what there is of it is a message where its start line is
    /// certain.
    fn end_head(&mut self, side: Side, flags: Flags, turn: &mut Turn<'_>) {
        let buffer = std::mem::take(&mut self.reader(side).buffer);
        if buffer.is_empty() {
            return;
        }
        let kind = self.kind_of(side, &buffer);
        let Some((head, mark)) = salvage(kind, &buffer).zip(self.reader(side).first) else {
            let bucket = if self.is_begun { "not http" } else { "before the first message" };
            turn.ledger.stream_bytes.end(bucket, buffer.len() as u64);
            return;
        };
        turn.ledger.stream_bytes.end(bucket_of(kind), buffer.len() as u64);
        self.reader(side).clear();
        let is_simple = kind == Kind::Request && head.version() == Version::Http09;
        self.cut = (!is_simple).then_some(flags);
        self.message(side, &head, mark, turn);
        self.cut = None;
    }

    /// A request line without version is a whole request once the server speaks.
    fn end_simple_request(&mut self, turn: &mut Turn<'_>) {
        let Some(client) = self.client else {
            return;
        };
        let reader = self.reader(client);
        let is_simple = matches!(reader.state, State::Boundary)
            && reader.buffer.len() <= MAX_SIMPLE
            && salvage(Kind::Request, &reader.buffer)
                .is_some_and(|head| head.version() == Version::Http09);
        if is_simple {
            self.end_head(client, Flags::default(), turn);
        }
    }

    fn hand_out(&mut self, turn: &mut Turn<'_>) {
        while let Some(done) = self.queue.take_done() {
            self.messages_kept = self.messages_kept.saturating_sub(size_of_message(&done));
            let link = Link { client: self.client, ..self.link };
            turn.hand_out(Origin { connection: self.number.unwrap_or(0), link }, done);
        }
    }
}

pub(super) fn bucket_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "http request",
        Kind::Response => "http response",
    }
}

fn size_of_message(done: &Paired) -> usize {
    match done {
        Paired::Exchange(request, answer) => {
            let answer = answer.as_ref().map_or(0, |answer| answer.head.len());
            size(request) + answer
        }
        Paired::Orphan(answer) => answer.head.len(),
    }
}

fn size(request: &Request) -> usize {
    let chunks = request.chunks.as_ref().map_or(0, Vec::len);
    request.head.len() + request.body.len() + chunks + request.line.size()
}
