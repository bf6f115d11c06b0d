//! Joins a client with the upstream: who is connected, and with which protocol inside of TLS.
//!
//! Bytes pass unchanged, so the protocol that a client is told (ALPN) must be the one that the
//! upstream speaks. A client in TLS is therefore heard first, its offer is passed on, the upstream
//! chooses, and only then does the client get its answer, which is that choice. Where one of the
//! two sides has no TLS nobody can ask it, and what was configured is taken.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsConnector};

use crate::record::failures::{self, Peer};
use crate::record::passed::Passed;
use crate::record::wire::Wire;

/// Longest wait for the upstream to accept.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest wait for a peer's part of a TLS handshake: clients that connect and say nothing must
/// not hold connections.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// What clients are offered where the upstream cannot be asked, and the reverse.
pub const HTTP1: &[u8] = b"http/1.1";

/// From where to where bytes pass, and what they are wrapped in.
#[derive(Clone, Debug)]
pub struct Route {
    /// The server that answers.
    pub upstream: SocketAddr,
    /// Clients speak TLS.
    pub clients: Option<Arc<ServerConfig>>,
    /// The upstream speaks TLS.
    pub server: Option<Server>,
    /// The only protocols that may be agreed on inside of TLS. Where it is empty the upstream
    /// chooses among what a client offers, or else it is [`HTTP1`].
    pub protocols: Vec<Vec<u8>>,
}

/// An upstream in TLS.
#[derive(Clone, Debug)]
pub struct Server {
    /// How it is spoken to, and who is trusted.
    pub config: Arc<ClientConfig>,
    /// The name that its certificate must have, and that it is asked for.
    pub name: ServerName<'static>,
}

impl Route {
    /// A route without TLS.
    pub fn plain(upstream: SocketAddr) -> Self {
        Self { upstream, clients: None, server: None, protocols: Vec::new() }
    }

    /// Connects a client onwards; what prevented it is counted.
    pub(super) async fn join(&self, client: TcpStream, passed: &Passed) -> Option<[Wire; 2]> {
        // Small messages must not wait; it fails only on a connection that is gone.
        let _ = client.set_nodelay(true);
        let Some(config) = &self.clients else {
            let (server, _) = self.server(self.configured(), passed).await?;
            return Some([Wire::plain(client), server]);
        };
        let hello = LazyConfigAcceptor::new(Acceptor::default(), client);
        let hello = settled(Peer::Client, timeout(HANDSHAKE, hello).await, passed)?;
        let offered: Vec<Vec<u8>> =
            hello.client_hello().alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
        let common = self.common(&offered);
        if common.is_empty() && !offered.is_empty() {
            // It is told that there is none; the upstream need not know.
            answered(hello, config, self.configured(), passed).await;
            return None;
        }
        let (server, chosen) = self.server(common.clone(), passed).await?;
        let answer = match self.server {
            Some(_) => chosen.into_iter().collect(),
            None => common,
        };
        let client = answered(hello, config, answer, passed).await?;
        Some([Wire::tls(client), server])
    }

    /// What there is to agree on with a client that offers this.
    fn common(&self, offered: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let can_ask = self.server.is_some() && self.protocols.is_empty();
        let configured = self.configured();
        let is_common = |protocol: &&Vec<u8>| can_ask || configured.contains(protocol);
        offered.iter().filter(is_common).cloned().collect()
    }

    fn configured(&self) -> Vec<Vec<u8>> {
        if self.protocols.is_empty() { vec![HTTP1.to_vec()] } else { self.protocols.clone() }
    }

    /// The upstream, and the protocol that it chose of those offered.
    async fn server(
        &self,
        offered: Vec<Vec<u8>>,
        passed: &Passed,
    ) -> Option<(Wire, Option<Vec<u8>>)> {
        let connected = timeout(CONNECT, TcpStream::connect(self.upstream)).await;
        let stream = match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => stream,
            Err(error) => {
                let is_ours = matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL)
                );
                let count = if is_ours { &passed.local_errors } else { &passed.no_upstream };
                count.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        };
        let _ = stream.set_nodelay(true);
        let Some(Server { config, name }) = &self.server else {
            return Some((Wire::plain(stream), None));
        };
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = offered;
        let shaken = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream);
        let stream = settled(Peer::Upstream, timeout(HANDSHAKE, shaken).await, passed)?;
        let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        Some((Wire::tls(stream), chosen))
    }
}

/// The rest of the handshake with a client: it gets one of these protocols, if it offered any.
async fn answered(
    hello: StartHandshake<TcpStream>,
    config: &ServerConfig,
    protocols: Vec<Vec<u8>>,
    passed: &Passed,
) -> Option<TlsStream<TcpStream>> {
    let mut config = config.clone();
    config.alpn_protocols = protocols;
    let shaken = timeout(HANDSHAKE, hello.into_stream(Arc::new(config))).await;
    settled(Peer::Client, shaken, passed)
}

/// What came of a handshake; a failure is counted by its name.
fn settled<T>(
    peer: Peer,
    shaken: Result<io::Result<T>, tokio::time::error::Elapsed>,
    passed: &Passed,
) -> Option<T> {
    match shaken {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => passed.failed(failures::of(peer, &error), &error.to_string()),
        Err(late) => passed.failed(failures::too_slow(peer), &late.to_string()),
    }
    None
}
