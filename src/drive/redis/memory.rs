//! What a recorded connection has told the server that a new one must be told again, and the
//! transaction that is under way on it.

use ::bytes::Bytes;

use crate::drive::desk::InFlight;
use crate::protocol::resp::REPLY;
use crate::protocol::resp::effects::{Effect, effect};
use crate::protocol::resp::exact::exact;
use crate::sample::Fate;

/// The state of one recorded connection.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last `HELLO` that was answered well.
    pub(super) greeting: Option<Bytes>,
    /// The last `SELECT` that was.
    pub(super) database: Option<Bytes>,
    /// A `MULTI` was answered, and its end was not.
    pub(super) in_transaction: bool,
    /// The connection was lost in the middle of a transaction: what became of that. Commands up to
    /// its end must not be sent.
    pub(super) lost: Option<Fate>,
}

impl Memory {
    /// Takes a command that was answered; `behind` are those that have left after it.
    pub(super) fn learn<'a>(
        &mut self,
        request: &InFlight,
        fate: &Fate,
        mut behind: impl Iterator<Item = &'a InFlight>,
    ) {
        let is_well = matches!(fate, Fate::Answered { status: REPLY });
        let body = || request.arrival.body.clone();
        match &*request.arrival.method {
            "HELLO" if is_well => self.greeting = Some(body()),
            "SELECT" if is_well && !self.in_transaction => self.database = Some(body()),
            "MULTI" if is_well => self.in_transaction = true,
            // Nothing will be queued: what has not left yet would be done at once.
            "MULTI" if !self.in_transaction && !behind.any(ends_transaction) => {
                self.lost = Some(fate.clone());
            }
            "EXEC" | "DISCARD" => self.in_transaction = false,
            _ => {}
        }
    }

    /// The connection was lost; `left` are the commands that had left and were not answered, and
    /// `fate` is theirs.
    pub(super) fn connection_lost<'a>(
        &mut self,
        fate: &Fate,
        left: impl Iterator<Item = &'a InFlight>,
    ) {
        let is_open = left.fold(self.in_transaction, |is_open, request| {
            begins_transaction(request) || is_open && !ends_transaction(request)
        });
        self.in_transaction = false;
        if is_open {
            self.lost = Some(fate.clone());
        }
    }
}

/// `MULTI`.
pub(super) fn begins_transaction(request: &InFlight) -> bool {
    &*request.arrival.method == "MULTI"
}

/// `EXEC` or `DISCARD`.
pub(super) fn ends_transaction(request: &InFlight) -> bool {
    matches!(&*request.arrival.method, "EXEC" | "DISCARD")
}

/// It changes nothing, so that to send it twice is to ask twice.
pub(super) fn may_repeat(request: &InFlight) -> bool {
    let words = exact(&request.arrival.body);
    let is_quit = &*request.arrival.method == "QUIT";
    words.is_some_and(|words| effect(&words) == Effect::Reads) && !is_quit
}
