//! Both sides of a connection to Redis, or one of its kin, as commands and replies.
//!
//! Commands are arrays or plain lines. Since other protocols of lines know some of the words, a
//! connection that begins with a line is one to Redis only once a reply has been read. Servers
//! also send what nobody asked for: messages of channels, and lines of `MONITOR`; these are
//! counted and no replies.

mod modes;

use crate::capture::line::text;
use crate::capture::streams::half::{Half, State};
use crate::capture::streams::redis::modes::{Meaning, Modes, Wanted};
use crate::capture::streams::talk::Handover;
use crate::capture::streams::waiting::{Command, MAX_TARGET, Waiting};
use crate::capture::streams::{MAX_BODY, Turn};
use crate::capture::tcp::{Data, Event, Link, Side, What};
use crate::protocol::Protocol;
use crate::protocol::resp::commands::{first_key, is_name, is_plain_command};
use crate::protocol::resp::scan::{Scan, Scanned, Sender};
use crate::protocol::resp::words::{redact_at, words};
use crate::recording::Flags;

/// Words of a command that are looked at: enough to find the keys behind options.
const MAX_WORDS: usize = 64;

/// Longest name of a command, in bytes: those of modules have some dozen.
const MAX_NAME: usize = 64;

const COMMANDS: &str = "redis command";
const REPLIES: &str = "redis reply";

/// Most commands of a connection that is not certain to be one to Redis.
const MAX_UNSURE: usize = 1_024;

/// One connection.
#[derive(Debug)]
pub(super) struct Redis {
    waiting: Waiting,
    modes: Modes,
    commands: Half<Scan>,
    replies: Half<Scan>,
    /// The command being read, as far as it is kept.
    command: Vec<u8>,
    /// Bytes, by bucket, while it is not certain that this is Redis.
    unsure: Option<Vec<(&'static str, u64)>>,
}

impl Redis {
    pub(super) fn new(link: Link, handover: &Handover) -> Self {
        let mut waiting = Waiting::new(Protocol::Redis, link, handover);
        // An array may be a reply just as well, but then it hardly begins with a command's name.
        let (side, front) = handover.front();
        let is_array = front.starts_with(b"*");
        let first = words(&front).into_iter().next().and_then(|word| front.get(word));
        let is_asking = !is_array || first.is_some_and(is_name) || waiting.client == side;
        waiting.client = if is_asking { side } else { side.map(Side::other) };
        let replies = if waiting.is_begun {
            State::Reading
        } else {
            State::Seeking("before the first message")
        };
        Self {
            waiting,
            modes: Modes::default(),
            commands: Half::new(Scan::new(Sender::Client), State::Reading),
            replies: Half::new(Scan::new(Sender::Server), replies),
            command: Vec::new(),
            unsure: (!is_array).then(Vec::new),
        }
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.command.len() + self.waiting.kept
    }

    pub(super) fn event(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) {
        let is_client = self.waiting.client == Some(event.side);
        match event.what {
            What::Data(data) => self.data(is_client, data, turn),
            What::Gap(bytes) => self.gap(is_client, bytes, turn),
            What::End(_) if is_client => self.end_command(Flags::default(), turn),
            What::End(_) => self.end_reply(Flags::default(), turn),
            What::Closed => {
                self.refuse_if_unsure(turn);
                self.waiting.close(turn);
            }
        }
        if turn.pressed {
            self.refuse_if_unsure(turn);
            self.waiting.forget(turn);
            if !self.command.is_empty() {
                self.commands.flags.insert(Flags::REQUEST_TRUNCATED);
                self.command.truncate(MAX_TARGET);
                self.command.shrink_to_fit();
            }
        }
    }

    fn data(&mut self, is_client: bool, data: Data<'_>, turn: &mut Turn<'_>) {
        let mut left = data;
        while !left.bytes.is_empty() {
            let reader = if is_client { &mut self.commands } else { &mut self.replies };
            match reader.state {
                State::Over(bucket) => return self.count(bucket, left.bytes.len(), turn),
                State::Seeking(bucket) => {
                    let begins = if is_client { begins_command } else { begins_reply };
                    if !left.fresh || !begins(left.bytes) {
                        return self.count(bucket, left.bytes.len(), turn);
                    }
                    reader.state = State::Reading;
                }
                State::Reading => {}
            }
            reader.first.get_or_insert(left.mark);
            let mut rest = left.bytes;
            let Ok(scanned) = reader.parser.read(&mut rest) else {
                return self.lose(is_client, left.bytes.len(), turn);
            };
            let used = left.bytes.len() - rest.len();
            if is_client {
                self.commanded(&left.bytes[..used], scanned, turn);
            } else {
                self.count(REPLIES, used, turn);
                if let Some(scanned) = scanned {
                    self.replied(scanned, left.mark.at_ns, turn);
                }
            }
            left.advance(used);
        }
    }

