//! One request of HTTP/2 and its answer.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ::bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Error, Reason, RecvStream};
use http::HeaderMap;
use tokio::time::timeout;

use crate::drive::desk::InFlight;
use crate::drive::failure;
use crate::drive::follow::Heard;
use crate::drive::http2::body::{Body, NotWritten, write};
use crate::drive::http2::room::Room;
use crate::drive::reading::patience;
use crate::protocol::http2::request::request_of;
use crate::sample::{Fate, Http2Failure, Unsent};

const UNREAD: Fate = Fate::Unsent { reason: Unsent::BodyUnread };

/// A request that is to be sent.
pub(super) struct Turn {
    pub(super) request: Box<InFlight>,
    /// It was sent before, in vain.
    is_repeat: bool,
}

impl Turn {
    pub(super) fn first(request: Box<InFlight>) -> Self {
        Self { request, is_repeat: false }
    }
}

/// What came of it. Only a request that is to be sent again is not settled.
pub(super) enum Carried {
    Answered,
    Failed,
    Again(Turn),
}

/// Sends a request and settles it.
///
/// A target that refuses a stream, or goes away before it looked at it, has not touched it: it is
/// sent once more, whatever its method, as clients do. So is what is safe to repeat when a
/// connection that was used before is lost without a byte of an answer. Both are counted.
pub(super) async fn carry(
    send: SendRequest<Bytes>,
    room: Arc<Room>,
    mut turn: Turn,
    is_reused: bool,
) -> Carried {
    let run = Arc::clone(turn.request.run());
    turn.request.sample.connected = Some(run.epoch.now());
    turn.request.prepare();
    let limit = patience(&turn.request.arrival, run.limits.response_timeout);
    let exchange = exchange(send, &room, &mut turn.request);
    let fate = match timeout(limit, exchange).await {
        Ok(fate) => fate,
        Err(_) => Fate::TimedOut,
    };
    if !turn.is_repeat && may_repeat(&turn.request, &fate, is_reused) {
        // What never left is no second request.
        if turn.request.sample.sent.is_some() {
            run.gauges.sent_again();
        }
        turn.request.take_back();
        return Carried::Again(Turn { is_repeat: true, ..turn });
    }
    if matches!(fate, Fate::Unsent { .. }) {
        // A part of it is as good as nothing.
        turn.request.take_back();
    }
    let is_answered = matches!(fate, Fate::Answered { .. } | Fate::GrpcFailed);
    turn.request.finish(fate);
    if is_answered { Carried::Answered } else { Carried::Failed }
}

fn may_repeat(request: &InFlight, fate: &Fate, is_reused: bool) -> bool {
    match fate {
        Fate::Http2 { failure: Http2Failure::StreamRefused | Http2Failure::GoneAway } => true,
        Fate::Reset | Fate::ClosedEarly { .. } => {
            is_reused
                && request.sample.first_byte.is_none()
                && matches!(&*request.arrival.method, "GET" | "HEAD" | "OPTIONS")
        }
        _ => false,
    }
}

/// Sends the request and reads the response, both as fast as they go.
async fn exchange(send: SendRequest<Bytes>, room: &Room, request: &mut InFlight) -> Fate {
    let is_sealed = request.run().dialler.tls(request.arrival.bond.goal).is_some();
    let scheme = if is_sealed { "https" } else { "http" };
    let Some(message) = request_of(&request.arrival.head, scheme) else {
        return Fate::Unsent { reason: Unsent::NotInHttp2 };
    };
    let mut send = match send.ready().await {
        Ok(send) => send,
        Err(error) => return unsent(&error, room),
    };
    let mut body = Body::of(&request.arrival);
    if !body.begins().await {
        return UNREAD;
    }
    let (epoch, length) = (request.run().epoch, request.arrival.body_bytes());
    let is_empty = length == 0;
    let moment = epoch.now();
    let (response, stream) = match send.send_request(message, is_empty) {
        Ok(begun) => begun,
        Err(error) => return unsent(&error, room),
    };
    // While the answer is awaited, this must not keep the connection open.
    drop(send);
    request.first_byte_sent(moment);
    let mut sent_last = is_empty.then_some(moment);
    let mut body_bytes = 0;
    let answer = {
        let mut reading = std::pin::pin!(read(response, request, &mut body_bytes));
        let mut writing = std::pin::pin!(write(stream, body, length));
        let mut is_written = is_empty;
        loop {
            tokio::select! {
                biased;
                answer = &mut reading => break answer,
                written = &mut writing, if !is_written => {
                    is_written = true;
                    match written {
                        Ok(()) => sent_last = Some(epoch.now()),
                        Err(NotWritten::Unread) => break Ok(UNREAD),
                        // What failed while writing is what the answer will tell.
                        Err(NotWritten::Failed) => {}
                    }
                }
            }
        }
    };
    request.sample.sent_last = sent_last;
    request.sample.response_bytes = body_bytes;
    answer.unwrap_or_else(|error| fate_of(&error, room, body_bytes))
}

