//! The keys of one side, and how they follow each other; also behind a gap, where it is not known
//! how many records are missing.

use std::collections::VecDeque;

use crate::capture::streams::tls::framing::Record;
use crate::capture::streams::tls::{HANDSHAKES, WITHOUT_KEYS};
use crate::capture::tls::epoch::{Agreed, Epoch};
use crate::capture::tls::hello::Messages;
use crate::capture::tls::keylog::{Label, Random, Secrets};
use crate::capture::tls::record::{Content, HEADER, MAX_PAYLOAD};

/// Most numbers that are tried for the first record behind a gap, from the fewest records on that
/// can be missing: enough for a gap of 1.4 MiB in records of one segment each, and for any gap in
/// records of full length.
pub(super) const MAX_TRIED: u64 = 1024;

/// Ends of records that are remembered, to translate acknowledgements: those of 4 MiB in records
/// of full length. What acknowledges less than the oldest of them is taken to acknowledge nothing
/// that is known.
const MAX_ENDS: usize = 256;

/// One side.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) keys: Keys,
    /// What `keys` are made of.
    label: Option<Label>,
    pub(super) messages: Messages,
    /// Records that do not open belong to other keys, which are not known; until one opens, they
    /// end in the bucket.
    pub(super) foreign: Option<&'static str>,
    /// Where the next record begins in the stream.
    next: Option<u64>,
    /// Bytes of records that were lost since the last one that was opened.
    lost: u64,
    /// More may be lost than is known yet: the next record tells.
    pub(super) is_lossy: bool,
    /// Bytes of content so far: the offset in the opened stream.
    pub(super) content: u64,
    /// It has said that it sends nothing more.
    pub(super) is_closed: bool,
    /// Nothing more of this side is handed inside.
    pub(super) is_ended: bool,
    /// Ends of records: in the sealed stream, in the opened one.
    ends: VecDeque<(u64, u64)>,
}

#[derive(Debug, Default)]
pub(super) enum Keys {
    /// Nothing is sealed yet.
    #[default]
    None,
    /// Records are sealed with keys made of this secret.
    Wanted(Label),
    Known(Box<Epoch>),
}

/// A record, opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) content: Content,
    /// Bytes of content that are missing before it.
    pub(super) lost: u64,
}

