//! Commands that wait for their replies, which come in the order in which they were sent: what
//! the readers of databases have in common.

use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};

use ::bytes::Bytes;

use crate::capture::line::{Line, text};
use crate::capture::pairing::{Answer, Paired, Request};
use crate::capture::streams::talk::Handover;
use crate::capture::streams::{MAX_BODY, Origin, Turn};
use crate::capture::tcp::{Link, Mark, Side};
use crate::protocol::Protocol;
use crate::recording::Flags;
use crate::recording::contents::Contents;

/// Most commands of one connection that wait: more than any client sends before it reads. Beyond
/// it the oldest counts as not answered.
pub(super) const MAX_WAITING: usize = 1 << 16;

/// Longest target, in bytes: a key or the front of a statement.
pub(super) const MAX_TARGET: usize = 4 << 10;

/// Longest text of a reply, in bytes.
pub(super) const MAX_HEAD: usize = 256;

/// Most prepared statements of one connection whose text is known.
pub(super) const MAX_STATEMENTS: usize = 1_024;

/// A command, as its reader has it.
#[derive(Debug)]
pub(super) struct Command<'a> {
    pub(super) mark: Mark,
    pub(super) method: &'a str,
    /// Cut here to [`MAX_TARGET`].
    pub(super) target: &'a [u8],
    /// Cut here to [`MAX_BODY`].
    pub(super) body: Vec<u8>,
    /// The whole length of the body.
    pub(super) body_bytes: u64,
    pub(super) flags: Flags,
}

/// The commands of one connection that are not answered yet.
#[derive(Debug)]
pub(super) struct Waiting {
    protocol: Protocol,
    link: Link,
    /// Who sends commands, once that is known.
    pub(super) client: Option<Side>,
    /// The start of the connection was seen.
    pub(super) is_begun: bool,
    number: Option<u64>,
    commands: VecDeque<One>,
    /// The reply being read; it is the first command's, or nobody's.
    pub(super) answer: Option<Answer>,
    /// It is the first command's.
    pub(super) is_asked: bool,
    next_seq: u32,
    /// Commands that left by the limit: as many replies are nobody's.
    forgotten: u64,
    /// Bytes held.
    pub(super) kept: usize,
}

/// A command that waits.
#[derive(Debug)]
pub(super) struct One {
    pub(super) request: Request,
    /// How many messages its reply has yet to have, or of what kind it is, as its reader needs.
    pub(super) expects: u32,
    /// Whatever else happens, one certain message is the last of its reply.
    pub(super) syncs: bool,
    /// More of it may come.
    pub(super) is_open: bool,
}

impl Waiting {
    /// The connection goes on inside of TLS: the server has agreed to it. Its reader goes on
    /// where it stands.
    pub(super) fn to_tls(&self, turn: &mut Turn<'_>) -> Handover {
        turn.ledger.note("connections with tls", 1);
        Handover {
            to: "tls",
            pieces: Vec::new(),
            number: None,
            client: self.client,
            is_begun: self.is_begun,
            link: self.link,
            next_seq: self.next_seq,
            upgraded: None,
            goes_on_inside: true,
        }
    }

    pub(super) fn new(protocol: Protocol, link: Link, handover: &Handover) -> Self {
        Self {
            protocol,
            link,
            client: handover.client,
            is_begun: handover.is_begun,
            number: handover.number,
            commands: VecDeque::new(),
            answer: None,
            is_asked: false,
            next_seq: 0,
            forgotten: 0,
            kept: 0,
        }
    }

    /// A command was sent; how many messages its reply has is for its reader to say.
    pub(super) fn ask(&mut self, command: Command<'_>, turn: &mut Turn<'_>) -> &mut One {
        let request = self.request(command);
        while self.commands.len() >= MAX_WAITING {
            self.give_up(1, turn);
            self.forgotten += 1;
        }
        self.kept += size_of_request(&request);
        self.commands.push_back(One { request, expects: 1, syncs: false, is_open: false });
        let last = self.commands.len() - 1;
        &mut self.commands[last]
    }

