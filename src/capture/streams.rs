//! Streams become messages: two readers per connection, one for each direction.
//!
//! What is spoken is told by content, never by port. After missing bytes a reader resumes at the
//! next certain start line that stands at the front of a segment; a gap inside a body of known
//! length is stepped over.

mod conversation;
mod messages;

use std::collections::HashMap;

use crate::capture::pairing::Paired;
use crate::capture::streams::conversation::Conversation;
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
    conversations: HashMap<u64, Conversation>,
    numbered: u64,
    kept: usize,
}

/// What a conversation needs while it works on an event.
struct Turn<'t> {
    ledger: &'t mut Ledger,
    sink: Sink<'t>,
    numbered: &'t mut u64,
    /// Memory is short.
    pressed: bool,
}

impl Streams {
    /// Takes the next event of a connection. Every byte of it ends in `ledger.stream_bytes`,
    /// every message in `ledger.messages`.
    pub fn event(&mut self, event: &Event<'_>, ledger: &mut Ledger, sink: Sink<'_>) {
        if matches!(event.what, What::End(_) | What::Closed)
            && !self.conversations.contains_key(&event.link.number)
        {
            return;
        }
        let conversation = self
            .conversations
            .entry(event.link.number)
            .or_insert_with(|| Conversation::new(event.link));
        let before = conversation.kept();
        let pressed = self.kept > MAX_KEPT_IN_ALL;
        let mut turn = Turn { ledger, sink, numbered: &mut self.numbered, pressed };
        conversation.event(event, &mut turn);
        self.kept = self.kept + conversation.kept() - before;
        if event.what == What::Closed
            && let Some(closed) = self.conversations.remove(&event.link.number)
        {
            self.kept -= closed.kept();
        }
    }
}
