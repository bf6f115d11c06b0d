//! One side of a connection to a database: what the readers of them keep of it.

use crate::capture::tcp::Mark;
use crate::recording::Flags;

/// One side, whose bytes `P` takes apart.
#[derive(Debug)]
pub(super) struct Half<P> {
    pub(super) parser: P,
    pub(super) state: State,
    /// Where the message being read begins.
    pub(super) first: Option<Mark>,
    /// What is odd about it.
    pub(super) flags: Flags,
    /// Bytes are missing in front of it.
    pub(super) after_loss: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Reading,
    /// Until a message begins at the front of a segment; bytes end in the bucket.
    Seeking(&'static str),
    /// Nothing is read any more.
    Over(&'static str),
}

impl<P> Half<P> {
    pub(super) fn new(parser: P, state: State) -> Self {
        Self { parser, state, first: None, flags: Flags::default(), after_loss: false }
    }

    /// Forgets what was being read; what comes next has something missing in front of it.
    pub(super) fn restart(&mut self, parser: P, state: State) {
        *self = Self { after_loss: true, ..Self::new(parser, state) };
    }
}
