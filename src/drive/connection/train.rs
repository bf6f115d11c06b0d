//! Requests that were recorded as pipelined: they go out without waiting, and their answers are
//! matched in order.
//!
//! What a lost connection leaves unanswered goes by the rule for single requests: one that is safe
//! to repeat, on a connection that had served before and said nothing of this answer, is sent once
//! more, as clients do with pipelined requests when a server closes behind an answer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::timeout;

use crate::drive::connection::line::Line;
use crate::drive::connection::moves::{READ_BUFFER, at_end, cut_off, with_buffer};
use crate::drive::connection::wire::{Wire, open};
use crate::drive::connection::{
    After, Event, Exchange, INTERRUPTED, is_unasked_switch, may_repeat, poll_event,
};
use crate::drive::desk::{InFlight, Run};
use crate::drive::failure;
use crate::drive::pipeline::{Pipeline, patience};
use crate::drive::response::{Answer, ResponseError, ResponseReader};
use crate::drive::tls::Stream;
use crate::sample::Fate;

/// What becomes of requests behind the one that tells how their connection ended.
const CLOSED: Fate = Fate::ClosedEarly { after_bytes: 0 };

/// Requests on one connection, over all the connections that they take.
pub(super) struct Train {
    run: Arc<Run>,
    pipeline: Pipeline,
    wire: Option<Wire>,
    /// Reads the answer to the first one.
    reader: ResponseReader,
    /// An answer has come on this connection.
    has_answered: bool,
    /// The connection on which another protocol is spoken now.
    switched: Option<Wire>,
    /// Nothing more is sent on this connection.
    has_half_closed: bool,
    /// Why no more can be written. What the target said before can still be read.
    write_error: Option<io::Error>,
}

impl Train {
    /// A request that has left whole, whose answer is being read, and the one behind it.
    pub(super) fn behind(
        Exchange { wire, request, reader, .. }: Exchange,
        has_answered: bool,
        next: Box<InFlight>,
    ) -> Self {
        let run = Arc::clone(request.run());
        let mut train = Self {
            run,
            pipeline: Pipeline::written(request),
            wire: Some(wire),
            reader,
            has_answered,
            switched: None,
            has_half_closed: false,
            write_error: None,
        };
        train.add(next);
        train
    }

    fn add(&mut self, mut next: Box<InFlight>) {
        next.prepare();
        self.pipeline.extend([next]);
    }

    /// Settles all of them, and those that join them meanwhile. In a place of its own, since
    /// hardly any connection needs one.
    pub(super) fn carried_out(self, line: &mut Line) -> Pin<Box<impl Future<Output = After>>> {
        Box::pin(self.carry_out(line))
    }

