//! Messages of the client as exchanges.

use crate::capture::streams::Turn;
use crate::capture::streams::half::State;
use crate::capture::streams::postgres::Postgres;
use crate::capture::streams::waiting::{Command, MAX_TARGET, Statement};
use crate::capture::tcp::Mark;
use crate::protocol::postgres::messages::Message;
use crate::protocol::postgres::{name, statement, text};
use crate::protocol::sql::{redact, speaks_of_passwords};
use crate::recording::Flags;

/// What an exchange consists of that more messages may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Messages that go with anything.
    Other,
    /// A statement was parsed.
    Parse,
    /// A statement was bound, and perhaps executed.
    Run { is_executed: bool },
}

impl Unit {
    /// What it is with another message; `None` where that begins another exchange.
    fn with(self, kind: u8) -> Option<Self> {
        match (kind, self) {
            (b'P', Self::Other) => Some(Self::Parse),
            (b'B', Self::Other) => Some(Self::Run { is_executed: false }),
            (b'E', Self::Other | Self::Run { is_executed: false }) => {
                Some(Self::Run { is_executed: true })
            }
            (b'P' | b'B' | b'E', _) => None,
            (_, unit) => Some(unit),
        }
    }
}

impl Postgres {
    /// A message of the client.
    pub(super) fn sent(&mut self, message: Message, mark: Mark, turn: &mut Turn<'_>) {
        let flags = std::mem::take(&mut self.commands.flags);
        match message.kind {
            b'Q' | b'F' => {
                self.close_unit(turn);
                self.ask(message, mark, flags, turn);
                if let Some(one) = self.waiting.last() {
                    (one.expects, one.syncs, one.is_open) = (0, true, false);
                }
            }
            // A file that is copied belongs to the command that asked for it.
            b'd' | b'c' | b'f' => self.waiting.add(&wire_of(&message), message.bytes),
            // The end, and answers in a login.
            b'X' | b'p' => {}
            kind => {
                if let Some(unit) = self.unit.and_then(|unit| unit.with(kind)) {
                    self.unit = Some(unit);
                    self.join(message, flags);
                } else {
                    self.close_unit(turn);
                    self.unit = Unit::Other.with(kind);
                    self.ask(message, mark, flags, turn);
                }
                if let Some(one) = self.waiting.last() {
                    one.expects += u32::from(b"PBEDC".contains(&kind));
                    one.syncs |= kind == b'S';
                    one.is_open = kind != b'S';
                }
                if kind == b'S' {
                    self.unit = None;
                }
            }
        }
    }

    /// Another exchange begins.
    fn ask(&mut self, mut message: Message, mark: Mark, mut flags: Flags, turn: &mut Turn<'_>) {
        if matches!(self.responses.state, State::Seeking(_)) {
            // What was being read when bytes got lost was over before this was asked.
            self.waiting.end(turn);
        }
        let target = self.prepare(&mut message, &mut flags);
        let (method, body_bytes) = (name(message.kind).unwrap_or("OTHER"), message.bytes);
        let body = wire_of(&message);
        if (body.len() as u64) < body_bytes {
            flags.insert(Flags::REQUEST_TRUNCATED);
        }
        let command = Command { mark, method, target: &target, body, body_bytes, flags };
        self.waiting.ask(command, turn).expects = 0;
    }

    /// A message belongs to the exchange before it.
    fn join(&mut self, mut message: Message, mut flags: Flags) {
        let target = self.prepare(&mut message, &mut flags);
        self.waiting.add(&wire_of(&message), message.bytes);
        let Some(one) = self.waiting.last() else { return };
        one.request.flags.insert(flags);
        let line = &mut one.request.line;
        if let (b'P' | b'B' | b'E', Some(method)) = (message.kind, name(message.kind)) {
            method.clone_into(&mut line.method);
        }
        if line.target.is_empty() {
            let cut = &target[..target.len().min(MAX_TARGET)];
            (line.target, _) = crate::capture::line::text(cut);
        }
    }

    /// Takes the secrets out of a message; returns the statement that it is about.
    fn prepare(&mut self, message: &mut Message, flags: &mut Flags) -> Vec<u8> {
        let Message { kind, kept, .. } = message;
        let range = text(*kind, kept);
        if kept.get_mut(range.clone()).is_some_and(redact) {
            flags.insert(Flags::REDACTED);
        }
        let own = kept.get(range).unwrap_or_default().to_vec();
        let named = statement(*kind, kept).map(<[u8]>::to_vec);
        match (*kind, named) {
            (b'P', Some(named)) => {
                let is_secret = speaks_of_passwords(&own);
                self.statements.insert(named, Statement { text: own.clone(), is_secret });
                own
            }
            (b'B', Some(named)) => {
                let known = self.statements.get(&named).cloned().unwrap_or_default();
                let portal = kept.iter().position(|byte| *byte == 0).unwrap_or(kept.len());
                let values = (portal + named.len() + 2).min(kept.len());
                if known.is_secret && values < kept.len() {
                    kept[values..].fill(b'x');
                    flags.insert(Flags::REDACTED);
                }
                self.bound = named;
                known.text
            }
            (b'D', Some(named)) => self.text_of(&named),
            (b'C', Some(named)) => {
                let text = self.text_of(&named);
                self.statements.remove(&named);
                text
            }
            (b'E', _) => self.text_of(&self.bound),
            _ => own,
        }
    }

    fn text_of(&self, name: &[u8]) -> Vec<u8> {
        self.statements.get(name).map(|known| known.text.clone()).unwrap_or_default()
    }

    /// Nothing more joins the exchange that was sent last.
    pub(super) fn close_unit(&mut self, turn: &mut Turn<'_>) {
        self.unit = None;
        if let Some(one) = self.waiting.last() {
            one.is_open = false;
        }
        self.end_if_answered(turn);
    }

    /// A message will never be whole: a query is one all the same.
    pub(super) fn cut_command(&mut self, flags: Flags, turn: &mut Turn<'_>) {
        let Some(mark) = self.commands.first.take() else { return };
        let message = self.commands.parser.cut();
        if message.kind == b'Q' && !message.kept.is_empty() {
            self.commands.flags.insert(flags);
            self.sent(message, mark, turn);
        }
    }
}

/// The message as on the wire, as far as it is kept.
fn wire_of(message: &Message) -> Vec<u8> {
    let length = u32::try_from(message.bytes.saturating_sub(1)).unwrap_or(u32::MAX);
    [&[message.kind][..], &length.to_be_bytes(), &message.kept].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages each exchange has.
    fn units(kinds: &str) -> Vec<usize> {
        let (mut unit, mut found): (Option<Unit>, Vec<usize>) = (None, Vec::new());
        for kind in kinds.bytes() {
            if let Some(joined) = unit.and_then(|unit| unit.with(kind)) {
                unit = Some(joined);
                *found.last_mut().unwrap() += 1;
            } else {
                unit = Unit::Other.with(kind);
                found.push(1);
            }
            if kind == b'S' {
                unit = None;
            }
        }
        found
    }

    #[test]
    fn each_statement_is_parsed_and_executed_by_an_exchange_of_its_own() {
        assert_eq!(units("PBDES"), [1, 4]);
        assert_eq!(units("PDS"), [3]);
        assert_eq!(units("BES"), [3]);
        assert_eq!(units("BEBEBES"), [2, 2, 3]);
        assert_eq!(units("PBDEPBDES"), [1, 3, 1, 4]);
        assert_eq!(units("CPDS"), [4]);
        assert_eq!(units("BECSS"), [4, 1]);
        assert_eq!(units("EHES"), [2, 2]);
    }
}
