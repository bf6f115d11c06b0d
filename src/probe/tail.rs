//! Follows a file from its end, also where it is rotated or truncated.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::probe::client::Failure;
use crate::probe::lines::Lines;

/// Most bytes read in one look; the rest waits for the next.
const MAX_BYTES: u64 = 16 << 20;

/// A file, and how far it was read.
pub(crate) struct Tail {
    path: PathBuf,
    open: Option<(File, u64)>,
    pub(crate) lines: Lines,
}

impl Tail {
    /// What is in the file already is not of this rehearsal. A file that is not there yet is read
    /// from its start once it is.
    pub(crate) fn open(path: PathBuf, matching: Option<String>) -> Self {
        let mut tail = Self { path, open: None, lines: Lines::new(matching) };
        if let Ok(file) = tail.current()
            && let Ok(metadata) = file.metadata()
        {
            tail.open = Some((file, metadata.len()));
        }
        tail
    }

    /// Reads what was written since; the bytes that are left for the next look.
    pub(crate) fn read_on(&mut self) -> Result<u64, Failure> {
        let mut left = MAX_BYTES;
        if let Some((file, at)) = &mut self.open {
            // One that was renamed may have been written to since.
            if file.metadata()?.len() < *at {
                self.lines.end();
                *at = 0;
            }
            let behind = read(file, at, &mut left, &mut self.lines)?;
            if behind > 0 || !is_replaced(&file.metadata()?, std::fs::metadata(&self.path).ok()) {
                return Ok(behind);
            }
            self.lines.end();
            self.open = None;
        }
        let mut file = self.current()?;
        let mut at = 0;
        let behind = read(&mut file, &mut at, &mut left, &mut self.lines);
        self.open = Some((file, at));
        behind
    }

    /// Only what is certain to end is opened: a pipe would wait for its writer.
    fn current(&self) -> Result<File, Failure> {
        if !std::fs::metadata(&self.path)?.is_file() {
            return Err(Failure::passing("the log is not a file"));
        }
        Ok(File::open(&self.path)?)
    }
}

/// Another file stands at the path. None is there for a moment while logs are rotated: the old
/// one is still read then.
fn is_replaced(open: &Metadata, at_path: Option<Metadata>) -> bool {
    at_path.is_some_and(|other| (open.dev(), open.ino()) != (other.dev(), other.ino()))
}

fn read(file: &mut File, at: &mut u64, left: &mut u64, lines: &mut Lines) -> Result<u64, Failure> {
    file.seek(SeekFrom::Start(*at))?;
    let mut buffer = vec![0; 64 << 10];
    while *left > 0 {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(0);
        }
        lines.feed(&buffer[..count]);
        *at += count as u64;
        *left = left.saturating_sub(count as u64);
    }
    Ok(file.metadata()?.len().saturating_sub(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_followed_through_rotation_and_truncation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let append = |text: &str| {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        };
        write("an old ERROR\n");
        let mut tail = Tail::open(path.clone(), Some("ERROR".to_owned()));
        let mut seen = || {
            tail.read_on().unwrap();
            (tail.lines.all, tail.lines.matching)
        };
        assert_eq!(seen(), (0, 0));
        append("fine\nERROR\n");
        assert_eq!(seen(), (2, 1));
        append("one more before the rotation\n");
        std::fs::rename(&path, folder.path().join("app.log.1")).unwrap();
        assert_eq!(seen(), (3, 1));
        write("ERROR in the new file\n");
        assert_eq!(seen(), (4, 2));
        write("short\n");
        assert_eq!(seen(), (5, 2));
    }

    #[test]
    fn a_log_that_is_not_there_is_read_from_its_start_once_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut tail = Tail::open(path.clone(), None);
        assert_eq!(tail.read_on().unwrap_err().reason, "entity not found");
        std::fs::write(&path, "first\n").unwrap();
        tail.read_on().unwrap();
        assert_eq!(tail.lines.all, 1);
        assert!(Tail::open(folder.path().to_owned(), None).read_on().is_err());
    }
}
