//! The server of the stage: one thread that listens, accepts and serves, until it is stopped.

use std::convert::Infallible;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::act::StageHandle;
use crate::protocol::http2::PREFACE;
use crate::scenario::knobs::{BeyondLimit, ConnectionLimit, StageKnobs};
use crate::stage::catalogue::Catalogue;
use crate::stage::counters::Counters;
use crate::stage::service::{Shared, answer};

/// A running stage. Dropping it stops it.
#[derive(Debug)]
pub struct Stage {
    /// Where it listens, the port chosen by the kernel if 0 was asked for.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

/// Why a stage did not start.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The address cannot be listened on.
    #[error("the stage cannot listen on {address}; choose another address, or port 0 for any")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// No thread, or no event loop on it.
    #[error("the stage cannot start its thread and event loop; check the limits of this machine")]
    Thread {
        /// The kernel's reason.
        source: io::Error,
    },
}

/// Starts a stage with these knobs that answers from this catalogue. It listens when this returns.
pub fn start(
    knobs: StageKnobs,
    catalogue: Catalogue,
    listen: SocketAddr,
) -> Result<Stage, StageError> {
    let cannot_listen = |source| StageError::Listen { address: listen, source };
    let listener = listen_on(listen, backlog(&knobs)).map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let shared = Arc::new(Shared::new(knobs, catalogue));
    let stop = Arc::new(Notify::new());
    let (started, has_started) = sync_channel(1);
    let thread = {
        let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
        thread::Builder::new()
            .name("stage".to_owned())
            .spawn(move || run(listener, &shared, &stop, &started))
            .map_err(|source| StageError::Thread { source })?
    };
    match has_started.recv() {
        Ok(Ok(())) => Ok(Stage { address, shared, stop, thread: Some(thread) }),
        Ok(Err(source)) => Err(StageError::Thread { source }),
        Err(gone) => Err(StageError::Thread { source: io::Error::other(gone) }),
    }
}

impl Stage {
    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.shared.gauges.read()
    }

    /// What drills may do with it: empty its cache, as a restart of the stack would, and read how
    /// many reads its store has answered, also from another thread.
    pub fn handle(&self) -> StageHandle {
        let (emptied, counted) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        StageHandle {
            empty_cache: Box::new(move || emptied.empty_cache()),
            store_reads: Arc::new(move || counted.gauges.store_reads.get()),
        }
    }

    /// Closes everything, waits for the thread, and returns what it did. Nothing that the stage
    /// does can delay this: a blocked loop is released first.
    pub fn stop(mut self) -> Counters {
        self.halt();
        self.counters()
    }

    fn halt(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.brake.release();
        self.stop.notify_one();
        if thread.join().is_err() {
            self.shared.gauges.panics.count();
        }
        self.shared.gauges.connections_open.set(0);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Connections the kernel completes ahead of the stage: a healthy server's, or few enough that
/// a stage that stops accepting is noticed.
fn backlog(knobs: &StageKnobs) -> i32 {
    match knobs.connection_limit {
        Some(ConnectionLimit { beyond: BeyondLimit::StopAccepting, .. }) => 8,
        Some(ConnectionLimit { beyond: BeyondLimit::Banner, .. }) | None => 1_024,
    }
}

fn listen_on(address: SocketAddr, backlog: i32) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// The stage's thread, from its event loop's start to its end.
fn run(
    listener: StdListener,
    shared: &Arc<Shared>,
    stop: &Notify,
    started: &SyncSender<io::Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(started, Err(error)),
    };
    runtime.block_on(async {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                report(started, Ok(()));
                accept(&listener, shared, stop).await;
            }
            Err(error) => report(started, Err(error)),
        }
    });
}

/// `start` waits for this one message, so it is there to receive it.
fn report(started: &SyncSender<io::Result<()>>, result: io::Result<()>) {
    started.send(result).ok();
}

/// Accepts connections until stopped; returning closes them all.
async fn accept(listener: &TcpListener, shared: &Arc<Shared>, stop: &Notify) {
    let gauges = &shared.gauges;
    let mut connections = JoinSet::new();
    loop {
        let beyond = beyond_limit(&shared.knobs, connections.len());
        tokio::select! {
            // In this order: a connection that has ended makes room for the next one.
            biased;
            () = stop.notified() => return,
            Some(ended) = connections.join_next() => count_ended(shared, &ended),
            accepted = listener.accept(), if beyond != Some(BeyondLimit::StopAccepting) => {
                match (accepted, beyond) {
                    (Ok((stream, _)), None) => {
                        gauges.connections_accepted.count();
                        connections.spawn(serve(Arc::clone(shared), stream));
                    }
                    (Ok((stream, _)), Some(_)) => {
                        gauges.connections_refused.count();
                        turn_away(stream);
                    }
                    (Err(error), _) => {
                        gauges.accept_errors.count();
                        pause_after(&error).await;
                    }
                }
            }
        }
        let open = connections.len() as u64;
        gauges.connections_open.set(open);
        gauges.connections_peak.set(gauges.connections_peak.get().max(open));
    }
}

/// What would happen to one more connection; `None` when it is served.
fn beyond_limit(knobs: &StageKnobs, open: usize) -> Option<BeyondLimit> {
    let limit = knobs.connection_limit.as_ref()?;
    (open as u64 >= u64::from(limit.max)).then_some(limit.beyond)
}

fn count_ended(shared: &Shared, ended: &Result<hyper::Result<()>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(_)) => shared.gauges.connections_broken.count(),
        Err(_) => shared.gauges.panics.count(),
    }
}

/// Writes the banner and closes, as Redis does. The send buffer of a new connection takes it at
/// once, and nobody is waited for.
fn turn_away(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        stream.write_all(BANNER).ok(); // A client that has left already misses nothing.
    }
}

/// What Redis says.
const BANNER: &[u8] = b"-ERR max number of clients reached\r\n";

/// Out of files or memory, the kernel would say so again at once; a connection that is gone before
/// it was accepted concerns nobody else.
async fn pause_after(error: &io::Error) {
    if !matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
        sleep_until(Instant::now() + Duration::from_millis(20)).await;
    }
}

/// Serves one connection to its end. As tolerant as hyper can be, because production was.
async fn serve(shared: Arc<Shared>, stream: TcpStream) -> hyper::Result<()> {
    stream.set_nodelay(true).ok(); // It fails only on a connection that is gone.
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(shared, request).await) }
    });
    // Whoever knows that HTTP/2 is spoken here begins with its preface.
    let mut first = [0; 3];
    if stream.peek(&mut first).await.is_ok() && PREFACE.starts_with(&first) {
        let connection = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        // In a place of its own, so that other connections need no room for it.
        return Box::pin(connection).await;
    }
    http1::Builder::new()
        .half_close(true)
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .ignore_invalid_headers(true)
        .max_headers(MAX_HEADERS)
        .header_read_timeout(None) // Idle connections stay, until their client closes them.
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// Bytes of the headers of a request of HTTP/2, as many as hyper takes of HTTP/1.
const MAX_HEADER_BYTES: u32 = 400 * 1024;

/// Header lines of a request, above hyper's default of 100 as servers behind proxies allow.
const MAX_HEADERS: usize = 256;
