//! Streams become messages: two readers per connection, one for each direction.
//!
//! What is spoken is told by content, never by port. After missing bytes a reader resumes at the
//! next certain start line that stands at the front of a segment; a gap inside a body of known
//! length is stepped over.

mod talk;
mod bodies;
mod conversation;
mod messages;
mod http2;
pub mod tls;
mod half;
mod waiting;
mod redis;
mod mysql;
mod postgres;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::capture::pairing::Paired;
use crate::capture::streams::talk::Talk;
use crate::capture::streams::tls::{MAX_WAITING_IN_ALL, WAITED};
use crate::capture::tcp::{Event, Link, What};
use crate::capture::tls::keylog::Secrets;
use crate::recording::ledger::Ledger;
use crate::recording::stored::STORED_FROM;
use crate::recording::stored::spool::Spool;

/// Longest request body that is held in memory, in bytes. One of HTTP that is longer goes to the
/// disk where there is a spool for it; of any other only so much is kept, and its true length.
pub const MAX_BODY: usize = STORED_FROM;

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
    secrets: Secrets,
    /// More secrets may come.
    may_wait: bool,
    /// Bytes that wait for secrets.
    waiting: usize,
    /// Closed connections that wait for secrets, in the order in which they closed.
    parked: VecDeque<u64>,
    /// The connection that closed last, as exchanges number it.
    closed: Option<u64>,
    /// Where large bodies go.
    spool: Option<Arc<Spool>>,
    /// Something is kept of the bodies of answers.
    contents: bool,
}

/// What a reader needs while it works on an event.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Turn<'t> {
    ledger: &'t mut Ledger,
    sink: Sink<'t>,
    numbered: &'t mut u64,
    /// Memory is short.
    pressed: bool,
    /// Where large bodies go.
    spool: Option<&'t Arc<Spool>>,
    /// See [`Streams::keep_contents`].
    contents: bool,
    /// What opens TLS.
    secrets: &'t Secrets,
    /// More secrets may come, and there is room to wait for them.
    may_wait: bool,
    /// What is read was inside of TLS.
    is_inside: bool,
}

