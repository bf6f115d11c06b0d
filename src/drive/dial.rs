//! Opens connections: over TCP, from this machine's addresses in turn, or to a unix socket.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as BlockingTcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;

use crate::drive::ports::Ports;
use crate::scenario::network::{Destination, Goal, Sources, Way};
use crate::scenario::redis::RedisTarget;
use crate::scenario::tls::Tls;

/// Opens the connections of a run.
#[derive(Debug)]
pub(crate) struct Dialler {
    way: Way,
    /// Connections opened so far: whose turn it is.
    turn: AtomicU64,
    ports: Ports,
}

/// From so many connections on, a seventh of the ports that there are, ports are counted instead of
/// left to the kernel, which would look for one for milliseconds.
const MANY: u64 = 4_096;

/// Time between two attempts while as many connections wait at a unix socket as it lets wait.
const CROWDED_PAUSE: Duration = Duration::from_millis(1);

impl Dialler {
    pub(crate) fn new(way: Way) -> Self {
        Self { way, turn: AtomicU64::new(0), ports: Ports::of_kernel() }
    }

    /// It leads to a Redis, and who we are there.
    pub(crate) fn redis(&self) -> Option<&RedisTarget> {
        self.way.redis.as_ref()
    }

    /// What is spoken inside of, with the target (0) or another host.
    pub(crate) fn tls(&self, goal: u16) -> Option<&Tls> {
        self.host(goal).map_or(self.way.tls.as_ref(), |host| host.tls.as_ref())
    }

    /// The host with this number, from 1; `None` is the target.
    fn host(&self, goal: u16) -> Option<&Destination> {
        self.way.hosts.get(usize::from(goal).checked_sub(1)?)
    }

    /// Opens a connection to the target (0) or another host. One to a unix socket is wrapped like
    /// one over TCP: to the kernel both are sockets, and what only TCP has is refused by it and
    /// missed by nobody.
    pub(crate) async fn open(&self, goal: u16) -> io::Result<TcpStream> {
        let address = match self.host(goal).map_or(&self.way.to, |host| &host.to) {
            Goal::Tcp(address) => *address,
            Goal::Unix(path) => return open_unix(path).await,
        };
        let turn = self.turn.fetch_add(1, Relaxed);
        if self.way.sources.is_empty() {
            return if turn < MANY {
                TcpStream::connect(address).await
            } else {
                self.ports.connect(address).await
            };
        }
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(source) = self.way.sources.at(turn) {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        socket.connect(address).await
    }
}

async fn open_unix(path: &Path) -> io::Result<TcpStream> {
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => {
                let descriptor = OwnedFd::from(stream.into_std()?);
                return TcpStream::from_std(std::net::TcpStream::from(descriptor));
            }
            // Where TCP lets a connection wait, a unix socket sends it away.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = timeout(CROWDED_PAUSE, std::future::pending::<()>()).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Opens one connection: whether somebody is there.
pub fn knock(way: &Way, patience: Duration) -> io::Result<BlockingTcpStream> {
    let address = match &way.to {
        Goal::Unix(path) => {
            let socket = OwnedFd::from(BlockingUnixStream::connect(path)?);
            return Ok(BlockingTcpStream::from(socket));
        }
        Goal::Tcp(address) => *address,
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(source) = way.sources.at(0) {
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    socket.connect_timeout(&SockAddr::from(address), patience)?;
    Ok(socket.into())
}

/// The first of the sources that is no address of this machine, and why.
pub fn missing_source(sources: &Sources) -> Option<(IpAddr, io::Error)> {
    (0..sources.count()).filter_map(|turn| sources.at(turn)).find_map(|source| {
        let bound = std::net::TcpListener::bind(SocketAddr::new(source, 0));
        bound.err().map(|error| (source, error))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn connections_come_from_each_source_in_turn() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Goal::Tcp(listener.local_addr().unwrap());
        let sources = Sources::read("127.0.0.4/30,127.0.1.1").unwrap();
        let way = Way { to, sources, redis: None, tls: None, hosts: Vec::new() };
        knock(&way, Duration::from_secs(30)).unwrap();
        let dialler = Dialler::new(way);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _open: Vec<TcpStream> =
            (0..4).map(|_| runtime.block_on(dialler.open(0)).unwrap()).collect();
        let from = || listener.accept().unwrap().1.ip().to_string();
        let seen: Vec<String> = (0..5).map(|_| from()).collect();
        assert_eq!(seen, ["127.0.0.5", "127.0.0.5", "127.0.0.6", "127.0.1.1", "127.0.0.5"]);
    }

    /// One by one, except for ports that others have.
    #[test]
    fn the_ports_of_many_connections_are_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let dialler = Dialler { turn: AtomicU64::new(MANY), ..Dialler::new(address.into()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let open: Vec<TcpStream> =
            (0..10).map(|_| runtime.block_on(dialler.open(0)).unwrap()).collect();
        let ports: Vec<u16> =
            open.iter().map(|stream| stream.local_addr().unwrap().port()).collect();
        let next = ports.windows(2).filter(|pair| pair[0].checked_add(1) == Some(pair[1])).count();
        assert!(next >= 3, "{ports:?}");
    }

    #[test]
    fn a_unix_socket_that_lets_nobody_wait_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let listener = UnixListener::from(OwnedFd::from(socket));
        let (to, sources) = (Goal::Unix(path), Sources::default());
        let way = Way { to, sources, redis: None, tls: None, hosts: Vec::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dialler = Dialler::new(way);
        let first = runtime.block_on(dialler.open(0)).unwrap();
        let second = runtime.block_on(async {
            assert!(timeout(Duration::from_millis(20), dialler.open(0)).await.is_err());
            let _accepted = listener.accept().unwrap();
            dialler.open(0).await.unwrap()
        });
        drop(first);
        runtime.block_on(second.writable()).unwrap();
        second.try_write(b"x").unwrap();
        assert_eq!(listener.accept().unwrap().0.read(&mut [0; 8]).unwrap(), 1);
    }

    #[test]
    fn a_source_of_another_machine_is_told() {
        assert!(missing_source(&Sources::read("127.0.0.0/24").unwrap()).is_none());
        let (source, _) = missing_source(&Sources::read("127.0.0.2,192.0.2.1").unwrap()).unwrap();
        assert_eq!(source.to_string(), "192.0.2.1");
    }
}
