//! A closed load: each connection sends its next request when it has the answer to the one before,
//! as fast as the target lets it. For comparisons with tools that work like this; its latencies are
//! those of a target that is never asked for more than it gives.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::drive::census::Census;
use crate::drive::clock::Epoch;
use crate::drive::connection::{After, carry_out};
use crate::drive::desk::{Desk, InFlight, Run};
use crate::drive::gauges::Gauges;
use crate::drive::health::run_queue_wait_of_this_thread;
use crate::drive::hold::Control;
use crate::drive::http2::OneByOne;
use crate::drive::worker::{Worked, outlast};
use crate::drive::{DriveError, Driven, driven, health, joined, worker_count};
use crate::plan::generate::Template;
use crate::scenario::Limits;
use crate::scenario::network::Way;
use crate::summary::Summary;

/// A closed load.
#[derive(Clone, Debug)]
pub struct Closed {
    /// What each connection sends, again and again.
    pub template: Template,
    /// How many connections.
    pub connections: u32,
    /// No request is sent after this time.
    pub length: Duration,
}

/// How long a connection waits after a failure: a target that refuses is asked a hundred times a
/// second by each of them, not as often as a processor can turn.
const PAUSE: Duration = Duration::from_millis(10);

/// Carries out a closed load against a target, and returns when every request has its fate.
/// Arrivals are made as they are sent: as many are in memory as there are connections.
pub fn drive_closed(
    load: Closed,
    way: Way,
    limits: &Limits,
    gauges: Arc<Gauges>,
    control: Control,
) -> Result<Driven, DriveError> {
    let run = Run::new(Epoch::after(Duration::ZERO), way, *limits, gauges, control);
    run.last_due.get_or_init(|| load.length);
    let run = Arc::new(run);
    let before = health::before();
    run.gauges.start(run.epoch);
    let census = Census::begin(run.epoch, &run.gauges).map_err(DriveError::Start)?;
    let turns = Arc::new(Turns { load, made: AtomicU64::new(0) });
    let count = worker_count();
    let threads = (0..count)
        .map(|number| start(number, count, &run, &turns))
        .collect::<io::Result<Vec<_>>>()
        .inspect_err(|_| run.stop.request())
        .map_err(DriveError::Start)?;
    let ended = (joined(threads, Summary::new()), census.end());
    driven(&run, &before, turns.made.load(Relaxed), ended)
}

/// What all connections share.
struct Turns {
    load: Closed,
    /// Arrivals made so far.
    made: AtomicU64,
}

/// Starts a worker with its share of the connections: every `count`th one.
fn start(
    number: usize,
    count: usize,
    run: &Arc<Run>,
    turns: &Arc<Turns>,
) -> io::Result<JoinHandle<Worked>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let desk = Arc::new(Desk::new(Arc::clone(run)));
    let turns = Arc::clone(turns);
    let own = (0..u64::from(turns.load.connections)).skip(number).step_by(count);
    thread::Builder::new()
        .name(format!("drive-{number}"))
        .spawn(move || work(runtime, &desk, &turns, own))
}

fn work(
    runtime: Runtime,
    desk: &Arc<Desk>,
    turns: &Arc<Turns>,
    own: impl Iterator<Item = u64>,
) -> Worked {
    let run = &desk.run;
    runtime.block_on(async {
        let (alive, ended) = mpsc::channel::<Infallible>(1);
        for connection in own {
            let (desk, turns) = (Arc::clone(desk), Arc::clone(turns));
            tokio::spawn(keep_asking(connection, desk, turns, alive.clone()));
        }
        drop(alive);
        outlast(run, ended).await;
    });
    // Whatever is still in flight is settled as its task is dropped.
    drop(runtime);
    Worked {
        summary: desk.take_summary(),
        run_queue_wait: run_queue_wait_of_this_thread(),
        failure: None,
    }
}

/// One connection: a request, its answer, the next request, until the time is over.
async fn keep_asking(
    connection: u64,
    desk: Arc<Desk>,
    turns: Arc<Turns>,
    alive: mpsc::Sender<Infallible>,
) {
    let run = Arc::clone(&desk.run);
    let mut stop = run.stop.subscribe();
    let (mut kept, mut link, mut seq) = (After::Gone, OneByOne::default(), 0);
    while !run.stop.is_requested() {
        let now = run.epoch.now();
        if now >= turns.load.length {
            return;
        }
        if run.hold.is_held() {
            let _ = timeout(PAUSE, stop.wait_for(|requested| *requested)).await;
            continue;
        }
        let index = turns.made.fetch_add(1, Relaxed);
        let arrival = Box::new(turns.load.template.arrival(index, now, connection, seq));
        seq += 1;
        let mut answered = false;
        if let Some(request) = InFlight::begin(&desk, arrival, now) {
            let request = Box::new(request);
            if turns.load.template.is_http2() {
                answered = link.carry_out(request, &run, &alive).await;
            } else {
                answered = carry_out(request, &mut kept, &run, None).await;
            }
        }
        if !answered {
            let _ = timeout(PAUSE, stop.wait_for(|requested| *requested)).await;
        }
    }
}
