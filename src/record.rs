//! A recording reverse proxy: bytes pass as they come, and a copy of them becomes a recording.
//!
//! Nothing is parsed on the way, so that what the two sides send is never changed, and nobody
//! waits for the recorder: where it falls behind, copies are dropped and counted, and its streams
//! have a gap there, as those of a capture that lost packets.

pub mod copies;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::capture::import::MAX_SERVERS;
use crate::capture::tcp::{End, Link, Side};
use crate::record::copies::{Copies, Seen};
use crate::recording::ledger::Ledger;

/// Bytes read at once, and the largest copy.
const CHUNK: usize = 64 << 10;

/// Bytes of copies that may wait for the recorder.
pub const ROOM: u64 = 256 << 20;

/// Longest wait for the upstream to accept.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest wait for a client to leave a connection that the upstream has ended.
const LEAVING: Duration = Duration::from_secs(30);

/// Pause after the kernel handed out no connection, such as for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Where copies end that the recorder had no time for.
const DROPPED: &str = "dropped: the recorder was behind";

/// Wall-clock moments that never step back: counted from one reading of the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    unix_ns: i64,
    since: Instant,
}

impl Clock {
    /// A clock that shows `unix_ns` now.
    pub fn showing(unix_ns: i64) -> Self {
        Self { unix_ns, since: Instant::now() }
    }

    fn now_ns(self) -> i64 {
        let since = i64::try_from(self.since.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.unix_ns.saturating_add(since)
    }
}

/// What the proxy did, apart from what it recorded.
#[derive(Debug, Default)]
pub struct Passed {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Connections that were closed because the upstream accepted none.
    pub no_upstream: AtomicU64,
    /// Times this machine had no connection to give: no files, no ports.
    pub local_errors: AtomicU64,
    /// Connections of which nothing was copied, since the recorder was behind when they began.
    pub unrecorded: AtomicU64,
    /// Copies dropped, and their bytes.
    pub dropped: [AtomicU64; 2],
    /// Bytes that wait for the recorder.
    waiting: AtomicU64,
    /// Where clients connected to: who replays to these replays to the upstream.
    fronts: Mutex<BTreeSet<SocketAddr>>,
}

impl Passed {
    /// The recorder has taken this.
    pub fn taken(&self, seen: &Seen) {
        self.waiting.fetch_sub(seen.cost(), Ordering::Relaxed);
    }

    /// Where clients connected to, as many as are kept.
    pub fn fronts(&self) -> Vec<SocketAddr> {
        self.fronts.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn keep_front(&self, front: SocketAddr) {
        let mut fronts = self.fronts.lock().unwrap_or_else(PoisonError::into_inner);
        if fronts.len() < MAX_SERVERS {
            fronts.insert(front);
        }
    }

    /// Enters what never reached the recorder.
    pub fn account(&self, ledger: &mut Ledger) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let [copies, bytes] = self.dropped.each_ref().map(read);
        for (account, amount) in [(&mut ledger.frames, copies), (&mut ledger.stream_bytes, bytes)] {
            account.enter(amount);
            account.end(DROPPED, amount);
        }
        ledger.note("connections without upstream", read(&self.no_upstream));
        ledger.note("connections not recorded", read(&self.unrecorded));
        ledger.note("times this machine had no connection to give", read(&self.local_errors));
    }
}

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Tee {
    upstream: SocketAddr,
    clock: Clock,
    room: u64,
    recorder: UnboundedSender<Seen>,
    passed: Arc<Passed>,
    /// Where bytes are read into: idle connections need no buffer of their own.
    scratch: Arc<Mutex<Vec<u8>>>,
}

/// A client can be told nothing more.
struct Gone;

impl Tee {
    /// A proxy in front of `upstream`. Of what it hands to `recorder`, `room` bytes may wait; see
    /// [`ROOM`] and [`Passed::taken`].
    pub fn new(
        upstream: SocketAddr,
        clock: Clock,
        room: u64,
        recorder: UnboundedSender<Seen>,
        passed: Arc<Passed>,
    ) -> Self {
        let scratch = Arc::new(Mutex::new(vec![0; CHUNK]));
        Self { upstream, clock, room, recorder, passed, scratch }
    }

