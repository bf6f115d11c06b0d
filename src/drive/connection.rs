//! One task for each recorded connection: opens it, sends its requests in order, and reads their
//! responses.

mod moves;
mod wire;
mod line;
mod train;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{Interest, Ready};
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::drive::connection::line::Line;
use crate::drive::connection::moves::{
    Outgoing, READ_BUFFER, Read, asks_to_upgrade, at_end, cut_off, read_piece,
};
use crate::drive::connection::train::Train;
use crate::drive::connection::wire::open;
use crate::drive::desk::{Desk, InFlight, Run};
use crate::drive::failure;
use crate::drive::response::{Answer, ResponseReader};
use crate::drive::tls::Stream;
use crate::sample::{Fate, Unsent};

pub(crate) use crate::drive::connection::wire::Wire;

thread_local! {
    /// One for all connections of a thread, so that idle ones hold none, and that it is not filled
    /// with zeros for each answer.
    static BUFFER: RefCell<[u8; READ_BUFFER]> = const { RefCell::new([0; READ_BUFFER]) };
}

/// An answer that ended less than this ago tells that its connection is open: 50 µs. Whatever comes
/// in so short a time may as well come a moment later.
const FRESH: Duration = Duration::from_micros(50);

const INTERRUPTED: Fate = Fate::Unsent { reason: Unsent::Interrupted };

/// How long a body waits for the `100 Continue` that its head asked for, as with curl. Servers that
/// know nothing of it wait for the body.
const PATIENCE_FOR_LEAVE: Duration = Duration::from_secs(1);

/// Serves a connection until its queue is closed and empty, then closes it. The next request waits
/// for the previous response unless it was pipelined, and opens the connection again when the
/// target has closed it.
pub(crate) async fn serve(
    desk: Arc<Desk>,
    queue: UnboundedReceiver<Box<InFlight>>,
    _alive: Sender<Infallible>,
) {
    let mut line = Line::new(queue);
    let mut idle: Option<Wire> = None;
    while let Some(request) = line.next(&mut idle, &desk.run).await {
        idle = carry_out(request, idle, &desk.run, Some(&mut line)).await.wire;
    }
}

/// What is left when a request was carried out.
pub(crate) struct CarriedOut {
    /// The connection, if it may be used again.
    pub(crate) wire: Option<Wire>,
    /// A whole answer came back.
    pub(crate) answered: bool,
}

/// Nothing came of it, and the connection is of no more use.
const FAILED: CarriedOut = CarriedOut { wire: None, answered: false };

/// Sends one request and settles it, and with it those that `line` has for the same time.
///
/// A target that closes an idle connection may do so just as a request is on its way. Browsers
/// and clients then repeat a request that is safe to repeat, and so do we, once: otherwise the
/// run would report errors that no user sees. It is counted.
pub(crate) async fn carry_out(
    mut request: Box<InFlight>,
    idle: Option<Wire>,
    run: &Arc<Run>,
    mut line: Option<&mut Line>,
) -> CarriedOut {
    let mut idle = idle.and_then(|wire| wire.if_quiet(run));
    loop {
        let reused = idle.is_some();
        let mut wire = match idle.take() {
            Some(wire) => wire,
            None => match open(&mut request, run).await {
                Ok(wire) => wire,
                Err(fate) => {
                    request.finish(fate);
                    return FAILED;
                }
            },
        };
        if run.stop.is_requested() {
            request.finish(INTERRUPTED);
            return FAILED;
        }
        request.sample.connected = Some(run.epoch.now());
        let mut reader = ResponseReader::new(&request.arrival.method);
        let exchange = exchange(&mut wire.stream, &mut request, &mut reader, line.as_deref_mut());
        let answer = match timeout(run.limits.response_timeout, exchange).await {
            Ok(Ok(Step::Joined(next))) => {
                let first = Train::behind(request, (wire, reader), reused, next);
                // In a place of its own, since hardly any connection needs one.
                let wire = match line {
                    Some(line) => Box::pin(first.carry_out(line)).await,
                    None => None,
                };
                return CarriedOut { wire, answered: true };
            }
            Ok(Ok(Step::Answered(answer))) if is_unasked_switch(&answer, &request) => {
                Err(Fate::Malformed)
            }
            Ok(Ok(Step::Answered(answer))) => Ok(answer),
            Ok(Err(fate)) => Err(fate),
            Err(_) => Err(cut_off(&reader, Fate::TimedOut)),
        };
        request.sample.response_bytes = reader.body_bytes();
        match answer {
            Ok(answer) => {
                let now = run.epoch.now();
                wire.answered = now;
                request.finish_at(Fate::Answered { status: answer.status }, now);
                return CarriedOut { wire: answer.reusable.then_some(wire), answered: true };
            }
            Err(fate) if reused && reader.seen() == 0 && may_repeat(&request, &fate) => {
                request.take_back();
                run.gauges.sent_again();
            }
            Err(fate) => {
                request.finish(fate);
                return FAILED;
            }
        }
    }
}

