//! Reads the plan ahead of the clock and hands it to the workers.

use std::error::Error;
use std::sync::Arc;
use std::thread::park_timeout;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::drive::desk::{Desk, Run};
use crate::drive::pacer::shard;
use crate::plan::Arrival;
use crate::plan::needs::READ_AHEAD;
use crate::sample::Unsent;
use crate::summary::Summary;

/// Arrivals on their way to a worker, in the plan's order.
pub(crate) type Batch = Vec<Box<Arrival>>;

/// What became of the plan.
pub(crate) struct Fed {
    /// Arrivals read: each has a sample somewhere.
    pub(crate) arrivals: u64,
    /// Samples of those that came too late to be handed over.
    pub(crate) summary: Summary,
    /// What ended the plan before its end.
    pub(crate) failure: Option<Box<dyn Error + Send + Sync>>,
}

/// Arrivals that are handed over together at most: waking a worker costs as much as ten arrivals.
const BATCH: usize = 256;

/// Arrivals due sooner than this are handed over one by one.
const SOON: Duration = Duration::from_secs(1);

/// The reader, once as far ahead as it may be, pauses for this much of the plan.
const PAUSE: Duration = Duration::from_millis(250);

/// How often a waiting reader looks whether the run was stopped.
const PATIENCE: Duration = Duration::from_millis(100);

/// Reads the whole plan. Returns when the last arrival was handed over; once the run is stopped,
/// the rest of the plan is counted without being sent, so that every arrival is accounted for. It
/// is read for that only where it does not know its length: 36 million arrivals of an hour would
/// take minutes.
///
/// The queues to the workers have no bound of their own: `LookAhead` bounds all of them together.
pub(crate) fn feed<E: Into<Box<dyn Error + Send + Sync>>>(
    run: &Arc<Run>,
    workers: Vec<UnboundedSender<Batch>>,
    plan: impl Iterator<Item = Result<Arrival, E>>,
) -> Fed {
    let batches = workers.iter().map(|_| Batch::new()).collect();
    let late = Desk::new(Arc::clone(run));
    let mut feed = Feed { run, workers, batches, held: 0, late };
    let (mut arrivals, mut last_due, mut failure) = (0, Duration::ZERO, None);
    let mut plan = plan;
    loop {
        if run.stop.is_requested()
            && let Some(unread) = known_length(&plan)
        {
            arrivals += unread;
            feed.late.unread(unread);
            break;
        }
        let Some(arrival) = plan.next() else { break };
        match arrival {
            Ok(arrival) => {
                arrivals += 1;
                last_due = last_due.max(arrival.due);
                feed.hand_over(Box::new(arrival));
            }
            Err(error) => {
                failure = Some(error.into());
                break;
            }
        }
    }
    feed.flush();
    // Before the queues close: a worker that sees its queue closed asks for it.
    run.last_due.get_or_init(|| last_due);
    Fed { arrivals, summary: feed.late.take_summary(), failure }
}

/// How much is left of a plan, where it knows.
fn known_length(plan: &impl Iterator) -> Option<u64> {
    match plan.size_hint() {
        (least, Some(most)) if least == most => Some(least as u64),
        _ => None,
    }
}

struct Feed<'a> {
    run: &'a Run,
    workers: Vec<UnboundedSender<Batch>>,
    /// What is not handed over yet, by worker.
    batches: Vec<Batch>,
    held: usize,
    /// Where the arrivals go that nobody will send.
    late: Desk,
}

impl Feed<'_> {
    fn hand_over(&mut self, arrival: Box<Arrival>) {
        let has_waited = self.wait_for_room(arrival.held_bytes());
        self.wait_for_time(arrival.due);
        // Where workers left no room, it was not the reading that took its time.
        let now = self.run.epoch.now();
        if !has_waited && arrival.due < now {
            self.run.gauges.read_late();
        }
        let soon = arrival.due < now + SOON;
        let unit = arrival.turn.map_or(arrival.connection, |turn| turn.group);
        self.batches[shard(unit, self.workers.len())].push(arrival);
        self.held += 1;
        if self.held >= BATCH || soon || self.run.stop.is_requested() {
            self.flush();
        }
    }

    /// Waits until one more may be held; says whether that took time.
    fn wait_for_room(&mut self, bytes: usize) -> bool {
        if self.run.look_ahead.try_take(bytes) {
            return false;
        }
        // What is held back here counts, too: only workers make room.
        self.flush();
        while !self.run.stop.is_requested()
            && !self.run.look_ahead.take_when_plenty(bytes, PATIENCE)
        {}
        true
    }

    fn wait_for_time(&mut self, due: Duration) {
        if due <= self.run.epoch.now() + READ_AHEAD {
            return;
        }
        self.flush();
        let resume = (due + PAUSE).saturating_sub(READ_AHEAD);
        while !self.run.stop.is_requested() {
            let wait = resume.saturating_sub(self.run.epoch.now());
            if wait.is_zero() {
                return;
            }
            park_timeout(wait.min(PATIENCE));
        }
    }

    fn flush(&mut self) {
        self.held = 0;
        let stopped = self.run.stop.is_requested();
        for (worker, batch) in self.workers.iter().zip(&mut self.batches) {
            let batch = std::mem::take(batch);
            if batch.is_empty() {
                continue;
            }
            let refused = if stopped {
                Some(batch)
            } else {
                worker.send(batch).err().map(|refused| refused.0)
            };
            let Some(refused) = refused else { continue };
            // A worker goes before the end only when the run was stopped, or by a panic, which
            // must not wait for the end of the plan to be seen.
            self.run.stop.request();
            for arrival in refused {
                self.late.unsent(&arrival, None, Unsent::Interrupted);
            }
        }
    }
}
