//! Both sides of a connection to PostgreSQL as commands and responses.
//!
//! An exchange is what has an end of its own: a simple query, a `PARSE` with what belongs to it,
//! and an `EXECUTE` with the `BIND` before it; what stands between them and the next `SYNC` goes
//! with the one before. Its body is its messages as on the wire. Openings and logins are read and
//! not kept.

mod units;
mod answers;

use crate::capture::streams::half::{Half, State};
use crate::capture::streams::postgres::units::Unit;
use crate::capture::streams::talk::{Handover, Piece};
use crate::capture::streams::waiting::{MAX_HEAD, MAX_TARGET, Statements, Waiting};
use crate::capture::streams::{MAX_BODY, Turn};
use crate::capture::tcp::{Data, Event, Link, Side, What};
use crate::protocol::Protocol;
use crate::protocol::postgres::messages::{Messages, are_messages};
use crate::protocol::postgres::{
    MAX_OPENING, Opening, is_certain, is_of_client, is_of_server, opening,
};
use crate::recording::Flags;

const COMMANDS: &str = "postgres command";
const RESPONSES: &str = "postgres response";
const LOGIN: &str = "postgres login";

/// Bytes of each message of a server that are kept: tags and errors.
const KEEP: usize = 1_024;

/// One connection.
#[derive(Debug)]
pub(super) struct Postgres {
    waiting: Waiting,
    phase: Phase,
    /// The front of an opening that is not whole yet.
    opening: Vec<u8>,
    commands: Half<Messages>,
    responses: Half<Messages>,
    /// The exchange that the next message of the client may belong to.
    unit: Option<Unit>,
    statements: Statements<Vec<u8>>,
    /// Name of the statement that was bound last.
    bound: Vec<u8>,
    handover: Option<Handover>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client is to open the connection.
    Opening,
    /// The server is to say by one byte whether it encrypts.
    Asked,
    /// Until the server is ready for the first time.
    Login,
    Commands,
}

/// What takes a side apart.
fn parser(is_client: bool) -> Messages {
    if is_client {
        Messages::new(MAX_BODY, is_of_client)
    } else {
        Messages::new(KEEP, is_of_server)
    }
}

impl Postgres {
    pub(super) fn new(link: Link, handover: &Handover) -> Self {
        let mut waiting = Waiting::new(Protocol::Postgres, link, handover);
        // Whoever sent the bytes that told the protocol asks.
        let (side, front) = handover.front();
        waiting.client = side.or(waiting.client);
        let is_opened = opening(&front).is_some();
        waiting.is_begun |= is_opened;
        let (phase, responses) = if is_opened {
            (Phase::Opening, State::Reading)
        } else {
            (Phase::Commands, State::Seeking("before the first message"))
        };
        Self {
            waiting,
            phase,
            opening: Vec::new(),
            commands: Half::new(parser(true), State::Reading),
            responses: Half::new(parser(false), responses),
            unit: None,
            statements: Statements::new(),
            bound: Vec::new(),
            handover: None,
        }
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        let reading = self.opening.len() + self.commands.parser.kept() + self.bound.len();
        reading + self.waiting.kept + self.statements.kept
    }

    pub(super) fn event(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) -> Option<Handover> {
        let is_client = self.waiting.client == Some(event.side);
        match event.what {
            What::Data(data) => self.data(is_client, event.side, data, turn),
            What::Gap(bytes) => self.gap(is_client, bytes, turn),
            What::End(_) => {
                if !is_client {
                    self.waiting.end(turn);
                }
                self.stop(is_client, State::Over("after the end"));
            }
            What::Closed => self.waiting.close(turn),
        }
        if turn.pressed {
            self.unit = None;
            self.waiting.forget(turn);
            self.commands.parser.shorten(MAX_TARGET);
        }
        if self.handover.is_some() {
            self.waiting.close(turn);
        }
        self.handover.take()
    }

    fn reader(&mut self, is_client: bool) -> &mut Half<Messages> {
        if is_client { &mut self.commands } else { &mut self.responses }
    }

