//! Bodies of requests that are too large for memory: they stand on the disk, and are read a piece
//! at a time.
//!
//! While a recording is made they are in a [`spool`]; in a recording they stand behind its rows, in
//! the same file. So a recording stays one file that can be moved, and none of its bodies can be
//! left behind.

pub mod spool;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use ring::digest::{Context, SHA256};

use crate::recording::stored::spool::Spooled;

/// A longer body of HTTP is stored apart from its row. Up to here bodies are held in memory, many
/// of them at once: forms, uploads of pictures, calls of an API. What is larger is nearly always a
/// file, which nobody looks into and which memory should not depend on.
pub const STORED_FROM: usize = 1 << 20;

/// Bytes that are copied or checked at a time.
const PIECE: usize = 1 << 20;

/// SHA-256 of a whole body.
pub type Digest = [u8; 32];

/// A body on the disk. Copies of it share what is there.
#[derive(Clone, Debug)]
pub struct Stored {
    source: Arc<Source>,
    length: u64,
    /// What stands in the place of the bytes that are there; sorted, without overlaps.
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Source {
    Spooled(Spooled),
    Recorded(Recorded),
    /// Its bytes are the writer's to find.
    Numbered(u64),
}

/// Where a body stands in a recording.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) file: Arc<File>,
    /// The recording, for people.
    pub(crate) path: Arc<Path>,
    /// Its position among the bodies of the recording, from 0.
    pub(crate) number: u64,
    /// Its first byte.
    pub(crate) at: u64,
    /// What its bytes were when they were written.
    pub(crate) digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    at: u64,
    bytes: Vec<u8>,
}

/// Why a body cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Its bytes cannot be read.
    #[error(
        "{place} cannot be read; the file was changed or cut since it was written: copy it again \
         from where it was made, or import the capture again"
    )]
    Read {
        /// The body and its file.
        place: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// Its bytes are others.
    #[error(
        "{place} is not what was recorded: its SHA-256 differs, so that other bytes would be sent; \
         copy the file again from where it was made, or import the capture again"
    )]
    Differs {
        /// The body and its file.
        place: String,
    },
}

impl Stored {
    pub(crate) fn recorded(recorded: Recorded, length: u64) -> Self {
        Self { source: Arc::new(Source::Recorded(recorded)), length, changes: Vec::new() }
    }

    pub(crate) fn numbered(number: u64, length: u64) -> Self {
        Self { source: Arc::new(Source::Numbered(number)), length, changes: Vec::new() }
    }

