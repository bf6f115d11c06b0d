//! Bodies that stand in a recording's file behind its rows, and the list of where each of them is.
//!
//! They are in the same file because a file beside it would be forgotten by whoever moves one, and
//! outside of the rows because a cell is read and written as a whole. Other readers of Parquet
//! follow the footer, and pass over them.
//!
//! ```text
//!   rows │ body 0 │ body 1 │ … │ list: where, how long, SHA-256, 48 bytes each │ footer
//! ```

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use ring::digest::{Context, SHA256};

use crate::bytes::Cursor;
use crate::protocol::Protocol;
use crate::recording::Exchange;
use crate::recording::file::RecordingError;
use crate::recording::file::reader::Table;
use crate::recording::stored::spool::Spool;
use crate::recording::stored::{Digest, Recorded, STORED_FROM, Stored};

/// Bytes of a place in the list: where a body begins and how long it is, as 64 bits each with the
/// least first, and its SHA-256.
const ENTRY: usize = 48;

/// Memory for the changed bytes of a body, and of all of them, that are held until the recording is
/// written. Beyond it a body is copied: in hardly any large one so much is a secret.
const CHANGES_HELD: usize = 64 * 1024;
const CHANGES_HELD_IN_ALL: usize = 64 * 1024 * 1024;

/// Bodies that are to be written, in the order of their numbers.
pub(super) struct Bodies {
    all: Vec<Stored>,
    bytes: u64,
    /// Memory that their changes take.
    held: usize,
    /// The numbers of those that stand in another recording: however many rows name one, it is
    /// written once.
    known: HashMap<(usize, u64), u64>,
    /// For those that come in memory.
    spool: Arc<Spool>,
    beside: Box<Path>,
}

