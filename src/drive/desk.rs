//! Where arrivals get their one fate, and samples are folded.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::drive::clock::Epoch;
use crate::drive::dial::Dialler;
use crate::drive::follow::Follow;
use crate::drive::gauges::Gauges;
use crate::drive::hold::{Control, Hold};
use crate::drive::large::LargeBodies;
use crate::drive::lookahead::LookAhead;
use crate::drive::looking::Looking;
use crate::drive::oddities::Oddities;
use crate::drive::reading;
use crate::drive::samples::{Outbox, Sink};
use crate::drive::sessions::Settled;
use crate::drive::stop::Stop;
use crate::plan::Arrival;
use crate::recording::contents::Witness;
use crate::sample::{Fate, Sample, Unsent};
use crate::scenario::Limits;
use crate::scenario::network::Way;
use crate::summary::{Summary, fold};

/// What every thread and task of a run shares.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) epoch: Epoch,
    pub(crate) dialler: Dialler,
    pub(crate) limits: Limits,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) stop: Stop,
    pub(crate) hold: Hold,
    pub(crate) samples: Option<Sink>,
    pub(crate) follow: Option<Arc<Follow>>,
    /// What is due before this counts in no figure.
    pub(crate) counts_from: Duration,
    pub(crate) look_ahead: LookAhead,
    pub(crate) large: LargeBodies,
    pub(crate) looking: Looking,
    pub(crate) oddities: Oddities,
    /// Due moment of the last arrival, once the whole plan was read.
    pub(crate) last_due: OnceLock<Duration>,
}

impl Run {
    /// A run that begins at `epoch`.
    pub(crate) fn new(
        epoch: Epoch,
        way: Way,
        limits: Limits,
        gauges: Arc<Gauges>,
        control: Control,
    ) -> Self {
        let Control { stop, hold, samples, follow, run_in, .. } = control;
        Self {
            epoch,
            dialler: Dialler::new(way),
            limits,
            gauges,
            stop,
            hold,
            samples,
            follow,
            counts_from: run_in,
            look_ahead: LookAhead::default(),
            large: LargeBodies::default(),
            looking: Looking::default(),
            oddities: Oddities::default(),
            last_due: OnceLock::new(),
        }
    }
}

/// One worker's summary, to which all its tasks contribute.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) run: Arc<Run>,
    summary: Mutex<Summary>,
    samples: Outbox,
    /// Who wants to know of settled arrivals whose session sets the pace.
    settled: Option<UnboundedSender<Settled>>,
}

impl Desk {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        let samples = Outbox::new(run.samples.clone());
        Self { run, summary: Mutex::new(Summary::new()), samples, settled: None }
    }

    /// A desk that tells of every settled arrival whose session sets the pace.
    pub(crate) fn telling(run: Arc<Run>, settled: UnboundedSender<Settled>) -> Self {
        Self { settled: Some(settled), ..Self::new(run) }
    }

    /// Settles an arrival that was given to no connection.
    pub(crate) fn unsent(&self, arrival: &Arrival, dispatched: Option<Duration>, reason: Unsent) {
        self.settle(arrival, &blank(arrival, dispatched, Fate::Unsent { reason }));
    }

    /// Settles arrivals that were never read from the plan.
    pub(crate) fn unread(&self, arrivals: u64) {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner).add_unread(arrivals);
    }

    /// All that was folded so far, once nothing more will be: the last samples are handed over.
    pub(crate) fn take_summary(&self) -> Summary {
        self.samples.flush();
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut summary)
    }

    fn settle(&self, arrival: &Arrival, sample: &Sample) {
        self.samples.add(arrival, sample);
        self.run.gauges.settled(sample, fold::is_error(arrival, sample));
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.add_after(self.run.counts_from, arrival, sample);
        drop(summary);
        if let Some((turn, settled)) = arrival.turn.zip(self.settled.as_ref()) {
            let at = sample.done.unwrap_or_else(|| self.run.epoch.now());
            let (session, position) = (arrival.session, turn.position);
            // A worker that is gone needs no answers.
            let _ = settled.send(Settled { session, position, at });
        }
    }
}

