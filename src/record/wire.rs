//! The connection with one end, plain or inside of TLS.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rustls::HandshakeKind;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection that both directions use in turn; they belong to one task, so that nobody waits
/// for the lock.
#[derive(Debug)]
pub(super) struct Wire(Mutex<Stream>);

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self(Mutex::new(Stream::Plain(stream)))
    }

    pub(super) fn tls(stream: impl Into<TlsStream<TcpStream>>) -> Self {
        Self(Mutex::new(Stream::Tls(Box::new(stream.into()))))
    }

    /// Inside of TLS, whether an earlier session was resumed.
    pub(super) fn is_resumed(&self) -> Option<bool> {
        let Stream::Tls(stream) = &*self.stream() else { return None };
        Some(stream.get_ref().1.handshake_kind()? == HandshakeKind::Resumed)
    }

    /// What comes next; empty at the end. It is read into `scratch` first: idle connections need
    /// no buffer of their own. The error of an end that was not announced inside of TLS is
    /// `UnexpectedEof`.
    pub(super) async fn read(&self, scratch: &Mutex<Vec<u8>>) -> io::Result<Bytes> {
        poll_fn(|context| {
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(match &mut *self.stream() {
                Stream::Plain(stream) => Pin::new(stream).poll_read(context, &mut buffer),
                Stream::Tls(stream) => Pin::new(stream).poll_read(context, &mut buffer),
            })?;
            Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
        })
        .await
    }

    /// Sends all of it. It has left when this is done, and waits in no buffer of TLS.
    pub(super) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        poll_fn(|context| {
            let mut stream = self.stream();
            while !left.is_empty() {
                let count = ready!(stream.poll_write(context, left))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                left = left.get(count..).unwrap_or_default();
            }
            match &mut *stream {
                Stream::Plain(_) => Poll::Ready(Ok(())),
                Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
            }
        })
        .await
    }

    /// Says that nothing more comes.
    pub(super) async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|context| match &mut *self.stream() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        })
        .await
    }

    /// Ends what is sent without saying so inside of TLS, since the other end did not say so
    /// either: what was cut must not look whole. Outside of TLS it is the same as
    /// [`Wire::shutdown`].
    pub(super) fn tear(&self) -> io::Result<()> {
        SockRef::from(self.stream().socket()).shutdown(Shutdown::Write)
    }

    /// The peer is to see that the other end is gone, once this is closed.
    pub(super) fn reset_when_closed(&self) {
        let _ = SockRef::from(self.stream().socket()).set_linger(Some(Duration::ZERO));
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}
