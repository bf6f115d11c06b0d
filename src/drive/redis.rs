//! One task for each recorded connection to Redis: opens it, logs in, sends its commands as they
//! were recorded, pipelines included, and matches their replies in order.
//!
//! A connection that is lost is opened again for the next command, with the same login, database
//! and version. A transaction that was under way is not: what is left of it would be done outside
//! of it, and shares the fate of the connection instead.

mod reply;
mod link;
mod refusal;
mod memory;
mod login;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::drive::desk::{Desk, InFlight, Run};
use crate::drive::failure;
use crate::drive::pipeline::{Pipeline, patience};
use crate::drive::place::Place;
use crate::drive::redis::link::{Link, is_torn};
use crate::drive::redis::memory::Memory;
use crate::drive::redis::refusal::{is_turned_away, of_error};
use crate::drive::redis::reply::Reply;
use crate::drive::tls::{Idle, Readiness, Stream};
use crate::protocol::resp::{ERROR_REPLY, REPLY};
use crate::sample::{Declined, Fate, Unsent};

/// Bytes read at once; they live on the stack, so that idle connections hold no buffer.
const READ_BUFFER: usize = 16 * 1024;

/// What becomes of a transaction whose connection is gone.
const CLOSED: Fate = Fate::ClosedEarly { after_bytes: 0 };

const INTERRUPTED: Fate = Fate::Unsent { reason: Unsent::Interrupted };

/// Serves a connection until its queue is closed and empty, then closes it.
pub(crate) async fn serve(
    desk: Arc<Desk>,
    queue: UnboundedReceiver<Box<InFlight>>,
    _alive: Sender<Infallible>,
) {
    let conversation = Conversation {
        run: Arc::clone(&desk.run),
        queue,
        is_open: true,
        pipeline: Pipeline::default(),
        link: None,
        memory: Memory::default(),
        refused: None,
    };
    conversation.hold().await;
}

/// A recorded connection, over all the connections that it takes.
struct Conversation {
    run: Arc<Run>,
    queue: UnboundedReceiver<Box<InFlight>>,
    /// More may come from the queue.
    is_open: bool,
    pipeline: Pipeline,
    link: Option<Link>,
    memory: Memory,
    /// The server does not want our login: to try again would only lock an account.
    refused: Option<Fate>,
}

impl Conversation {
    async fn hold(mut self) {
        loop {
            self.take_waiting();
            self.look_at_link();
            self.give_up_lost();
            if self.pipeline.is_empty() {
                if !self.wait().await {
                    return;
                }
                continue;
            }
            if let Err(fate) = self.connect().await {
                self.pipeline.give_up_next(fate);
                continue;
            }
            if self.run.stop.is_requested() {
                self.pipeline.give_up_rest(&INTERRUPTED);
            }
            if self.exchange().await >= READ_BUFFER {
                yield_now().await;
            }
        }
    }

    /// Takes what the queue holds.
    fn take_waiting(&mut self) {
        while let Ok(request) = self.queue.try_recv() {
            self.pipeline.extend([request]);
        }
    }

    /// A connection that has rested may have been closed meanwhile.
    fn look_at_link(&mut self) {
        let rests = self.pipeline.begun() == 0 && !self.pipeline.is_empty();
        if rests && self.link.as_mut().is_some_and(|link| link.stream.look() != Idle::Quiet) {
            self.drop_link(&CLOSED);
        }
    }

    /// What is left of a transaction whose connection was lost shares its fate.
    fn give_up_lost(&mut self) {
        while self.pipeline.begun() == 0
            && let Some(fate) = self.memory.lost.clone()
            && let Some(next) = self.pipeline.next()
        {
            if memory::begins_transaction(next) {
                // The end of the other one was never handed over.
                self.memory.lost = None;
                return;
            }
            if memory::ends_transaction(next) {
                self.memory.lost = None;
            }
            self.pipeline.give_up_next(fate);
        }
    }

    /// Waits for the next command; false when none will come.
    async fn wait(&mut self) -> bool {
        let next = match &mut self.link {
            None => self.queue.recv().await,
            Some(link) => tokio::select! {
                biased;
                next = self.queue.recv() => next,
                _ = link.stream.disturbed() => {
                    self.drop_link(&CLOSED);
                    return true;
                }
            },
        };
        let is_there = next.is_some();
        self.pipeline.extend(next);
        is_there
    }

    /// Makes sure that there is a connection, and that it is ours.
    async fn connect(&mut self) -> Result<(), Fate> {
        if self.link.is_some() {
            return Ok(());
        }
        // Not even for what was already waiting.
        if self.run.stop.is_requested() {
            return Err(INTERRUPTED);
        }
        if let Some(fate) = &self.refused {
            return Err(fate.clone());
        }
        let Some(place) = Place::take(&self.run) else {
            return Err(Fate::Unsent { reason: Unsent::ConnectionLimit });
        };
        let limit = self.run.limits.connect_timeout;
        // What is lost has been settled: it is opened for the first that waits.
        let Some(next) = self.pipeline.next() else { return Err(CLOSED) };
        let mut link = Link::open(next, &self.run, place, Instant::now() + limit).await?;
        let login = login::log_in(&mut link, &self.run, &self.memory);
        match timeout(limit, login).await.unwrap_or(Err(Fate::ConnectTimedOut)) {
            Ok(()) => self.link = Some(link),
            Err(fate) => {
                self.refused = Some(&fate).filter(|it| is_final(it)).cloned();
                return Err(fate);
            }
        }
        Ok(())
    }

