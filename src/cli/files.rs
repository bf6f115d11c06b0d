//! Files that commands write: which may not be replaced, and what goes away with its owner.

use std::fs::{self, DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};

use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupt;
use crate::cli::outputs;
use crate::recording::file::writer::unfinished;
use crate::recording::stored::STORED_FROM;
use crate::units::parse_size;

/// A folder of this process that only its user can read, and that goes away with its owner: what
/// was captured is nobody else's.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    _guard: Unfinished,
}

impl Scratch {
    /// Makes the folder. An interruption removes it, too, and ends the process.
    pub fn create() -> anyhow::Result<Self> {
        let base = std::env::temp_dir();
        let process = std::process::id();
        for number in 0..MAX_SCRATCH {
            let path = base.join(format!("peakhour-{process}-{number}"));
            // Creation is the test: nobody can have put a file or a link there before.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { _guard: Unfinished::folder(&path)?, folder: path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let advice = "set TMPDIR to a folder with room for a recording";
                    return Err(error)
                        .with_context(|| format!("cannot make {}; {advice}", path.display()));
                }
            }
        }
        bail!("cannot make a scratch folder in {}: the names are taken", base.display())
    }

    /// The recording in it; it need not exist yet.
    pub fn recording(&self) -> PathBuf {
        self.folder.join("recording.parquet")
    }
}

/// Scratch folders that killed processes of the same number may have left.
const MAX_SCRATCH: u32 = 1_000;

impl Drop for Scratch {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// While it lives, an interruption removes what is unfinished and ends the process.
#[derive(Debug)]
pub struct Unfinished(Arc<AtomicBool>);

impl Unfinished {
    /// Removes what was written of a recording.
    pub fn recording(path: &Path) -> anyhow::Result<Self> {
        let path = path.to_owned();
        Self::guard(move || {
            for path in unfinished(&path) {
                let _ = fs::remove_file(path);
            }
        })
    }

    /// Removes a folder of this process and all that is in it.
    pub fn folder(path: &Path) -> anyhow::Result<Self> {
        let path = path.to_owned();
        Self::guard(move || drop(fs::remove_dir_all(path)))
    }

    fn guard(remove: impl FnOnce() + Send + 'static) -> anyhow::Result<Self> {
        let alive = Arc::new(AtomicBool::new(true));
        let guard = Self(Arc::clone(&alive));
        Interrupt::listen()?.then(move || {
            if alive.load(Ordering::SeqCst) {
                remove();
                outputs::note(false, "interrupted: nothing was written");
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
        })?;
        Ok(guard)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Fails early, before any work, where a recording cannot be put: it takes the place of whatever
/// has its name, which may be no device, pipe or folder.
pub fn check_recording(path: &Path, captures: &[PathBuf]) -> anyhow::Result<()> {
    check_output(path, captures)?;
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        bail!("cannot write {}: it is no regular file; name a file with -o", path.display());
    }
    Ok(())
}

/// Fails early, before any work, where a file cannot be created or is one of the captures.
pub fn check_output(path: &Path, captures: &[PathBuf]) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        bail!("cannot write {}: there is no folder {}", path.display(), folder.display());
    }
    if path.is_dir() {
        bail!("cannot write {}: it is a folder; name a file in it", path.display());
    }
    let Ok(output) = fs::metadata(path) else {
        return Ok(());
    };
    for capture in captures {
        // Standard input may be the file as well: `import - -o peak.pcap < peak.pcap`.
        let is_stdin = capture == Path::new("-");
        let input = if is_stdin { Path::new("/proc/self/fd/0") } else { capture };
        if output.is_file() && fs::metadata(input).is_ok_and(|input| is_same(&input, &output)) {
            bail!(
                "cannot write {}: it is the capture that is read; name another file",
                path.display()
            );
        }
    }
    Ok(())
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The longest body that is kept whole, as it was typed: what fits into memory is kept in any case.
pub(crate) fn longest_body(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    let least = STORED_FROM as u64;
    if bytes < least {
        return Err("is less than 1MiB, up to which bodies are kept in any case".to_owned());
    }
    Ok(bytes)
}
