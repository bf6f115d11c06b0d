//! The files of a recording: one, or one after the other.
//!
//! A cut is a moment. What began before it goes to the file before, whose answers are waited for a
//! while; bytes are accounted for in the file in whose time they passed. Finishing a file takes
//! the disk its time, so that it is done aside.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::capture::import::Import;
use crate::cli::outputs;
use crate::cli::record::names::{MS, forget, free_name};
use crate::cli::record::part::{Part, unwritten};
use crate::record::passed::Passed;
use crate::recording::file::RecordingError;
use crate::recording::file::writer::RecordingWriter;
use crate::recording::ledger::Ledger;
use crate::recording::redaction::{Redaction, Redactor};
use crate::recording::{Exchange, Header, Part as Place, Servers};
use crate::units::{format_count, format_duration};

/// How long a file that was cut waits for the answers to what began in its time; less where it is
/// cut again before.
const LINGER: Duration = Duration::from_secs(10);

/// After a file was lost, how long until another is tried: whoever makes room needs a moment.
const RETRY: Duration = Duration::from_secs(30);

/// When a recording is cut, and how many of its files stay.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rotation {
    pub(super) every: Option<Duration>,
    pub(super) size: Option<u64>,
    pub(super) keep: Option<usize>,
}

impl Rotation {
    pub(super) fn is_on(&self) -> bool {
        self.every.is_some() || self.size.is_some()
    }
}

/// What is written, and how much of it is done.
pub(super) struct Parts {
    output: PathBuf,
    origin: String,
    rotation: Rotation,
    series: String,
    quiet: bool,
    redactor: Option<Redactor>,
    /// What an interruption that does not wait removes.
    unfinished: Arc<Mutex<Vec<PathBuf>>>,
    pub(super) current: Part,
    /// The next cut by time.
    cut_at_ns: Option<i64>,
    /// The file before, and the moments at which it was cut and is ended.
    closing: Option<(Part, [i64; 2])>,
    finishing: Option<Finishing>,
    written: VecDeque<PathBuf>,
    /// The last stamp given, in milliseconds: names are never given twice.
    stamped_ms: i64,
    /// The number of the next file that is finished.
    number: u64,
    /// The last moment that was told.
    now_ns: i64,
    /// Until then, nothing more is said of a disk that refuses.
    next_told_ns: i64,
    pub(super) totals: Totals,
}

struct Finishing {
    path: PathBuf,
    /// What its file says if it cannot be written.
    ledger: Ledger,
    exchanges: u64,
    thread: JoinHandle<Result<Header, RecordingError>>,
}

/// What was done in all.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) exchanges: u64,
    pub(super) files: u64,
    pub(super) removed: u64,
    pub(super) lost_exchanges: u64,
    pub(super) lost_files: u64,
    /// The first reason for which a file was lost.
    pub(super) error: Option<anyhow::Error>,
    pub(super) ledger: Ledger,
    pub(super) redaction: Option<Redaction>,
    /// The header of the file that was written last.
    pub(super) last: Option<Header>,
}

/// What does not change from file to file.
pub(super) struct Series {
    pub(super) output: PathBuf,
    pub(super) origin: String,
    pub(super) rotation: Rotation,
    pub(super) redactor: Option<Redactor>,
    pub(super) quiet: bool,
}

impl Parts {
    /// Begins the first file; `unfinished` is kept up to date with what is being written.
    pub(super) fn begin(
        series: Series,
        now_ns: i64,
        unfinished: Arc<Mutex<Vec<PathBuf>>>,
    ) -> Result<Self, RecordingError> {
        let Series { output, origin, rotation, redactor, quiet } = series;
        let id = format!("{now_ns:x}-{:x}", std::process::id());
        let (path, stamped_ms) =
            if rotation.is_on() { free_name(&output, now_ns / MS) } else { (output.clone(), 0) };
        let fresh = redactor.as_ref().map(Redactor::fresh);
        unfinished.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        let (current, error) = Part::begin(path, None, fresh);
        if let Some(error) = error {
            return Err(error);
        }
        Ok(Self {
            output,
            origin,
            cut_at_ns: rotation.every.map(|every| after(now_ns, every)),
            rotation,
            series: id,
            quiet,
            redactor,
            unfinished,
            current,
            closing: None,
            finishing: None,
            written: VecDeque::new(),
            stamped_ms,
            number: 0,
            now_ns,
            next_told_ns: now_ns,
            totals: Totals::default(),
        })
    }

