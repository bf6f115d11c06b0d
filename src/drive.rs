//! Carries out a plan: the pacer, the connections, and the only sockets and clock of a replay.
//!
//! ```text
//!   plan ──► feed ──► worker (pacer, timer) ──► connection ──► target
//!                        one a processor          │ one task each
//!                                                 ▼
//!                                     desk: one sample an arrival ──► summary
//! ```
//!
//! Pace is in the plan: an arrival is released at its moment whatever the target does.

pub mod calibrate;
pub mod clock;
pub mod closed;
pub mod follow;
pub mod hook;
pub(crate) mod connection;
pub(crate) mod desk;
pub(crate) mod ports;
pub mod dial;
pub(crate) mod failure;
pub(crate) mod feed;
pub mod gauges;
pub mod census;
pub mod health;
pub mod machine;
pub mod hold;
pub mod samples;
pub(crate) mod http2;
pub(crate) mod large;
pub(crate) mod lead;
pub(crate) mod lookahead;
pub(crate) mod looking;
pub mod pacer;
pub(crate) mod pipeline;
pub(crate) mod place;
pub(crate) mod reading;
pub(crate) mod redis;
pub mod response;
pub(crate) mod sessions;
pub(crate) mod tls;
pub mod oddities;
pub mod stop;
pub(crate) mod worker;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::drive::census::{Census, Seen};
use crate::drive::clock::Epoch;
use crate::drive::desk::Run;
use crate::drive::feed::feed;
use crate::drive::gauges::Gauges;
use crate::drive::health::{Calibration, Health};
use crate::drive::hold::{Control, Held};
use crate::drive::worker::{Worked, Worker};
use crate::plan::Arrival;
use crate::scenario::Limits;
use crate::scenario::network::Way;
use crate::summary::Summary;

/// What driving a plan yields.
#[derive(Clone, Debug)]
pub struct Driven {
    /// The fold of all samples: as many as there were arrivals.
    pub summary: Summary,
    /// How this machine was doing.
    pub health: health::Health,
    /// Requests that were sent a second time, because the target closed an idle connection just
    /// as they were on their way. Each is one arrival with one sample.
    pub retried: u64,
    /// What happened on connections of HTTP/1 beside that.
    pub odd: oddities::Odd,
    /// The user stopped it.
    pub interrupted: bool,
    /// When it was held.
    pub held: Held,
}

impl Driven {
    /// With what its machine could do before.
    #[must_use]
    pub fn calibrated(mut self, calibration: Option<Calibration>) -> Self {
        self.health.calibration = calibration;
        self
    }
}

