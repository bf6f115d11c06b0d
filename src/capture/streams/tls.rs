//! A connection in TLS: its records are opened with secrets that somebody logged, and what is
//! inside is read like any other connection.
//!
//! Sealed bytes end in the ledger as what became of their record; opened ones enter it anew and
//! are ended by whoever reads them. Without any secret only hellos are looked at.
//!
//! Secrets may come later than what they open: in a pcapng file they stand anywhere. As long as
//! some may come, a connection whose secrets are missing waits with its records, within limits.

mod witness;
mod framing;
mod flow;
mod handshake;
mod inside;

use std::collections::VecDeque;

use crate::capture::streams::Turn;
use crate::capture::streams::talk::Talk;
use crate::capture::streams::tls::flow::{Flow, Ground, Keys, Opened};
use crate::capture::streams::tls::framing::{Framing, Record};
use crate::capture::streams::tls::handshake::Early;
use crate::capture::streams::tls::witness::Witness;
use crate::capture::tcp::{End, Event, Link, Side, What};
use crate::capture::tls::epoch::{Agreed, Version};
use crate::capture::tls::keylog::{Label, Random, Secrets};
use crate::capture::tls::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};

/// Most bytes of a connection that wait for its secrets: what is sent before a program that logs
/// them late, or a capture that writes them late, has done so.
pub const MAX_WAITING: usize = 1 << 20;

/// Most bytes that wait for secrets, over all connections. Beyond it closed connections go without
/// them, those first that have waited for longest; then nobody waits.
pub const MAX_WAITING_IN_ALL: usize = 64 << 20;

/// Records in a row that cannot be opened, before a connection is given up: one may be damaged,
/// more mean that the secrets are those of another connection.
pub const MAX_FAILURES: u32 = 8;

/// The note of connections whose secrets did not come before a limit of waiting was reached.
pub(super) const WAITED: &str = "tls connections that waited too long for secrets";

/// The notes of handshakes, by what they were.
const IN_FULL: &str = "tls handshakes in full";
const RESUMED: &str = "tls handshakes that resumed a session";

/// The bucket of everything where no secret is known of any connection.
const NO_SECRETS: &str = "tls";
/// The bucket of handshakes, alerts, and what else carries no application data.
const HANDSHAKES: &str = "tls handshake";
/// The bucket of application data that was opened.
const DECRYPTED: &str = "tls, decrypted";
/// The bucket of connections that nobody has logged secrets of, or whose hello is missing.
const WITHOUT_KEYS: &str = "tls without keys";
/// The bucket of early data that the server did not take: the client sends it again.
const EARLY_DATA: &str = "tls early data, not taken";
const BEHIND_A_GAP: &str = "tls not decrypted: behind a gap";
const CUT: &str = "tls not decrypted: record not whole";
const BAD_RECORD: &str = "tls not decrypted: bad record";
const WRONG_KEY: &str = "tls not decrypted: wrong key";
const UNSUPPORTED: &str = "tls not decrypted: unsupported suite or version";

/// One connection.
#[derive(Debug)]
pub(super) struct Tls {
    link: Link,
    /// Looks whether a session is resumed, until that is known.
    witness: Option<Box<Witness>>,
    framing: [Framing; 2],
    flows: [Flow; 2],
    /// Who sent the first hello, and its random bytes.
    client: Option<(Side, Random)>,
    agreed: Option<Agreed>,
    early: Early,
    /// The server has asked for a second hello.
    is_retried: bool,
    /// What has not been looked at yet, because secrets are missing.
    queue: VecDeque<Step>,
    /// Bytes in `queue`.
    queued: usize,
    /// Nothing is opened any more: all bytes end in the bucket.
    over: Option<&'static str>,
    /// A record was opened.
    is_open: bool,
    /// Records in a row that could not be opened.
    failures: u32,
    /// What is inside.
    inner: Option<Box<Talk>>,
}