    /// Takes an exchange, whose `at` counts from `origin_ns`. True where it went to the file
    /// before, to which its account is to be handed over: see `late_ledger`.
    pub(super) fn keep(&mut self, exchange: Exchange, origin_ns: i64) -> bool {
        let began_ns = after(origin_ns, exchange.at);
        self.totals.exchanges += 1;
        let (part, is_late) = match &mut self.closing {
            Some((part, [cut_ns, _])) if began_ns < *cut_ns => (part, true),
            _ => (&mut self.current, false),
        };
        if let Err(error) = part.keep(exchange, origin_ns) {
            self.refused(error.into());
        }
        is_late
    }

    /// The account of the file before.
    pub(super) fn late_ledger(&mut self) -> Option<&mut Ledger> {
        self.closing.as_mut().map(|(part, _)| &mut part.ledger)
    }

    /// It is time for another file.
    pub(super) fn is_due(&self, now_ns: i64) -> bool {
        self.cut_at_ns.is_some_and(|cut_ns| now_ns >= cut_ns)
    }

    /// Cuts and ends files where it is time for it.
    pub(super) fn tick(&mut self, now_ns: i64, import: &mut Import, passed: &Passed) {
        self.now_ns = now_ns;
        if self.finishing.as_ref().is_some_and(|finishing| finishing.thread.is_finished()) {
            self.settle();
        }
        if self.closing.as_ref().is_some_and(|(_, [_, ends_ns])| now_ns >= *ends_ns) {
            self.end_closing(import, passed);
        }
        if let Some(cut_ns) = self.cut_at_ns.filter(|cut_ns| now_ns >= *cut_ns) {
            self.cut_at_ns = self.rotation.every.map(|every| {
                // Where nothing was seen for long, no files are made up for it.
                let missed = now_ns.saturating_sub(cut_ns) / ns(every).max(1);
                after(cut_ns, every).saturating_add(missed.saturating_mul(ns(every)))
            });
            self.cut(cut_ns, import, passed);
        }
    }

    /// Cuts the file where it has become large enough.
    pub(super) fn cut_large(&mut self, import: &mut Import, passed: &Passed) {
        if self.rotation.size.is_some_and(|size| self.current.size() >= size) {
            self.cut(import.latest_unix_ns(), import, passed);
        }
    }

    /// What began before `cut_ns` belongs to the file before.
    fn cut(&mut self, cut_ns: i64, import: &mut Import, passed: &Passed) {
        self.end_closing(import, passed);
        let mut ledger = import.take_ledger();
        passed.account(&mut ledger);
        self.current.ledger.merge(&ledger);
        self.current.latest_ns = import.latest_unix_ns().min(cut_ns);
        let (path, stamped_ms) = free_name(&self.output, (cut_ns / MS).max(self.stamped_ms + 1));
        self.stamped_ms = stamped_ms;
        self.note_unfinished(&path);
        let fresh = self.redactor.as_ref().map(Redactor::fresh);
        let (next, error) = Part::begin(path, Some(cut_ns), fresh);
        let before = std::mem::replace(&mut self.current, next);
        // Even where it has no exchange yet: what is under way began in its time.
        self.closing = Some((before, [cut_ns, after(cut_ns, LINGER)]));
        if let Some(error) = error {
            self.refused(error.into());
        }
    }

    /// No answer is waited for any more.
    fn end_closing(&mut self, import: &Import, passed: &Passed) {
        if let Some((part, _)) = self.closing.take() {
            let mut servers = import.servers();
            add_fronts(&mut servers, passed);
            self.close(part, servers);
        }
    }

    /// The file before is finished, aside. Where it has no exchange there is none; what there is to
    /// account for goes on to the next.
    fn close(&mut self, part: Part, servers: Servers) {
        if part.exchanges > 0 {
            return self.finish(part, servers);
        }
        self.current.ledger.merge(&part.ledger);
        self.forget(&part.path);
    }

    /// At the end: all that is left is written, with what is left of the account.
    pub(super) fn end(&mut self, ledger: &Ledger, latest_ns: i64, servers: &Servers) {
        if let Some((part, _)) = self.closing.take() {
            self.close(part, servers.clone());
        }
        self.settle();
        self.current.ledger.merge(ledger);
        self.current.latest_ns = latest_ns;
        let nothing = Part::none(self.current.path.clone());
        let last = std::mem::replace(&mut self.current, nothing);
        // Without exchanges it says what became of the last bytes, but only where others tell the
        // rest, and the disk takes it.
        let is_told = self.totals.files > 0 && !last.is_lost() && !last.ledger.is_empty();
        if last.exchanges > 0 || is_told {
            self.finish(last, servers.clone());
            self.settle();
        } else {
            self.totals.ledger.merge(&last.ledger);
            drop(last);
            self.forget(&self.current.path);
        }
    }

