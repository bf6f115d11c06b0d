//! A log stream, read from its end on, and what is counted in it. No line is kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::act::wall::unix_ns;

/// What was seen in a stream since it was opened.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Lines, marked or not.
    pub(super) lines: u64,
    /// Lines without a word.
    pub(super) blank: u64,
    /// Marked lines that are no JSON object with a level and a time, by what is wrong.
    pub(super) malformed: BTreeMap<String, u64>,
    /// Marked lines by marker, and when the first was read.
    pub(super) marks: BTreeMap<u32, (u64, i64)>,
    /// Why it cannot be read.
    pub(super) problem: Option<String>,
}

/// Turns bytes into counts.
pub(super) struct Counter {
    mark: String,
    is_json: bool,
    partial: Vec<u8>,
}

/// Longest line that is looked at; the rest of a longer one is passed over.
const LINE_BYTES_MAX: usize = 64 * 1024;

impl Counter {
    /// Counts lines that hold `mark` and a number of four digits.
    pub(super) fn new(mark: &str, is_json: bool) -> Self {
        Self { mark: mark.to_owned(), is_json, partial: Vec::new() }
    }

    pub(super) fn add(&mut self, seen: &mut Seen, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.line(seen, &line);
            }
        }
    }

    fn line(&self, seen: &mut Seen, line: &[u8]) {
        seen.lines += 1;
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            seen.blank += 1;
            return;
        }
        let Some((_, rest)) = text.split_once(self.mark.as_str()) else { return };
        let Some(number) = rest.get(..4).and_then(|digits| digits.parse().ok()) else { return };
        let now = unix_ns();
        seen.marks.entry(number).or_insert((0, now)).0 += 1;
        if let Some(wrong) = self.is_json.then(|| malformed(text, now)).flatten() {
            *seen.malformed.entry(wrong.to_owned()).or_default() += 1;
        }
    }
}

/// What is wrong with a line that should be JSON, in words that hold nothing of it.
fn malformed(text: &str, now: i64) -> Option<&'static str> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) else {
        return Some("is no JSON object");
    };
    let field = |names: &[&str]| names.iter().find_map(|name| fields.get(*name));
    if field(&["level", "severity", "lvl", "loglevel", "log.level"]).is_none() {
        return Some("has no level");
    }
    let time = field(&["timestamp", "time", "ts", "@timestamp", "t", "date", "datetime"]);
    let Some(time) = time else { return Some("has no timestamp") };
    let parsed = time.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let parsed = parsed.and_then(|time| i64::try_from(time.as_nanosecond()).ok())?;
    // It was written before it was read, and may have waited for that.
    (parsed.saturating_sub(now) > SKEW_NS_MAX).then_some("is dated more than 2 s ahead")
}

const SKEW_NS_MAX: i64 = 2_000_000_000;

/// A file that is followed through rotation and truncation.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<(File, u64)>,
    at: u64,
}

impl Tail {
    /// Opens a file at its end.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let mut tail = Self { path: path.to_owned(), file: None, at: 0 };
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

    /// Reads what was added, at most a bounded number of bytes at once.
    pub(super) fn read(&mut self, counter: &mut Counter, seen: &mut Seen) {
        let mut bytes = Vec::new();
        if let Some((file, _)) = &mut self.file {
            let length = file.metadata().map_or(0, |meta| meta.len());
            if length < self.at {
                self.at = 0;
            }
            let read = file
                .seek(SeekFrom::Start(self.at))
                .and_then(|_| file.take(READ_BYTES_MAX).read_to_end(&mut bytes));
            self.at += read.unwrap_or(0) as u64;
            counter.add(seen, &bytes);
        }
        if !bytes.is_empty() {
            return;
        }
        // The old file is read out: has another one taken its name?
        let own = self.file.as_ref().map(|(_, id)| *id);
        let there = std::fs::metadata(&self.path).ok().map(|meta| meta.ino());
        if there.is_some()
            && there != own
            && let Ok(opened) = self.open_file()
        {
            self.file = Some(opened);
            self.at = 0;
        }
    }
}

const READ_BYTES_MAX: u64 = 4 << 20;