/// The connection took nothing: it ended, or the target said that it will.
fn unsent(error: &Error, room: &Room) -> Fate {
    match fate_of(error, room, 0) {
        fate @ Fate::Http2 { failure: Http2Failure::Malformed | Http2Failure::NotSpoken } => fate,
        // Nothing of it was sent, so that it may be.
        _ => Fate::Http2 { failure: Http2Failure::GoneAway },
    }
}

/// Reads a whole response. Its body is counted and let go.
async fn read(
    response: ResponseFuture,
    request: &mut InFlight,
    body_bytes: &mut u64,
) -> Result<Fate, Error> {
    let response = response.await?;
    request.sample.first_byte = Some(request.run().epoch.now());
    let status = response.status().as_u16();
    let (head, mut body) = response.into_parts();
    let mut is_failed = has_failed(&head.headers);
    let follow = request.run().follow.clone();
    let mut kept = follow.as_ref().map(|follow| {
        let text = text_of(&head.headers);
        follow.hear_head(&request.arrival, &text);
        Heard { head: text, ..follow.listen(&request.arrival) }
    });
    let mut witness = request.witness();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        if let Some(witness) = &mut witness {
            witness.push(&piece);
        }
        if let Some(kept) = &mut kept {
            kept.keep(&piece);
        }
        let piece = piece.len();
        *body_bytes += piece as u64;
        release(&mut body, piece)?;
    }
    request.has_seen(witness);
    if let Some((follow, kept)) = follow.zip(kept) {
        follow.hear_body(&request.arrival, &kept);
    }
    if let Some(trailers) = body.trailers().await? {
        is_failed |= has_failed(&trailers);
    }
    Ok(if is_failed { Fate::GrpcFailed } else { Fate::Answered { status } })
}

/// The headers of an answer as HTTP/1 would say them.
fn text_of(headers: &HeaderMap) -> Vec<u8> {
    let mut text = b"HTTP/2\r\n".to_vec();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text.extend_from_slice(b"\r\n");
    text
}

fn release(body: &mut RecvStream, bytes: usize) -> Result<(), Error> {
    body.flow_control().release_capacity(bytes)
}

/// A call of gRPC says what came of it behind its body, or in the head where there is none.
fn has_failed(headers: &HeaderMap) -> bool {
    headers.get("grpc-status").is_some_and(|status| status.as_bytes() != b"0")
}

/// The fate of a request whose stream or connection failed after so many bytes of a body.
pub(super) fn fate_of(error: &Error, room: &Room, after_bytes: u64) -> Fate {
    let not_spoken = Fate::Http2 { failure: Http2Failure::NotSpoken };
    let ended = room.ended();
    if ended.as_ref() == Some(&not_spoken) {
        return not_spoken;
    }
    if let Some(io) = error.get_io() {
        return match ended.unwrap_or_else(|| failure::of_exchange(io)) {
            Fate::ClosedEarly { .. } => Fate::ClosedEarly { after_bytes },
            other => other,
        };
    }
    let failure = match error.reason() {
        Some(_) if error.is_go_away() && error.is_remote() => Http2Failure::GoneAway,
        Some(Reason::REFUSED_STREAM) if error.is_remote() => Http2Failure::StreamRefused,
        Some(_) if error.is_reset() && error.is_remote() => Http2Failure::StreamReset,
        _ => Http2Failure::Malformed,
    };
    Fate::Http2 { failure }
}

/// The target has not said that it is going away.
pub(super) fn takes_more(send: &SendRequest<Bytes>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    !matches!(send.clone().poll_ready(&mut context), Poll::Ready(Err(_)))
}
