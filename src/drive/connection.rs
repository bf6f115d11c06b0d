//! One task for each recorded connection: opens it, sends its requests in order, and reads their
//! responses.

mod moves;
mod wire;
mod line;
mod train;

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::task::yield_now;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::drive::connection::line::Line;
use crate::drive::connection::moves::{Outgoing, READ_BUFFER, Read, at_end, cut_off, read_piece};
use crate::drive::connection::train::Train;
use crate::drive::connection::wire::open;
use crate::drive::desk::{Desk, InFlight, Run};
use crate::drive::failure;
use crate::drive::reading::patience;
use crate::drive::response::{Answer, ResponseReader};
use crate::drive::tls::{Readiness, Stream};
use crate::protocol::http1::start::asks_to_upgrade;
use crate::sample::{Fate, Unsent};

pub(crate) use crate::drive::connection::wire::Wire;

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
    alive: Sender<Infallible>,
) {
    let mut line = Line::new(queue);
    let mut kept = After::Gone;
    while let Some(request) = line.next(&mut kept, &desk.run).await {
        carry_out(request, &mut kept, &desk.run, Some(&mut line)).await;
    }
    // The run does not wait for it.
    drop(alive);
    if let After::Usable(wire) | After::Switched(wire) = kept {
        wire.hold(line.closes(), &desk.run).await;
    }
}

/// What became of the connection.
pub(crate) enum After {
    /// Another request may follow.
    Usable(Wire),
    /// Another protocol is spoken on it now.
    Switched(Wire),
    Gone,
}

impl After {
    /// Takes the connection, if another request may follow: it is still open and silent.
    fn take(&mut self, run: &Run) -> Option<Wire> {
        match std::mem::replace(self, Self::Gone) {
            Self::Usable(wire) => wire.if_quiet(run),
            Self::Switched(_) | Self::Gone => None,
        }
    }
}

