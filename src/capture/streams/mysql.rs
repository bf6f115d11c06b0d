//! Both sides of a connection to MySQL or `MariaDB` as commands and responses.
//!
//! The server speaks first. What a login agrees on is remembered, and nothing of it is kept. A
//! connection whose login was not captured begins with a command that is certainly one.

mod answers;

use crate::capture::streams::half::{Half, State};
use crate::capture::streams::mysql::answers::{Current, text_of};
use crate::capture::streams::talk::{Handover, Piece};
use crate::capture::streams::waiting::{Command, MAX_TARGET, Statement, Statements, Waiting};
use crate::capture::streams::{MAX_BODY, Turn};
use crate::capture::tcp::{Data, Event, Link, Mark, Side, What};
use crate::protocol::Protocol;
use crate::protocol::mysql::command::{Answered, answered, is_certain, name, statement, text};
use crate::protocol::mysql::login::{greeting, wish};
use crate::protocol::mysql::packets::{Packet, Packets};
use crate::protocol::mysql::response::{KEEP, Terms};
use crate::protocol::mysql::{Capabilities, begins_command, command, greets};
use crate::protocol::sql::{redact, speaks_of_passwords};
use crate::recording::Flags;

const COMMANDS: &str = "mysql command";
const RESPONSES: &str = "mysql response";
const LOGIN: &str = "mysql login";

/// One connection.
#[derive(Debug)]
pub(super) struct Mysql {
    waiting: Waiting,
    phase: Phase,
    /// What the server can do.
    offered: Capabilities,
    terms: Terms,
    commands: Half<Packets>,
    responses: Half<Packets>,
    current: Option<Current>,
    statements: Statements<u32>,
    handover: Option<Handover>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server is to greet.
    Greeting,
    /// The client is to say what it wants.
    Wish,
    /// Until the server lets the client in.
    Login,
    Commands,
}

impl Mysql {
    pub(super) fn new(link: Link, handover: &Handover) -> Self {
        let mut waiting = Waiting::new(Protocol::Mysql, link, handover);
        let (side, front) = handover.front();
        let is_greeted = greets(&front);
        waiting.client = if is_greeted { side.map(Side::other) } else { side };
        waiting.is_begun |= is_greeted;
        let (phase, responses) = if is_greeted {
            (Phase::Greeting, State::Reading)
        } else {
            (Phase::Commands, State::Seeking("before the first message"))
        };
        Self {
            waiting,
            phase,
            offered: Capabilities::default(),
            terms: Terms::default(),
            commands: Half::new(Packets::new(MAX_BODY), State::Reading),
            responses: Half::new(Packets::new(KEEP), responses),
            current: None,
            statements: Statements::new(),
            handover: None,
        }
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.commands.parser.kept() + self.waiting.kept + self.statements.kept
    }

    pub(super) fn event(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) -> Option<Handover> {
        let is_client = self.waiting.client == Some(event.side);
        match event.what {
            What::Data(data) => self.data(is_client, event.side, data, turn),
            What::Gap(bytes) => self.gap(is_client, bytes, turn),
            What::End(_) if is_client => {
                self.cut_command(Flags::default(), turn);
                self.stop(true, State::Over("after the end"));
            }
            What::End(_) => {
                self.end_response(turn);
                self.stop(false, State::Over("after the end"));
            }
            What::Closed => {
                self.end_response(turn);
                self.waiting.close(turn);
            }
        }
        if turn.pressed {
            self.waiting.forget(turn);
            self.commands.parser.shorten(MAX_TARGET);
        }
        if self.handover.is_some() {
            self.waiting.close(turn);
        }
        self.handover.take()
    }

    fn reader(&mut self, is_client: bool) -> &mut Half<Packets> {
        if is_client { &mut self.commands } else { &mut self.responses }
    }

    fn stop(&mut self, is_client: bool, state: State) {
        let keep = if is_client { MAX_BODY } else { KEEP };
        if !matches!(self.reader(is_client).state, State::Over(_)) {
            self.reader(is_client).restart(Packets::new(keep), state);
        }
    }

