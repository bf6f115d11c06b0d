//! The numbers of a run, sent to monitoring systems while it goes on.
//!
//! A system that does not answer costs numbers, never the run: what could not be sent is kept for
//! some minutes and tried again, and what is lost is counted and told.

mod moments;
mod push;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::cli::out::Output;
use crate::cli::out::collector::{Collector, one_is_shown};
use crate::cli::run::labels::Labels;
use crate::cli::run::live::moments::Moments;
use crate::cli::run::live::push::{Again, Pusher, Refusal};
use crate::cli::{Voice, outputs, wall_clock};
use crate::drive::gauges::{Gauges, Live};
use crate::report::metrics::{self, Batch, EVERY, Origin, Point};
use crate::units::format_counted;

/// Everybody who is told.
#[derive(Debug)]
pub(super) struct Exports {
    threads: Vec<(Sender<End>, JoinHandle<()>)>,
}

/// The run is over, with this exit code where it was one.
type End = Option<u8>;

impl Exports {
    /// Starts a thread for each monitoring system. Nothing is sent before there is a load.
    pub(super) fn start(
        outs: &[Output],
        origin: &Origin,
        live: &Live,
        voice: Voice,
    ) -> anyhow::Result<Self> {
        let collectors = || outs.iter().filter_map(Output::collector);
        one_is_shown(collectors()).map_err(|mistake| anyhow!("--out: {mistake}"))?;
        let mut threads = Vec::new();
        for collector in collectors() {
            let pusher = Pusher::new(collector, origin.clone())
                .with_context(|| format!("--out: nothing can be sent to {collector}"))?;
            let mut export = Export::new(collector.clone(), live.clone(), voice);
            let (ended, end) = channel();
            let thread = thread::spawn(move || {
                export.run(&|batches| pusher.push(batches), &end, EVERY);
                pusher.close();
            });
            threads.push((ended, thread));
        }
        Ok(Self { threads })
    }