    /// Writes and reads once, whichever can be done; returns how many bytes that moved.
    async fn exchange(&mut self) -> usize {
        let Some(link) = &mut self.link else { return 0 };
        let mut moved = 0;
        let may_write = self.memory.lost.is_none() && link.write_error.is_none();
        let wants_to_write =
            |pipeline: &Pipeline, stream: &Stream| pipeline.may_go() || !stream.is_flushed();
        if may_write && wants_to_write(&self.pipeline, &link.stream) {
            let moment = self.run.epoch.now();
            match self.pipeline.write_piece(|pieces| link.stream.try_write(pieces), moment) {
                Ok(count) => moved += count,
                Err(error) => link.write_error = Some(error),
            }
        }
        let is_blocked =
            may_write && link.write_error.is_none() && wants_to_write(&self.pipeline, &link.stream);
        let Some(patience) = patience(&mut self.pipeline, &self.run) else { return moved };
        // A server that never pauses leaves no wait in which the time could be seen to be over.
        if patience.is_zero() {
            self.settle_lost(Fate::TimedOut, &Fate::TimedOut);
            return moved;
        }
        // What may not go yet is no reason to look for more.
        let wants_more = self.is_open && self.pipeline.is_all_begun();
        let event = timeout(patience, async {
            tokio::select! {
                biased;
                ready = poll_fn(|context| link.stream.poll_ready(is_blocked, context)) => {
                    Event::Ready(ready)
                }
                next = self.queue.recv(), if wants_more => Event::Next(next),
            }
        });
        match event.await {
            Ok(Event::Ready(ready)) if ready.can_read => moved + self.read(),
            Ok(Event::Ready(_)) => moved,
            Ok(Event::Next(next)) => {
                self.is_open = next.is_some();
                self.pipeline.extend(next);
                moved
            }
            Err(_) => {
                self.settle_lost(Fate::TimedOut, &Fate::TimedOut);
                moved
            }
        }
    }

    /// Reads once; returns how many bytes there were.
    fn read(&mut self) -> usize {
        let Some(link) = &mut self.link else { return 0 };
        let mut buffer = [0; READ_BUFFER];
        let count = match link.stream.try_read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
            Err(error) if is_torn(&error) => 0,
            Err(error) => {
                let fate = failure::of_exchange(&error);
                self.lose(fate);
                return 0;
            }
        };
        if count == 0 {
            let fate = link.at_end();
            self.lose(fate);
            return 0;
        }
        let now = self.run.epoch.now();
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            let Some(link) = &mut self.link else { break };
            // Bytes that nobody asked for belong to no command, so they cost the connection.
            let Some(first) = self.pipeline.first().filter(|it| it.sample.sent.is_some()) else {
                self.drop_link(&CLOSED);
                break;
            };
            first.sample.first_byte.get_or_insert(now);
            match link.replies.read(&mut rest) {
                Ok(None) => break,
                Ok(Some(reply)) if reply.is_push => {}
                Ok(Some(reply)) => self.answer(&reply, now),
                Err(_) => self.settle_lost(Fate::Malformed, &Fate::Malformed),
            }
        }
        count
    }

    /// The reply to the oldest command is whole, at `now`.
    fn answer(&mut self, reply: &Reply, now: Duration) {
        let Some(link) = &mut self.link else { return };
        let is_first = !std::mem::replace(&mut link.has_answered, true);
        if let Some(error) = &reply.error
            && is_first
            && let Some(banner) = is_turned_away(error)
        {
            let fate = Fate::Rejected { banner: banner.to_owned() };
            return self.settle_lost(fate.clone(), &fate);
        }
        let fate = match &reply.error {
            None => Fate::Answered { status: REPLY },
            Some(error) => match of_error(error) {
                Some(reason) => Fate::Declined { reason },
                None => Fate::Answered { status: ERROR_REPLY },
            },
        };
        let Some((mut request, is_whole)) = self.pipeline.answered() else { return };
        request.sample.response_bytes = reply.bytes;
        self.memory.learn(&request, &fate, self.pipeline.outstanding());
        request.finish_at(fate, now);
        // An answer to half a command leaves the other half in the way of the next.
        if !is_whole {
            self.drop_link(&CLOSED);
        }
    }

    /// The connection broke. Clients repeat what is safe to repeat when a connection that they
    /// have used before is closed on them, and so do we, once; it is counted.
    fn lose(&mut self, fate: Fate) {
        let Some(link) = &self.link else { return };
        let is_untouched = link.has_answered && link.replies.seen() == 0;
        let is_safe = is_untouched
            && !self.memory.in_transaction
            && self.pipeline.outstanding().all(memory::may_repeat);
        if is_safe && self.pipeline.take_back() {
            self.link = None;
            return;
        }
        let others = match &fate {
            Fate::ClosedEarly { .. } => CLOSED,
            other => other.clone(),
        };
        self.settle_lost(fate, &others);
    }

    /// Drops the connection and settles what has left on it.
    fn settle_lost(&mut self, first: Fate, others: &Fate) {
        let seen = self.link.as_ref().map_or(0, |link| link.replies.seen());
        if let Some(oldest) = self.pipeline.first() {
            oldest.sample.response_bytes = seen;
        }
        // Before they are settled: among them may be the beginning of a transaction.
        self.drop_link(others);
        self.pipeline.lose(first, others);
    }

    /// Closes the connection; `fate` is that of a transaction which this cuts.
    fn drop_link(&mut self, fate: &Fate) {
        self.memory.connection_lost(fate, self.pipeline.outstanding());
        self.link = None;
    }
}

enum Event {
    Ready(Readiness),
    Next(Option<Box<InFlight>>),
}

/// Nothing but another password helps.
fn is_final(fate: &Fate) -> bool {
    matches!(fate, Fate::Declined { reason: Declined::Login | Declined::Setup })
}
