//! A log file, read from its end on.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::act::canary::stream::{Counter, Seen};

/// A file that is followed through rotation and truncation.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<(File, u64)>,
    at: u64,
    is_behind: bool,
}

impl Tail {
    /// Opens a file at its end.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let mut tail = Self { path: path.to_owned(), file: None, at: 0, is_behind: false };
        let (mut file, id) = tail.open_file()?;
        tail.at = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
        tail.file = Some((file, id));
        Ok(tail)
    }

    fn open_file(&self) -> Result<(File, u64), String> {
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        let meta = file.metadata().map_err(|error| error.to_string())?;
        if !meta.is_file() {
            return Err("it is no file; name a command for what is not".to_owned());
        }
        Ok((file, meta.ino()))
    }

    /// More is written than is read.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Reads what was added, at most a bounded number of bytes at once.
    pub(super) fn read(&mut self, counter: &mut Counter, seen: &mut Seen) -> Changed {
        let (mut bytes, mut changed) = (Vec::new(), Changed::No);
        if let Some((file, _)) = &mut self.file {
            let length = file.metadata().map_or(0, |meta| meta.len());
            if length < self.at {
                counter.end(seen);
                self.at = 0;
                changed = Changed::Truncated;
            }
            let read = file
                .seek(SeekFrom::Start(self.at))
                .and_then(|_| file.take(READ_BYTES_MAX).read_to_end(&mut bytes));
            self.at += read.unwrap_or(0) as u64;
            self.is_behind = self.at < length;
            counter.add(seen, &bytes);
        }
        if !bytes.is_empty() {
            return changed;
        }
        // The old file is read out: has another one taken its name?
        let own = self.file.as_ref().map(|(_, id)| *id);
        let there = std::fs::metadata(&self.path).ok().map(|meta| meta.ino());
        if there.is_some()
            && there != own
            && let Ok(opened) = self.open_file()
        {
            // What the old file ended with does not go on in the new one.
            counter.end(seen);
            self.file = Some(opened);
            self.at = 0;
        }
        changed
    }
}

/// Whether lines may have gone before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// All were read.
    No,
    /// Those that were written just before may be gone.
    Truncated,
}

const READ_BYTES_MAX: u64 = 4 << 20;
