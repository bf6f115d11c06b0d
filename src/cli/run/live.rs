//! The numbers of a run, sent to monitoring systems while it goes on.
//!
//! A system that does not answer costs numbers, never the run: what could not be sent is kept for
//! some minutes and tried again, and what is lost is counted and told.

mod push;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};

use anyhow::Context;

use crate::cli::out::Output;
use crate::cli::out::collector::Collector;
use crate::cli::run::labels::Labels;
use crate::cli::run::live::push::{Pusher, Refusal};
use crate::cli::{Voice, outputs, wall_clock};
use crate::drive::gauges::{Gauges, Live};
use crate::report::metrics::{self, Batch, EVERY, Origin};
use crate::units::format_counted;

/// Everybody who is told.
#[derive(Debug)]
pub(super) struct Exports {
    threads: Vec<(Sender<u8>, JoinHandle<()>)>,
}

impl Exports {
    /// Starts a thread for each monitoring system. Nothing is sent before there is a load.
    pub(super) fn start(
        outs: &[Output],
        origin: &Origin,
        live: &Live,
        voice: Voice,
    ) -> anyhow::Result<Self> {
        let mut threads = Vec::new();
        for collector in outs.iter().filter_map(Output::collector) {
            let pusher = Pusher::new(collector, origin.clone())
                .with_context(|| format!("--out: nothing can be sent to {collector}"))?;
            let mut export = Export {
                place: collector.clone(),
                live: live.clone(),
                since: None,
                waiting: VecDeque::new(),
                told: false,
                tally: Tally::default(),
                voice,
            };
            let (ended, end) = channel();
            let thread = thread::spawn(move || export.run(&pusher, &end));
            threads.push((ended, thread));
        }
        Ok(Self { threads })
    }

    /// Sends how the run ended, where it was a run, and waits for all of it to be sent, for some
    /// seconds.
    pub(super) fn finish(self, exit_code: Option<u8>) {
        for (ended, thread) in self.threads {
            match exit_code {
                // A thread that is gone has said so.
                Some(code) => drop(ended.send(code)),
                None => drop(ended),
            }
            let _ = thread.join();
        }
    }
}

/// Whose numbers they are.
pub(super) fn origin(folder: &Path, scenario: &str, labels: &Labels) -> Origin {
    let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Origin { version, scenario: scenario.to_owned(), run, labels: labels.clone() }
}

/// Batches that wait for a system that does not answer: ten minutes of them.
const MAX_WAITING: usize = 120;

/// Most batches of one request, so that it stays small however long nobody answered.
const MAX_SENT: usize = 60;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    sent: u64,
    lost: u64,
}

struct Export {
    place: Collector,
    live: Live,
    /// The load whose numbers these are, and when it began, in ns since the Unix epoch.
    since: Option<(Arc<Gauges>, u64)>,
    waiting: VecDeque<Batch>,
    /// A failure was told: the next one would say the same.
    told: bool,
    tally: Tally,
    voice: Voice,
}

impl Export {
    fn run(&mut self, pusher: &Pusher, end: &Receiver<u8>) {
        loop {
            let ended = match end.recv_timeout(EVERY) {
                Err(RecvTimeoutError::Timeout) => None,
                Ok(code) => Some(Some(code)),
                Err(RecvTimeoutError::Disconnected) => Some(None),
            };
            if let Some(mut batch) = self.read() {
                batch.points.extend(ended.flatten().map(metrics::ended));
                self.keep(batch);
            }
            self.send(pusher);
            if ended.is_some() {
                break;
            }
        }
        self.tally.lost += self.waiting.len() as u64;
        self.tell();
    }

    /// The numbers now; `None` before there is a load.
    fn read(&mut self) -> Option<Batch> {
        let gauges = self.live.gauges()?;
        let snapshot = gauges.snapshot();
        let unix_ns = u64::try_from(wall_clock::now().unix_ns()).unwrap_or(0);
        let since = match &self.since {
            Some((known, since)) if Arc::ptr_eq(known, &gauges) => *since,
            _ => {
                let elapsed = u64::try_from(snapshot.elapsed.as_nanos()).unwrap_or(u64::MAX);
                let since = unix_ns.saturating_sub(elapsed);
                self.since = Some((gauges, since));
                since
            }
        };
        let points = metrics::points(&snapshot);
        Some(Batch { unix_ns, since_unix_ns: since, points })
    }

    fn keep(&mut self, batch: Batch) {
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
            self.tally.lost += 1;
        }
        self.waiting.push_back(batch);
    }

    fn send(&mut self, pusher: &Pusher) {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(MAX_SENT);
            let batches = &self.waiting.make_contiguous()[..count];
            match pusher.push(batches) {
                Ok(()) => self.tally.sent += count as u64,
                // It would refuse them again.
                Err(Refusal { reason, is_final: true }) => {
                    self.tally.lost += count as u64;
                    self.say_once(&reason);
                }
                Err(Refusal { reason, is_final: false }) => {
                    self.say_once(&reason);
                    return;
                }
            }
            self.waiting.drain(..count);
        }
    }

    fn say_once(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.told, true) {
            let place = &self.place;
            let text = format!("warning: --out: {place}: {reason}; the run goes on without it");
            outputs::note(false, &text);
        }
    }

    fn tell(&self) {
        let Tally { sent, lost } = self.tally;
        let readings = |count| format_counted(count, "reading", "readings");
        outputs::note(self.voice.quiet, &format!("{} sent to {}", readings(sent), self.place));
        if lost > 0 {
            let text = format!("warning: {} lost on the way to {}", readings(lost), self.place);
            outputs::note(false, &text);
        }
    }
}
