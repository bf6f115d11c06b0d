//! A worker: one thread, one runtime, one timer, and the connections of its shard.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::drive::clock::PreciseTimer;
use crate::drive::connection;
use crate::drive::desk::{Desk, InFlight, Run};
use crate::drive::feed::Batch;
use crate::drive::health::run_queue_wait_of_this_thread;
use crate::drive::hook::kept_back;
use crate::drive::http2;
use crate::drive::lead::Lead;
use crate::drive::pacer::{Pacer, Step};
use crate::drive::redis;
use crate::drive::sessions::{Offered, Sessions, Settled};
use crate::plan::Arrival;
use crate::protocol::Protocol;
use crate::sample::Unsent;
use crate::summary::Summary;

/// A running worker.
pub(crate) struct Worker {
    /// Where its arrivals go, in order; closing it is the end of the plan.
    pub(crate) batches: UnboundedSender<Batch>,
    pub(crate) thread: JoinHandle<Worked>,
}

/// What a worker leaves behind.
pub(crate) struct Worked {
    pub(crate) summary: Summary,
    pub(crate) run_queue_wait: Option<Duration>,
    /// What ended it before the end of the plan.
    pub(crate) failure: Option<io::Error>,
}

/// How long the end of a run waits for reads that a disk has not answered.
const LAST_READ: Duration = Duration::from_secs(1);

/// Tasks polled before sockets and timer are looked at again: the runtime's default of 61 would
/// make the pacer wait for that many connections.
const EVENT_INTERVAL: u32 = 16;

/// Threads of a worker that read large bodies and look up names: as many reads as keep a disk busy.
const READERS: usize = 64;

/// Arrivals released before connections get a turn: a burst must not keep its first requests from
/// being written until its last one was released.
const RELEASE_BURST: usize = 16;

/// Starts a worker. Everything that can fail, fails here, before the run begins.
pub(crate) fn start(number: usize, run: &Arc<Run>) -> io::Result<Worker> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .max_blocking_threads(READERS)
        .build()?;
    let timer = {
        let _context = runtime.enter();
        PreciseTimer::new()?
    };
    let (batches, queue) = mpsc::unbounded_channel();
    let (tell, settled) = mpsc::unbounded_channel();
    let desk = Arc::new(Desk::telling(Arc::clone(run), tell));
    let thread = thread::Builder::new()
        .name(format!("drive-{number}"))
        .spawn(move || work(runtime, timer, &desk, (queue, settled)))?;
    Ok(Worker { batches, thread })
}

fn work(
    runtime: Runtime,
    timer: PreciseTimer,
    desk: &Arc<Desk>,
    (batches, settled): (UnboundedReceiver<Batch>, UnboundedReceiver<Settled>),
) -> Worked {
    // The kernel may otherwise round timeouts up by 50 µs. Where it refuses, that is all we lose.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let (alive, ended) = mpsc::channel(1);
    let mut shard = Shard {
        desk: Arc::clone(desk),
        timer,
        lead: Lead::default(),
        batches,
        pacer: Pacer::default(),
        settled,
        sessions: Sessions::default(),
        lanes: HashMap::new(),
        alive,
        released: Released::default(),
    };
    let failure = runtime.block_on(async move {
        let failure = shard.pace().await.err();
        if failure.is_some() {
            // Without this shard the load is not the planned one: the rest is not worth sending.
            shard.desk.run.stop.request();
        }
        shard.finish(ended).await;
        failure
    });
    // Whatever is still in flight is settled as its task is dropped. A read from a disk that does
    // not answer is not waited for.
    runtime.shutdown_timeout(LAST_READ);
    Worked {
        summary: desk.take_summary(),
        run_queue_wait: run_queue_wait_of_this_thread(),
        failure,
    }
}

/// The thin shell around the pacer: clock, timer, queue in; connections out.
struct Shard {
    desk: Arc<Desk>,
    timer: PreciseTimer,
    lead: Lead,
    batches: UnboundedReceiver<Batch>,
    pacer: Pacer,
    /// Arrivals that others may wait for, as they are settled: at most as many as are in flight.
    settled: UnboundedReceiver<Settled>,
    /// What is due and waits for the answer before it.
    sessions: Sessions,
    lanes: HashMap<u64, Lane>,
    /// Held by each connection's task as long as it lives.
    alive: mpsc::Sender<Infallible>,
    released: Released,
}