/// Most bytes of requests in flight. A target that stalls leaves their bodies in our memory, and a
/// generator that the kernel kills for it reports nothing: so it is what a small machine can spare.
pub(crate) const MAX_IN_FLIGHT_BYTES: u64 = 1024 * 1024 * 1024;

/// An arrival in flight: picked up, without a fate yet.
///
/// Invariant: dropping it settles it. So each arrival gets exactly one sample however its task
/// ends, be it by the end of the run or by a panic.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) arrival: Box<Arrival>,
    pub(crate) sample: Sample,
    desk: Arc<Desk>,
    dispatched: Duration,
    /// Bytes that are counted as in flight.
    held: u64,
    counted_large: bool,
    is_prepared: bool,
    /// It has a place among the answers that are looked into.
    is_looked_into: bool,
    /// Has seen the body of its answer, where production's is known.
    seen: Option<Box<Witness>>,
}

impl InFlight {
    /// Picks up an arrival, unless too many, or too large ones, are in flight: then it is settled
    /// as unsent.
    pub(crate) fn begin(desk: &Arc<Desk>, arrival: Box<Arrival>, now: Duration) -> Option<Self> {
        Self::begin_moved(desk, arrival, Duration::ZERO, now)
    }

    /// The same for an arrival that earlier answers of its session moved by `drift`.
    pub(crate) fn begin_moved(
        desk: &Arc<Desk>,
        arrival: Box<Arrival>,
        drift: Duration,
        now: Duration,
    ) -> Option<Self> {
        let gauges = &desk.run.gauges;
        gauges.picked_up(arrival.due.saturating_add(drift), now);
        let refused = |reason| {
            let fate = Fate::Unsent { reason };
            desk.settle(&arrival, &Sample { drift, ..blank(&arrival, Some(now), fate) });
        };
        if !gauges.enter_flight(desk.run.limits.max_in_flight, now) {
            refused(Unsent::InFlightLimit);
            return None;
        }
        let streamed = if arrival.streamed.is_some() { reading::HELD } else { 0 };
        let held = arrival.held_bytes() as u64 + streamed;
        if !gauges.hold_bytes(held, MAX_IN_FLIGHT_BYTES) {
            gauges.leave_flight(now);
            refused(Unsent::InFlightBytes);
            return None;
        }
        let sample = Sample { drift, ..blank(&arrival, Some(now), UNWRITTEN) };
        let desk = Arc::clone(desk);
        Some(Self {
            arrival,
            sample,
            desk,
            dispatched: now,
            held,
            counted_large: false,
            is_prepared: false,
            is_looked_into: false,
            seen: None,
        })
    }

    pub(crate) fn run(&self) -> &Arc<Run> {
        &self.desk.run
    }

    /// Puts into it what the target gave its client, once, when it is about to be sent.
    pub(crate) fn prepare(&mut self) {
        if !std::mem::replace(&mut self.is_prepared, true)
            && let Some(follow) = &self.desk.run.follow
        {
            follow.prepare(&mut self.arrival);
        }
    }

    /// Sees the body of its answer pass, where production's body is known.
    pub(crate) fn witness(&mut self) -> Option<Box<Witness>> {
        let recorded = self.arrival.answers.recorded.as_ref()?;
        let (is_known, has_fields) = (recorded.has_contents(), recorded.contents.shape.is_some());
        if has_fields && !self.is_looked_into {
            self.is_looked_into = self.run().looking.enter();
        }
        let looks = has_fields && self.is_looked_into;
        is_known.then(|| Box::new(if looks { Witness::default() } else { Witness::of_bytes() }))
    }

    /// The body of its answer is over. What is known of it takes time, which is not the target's:
    /// it is found when the moment of the end is.
    pub(crate) fn has_seen(&mut self, witness: Option<Box<Witness>>) {
        self.seen = witness;
    }

    /// The first byte was handed to the kernel at `moment`. From now on a run that ends has waited
    /// for the answer in vain.
    pub(crate) fn first_byte_sent(&mut self, moment: Duration) {
        self.sample.sent = Some(moment);
        self.sample.fate = Fate::TimedOut;
        if self.arrival.is_large() && !self.counted_large {
            self.counted_large = true;
            self.run().large.begin();
        }
        self.run().gauges.first_byte_sent();
    }