    /// Bytes of a command were read, and perhaps all of it.
    fn commanded(&mut self, taken: &[u8], scanned: Option<Scanned>, turn: &mut Turn<'_>) {
        let is_cut = self.commands.flags.contains(Flags::REQUEST_TRUNCATED);
        let room = if is_cut { 0 } else { MAX_BODY.saturating_sub(self.command.len()) };
        self.command.extend_from_slice(&taken[..taken.len().min(room)]);
        let is_asking = scanned.is_none_or(|scanned| self.ask(scanned.bytes, turn));
        self.count(if is_asking { COMMANDS } else { "blank lines" }, taken.len(), turn);
    }

    /// The command that was collected is over; false when it asks for nothing.
    fn ask(&mut self, bytes: u64, turn: &mut Turn<'_>) -> bool {
        let mut body = std::mem::take(&mut self.command);
        let mut flags = std::mem::take(&mut self.commands.flags);
        let ranges = words(&body);
        if redact_at(&mut body, &ranges) {
            flags.insert(Flags::REDACTED);
        }
        let words: Vec<&[u8]> = ranges
            .into_iter()
            .take(MAX_WORDS)
            .map(|word| body.get(word).unwrap_or_default())
            .collect();
        let (Some(name), Some(mark)) = (words.first(), self.commands.first.take()) else {
            return false;
        };
        let (method, _) = text(&name[..name.len().min(MAX_NAME)].to_ascii_uppercase());
        let target = first_key(&words).and_then(|at| words.get(at)).copied().unwrap_or_default();
        let target = target[..target.len().min(MAX_TARGET)].to_vec();
        let wanted = self.modes.wanted(&method, &words);
        if wanted != Wanted::Reply {
            // Nothing else begins with words like these.
            self.certain(turn);
        }
        let command =
            Command { mark, method: &method, target: &target, body, body_bytes: bytes, flags };
        match wanted {
            Wanted::Nothing => self.waiting.tell(command, turn),
            Wanted::Reply => self.waiting.ask(command, turn).expects = 1,
            Wanted::Confirmations(count) => self.waiting.ask(command, turn).expects = count,
            Wanted::Replication => {
                self.waiting.tell(command, turn);
                self.commands.restart(Scan::new(Sender::Client), State::Over("redis replication"));
                self.replies.restart(Scan::new(Sender::Server), State::Over("redis replication"));
            }
        }
        if self.waiting.len() > MAX_UNSURE {
            self.refuse_if_unsure(turn);
        }
        true
    }

    /// A reply, or what looks like one, is whole.
    fn replied(&mut self, scanned: Scanned, at_ns: i64, turn: &mut Turn<'_>) {
        self.certain(turn);
        let method = self.waiting.first().map(|first| first.request.line.method.as_str());
        let meaning = self.modes.meaning(&scanned, method);
        let first = self.replies.first.take();
        if let Meaning::Unasked(note) = meaning {
            return turn.ledger.note(note, 1);
        }
        let after_loss = std::mem::take(&mut self.replies.after_loss);
        let flags = std::mem::take(&mut self.replies.flags);
        let is_over = meaning == Meaning::Answer || self.is_confirmed(&scanned);
        if let Some(mark) = first.filter(|_| self.waiting.answer.is_none()) {
            self.waiting.begin(mark, after_loss, turn);
        }
        let Some(answer) = &mut self.waiting.answer else { return };
        answer.body_bytes += scanned.bytes;
        answer.last_ns = at_ns;
        answer.flags.insert(flags);
        if scanned.is_error() {
            answer.flags.insert(Flags::ERROR_REPLY);
        }
        if answer.head.is_empty() {
            answer.head = scanned.head.into();
        }
        if is_over {
            answer.whole = true;
            self.waiting.end(turn);
        }
    }

    /// The last confirmation that a command waits for has come.
    fn is_confirmed(&mut self, scanned: &Scanned) -> bool {
        let is_unsubscribed = self.modes.is_unsubscribed(scanned);
        let Some(first) = self.waiting.first() else { return true };
        if first.expects == modes::ALL {
            return is_unsubscribed;
        }
        first.expects = first.expects.saturating_sub(1);
        first.expects == 0
    }