impl Flow {
    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.messages.kept() + self.ends.len() * size_of::<(u64, u64)>()
    }

    /// Nothing of this side is opened any more.
    pub(super) fn forget(&mut self) {
        (self.messages, self.ends) = Default::default();
        self.keys = Keys::None;
    }

    /// From now on records are sealed with keys of this secret.
    pub(super) fn want(&mut self, label: Label) {
        (self.keys, self.label, self.foreign) = (Keys::Wanted(label), Some(label), None);
        self.messages = Messages::default();
    }

    /// What the keys are made of.
    pub(super) fn label(&self) -> Option<Label> {
        self.label
    }

    /// The keys after these ones follow.
    pub(super) fn update(&mut self) {
        if let Keys::Known(epoch) = &self.keys
            && let Some(next) = epoch.updated()
        {
            self.keys = Keys::Known(Box::new(next));
        }
    }

    /// Looks for the secret that is wanted. Where it was not logged, but a later one of this side
    /// was, the records in between are passed over. Returns whether there are keys now.
    pub(super) fn find_keys(&mut self, ground: &Ground<'_>) -> bool {
        let Keys::Wanted(wanted) = self.keys else {
            return true;
        };
        let labels = [Some(wanted), after(wanted), after(wanted).and_then(after)];
        for label in labels.into_iter().flatten() {
            if let Some(epoch) = ground.epoch(label) {
                if label != wanted {
                    let is_early = wanted == Label::ClientEarly;
                    self.foreign = Some(if is_early { WITHOUT_KEYS } else { HANDSHAKES });
                }
                (self.keys, self.label) = (Keys::Known(Box::new(epoch)), Some(label));
                return true;
            }
        }
        false
    }

    /// A record comes: is anything missing before it?
    pub(super) fn arrives(&mut self, record: &Record) {
        let missing = self.next.map_or(0, |next| record.start().saturating_sub(next));
        if missing > 0 {
            self.messages = Messages::default();
        }
        self.lost += missing;
        self.next = self.next.max(Some(record.end()));
    }

    /// Bytes are missing since the last record that was opened.
    pub(super) fn is_behind_a_loss(&self) -> bool {
        self.lost > 0
    }

    /// A record was of no use.
    pub(super) fn is_lost(&mut self, record: &Record) {
        self.lost += record.length();
    }

    /// Bytes of content that are missing where the stream ends; at least one if `is_cut`.
    pub(super) fn lost_at_end(&mut self, is_cut: bool) -> u64 {
        let lost = std::mem::take(&mut self.lost).max(u64::from(is_cut));
        if self.carries_content() && lost > 0 { self.content_of(lost, 1) } else { 0 }
    }

    /// Opens a record; behind a loss whichever number it may have.
    pub(super) fn open(&mut self, record: &Record, ground: &Ground<'_>) -> Option<Opened> {
        let (header, payload) = (record.header, &record.payload[..]);
        let Keys::Known(epoch) = &mut self.keys else {
            return None;
        };
        let mut opened = epoch
            .opener
            .open(epoch.seq, header, payload)
            .map(|content| Opened { content, lost: 0 });
        epoch.seq += u64::from(opened.is_some());
        if opened.is_none() && self.lost > 0 {
            opened = self.open_behind_a_loss(record, ground);
        }
        if let Keys::Known(epoch) = &mut self.keys {
            epoch.opener.passed(payload);
        }
        if opened.is_some() {
            (self.lost, self.is_lossy, self.foreign) = (0, false, None);
        }
        opened
    }

    /// Tries the numbers that a record can have, and the keys that can follow.
    fn open_behind_a_loss(&mut self, record: &Record, ground: &Ground<'_>) -> Option<Opened> {
        let Keys::Known(epoch) = &mut self.keys else {
            return None;
        };
        let fewest = self.lost / (HEADER + MAX_PAYLOAD) as u64;
        let most = self.lost / epoch.opener.overhead() as u64 + 1;
        let tried = |from: u64| from..=most.min(from + MAX_TRIED);
        let first = epoch.seq;
        for skipped in tried(fewest.max(1)) {
            let seq = first.saturating_add(skipped);
            if let Some(content) = epoch.opener.open(seq, record.header, &record.payload) {
                epoch.seq = seq.saturating_add(1);
                // The first record of TLS 1.2 and before is the end of a handshake.
                let is_handshake = first == 0 && skipped == 1 && self.label == Some(Label::Master);
                let is_content = self.carries_content() && !is_handshake;
                let lost = if is_content { self.content_of(self.lost, skipped) } else { 0 };
                return Some(Opened { content, lost });
            }
        }
        let updated = epoch.updated().map(|next| (next, self.label));
        let later = [self.label.and_then(after), self.label.and_then(after).and_then(after)];
        let later = later.into_iter().flatten();
        let later = later.filter_map(|label| Some((ground.epoch(label)?, Some(label))));
        for (mut next, label) in updated.into_iter().filter(|_| self.carries_content()).chain(later)
        {
            for seq in tried(0) {
                if let Some(content) = next.opener.open(seq, record.header, &record.payload) {
                    next.seq = seq.saturating_add(1);
                    (self.keys, self.label) = (Keys::Known(Box::new(next)), label);
                    let lost = if seq > 0 { self.content_of(self.lost, seq) } else { 0 };
                    return Some(Opened { content, lost });
                }
            }
        }
        None
    }

    /// The records under the present keys are more than a handshake.
    fn carries_content(&self) -> bool {
        !matches!(self.label, None | Some(Label::ClientHandshake | Label::ServerHandshake))
    }

    /// Bytes of content in so many bytes of so many records: exactly, unless records are padded.
    fn content_of(&self, bytes: u64, records: u64) -> u64 {
        let overhead = match &self.keys {
            Keys::Known(epoch) => epoch.opener.overhead() as u64,
            Keys::None | Keys::Wanted(_) => 0,
        };
        bytes.saturating_sub(records.saturating_mul(overhead)).max(1)
    }

    /// Bytes of a record before its content.
    pub(super) fn front(&self) -> usize {
        match &self.keys {
            Keys::Known(epoch) => HEADER + epoch.opener.front(),
            Keys::None | Keys::Wanted(_) => HEADER,
        }
    }

    /// The content of a record was handed inside.
    pub(super) fn ends(&mut self, record: &Record) {
        if self.ends.len() >= MAX_ENDS {
            self.ends.pop_front();
        }
        self.ends.push_back((record.end(), self.content));
    }

    /// How much of the content is in front of an offset of the sealed stream: the content of the
    /// records that are whole there. A peer that has acknowledged so much cannot have read more.
    /// Of content that is missing it has read something, however much that will turn out to be.
    /// `until` is where the sealed stream goes on, as far as it was seen.
    pub(super) fn content_before(&self, offset: u64, until: u64) -> Option<u64> {
        let whole = self.ends.partition_point(|(sealed, _)| *sealed <= offset);
        let is_beyond = self.next.is_some_and(|next| offset > next);
        let is_lost = self.is_lossy || offset > until;
        let missing = u64::from(is_lost && is_beyond && self.carries_content());
        match whole.checked_sub(1).and_then(|last| self.ends.get(last)) {
            Some((_, content)) => Some(*content + missing),
            None => (self.ends.len() < MAX_ENDS).then_some(missing),
        }
    }
}