/// Why a plan was not carried out. Failures of the target are fates, not errors.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// No thread, runtime or timer could be had; nothing was sent.
    #[error(
        "cannot start the driver's threads and timers; nothing was sent. Raise the limits on \
         processes and open files (ulimit -u, ulimit -n)"
    )]
    Start(#[source] io::Error),
    /// The timer failed in the middle of the run.
    #[error("the driver's timer failed; the run is incomplete and must be repeated")]
    Timer(#[source] io::Error),
    /// The plan could not be read to its end.
    #[error(
        "the plan broke off after {arrivals} arrivals, which were carried out; repair or import \
         the recording again"
    )]
    Plan {
        /// Arrivals that were read before.
        arrivals: u64,
        /// What its reader said.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The start lies this far in the future when the driver is ready: time to read ahead, so that
/// the first arrivals are not late.
const START_DELAY: Duration = Duration::from_millis(200);

/// Carries out a plan against a target and returns when every arrival has its fate. Arrivals must
/// be in the order of `due`.
///
/// Blocks the calling thread, which reads the plan; each usable processor but one gets a worker
/// thread. `gauges` show how it goes and belong to this run only; `control` ends or holds it.
///
/// Once it is stopped, a plan that knows its length ([`Iterator::size_hint`] is exact) is not read
/// any further: what was never read is counted as interrupted.
pub fn drive<E: Into<Box<dyn Error + Send + Sync>>>(
    plan: impl Iterator<Item = Result<Arrival, E>>,
    way: impl Into<Way>,
    limits: &Limits,
    gauges: Arc<Gauges>,
    control: impl Into<Control>,
) -> Result<Driven, DriveError> {
    // To find and unpack the first arrival may take longer than all that follow.
    let mut plan = plan.peekable();
    plan.peek();
    let run = Run::new(Epoch::after(START_DELAY), way.into(), *limits, gauges, control.into());
    drive_with(worker_count(), plan, run)
}

/// One processor is left to the reader, to the kernel, and to whatever else runs here.
fn worker_count() -> usize {
    thread::available_parallelism().map_or(1, |count| (count.get() - 1).max(1))
}

fn drive_with<E: Into<Box<dyn Error + Send + Sync>>>(
    worker_count: usize,
    plan: impl Iterator<Item = Result<Arrival, E>>,
    run: Run,
) -> Result<Driven, DriveError> {
    let before = health::before();
    run.gauges.start(run.epoch);
    let run = Arc::new(run);
    let census = Census::begin(run.epoch, &run.gauges).map_err(DriveError::Start)?;
    let workers = (0..worker_count)
        .map(|number| worker::start(number, &run))
        .collect::<io::Result<Vec<Worker>>>()
        .map_err(DriveError::Start)?;
    let (queues, threads): (Vec<_>, Vec<_>) =
        workers.into_iter().map(|worker| (worker.batches, worker.thread)).unzip();

    let fed = feed(&run, queues, plan);

    let ended = (joined(threads, fed.summary), census.end());
    let driven = driven(&run, &before, fed.arrivals, ended)?;
    match fed.failure {
        Some(source) => Err(DriveError::Plan { arrivals: fed.arrivals, source }),
        None => Ok(driven),
    }
}

/// Waits for the workers, and puts together what they leave behind.
fn joined(threads: Vec<JoinHandle<Worked>>, mut summary: Summary) -> Worked {
    let mut run_queue_wait = Some(Duration::ZERO);
    let mut failure = None;
    for thread in threads {
        // A panic of a worker is a bug of ours, and goes on here.
        let worked = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        summary.merge(&worked.summary);
        run_queue_wait = run_queue_wait.zip(worked.run_queue_wait).map(|(sum, wait)| sum + wait);
        failure = failure.or(worked.failure);
    }
    Worked { summary, run_queue_wait, failure }
}

/// The end of a run with so many arrivals.
fn driven(
    run: &Run,
    before: &health::Before,
    arrivals: u64,
    (ended, seen): (Worked, Vec<Seen>),
) -> Result<Driven, DriveError> {
    let Worked { mut summary, run_queue_wait, failure } = ended;
    let sampled = summary.arrivals + summary.run_in;
    assert_eq!(sampled, arrivals, "every arrival has exactly one sample");
    if let Some(error) = failure {
        return Err(DriveError::Timer(error));
    }
    let gauges = run.gauges.snapshot();
    summary.handshakes = gauges.handshakes;
    summary.as_recorded = gauges.as_recorded;
    let health = health::after(before, run.epoch.now(), run_queue_wait);
    Ok(Driven {
        summary,
        health: Health {
            read_late: run.gauges.all_read_late(),
            reader_waits: run.look_ahead.waits(),
            in_flight_seconds: run.gauges.flight_time().map(|time| time.as_secs_f64()),
            seen,
            ..health
        },
        retried: gauges.retried,
        odd: run.oddities.so_far(),
        interrupted: run.stop.is_requested(),
        held: run.hold.times(run.epoch),
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;
    use crate::drive::desk::tests::run_against;
    use crate::summary::examples;

    /// For any number of workers: every arrival is answered once, on its own connection.
    #[test]
    fn a_plan_is_carried_out_alike_by_any_number_of_workers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, SeqCst);
                thread::spawn(move || {
                    // Requests come one at a time, and fit into one segment.
                    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
                        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                    }
                });
            }
        });
        for workers in [1, 3, 8] {
            accepted.store(0, SeqCst);
            let plan = (0..200).map(|index| {
                let mut arrival = examples::arrival(index, Duration::from_micros(index * 50));
                arrival.connection = index % 20;
                arrival.last_on_connection = index >= 180;
                Ok::<_, Infallible>(arrival)
            });
            let driven = drive_with(workers, plan, run_against(address, 1_000)).unwrap();
            let fates: Vec<_> = driven.summary.fates.into_iter().collect();
            assert_eq!(fates, [("answered", 200)], "{workers} workers");
            assert_eq!(accepted.load(SeqCst), 20);
            assert_eq!(driven.summary.planned.total, driven.summary.sent.total);
        }
    }

    /// An hour of 10 000 a second is counted; a plan that does not know its length must be read.
    #[test]
    fn a_plan_that_knows_its_length_is_not_read_once_it_is_stopped() {
        let nowhere = "127.0.0.1:9".parse().unwrap();
        for (planned, knows, read) in [(36_000_000_u64, true, 1), (1_000, false, 1_000)] {
            let run = run_against(nowhere, 1_000);
            run.stop.request();
            let seen = AtomicU64::new(0);
            let plan = (0..planned).filter(|_| true);
            let plan: Box<dyn Iterator<Item = u64>> =
                if knows { Box::new(0..planned) } else { Box::new(plan) };
            let mut plan = plan
                .map(|index| {
                    seen.fetch_add(1, SeqCst);
                    Ok::<_, Infallible>(examples::arrival(index, Duration::ZERO))
                })
                .peekable();
            plan.peek();
            let driven = drive_with(1, plan, run).unwrap();
            assert_eq!((driven.summary.arrivals, seen.load(SeqCst)), (planned, read));
            let fates: Vec<_> = driven.summary.fates.into_iter().collect();
            assert_eq!(fates, [("unsent: interrupted", planned)]);
        }
    }
}
