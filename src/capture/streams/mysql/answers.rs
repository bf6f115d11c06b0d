//! The response being read.

use crate::capture::pairing::{Answer, Request};
use crate::capture::streams::waiting::{MAX_HEAD, One};
use crate::protocol::mysql::command::answered;
use crate::protocol::mysql::packets::Packet;
use crate::protocol::mysql::response::{Response, Step, Terms, message};
use crate::recording::Flags;

/// The response to the first command that waits.
#[derive(Debug)]
pub(super) struct Current {
    response: Response,
    /// Its command had a secret, which an error may quote.
    is_secret: bool,
    pub(super) is_over: bool,
    /// It is over unless the next packet is an end of its own.
    pub(super) is_perhaps_over: bool,
}

impl Current {
    pub(super) fn new(one: &One) -> Self {
        let number = u8::try_from(one.expects).unwrap_or_default();
        Self {
            response: Response::new(answered(number)),
            is_secret: one.request.flags.contains(Flags::REDACTED),
            is_over: false,
            is_perhaps_over: false,
        }
    }

    /// Number of the statement that was prepared.
    pub(super) fn prepared(&self) -> Option<u32> {
        self.response.prepared
    }

    /// Takes the next packet of the server.
    pub(super) fn packet(&mut self, packet: &Packet, terms: &mut Terms, answer: &mut Answer) {
        answer.body_bytes += packet.bytes;
        let step = self.response.packet(packet, terms);
        self.is_perhaps_over = step == Step::PerhapsOver;
        let Step::Over { error } = step else { return };
        self.is_over = true;
        let mut text = message(packet);
        if let Some(number) = error {
            answer.status = number;
            answer.flags.insert(Flags::ERROR_REPLY);
            // The state stands in front of the message, which may quote the statement.
            let state = text.len().min(if text.starts_with(b"#") { 6 } else { 0 });
            text = if self.is_secret { &text[..state] } else { text };
        }
        answer.head = text[..text.len().min(MAX_HEAD)].to_vec().into();
    }
}

/// The text that a statement is known by.
pub(super) fn text_of(request: &Request) -> Vec<u8> {
    request.line.target.clone().into_bytes()
}
