//! The payload of a record as a message.

use ::bytes::Bytes;

use crate::protocol::http1::body::{BodyDecoder, Framing};
use crate::protocol::http1::framing::{Delimited, begins_with_size, of_request, of_response};
use crate::protocol::http1::head::{Head, MAX_HEAD, Progress, Scan, read, salvage};
use crate::protocol::http1::start::{Kind, Start};
use crate::recording::Flags;

#[derive(Debug)]
pub(super) struct Message {
    /// Exactly as it was.
    pub(super) head: Bytes,
    /// De-chunked; empty for a response, of which the length is enough.
    pub(super) body: Vec<u8>,
    /// Length of the body, as far as it is here.
    pub(super) here: u64,
    /// Length of the body on the wire, where that is known to be more.
    pub(super) declared: Option<u64>,
    pub(super) is_whole: bool,
    pub(super) flags: Flags,
    /// Of a response.
    pub(super) status: u16,
    /// Bytes behind the body.
    pub(super) behind: u64,
}

/// Reads a payload; `None` when it is no HTTP/1. Interim responses in front are left out.
pub(super) fn message(kind: Kind, mut payload: &[u8]) -> Option<Message> {
    loop {
        let (head, consumed, head_is_whole) = match read(kind, payload, &mut Scan::default()) {
            Progress::Whole { head, consumed } => (head, consumed, true),
            Progress::Partial if payload.len() <= MAX_HEAD => {
                (salvage(kind, payload)?, payload.len(), false)
            }
            _ => return None,
        };
        let status = match head.start {
            Start::Response { status, .. } => status,
            Start::Request { .. } => 0,
        };
        let rest = &payload[consumed..];
        let is_interim = matches!(status, 100 | 102..=199);
        if is_interim && rest.starts_with(b"HTTP/") {
            payload = rest;
            continue;
        }
        return Some(of_parts(kind, &head, status, rest, head_is_whole));
    }
}

fn of_parts(kind: Kind, head: &Head<'_>, status: u16, rest: &[u8], head_is_whole: bool) -> Message {
    let Delimited { framing, otherwise, ambiguous } = match kind {
        Kind::Request => of_request(head),
        Kind::Response => of_response(head, None),
    };
    let framing = otherwise.filter(|_| begins_with_size(rest) != Some(true)).unwrap_or(framing);
    let mut flags = Flags::default();
    let odd = [
        (ambiguous, Flags::AMBIGUOUS_FRAMING),
        (head.malformed || !head_is_whole, Flags::MALFORMED),
        (framing == Framing::Chunked && kind == Kind::Request, Flags::CHUNKED),
    ];
    for (_, flag) in odd.iter().filter(|(is_so, _)| *is_so) {
        flags.insert(*flag);
    }
    let keep = kind == Kind::Request;
    let body = body_of(framing, rest, keep);
    let declared = match framing {
        Framing::Length(length) => Some(length),
        _ => None,
    };
    Message {
        head: Bytes::copy_from_slice(head.bytes),
        here: body.here,
        declared,
        is_whole: body.is_whole && head_is_whole,
        flags,
        status,
        behind: (rest.len() - body.consumed) as u64,
        body: body.kept,
    }
}

struct Body {
    kept: Vec<u8>,
    here: u64,
    is_whole: bool,
    consumed: usize,
}

fn body_of(framing: Framing, rest: &[u8], keep: bool) -> Body {
    let mut decoder = BodyDecoder::new(framing);
    let mut body = Body { kept: Vec::new(), here: 0, is_whole: true, consumed: 0 };
    while !decoder.is_complete() && body.consumed < rest.len() {
        let input = &rest[body.consumed..];
        let Ok(step) = decoder.decode(input) else {
            body.is_whole = false;
            return body;
        };
        let (from, to) = step.data;
        body.here += (to - from) as u64;
        if keep {
            body.kept.extend_from_slice(&input[from..to]);
        }
        if step.consumed == 0 {
            break;
        }
        body.consumed += step.consumed;
    }
    // The record is all there was until the connection closed.
    body.is_whole = decoder.is_complete() || decoder.is_until_close();
    body
}
