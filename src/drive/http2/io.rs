//! The socket below HTTP/2, plain or inside of TLS. It keeps what ended it: the library above tells
//! an end from a reset, but not the reason.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::drive::failure;
use crate::drive::http2::room::Room;
use crate::sample::{Fate, Http2Failure};

/// A socket.
#[derive(Debug)]
pub(super) struct Io {
    pub(super) stream: Stream,
    pub(super) room: Arc<Room>,
    /// What the target said first was looked at.
    pub(super) is_known: bool,
}

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        });
        let first = buffer.filled().get(before).copied();
        match (&read, first) {
            (Err(error), _) if error.kind() != io::ErrorKind::UnexpectedEof => {
                self.room.keep(failure::of_exchange(error));
            }
            (Err(_), _) | (Ok(()), None) => {
                self.room.keep(Fate::ClosedEarly { after_bytes: 0 });
            }
            // Frames begin with their length, which is below 65 536 as long as nothing else was
            // agreed on.
            (Ok(()), Some(1..)) if !self.is_known => {
                self.room.keep(Fate::Http2 { failure: Http2Failure::NotSpoken });
            }
            (Ok(()), Some(_)) => self.is_known = true,
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
