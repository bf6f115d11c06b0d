//! Writes a recording: sorts exchanges that arrive as they complete, within a bound of memory.
//!
//! Exchanges complete nearly in the order in which they began. So those that are held are sorted
//! now and then, and the earlier half of them is written straight into the recording. An exchange
//! that completes so late that its place was written already is put aside, in sorted runs on the
//! disk, and in the end the recording is merged with those.

use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::recording::file::bodies::Bodies;
use crate::recording::file::merge::{Key, Merge, Run, key};
use crate::recording::file::numbers::{Numbers, RUNS_MAX};
use crate::recording::file::reader::exchanges_of_run;
use crate::recording::file::scratch::{self, Scratch};
use crate::recording::file::table::{TableWriter, held_bytes};
use crate::recording::file::{
    BODIES_KEY, CELL_BYTES_MAX, CLOSINGS_KEY, FORMAT_VERSION_KEY, HANDSHAKES_KEY, HEADER_KEY,
    RecordingError, check,
};
use crate::recording::{Exchange, FORMAT_VERSION, Flags, Header};

/// Bytes of exchanges held for sorting: a hundred thousand small ones, far more than complete
/// while most of them are still being answered.
pub const SORT_BYTES: usize = 64 * 1024 * 1024;

/// Runs that are merged into a longer one as soon as there are so many: each that is open takes a
/// few megabytes.
const RUNS_MERGED: usize = 64;

/// A recording being written. Nothing is left behind unless [`RecordingWriter::finish`] succeeds.
pub struct RecordingWriter {
    target: PathBuf,
    table: TableWriter,
    /// Exchanges that come behind all that was written.
    held: Held,
    /// Exchanges whose place in the table is taken.
    late: Held,
    sort_bytes: usize,
    /// The last that was written straight into the table.
    written: Option<Key>,
    /// Nothing is written before [`RecordingWriter::sort`].
    holds_back: bool,
    /// Sorted runs put aside, by how often their rows have been merged. A higher level holds
    /// earlier rows.
    levels: Vec<Vec<Scratch>>,
    runs_made: u64,
    /// Bytes of exchanges that were put aside, before they were packed.
    aside: u64,
    exchanges: u64,
    connections: Numbers,
    end: Duration,
    bodies: Bodies,
}

