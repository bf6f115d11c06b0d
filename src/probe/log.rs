//! Lines of a log: how many, and how many that should not be there.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::probe::client::Failure;
use crate::probe::group::Group;
use crate::probe::lines::Lines;
use crate::probe::record::{Readings, SeriesKind, UNSEEN};
use crate::probe::tail::Tail;

/// The series of lines that should not be there.
const MATCHING: &str = "matching lines";

/// A file that is followed.
pub(crate) struct LogFile {
    /// Lent to a thread of its own while that reads, as a disk may hang.
    tail: Option<Tail>,
}

impl LogFile {
    pub(crate) async fn open(path: PathBuf, matching: Option<String>) -> Result<Self, Failure> {
        let opened = spawn_blocking(move || Tail::open(path, matching)).await;
        let tail = opened.map_err(|_| Failure::passing("the log could not be read"))?;
        Ok(Self { tail: Some(tail) })
    }

    /// It knows how far it read, also where a look failed; unless that look never returned.
    pub(crate) fn survives(&self) -> bool {
        self.tail.is_some()
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        let lost = || Failure::passing("the log could not be read");
        let mut tail = self.tail.take().ok_or_else(lost)?;
        let read = spawn_blocking(move || {
            let result = tail.read_on();
            (tail, result)
        });
        let (tail, result) = read.await.map_err(|_| lost())?;
        let mut readings = readings(&tail.lines);
        self.tail = Some(tail);
        let behind = result?;
        let told = if behind == 0 {
            String::new()
        } else {
            format!("{behind} bytes of the log were not read yet")
        };
        readings.facts.push((UNSEEN, told));
        Ok(readings)
    }
}

/// A command that prints lines for as long as it runs.
pub(crate) struct LogCommand {
    group: Group,
    lines: Arc<Mutex<Lines>>,
    reader: JoinHandle<()>,
    /// Its last lines were told.
    is_told: bool,
}

impl LogCommand {
    pub(crate) fn open(command: &str, matching: Option<String>) -> Result<Self, Failure> {
        let mut group = Group::spawn(command, [Stdio::null(), Stdio::piped(), Stdio::null()])?;
        let output = group.child.stdout.take();
        let output = output.ok_or_else(|| Failure::passing("the command has no output"))?;
        let lines = Arc::new(Mutex::new(Lines::new(matching)));
        let reader = tokio::spawn(count(output, Arc::clone(&lines)));
        Ok(Self { group, lines, reader, is_told: false })
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        let is_over = self.reader.is_finished();
        if self.is_told {
            self.group.end();
            return Err(Failure::passing(self.group.fate().await));
        }
        self.is_told = is_over;
        Ok(readings(&self.lines.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Drop for LogCommand {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Longest wait after a full buffer: a command that prints without end gets no whole processor.
const BREATH: Duration = Duration::from_millis(2);

async fn count(mut output: ChildStdout, lines: Arc<Mutex<Lines>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        lines.lock().unwrap_or_else(PoisonError::into_inner).feed(&buffer[..count]);
        if count == buffer.len() {
            sleep_until(Instant::now() + BREATH).await;
        }
    }
}

fn readings(lines: &Lines) -> Readings {
    let counter = |metric: &'static str, count: u64| {
        #[expect(clippy::cast_precision_loss, reason = "lines of a run are far below 2^52")]
        let count = count as f64;
        (metric.into(), SeriesKind::Counter, "", count)
    };
    let mut values = vec![counter("lines", lines.all)];
    if lines.has_needle() {
        values.push(counter(MATCHING, lines.matching));
    }
    Readings { values, ..Readings::default() }
}
