//! Samples as a Parquet file, a row an arrival, for whatever reads Parquet.
//!
//! Whoever has a sample hands it over in a batch and goes on; one thread writes. Between them is a
//! queue with a bound: where the disk cannot follow, rows are dropped and counted, and no request
//! is ever late for them. Rows come from several threads, so that their order is none. Arrivals
//! that were never read from the plan of a run that was stopped have none.

mod columns;
mod rows;

use std::fs::File;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, park_timeout};
use std::time::Duration;

use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;

use crate::plan::Arrival;
use crate::recording::file::RecordingError;
use crate::recording::file::scratch::Scratch;
use crate::sample::Sample;

pub use rows::Row;

/// Rows that are handed over together.
pub const BATCH_ROWS: usize = 1_024;

/// Most batches that wait for the disk: with those of the row group, some 30 MiB. It is a second of
/// any rate that one machine sends.
pub const MAX_BATCHES: usize = 64;

/// Rows of a row group, which lies in memory whole because it is written column by column.
pub const GROUP_ROWS: usize = 64 * 1_024;

/// How long the last rows of a run wait for a disk that is behind.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// How often they try.
const LAST_PAUSE: Duration = Duration::from_millis(10);

/// Where rows are handed over.
#[derive(Clone, Debug)]
pub struct Sink {
    queue: SyncSender<Vec<Row>>,
    dropped: Arc<AtomicU64>,
}

/// Where a thread puts its samples, until a batch of them is handed over.
#[derive(Debug)]
pub(crate) struct Outbox {
    sink: Option<Sink>,
    rows: Mutex<Vec<Row>>,
}

impl Outbox {
    /// Without a sink, nothing is kept.
    pub(crate) fn new(sink: Option<Sink>) -> Self {
        Self { sink, rows: Mutex::default() }
    }

    pub(crate) fn add(&self, arrival: &Arrival, sample: &Sample) {
        let Some(sink) = &self.sink else { return };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push(Row::of(arrival, sample));
        if rows.len() >= BATCH_ROWS {
            sink.hand_over(mem::take(&mut rows));
        }
    }

    /// Hands over the last ones.
    pub(crate) fn flush(&self) {
        let Some(sink) = &self.sink else { return };
        sink.hand_over_last(mem::take(
            &mut self.rows.lock().unwrap_or_else(PoisonError::into_inner),
        ));
    }
}

/// A file of samples that is being written.
#[derive(Debug)]
pub struct SampleFile {
    sink: Sink,
    thread: JoinHandle<Result<u64, RecordingError>>,
    path: PathBuf,
}

/// What a finished file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its rows.
    pub rows: u64,
    /// Rows that it lacks because the disk was behind.
    pub dropped: u64,
}

impl Sink {
    /// Hands rows over, or counts them as dropped. Never waits.
    pub fn hand_over(&self, rows: Vec<Row>) {
        if let Err(TrySendError::Full(rows) | TrySendError::Disconnected(rows)) =
            self.queue.try_send(rows)
        {
            self.dropped.fetch_add(rows.len() as u64, SeqCst);
        }
    }

    /// The same for the last rows of a thread, which has nothing else to do any more: waits for a
    /// disk that is behind, for a while.
    pub fn hand_over_last(&self, mut rows: Vec<Row>) {
        let mut waited = Duration::ZERO;
        while !rows.is_empty() {
            match self.queue.try_send(mem::take(&mut rows)) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) if waited < LAST_PATIENCE => rows = back,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                    self.dropped.fetch_add(back.len() as u64, SeqCst);
                    return;
                }
            }
            park_timeout(LAST_PAUSE);
            waited += LAST_PAUSE;
        }
    }
}

