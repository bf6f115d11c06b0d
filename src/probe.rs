//! Watching dependencies while the rehearsal runs: read-only, bounded, on its clock. Each probe
//! holds a connection from before the load, so that it still sees when nobody else can connect.

pub mod record;
mod client;
mod redis;
mod mysql;
mod postgres;
mod memcached;
mod prometheus;
mod exposition;
mod command;
pub(crate) mod group;
mod log;
mod lines;
mod tail;
mod host;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::drive::clock::{Epoch, nanoseconds};
use crate::drive::stop::Stop;
use crate::probe::client::{Client, Failure};
use crate::probe::record::Record;
use crate::recording::Servers;
use crate::scenario::watch::{Watch, Watched};

/// Longest wait for one look, opening a connection included.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Longest pause between attempts while a probe sees nothing.
pub const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Probes that are watching. They end with it.
#[derive(Debug)]
pub struct Watching {
    records: Arc<Mutex<Vec<Record>>>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

/// Starts all probes; returns when each has looked once, or failed to.
pub fn start(watches: &[Watch], servers: &Servers, epoch: Epoch) -> Watching {
    let records = watches.iter().map(|watch| Record::new(&watch.name, kind(watch))).collect();
    let records = Arc::new(Mutex::new(records));
    let stop = Stop::new();
    if watches.is_empty() {
        return Watching { records, stop, thread: None };
    }
    let (ready, looked) = mpsc::channel();
    let shared = Shared { records: Arc::clone(&records), epoch, stop: stop.clone(), ready };
    let (all, servers) = (watches.to_vec(), servers.clone());
    let thread = std::thread::spawn(move || follow_all(all, servers, &shared));
    for _ in watches {
        if looked.recv_timeout(PATIENCE + Duration::from_secs(1)).is_err() {
            break;
        }
    }
    Watching { records, stop, thread: Some(thread) }
}

impl Watching {
    /// What was seen so far.
    pub fn snapshot(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at what was seen so far, without a copy of it.
    pub fn look<T>(&self, look: impl FnOnce(&[Record]) -> T) -> T {
        look(&self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends all probes, and tells what they saw.
    pub fn finish(mut self) -> Vec<Record> {
        self.end();
        self.snapshot()
    }

    fn end(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.end();
    }
}

fn kind(watch: &Watch) -> &'static str {
    match &watch.what {
        Watched::Server(endpoint) => endpoint.service.scheme(),
        Watched::Prometheus { .. } => "prometheus",
        Watched::Command(_) => "command",
        Watched::Log { .. } => "log",
        Watched::Host(_) => "host",
    }
}

#[derive(Clone)]
struct Shared {
    records: Arc<Mutex<Vec<Record>>>,
    epoch: Epoch,
    stop: Stop,
    ready: mpsc::Sender<()>,
}

fn follow_all(watches: Vec<Watch>, servers: Servers, shared: &Shared) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let servers = Arc::new(servers);
    runtime.block_on(async {
        let mut stopped = shared.stop.subscribe();
        for (index, watch) in watches.into_iter().enumerate() {
            tokio::spawn(follow(index, watch, Arc::clone(&servers), shared.clone()));
        }
        let _ = stopped.wait_for(|requested| *requested).await;
    });
    // A look-up of a name may hang in a thread of its own: nobody waits for it.
    runtime.shutdown_background();
}

async fn follow(index: usize, watch: Watch, servers: Arc<Servers>, shared: Shared) {
    let (mut client, mut pause) = (None, watch.every);
    // Only its first look is waited for.
    let mut ready = Some(shared.ready.clone());
    let mut due = Instant::now();
    loop {
        let seen = match timeout(PATIENCE, look(&watch, &servers, &mut client)).await {
            Ok(seen) => seen,
            Err(_) => Err(Failure::passing("no answer in time")),
        };
        let at_ns = nanoseconds(shared.epoch.now());
        let mut is_final = false;
        {
            let mut records = shared.records.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(record) = records.get_mut(index) {
                match seen {
                    Ok(readings) => {
                        record.add(at_ns, readings);
                        pause = watch.every;
                    }
                    Err(failure) => {
                        record.fail(at_ns, &failure.reason);
                        is_final = failure.is_final;
                        pause = (pause * 2).min(MAX_PAUSE.max(watch.every));
                    }
                }
            }
        }
        if let Some(ready) = ready.take() {
            let _ = ready.send(());
        }
        if is_final {
            return;
        }
        due = (due + pause).max(Instant::now());
        sleep_until(due).await;
    }
}

async fn look(
    watch: &Watch,
    servers: &Servers,
    client: &mut Option<Client>,
) -> Result<record::Readings, Failure> {
    let mut open = match client.take() {
        Some(open) => open,
        None => Client::open(watch, servers).await?,
    };
    // A look that is cut off leaves its connection in no known state: it is dropped with it.
    let seen = open.look().await;
    if seen.is_ok() || open.survives() {
        *client = Some(open);
    }
    seen
}
