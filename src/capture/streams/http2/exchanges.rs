//! Requests and responses of the streams that are open, paired by the number of their stream.

use std::collections::{BTreeMap, VecDeque};

use ::bytes::Bytes;

use crate::capture::pairing::{Answer, Paired, Request};
use crate::capture::streams::bodies::keep_body;
use crate::capture::streams::http2::fields::{Fields, with_line};
use crate::capture::streams::http2::half::HeaderBlock;
use crate::capture::streams::talk::Handover;
use crate::capture::streams::{Origin, Turn};
use crate::capture::tcp::{Link, Side};
use crate::protocol::Protocol;
use crate::protocol::http1::start::Kind;
use crate::recording::Flags;
use crate::recording::contents::Contents;

/// Most streams of one connection that are open at once. Servers allow 100 to 250; beyond it the
/// oldest leaves as it is.
pub(super) const MAX_STREAMS: usize = 1024;

/// Most streams of one connection that their clients have reset while a response may be on its
/// way. It is there within a round trip, or never; beyond it the oldest leaves as it is.
const MAX_GIVEN_UP: usize = 64;

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Exchanges {
    link: Link,
    /// Who sends requests: by content, before that by handshake.
    client: Option<Side>,
    is_begun: bool,
    /// The connection's number, once it had a message.
    number: Option<u64>,
    next_seq: u32,
    open: BTreeMap<u32, Stream>,
    /// Streams that were reset by the client, in that order; some may be gone.
    given_up: VecDeque<u32>,
    /// Bytes held.
    pub(super) kept: usize,
}

#[derive(Debug, Default)]
struct Stream {
    request: Option<(Request, Body)>,
    answer: Option<(Answer, Body)>,
    /// The client has reset it.
    is_given_up: bool,
}

/// What is known of the end of a body.
#[derive(Clone, Copy, Debug, Default)]
struct Body {
    /// What `content-length` says.
    declared: Option<u64>,
    /// Its last frame was seen.
    is_ended: bool,
    /// Frames of it may be lost.
    is_uncertain: bool,
}

impl Body {
    fn is_whole(self, bytes: u64) -> bool {
        self.declared == Some(bytes) || self.is_ended && !self.is_uncertain
    }
}

impl Exchanges {
    /// The request by which HTTP/1 was left is the first stream.
    pub(super) fn new(handover: &mut Handover) -> Self {
        let Handover { link, client, is_begun, number, next_seq, .. } = *handover;
        let (open, given_up) = (BTreeMap::new(), VecDeque::new());
        let mut exchanges =
            Self { link, client, is_begun, number, next_seq, open, given_up, kept: 0 };
        if let Some(mut request) = handover.upgraded.take() {
            request.protocol = Protocol::Http2;
            request.stream = Some(1);
            request.flags.insert(Flags::UPGRADED);
            exchanges.kept += request.head.len() + request.body.len();
            let body = Body { is_ended: true, ..Body::default() };
            let stream = Stream { request: Some((*request, body)), ..Stream::default() };
            exchanges.open.insert(1, stream);
        }
        exchanges
    }

    /// Who sends requests, as something tells for certain.
    pub(super) fn client_is(&mut self, side: Side) {
        if self.number.is_none() {
            self.client = Some(side);
        }
    }