impl Turn<'_> {
    /// A connection may wait for its secrets.
    fn can_wait(&self) -> bool {
        self.may_wait && !self.pressed
    }

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
        let before = (talk.kept(), talk.waiting());
        let mut turn = Turn {
            ledger,
            sink,
            numbered: &mut self.numbered,
            pressed: self.kept > MAX_KEPT_IN_ALL,
            spool: self.spool.as_ref(),
            contents: self.contents,
            secrets: &self.secrets,
            may_wait: self.may_wait && self.waiting <= MAX_WAITING_IN_ALL,
            is_inside: false,
        };
        talk.event(event, &mut turn);
        let waiting = talk.waiting();
        self.kept = self.kept + talk.kept() - before.0;
        self.waiting = self.waiting + waiting - before.1;
        if event.what == What::Closed {
            self.closed = talk.number();
            if waiting > 0 {
                self.parked.push_back(number);
            } else {
                self.remove(number);
            }
        }
        while self.waiting > MAX_WAITING_IN_ALL && !self.parked.is_empty() {
            ledger.note(WAITED, 1);
            self.settle_oldest(ledger, sink);
        }
    }

    /// The connection that closed with the event before, as exchanges number it, where it had any.
    pub fn take_closed(&mut self) -> Option<u64> {
        self.closed.take()
    }

    /// Keeps bodies whole that are too large for memory.
    pub fn keep_bodies(&mut self, spool: Arc<Spool>) {
        self.spool = Some(spool);
    }

    /// Keeps a digest of each answer's body, and the fields of JSON.
    pub fn keep_contents(&mut self) {
        self.contents = true;
    }

    /// Secrets of TLS connections; `may_grow` says that [`Self::add_secrets`] may bring more.
    pub fn set_secrets(&mut self, secrets: Secrets, may_grow: bool) {
        (self.secrets, self.may_wait) = (secrets, may_grow);
    }

    /// More secrets: the text of a key log.
    pub fn add_secrets(&mut self, text: &[u8]) {
        self.secrets.text(text);
    }

    /// No more secrets come: nobody waits any longer.
    pub fn end_secrets(&mut self, ledger: &mut Ledger, sink: Sink<'_>) {
        self.may_wait = false;
        while !self.parked.is_empty() {
            self.settle_oldest(ledger, sink);
        }
        if self.secrets.is_empty() {
            // There never were any, so that nobody waited for anything.
            ledger.notes.remove(WAITED);
        }
        self.secrets.note(ledger);
    }

    /// The connection that closed first of those that wait is read with what secrets there are.
    fn settle_oldest(&mut self, ledger: &mut Ledger, sink: Sink<'_>) {
        let Some(number) = self.parked.pop_front() else {
            return;
        };
        if let Some(talk) = self.talks.get_mut(&number) {
            let before = (talk.kept(), talk.waiting());
            talk.settle(&mut Turn {
                ledger,
                sink,
                numbered: &mut self.numbered,
                pressed: false,
                spool: self.spool.as_ref(),
                contents: self.contents,
                secrets: &self.secrets,
                may_wait: false,
                is_inside: false,
            });
            self.kept = self.kept + talk.kept() - before.0;
            self.waiting = self.waiting + talk.waiting() - before.1;
        }
        self.remove(number);
    }

    fn remove(&mut self, number: u64) {
        if let Some(closed) = self.talks.remove(&number) {
            self.kept -= closed.kept();
            self.waiting -= closed.waiting();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tcp::{Data, Mark, Side};

    pub(super) fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 3, 3];
        record.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        record.extend(payload);
        record
    }

    /// Both hellos of TLS 1.3.
    fn hellos() -> [Vec<u8>; 2] {
        let client = [&[1, 0, 0, 41, 3, 3][..], &[1; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
        let extensions = [0, 6, 0, 43, 0, 2, 3, 4];
        let server = [&[2, 0, 0, 46, 3, 3][..], &[2; 32], &[0, 0x13, 1, 0], &extensions].concat();
        [record(22, &client), record(22, &server)]
    }

    #[test]
    fn closed_connections_wait_for_secrets_within_a_limit() {
        let (mut streams, mut ledger) = (Streams::default(), Ledger::default());
        streams.set_secrets(Secrets::default(), true);
        let [client, server] = hellos();
        let data = record(23, &[0; 16_384]).repeat(60);
        let address = "10.0.0.1:1".parse().unwrap();
        for number in 0..70 {
            let link =
                Link { number, ends: [address, address], client: Some(Side::First), resumed: None };
            let said = [(Side::First, &client), (Side::Second, &server), (Side::Second, &data)];
            for (side, bytes) in said {
                let mark = Mark { at_ns: 0, tick: 0, offset: 0, ack: None };
                let what = What::Data(Data { mark, bytes, fresh: true });
                ledger.stream_bytes.enter(bytes.len() as u64);
                streams.event(&Event { link, side, what }, &mut ledger, &mut |_, _| {});
            }
            let closed = Event { link, side: Side::First, what: What::Closed };
            streams.event(&closed, &mut ledger, &mut |_, _| {});
            assert!(streams.waiting <= MAX_WAITING_IN_ALL);
        }
        assert_eq!(streams.talks.len(), streams.parked.len());
        // The oldest ones have gone without secrets.
        assert_eq!(ledger.notes.get(WAITED), Some(&(70 - streams.parked.len() as u64)));
        assert!(streams.parked.len() > 60 && streams.parked.len() < 70);
        streams.end_secrets(&mut ledger, &mut |_, _| {});
        assert_eq!((streams.waiting, streams.kept, streams.talks.len()), (0, 0, 0));
        assert!(ledger.reconciles(), "{ledger:#?}");
    }
}