impl SampleFile {
    /// Starts `PATH.inprogress`; `path` itself is not touched before the file is whole.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        let (scratch, file) = Scratch::create(path, ".inprogress")?;
        let parquet = columns::schema()
            .and_then(|schema| SerializedFileWriter::new(file, schema, columns::properties()?))
            .map_err(|source| RecordingError::parquet("start writing", scratch.path(), source))?;
        let (queue, batches) = sync_channel(MAX_BATCHES);
        let sink = Sink { queue, dropped: Arc::default() };
        let table = Table { scratch, parquet, target: path.to_owned(), group: Vec::new() };
        let dropped = Arc::clone(&sink.dropped);
        let thread = thread::Builder::new()
            .name("samples".to_owned())
            .spawn(move || table.write_all(&batches, &dropped))
            .map_err(|source| RecordingError::io("start a thread for", path, source))?;
        Ok(Self { sink, thread, path: path.to_owned() })
    }

    /// Where to hand rows over.
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// Rows that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.sink.dropped.load(SeqCst)
    }

    /// Writes what is left, and gives the file its name. Every sink must be gone by then. An error
    /// of the disk, such as a full one, comes out here; then there is no file.
    pub fn finish(self) -> Result<Written, RecordingError> {
        let dropped = Arc::clone(&self.sink.dropped);
        drop(self.sink);
        let rows = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Written { rows, dropped: dropped.load(SeqCst) })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The file under construction.
struct Table {
    scratch: Scratch,
    parquet: SerializedFileWriter<File>,
    target: PathBuf,
    group: Vec<Row>,
}

impl Table {
    /// Writes until every sink is gone. After an error the rest is taken all the same, so that the
    /// queue does not fill.
    fn write_all(
        mut self,
        batches: &Receiver<Vec<Row>>,
        dropped: &AtomicU64,
    ) -> Result<u64, RecordingError> {
        let (mut rows, mut failure) = (0, None);
        while let Ok(batch) = batches.recv() {
            if failure.is_some() {
                continue;
            }
            rows += batch.len() as u64;
            self.group.extend(batch);
            if self.group.len() >= GROUP_ROWS {
                failure = self.end_group().err();
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        self.end_group()?;
        for (key, value) in [("peakhour.rows", rows), ("peakhour.dropped", dropped.load(SeqCst))] {
            let pair = KeyValue::new(key.to_owned(), value.to_string());
            self.parquet.append_key_value_metadata(pair);
        }
        let Self { scratch, parquet, target, .. } = self;
        let file = parquet.into_inner().map_err(|source| {
            RecordingError::parquet("write the footer", scratch.path(), source)
        })?;
        scratch.publish(&file, &target)?;
        Ok(rows)
    }

    fn end_group(&mut self) -> Result<(), RecordingError> {
        let rows = mem::take(&mut self.group);
        if rows.is_empty() {
            return Ok(());
        }
        write_group(&mut self.parquet, &rows).map_err(|source| {
            RecordingError::parquet("write a row group", self.scratch.path(), source)
        })
    }
}

fn write_group(parquet: &mut SerializedFileWriter<File>, rows: &[Row]) -> Result<(), ParquetError> {
    let mut group = parquet.next_row_group()?;
    let mut position = 0;
    while let Some(mut writer) = group.next_column()? {
        columns::write(position, rows, &mut writer)?;
        writer.close()?;
        position += 1;
    }
    group.close().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::{answered, arrival};

    fn rows(count: u64) -> Vec<Row> {
        let arrivals = (0..count).map(|index| arrival(index, Duration::from_nanos(index)));
        arrivals.map(|each| Row::of(&each, &answered(&each, Duration::from_millis(1)))).collect()
    }

    #[test]
    fn a_disk_that_is_behind_costs_rows_and_no_time() {
        let (queue, batches) = sync_channel(2);
        let sink = Sink { queue, dropped: Arc::default() };
        for _ in 0..5 {
            sink.hand_over(rows(10));
        }
        assert_eq!(sink.dropped.load(SeqCst), 30);
        drop(batches);
        sink.hand_over_last(rows(7));
        assert_eq!(sink.dropped.load(SeqCst), 37, "nobody writes any more");
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.parquet");
        let file = SampleFile::create(&path).unwrap();
        let sink = file.sink();
        sink.hand_over(rows(10));
        sink.hand_over_last(rows(3));
        assert!(!path.exists());
        drop(sink);
        assert_eq!(file.finish().unwrap(), Written { rows: 13, dropped: 0 });
        assert!(path.exists());
        let missing = folder.path().join("no/such/folder.parquet");
        let error = SampleFile::create(&missing).unwrap_err().to_string();
        assert!(error.contains("folder.parquet"), "{error}");
    }
}
