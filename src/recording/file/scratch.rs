//! Files that vanish unless they are finished.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::recording::file::RecordingError;

/// A file being written beside its target; removed on drop unless [`Scratch::publish`] was called.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    published: bool,
}

impl Scratch {
    /// Creates `TARGET{suffix}`, replacing what a killed run may have left there. Where another
    /// process is still writing it, that is an error: two would spoil each other's file.
    pub(crate) fn create(target: &Path, suffix: &str) -> Result<(Self, File), RecordingError> {
        let mut name = OsString::from(target);
        name.push(suffix);
        let path = PathBuf::from(name);
        let file =
            open_alone(&path).map_err(|source| RecordingError::io("create", &path, source))?;
        Ok((Self { path, published: false }, file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name, once its bytes are on the disk. Whoever sees the name sees
    /// the whole file.
    pub(crate) fn publish(mut self, file: &File, target: &Path) -> Result<(), RecordingError> {
        file.sync_all().map_err(|source| RecordingError::io("sync", &self.path, source))?;
        fs::rename(&self.path, target)
            .map_err(|source| RecordingError::io("rename to its final name", &self.path, source))?;
        self.published = true;
        // The new name is on the disk only when its directory is.
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            Err(error) if !is_no_loss(&error) => {
                Err(RecordingError::io("sync the directory of", target, error))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a directory just cannot be synced: the file has its name, and nothing was lost. Some
/// file systems know no such sync, and some directories may be written to but not be opened.
fn is_no_loss(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

/// Opens a file empty and locked. The lock is the file's, not the name's: it goes with its owner.
/// Only its owner may read it: it has what others sent.
fn open_alone(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path)?;
    // Some network file systems have no locks: every other error is let pass.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(io::Error::other("another process is writing it"));
    }
    file.set_len(0)?;
    Ok(file)
}

/// Everything unfinished that writers of `target` have put beside it.
pub(super) fn unfinished(target: &Path) -> Vec<PathBuf> {
    let (Some(name), Some(folder)) = (target.file_name(), target.parent()) else {
        return Vec::new();
    };
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    let front = format!("{}.", name.to_string_lossy());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(&front));
            rest.is_some_and(|rest| {
                rest == "inprogress" || rest.starts_with("run-") && rest.ends_with(".inprogress")
            })
        })
        .map(|entry| entry.path())
        .collect()
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.published {
            // Nothing to tell: the file may be gone already, and the first error is under way.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_directory_that_cannot_be_synced_loses_nothing() {
        for errno in [Errno::INVAL, Errno::NOTSUP, Errno::NOSYS, Errno::ACCESS] {
            assert!(is_no_loss(&errno.into()), "{errno}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::NOENT] {
            assert!(!is_no_loss(&errno.into()), "{errno}");
        }
    }
}