/// A connection that has more to send.
#[derive(Default)]
struct Lane {
    /// Leads to its task, once there was something to send.
    requests: Option<UnboundedSender<Box<InFlight>>>,
    /// The same for those of HTTP/2, which are others also where a connection was upgraded.
    streams: Option<UnboundedSender<Box<InFlight>>>,
    /// Its arrivals so far.
    passed: u32,
    /// All of its arrivals, once the last one was seen.
    total: Option<u32>,
    /// Its first was held: what is sent first is what opens it.
    opening_held: bool,
}

impl Lane {
    /// What leads to its task for this protocol, which is begun with its first request.
    fn served(
        &mut self,
        desk: &Arc<Desk>,
        protocol: Protocol,
        alive: &mpsc::Sender<Infallible>,
    ) -> &UnboundedSender<Box<InFlight>> {
        let requests = match protocol {
            Protocol::Http2 => &mut self.streams,
            _ => &mut self.requests,
        };
        requests.get_or_insert_with(|| {
            let (requests, queue) = mpsc::unbounded_channel();
            let (desk, alive) = (Arc::clone(desk), alive.clone());
            match (desk.run.dialler.redis(), protocol) {
                (Some(_), _) => tokio::spawn(redis::serve(desk, queue, alive)),
                (None, Protocol::Http2) => tokio::spawn(http2::serve(desk, queue, alive)),
                (None, _) => tokio::spawn(connection::serve(desk, queue, alive)),
            };
            requests
        })
    }

    /// One more of its arrivals needs it no longer; whether that was the last one. Those of several
    /// sessions come in any order where each waits for its own answers.
    fn is_over_after(&mut self, place: Place) -> bool {
        self.passed = self.passed.saturating_add(1);
        if place.is_last {
            self.total = Some(place.seq.saturating_add(1));
        }
        self.total.is_some_and(|total| self.passed >= total)
    }
}

/// Where an arrival is on its connection.
#[derive(Clone, Copy)]
struct Place {
    connection: u64,
    seq: u32,
    is_last: bool,
}

impl Place {
    fn of(arrival: &Arrival) -> Self {
        let Arrival { connection, seq, last_on_connection: is_last, .. } = *arrival;
        Self { connection, seq, is_last }
    }
}

/// What was released since the look-ahead was told.
#[derive(Default)]
struct Released {
    arrivals: usize,
    bytes: usize,
}

impl Shard {
    /// Releases every arrival at its moment. Returns early when the run is stopped.
    async fn pace(&mut self) -> io::Result<()> {
        let run = Arc::clone(&self.desk.run);
        let mut stop = run.stop.subscribe();
        let mut open = true;
        let mut burst = 0;
        while !run.stop.is_requested() {
            let now = run.epoch.elapsed();
            // Before the start nothing is due.
            let next = now.map_or(Step::WaitUntil(Duration::ZERO), |now| self.step(now));
            let due = match next {
                Step::Release(arrival) => {
                    self.release(arrival, now.unwrap_or_default());
                    burst += 1;
                    if burst == RELEASE_BURST {
                        burst = 0;
                        self.make_room();
                        yield_now().await;
                    }
                    continue;
                }
                Step::WaitUntil(_) if burst > 0 => {
                    // What was just released is written before anything else takes time.
                    burst = 0;
                    yield_now().await;
                    continue;
                }
                Step::WaitUntil(due) => Some(due),
                Step::Starved => None,
                Step::Finished if self.sessions.is_empty() => break,
                Step::Finished => {
                    let end = self.end_of_patience();
                    if now.unwrap_or_default() >= end {
                        break;
                    }
                    Some(end)
                }
            };
            burst = 0;
            let due = due.into_iter().chain(self.sessions.next_moment()).min();
            if due.is_some_and(|due| self.is_near(due, now)) {
                // Answers are read meanwhile, at once: they must not seem slower for it.
                yield_now().await;
                continue;
            }
            self.make_room();
            let wake = due.unwrap_or(Duration::MAX).saturating_sub(self.lead.get());
            let timer = self.timer.wait_until(run.epoch.at(wake));
            tokio::select! {
                biased;
                _ = stop.wait_for(|requested| *requested) => {}
                woken = timer, if due.is_some() => {
                    woken?;
                    self.lead.woke(run.epoch.now().saturating_sub(wake));
                }
                Some(settled) = self.settled.recv() => self.sessions.settled(settled),
                batch = self.batches.recv(), if open => {
                    open = batch.is_some();
                    match batch {
                        Some(batch) => self.pacer.offer(batch),
                        None => self.pacer.close(),
                    }
                }
            }
        }
        Ok(())
    }

    /// A moment is so near that to sleep would be to miss it.
    fn is_near(&mut self, due: Duration, now: Option<Duration>) -> bool {
        self.lead.aim(due);
        now.is_some_and(|now| due.saturating_sub(now) <= self.lead.get())
    }

