//! Those who only want something small: requests at a steady pace on a connection of their own,
//! and new connections, on a thread of their own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until, timeout};

use crate::act::payloads::evidence::PERIOD_NS;
use crate::act::payloads::wire::{Message, Parser, Reply, carry};
use crate::drive::clock::{Epoch, PreciseTimer, nanoseconds};
use crate::drive::stop::Stop;
use crate::protocol::resp::Value;

/// From one small request to the next.
pub(super) const PERIOD: Duration = Duration::from_nanos(PERIOD_NS);

/// From one new connection to the next.
const CONNECT_PERIOD: Duration = Duration::from_millis(100);

/// Longest wait of a small request or a new connection.
const PATIENCE: Duration = Duration::from_secs(15);

/// Lateness of this thread that is not blamed on the server.
const OWN_LATENESS: Duration = Duration::from_millis(2);

/// Most small requests remembered: an hour of them, which is the longest budget.
const MAX_SEEN: usize = 400_000;

/// What a small request is.
#[derive(Clone)]
pub(super) enum Small {
    /// A GET, as on the wire.
    Http(Vec<u8>),
    /// What opens the connection, a command each, and PING.
    Redis(Vec<Vec<u8>>, Vec<u8>),
}

/// A small request or a new connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// The moment it was planned for.
    pub(super) planned_ns: u64,
    /// From then to its end.
    pub(super) took_ns: u64,
    /// It was not answered.
    pub(super) failed: bool,
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) requests: Vec<Probe>,
    pub(super) connects: Vec<Probe>,
}

/// The thread at work.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    ended: Stop,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
pub(super) fn start(small: Small, address: SocketAddr, epoch: Epoch) -> io::Result<Watch> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let timer = {
        let _context = runtime.enter();
        PreciseTimer::new()?
    };
    let seen = Arc::<Mutex<Seen>>::default();
    let ended = Stop::new();
    let mut over = ended.subscribe();
    let walk = Walk { small, address, epoch, seen: Arc::clone(&seen) };
    let thread = thread::Builder::new().name("bystanders".to_owned()).spawn(move || {
        // The kernel may otherwise round timeouts up by 50 µs.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = over.wait_for(|over| *over) => {}
                // Without its timer nothing more is seen, and what is missing is noticed.
                _ = walk.requests(timer) => {}
                never = walk.connects() => match never {},
            }
        });
    })?;
    Ok(Watch { seen, ended, thread: Some(thread) })
}

impl Watch {
    /// What was seen so far.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.request();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It has no panic to tell of that would change what was seen.
        }
    }
}

struct Walk {
    small: Small,
    address: SocketAddr,
    epoch: Epoch,
    seen: Arc<Mutex<Seen>>,
}

impl Walk {
    fn now(&self) -> u64 {
        nanoseconds(self.epoch.now())
    }

    /// One small request after the other. One that waits makes the next ones late, and they count
    /// from the moment for which they were planned: whoever came then would have waited as long.
    async fn requests(&self, mut timer: PreciseTimer) -> io::Result<Infallible> {
        let period = nanoseconds(PERIOD);
        let mut planned_ns = self.now();
        let mut connection = None;
        let mut free_since = 0;
        loop {
            if connection.is_none() {
                connection = self.open().await;
            }
            timer.wait_until(self.epoch.at(Duration::from_nanos(planned_ns))).await?;
            let now = self.now();
            let late = now.saturating_sub(planned_ns) > nanoseconds(OWN_LATENESS);
            let since = if late && free_since <= planned_ns { now } else { planned_ns };
            let asked = match &mut connection {
                Some(stream) => timeout(PATIENCE, ask(stream, &self.small, self.epoch)).await,
                None => Ok(None),
            };
            free_since = self.now();
            let answer = asked.ok().flatten();
            if !answer.unwrap_or(false) {
                connection = None;
            }
            let took_ns = free_since - since;
            self.note(Probe { planned_ns: since, took_ns, failed: answer.is_none() });
            planned_ns += period;
            if answer.is_none() {
                // Nobody is there: no reason to ask faster than at the usual pace.
                planned_ns = planned_ns.max(free_since + period);
            }
        }
    }

    fn note(&self, probe: Probe) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.requests.len() < MAX_SEEN {
            seen.requests.push(probe);
        }
    }

    async fn open(&self) -> Option<TcpStream> {
        let opening = async {
            let mut stream = TcpStream::connect(self.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            if let Small::Redis(hello, _) = &self.small {
                for command in hello {
                    let message = Message { head: command, filler: 0, tail: &[] };
                    let carried = carry(&mut stream, message, Parser::resp(), self.epoch).await;
                    if !matches!(carried.reply, Ok(Reply::Resp(Value::Simple(_)))) {
                        return None;
                    }
                }
            }
            Some(stream)
        };
        timeout(PATIENCE, opening).await.ok().flatten()
    }

    /// Opens a connection now and then, and closes it.
    async fn connects(&self) -> Infallible {
        let mut next = Instant::now();
        loop {
            next += CONNECT_PERIOD;
            sleep_until(next).await;
            let planned_ns = self.now();
            let opened = timeout(PATIENCE, TcpStream::connect(self.address)).await;
            let took_ns = self.now() - planned_ns;
            let failed = !matches!(opened, Ok(Ok(_)));
            next = next.max(Instant::now());
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.connects.len() < MAX_SEEN {
                seen.connects.push(Probe { planned_ns, took_ns, failed });
            }
        }
    }
}

/// Asks for something small: whether the connection can be used again, `None` without an answer.
async fn ask(stream: &mut TcpStream, small: &Small, epoch: Epoch) -> Option<bool> {
    let (request, parser) = match small {
        Small::Http(request) => (request, Parser::http("GET")),
        Small::Redis(_, ping) => (ping, Parser::resp()),
    };
    let message = Message { head: request, filler: 0, tail: &[] };
    match carry(stream, message, parser, epoch).await.reply {
        Ok(Reply::Http { reusable, .. }) => Some(reusable),
        Ok(Reply::Resp(Value::Simple(_))) => Some(true),
        // Busy or loading: not what a client came for.
        Ok(Reply::Resp(_)) | Err(_) => None,
    }
}