    fn gap(&mut self, is_client: bool, bytes: u64, turn: &mut Turn<'_>) {
        self.refuse_if_unsure(turn);
        let reader = if is_client { &mut self.commands } else { &mut self.replies };
        match reader.state {
            State::Over(_) => {}
            State::Seeking(_) => reader.after_loss = true,
            State::Reading if reader.parser.skip_lost(bytes) => {
                reader.flags.insert(Flags::GAP);
                if is_client {
                    reader.flags.insert(Flags::REQUEST_TRUNCATED);
                }
            }
            State::Reading if is_client => {
                self.end_command(Flags::GAP, turn);
                self.commands.restart(Scan::new(Sender::Client), State::Seeking("behind a gap"));
            }
            State::Reading => {
                self.end_reply(Flags::GAP, turn);
                self.replies.restart(Scan::new(Sender::Server), State::Seeking("behind a gap"));
            }
        }
    }

    /// A command will never be whole: what there is of it is one if its name is.
    fn end_command(&mut self, flags: Flags, turn: &mut Turn<'_>) {
        let bytes = self.commands.parser.so_far().bytes;
        if words(&self.command).len() > 1 && self.unsure.is_none() {
            self.commands.flags.insert(flags);
            self.commands.flags.insert(Flags::REQUEST_TRUNCATED);
            self.ask(bytes, turn);
        }
        self.command = Vec::new();
        if !matches!(self.commands.state, State::Over(_)) {
            self.commands.restart(Scan::new(Sender::Client), State::Over("after the end"));
        }
    }

    /// A reply will never be whole.
    fn end_reply(&mut self, flags: Flags, turn: &mut Turn<'_>) {
        let scanned = self.replies.parser.so_far().clone();
        let first = self.replies.first.take().filter(|_| !self.replies.parser.is_at_boundary());
        if let Some(mark) = first.filter(|_| self.waiting.answer.is_none()) {
            self.waiting.begin(mark, self.replies.after_loss, turn);
        }
        if let Some(answer) = &mut self.waiting.answer {
            answer.body_bytes += scanned.bytes;
            answer.flags.insert(flags);
            if answer.head.is_empty() {
                answer.head = scanned.head.into();
            }
            self.waiting.end(turn);
        }
        if !matches!(self.replies.state, State::Over(_)) {
            self.replies.restart(Scan::new(Sender::Server), State::Over("after the end"));
        }
    }

    /// Bytes make no sense: a command or reply that begins a segment is looked for.
    fn lose(&mut self, is_client: bool, bytes: usize, turn: &mut Turn<'_>) {
        const BUCKET: &str = "not redis";
        self.count(BUCKET, bytes, turn);
        self.refuse_if_unsure(turn);
        if matches!(self.commands.state, State::Over(_)) {
            return;
        }
        if is_client {
            self.command = Vec::new();
            self.commands.restart(Scan::new(Sender::Client), State::Seeking(BUCKET));
        } else {
            self.end_reply(Flags::default(), turn);
            self.replies.restart(Scan::new(Sender::Server), State::Seeking(BUCKET));
        }
    }

    fn count(&mut self, bucket: &'static str, bytes: usize, turn: &mut Turn<'_>) {
        match &mut self.unsure {
            Some(unsure) => match unsure.iter_mut().find(|(known, _)| *known == bucket) {
                Some((_, count)) => *count += bytes as u64,
                None => unsure.push((bucket, bytes as u64)),
            },
            None => turn.ledger.stream_bytes.end(bucket, bytes as u64),
        }
    }

    /// This is Redis.
    fn certain(&mut self, turn: &mut Turn<'_>) {
        for (bucket, bytes) in self.unsure.take().unwrap_or_default() {
            turn.ledger.stream_bytes.end(bucket, bytes);
        }
    }

    /// It was another protocol of lines all the time.
    fn refuse_if_unsure(&mut self, turn: &mut Turn<'_>) {
        const BUCKET: &str = "not http";
        let Some(unsure) = self.unsure.take() else { return };
        let bytes = unsure.iter().map(|(_, bytes)| bytes).sum();
        turn.ledger.stream_bytes.end(BUCKET, bytes);
        turn.ledger.unnote("connections with redis", 1);
        self.waiting.disown();
        self.command = Vec::new();
        self.commands.restart(Scan::new(Sender::Client), State::Over(BUCKET));
        self.replies.restart(Scan::new(Sender::Server), State::Over(BUCKET));
    }
}

/// A command certainly begins a segment with `bytes`.
fn begins_command(bytes: &[u8]) -> bool {
    let is_line = bytes.ends_with(b"\n") && is_plain_command(bytes);
    is_line || bytes.starts_with(b"*") && reads(Sender::Client, bytes)
}

/// So does a reply, as far as one can tell.
fn begins_reply(bytes: &[u8]) -> bool {
    bytes.contains(&b'\n') && reads(Sender::Server, bytes)
}

fn reads(sender: Sender, bytes: &[u8]) -> bool {
    let (mut scan, mut rest) = (Scan::new(sender), bytes);
    while !rest.is_empty() {
        if scan.read(&mut rest).is_err() {
            return false;
        }
    }
    true
}
