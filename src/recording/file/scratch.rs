//! Files that vanish unless they are finished.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::recording::file::RecordingError;

/// A file being written beside its target; removed on drop unless [`Scratch::publish`] was called.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    published: bool,
}

impl Scratch {
    /// Creates `TARGET{suffix}`, replacing what a killed run may have left there.
    pub(super) fn create(target: &Path, suffix: &str) -> Result<(Self, File), RecordingError> {
        let mut name = OsString::from(target);
        name.push(suffix);
        let path = PathBuf::from(name);
        let file =
            File::create(&path).map_err(|source| RecordingError::io("create", &path, source))?;
        Ok((Self { path, published: false }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name, once its bytes are on the disk. Whoever sees the name sees
    /// the whole file.
    pub(super) fn publish(mut self, file: &File, target: &Path) -> Result<(), RecordingError> {
        file.sync_all().map_err(|source| RecordingError::io("sync", &self.path, source))?;
        fs::rename(&self.path, target)
            .map_err(|source| RecordingError::io("rename to its final name", &self.path, source))?;
        self.published = true;
        // The new name is on the disk only when its directory is.
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| RecordingError::io("sync the directory of", target, source))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.published {
            // Nothing to tell: the file may be gone already, and the first error is under way.
            let _ = fs::remove_file(&self.path);
        }
    }
}