    async fn carry_out(mut self, line: &mut Line) -> After {
        loop {
            while let Some(next) = line.joining() {
                self.add(next);
            }
            if self.pipeline.is_empty() {
                return match (self.switched, self.wire) {
                    (Some(wire), _) => After::Switched(wire),
                    (None, Some(wire)) if !self.has_half_closed => After::Usable(wire),
                    _ => After::Gone,
                };
            }
            if let Err(fate) = self.connect().await {
                self.pipeline.give_up_next(fate);
                continue;
            }
            if self.run.stop.is_requested() {
                self.pipeline.give_up_rest(&INTERRUPTED);
            }
            if self.exchange(line).await >= READ_BUFFER {
                yield_now().await;
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Fate> {
        let Some(next) = self.pipeline.next().filter(|_| self.wire.is_none()) else {
            return Ok(());
        };
        self.wire = Some(open(next, &self.run).await?);
        (self.has_answered, self.has_half_closed, self.write_error) = (false, false, None);
        Ok(())
    }

    /// Writes and reads once, whichever can be done; returns how many bytes that moved.
    async fn exchange(&mut self, line: &mut Line) -> usize {
        let Some(Wire { stream, .. }) = &mut self.wire else { return 0 };
        let wants_to_write =
            |pipeline: &Pipeline, stream: &Stream| pipeline.may_go() || !stream.is_flushed();
        let mut moved = 0;
        if self.write_error.is_none() && wants_to_write(&self.pipeline, stream) {
            let moment = self.run.epoch.now();
            match self.pipeline.write_piece(|pieces| stream.try_write(pieces), moment) {
                Ok(count) => moved += count,
                Err(error) => self.write_error = Some(error),
            }
            if self.pipeline.ends_sending() && stream.is_flushed() {
                self.has_half_closed = true;
                stream.end_sending();
            }
        }
        let is_blocked = self.write_error.is_none() && wants_to_write(&self.pipeline, stream);
        let Some(patience) = patience(&mut self.pipeline, &self.run) else { return moved };
        // A target that never pauses leaves no wait in which the time could be seen to be over.
        if patience.is_zero() {
            self.lose(Fate::TimedOut, &Fate::TimedOut);
            return moved;
        }
        let mut line = Some(line);
        let event = poll_fn(|context| poll_event(stream, is_blocked, &mut line, context));
        match timeout(patience, event).await {
            Ok(Event::Ready(ready)) if ready.can_read => moved + self.read(),
            Ok(Event::Ready(_) | Event::ReadAhead) => moved,
            Ok(Event::Joined(next)) => {
                self.add(next);
                moved
            }
            Err(_) => {
                self.lose(Fate::TimedOut, &Fate::TimedOut);
                moved
            }
        }
    }

    /// Reads once; returns how many bytes there were.
    fn read(&mut self) -> usize {
        with_buffer(|buffer| self.read_into(buffer))
    }

    fn read_into(&mut self, buffer: &mut [u8]) -> usize {
        let Some(wire) = &mut self.wire else { return 0 };
        let count = match wire.stream.try_read(buffer) {
            Ok(0) => {
                match at_end(&self.reader, self.write_error.as_ref()) {
                    Ok(answer) => self.answered(Answer { reusable: false, ..answer }),
                    Err(fate) => self.broken(fate),
                }
                return 0;
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                // Only its announcement tells the end of such an answer from a cut.
                let ended = at_end(&self.reader, self.write_error.as_ref());
                self.broken(ended.err().unwrap_or(Fate::Truncated));
                return 0;
            }
            Err(error) => {
                self.broken(failure::of_exchange(&error));
                return 0;
            }
        };
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() && self.wire.is_some() {
            self.take(&mut rest);
        }
        count
    }

    /// Takes what belongs to the first answer off what came.
    fn take(&mut self, rest: &mut &[u8]) {
        let Some(first) = self.pipeline.first().filter(|it| it.sample.sent.is_some()) else {
            // Nobody asked for these bytes, so they cost the connection.
            self.run.oddities.note_unasked();
            self.wire = None;
            return;
        };
        if self.reader.seen() == 0 {
            self.reader.begin(&first.arrival.method);
            self.reader.listen(first);
        }
        if first.sample.first_byte.is_none() {
            first.sample.first_byte = Some(self.run.epoch.now());
        }
        let taken = self.reader.take(rest);
        self.reader.tell_head(first);
        match taken {
            Ok(None) => {}
            Ok(Some(answer)) => self.answered(answer),
            Err(ResponseError::NotHttp { banner }) => {
                self.lose(Fate::Rejected { banner }, &CLOSED);
            }
            Err(_) => self.lose(Fate::Malformed, &CLOSED),
        }
    }

    /// The answer to the first one is whole.
    fn answered(&mut self, answer: Answer) {
        let Some((mut request, is_whole)) = self.pipeline.answered() else { return };
        // What is looked for in the answer takes time, which is not the target's.
        let now = self.run.epoch.now();
        request.sample.response_bytes = self.reader.body_bytes();
        self.reader.tell_body(&mut request);
        let is_malformed = is_unasked_switch(answer, &request);
        let fate = Fate::Answered { status: answer.status };
        request.finish_at(if is_malformed { Fate::Malformed } else { fate }, now);
        self.wire.iter_mut().for_each(|wire| wire.answered = now);
        self.has_answered = true;
        self.reader.begin("");
        // An answer to half a request leaves the other half in the way of the next.
        if !(answer.reusable && is_whole) {
            let wire = self.wire.take();
            self.switched = wire.filter(|_| answer.status == 101 && !is_malformed);
            self.broken(CLOSED);
        }
    }

    /// The connection is of no more use: what may be repeated is, once, and the rest has failed.
    fn broken(&mut self, fate: Fate) {
        if self.has_answered && self.reader.seen() == 0 {
            let repeats = |request: &InFlight| {
                // One on the disk goes out alone.
                may_repeat(request, &fate) && request.arrival.streamed.is_none()
            };
            self.pipeline.take_back_if(repeats, &fate);
            self.wire = None;
            return;
        }
        let fate = cut_off(&self.reader, fate);
        let others = match &fate {
            Fate::ClosedEarly { .. } | Fate::Rejected { .. } => CLOSED,
            other => other.clone(),
        };
        self.lose(fate, &others);
    }

    /// Drops the connection and settles what has left on it.
    fn lose(&mut self, first: Fate, others: &Fate) {
        if let Some(oldest) = self.pipeline.first() {
            oldest.sample.response_bytes = self.reader.body_bytes();
        }
        self.wire = None;
        self.pipeline.lose(cut_off(&self.reader, first), others);
        self.reader.begin("");
    }
}