    fn stop(&mut self, is_client: bool, state: State) {
        if !matches!(self.reader(is_client).state, State::Over(_)) {
            self.reader(is_client).restart(parser(is_client), state);
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
                    let begins = if is_client { is_certain } else { are_messages };
                    if !left.fresh || !begins(left.bytes) {
                        return turn.ledger.stream_bytes.end(bucket, left.bytes.len() as u64);
                    }
                    reader.state = State::Reading;
                    self.phase = Phase::Commands;
                }
                State::Reading => {}
            }
            let used = match (self.phase, is_client) {
                (Phase::Opening, true) => self.open(left, turn),
                (Phase::Asked, false) => self.asked(left, turn),
                // Whoever is not to speak now does so out of turn, and nothing of it is kept.
                (Phase::Opening, false) | (Phase::Asked, true) => {
                    turn.ledger.stream_bytes.end(LOGIN, left.bytes.len() as u64);
                    left.bytes.len()
                }
                (Phase::Login | Phase::Commands, _) => self.read(is_client, left, turn),
            };
            left.advance(used);
        }
    }

    /// Bytes of the client before its first message. Returns how many were used.
    fn open(&mut self, data: Data<'_>, turn: &mut Turn<'_>) -> usize {
        let before = self.opening.len();
        let room = MAX_OPENING - before.min(MAX_OPENING);
        let taken = data.bytes.len().min(room);
        self.opening.extend_from_slice(&data.bytes[..taken]);
        let Some((kind, length)) = opening(&self.opening) else {
            if self.opening.len() < 8 {
                turn.ledger.stream_bytes.end(LOGIN, taken as u64);
                return taken;
            }
            self.opening = Vec::new();
            self.stop(true, State::Over("not postgres"));
            self.stop(false, State::Over("not postgres"));
            return 0;
        };
        let used = length.saturating_sub(before).min(taken);
        turn.ledger.stream_bytes.end(LOGIN, used as u64);
        if self.opening.len() < length {
            return used;
        }
        self.opening = Vec::new();
        match kind {
            Opening::Tls | Opening::Gss => self.phase = Phase::Asked,
            Opening::Startup => self.phase = Phase::Login,
            Opening::Cancel => {
                turn.ledger.note("postgres cancel requests", 1);
                self.stop(true, State::Over(LOGIN));
                self.stop(false, State::Over(LOGIN));
            }
        }
        used
    }

    /// The server says whether it encrypts. Returns how many bytes were used.
    fn asked(&mut self, data: Data<'_>, turn: &mut Turn<'_>) -> usize {
        let answer = data.bytes.first().copied().unwrap_or_default();
        if !matches!(answer, b'S' | b'G' | b'N') {
            // A server that is too old, or full, answers by an error.
            self.phase = Phase::Login;
            return 0;
        }
        turn.ledger.stream_bytes.end(LOGIN, 1);
        match answer {
            b'S' => {
                // The client names its user inside.
                self.phase = Phase::Opening;
                self.handover = Some(self.waiting.to_tls(turn));
            }
            b'G' => {
                self.stop(true, State::Over("gssapi"));
                self.stop(false, State::Over("gssapi"));
            }
            _ => self.phase = Phase::Opening,
        }
        1
    }

    /// Messages. Returns how many bytes were used.
    fn read(&mut self, is_client: bool, data: Data<'_>, turn: &mut Turn<'_>) -> usize {
        let reader = self.reader(is_client);
        let mark = *reader.first.get_or_insert(data.mark);
        let mut rest = data.bytes;
        let Ok(message) = reader.parser.read(&mut rest) else {
            turn.ledger.stream_bytes.end("not postgres", data.bytes.len() as u64);
            self.lose(is_client, Flags::default(), "not postgres", turn);
            return data.bytes.len();
        };
        let used = data.bytes.len() - rest.len();
        let bucket = match (self.phase, is_client) {
            (Phase::Commands, true) => COMMANDS,
            (Phase::Commands, false) => RESPONSES,
            _ => LOGIN,
        };
        turn.ledger.stream_bytes.end(bucket, used as u64);
        let Some(message) = message else { return used };
        self.reader(is_client).first = None;
        match (self.phase, is_client) {
            (Phase::Commands, true) => self.sent(message, mark, turn),
            (Phase::Commands, false) => self.received(&message, mark, data.mark.at_ns, turn),
            (_, true) => {}
            (_, false) if message.kind == b'Z' => self.phase = Phase::Commands,
            (_, false) => {
                turn.ledger.note("postgres logins refused", u64::from(message.kind == b'E'));
            }
        }
        used
    }

    fn gap(&mut self, is_client: bool, bytes: u64, turn: &mut Turn<'_>) {
        let reader = self.reader(is_client);
        match reader.state {
            State::Over(_) => {}
            State::Seeking(_) => reader.after_loss = true,
            State::Reading if reader.parser.skip_lost(bytes) => reader.flags.insert(Flags::GAP),
            State::Reading => self.lose(is_client, Flags::GAP, "behind a gap", turn),
        }
    }

    /// Bytes are missing, or make no sense. A response goes on behind them: its end is certain.
    fn lose(&mut self, is_client: bool, flags: Flags, bucket: &'static str, turn: &mut Turn<'_>) {
        if is_client {
            self.unit = None;
            self.cut_command(flags, turn);
        } else if let Some(answer) = &mut self.waiting.answer {
            answer.flags.insert(flags);
            answer.flags.insert(Flags::RESPONSE_TRUNCATED);
        }
        self.stop(is_client, State::Seeking(bucket));
    }
}

/// As much of a text as a head holds.
fn head(text: &[u8]) -> Vec<u8> {
    text[..text.len().min(MAX_HEAD)].to_vec()
}
