//! A recording reverse proxy: bytes pass as they come, and a copy of them becomes a recording.
//!
//! Nothing is parsed on the way, so that what the two sides send is never changed, and nobody
//! waits for the recorder: where it falls behind, copies are dropped and counted, and its streams
//! have a gap there, as those of a capture that lost packets.

pub mod copies;
pub mod passed;
pub mod failures;
pub mod tls;
mod wire;
pub mod join;

use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::capture::tcp::{End, Link, Side};
use crate::record::copies::{Copies, Seen};
use crate::record::failures::Peer;
use crate::record::join::Route;
use crate::record::passed::Passed;
use crate::record::wire::Wire;

/// Bytes read at once, and the largest copy.
const CHUNK: usize = 64 << 10;

/// Bytes of copies that may wait for the recorder.
pub const ROOM: u64 = 256 << 20;

/// Longest wait for a client to leave a connection that the upstream has ended.
const LEAVING: Duration = Duration::from_secs(30);

/// Pause after the kernel handed out no connection, such as for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

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

    /// Nanoseconds since the Unix epoch.
    pub fn now_ns(self) -> i64 {
        let since = i64::try_from(self.since.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.unix_ns.saturating_add(since)
    }
}

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Tee {
    route: Arc<Route>,
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
    /// A proxy in front of an upstream. Of what it hands to `recorder`, `room` bytes may wait; see
    /// [`ROOM`] and [`Passed::taken`].
    pub fn new(
        route: Route,
        clock: Clock,
        room: u64,
        recorder: UnboundedSender<Seen>,
        passed: Arc<Passed>,
    ) -> Self {
        let scratch = Arc::new(Mutex::new(vec![0; CHUNK]));
        let route = Arc::new(route);
        Self { route, clock, room, recorder, passed, scratch }
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
                let ends = [address, self.route.upstream];
                let link = Link { number, ends, client: Some(Side::First), resumed: None };
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
        client: TcpStream,
        mut link: Link,
        mut is_cut: watch::Receiver<bool>,
    ) {
        let joined = tokio::select! {
            joined = self.route.join(client, &self.passed) => joined,
            _ = is_cut.wait_for(|cut| *cut) => return,
        };
        let Some([client, server]) = joined else { return };
        link.resumed = client.is_resumed();
        let copies = Copies::begin(&self, link);
        let ended = {
            let both = both(
                pump(Side::First, [&client, &server], &copies),
                pump(Side::Second, [&server, &client], &copies),
            );
            tokio::select! {
                ended = both => ended,
                _ = is_cut.wait_for(|cut| *cut) => Ok(()),
            }
        };
        if ended.is_err() {
            // The server is to see that its client is gone.
            server.reset_when_closed();
        }
        copies.close(if ended.is_err() { End::Reset } else { End::Cut });
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
async fn pump(side: Side, [from, to]: [&Wire; 2], copies: &Copies<'_>) -> Result<(), Gone> {
    let mut is_heard = true;
    loop {
        let end = match from.read(&copies.tee.scratch).await {
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
            Ok(_) => End::Fin,
            Err(error) => failed(side, &error, copies)?,
        };
        copies.end(side, end);
        // A peer that is gone already has nothing left to be told.
        let _ = if end == End::Fin { to.shutdown().await } else { to.tear() };
        return Ok(());
    }
}

/// How a direction ends that failed. What failed inside of TLS is counted.
fn failed(side: Side, error: &io::Error, copies: &Copies<'_>) -> Result<End, Gone> {
    let passed = &copies.tee.passed;
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let is_first = !copies.has_ended(side.other());
        passed.torn[side.index()].fetch_add(u64::from(is_first), Ordering::Relaxed);
        return Ok(End::Cut);
    }
    if failures::of_tls(error).is_some() {
        let peer = if side == Side::First { Peer::Client } else { Peer::Upstream };
        passed.failed(failures::later(peer), &error.to_string());
    }
    if side == Side::First { Err(Gone) } else { Ok(End::Reset) }
}