/// Sends one request and settles it, and with it those that `line` has for the same time. Says
/// whether a whole answer came back; `kept` is the connection before and after.
///
/// A target that closes an idle connection may do so just as a request is on its way. Browsers
/// and clients then repeat a request that is safe to repeat, and so do we, once: otherwise the
/// run would report errors that no user sees. It is counted.
pub(crate) async fn carry_out(
    mut request: Box<InFlight>,
    kept: &mut After,
    run: &Arc<Run>,
    mut line: Option<&mut Line>,
) -> bool {
    loop {
        let idle = kept.take(run);
        let reused = idle.is_some();
        let wire = match idle {
            Some(wire) => wire,
            // In a place of its own, so that idle connections need no room for it.
            None => match Box::pin(open(&mut request, run)).await {
                Ok(wire) => wire,
                Err(fate) => {
                    request.finish(fate);
                    return false;
                }
            },
        };
        if run.stop.is_requested() {
            request.finish(INTERRUPTED);
            return false;
        }
        let mut exchange = Exchange::new(wire, request);
        let step = if exchange.outgoing.waits_for_leave() {
            // In a place of its own, since hardly any request waits.
            Box::pin(exchange.converse_with_leave()).await
        } else {
            let limit = patience(&exchange.request.arrival, run.limits.response_timeout);
            timeout(limit, exchange.converse(line.as_deref_mut())).await
        };
        let answer = match step {
            Ok(Ok(Step::Joined(next))) => {
                let Some(line) = line else { return false };
                *kept = Train::behind(exchange, reused, next).carried_out(line).await;
                return true;
            }
            Ok(Ok(Step::Answered(answer))) if is_unasked_switch(answer, &exchange.request) => {
                Err(Fate::Malformed)
            }
            Ok(Ok(Step::Answered(answer))) => Ok(answer),
            Ok(Err(fate)) => Err(fate),
            Err(_) => Err(cut_off(&exchange.reader, Fate::TimedOut)),
        };
        let Exchange { mut wire, mut reader, .. } = exchange;
        request = exchange.request;
        request.sample.response_bytes = reader.body_bytes();
        // What is looked for in the answer takes time, which is not the target's.
        let now = run.epoch.now();
        reader.tell_body(&mut request);
        match answer {
            Ok(answer) => {
                let half_closed = request.arrival.recorded.half_closes;
                wire.answered = now;
                request.finish_at(Fate::Answered { status: answer.status }, now);
                match answer.status {
                    101 => *kept = After::Switched(wire),
                    _ if answer.reusable && !half_closed => *kept = After::Usable(wire),
                    _ => {}
                }
                return true;
            }
            Err(fate) if reused && reader.seen() == 0 && may_repeat(&request, &fate) => {
                request.take_back();
                run.gauges.sent_again();
            }
            Err(fate) => {
                if matches!(fate, Fate::Unsent { .. }) {
                    // A part of it is as good as nothing.
                    request.take_back();
                }
                request.finish(fate);
                return false;
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
fn is_unasked_switch(answer: Answer, request: &InFlight) -> bool {
    answer.status == 101 && !asks_to_upgrade(&request.arrival.head)
}

/// What an exchange comes to.
enum Step {
    Answered(Answer),
    /// The next request does not wait for the answer.
    Joined(Box<InFlight>),
}

/// A request on its way, and what came of its answer.
struct Exchange {
    wire: Wire,
    request: Box<InFlight>,
    reader: ResponseReader,
    outgoing: Outgoing,
}

impl Exchange {
    fn new(wire: Wire, mut request: Box<InFlight>) -> Self {
        request.sample.connected = Some(request.run().epoch.now());
        request.prepare();
        let mut reader = ResponseReader::new(&request.arrival.method);
        reader.listen(&mut request);
        let outgoing = Outgoing::new(&request);
        Self { wire, request, reader, outgoing }
    }

    /// Sends the head of a request whose body waits for leave, waits for that, and goes on. Both
    /// waits have a limit.
    async fn converse_with_leave(&mut self) -> Result<Result<Step, Fate>, Elapsed> {
        let limit = self.request.run().limits.response_timeout;
        let limit = patience(&self.request.arrival, limit);
        if let Ok(step) = timeout(PATIENCE_FOR_LEAVE.min(limit), self.converse(None)).await {
            return Ok(step);
        }
        if self.outgoing.waits_for_leave() {
            self.outgoing.give_leave();
            self.request.run().oddities.note_no_leave();
        }
        timeout(limit, self.converse(None)).await
    }

    /// Writes and reads, both as fast as they go: a target may answer before it has read
    /// everything. Whoever stops waiting for it can go on with it.
    async fn converse(&mut self, mut line: Option<&mut Line>) -> Result<Step, Fate> {
        let Self { wire: Wire { stream, .. }, request, reader, outgoing } = self;
        loop {
            let is_open = outgoing.is_open(stream);
            if outgoing.is_whole
                && let Some(next) = line.as_deref_mut().and_then(Line::joining)
            {
                return Ok(Step::Joined(next));
            }
            if outgoing.is_unread() {
                return Err(Fate::Unsent { reason: Unsent::BodyUnread });
            }
            let mut may_join = line.as_deref_mut().filter(|_| outgoing.is_whole);
            let event = poll_fn(|context| match outgoing.poll_ahead(context) {
                Poll::Ready(()) => Poll::Ready(Event::ReadAhead),
                Poll::Pending => poll_event(stream, is_open, &mut may_join, context),
            });
            let ready = match event.await {
                Event::Ready(ready) => ready,
                Event::ReadAhead => continue,
                Event::Joined(next) => return Ok(Step::Joined(next)),
            };
            let mut moved = 0;
            if ready.can_write {
                moved += outgoing.write_piece(stream, request);
            }
            if ready.can_read {
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
                if reader.gives_leave() {
                    outgoing.give_leave();
                }
            }
            if moved >= READ_BUFFER {
                yield_now().await;
            }
        }
    }
}

/// What happens next on a connection in use.
enum Event {
    Ready(Readiness),
    /// More of the body is at hand.
    ReadAhead,
    /// A request does not wait for the answers before it.
    Joined(Box<InFlight>),
}

fn poll_event(
    stream: &Stream,
    writes: bool,
    line: &mut Option<&mut Line>,
    context: &mut Context<'_>,
) -> Poll<Event> {
    if let Poll::Ready(ready) = stream.poll_ready(writes, context) {
        return Poll::Ready(Event::Ready(ready));
    }
    line.as_deref_mut().map_or(Poll::Pending, |line| line.poll_joins(context).map(Event::Joined))
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
