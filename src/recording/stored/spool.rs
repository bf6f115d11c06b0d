//! Where bodies stand while a recording is made: a file without a name beside it, in blocks that
//! any of them may have. Many bodies come at once, each a piece at a time, and some never end: what
//! none of them needs any more is used again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::recording::stored::Stored;

/// Bytes of a block: as many as the smallest body that is spooled has, so that hardly any is
/// wasted.
const BLOCK: u64 = 1 << 20;

/// Longest body that is kept whole unless another limit is named: longer than what servers are
/// commonly told to accept, and short enough that a single client cannot fill a disk at once.
pub const LONGEST: u64 = 16 << 30;

/// Most blocks of a spool, 64 GiB: many clients at once must not fill a disk either. A body for
/// which there is no room is cut, and counted.
const MAX_BLOCKS: u64 = 64 << 10;

/// A file for bodies, which is there from the first of them on, and gone with its owner.
#[derive(Debug)]
pub struct Spool {
    beside: PathBuf,
    longest: u64,
    file: OnceLock<File>,
    room: Mutex<Room>,
}

#[derive(Debug, Default)]
struct Room {
    /// Blocks of the file.
    blocks: u64,
    /// Those that nobody has any more.
    free: Vec<u64>,
}

impl Spool {
    /// One beside a file that is to be written; nothing happens before there is a body.
    pub fn beside(path: &Path) -> Self {
        let (file, room) = (OnceLock::new(), Mutex::default());
        Self { beside: path.to_owned(), longest: LONGEST, file, room }
    }

    /// Keeps bodies up to this length whole.
    #[must_use]
    pub fn up_to(self, longest: u64) -> Self {
        Self { longest, ..self }
    }

    /// Length of the longest body that is kept whole.
    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// A body without any bytes yet.
    pub fn begin(self: &Arc<Self>) -> Stored {
        Stored::spooled(Spooled { spool: Arc::clone(self), blocks: Vec::new() })
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block for one body alone.
    fn take(&self) -> io::Result<u64> {
        let mut room = self.room();
        if self.file.get().is_none() {
            let file = nameless(&self.beside)?;
            self.file.get_or_init(|| file);
        }
        if let Some(block) = room.free.pop() {
            return Ok(block);
        }
        if room.blocks >= MAX_BLOCKS {
            return Err(io::ErrorKind::StorageFull.into());
        }
        room.blocks += 1;
        Ok(room.blocks - 1)
    }

    fn file(&self) -> io::Result<&File> {
        self.file.get().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A file that only this process can find, and that goes with it.
fn nameless(beside: &Path) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(beside);
    let number = NUMBER.fetch_add(1, Relaxed);
    name.push(format!(".bodies-{}-{number}.inprogress", std::process::id()));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&name)?;
    fs::remove_file(&name)?;
    Ok(file)
}

/// The blocks of one body.
#[derive(Debug)]
pub(super) struct Spooled {
    spool: Arc<Spool>,
    blocks: Vec<u64>,
}

impl Spooled {
    /// Writes bytes behind the first `length`.
    pub(super) fn append(&mut self, length: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut at, mut left) = (length, bytes);
        while !left.is_empty() {
            let (block, inside) = (at / BLOCK, at % BLOCK);
            if block >= self.blocks.len() as u64 {
                self.blocks.push(self.spool.take()?);
            }
            let (piece, behind) = left.split_at(within(BLOCK - inside, left.len()));
            let place = self.place(block, inside)?;
            self.spool.file()?.write_all_at(piece, place)?;
            at += piece.len() as u64;
            left = behind;
        }
        Ok(())
    }

    pub(super) fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let (mut at, mut left) = (at, into);
        while !left.is_empty() {
            let inside = at % BLOCK;
            let (piece, behind) = left.split_at_mut(within(BLOCK - inside, left.len()));
            let place = self.place(at / BLOCK, inside)?;
            self.spool.file()?.read_exact_at(piece, place)?;
            at += piece.len() as u64;
            left = behind;
        }
        Ok(())
    }

    fn place(&self, block: u64, inside: u64) -> io::Result<u64> {
        let block = usize::try_from(block).ok().and_then(|block| self.blocks.get(block));
        let block = block.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(block * BLOCK + inside)
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        let mut room = self.spool.room();
        room.free.append(&mut self.blocks);
        // Nobody has any of it: the disk gets it back. If it does not, it is used again.
        if room.free.len() as u64 == room.blocks
            && let Some(file) = self.spool.file.get()
            && file.set_len(0).is_ok()
        {
            *room = Room::default();
        }
    }
}

fn within(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(seed: u8, count: usize) -> Vec<u8> {
        (0..count).map(|at| seed ^ at.to_le_bytes()[0] ^ (at / 251).to_le_bytes()[0]).collect()
    }

    #[test]
    fn bodies_that_come_at_once_are_kept_apart_and_their_blocks_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::beside(&folder.path().join("peak.parquet")));
        assert!(spool.file.get().is_none(), "there is no file before there is a body");
        let (one, two) = (bytes(1, 3_000_001), bytes(77, 2_500_003));
        let (mut first, mut second) = (spool.begin(), spool.begin());
        for (one, two) in one.chunks(60_000).zip(two.chunks(50_000)) {
            first.append(one).unwrap();
            second.append(two).unwrap();
        }
        assert!(first.front(usize::MAX).unwrap() == one && first.length() == 3_000_001);
        assert!(second.front(usize::MAX).unwrap() == two);
        let mut middle = vec![0; 1_500_000];
        first.read_at(700_000, &mut middle).unwrap();
        assert!(middle == one[700_000..2_200_000]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        assert_eq!(spool.room().blocks, 6);
        drop(second);
        assert!(spool.file.get().unwrap().metadata().unwrap().len() > 0);
        let mut third = spool.begin();
        third.append(&two).unwrap();
        let free = spool.room().free.len();
        assert_eq!((spool.room().blocks, free), (6, 0));
        assert!(first.front(usize::MAX).unwrap() == one && third.front(9).unwrap() == two[..9]);
        drop((first, third));
        assert_eq!(spool.file.get().unwrap().metadata().unwrap().len(), 0, "the disk has it back");
        let mut again = spool.begin();
        again.append(&one).unwrap();
        assert!(again.front(usize::MAX).unwrap() == one);
    }

    #[test]
    fn a_folder_that_takes_no_file_refuses_the_body() {
        let spool = Arc::new(Spool::beside(Path::new("/nowhere/peak.parquet")));
        assert!(spool.begin().append(b"abc").is_err());
    }
}