    fn finish(&mut self, mut part: Part, servers: Servers) {
        self.settle();
        if self.rotation.is_on() {
            part.place = Some(Place { series: self.series.clone(), number: self.number });
            self.number += 1;
        }
        let path = part.path.clone();
        let (writer, header) = part.ended(self.origin.clone(), servers);
        let (ledger, exchanges) = (header.ledger.clone(), header.exchanges);
        let Some(writer) = writer else {
            return self.lost(&path, ledger, exchanges);
        };
        match aside(writer, header) {
            Ok(thread) => self.finishing = Some(Finishing { path, ledger, exchanges, thread }),
            Err(error) => {
                self.refused(error.into());
                self.lost(&path, ledger, exchanges);
            }
        }
    }

    /// Waits for the file that is being finished.
    fn settle(&mut self) {
        let Some(Finishing { path, ledger, exchanges, thread }) = self.finishing.take() else {
            return;
        };
        let header = match thread.join() {
            Ok(Ok(header)) => header,
            Ok(Err(error)) => {
                self.refused(error.into());
                return self.lost(&path, ledger, exchanges);
            }
            Err(_) => {
                self.refused(anyhow::anyhow!("the thread that finishes files panicked"));
                return self.lost(&path, ledger, exchanges);
            }
        };
        self.unfinished().retain(|unfinished| *unfinished != path);
        if self.rotation.is_on() {
            let length = format_duration(Duration::from_nanos(header.duration_ns));
            let said = format!(
                "{}: {} exchanges on {} connections in {length}",
                path.display(),
                format_count(header.exchanges),
                format_count(header.connections)
            );
            outputs::note(self.quiet, &said);
        }
        self.totals.files += 1;
        self.totals.ledger.merge(&header.ledger);
        Redaction::join(&mut self.totals.redaction, header.redaction.as_ref());
        // Nothing is removed for one that only tells what became of the last bytes.
        if header.exchanges > 0 {
            self.written.push_back(path);
            self.remove_old();
        }
        self.totals.last = Some(header);
    }

    fn remove_old(&mut self) {
        while self.rotation.keep.is_some_and(|keep| self.written.len() > keep) {
            let Some(oldest) = self.written.pop_front() else { return };
            match std::fs::remove_file(&oldest) {
                Ok(()) => self.totals.removed += 1,
                Err(error) => outputs::note(
                    false,
                    &format!("warning: cannot remove {}: {error}", oldest.display()),
                ),
            }
        }
    }

    /// The disk refused something. Nobody waits for it to get better.
    fn refused(&mut self, error: anyhow::Error) {
        let goes_on = if self.rotation.is_on() {
            "connections are passed on, but what this file had and would have had is lost; another \
             file is tried soon: make room on its disk"
        } else {
            "connections are passed on, but nothing is recorded any more, and no file will be \
             written: end this and record to another disk"
        };
        // A disk that stays full says so with every file.
        if self.now_ns >= self.next_told_ns {
            self.next_told_ns = after(self.now_ns, RETRY);
            outputs::note(false, &format!("error: {error:#}; {goes_on}"));
        }
        if self.rotation.is_on() && self.current.is_lost() {
            let retry_ns = after(self.now_ns, RETRY);
            self.cut_at_ns = Some(self.cut_at_ns.map_or(retry_ns, |cut_ns| cut_ns.min(retry_ns)));
        }
        self.totals.error.get_or_insert(error);
    }

    /// Its exchanges are counted, and its account goes on to the next file.
    fn lost(&mut self, path: &Path, ledger: Ledger, exchanges: u64) {
        self.totals.lost_files += 1;
        self.totals.lost_exchanges += exchanges;
        self.current.ledger.merge(&unwritten(ledger));
        self.forget(path);
    }

    fn note_unfinished(&self, path: &Path) {
        self.unfinished().push(path.to_owned());
    }

    /// Removes what was written of a file.
    fn forget(&self, path: &Path) {
        self.unfinished().retain(|unfinished| unfinished != path);
        forget(path);
    }

    fn unfinished(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients connected there: who replays to these replays to the upstream.
pub(super) fn add_fronts(servers: &mut Servers, passed: &Passed) {
    servers.addresses.extend(passed.fronts());
    servers.addresses.sort_unstable();
    servers.addresses.dedup();
}

fn aside(
    writer: RecordingWriter,
    header: Header,
) -> std::io::Result<JoinHandle<Result<Header, RecordingError>>> {
    thread::Builder::new().name("finish".to_owned()).spawn(move || writer.finish(header))
}

fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn after(moment_ns: i64, duration: Duration) -> i64 {
    moment_ns.saturating_add(ns(duration))
}

#[cfg(test)]
mod tests;
