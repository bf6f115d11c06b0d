//! Whatever a user names as a recording, opened as one: captures are imported first.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::capture::import::{Found, Imported, read_capture};
use crate::capture::source::{Content, Source};
use crate::recording::Header;
use crate::recording::file::RecordingReader;
use crate::recording::file::RecordingWriter;
use crate::recording::jsonl::read_lines;
use crate::recording::redaction::{REDACTED_HEADERS, redact};

/// A recording, and the scratch file it may stand in.
#[derive(Debug)]
pub struct Loaded {
    /// The recording's file.
    pub path: PathBuf,
    /// Its footer.
    pub header: Header,
    /// Removed when this is dropped; `None` for a file of the user's.
    pub scratch: Option<Scratch>,
}

/// A file that goes away with its owner.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // The file may never have been written; there is nobody to tell.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Opens a recording, or imports a capture into a scratch file first.
pub fn load(path: &Path) -> anyhow::Result<Loaded> {
    if is_recording(path)? {
        return opened(path.to_owned(), None);
    }
    let name = format!("peakhour-{}.parquet", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    import(path, &scratch.0, true)?;
    opened(scratch.0.clone(), Some(scratch))
}

/// Opens a recording, or imports a capture into `into`, where it stays.
pub fn load_into(path: &Path, into: &Path) -> anyhow::Result<Loaded> {
    if is_recording(path)? {
        return opened(path.to_owned(), None);
    }
    import(path, into, true)?;
    opened(into.to_owned(), None)
}

/// Imports a capture. Its exchanges are redacted unless the user decided otherwise.
pub fn import(capture: &Path, recording: &Path, redacted: bool) -> anyhow::Result<Header> {
    let shown = capture.display();
    let source = Source::open(capture)?;
    let content = source.content();
    let mut writer = RecordingWriter::create(recording)?;
    let mut failed = None;
    let mut keep = |mut exchange: crate::recording::Exchange| {
        if redacted {
            redact(&mut exchange);
        }
        if failed.is_none() {
            failed = writer.push(exchange).err();
        }
    };
    let imported: Imported = match content {
        Content::JsonLines => read_lines(source, &mut keep)?,
        _ => read_capture(source, &mut |found| {
            if let Found::Exchange(exchange) = found {
                keep(exchange);
            }
        })?,
    };
    if let Some(error) = failed {
        return Err(error).with_context(|| format!("cannot write {}", recording.display()));
    }
    let header = imported.header(redacted.then_some(REDACTED_HEADERS).unwrap_or_default());
    refuse_empty(&shown.to_string(), &header)?;
    Ok(writer.finish(header)?)
}