    fn data(&mut self, is_client: bool, side: Side, data: Data<'_>, turn: &mut Turn<'_>) {
        let mut left = data;
        while !left.bytes.is_empty() {
            if let Some(handover) = &mut self.handover {
                handover.pieces.push(Piece::new(side, &left));
                return;
            }
            let reader = self.reader(is_client);
            match reader.state {
                State::Over(bucket) => {
                    return turn.ledger.stream_bytes.end(bucket, left.bytes.len() as u64);
                }
                State::Seeking(bucket) => {
                    // The responses are read again once the next command was sent.
                    if !(is_client && left.fresh && begins_command(left.bytes)) {
                        return turn.ledger.stream_bytes.end(bucket, left.bytes.len() as u64);
                    }
                    reader.state = State::Reading;
                    self.phase = Phase::Commands;
                }
                State::Reading => {}
            }
            let reader = self.reader(is_client);
            let mark = *reader.first.get_or_insert(left.mark);
            let mut rest = left.bytes;
            let packet = reader.parser.read(&mut rest);
            let used = left.bytes.len() - rest.len();
            let bucket = match (self.phase, is_client) {
                (Phase::Commands, true) => COMMANDS,
                (Phase::Commands, false) => RESPONSES,
                _ => LOGIN,
            };
            turn.ledger.stream_bytes.end(bucket, used as u64);
            if let Some(packet) = packet {
                self.reader(is_client).first = None;
                if is_client {
                    self.sent(packet, mark, turn);
                } else {
                    self.received(&packet, (mark, left.mark.at_ns), turn);
                }
            }
            left.advance(used);
        }
    }