/// What keys are made with.
pub(super) struct Ground<'a> {
    pub(super) agreed: Agreed,
    pub(super) random: Random,
    pub(super) is_client: bool,
    pub(super) secrets: &'a Secrets,
}

impl Ground<'_> {
    fn epoch(&self, label: Label) -> Option<Epoch> {
        let secret = self.secrets.get(&self.random, label)?;
        match label {
            Label::Master => Epoch::of_master(&self.agreed, &secret, self.is_client),
            _ => Epoch::of_secret(self.agreed.suite, secret),
        }
    }
}

/// The secret that follows on the same side.
fn after(label: Label) -> Option<Label> {
    match label {
        Label::ClientEarly => Some(Label::ClientHandshake),
        Label::ClientHandshake => Some(Label::ClientTraffic),
        Label::ServerHandshake => Some(Label::ServerTraffic),
        Label::Master | Label::ClientTraffic | Label::ServerTraffic => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tcp::Mark;
    use crate::capture::tls::record::Header;

    /// A record that begins at an offset and has so many bytes of payload.
    fn record(offset: u64, length: u8) -> Record {
        let mark = Mark { at_ns: 0, tick: 0, offset, ack: None };
        let payload = vec![0; usize::from(length)];
        Record { header: Header { bytes: [23, 3, 3, 0, length] }, payload, runs: vec![(0, mark)] }
    }

    #[test]
    fn acknowledgements_are_those_of_whole_records() {
        let mut flow = Flow::default();
        flow.want(Label::ServerTraffic);
        for (offset, content) in [(1000, 10), (1037, 30)] {
            let record = record(offset, 32);
            flow.arrives(&record);
            flow.content = content;
            flow.ends(&record);
        }
        let before = |offset| flow.content_before(offset, 1074);
        assert_eq!(before(1000), Some(0), "none of the first");
        assert_eq!(before(1036), Some(0), "not all of the first");
        assert_eq!(before(1037), Some(10));
        assert_eq!(before(1074), Some(30));
        // More than was seen: some of it was content, so that it cannot be acknowledged less.
        assert_eq!(before(1075), Some(31));
    }

    #[test]
    fn old_ends_are_forgotten() {
        let mut flow = Flow::default();
        for number in 0..2 * MAX_ENDS as u64 {
            flow.ends(&record(100 * number, 32));
        }
        assert_eq!(flow.ends.len(), MAX_ENDS);
        assert_eq!(flow.content_before(50, 0), None);
    }
}
