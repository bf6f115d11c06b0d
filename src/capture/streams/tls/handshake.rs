//! What is agreed on in handshakes, and which keys follow from it.

use crate::capture::streams::Turn;
use crate::capture::streams::tls::flow::Keys;
use crate::capture::streams::tls::framing::Record;
use crate::capture::streams::tls::{EARLY_DATA, Step, Tls, UNSUPPORTED, WITHOUT_KEYS};
use crate::capture::tcp::Side;
use crate::capture::tls::epoch::{Agreed, Version};
use crate::capture::tls::hello::{ClientHello, Message, ServerHello};
use crate::capture::tls::keylog::Label;

/// Most bytes of early data that wait for the server to take them or not; servers take 16 KiB.
pub(super) const MAX_EARLY: usize = 256 << 10;

/// Data that a client sends with its first hello, before the server has said anything.
#[derive(Debug, Default)]
pub(super) struct Early {
    state: State,
    held: Vec<Record>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    None,
    /// It comes, and the server has not said whether it takes it.
    Offered,
    Taken,
    Refused,
}

impl Early {
    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_offered(&self) -> bool {
        self.state == State::Offered
    }

    pub(super) fn is_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// Keeps a record until the server has said whether it takes it.
    pub(super) fn hold(&mut self, record: Record, turn: &mut Turn<'_>) {
        if turn.pressed || self.bytes + record.kept() > MAX_EARLY {
            turn.ledger.stream_bytes.end("dropped by a limit", record.length());
            return;
        }
        self.bytes += record.kept();
        self.held.push(record);
    }

    /// Nobody will say it any more.
    pub(super) fn drop_held(&mut self, turn: &mut Turn<'_>) {
        for record in self.take_held() {
            turn.ledger.stream_bytes.end(EARLY_DATA, record.length());
        }
    }

    fn take_held(&mut self) -> Vec<Record> {
        self.bytes = 0;
        std::mem::take(&mut self.held)
    }
}

impl Tls {
    /// Content of a handshake.
    pub(super) fn handshake(&mut self, side: Side, bytes: &[u8], turn: &mut Turn<'_>) {
        for message in self.flows[side.index()].messages.push(bytes) {
            if self.over.is_none() {
                self.message(side, &message, turn);
            }
        }
    }

    fn message(&mut self, side: Side, message: &Message, turn: &mut Turn<'_>) {
        let label = self.flows[side.index()].label();
        match message {
            Message::ClientHello(hello) => self.client_hello(side, hello, turn),
            Message::ServerHello(hello) => self.server_hello(side, hello, turn),
            Message::EncryptedExtensions { early_data }
                if label == Some(Label::ServerHandshake) =>
            {
                self.decide_early(*early_data);
            }
            Message::EndOfEarlyData if label == Some(Label::ClientEarly) => {
                self.flows[side.index()].want(Label::ClientHandshake);
            }
            Message::Finished if label == Some(Label::ServerHandshake) => {
                self.decide_early(false);
                self.flows[side.index()].want(Label::ServerTraffic);
            }
            Message::Finished if label == Some(Label::ClientHandshake) => {
                self.flows[side.index()].want(Label::ClientTraffic);
            }
            Message::KeyUpdate
                if matches!(label, Some(Label::ClientTraffic | Label::ServerTraffic)) =>
            {
                turn.ledger.note("tls key updates", 1);
                self.flows[side.index()].update();
            }
            _ => {}
        }
    }

    fn client_hello(&mut self, side: Side, hello: &ClientHello, turn: &mut Turn<'_>) {
        if matches!(self.flows[side.index()].keys, Keys::Known(_)) {
            turn.ledger.note("tls renegotiations", 1);
        }
        self.client = Some((side, hello.random));
        if hello.early_data && self.early.state == State::None && !self.is_retried {
            self.early.state = State::Offered;
        }
    }

    fn server_hello(&mut self, side: Side, hello: &ServerHello, turn: &mut Turn<'_>) {
        let Some((client, random)) = self.client.filter(|(client, _)| *client != side) else {
            return self.give_up(WITHOUT_KEYS, Some("tls connections without hello"), turn);
        };
        if hello.is_retry {
            self.is_retried = true;
            self.decide_early(false);
            return;
        }
        self.agreed = Agreed::new(random, hello);
        let Some(agreed) = self.agreed else {
            let ServerHello { version, suite, .. } = hello;
            let note = format!("tls connections of version {version:#06x} in suite {suite:#06x}");
            return self.give_up(UNSUPPORTED, Some(&note), turn);
        };
        if agreed.version == Version::Tls13 {
            self.flows[side.index()].want(Label::ServerHandshake);
            self.flows[client.index()].want(Label::ClientHandshake);
        } else {
            self.decide_early(false);
        }
    }

    /// A side seals what follows, or seals it with other keys.
    pub(super) fn change_cipher(&mut self, side: Side, turn: &mut Turn<'_>) {
        match self.agreed.map(|agreed| agreed.version) {
            // It says nothing in TLS 1.3, and comes before its hello, too.
            Some(Version::Tls13) => {}
            Some(_) => self.flows[side.index()].want(Label::Master),
            None if self.is_retried || self.is_client(side) => {}
            None => self.give_up(WITHOUT_KEYS, Some("tls connections without hello"), turn),
        }
    }

    /// The server has said whether it takes early data: what was held is read now.
    pub(super) fn decide_early(&mut self, is_taken: bool) {
        let Some((client, _)) = self.client.filter(|_| self.early.is_offered()) else {
            return;
        };
        self.early.state = if is_taken { State::Taken } else { State::Refused };
        let flow = &mut self.flows[client.index()];
        if is_taken {
            flow.want(Label::ClientEarly);
        } else if self.agreed.is_some_and(|agreed| agreed.version == Version::Tls13) {
            flow.want(Label::ClientHandshake);
            flow.foreign = Some(EARLY_DATA);
        }
        for record in self.early.take_held().into_iter().rev() {
            let step = Step::Record(client, record);
            self.queued += step.kept();
            self.queue.push_front(step);
        }
    }
}