    /// A packet of the client.
    fn sent(&mut self, packet: Packet, mark: Mark, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Greeting | Phase::Login => {}
            Phase::Wish => self.wished(&packet, turn),
            Phase::Commands if packet.sequence == 0 && packet.length > 0 => {
                let flags = std::mem::take(&mut self.commands.flags);
                self.ask(packet, mark, flags, turn);
            }
            Phase::Commands if self.waiting.len() > 0 => {
                // A file that the server asked for, or more of a login.
                let is_login = self.waiting.last().is_some_and(|last| {
                    u8::try_from(last.expects).is_ok_and(|it| answered(it) == Answered::Login)
                });
                if !is_login {
                    self.waiting.add(&[], packet.length);
                }
            }
            Phase::Commands => self.stop(true, State::Seeking("not mysql")),
        }
    }

    /// The client said what it wants.
    fn wished(&mut self, packet: &Packet, turn: &mut Turn<'_>) {
        self.phase = Phase::Login;
        let Some(wish) = wish(&packet.kept) else { return };
        let agreed = wish.capabilities.and(self.offered);
        self.terms = Terms {
            capabilities: Some(agreed),
            deprecates_eof: Some(agreed.contains(Capabilities::DEPRECATE_EOF)),
            caches_metadata: wish.caches_metadata,
        };
        if wish.is_tls {
            // It says so again, inside.
            self.phase = Phase::Wish;
            self.handover = Some(self.waiting.to_tls(turn));
        }
    }

    /// A command.
    fn ask(&mut self, packet: Packet, mark: Mark, mut flags: Flags, turn: &mut Turn<'_>) {
        // A response that perhaps had an end of its own had none.
        if self.current.as_ref().is_some_and(|current| current.is_perhaps_over) {
            self.end_response(turn);
        }
        if self.responses.state != State::Reading {
            self.stop(false, State::Reading);
        }
        let Packet { kept: mut body, length, .. } = packet;
        let number = body.first().copied().unwrap_or_default();
        let other = format!("COM_{number}");
        let method = name(number).unwrap_or(&other);
        let range = text(&body, self.terms.capabilities);
        let mut is_redacted = body.get_mut(range.clone()).is_some_and(redact);
        let mut target = body.get(range).unwrap_or_default().to_vec();
        let prepared = statement(&body);
        if let Some(statement) = prepared {
            let known = self.statements.get(&statement);
            target = known.map_or_else(|| statement.to_string().into(), |it| it.text.clone());
            if known.is_some_and(|it| it.is_secret)
                && let Some(values) = body.get_mut(values_at(number)..)
            {
                values.fill(b'x');
                is_redacted = true;
            }
        }
        if answered(number) == Answered::Login {
            body.clear();
            is_redacted = true;
        }
        if is_redacted {
            flags.insert(Flags::REDACTED);
        }
        if (body.len() as u64) < length {
            flags.insert(Flags::REQUEST_TRUNCATED);
        }
        let command = Command { mark, method, target: &target, body, body_bytes: length, flags };
        if answered(number) == Answered::Never {
            self.waiting.tell(command, turn);
        } else {
            self.waiting.ask(command, turn).expects = u32::from(number);
        }
        if let Some(statement) = prepared.filter(|_| number == command::STMT_CLOSE) {
            self.statements.remove(&statement);
        }
    }

    /// A packet of the server, where it begins and when it ended.
    fn received(&mut self, packet: &Packet, span: (Mark, i64), turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Greeting => {
                self.phase = Phase::Wish;
                match greeting(&packet.kept) {
                    Some(greeting) => self.offered = greeting.capabilities,
                    None => turn.ledger.note("mysql connections refused", 1),
                }
            }
            Phase::Wish | Phase::Login => match packet.kept.first() {
                Some(0xff) => turn.ledger.note("mysql logins refused", 1),
                Some(0) => self.let_in(turn),
                _ => {}
            },
            Phase::Commands => self.respond(packet, span, turn),
        }
    }

    fn let_in(&mut self, turn: &mut Turn<'_>) {
        self.phase = Phase::Commands;
        let is_agreed = |bit| self.terms.capabilities.is_some_and(|agreed| agreed.contains(bit));
        if is_agreed(Capabilities::COMPRESS) || is_agreed(Capabilities::ZSTD) {
            turn.ledger.note("connections with compressed mysql", 1);
            self.stop(true, State::Over("mysql compressed"));
            self.stop(false, State::Over("mysql compressed"));
        }
    }

    fn respond(&mut self, packet: &Packet, (mark, at_ns): (Mark, i64), turn: &mut Turn<'_>) {
        if self.current.is_none() {
            let after_loss = std::mem::take(&mut self.responses.after_loss);
            if after_loss && packet.sequence != 1 {
                // The rest of an earlier response, whatever its bytes mean.
                return self.stop(false, State::Seeking("behind a gap"));
            }
            let Some(one) = self.waiting.begin(mark, after_loss, turn) else {
                self.waiting.answer = None;
                return turn.ledger.note("mysql messages that answer nothing", 1);
            };
            self.current = Some(Current::new(one));
        }
        let (Some(current), Some(answer)) = (&mut self.current, &mut self.waiting.answer) else {
            return;
        };
        answer.flags.insert(std::mem::take(&mut self.responses.flags));
        current.packet(packet, &mut self.terms, answer);
        answer.last_ns = at_ns;
        if current.is_over {
            self.end_response(turn);
        }
    }

    /// The response being read is over, whole or not.
    fn end_response(&mut self, turn: &mut Turn<'_>) {
        let Some(current) = self.current.take() else { return };
        if let Some(answer) = &mut self.waiting.answer {
            answer.whole = current.is_over || current.is_perhaps_over;
        }
        if let Some((number, first)) = current.prepared().zip(self.waiting.first()) {
            let target = text_of(&first.request);
            let is_secret = speaks_of_passwords(&target);
            self.statements.insert(number, Statement { text: target, is_secret });
        }
        self.waiting.end(turn);
    }

    fn gap(&mut self, is_client: bool, bytes: u64, turn: &mut Turn<'_>) {
        let reader = self.reader(is_client);
        match reader.state {
            State::Over(_) => {}
            State::Seeking(_) => reader.after_loss = true,
            State::Reading if reader.parser.skip_lost(bytes) => reader.flags.insert(Flags::GAP),
            State::Reading => {
                if is_client {
                    self.cut_command(Flags::GAP, turn);
                } else {
                    if let Some(answer) = &mut self.waiting.answer {
                        answer.flags.insert(Flags::GAP);
                    }
                    self.end_response(turn);
                }
                self.stop(is_client, State::Seeking("behind a gap"));
            }
        }
    }

    /// A command will never be whole: what there is of it is one if it is certain.
    fn cut_command(&mut self, flags: Flags, turn: &mut Turn<'_>) {
        let Some(mark) = self.commands.first.take() else { return };
        let packet = self.commands.parser.cut();
        if self.phase == Phase::Commands && packet.sequence == 0 && is_certain(&packet.kept, true) {
            self.ask(packet, mark, flags, turn);
        }
    }
}

/// Where the values begin in the payload of a command about a statement.
fn values_at(number: u8) -> usize {
    if number == command::STMT_SEND_LONG_DATA { 7 } else { 10 }
}
