//! What was read of a request and its answer, as an exchange.

use std::time::Duration;

use ::bytes::Bytes;

use crate::bytes::fnv1a;
use crate::capture::import::tally::between;
use crate::capture::pairing::{Answer, Request};
use crate::capture::streams::MAX_BODY;
use crate::recording::route::route_for;
use crate::recording::stored::Stored;
use crate::recording::{Exchange, Flags, Response};

pub(super) fn exchange(
    at: Duration,
    connection: u64,
    request: Request,
    answer: Option<Answer>,
) -> Exchange {
    let line = *request.line;
    let mut flags = request.flags;
    let (body, request_stored) = body(request.body, request.stored, flags);
    if let Some(answer) = &answer {
        flags.insert(answer.flags);
    }
    if !answer.as_ref().is_some_and(|answer| answer.whole) {
        flags.remove(Flags::HALF_CLOSED);
    }
    if line.is_escaped {
        flags.insert(Flags::ESCAPED);
    }
    let sent_ns = request.mark.at_ns;
    Exchange {
        at,
        connection,
        session: line.cookies.unwrap_or_else(|| {
            fnv1a(b"connection ".iter().chain(&connection.to_le_bytes()).copied())
        }),
        seq: request.seq,
        stream: request.stream,
        protocol: request.protocol,
        method: line.method,
        scheme: line.scheme,
        authority: line.authority,
        route: route_for(request.protocol, &line.target),
        target: line.target,
        request_head: request.head,
        // Without the room it grew into: many of them are held until they are sorted.
        request_body: Bytes::from(body.into_boxed_slice()),
        request_stored,
        request_body_bytes: request.body_bytes,
        request_chunks: request.chunks.map(|chunks| Bytes::from(chunks.into_boxed_slice())),
        response: answer.map(|answer| Response {
            status: answer.status,
            head: answer.head,
            body_bytes: answer.whole.then_some(answer.body_bytes),
            digest: answer.contents.digest,
            shape: answer.contents.shape,
            first_byte: Some(between(sent_ns, answer.mark.at_ns)),
            last_byte: answer.whole.then(|| between(sent_ns, answer.last_ns)),
        }),
        flags,
    }
}

/// Of a body that is not whole the front is kept, as much as of one in memory.
fn body(held: Vec<u8>, stored: Option<Stored>, flags: Flags) -> (Vec<u8>, Option<Stored>) {
    match stored {
        Some(stored) if flags.contains(Flags::REQUEST_TRUNCATED) => {
            // Its length is known in any case, and that it was cut.
            (stored.front(MAX_BODY).unwrap_or_default(), None)
        }
        // Only what is large stands apart; in need of memory, small ones were put there, too.
        Some(stored) if stored.length() <= MAX_BODY as u64 => match stored.front(MAX_BODY) {
            Ok(body) => (body, None),
            Err(_) => (held, Some(stored)),
        },
        stored => (held, stored),
    }
}