    fn spooled(spooled: Spooled) -> Self {
        Self { source: Arc::new(Source::Spooled(spooled)), length: 0, changes: Vec::new() }
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// SHA-256 of its bytes as they were recorded; `None` before they are, and where something was
    /// changed since.
    pub fn digest(&self) -> Option<&Digest> {
        match &*self.source {
            Source::Recorded(recorded) if self.changes.is_empty() => Some(&recorded.digest),
            _ => None,
        }
    }

    /// Where it begins in its recording, which no other body of it does.
    pub(crate) fn place(&self) -> Option<u64> {
        if let Source::Recorded(recorded) = &*self.source { Some(recorded.at) } else { None }
    }

    /// Which file it stands in, and where, unless something was changed since.
    pub(crate) fn unchanged_place(&self) -> Option<(usize, u64)> {
        match &*self.source {
            Source::Recorded(recorded) if self.changes.is_empty() => {
                Some((Arc::as_ptr(&recorded.file).addr(), recorded.at))
            }
            _ => None,
        }
    }

    /// The error that its bytes are others.
    pub(crate) fn differs(&self) -> StoredError {
        StoredError::Differs { place: self.shown() }
    }

    /// Its number among the bodies of a recording that is being written.
    pub(crate) fn number(&self) -> Option<u64> {
        if let Source::Numbered(number) = &*self.source { Some(*number) } else { None }
    }

    /// Adds bytes to one that is being written, of which there is no copy yet.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(Source::Spooled(spooled)) = Arc::get_mut(&mut self.source) else {
            return Err(io::Error::other("the body is written already"));
        };
        spooled.append(self.length, bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Reads as many bytes as `into` has room for, from `at` on.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let end = at.checked_add(into.len() as u64).filter(|end| *end <= self.length);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        match &*self.source {
            Source::Spooled(spooled) => spooled.read_at(at, into)?,
            Source::Recorded(recorded) => {
                recorded.file.read_exact_at(into, recorded.at.saturating_add(at))?;
            }
            Source::Numbered(_) => return Err(io::Error::other("the body is being written")),
        }
        let first = self.changes.partition_point(|change| change.end() <= at);
        let later = self.changes.get(first..).unwrap_or_default();
        for change in later.iter().take_while(|change| change.at < end) {
            let (from, to) = (change.at.max(at), change.end().min(end));
            let target = into.get_mut(position(from - at)..position(to - at));
            let bytes = change.bytes.get(position(from - change.at)..position(to - change.at));
            if let Some((target, bytes)) = target.zip(bytes) {
                target.copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// The first bytes, `most` of them or all.
    pub fn front(&self, most: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        let mut front = vec![0; length.min(most)];
        self.read_at(0, &mut front)?;
        Ok(front)
    }

    /// Its bytes, a piece at a time; ends early where `with` fails.
    pub(crate) fn pieces<E: From<StoredError>>(
        &self,
        mut with: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut buffer, mut at) = (vec![0; PIECE], 0);
        while at < self.length {
            let left = usize::try_from(self.length - at).unwrap_or(usize::MAX);
            let piece = buffer.get_mut(..left.min(PIECE)).unwrap_or_default();
            self.read_at(at, piece)
                .map_err(|source| StoredError::Read { place: self.shown(), source })?;
            at += piece.len() as u64;
            with(piece)?;
        }
        Ok(())
    }

    /// Its bytes are there, and those that were recorded.
    pub fn check(&self) -> Result<(), StoredError> {
        let Source::Recorded(recorded) = &*self.source else { return Ok(()) };
        let plain = Self { changes: Vec::new(), ..self.clone() };
        let mut context = Context::new(&SHA256);
        plain.pieces::<StoredError>(|piece| {
            context.update(piece);
            Ok(())
        })?;
        if context.finish().as_ref() == recorded.digest {
            return Ok(());
        }
        Err(StoredError::Differs { place: self.shown() })
    }

    /// With other bytes in its front: `new` instead of `old`, of the same length.
    #[must_use]
    pub(crate) fn changed(&self, old: &[u8], new: &[u8]) -> Self {
        let mut changes: Vec<Change> = Vec::new();
        for (at, (old, new)) in (0..).zip(old.iter().zip(new)) {
            if old == new {
                continue;
            }
            match changes.last_mut().filter(|last| last.end() == at) {
                Some(last) => last.bytes.push(*new),
                None => changes.push(Change { at, bytes: vec![*new] }),
            }
        }
        // What was changed before stays where it is not changed once more.
        let mut all: Vec<Change> =
            self.changes.iter().flat_map(|before| before.outside(&changes)).collect();
        all.append(&mut changes);
        all.sort_by_key(|change| change.at);
        Self { changes: all, ..self.clone() }
    }

    /// Bytes of memory that its changes take.
    pub(crate) fn held(&self) -> usize {
        self.changes.iter().map(|change| size_of::<Change>() + change.bytes.len()).sum()
    }

    fn shown(&self) -> String {
        match &*self.source {
            Source::Recorded(recorded) => format!(
                "{}: body {} of those behind the rows ({} bytes from byte {} of the file)",
                recorded.path.display(),
                recorded.number,
                self.length,
                recorded.at
            ),
            Source::Spooled(_) | Source::Numbered(_) => {
                format!("the spooled body of a request ({} bytes)", self.length)
            }
        }
    }
}

impl Change {
    fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    /// What of it is in none of `others`, which are sorted.
    fn outside(&self, others: &[Self]) -> Vec<Self> {
        let (mut left, mut at) = (Vec::new(), self.at);
        let end = Self { at: self.end(), bytes: Vec::new() };
        let over = others.iter().filter(|other| other.at < end.at && self.at < other.end());
        for other in over.chain([&end]) {
            let range = position(at - self.at)..position(other.at.max(at) - self.at);
            if let Some(bytes) = self.bytes.get(range).filter(|bytes| !bytes.is_empty()) {
                left.push(Self { at, bytes: bytes.to_vec() });
            }
            at = at.max(other.end());
        }
        left
    }
}

/// Two are equal where they are the same, or where the same was recorded.
impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        let is_same = Arc::ptr_eq(&self.source, &other.source) && self.changes == other.changes;
        let digests = self.digest().zip(other.digest());
        self.length == other.length && (is_same || digests.is_some_and(|(one, two)| one == two))
    }
}

impl Eq for Stored {}

/// A place within a buffer, which is at most as long as one.
fn position(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::stored::spool::Spool;

    fn stored(folder: &tempfile::TempDir, bytes: &[u8]) -> Stored {
        let spool = Arc::new(Spool::beside(&folder.path().join("peak.parquet")));
        let mut stored = spool.begin();
        stored.append(bytes).unwrap();
        stored
    }

    #[test]
    fn what_is_changed_is_read_wherever_a_piece_begins() {
        let folder = tempfile::tempdir().unwrap();
        let old = b"pin=1234&card=5678&rest=9";
        let plain = stored(&folder, old);
        let changed = plain.changed(old, b"pin=abcd&card=efgh&rest=9");
        assert_eq!(changed.changes.len(), 2);
        for from in 0..old.len() {
            for to in from..=old.len() {
                let mut piece = vec![0; to - from];
                changed.read_at(from as u64, &mut piece).unwrap();
                assert_eq!(piece, b"pin=abcd&card=efgh&rest=9"[from..to]);
            }
        }
        let again = changed.changed(b"pin=abcd&card=efgh", b"pin=abcd&card=xxxx");
        assert_eq!(again.front(100).unwrap(), b"pin=abcd&card=xxxx&rest=9");
        let inside = changed.changed(b"pin=abcd&card=efgh", b"pin=aXcd&card=eYYh");
        assert_eq!(inside.front(100).unwrap(), b"pin=aXcd&card=eYYh&rest=9");
        let over = inside.changed(b"pin=aXcd&card=eYYh&rest=9", b"pin=aXc..card=eYYh&rest=.");
        assert_eq!(over.front(100).unwrap(), b"pin=aXc..card=eYYh&rest=.");
        assert_eq!(plain.front(8).unwrap(), b"pin=1234", "the first one is as it was");
        assert!(plain != changed && plain == plain.clone());
    }

    #[test]
    fn nothing_is_read_behind_the_end_and_nothing_added_to_a_shared_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = stored(&folder, b"abc");
        let error = one.read_at(1, &mut [0; 3]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(one.read_at(u64::MAX, &mut [0; 3]).is_err());
        let other = one.clone();
        assert!(one.append(b"d").is_err());
        drop(other);
        one.append(b"d").unwrap();
        assert_eq!(one.front(9).unwrap(), b"abcd");
    }
}