/// What happens next, once its secrets are there.
#[derive(Debug)]
enum Step {
    Record(Side, Record),
    /// Bytes are missing.
    Gap(Side),
    /// The side ends; the flag says that bytes are missing right before it.
    End(Side, End, bool),
    Closed,
}

impl Tls {
    pub(super) fn new(link: Link, turn: &Turn<'_>) -> Self {
        // Without any secret nothing is opened.
        let over = (!turn.can_wait() && turn.secrets.is_empty()).then_some(NO_SECRETS);
        Self {
            link,
            witness: Some(Box::default()),
            framing: Default::default(),
            flows: Default::default(),
            client: None,
            agreed: None,
            early: Early::default(),
            is_retried: false,
            queue: VecDeque::new(),
            queued: 0,
            over,
            is_open: false,
            failures: 0,
            inner: None,
        }
    }

    /// Who reads what is inside.
    pub(super) fn inner(&self) -> Option<&Talk> {
        self.inner.as_deref()
    }

    /// What was spoken before goes on inside.
    pub(super) fn carry(&mut self, talk: Talk) {
        if self.over.is_none() {
            self.inner = Some(Box::new(talk));
        }
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        let framing = self.framing.iter().map(Framing::kept).sum::<usize>();
        let flows = self.flows.iter().map(Flow::kept).sum::<usize>();
        let inner = self.inner.as_ref().map_or(0, |inner| inner.kept());
        let witness = self.witness.as_ref().map_or(0, |witness| witness.kept());
        framing + flows + inner + witness + self.early.kept() + self.queued
    }

    /// Bytes that wait for secrets.
    pub(super) fn waiting(&self) -> usize {
        if self.queue.is_empty() { 0 } else { self.queued + size_of::<Self>() }
    }

    pub(super) fn event(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) {
        let side = event.side;
        self.watch(event, turn);
        match event.what {
            What::Data(data) => {
                if let Some(bucket) = self.over {
                    return turn.ledger.stream_bytes.end(bucket, data.bytes.len() as u64);
                }
                let records = self.framing[side.index()].data(&data, turn);
                for record in records {
                    self.push(Step::Record(side, record));
                }
            }
            What::Gap(bytes) => {
                self.framing[side.index()].gap(bytes, turn);
                self.push(Step::Gap(side));
            }
            What::End(end) => {
                let framing = &mut self.framing[side.index()];
                let is_cut = framing.is_cut();
                framing.lose(self.over.unwrap_or(CUT), turn);
                self.push(Step::End(side, end, is_cut));
            }
            What::Closed => {
                self.push(Step::Closed);
            }
        }
        self.go_on(turn);
    }

    /// Whether a session is resumed is told before anything is sealed, and so without secrets.
    fn watch(&mut self, event: &Event<'_>, turn: &mut Turn<'_>) {
        let Some(witness) = &mut self.witness else { return };
        witness.event(event);
        if let Some(is_resumed) = witness.is_resumed() {
            let note = if is_resumed { RESUMED } else { IN_FULL };
            turn.ledger.note(note, 1);
            self.link.resumed = Some(is_resumed);
        }
        if witness.is_over() {
            self.witness = None;
        }
    }

    /// Takes one step after the other, until one has to wait for secrets.
    pub(super) fn go_on(&mut self, turn: &mut Turn<'_>) {
        while let Some(step) = self.queue.pop_front() {
            if !self.is_ready(&step, turn) {
                self.queue.push_front(step);
                if turn.can_wait() && self.queued <= MAX_WAITING {
                    return;
                }
                turn.ledger.note(WAITED, u64::from(turn.can_wait()));
                if turn.secrets.is_empty() {
                    self.give_up(NO_SECRETS, None, turn);
                } else {
                    self.give_up(WITHOUT_KEYS, Some("tls connections without keys"), turn);
                }
                continue;
            }
            self.queued = self.queued.saturating_sub(step.kept());
            match step {
                Step::Record(side, record) => self.record(side, record, turn),
                Step::Gap(side) => self.flows[side.index()].is_lossy = true,
                Step::End(side, end, is_cut) => self.end((side, is_cut), end, turn),
                Step::Closed => self.close(turn),
            }
        }
    }