/// The connection was lost without an answer, and the method is safe (RFC 9110, 9.2.1).
fn may_repeat(request: &InFlight, fate: &Fate) -> bool {
    matches!(fate, Fate::Reset | Fate::ClosedEarly { .. })
        && matches!(&*request.arrival.method, "GET" | "HEAD" | "OPTIONS")
}

/// The target switches to a protocol that was not asked for.
fn is_unasked_switch(answer: &Answer, request: &InFlight) -> bool {
    answer.status == 101 && !asks_to_upgrade(&request.arrival.head)
}

/// What an exchange comes to.
enum Step {
    Answered(Answer),
    /// The next request does not wait for the answer.
    Joined(Box<InFlight>),
}

/// Writes the request and reads the response. A body that was recorded as waiting for leave waits
/// for it.
async fn exchange(
    stream: &mut Stream,
    request: &mut InFlight,
    reader: &mut ResponseReader,
    line: Option<&mut Line>,
) -> Result<Step, Fate> {
    let mut outgoing = Outgoing::new(request);
    if outgoing.waits_for_leave() {
        let held = converse(stream, request, reader, &mut outgoing, None);
        // In a place of its own, since hardly any request waits.
        if let Ok(step) = timeout(PATIENCE_FOR_LEAVE, Box::pin(held)).await {
            return step;
        }
        if outgoing.waits_for_leave() {
            outgoing.give_leave();
            request.run().oddities.note_no_leave();
        }
    }
    converse(stream, request, reader, &mut outgoing, line).await
}

/// Writes and reads, both as fast as they go: a target may answer before it has read everything.
/// Whoever stops waiting for it can go on with it.
async fn converse(
    stream: &mut Stream,
    request: &mut InFlight,
    reader: &mut ResponseReader,
    outgoing: &mut Outgoing,
    mut line: Option<&mut Line>,
) -> Result<Step, Fate> {
    loop {
        let is_open = outgoing.is_open(stream);
        let interest =
            if is_open { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let may_join = line.as_deref_mut().filter(|_| outgoing.is_whole);
        let ready = match ready_or_joined(stream, interest, may_join).await? {
            Event::Ready(ready) => ready,
            Event::Joined(next) => return Ok(Step::Joined(next)),
        };
        let mut moved = 0;
        if is_open && (ready.is_writable() || ready.is_write_closed()) {
            moved += outgoing.write_piece(stream, request);
        }
        if ready.is_readable() || ready.is_read_closed() {
            match read_piece(stream, request, reader) {
                Read::Nothing => {}
                Read::More(count) => moved += count,
                // An answer to half a request leaves the other half in the way of the next.
                Read::Whole(answer) => {
                    let reusable = answer.reusable && outgoing.is_whole;
                    return Ok(Step::Answered(Answer { reusable, ..answer }));
                }
                Read::Malformed => return Err(Fate::Malformed),
                Read::Rejected { banner } => return Err(Fate::Rejected { banner }),
                Read::Broken(error) => {
                    return Err(cut_off(reader, failure::of_exchange(&error)));
                }
                Read::End => {
                    return at_end(reader, outgoing.error.as_ref()).map(Step::Answered);
                }
                Read::Torn => {
                    // Only its announcement tells the end of such an answer from a cut.
                    let ended = at_end(reader, outgoing.error.as_ref());
                    return ended.and(Err(Fate::Truncated));
                }
            }
            if reader.has_interim() {
                outgoing.give_leave();
            }
        }
        if moved >= READ_BUFFER {
            yield_now().await;
        }
    }
}

enum Event {
    Ready(Ready),
    Joined(Box<InFlight>),
}

/// Waits for the socket, and for a request that does not wait for this one's answer.
async fn ready_or_joined(
    stream: &Stream,
    interest: Interest,
    line: Option<&mut Line>,
) -> Result<Event, Fate> {
    let ready = match line {
        None => stream.ready(interest).await,
        Some(line) => tokio::select! {
            biased;
            ready = stream.ready(interest) => ready,
            next = line.joins() => return Ok(Event::Joined(next)),
        },
    };
    ready.map(Event::Ready).map_err(|error| failure::of_exchange(&error))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{channel, unbounded_channel};

    use super::*;
    use crate::drive::desk::tests::run_against;
    use crate::drive::http2;

    /// Thousands of them wait at once: what they need only now and then has a place of its own.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let desk = Arc::new(Desk::new(Arc::new(run_against(nowhere, 1))));
        let (_requests, queue) = unbounded_channel();
        let (_more, other) = unbounded_channel();
        let (alive, _ended) = channel(1);
        let http1 = serve(Arc::clone(&desk), queue, alive.clone());
        assert!(size_of_val(&http1) <= 768, "{}", size_of_val(&http1));
        let http2 = http2::serve(desk, other, alive);
        assert!(size_of_val(&http2) <= 1024, "{}", size_of_val(&http2));
    }
}