    /// What to do next: who waited for an answer goes before those whose moment in the plan comes.
    fn step(&mut self, now: Duration) -> Step {
        while let Ok(settled) = self.settled.try_recv() {
            self.sessions.settled(settled);
        }
        for _ in 0..RELEASE_BURST {
            let Some((arrival, drift)) = self.sessions.next(now) else { break };
            self.dispatch(arrival, drift, now);
        }
        self.pacer.step(now)
    }

    /// Until when the answers are waited for that sessions need to go on.
    fn end_of_patience(&self) -> Duration {
        let run = &self.desk.run;
        // The reader is behind the end of the plan: the queue is closed.
        run.last_due.get().copied().unwrap_or_default().saturating_add(run.limits.grace)
    }

    /// The moment of an arrival in the plan has come.
    fn release(&mut self, arrival: Box<Arrival>, now: Duration) {
        self.released.arrivals += 1;
        self.released.bytes = self.released.bytes.saturating_add(arrival.held_bytes());
        match self.sessions.offer(arrival, now) {
            Offered::Ready(arrival, drift) => self.dispatch(arrival, drift, now),
            Offered::Waits => {}
            Offered::Refused(arrival) => {
                self.leave_behind(&arrival);
                let place = Place::of(&arrival);
                if self.lanes.entry(place.connection).or_default().is_over_after(place) {
                    self.lanes.remove(&place.connection);
                }
            }
        }
    }

    fn dispatch(&mut self, mut arrival: Box<Arrival>, drift: Duration, now: Duration) {
        let place = Place::of(&arrival);
        let lane = self.lanes.entry(place.connection).or_default();
        if let Some(reason) = kept_back(&arrival, self.desk.run.hold.is_held()) {
            lane.opening_held |= arrival.seq == 0;
            self.desk.unsent(&arrival, None, reason);
        } else {
            if std::mem::take(&mut lane.opening_held) {
                arrival.seq = 0;
            }
            if let Some(in_flight) = InFlight::begin_moved(&self.desk, arrival, drift, now) {
                let requests = lane.served(&self.desk, in_flight.arrival.protocol, &self.alive);
                // A task that is gone has panicked; the request is settled as it is dropped.
                drop(requests.send(Box::new(in_flight)));
            }
        }
        if lane.is_over_after(place) {
            // The task closes the connection once its queue is empty.
            self.lanes.remove(&place.connection);
        }
    }

    /// The turn of an arrival never comes: this machine was ready for it at its moment.
    fn leave_behind(&self, arrival: &Arrival) {
        self.desk.unsent(arrival, Some(arrival.due), Unsent::SessionBehind);
    }

    /// Lets the reader go on by as much as was released.
    fn make_room(&mut self) {
        let released = std::mem::take(&mut self.released);
        if released.arrivals > 0 {
            self.desk.run.look_ahead.give_back(released.arrivals, released.bytes);
        }
    }

    /// Waits for outstanding answers as long as the limits allow, and settles what was never
    /// released.
    async fn finish(mut self, ended: mpsc::Receiver<Infallible>) {
        let run = Arc::clone(&self.desk.run);
        for arrival in std::mem::take(&mut self.sessions).abandon() {
            if run.stop.is_requested() {
                self.desk.unsent(&arrival, None, Unsent::Interrupted);
            } else {
                self.leave_behind(&arrival);
            }
        }
        self.lanes.clear();
        drop(self.alive);
        self.batches.close();
        let mut left: Batch = self.pacer.abandon().collect();
        while let Some(batch) = self.batches.recv().await {
            left.extend(batch);
        }
        for arrival in left {
            self.desk.unsent(&arrival, None, Unsent::Interrupted);
        }
        outlast(&run, ended).await;
    }
}

/// Waits for outstanding answers as long as the limits allow.
pub(crate) async fn outlast(run: &Run, mut ended: mpsc::Receiver<Infallible>) {
    // The last arrival of the run may be another worker's.
    let last_due = run.last_due.get().copied().unwrap_or_default();
    let until_last_due = last_due.saturating_sub(run.epoch.now());
    let patience = until_last_due.saturating_add(run.limits.grace);
    let mut stop = run.stop.subscribe();
    let stopped = tokio::select! {
        biased;
        _ = stop.wait_for(|requested| *requested) => true,
        _ = timeout(patience, ended.recv()) => false,
    };
    if stopped {
        let _ = timeout(run.limits.grace, ended.recv()).await;
    }
}
