//! Messages of the server as responses.

use crate::capture::streams::Turn;
use crate::capture::streams::postgres::{Postgres, head};
use crate::capture::tcp::Mark;
use crate::protocol::postgres::error_text;
use crate::protocol::postgres::messages::Message;
use crate::recording::Flags;

impl Postgres {
    /// A message of the server, where it begins and when it ended.
    pub(super) fn received(
        &mut self,
        message: &Message,
        mark: Mark,
        at_ns: i64,
        turn: &mut Turn<'_>,
    ) {
        const UNASKED: &str = "postgres messages that answer nothing";
        if self.waiting.answer.is_none() {
            // Notices, parameters and notifications come at any time.
            if matches!(message.kind, b'N' | b'S' | b'A') {
                return turn.ledger.note(UNASKED, 1);
            }
            let after_loss = std::mem::take(&mut self.responses.after_loss);
            let is_asked = self.waiting.begin(mark, after_loss, turn).is_some();
            if !is_asked && matches!(message.kind, b'Z' | b'E') {
                self.waiting.answer = None;
                return turn.ledger.note(UNASKED, 1);
            }
        }
        let flags = std::mem::take(&mut self.responses.flags);
        self.read_on(message, at_ns, flags);
        if message.kind == b'Z' {
            self.synchronise(mark, at_ns, turn);
        } else {
            self.end_if_answered(turn);
        }
    }

    /// The message belongs to the response being read.
    fn read_on(&mut self, message: &Message, at_ns: i64, flags: Flags) {
        let is_asked = self.waiting.is_asked;
        let first = self.waiting.first().filter(|_| is_asked);
        let is_secret =
            first.as_ref().is_some_and(|first| first.request.flags.contains(Flags::REDACTED));
        if let Some(first) = first {
            let is_step = b"123CIsnTV".contains(&message.kind);
            first.expects = match message.kind {
                b'E' => 0,
                _ => first.expects.saturating_sub(u32::from(is_step)),
            };
        }
        let Some(answer) = &mut self.waiting.answer else { return };
        answer.body_bytes += message.bytes;
        answer.last_ns = at_ns;
        answer.flags.insert(flags);
        match message.kind {
            b'E' => {
                answer.flags.insert(Flags::ERROR_REPLY);
                answer.head = head(&error_text(&message.kept, is_secret)).into();
            }
            b'C' if answer.head.is_empty() => {
                let tag = message.kept.split(|byte| *byte == 0).next().unwrap_or_default();
                answer.head = head(tag).into();
            }
            _ => {}
        }
    }

    /// The first exchange ends where nothing more of its response is to come.
    pub(super) fn end_if_answered(&mut self, turn: &mut Turn<'_>) {
        let is_asked = self.waiting.is_asked && self.waiting.answer.is_some();
        let is_over =
            |one: &mut super::super::waiting::One| one.expects == 0 && !one.syncs && !one.is_open;
        if is_asked && self.waiting.first().is_some_and(is_over) {
            self.end_response(turn);
        }
    }

    /// The server is ready: everything up to the next `SYNC` is over. After an error it left out
    /// what was between.
    fn synchronise(&mut self, mark: Mark, at_ns: i64, turn: &mut Turn<'_>) {
        while self.waiting.is_asked && self.waiting.first().is_some_and(|first| !first.syncs) {
            // These bytes belong to the one that asked for them.
            if let Some(answer) = &mut self.waiting.answer {
                answer.body_bytes = answer.body_bytes.saturating_sub(READY_BYTES);
                let is_begun = answer.body_bytes > 0;
                if is_begun {
                    self.end_response(turn);
                } else {
                    self.waiting.answer = None;
                    self.waiting.give_up(1, turn);
                }
            }
            if self.waiting.begin(mark, false, turn).is_none() {
                self.waiting.answer = None;
                return;
            }
            if let Some(answer) = &mut self.waiting.answer {
                answer.body_bytes = READY_BYTES;
                answer.last_ns = at_ns;
            }
        }
        self.end_response(turn);
    }

    /// The response being read is whole, unless bytes of it were lost.
    fn end_response(&mut self, turn: &mut Turn<'_>) {
        if let Some(answer) = &mut self.waiting.answer {
            answer.whole = !answer.flags.contains(Flags::RESPONSE_TRUNCATED);
        }
        self.waiting.end(turn);
    }
}

/// Length of the message that says that the server is ready.
const READY_BYTES: u64 = 6;