    /// Makes it as if nothing had been sent, and nothing had come.
    pub(crate) fn take_back(&mut self) {
        if self.sample.sent.is_some() {
            self.run().gauges.not_sent();
        }
        self.seen = None;
        let Sample { drift, established, secured, opened, .. } = self.sample;
        let blank = blank(&self.arrival, Some(self.dispatched), UNWRITTEN);
        self.sample = Sample { drift, established, secured, opened, ..blank };
    }

    /// A connection was opened for it, just now.
    pub(crate) fn connection_opened(&mut self) {
        self.sample.opened = true;
        self.sample.established = Some(self.run().epoch.now());
        self.sample.secured = None;
    }

    /// TLS is spoken on it from now on.
    pub(crate) fn connection_secured(&mut self) {
        self.sample.secured = Some(self.run().epoch.now());
    }

    /// None could be opened for it. The target has seen the attempt, unless it failed on this
    /// machine.
    pub(crate) fn connection_failed(&mut self, fate: &Fate) {
        self.sample.opened = !matches!(fate, Fate::Unsent { .. });
        (self.sample.established, self.sample.secured) = (None, None);
    }

    /// Settles it.
    pub(crate) fn finish(self, fate: Fate) {
        let now = self.run().epoch.now();
        self.finish_at(fate, now);
    }

    /// Settles it as of a moment that the caller has just looked at.
    pub(crate) fn finish_at(mut self, fate: Fate, now: Duration) {
        if !matches!(fate, Fate::Unsent { .. }) {
            self.sample.done = Some(now);
        }
        // Bodies are compared of answers with the recorded status.
        if let Some(recorded) = &self.arrival.answers.recorded
            && fate == (Fate::Answered { status: recorded.status })
            && let Some(seen) = self.seen.take()
        {
            self.sample.contents = Some(Box::new(seen.finish_beside(&recorded.contents)));
        }
        self.sample.fate = fate;
    }
}

impl InFlight {
    /// Completes the sample. What is not finished yet was cut off by the end of the run.
    fn conclude(&mut self) {
        let run = Arc::clone(&self.desk.run);
        debug_assert!(in_order(&self.sample), "{:?}", self.sample);
        match self.sample.fate {
            Fate::Unsent { reason: Unsent::RunEnded } if run.stop.is_requested() => {
                self.sample.fate = Fate::Unsent { reason: Unsent::Interrupted };
            }
            Fate::Unsent { .. } => {}
            _ => _ = self.sample.done.get_or_insert_with(|| run.epoch.now()),
        }
        if std::mem::take(&mut self.counted_large) {
            run.large.end(run.epoch.now());
        }
        self.sample.beside_large =
            !self.arrival.is_large() && run.large.overlapped(self.dispatched);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.conclude();
        if self.is_looked_into {
            self.desk.run.looking.leave();
        }
        self.desk.run.gauges.release_bytes(self.held);
        // Without an end there is no time, as in its sample.
        let left = self.sample.done.unwrap_or(self.dispatched);
        self.desk.run.gauges.leave_flight(left);
        self.desk.settle(&self.arrival, &self.sample);
    }
}

/// The moments that happened follow each other. A target may answer, or break off, at any of them,
/// so that the response is only after the connection.
fn in_order(sample: &Sample) -> bool {
    let Sample { due, dispatched, established, secured, connected, .. } = *sample;
    let Sample { sent, sent_last, first_byte, done, .. } = *sample;
    let opened = [Some(due), dispatched, established, secured, connected];
    opened.iter().chain(&[sent, sent_last, done]).flatten().is_sorted()
        && [connected, first_byte, done].iter().flatten().is_sorted()
        && (sent_last.is_none() || sent.is_some())
}

/// What became of a request of which no byte has left yet, if nothing more happens.
const UNWRITTEN: Fate = Fate::Unsent { reason: Unsent::RunEnded };

fn blank(arrival: &Arrival, dispatched: Option<Duration>, fate: Fate) -> Sample {
    Sample {
        due: arrival.due,
        drift: Duration::ZERO,
        dispatched,
        established: None,
        secured: None,
        connected: None,
        sent: None,
        sent_last: None,
        first_byte: None,
        done: None,
        opened: false,
        beside_large: false,
        response_bytes: 0,
        contents: None,
        fate,
    }
}

#[cfg(test)]
pub(crate) mod tests;