    /// Passes connections on until `stop` becomes true, then for `grace` those that are open.
    pub async fn serve(
        self,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
        grace: Duration,
    ) {
        let (cut, is_cut) = watch::channel(false);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            if let Ok((client, address)) = accepted {
                client.local_addr().into_iter().for_each(|front| self.passed.keep_front(front));
                let number = self.passed.connections.fetch_add(1, Ordering::Relaxed);
                let ends = [address, self.upstream];
                let link = Link { number, ends, client: Some(Side::First) };
                connections.spawn(self.clone().connection(client, link, is_cut.clone()));
            } else {
                self.passed.local_errors.fetch_add(1, Ordering::Relaxed);
                sleep_until(Instant::now() + ACCEPT_PAUSE).await;
            }
        }
        drop(listener);
        let ends = Instant::now() + grace;
        while let Ok(Some(_)) = timeout_at(ends, connections.join_next()).await {}
        // Its receivers are gone only with the connections.
        let _ = cut.send(true);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(
        self,
        mut client: TcpStream,
        link: Link,
        mut is_cut: watch::Receiver<bool>,
    ) {
        let connected = tokio::select! {
            connected = timeout(CONNECT, TcpStream::connect(self.upstream)) => connected,
            _ = is_cut.wait_for(|cut| *cut) => return,
        };
        let mut server = match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(server) => server,
            Err(error) => {
                let is_ours = matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL)
                );
                let passed = &self.passed;
                let count = if is_ours { &passed.local_errors } else { &passed.no_upstream };
                count.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        // Small messages must not wait; it fails only on a connection that is gone.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let copies = Copies::begin(&self, link);
        let ended = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let both = both(
                pump(Side::First, from_client, to_server, &copies),
                pump(Side::Second, from_server, to_client, &copies),
            );
            tokio::select! {
                ended = both => ended,
                _ = is_cut.wait_for(|cut| *cut) => Ok(()),
            }
        };
        if ended.is_err() {
            // The server is to see that its client is gone.
            let _ = SockRef::from(&server).set_linger(Some(Duration::ZERO));
        }
        copies.close(if ended.is_err() { End::Reset } else { End::Cut });
    }

    /// What is there to read; empty at the end.
    fn read(&self, from: &ReadHalf<'_>) -> io::Result<Bytes> {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let count = from.try_read(&mut scratch)?;
        Ok(Bytes::copy_from_slice(&scratch[..count]))
    }
}

/// Both directions to their ends. Once the server has said everything, its client is given a while.
async fn both(
    up: impl Future<Output = Result<(), Gone>>,
    down: impl Future<Output = Result<(), Gone>>,
) -> Result<(), Gone> {
    let (mut up, mut down) = (pin!(up), pin!(down));
    tokio::select! {
        ended = &mut up => {
            ended?;
            down.await
        }
        ended = &mut down => {
            ended?;
            timeout(LEAVING, up).await.unwrap_or(Ok(()))
        }
    }
}

/// Passes one direction on until its end.
///
/// What the server has sent before it failed must still reach the client. So only the client's
/// failure ends both directions at once; bytes for a server that takes no more are read and
/// forgotten meanwhile, since a socket that is closed over unread bytes resets its peer.
async fn pump(
    side: Side,
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    copies: &Copies<'_>,
) -> Result<(), Gone> {
    let mut is_heard = true;
    loop {
        let read = match from.readable().await {
            Ok(()) => copies.tee.read(&from),
            Err(error) => Err(error),
        };
        let end = match read {
            Ok(bytes) if !bytes.is_empty() => {
                if is_heard {
                    copies.data(side, &bytes);
                    is_heard = to.write_all(&bytes).await.is_ok();
                    if !is_heard && side == Side::Second {
                        return Err(Gone);
                    }
                }
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Ok(_) => End::Fin,
            Err(_) if side == Side::First => return Err(Gone),
            Err(_) => End::Reset,
        };
        copies.flow().ended[side.index()] = Some(end);
        // A peer that is gone already has nothing left to be told.
        let _ = to.shutdown().await;
        return Ok(());
    }
}