impl Bodies {
    pub(super) fn beside(path: &Path) -> Self {
        let spool = Arc::new(Spool::beside(path));
        let (all, known) = (Vec::new(), HashMap::new());
        Self { all, bytes: 0, held: 0, known, spool, beside: path.into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Leaves of an exchange's large body its number.
    pub(super) fn take_out_of(&mut self, exchange: &mut Exchange) -> Result<(), RecordingError> {
        let body = &exchange.request_body;
        let stored = match exchange.request_stored.take() {
            Some(stored) if self.is_much(stored.held()) => self.copied(&stored)?,
            Some(stored) => stored,
            None if is_stored(exchange) => {
                let mut stored = self.spool.begin();
                stored.append(body).map_err(|source| self.refused(source))?;
                exchange.request_body = ::bytes::Bytes::new();
                stored
            }
            None => return Ok(()),
        };
        let (mut number, length) = (self.all.len() as u64, stored.length());
        if let Some(place) = stored.unchanged_place() {
            number = *self.known.entry(place).or_insert(number);
        }
        exchange.request_stored = Some(Stored::numbered(number, length));
        if number == self.all.len() as u64 {
            self.bytes = self.bytes.saturating_add(length);
            self.held += stored.held();
            self.all.push(stored);
        }
        Ok(())
    }

    fn is_much(&self, held: usize) -> bool {
        held > CHANGES_HELD || held > 0 && self.held + held > CHANGES_HELD_IN_ALL
    }

    fn copied(&self, stored: &Stored) -> Result<Stored, RecordingError> {
        let mut copy = self.spool.begin();
        // What is copied is taken for what was recorded from now on.
        stored.check()?;
        stored.pieces(|piece| copy.append(piece).map_err(|source| self.refused(source)))?;
        Ok(copy)
    }

    fn refused(&self, source: std::io::Error) -> RecordingError {
        RecordingError::io("spool the body of a request beside", &self.beside, source)
    }

    /// Hands everything to `write`, from byte `at` of the file on; returns the footer's entry.
    pub(super) fn write(
        self,
        mut at: u64,
        write: &mut dyn FnMut(&[u8]) -> Result<(), RecordingError>,
    ) -> Result<String, RecordingError> {
        let mut list = Vec::new();
        let count = self.all.len();
        for stored in self.all {
            if stored.digest().is_none() {
                // Where its bytes come from another recording and some were changed.
                stored.check()?;
            }
            let mut context = Context::new(&SHA256);
            stored.pieces(|piece| {
                context.update(piece);
                write(piece)
            })?;
            let digest = context.finish();
            if stored.digest().is_some_and(|recorded| recorded != digest.as_ref()) {
                stored.check()?;
                // It was other bytes when they were copied, whatever it is now.
                return Err(stored.differs().into());
            }
            for part in [&at.to_le_bytes(), &stored.length().to_le_bytes(), digest.as_ref()] {
                list.extend_from_slice(part);
            }
            at = at.saturating_add(stored.length());
        }
        write(&list)?;
        Ok(format!("{at} {count}"))
    }
}

/// A whole body that the driver can send from the disk.
fn is_stored(exchange: &Exchange) -> bool {
    let Exchange { request_body: body, request_body_bytes: whole, protocol, .. } = exchange;
    let is_http = matches!(protocol, Protocol::Http1 | Protocol::Http2);
    is_http && body.len() > STORED_FROM && body.len() as u64 == *whole
}

/// Where a file's bodies are.
#[derive(Clone, Copy, Debug)]
pub(super) enum BodyList {
    /// With whoever writes it.
    Elsewhere,
    /// Behind the rows: where the list begins, and how many there are.
    Here { at: u64, count: u64 },
}

impl BodyList {
    /// Reads the footer's entry about a file of so many bytes; `None` when it makes no sense.
    pub(super) fn read(entry: Option<&str>, file_bytes: u64) -> Option<Self> {
        let Some(entry) = entry else { return Some(Self::Here { at: 0, count: 0 }) };
        let (at, count) = entry.split_once(' ')?;
        let (at, count) = (at.parse::<u64>().ok()?, count.parse::<u64>().ok()?);
        let end = count.checked_mul(ENTRY as u64)?.checked_add(at)?;
        (end <= file_bytes).then_some(Self::Here { at, count })
    }

    /// The body of a row, which says how long it is.
    pub(super) fn find(
        self,
        number: u64,
        length: u64,
        table: &Table,
    ) -> Result<Stored, &'static str> {
        let (list, count) = match self {
            Self::Elsewhere => return Ok(Stored::numbered(number, length)),
            Self::Here { at, count } => (at, count),
        };
        if number >= count {
            return Err("names a body that the file does not have");
        }
        let entry_of = |number: u64| {
            let mut entry = [0; ENTRY];
            let place = list.saturating_add(number.saturating_mul(ENTRY as u64));
            table
                .file
                .read_exact_at(&mut entry, place)
                .map_err(|_| "names a body whose place cannot be read")?;
            parse(&entry).ok_or("names a body without a place")
        };
        let (at, known, digest) = entry_of(number)?;
        // One stands behind the other, so that all of them together are no more than the file.
        if let Some(before) = number.checked_sub(1) {
            let (before, length, _) = entry_of(before)?;
            if before.checked_add(length) != Some(at) || length == 0 {
                return Err("names a body that does not begin where the one before it ends");
            }
        }
        if known != length {
            return Err("names a body that is not as long as `request_body_bytes` says");
        }
        if at.checked_add(length).is_none_or(|end| end > list) {
            return Err("names a body that is not within the file");
        }
        let (file, path) = (Arc::clone(&table.file), Arc::clone(&table.path));
        Ok(Stored::recorded(Recorded { file, path, number, at, digest }, length))
    }
}

fn parse(entry: &[u8]) -> Option<(u64, u64, Digest)> {
    let mut cursor = Cursor::new(entry);
    let at = u64::from_le_bytes(cursor.array()?);
    let length = u64::from_le_bytes(cursor.array()?);
    Some((at, length, cursor.array()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footers_entry_is_within_the_file_or_nothing() {
        let read = |entry| match BodyList::read(entry, 1_000) {
            Some(BodyList::Here { at, count }) => Some((at, count)),
            _ => None,
        };
        assert_eq!(read(None), Some((0, 0)));
        assert_eq!(read(Some("904 2")), Some((904, 2)));
        for entry in ["905 2", "0 21", "1", "", "a 1", "-1 1", "18446744073709551615 1"] {
            assert_eq!(read(Some(entry)), None, "{entry}");
        }
        assert_eq!(read(Some("0 384307168202282326")), None, "a product beyond 2^64");
    }
}
