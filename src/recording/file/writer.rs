//! Writes a recording: sorts exchanges that arrive as they complete, within a bound of memory.

use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::recording::file::merge::{Merge, Run, key};
use crate::recording::file::numbers::{Numbers, RUNS_MAX};
use crate::recording::file::reader::exchanges_of_run;
use crate::recording::file::scratch::{self, Scratch};
use crate::recording::file::table::{TableWriter, held_bytes};
use crate::recording::file::{
    CELL_BYTES_MAX, FORMAT_VERSION_KEY, HEADER_KEY, RecordingError, check,
};
use crate::recording::{Exchange, FORMAT_VERSION, Flags, Header};

/// Bytes of exchanges held for sorting before they are put aside in a file: a quarter of a
/// million typical ones, far more than complete while one of them is still being answered.
pub const SORT_BYTES: usize = 256 * 1024 * 1024;

/// Runs that are merged into a longer one as soon as there are so many: each that is open takes a
/// few megabytes.
const RUNS_MERGED: usize = 64;

/// A recording being written. Nothing is left behind unless [`RecordingWriter::finish`] succeeds.
pub struct RecordingWriter {
    target: PathBuf,
    table: TableWriter,
    held: Vec<Exchange>,
    held_bytes: usize,
    sort_bytes: usize,
    /// Sorted runs put aside, by how often their rows have been merged. A higher level holds
    /// earlier rows.
    levels: Vec<Vec<Scratch>>,
    runs_made: u64,
    exchanges: u64,
    connections: Numbers,
    end: Duration,
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
            held: Vec::new(),
            held_bytes: 0,
            sort_bytes,
            levels: Vec::new(),
            runs_made: 0,
            exchanges: 0,
            connections: Numbers::default(),
            end: Duration::ZERO,
        })
    }

    /// Adds an exchange; any order will do. A body over [`CELL_BYTES_MAX`] is cut and flagged.
    pub fn push(&mut self, mut exchange: Exchange) -> Result<(), RecordingError> {
        if exchange.request_body.len() > CELL_BYTES_MAX {
            exchange.request_body.truncate(CELL_BYTES_MAX);
            exchange.flags.insert(Flags::REQUEST_TRUNCATED);
        }
        check(&exchange)?;
        if !self.connections.insert(exchange.connection) {
            return Err(RecordingError::TooManyConnections { limit: RUNS_MAX });
        }
        self.exchanges += 1;
        self.held_bytes += held_bytes(&exchange);
        self.held.push(exchange);
        if self.held_bytes > self.sort_bytes { self.put_aside() } else { Ok(()) }
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

        let footer = vec![(HEADER_KEY, json), (FORMAT_VERSION_KEY, FORMAT_VERSION.to_string())];
        let (scratch, file) = self.table.finish(footer)?;
        scratch.publish(&file, &self.target)?;
        Ok(header)
    }

    /// Writes everything pushed so far in its order. `rework` may change each exchange on its way,
    /// as long as the order stays: what can be told only in the order of time is told here.
    pub fn sort(&mut self, rework: &mut dyn FnMut(&mut Exchange)) -> Result<(), RecordingError> {
        if self.held.is_empty() && self.levels.is_empty() {
            return Ok(());
        }
        self.connections = Numbers::default();
        self.end = Duration::ZERO;
        let put_aside: Vec<Scratch> =
            mem::take(&mut self.levels).into_iter().rev().flatten().collect();
        let mut runs = put_aside.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        self.held.sort_by_key(key);
        runs.push(Box::new(mem::take(&mut self.held).into_iter().map(Ok)));
        for exchange in Merge::of(runs)? {
            let mut exchange = exchange?;
            rework(&mut exchange);
            if !self.connections.insert(exchange.connection) {
                return Err(RecordingError::TooManyConnections { limit: RUNS_MAX });
            }
            self.end = self.end.max(last_moment(&exchange));
            self.table.push(exchange)?;
        }
        Ok(())
    }

    /// Sorts what is held and writes it as a run.
    fn put_aside(&mut self) -> Result<(), RecordingError> {
        self.held.sort_by_key(key);
        self.held_bytes = 0;
        let held = mem::take(&mut self.held);
        let mut run = self.write_run(Box::new(held.into_iter().map(Ok)))?;
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

    fn write_run(&mut self, rows: Run) -> Result<Scratch, RecordingError> {
        let suffix = format!(".run-{}.inprogress", self.runs_made);
        self.runs_made += 1;
        let mut table = TableWriter::create(&self.target, &suffix)?;
        for row in rows {
            table.push(row?)?;
        }
        table.finish(Vec::new()).map(|(scratch, _)| scratch)
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