    /// The bucket of what belongs to messages of a side.
    pub(super) fn bucket(&self, side: Side) -> &'static str {
        match self.client {
            Some(client) if client == side => "http request",
            Some(_) => "http response",
            None => "http2 of an unknown side",
        }
    }

    /// A header list came whole, or as whole as it will ever be.
    pub(super) fn headers(
        &mut self,
        side: Side,
        block: &HeaderBlock,
        fields: Fields,
        turn: &mut Turn<'_>,
    ) {
        let by_content = match fields.role() {
            Some(Kind::Request) => Some(side),
            Some(Kind::Response) => Some(side.other()),
            None => None,
        };
        if let Some(client) = by_content {
            self.client_is(client);
        }
        if by_content.is_some() && by_content != self.client {
            turn.ledger.note("http2 headers on the wrong side", 1);
        } else if self.client.is_none() {
            turn.ledger.note("http2 headers of an unknown side", 1);
        } else if block.stream.is_multiple_of(2) {
            turn.ledger.note("http2 pushed responses", 1);
        } else if self.client == Some(side) {
            self.request(block, fields, turn);
        } else {
            self.response(block, &fields, turn);
        }
        if block.ends {
            self.ends(side, block.stream, turn);
        }
    }

    fn request(&mut self, block: &HeaderBlock, fields: Fields, turn: &mut Turn<'_>) {
        let open = self.open.get(&block.stream).and_then(|stream| stream.request.as_ref());
        if let Some((_, body)) = open {
            if !body.is_ended && fields.role().is_none() {
                turn.ledger.note("http2 trailers", 1);
                return;
            }
            turn.ledger.note("http2 streams begun twice", 1);
            self.hand_out(block.stream, turn);
        }
        let mut flags = Flags::SYNTHESISED;
        let body = Body { declared: fields.length, ..Body::default() };
        let missing = fields.missing;
        let (line, head) = fields.into_request();
        turn.ledger.note("http2 requests with unknown fields", u64::from(missing > 0));
        let odd = [
            (missing > 0, Flags::GAP),
            (head.is_empty(), Flags::MALFORMED),
            (!self.is_begun, Flags::MID_STREAM),
        ];
        for (_, flag) in odd.into_iter().filter(|(is_set, _)| *is_set) {
            flags.insert(flag);
        }
        let request = Request {
            mark: block.mark,
            method: Bytes::copy_from_slice(line.method.as_bytes()),
            head,
            body: Vec::new(),
            stored: None,
            chunks: None,
            body_bytes: 0,
            seq: self.next_seq,
            is_simple: false,
            protocol: Protocol::Http2,
            stream: Some(block.stream),
            line: Box::new(line),
            flags,
        };
        self.next_seq = self.next_seq.wrapping_add(1);
        self.kept += request.head.len();
        self.stream(block.stream, turn).request = Some((request, body));
    }

    fn response(&mut self, block: &HeaderBlock, fields: &Fields, turn: &mut Turn<'_>) {
        if matches!(fields.status, Some(100..=199)) {
            turn.ledger.note("interim responses", 1);
            return;
        }
        let open = self.open.get_mut(&block.stream).and_then(|stream| stream.answer.as_mut());
        // A response has a status in front: without one, or behind one, these are trailers.
        if open.is_some() || fields.status.is_none() && !fields.is_role_hidden {
            turn.ledger.note("http2 trailers", 1);
            if let Some((answer, _)) = open {
                answer.last_ns = block.mark.at_ns;
                self.kept += grpc_ends(answer, fields, true, turn);
            }
            return;
        }
        let mut flags = Flags::SYNTHESISED;
        if fields.missing > 0 {
            turn.ledger.note("http2 responses with unknown fields", 1);
            flags.insert(Flags::GAP);
        }
        let mut answer = Answer {
            mark: block.mark,
            status: fields.status.unwrap_or(0),
            head: fields.response_head(),
            body_bytes: 0,
            witness: turn.contents.then(Box::default),
            contents: Contents::default(),
            whole: false,
            last_ns: block.mark.at_ns,
            flags,
        };
        grpc_ends(&mut answer, fields, false, turn);
        self.kept += answer.head.len();
        let body = Body { declared: fields.length, ..Body::default() };
        self.stream(block.stream, turn).answer = Some((answer, body));
    }

    /// Body bytes and when they were captured. Returns whether they belong to a message.
    pub(super) fn body(
        &mut self,
        side: Side,
        stream: u32,
        (bytes, at_ns): (&[u8], i64),
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_client = self.client == Some(side);
        let Some(stream) = self.open.get_mut(&stream) else {
            return false;
        };
        match (&mut stream.request, &mut stream.answer) {
            (Some((request, body)), _) if is_client && !body.is_ended => {
                keep_body(request, bytes, &mut self.kept, turn);
                true
            }
            (_, Some((answer, body))) if !is_client && !body.is_ended => {
                answer.body(bytes, &mut self.kept, (turn.pressed, &mut *turn.ledger));
                answer.last_ns = at_ns;
                true
            }
            _ => false,
        }
    }

    /// `bytes` of a body are missing from the capture.
    pub(super) fn miss_body(&mut self, side: Side, stream: u32, bytes: u64) {
        let is_client = self.client == Some(side);
        let Some(stream) = self.open.get_mut(&stream).filter(|_| bytes > 0) else {
            return;
        };
        if let Some((request, _)) = stream.request.as_mut().filter(|_| is_client) {
            request.body_bytes += bytes;
            request.flags.insert(Flags::GAP);
            request.flags.insert(Flags::REQUEST_TRUNCATED);
        }
        if let Some((answer, _)) = stream.answer.as_mut().filter(|_| !is_client) {
            answer.body_gap(bytes, &mut self.kept);
        }
    }

    /// Frames of a side are lost: of every message that has not ended they may have had a part.
    pub(super) fn lost_track(&mut self, side: Side) {
        let is_client = self.client == Some(side);
        for stream in self.open.values_mut() {
            let (flags, body) = match (&mut stream.request, &mut stream.answer) {
                (Some((request, body)), _) if is_client => (&mut request.flags, body),
                (_, Some((answer, body))) if !is_client => (&mut answer.flags, body),
                _ => continue,
            };
            if !body.is_ended {
                flags.insert(Flags::GAP);
                body.is_uncertain = true;
            }
        }
    }

    /// The message of a side is over.
    pub(super) fn ends(&mut self, side: Side, number: u32, turn: &mut Turn<'_>) {
        let is_client = self.client == Some(side);
        let Some(stream) = self.open.get_mut(&number) else {
            return;
        };
        let request = stream.request.as_mut().map(|(_, body)| body);
        let answer = stream.answer.as_mut().map(|(_, body)| body);
        let (own, other) = if is_client { (request, answer) } else { (answer, request) };
        if let Some(own) = own {
            own.is_ended = true;
            if stream.is_given_up || other.is_some_and(|other| other.is_ended) {
                self.hand_out(number, turn);
            }
        }
    }

    /// A stream ends before its time. What a server had sent before it learns of it still comes.
    pub(super) fn reset(&mut self, side: Side, number: u32, turn: &mut Turn<'_>) {
        let Some(stream) = self.open.get_mut(&number) else {
            return;
        };
        let was_given_up = std::mem::replace(&mut stream.is_given_up, true);
        turn.ledger.note("http2 streams reset", u64::from(!was_given_up));
        let is_answered = stream.answer.as_ref().is_some_and(|(_, body)| body.is_ended);
        if self.client != Some(side) || is_answered {
            self.hand_out(number, turn);
            return;
        }
        if was_given_up {
            return;
        }
        self.given_up.push_back(number);
        if self.given_up.len() > MAX_GIVEN_UP
            && let Some(oldest) = self.given_up.pop_front()
            && self.open.get(&oldest).is_some_and(|stream| stream.is_given_up)
        {
            self.hand_out(oldest, turn);
        }
    }

    /// Nothing more is waited for.
    pub(super) fn hand_out_all(&mut self, turn: &mut Turn<'_>) {
        while let Some((number, _)) = self.open.first_key_value() {
            self.hand_out(*number, turn);
        }
    }

    /// The stream of a message that begins.
    fn stream(&mut self, number: u32, turn: &mut Turn<'_>) -> &mut Stream {
        self.number.get_or_insert_with(|| turn.next_number());
        if !self.open.contains_key(&number) {
            turn.ledger.messages.enter(1);
            if self.open.len() >= MAX_STREAMS
                && let Some((oldest, _)) = self.open.first_key_value()
            {
                turn.ledger.note("http2 streams ended by the limit", 1);
                self.hand_out(*oldest, turn);
            }
        }
        self.open.entry(number).or_default()
    }

    fn hand_out(&mut self, number: u32, turn: &mut Turn<'_>) {
        let Some(stream) = self.open.remove(&number) else {
            return;
        };
        let answer = stream.answer.map(|(mut answer, body)| {
            self.kept = self.kept.saturating_sub(answer.head.len());
            answer.whole = body.is_whole(answer.body_bytes);
            answer.body_ends(&mut self.kept);
            if !answer.whole {
                answer.flags.insert(Flags::RESPONSE_TRUNCATED);
            }
            answer
        });
        let request = stream.request.map(|(mut request, body)| {
            self.kept = self.kept.saturating_sub(request.head.len() + request.body.len());
            if !body.is_whole(request.body_bytes) {
                request.flags.insert(Flags::REQUEST_TRUNCATED);
            }
            if body.declared.is_none() && request.body_bytes > 0 {
                // Frames delimit a body here; a head of HTTP/1 has to say its length.
                let length = request.body_bytes.to_string();
                request.head = with_line(&request.head, "Content-Length", &length);
            }
            request
        });
        let done = match (request, answer) {
            (Some(request), answer) => Paired::Exchange(request, answer),
            (None, Some(answer)) => Paired::Orphan(answer),
            (None, None) => return,
        };
        let link = Link { client: self.client, ..self.link };
        turn.hand_out(Origin { connection: self.number.unwrap_or(0), link }, done);
    }
}

/// What came of a call of gRPC stands in trailers, or in the head where there is no body: a
/// recording has it in the head in either case. Returns by how much the head has grown.
fn grpc_ends(answer: &mut Answer, fields: &Fields, is_trailer: bool, turn: &mut Turn<'_>) -> usize {
    let Some(status) = &fields.grpc_status else {
        return 0;
    };
    if status != "0" {
        turn.ledger.note("grpc calls that failed", 1);
        answer.flags.insert(Flags::ERROR_REPLY);
    }
    let before = answer.head.len();
    if is_trailer {
        answer.head = with_line(&answer.head, "grpc-status", status);
    }
    answer.head.len() - before
}