    /// Sends how the run ended, where it was a run, and waits for all of it to be sent, for some
    /// seconds.
    pub(super) fn finish(self, exit_code: Option<u8>) {
        // All are told at once, so that none waits for another one that does not answer.
        for (ended, _) in &self.threads {
            // A thread that is gone has said so.
            let _ = ended.send(exit_code);
        }
        for (ended, thread) in self.threads {
            let _ = thread.join();
            drop(ended);
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

/// How often the last numbers are tried again where a system has too much to do, a second apart.
/// The end of the run waits for it.
const LAST_TRIES: usize = 3;
const LAST_REST: Duration = Duration::from_secs(1);

/// Readings, of which each is all numbers at one moment, and single numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    sent: u64,
    lost: u64,
    /// Numbers that were not kept of readings that were taken.
    refused: u64,
}

/// Sends some batches, and says how many of their numbers were not kept.
type Push<'a> = &'a dyn Fn(&[Batch]) -> Result<u64, Refusal>;

struct Export {
    place: Collector,
    live: Live,
    /// The load whose numbers these are, and what was read of it last.
    known: Option<(Arc<Gauges>, Vec<Point>)>,
    moments: Moments,
    waiting: VecDeque<Batch>,
    /// Rounds in which nothing is sent, since the system asked for a rest.
    rests: u64,
    /// A failure was told: the next one would say the same.
    told: bool,
    tally: Tally,
    voice: Voice,
}

impl Export {
    fn new(place: Collector, live: Live, voice: Voice) -> Self {
        Self {
            place,
            live,
            known: None,
            moments: Moments::default(),
            waiting: VecDeque::new(),
            rests: 0,
            told: false,
            tally: Tally::default(),
            voice,
        }
    }

    /// Sends so often until the end, and then what is left.
    fn run(&mut self, push: Push, end: &Receiver<End>, every: Duration) {
        let exit_code = loop {
            match end.recv_timeout(every) {
                Err(RecvTimeoutError::Timeout) => {
                    self.read(None);
                    self.rests = self.rests.saturating_sub(1);
                    if self.rests == 0 {
                        self.send(push);
                    }
                }
                Ok(exit_code) => break exit_code,
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        self.read(exit_code);
        self.close_series();
        for tried in 1..=LAST_TRIES {
            if self.send(push) != Some(Sent::Busy) || tried == LAST_TRIES {
                break;
            }
            let _ = end.recv_timeout(LAST_REST);
        }
        self.tally.lost += readings(&self.waiting);
        self.tell();
    }

    /// Reads the numbers of the load, if there is one, and how the run ended, if it has.
    fn read(&mut self, exit_code: Option<u8>) {
        let wall_ns = u64::try_from(wall_clock::now().unix_ns()).unwrap_or(0);
        let (mut points, elapsed) = match self.live.gauges() {
            Some(gauges) => self.read_load(gauges),
            None => (Vec::new(), Duration::ZERO),
        };
        points.extend(exit_code.map(metrics::ended));
        if !points.is_empty() {
            let (since_unix_ns, unix_ns) = self.moments.now(wall_ns, elapsed);
            self.keep(Batch { unix_ns, since_unix_ns, points });
        }
    }

    fn read_load(&mut self, gauges: Arc<Gauges>) -> (Vec<Point>, Duration) {
        let snapshot = gauges.snapshot();
        let mut points = metrics::points(&snapshot);
        match &self.known {
            Some((known, before)) if Arc::ptr_eq(known, &gauges) => {
                metrics::keep_rising(&mut points, before);
            }
            _ => self.moments.begin_anew(),
        }
        self.known = Some((gauges, points.clone()));
        (points, snapshot.elapsed)
    }

    /// Says that what goes up and down has no value any more: a dashboard would draw it for minutes
    /// on end.
    fn close_series(&mut self) {
        let Some((_, last)) = &self.known else { return };
        let points = metrics::over(last);
        let Some(last) = self.waiting.back() else { return };
        let (since_unix_ns, unix_ns) = self.moments.now(last.unix_ns, Duration::ZERO);
        self.keep(Batch { unix_ns, since_unix_ns, points });
    }

    fn keep(&mut self, batch: Batch) {
        if self.waiting.len() == MAX_WAITING {
            self.tally.lost += readings(&self.waiting.pop_front());
        }
        self.waiting.push_back(batch);
    }

    /// Sends what waits, as far as that is taken; `None` where all was.
    fn send(&mut self, push: Push) -> Option<Sent> {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(MAX_SENT);
            let batches = &self.waiting.make_contiguous()[..count];
            let numbers = readings(batches);
            match push(batches) {
                Ok(refused) => {
                    self.tally.sent += numbers;
                    self.tally.refused += refused;
                }
                Err(Refusal { reason, again }) => {
                    self.say_once(&reason);
                    match again {
                        Again::Never => self.tally.lost += numbers,
                        Again::Busy(rest) => {
                            self.rests = rest.as_secs().div_ceil(EVERY.as_secs()).min(MAX_RESTS);
                            return Some(Sent::Busy);
                        }
                        Again::Unreached => return Some(Sent::Unreached),
                    }
                }
            }
            self.waiting.drain(..count);
        }
        None
    }

    fn say_once(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.told, true) {
            let place = &self.place;
            let text = format!("warning: --out: {place}: {reason}; the run goes on without it");
            outputs::note(false, &text);
        }
    }

    fn tell(&self) {
        let Tally { sent, lost, refused } = self.tally;
        let readings = |count| format_counted(count, "reading", "readings");
        outputs::note(self.voice.quiet, &format!("{} sent to {}", readings(sent), self.place));
        if lost > 0 {
            let text = format!("warning: {} lost on the way to {}", readings(lost), self.place);
            outputs::note(false, &text);
        }
        if refused > 0 {
            let numbers = format_counted(refused, "number", "numbers");
            let text = format!("warning: {numbers} of them not kept by {}", self.place);
            outputs::note(false, &text);
        }
    }
}

/// Why not all was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Busy,
    Unreached,
}

/// Longest rest that a system is given, in rounds: half of what can wait for it.
const MAX_RESTS: u64 = MAX_WAITING as u64 / 2;

/// Batches that hold numbers. One that only ends what others hold is none.
fn readings<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> u64 {
    let holds = |batch: &&Batch| batch.points.iter().any(|point| point.value.is_some());
    batches.into_iter().filter(holds).count() as u64
}

#[cfg(test)]
mod tests;
