//! Streams become messages: two readers per connection, one for each direction.
//!
//! What is spoken is told by content, never by port. After missing bytes a reader resumes at the
//! next certain start line that stands at the front of a segment; a gap inside a body of known
//! length is stepped over.

mod talk;
mod conversation;
mod messages;
mod waiting;
mod redis;
mod mysql;
mod postgres;

use std::collections::HashMap;

use crate::capture::pairing::Paired;
use crate::capture::streams::talk::Talk;
use crate::capture::tcp::{Event, Link, What};
use crate::recording::ledger::Ledger;

/// Longest request body that is kept, in bytes; its true length always is.
pub const MAX_BODY: usize = 1 << 20;

/// Most bytes of messages that are not complete yet, over all connections. Beyond it bodies and
/// unfinished heads are dropped, and requests leave without waiting for their responses.
pub const MAX_KEPT_IN_ALL: usize = 512 << 20;

/// The connection that a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Number of the connection among those with messages, from 0 in order of first messages.
    pub connection: u64,
    /// The addresses; `client` is set.
    pub link: Link,
}

/// Takes what is complete.
pub type Sink<'s> = &'s mut dyn FnMut(Origin, Paired);

/// The conversations of all connections.
#[derive(Debug, Default)]
pub struct Streams {
    talks: HashMap<u64, Talk>,
    numbered: u64,
    kept: usize,
}

/// What a reader needs while it works on an event.
struct Turn<'t> {
    ledger: &'t mut Ledger,
    sink: Sink<'t>,
    numbered: &'t mut u64,
    /// Memory is short.
    pressed: bool,
}

impl Turn<'_> {
    /// The number of a connection that has its first message.
    fn next_number(&mut self) -> u64 {
        let number = *self.numbered;
        *self.numbered += 1;
        number
    }

    /// Hands out what is complete; each message that began ends here.
    fn hand_out(&mut self, origin: Origin, done: Paired) {
        let bucket = match &done {
            Paired::Exchange(_, Some(_)) => "exchange",
            Paired::Exchange(_, None) => "request without response",
            Paired::Orphan(_) => "response without request",
        };
        self.ledger.messages.end(bucket, 1);
        (self.sink)(origin, done);
    }
}

impl Streams {
    /// Takes the next event of a connection. Every byte of it ends in `ledger.stream_bytes`,
    /// every message in `ledger.messages`.
    pub fn event(&mut self, event: &Event<'_>, ledger: &mut Ledger, sink: Sink<'_>) {
        let number = event.link.number;
        if matches!(event.what, What::End(_) | What::Closed) && !self.talks.contains_key(&number) {
            return;
        }
        let talk = self.talks.entry(number).or_insert_with(|| Talk::new(event.link));
        let before = talk.kept();
        let pressed = self.kept > MAX_KEPT_IN_ALL;
        let mut turn = Turn { ledger, sink, numbered: &mut self.numbered, pressed };
        talk.event(event, &mut turn);
        self.kept = self.kept + talk.kept() - before;
        if event.what == What::Closed
            && let Some(closed) = self.talks.remove(&number)
        {
            self.kept -= closed.kept();
        }
    }
}
