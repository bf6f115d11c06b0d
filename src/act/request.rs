//! A single GET on a connection of its own, for drills that send few.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::drive::clock::Epoch;
use crate::scenario::tls::Tls;

/// Whom to ask.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Value of the `Host` header.
    pub(super) authority: String,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What is spoken inside of.
    pub(super) tls: Option<Tls>,
}

/// What was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Status code.
    pub(super) status: u16,
    /// From before the connection was made to the head of the answer.
    pub(super) took: Duration,
}

/// Sends a GET and reads the head of its answer; `None` where there was none in time.
pub(super) async fn get(
    server: &Server,
    target: &str,
    headers: &[(String, String)],
    patience: Duration,
) -> Option<Answer> {
    let begun = Epoch::after(Duration::ZERO);
    let status = timeout(patience, exchange(server, target, headers)).await.ok()??;
    Some(Answer { status, took: begun.now() })
}

async fn exchange(server: &Server, target: &str, headers: &[(String, String)]) -> Option<u16> {
    let mut head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n", server.authority);
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head += "Connection: close\r\n\r\n";
    let plain = TcpStream::connect(server.address).await.ok()?;
    let Some(Tls { config, name, .. }) = &server.tls else { return asked(plain, &head).await };
    let sealed = TlsConnector::from(Arc::clone(config)).connect(name.clone(), plain).await;
    asked(sealed.ok()?, &head).await
}

/// Sends a request and reads the status of its answer.
async fn asked(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str) -> Option<u16> {
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let mut status = None;
    // The body is read as well, up to a bound: a server that is cut off logs something else.
    let mut chunk = vec![0; 16 * 1024];
    while answer.len() < ANSWER_BYTES_MAX {
        let Ok(count @ 1..) = stream.read(&mut chunk).await else { break };
        answer.extend_from_slice(&chunk[..count]);
        if status.is_none() {
            status = read_status(&answer).ok()?;
        }
    }
    status
}

/// Most bytes that are read of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The status, once the head is whole; an error where this is no answer.
fn read_status(answer: &[u8]) -> Result<Option<u16>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(answer)?;
    Ok(response.code.filter(|_| parsed.is_complete()))
}