    fn push(&mut self, step: Step) {
        self.queued += step.kept();
        self.queue.push_back(step);
    }

    /// The secrets that a step needs are there, if it needs any.
    fn is_ready(&mut self, step: &Step, turn: &Turn<'_>) -> bool {
        let Step::Record(side, record) = step else {
            return true;
        };
        if self.over.is_some() || self.is_unsealed(record) || self.has_to_wait(*side, record) {
            return true;
        }
        let Some(ground) = self.ground(*side, turn.secrets) else {
            return true;
        };
        self.flows[side.index()].find_keys(&ground)
    }

    /// What the keys of a side are made with, once both hellos were seen.
    fn ground<'s>(&self, side: Side, secrets: &'s Secrets) -> Option<Ground<'s>> {
        let (client, random) = self.client?;
        Some(Ground { agreed: self.agreed?, random, is_client: client == side, secrets })
    }

    /// Early data is read once it is known whether the server has taken it.
    fn has_to_wait(&self, side: Side, record: &Record) -> bool {
        self.is_client(side) && self.early.is_offered() && record.header.kind() == APPLICATION_DATA
    }

    fn is_client(&self, side: Side) -> bool {
        self.client.is_some_and(|(client, _)| client == side)
    }

    /// Records that say in TLS 1.3 what they said before it, for the sake of machines in between.
    fn is_unsealed(&self, record: &Record) -> bool {
        let is_tls13 = self.agreed.is_some_and(|agreed| agreed.version == Version::Tls13);
        is_tls13 && record.header.kind() == CHANGE_CIPHER_SPEC
    }

    fn record(&mut self, side: Side, record: Record, turn: &mut Turn<'_>) {
        if let Some(bucket) = self.over {
            return turn.ledger.stream_bytes.end(bucket, record.length());
        }
        if self.has_to_wait(side, &record) {
            return self.early.hold(record, turn);
        }
        let is_unsealed = self.is_unsealed(&record);
        let flow = &mut self.flows[side.index()];
        flow.arrives(&record);
        if is_unsealed {
            turn.ledger.stream_bytes.end(HANDSHAKES, record.length());
        } else if matches!(flow.keys, Keys::None) {
            self.unsealed(side, &record, turn);
        } else {
            self.sealed(side, &record, turn);
        }
    }

    /// A record of a side that has no keys yet.
    fn unsealed(&mut self, side: Side, record: &Record, turn: &mut Turn<'_>) {
        let kind = record.header.kind();
        if kind == APPLICATION_DATA {
            if self.is_client(side) && self.early.is_refused() {
                return turn.ledger.stream_bytes.end(EARLY_DATA, record.length());
            }
            // The message that begins sealing may be missing.
            let is_behind_a_loss = self.flows[side.index()].is_behind_a_loss();
            if let Some(ground) = self.ground(side, turn.secrets).filter(|_| is_behind_a_loss) {
                let flow = &mut self.flows[side.index()];
                flow.want(Label::Master);
                if flow.find_keys(&ground) {
                    return self.sealed(side, record, turn);
                }
            }
            turn.ledger.stream_bytes.end(WITHOUT_KEYS, record.length());
            return self.give_up(WITHOUT_KEYS, Some("tls connections without hello"), turn);
        }
        turn.ledger.stream_bytes.end(HANDSHAKES, record.length());
        match kind {
            HANDSHAKE => self.handshake(side, &record.payload, turn),
            CHANGE_CIPHER_SPEC => self.change_cipher(side, turn),
            _ => {}
        }
    }

    /// A record of a side that has keys.
    fn sealed(&mut self, side: Side, record: &Record, turn: &mut Turn<'_>) {
        let ground = self.ground(side, turn.secrets);
        let opened = ground.and_then(|ground| self.flows[side.index()].open(record, &ground));
        let Some(Opened { content, lost }) = opened else {
            return self.fail(side, record, turn);
        };
        if !self.is_open {
            turn.ledger.note("tls connections decrypted", 1);
        }
        (self.is_open, self.failures) = (true, 0);
        let is_data = content.kind == APPLICATION_DATA;
        let bucket = if is_data { DECRYPTED } else { HANDSHAKES };
        turn.ledger.stream_bytes.end(bucket, record.length());
        if self.flows[side.index()].label() == Some(Label::ServerTraffic) {
            // Whether early data was taken was said before, in a record that is missing.
            self.decide_early(false);
        }
        self.lose(side, lost, turn);
        match (content.kind, &content.bytes[..]) {
            (APPLICATION_DATA, bytes) => self.content(side, record, bytes, turn),
            (HANDSHAKE, bytes) => self.handshake(side, bytes, turn),
            (CHANGE_CIPHER_SPEC, _) => self.change_cipher(side, turn),
            // Nothing more comes from this side.
            (ALERT, [_, 0]) => {
                self.flows[side.index()].is_closed = true;
                self.end_inside(side, End::Fin, turn);
            }
            _ => {}
        }
    }

    /// A record cannot be opened.
    fn fail(&mut self, side: Side, record: &Record, turn: &mut Turn<'_>) {
        let flow = &mut self.flows[side.index()];
        if let Some(bucket) = flow.foreign {
            return turn.ledger.stream_bytes.end(bucket, record.length());
        }
        flow.is_lost(record);
        self.failures += 1;
        let bucket = if self.is_open { BAD_RECORD } else { WRONG_KEY };
        turn.ledger.stream_bytes.end(bucket, record.length());
        if self.failures == 1 && !self.is_open {
            turn.ledger.note("tls connections with a wrong key", 1);
        }
        turn.ledger.note("tls records that cannot be decrypted", 1);
        if self.failures >= MAX_FAILURES {
            self.give_up(bucket, None, turn);
        }
    }

    fn end(&mut self, (side, is_cut): (Side, bool), end: End, turn: &mut Turn<'_>) {
        let lost = self.flows[side.index()].lost_at_end(is_cut);
        self.lose(side, lost, turn);
        // Before TLS 1.3 either side closes both: what was under way was not to go on.
        let is_before_tls13 = self.agreed.is_some_and(|agreed| agreed.version < Version::Tls13);
        let is_closed = is_before_tls13 && self.flows[side.other().index()].is_closed;
        let end = if is_closed && end == End::Cut && lost == 0 { End::Fin } else { end };
        self.end_inside(side, end, turn);
    }

    fn close(&mut self, turn: &mut Turn<'_>) {
        self.early.drop_held(turn);
        self.inside(Side::First, What::Closed, turn);
        self.inner = None;
    }

    /// Nothing more is opened: whatever is inside of the connection is cut here.
    fn give_up(&mut self, bucket: &'static str, note: Option<&str>, turn: &mut Turn<'_>) {
        turn.ledger.note(note.unwrap_or_default(), u64::from(note.is_some()));
        self.over = Some(bucket);
        self.early.drop_held(turn);
        for side in [Side::First, Side::Second] {
            self.framing[side.index()].lose(bucket, turn);
            self.end_inside(side, End::Cut, turn);
            self.flows[side.index()].forget();
        }
    }
}

impl Step {
    /// Bytes held.
    fn kept(&self) -> usize {
        let record = match self {
            Self::Record(_, record) => record.kept(),
            Self::Gap(_) | Self::End(..) | Self::Closed => 0,
        };
        size_of::<Self>() + record
    }
}
