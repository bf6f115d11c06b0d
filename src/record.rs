//! A recording reverse proxy: bytes pass as they come, and a copy of them becomes a recording.
//!
//! Nothing is parsed on the way, so that what the two sides send is never changed, and nobody
//! waits for the recorder: where it falls behind, copies are dropped and counted, and its streams
//! have a gap there, as those of a capture that lost packets.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::capture::import::MAX_SERVERS;
use crate::capture::tcp::{Data, End, Event, Link, Mark, Side, What};
use crate::recording::ledger::Ledger;

/// Bytes read at once, and the largest copy.
const CHUNK: usize = 16 << 10;

/// Copies that may wait for the recorder: 64 MiB of full ones.
pub const QUEUE: usize = 4_096;

/// Longest wait for the upstream to accept.
const CONNECT: Duration = Duration::from_secs(10);

/// Pause after the kernel handed out no connection, such as for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Where copies end that the recorder had no time for.
const DROPPED: &str = "dropped: the recorder was behind";

/// What was seen of a connection, in the order in which it passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    link: Link,
    side: Side,
    piece: Piece,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Data(Mark, Bytes),
    Gap(u64),
    End(End),
    Closed,
}

impl Seen {
    /// As reassembly would tell it.
    pub fn event(&self) -> Event<'_> {
        let what = match &self.piece {
            Piece::Data(mark, bytes) => What::Data(Data { mark: *mark, bytes, fresh: true }),
            Piece::Gap(bytes) => What::Gap(*bytes),
            Piece::End(end) => What::End(*end),
            Piece::Closed => What::Closed,
        };
        Event { link: self.link, side: self.side, what }
    }
}

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
    /// Times the kernel handed out no connection.
    pub accept_errors: AtomicU64,
    /// Copies dropped, and their bytes.
    pub dropped: [AtomicU64; 2],
    /// Where clients connected to: who replays to these replays to the upstream.
    fronts: Mutex<BTreeSet<SocketAddr>>,
}

impl Passed {
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
        ledger.note("times no connection was handed out", read(&self.accept_errors));
    }
}

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Tee {
    /// Where everything goes.
    pub upstream: SocketAddr,
    /// The moments of the copies.
    pub clock: Clock,
    /// The recorder's queue; see [`QUEUE`].
    pub recorder: Sender<Seen>,
    /// What is counted.
    pub passed: Arc<Passed>,
}

impl Tee {
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
                self.passed.accept_errors.fetch_add(1, Ordering::Relaxed);
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
        let Ok(Ok(mut server)) = timeout(CONNECT, TcpStream::connect(self.upstream)).await else {
            self.passed.no_upstream.fetch_add(1, Ordering::Relaxed);
            return;
        };
        // Small messages must not wait; it fails only on a connection that is gone.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let copies = Copies { tee: &self, link, flow: Mutex::default() };
        let end = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let both = async {
                tokio::try_join!(
                    pump(Side::First, from_client, to_server, &copies),
                    pump(Side::Second, from_server, to_client, &copies),
                )
            };
            tokio::select! {
                ended = both => ended.map_or_else(|end| end, |_| End::Fin),
                _ = is_cut.wait_for(|cut| *cut) => End::Cut,
            }
        };
        if end == End::Reset {
            // The other side is to see the same.
            for stream in [&client, &server] {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
        }
        drop((client, server));
        copies.close(end).await;
    }
}

/// Passes one direction on until its end.
async fn pump(
    side: Side,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    copies: &Copies<'_>,
) -> Result<(), End> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = from.read(&mut buffer).await.map_err(|_| End::Reset)?;
        if count == 0 {
            copies.flow().ended[side.index()] = true;
            // A peer that is gone already has nothing left to be told.
            let _ = to.shutdown().await;
            return Ok(());
        }
        copies.data(side, &buffer[..count]);
        to.write_all(&buffer[..count]).await.map_err(|_| End::Reset)?;
    }
}

/// The copies of one connection.
struct Copies<'a> {
    tee: &'a Tee,
    link: Link,
    flow: Mutex<Flow>,
}

/// How far the two directions are.
#[derive(Default)]
struct Flow {
    tick: u64,
    offsets: [u64; 2],
    /// Bytes that were dropped since the last copy.
    lost: [u64; 2],
    ended: [bool; 2],
}

impl Copies<'_> {
    fn flow(&self) -> std::sync::MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a copy over, or drops it; never waits.
    fn data(&self, side: Side, bytes: &[u8]) {
        let at_ns = self.tee.clock.now_ns();
        let (mut flow, index, length) = (self.flow(), side.index(), bytes.len() as u64);
        flow.tick += 1;
        let ack = Some(flow.offsets[side.other().index()]);
        let mark = Mark { at_ns, tick: flow.tick, offset: flow.offsets[index], ack };
        flow.offsets[index] += length;
        let offer = |piece| self.tee.recorder.try_send(self.seen(side, piece)).is_ok();
        let caught_up = flow.lost[index] == 0 || offer(Piece::Gap(flow.lost[index]));
        if caught_up {
            flow.lost[index] = 0;
        }
        if !caught_up || !offer(Piece::Data(mark, Bytes::copy_from_slice(bytes))) {
            flow.lost[index] += length;
            for (count, amount) in self.tee.passed.dropped.iter().zip([1, length]) {
                count.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    /// Tells the recorder that nothing more comes; its sockets are closed, so it may wait.
    async fn close(&self, end: End) {
        let (lost, ended) = {
            let flow = self.flow();
            (flow.lost, flow.ended)
        };
        for side in [Side::First, Side::Second] {
            let index = side.index();
            if lost[index] > 0 {
                self.tell(side, Piece::Gap(lost[index])).await;
            }
            self.tell(side, Piece::End(if ended[index] { End::Fin } else { end })).await;
        }
        self.tell(Side::First, Piece::Closed).await;
    }

    async fn tell(&self, side: Side, piece: Piece) {
        // The recorder is gone only with the process.
        let _ = self.tee.recorder.send(self.seen(side, piece)).await;
    }

    fn seen(&self, side: Side, piece: Piece) -> Seen {
        Seen { link: self.link, side, piece }
    }
}