impl RecordingWriter {
    /// Starts `PATH.inprogress`; `path` itself is not touched before the recording is whole.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        Self::create_within(path, SORT_BYTES)
    }

    /// Like [`RecordingWriter::create`], holding at most about `sort_bytes` for sorting. More
    /// exchanges are sorted through temporary files beside `path`.
    pub fn create_within(path: &Path, sort_bytes: usize) -> Result<Self, RecordingError> {
        Ok(Self {
            target: path.to_owned(),
            table: TableWriter::create(path, ".inprogress")?,
            held: Held::default(),
            late: Held::default(),
            sort_bytes,
            written: None,
            holds_back: false,
            levels: Vec::new(),
            runs_made: 0,
            aside: 0,
            exchanges: 0,
            connections: Numbers::default(),
            end: Duration::ZERO,
            bodies: Bodies::beside(path),
        })
    }

    /// Writes nothing before [`RecordingWriter::sort`] is called, which may then rework every
    /// exchange. To be called before the first is added.
    pub fn hold_back(&mut self) {
        self.holds_back = true;
    }

    /// Adds an exchange; any order will do. A whole body of HTTP over [`STORED_FROM`] is stored
    /// apart from its row; any other over [`CELL_BYTES_MAX`] is cut and flagged.
    ///
    /// [`STORED_FROM`]: crate::recording::stored::STORED_FROM
    pub fn push(&mut self, mut exchange: Exchange) -> Result<(), RecordingError> {
        self.bodies.take_out_of(&mut exchange)?;
        if exchange.request_body.len() > CELL_BYTES_MAX {
            exchange.request_body.truncate(CELL_BYTES_MAX);
            exchange.flags.insert(Flags::REQUEST_TRUNCATED);
        }
        check(&exchange)?;
        if !self.connections.insert(exchange.connection) {
            return Err(RecordingError::TooManyConnections { limit: RUNS_MAX });
        }
        self.exchanges += 1;
        if self.holds_back || self.written.is_some_and(|written| key(&exchange) < written) {
            self.late.push(exchange);
            return if self.late.bytes > self.sort_bytes { self.put_aside() } else { Ok(()) };
        }
        self.held.push(exchange);
        if self.held.bytes > self.sort_bytes { self.write_straight() } else { Ok(()) }
    }

    /// The size that the file would have if it were finished now, or a little more: what is held
    /// is not packed yet.
    pub fn size(&self) -> u64 {
        let rows = self.table.bytes() + self.held.bytes + self.late.bytes;
        rows as u64 + self.aside + self.bodies.bytes()
    }

    /// Writes everything and gives the file its name. Returns the header as written:
    /// `format_version`, `exchanges` and `connections` are filled in, and `duration_ns` is raised
    /// to the last moment of any exchange.
    pub fn finish(mut self, mut header: Header) -> Result<Header, RecordingError> {
        self.sort(&mut |_| {})?;
        header.format_version = FORMAT_VERSION;
        header.exchanges = self.exchanges;
        header.connections = self.connections.count();
        let end = u64::try_from(self.end.as_nanos()).unwrap_or(u64::MAX);
        header.duration_ns = header.duration_ns.max(end);
        let json = serde_json::to_string(&header)
            .map_err(|source| RecordingError::Header { path: self.target.clone(), source })?;

        let version = FORMAT_VERSION.to_string();
        let mut footer = vec![(HEADER_KEY, json), (FORMAT_VERSION_KEY, version)];
        if !header.closings.is_empty() {
            footer.push((CLOSINGS_KEY, header.closings.encode()));
        }
        if !header.handshakes.is_empty() {
            footer.push((HANDSHAKES_KEY, header.handshakes.encode()));
        }
        if !self.bodies.is_empty() {
            footer.push((BODIES_KEY, self.table.write_bodies(self.bodies)?));
        }
        let (scratch, file) = self.table.finish(footer)?;
        scratch.publish(&file, &self.target)?;
        Ok(header)
    }

    /// Writes everything pushed so far in its order. `rework` may change each exchange on its way,
    /// as long as the order stays: what can be told only in the order of time is told here. It
    /// sees all of them where the writer was told to hold back, and else those not written yet.
    pub fn sort(&mut self, rework: &mut dyn FnMut(&mut Exchange)) -> Result<(), RecordingError> {
        let is_late = !self.late.rows.is_empty() || !self.levels.is_empty();
        if !is_late && self.held.rows.is_empty() {
            return Ok(());
        }
        if self.holds_back {
            self.connections = Numbers::default();
            self.end = Duration::ZERO;
        }
        let mut runs: Vec<Run> = Vec::new();
        let written = if is_late && self.written.is_some() {
            let suffix = self.suffix();
            let next = TableWriter::create(&self.target, &suffix)?;
            let (written, _) = mem::replace(&mut self.table, next).finish(Vec::new())?;
            Some(written)
        } else {
            None
        };
        if let Some(written) = &written {
            runs.push(open(written)?);
        }
        let put_aside: Vec<Scratch> =
            mem::take(&mut self.levels).into_iter().rev().flatten().collect();
        for run in &put_aside {
            runs.push(open(run)?);
        }
        for held in [&mut self.late, &mut self.held] {
            runs.push(Box::new(held.take_sorted().into_iter().map(Ok)));
        }
        for exchange in Merge::of(runs)? {
            let mut exchange = exchange?;
            rework(&mut exchange);
            self.write(exchange)?;
        }
        Ok(())
    }

    /// Writes the earlier half of what is held; its other half still waits for stragglers.
    fn write_straight(&mut self) -> Result<(), RecordingError> {
        let rows = self.held.take_sorted();
        let mut left = self.sort_bytes / 2;
        let kept = rows.iter().rev().take_while(|row| {
            let bytes = held_bytes(row);
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        });
        let split = rows.len() - kept.count();
        for (at, exchange) in rows.into_iter().enumerate() {
            if at < split {
                self.written = Some(key(&exchange));
                self.write(exchange)?;
            } else {
                self.held.push(exchange);
            }
        }
        Ok(())
    }

    fn write(&mut self, exchange: Exchange) -> Result<(), RecordingError> {
        if !self.connections.insert(exchange.connection) {
            return Err(RecordingError::TooManyConnections { limit: RUNS_MAX });
        }
        self.end = self.end.max(last_moment(&exchange));
        self.table.push(exchange)
    }

    /// Sorts what came late and writes it as a run.
    fn put_aside(&mut self) -> Result<(), RecordingError> {
        self.aside += self.late.bytes as u64;
        let late = self.late.take_sorted();
        let mut run = self.write_run(Box::new(late.into_iter().map(Ok)))?;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if self.levels[level].len() < RUNS_MERGED {
                break;
            }
            let full = mem::take(&mut self.levels[level]);
            let runs = full.iter().map(open).collect::<Result<Vec<_>, _>>()?;
            run = self.write_run(Box::new(Merge::of(runs)?))?;
        }
        Ok(())
    }

    /// A name for the next file beside the recording.
    fn suffix(&mut self) -> String {
        self.runs_made += 1;
        format!(".run-{}.inprogress", self.runs_made - 1)
    }

    fn write_run(&mut self, rows: Run) -> Result<Scratch, RecordingError> {
        let suffix = self.suffix();
        let mut table = TableWriter::create(&self.target, &suffix)?;
        for row in rows {
            table.push(row?)?;
        }
        table.finish(Vec::new()).map(|(scratch, _)| scratch)
    }
}

/// Exchanges in memory.
#[derive(Default)]
struct Held {
    rows: Vec<Exchange>,
    bytes: usize,
}

impl Held {
    fn push(&mut self, exchange: Exchange) {
        self.bytes += held_bytes(&exchange);
        self.rows.push(exchange);
    }

    /// All of them, in order; those of one key as they came.
    fn take_sorted(&mut self) -> Vec<Exchange> {
        self.bytes = 0;
        let mut rows = mem::take(&mut self.rows);
        rows.sort_by_key(key);
        rows
    }
}

/// What an unfinished recording has put beside its path so far.
pub fn unfinished(path: &Path) -> Vec<PathBuf> {
    scratch::unfinished(path)
}

fn open(run: &Scratch) -> Result<Run, RecordingError> {
    Ok(Box::new(exchanges_of_run(run.path())?))
}

/// The last moment of an exchange that was seen.
fn last_moment(exchange: &Exchange) -> Duration {
    let response = exchange.response.as_ref();
    let after = response.and_then(|response| response.last_byte.or(response.first_byte));
    exchange.at.saturating_add(after.unwrap_or_default())
}