    /// A command was sent that nobody answers.
    pub(super) fn tell(&mut self, command: Command<'_>, turn: &mut Turn<'_>) {
        let request = self.request(command);
        self.hand_out(Paired::Exchange(request, None), turn);
    }

    /// The command whose reply is next.
    pub(super) fn first(&mut self) -> Option<&mut One> {
        self.commands.front_mut()
    }

    /// The command sent last.
    pub(super) fn last(&mut self) -> Option<&mut One> {
        self.commands.back_mut()
    }

    /// More of the command that was sent last, as far as it is kept, and its whole length.
    pub(super) fn add(&mut self, bytes: &[u8], length: u64) {
        let Some(last) = self.commands.back_mut() else { return };
        let is_cut = last.request.flags.contains(Flags::REQUEST_TRUNCATED);
        let room = if is_cut { 0 } else { MAX_BODY.saturating_sub(last.request.body.len()) };
        let kept = bytes.len().min(room);
        last.request.body.extend_from_slice(&bytes[..kept]);
        last.request.body_bytes += length;
        if (kept as u64) < length {
            last.request.flags.insert(Flags::REQUEST_TRUNCATED);
        }
        self.kept += kept;
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    /// A reply begins; returns the command that waits for it. `after_loss` says that replies may
    /// have been lost before it.
    pub(super) fn begin(
        &mut self,
        mark: Mark,
        after_loss: bool,
        turn: &mut Turn<'_>,
    ) -> Option<&mut One> {
        if after_loss {
            self.forgotten = 0;
            let lost = self.answered_by(mark);
            self.give_up(lost, turn);
        }
        self.is_asked = self.forgotten == 0
            && self.first().is_some_and(|first| can_answer(&mark, &first.request.mark));
        self.answer = Some(Answer {
            mark,
            status: 0,
            head: Bytes::new(),
            body_bytes: 0,
            witness: None,
            contents: Contents::default(),
            whole: false,
            last_ns: mark.at_ns,
            flags: Flags::default(),
        });
        if self.is_asked { self.commands.front_mut() } else { None }
    }

    /// The reply being read, if one is, is over.
    pub(super) fn end(&mut self, turn: &mut Turn<'_>) {
        let Some(mut answer) = self.answer.take() else { return };
        if !answer.whole {
            answer.flags.insert(Flags::RESPONSE_TRUNCATED);
        }
        let asked = if self.is_asked { self.commands.pop_front() } else { None };
        let Some(One { request, .. }) = asked else {
            self.forgotten = self.forgotten.saturating_sub(1);
            return self.hand_out(Paired::Orphan(answer), turn);
        };
        self.kept = self.kept.saturating_sub(size_of_request(&request));
        self.hand_out(Paired::Exchange(request, Some(answer)), turn);
    }

    /// The first `count` commands get no reply.
    pub(super) fn give_up(&mut self, count: usize, turn: &mut Turn<'_>) {
        for _ in 0..count {
            let Some(One { request, .. }) = self.commands.pop_front() else { return };
            self.kept = self.kept.saturating_sub(size_of_request(&request));
            self.hand_out(Paired::Exchange(request, None), turn);
        }
    }

    /// Memory is short: nobody waits any longer.
    pub(super) fn forget(&mut self, turn: &mut Turn<'_>) {
        // One whose reply has begun keeps it.
        let held = usize::from(self.answer.is_some());
        while self.commands.len() > held {
            let Some(One { request, .. }) = self.commands.remove(held) else { break };
            self.kept = self.kept.saturating_sub(size_of_request(&request));
            self.forgotten += 1;
            self.hand_out(Paired::Exchange(request, None), turn);
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self, turn: &mut Turn<'_>) {
        self.end(turn);
        self.give_up(usize::MAX, turn);
    }

    /// Forgets what waits as if it had never been: it was none of this protocol.
    pub(super) fn disown(&mut self) {
        self.commands.clear();
        self.answer = None;
        self.kept = 0;
    }

    fn request(&mut self, command: Command<'_>) -> Request {
        let Command { mark, method, target, mut body, body_bytes, mut flags } = command;
        if body_bytes > MAX_BODY as u64 {
            body.truncate(MAX_BODY);
            flags.insert(Flags::REQUEST_TRUNCATED);
        }
        if !self.is_begun {
            flags.insert(Flags::MID_STREAM);
        }
        // Sent before any more of a reply was received.
        let before = self.commands.back().map(|last| last.request.mark.ack);
        if mark.ack.is_some() && before == Some(mark.ack) {
            flags.insert(Flags::PIPELINED);
        }
        let seq = self.next_seq;
        self.next_seq = self.next_seq.wrapping_add(1);
        let (target, is_escaped) = text(&target[..target.len().min(MAX_TARGET)]);
        let line = Line {
            method: method.to_owned(),
            scheme: self.protocol.name().to_owned(),
            authority: String::new(),
            target,
            cookies: None,
            is_escaped,
        };
        body.shrink_to_fit();
        Request {
            mark,
            method: Bytes::new(),
            head: Bytes::new(),
            body,
            stored: None,
            body_bytes,
            chunks: None,
            seq,
            is_simple: false,
            protocol: self.protocol,
            stream: None,
            line: Box::new(line),
            flags,
        }
    }

    fn hand_out(&mut self, done: Paired, turn: &mut Turn<'_>) {
        turn.ledger.messages.enter(1);
        let connection = *self.number.get_or_insert_with(|| turn.next_number());
        let link = Link { client: self.client, ..self.link };
        turn.hand_out(Origin { connection, link }, done);
    }

    /// How many commands go without reply when a reply begins behind missing bytes: it answers the
    /// latest that was sent before the client had any of it, and of several sent at once the first.
    fn answered_by(&self, mark: Mark) -> usize {
        let mut best: Option<(usize, Option<u64>)> = None;
        for (at, one) in self.commands.iter().enumerate() {
            let ack = one.request.mark.ack;
            let is_later = best.is_none_or(|(_, before)| ack > before);
            if can_answer(&mark, &one.request.mark) && is_later {
                best = Some((at, ack));
            }
        }
        best.map_or(0, |(at, _)| at)
    }
}

/// The texts of prepared statements, by what names them; when there are too many the least name
/// goes.
#[derive(Debug)]
pub(super) struct Statements<K> {
    by_name: BTreeMap<K, Statement>,
    /// Bytes held.
    pub(super) kept: usize,
}

/// A prepared statement.
#[derive(Clone, Debug, Default)]
pub(super) struct Statement {
    /// Its text, as far as a target holds it.
    pub(super) text: Vec<u8>,
    /// Among its values may be a password.
    pub(super) is_secret: bool,
}

impl<K: Ord> Statements<K> {
    pub(super) fn new() -> Self {
        Self { by_name: BTreeMap::new(), kept: 0 }
    }

    pub(super) fn insert(&mut self, name: K, mut statement: Statement) {
        statement.text.truncate(MAX_TARGET);
        self.kept += statement.text.len();
        let before = self.by_name.insert(name, statement);
        let gone = if self.by_name.len() > MAX_STATEMENTS {
            self.by_name.pop_first().map(|(_, gone)| gone)
        } else {
            None
        };
        for gone in before.into_iter().chain(gone) {
            self.kept = self.kept.saturating_sub(gone.text.len());
        }
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, name: &Q) -> Option<&Statement>
    where
        K: Borrow<Q>,
    {
        self.by_name.get(name)
    }

    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, name: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(gone) = self.by_name.remove(name) {
            self.kept = self.kept.saturating_sub(gone.text.len());
        }
    }
}

/// Not when the client had received bytes of the reply before it sent the command and the capture
/// has them in that order, too.
fn can_answer(reply: &Mark, command: &Mark) -> bool {
    let known_before = command.ack.is_some_and(|ack| ack > reply.offset);
    !(known_before && command.tick > reply.tick)
}

fn size_of_request(request: &Request) -> usize {
    let line = request.line.target.len() + request.line.method.len();
    request.body.len() + line + std::mem::size_of::<One>()
}
