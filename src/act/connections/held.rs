//! Connections that are held: kept alive, counted, and closed.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_postgres::Client;

use crate::act::connections::Site;
use crate::act::connections::door::ask;

/// A connection that was admitted.
pub(super) enum Held {
    Redis(TcpStream),
    Memcached(TcpStream),
    /// With a second request under way, all of which but the last line was sent.
    Http(TcpStream, Arc<[u8]>),
    Tcp(TcpStream),
    Mysql(Box<Conn>),
    Postgres(Client, JoinHandle<()>),
}

/// Longest wait for a heartbeat, and for a farewell.
const BEAT: Duration = Duration::from_secs(3);

/// Longest wait for the heartbeats, and for the farewells, of all.
const ALL: Duration = Duration::from_secs(10);

/// Longest wait for the farewells of all after the user wished it to end.
const IN_HASTE: Duration = Duration::from_millis(500);

/// Heartbeats and farewells at once.
const AT_ONCE: usize = 256;

/// More than these are reset instead of closed: each that is closed keeps one of this machine's
/// ports for a minute, and the acts that follow need ports, too.
const CLOSED_IN_FORM: usize = 4_096;

impl Held {
    /// Asks whether it is still admitted.
    pub(super) async fn is_alive(&mut self) -> bool {
        timeout(BEAT, self.beat()).await.unwrap_or(false)
    }

    async fn beat(&mut self) -> bool {
        match self {
            Self::Redis(stream) => ask(stream, b"PING\r\n", b"\r\n").await.is_ok(),
            Self::Memcached(stream) => ask(stream, b"version\r\n", b"\r\n").await.is_ok(),
            Self::Http(stream, request) => {
                ask(stream, &[b"\r\n", &request[..]].concat(), b"\r\n\r\n").await.is_ok()
            }
            Self::Tcp(stream) => !is_closed(stream),
            Self::Mysql(connection) => connection.ping().await.is_ok(),
            Self::Postgres(client, _) => client.batch_execute("").await.is_ok(),
        }
    }

    /// What a plain connection was told after it was admitted: it is closed, perhaps with a banner.
    pub(super) fn is_turned_away(&self) -> bool {
        matches!(self, Self::Tcp(stream) if is_closed(stream))
    }

    /// Says farewell, and closes it.
    async fn close(self, in_form: bool) {
        match self {
            Self::Redis(stream) | Self::Memcached(stream) | Self::Tcp(stream) => {
                drop_stream(stream, in_form);
            }
            Self::Http(stream, _) => drop_stream(stream, in_form),
            Self::Mysql(connection) => {
                timeout(BEAT, connection.disconnect()).await.ok();
            }
            Self::Postgres(client, driver) => {
                drop(client);
                let abort = driver.abort_handle();
                if timeout(BEAT, driver).await.is_err() {
                    abort.abort();
                }
            }
        }
    }
}

fn drop_stream(stream: TcpStream, in_form: bool) {
    if !in_form {
        // It fails only on a connection that is gone.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok();
    }
    drop(stream);
}

/// Reads what is there; a server that speaks first may say something now and then.
fn is_closed(stream: &TcpStream) -> bool {
    let mut buffer = [0; 1_024];
    for _ in 0..16 {
        match stream.try_read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
    false
}

/// All connections that are held to an endpoint.
#[derive(Default)]
pub(super) struct Crowd {
    pub(super) all: Vec<Held>,
    /// Those that the endpoint closed while they were held.
    pub(super) lost: u64,
}

impl Crowd {
    pub(super) fn len(&self) -> u64 {
        self.all.len() as u64
    }

    /// Keeps everybody alive; counts and forgets those that were closed by the other side. When the
    /// user wishes it to end, those not yet heard of are closed, too.
    pub(super) async fn beat(&mut self, site: Site<'_>) {
        let before = self.all.len();
        let mut waiting = std::mem::take(&mut self.all).into_iter();
        let mut beating = JoinSet::new();
        let until = Instant::now() + ALL;
        loop {
            while beating.len() < AT_ONCE {
                let Some(mut held) = waiting.next() else { break };
                beating.spawn(async move {
                    let is_alive = held.is_alive().await;
                    is_alive.then_some(held)
                });
            }
            let next = timeout_at(until, beating.join_next());
            match site.unless_stopped(next).await {
                Some(Ok(Some(ended))) => self.all.extend(ended.ok().flatten()),
                Some(_) => break,
                None => return,
            }
        }
        self.lost += (before - self.all.len()) as u64;
    }

    /// Closes one; `false` where there is none.
    pub(super) async fn close_one(&mut self) -> bool {
        let Some(held) = self.all.pop() else { return false };
        held.close(true).await;
        true
    }

    /// Closes all.
    pub(super) async fn close(&mut self, site: Site<'_>) {
        // What was not closed by then is dropped.
        if site.is_stopped() {
            timeout(IN_HASTE, self.close_all()).await.ok();
        } else {
            site.unless_stopped(timeout(ALL, self.close_all())).await;
        }
    }

    async fn close_all(&mut self) {
        let in_form = self.all.len() <= CLOSED_IN_FORM;
        let mut closing = JoinSet::new();
        for held in std::mem::take(&mut self.all) {
            if closing.len() >= AT_ONCE {
                closing.join_next().await;
            }
            closing.spawn(held.close(in_form));
        }
        while closing.join_next().await.is_some() {}
    }
}

/// Waits.
pub(super) async fn pause(length: Duration) {
    sleep_until(Instant::now() + length).await;
}
