//! The bytes of a connection, plain or inside of TLS.
//!
//! Both are moved without waiting, when the socket says that it is ready: a plain connection costs
//! what its socket costs, and one in TLS what the library keeps of a session.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::{ClientConnection, HandshakeKind};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::record::failures::TlsFailure;
use crate::scenario::tls::Tls;

/// A connection's bytes.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Sealed>),
}

/// A socket, and what is spoken on it.
#[derive(Debug)]
pub(crate) struct Sealed {
    socket: TcpStream,
    session: ClientConnection,
}

impl Stream {
    /// Shakes hands, and says whether an earlier session was resumed.
    /// Which of them it tries is as `recorded`, where that is known.
    pub(crate) async fn sealed(
        tls: &Tls,
        recorded: Option<bool>,
        socket: TcpStream,
    ) -> Result<(Self, bool), TlsFailure> {
        let connector = TlsConnector::from(Arc::clone(tls.config(false, recorded)));
        let shaken = connector.connect(tls.name.clone(), socket).await;
        let (socket, session) = shaken.map_err(|error| TlsFailure::of(&error))?.into_inner();
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok((Self::Tls(Box::new(Sealed { socket, session })), is_resumed))
    }

    /// What the socket can be asked for, once that is something; without a future of its own, of
    /// which each idle connection would hold one. One task asks.
    pub(crate) fn poll_ready(&self, writes: bool, context: &mut Context<'_>) -> Poll<Readiness> {
        let socket = self.socket();
        // An error comes again from what is tried then.
        let can_read = socket.poll_read_ready(context).is_ready();
        let can_write = writes && socket.poll_write_ready(context).is_ready();
        if can_read || can_write {
            Poll::Ready(Readiness { can_read, can_write })
        } else {
            Poll::Pending
        }
    }

    /// Waits until something may be written.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.socket().writable().await
    }

    /// Waits until something may be read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket().readable().await
    }

    /// Takes as much as fits for now, and returns how much; all of it has left once it
    /// [`Stream::is_flushed`].
    pub(crate) fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            // Most requests are one piece, which the kernel takes with less ado than a list.
            Self::Plain(socket) => match pieces {
                [only, rest @ ..] if rest.iter().all(|piece| piece.is_empty()) => {
                    socket.try_write(only)
                }
                _ => socket.try_write_vectored(pieces),
            },
            Self::Tls(sealed) => sealed.try_write(pieces),
        }
    }

    /// Nothing that was taken waits to be handed to the kernel.
    pub(crate) fn is_flushed(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(sealed) => !sealed.session.wants_write(),
        }
    }

    /// The next bytes; none at the end. The error of an end that was not announced inside of TLS
    /// is `UnexpectedEof`.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => {
                let count = socket.try_read(buffer)?;
                if count < buffer.len() {
                    forget_readable(socket);
                }
                Ok(count)
            }
            Self::Tls(sealed) => sealed.try_read(buffer),
        }
    }

    /// Asks the kernel, not the runtime, whose view may be a moment old, how an idle connection is.
    /// Inside of TLS a server may hand out tickets meanwhile.
    pub(crate) fn look(&mut self) -> Idle {
        match self {
            Self::Plain(socket) => Idle::of(&peek(socket)),
            Self::Tls(sealed) => {
                let Sealed { socket, session } = &mut **sealed;
                Idle::of(&opened(session, &mut &*SockRef::from(&*socket), &mut [0]))
            }
        }
    }

    /// Waits until an idle connection ends or says something: either way it is of no more use.
    pub(crate) async fn disturbed(&mut self) -> Idle {
        match self {
            Self::Plain(socket) => disturbed(socket).await,
            Self::Tls(sealed) => {
                while sealed.socket.readable().await.is_ok() {
                    let idle = Idle::of(&sealed.try_read(&mut [0]));
                    if idle != Idle::Quiet {
                        return idle;
                    }
                }
                Idle::Ended
            }
        }
    }

    /// Says that it ends, as far as that can be said at once.
    pub(crate) fn say_goodbye(&mut self) {
        if let Self::Tls(sealed) = self {
            sealed.session.send_close_notify();
            let _ = sealed.send();
        }
    }

    /// Reads what an idle connection says, and forgets it; false when nothing more will come.
    pub(crate) fn skip(&mut self) -> bool {
        !matches!(Idle::of(&self.try_read(&mut [0; 4096])), Idle::Ended)
    }

    /// Says that nothing more is sent, once everything was: the other side may go on.
    pub(crate) fn end_sending(&mut self) {
        self.say_goodbye();
        // Fails only on a connection that is broken already, which reading will tell.
        let _ = SockRef::from(self.socket()).shutdown(Shutdown::Write);
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(sealed) => &sealed.socket,
        }
    }
}

impl Sealed {
    fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        // What waits goes first, so that no more than one piece ever does.
        self.send()?;
        let taken = io::Write::write_vectored(&mut self.session.writer(), pieces)?;
        match self.send() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut AtOnce(&self.socket))?;
        }
        Ok(())
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = opened(&mut self.session, &mut AtOnce(&self.socket), buffer);
        if read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
            // The other end is told why.
            let _ = self.send();
        }
        read
    }
}

/// The next bytes inside of what comes from a socket.
fn opened(
    session: &mut ClientConnection,
    socket: &mut dyn io::Read,
    buffer: &mut [u8],
) -> io::Result<usize> {
    loop {
        match io::Read::read(&mut session.reader(), buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
        session.read_tls(socket)?;
        session
            .process_new_packets()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
}

/// A socket that is read and written without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl io::Read for AtOnce<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a socket can be asked for: to give or take bytes, or to say why it does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    pub(crate) can_read: bool,
    pub(crate) can_write: bool,
}

/// How an idle connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    Quiet,
    Ended,
    /// It said something that nobody asked for.
    Spoke,
}

impl Idle {
    fn of(read: &io::Result<usize>) -> Self {
        match read {
            Ok(0) => Self::Ended,
            Ok(_) => Self::Spoke,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::Quiet,
            Err(_) => Self::Ended,
        }
    }
}

/// Waits until an idle socket ends or has something to read.
async fn disturbed(socket: &TcpStream) -> Idle {
    while socket.readable().await.is_ok() {
        let idle = Idle::of(&socket.try_io(Interest::READABLE, || peek(socket)));
        if idle != Idle::Quiet {
            return idle;
        }
    }
    Idle::Ended
}

/// A socket that gave less than was asked for is empty. The runtime would learn that from another
/// read, which costs a tenth of a request; told so, it waits for the kernel's next word.
fn forget_readable(socket: &TcpStream) {
    let _ = socket
        .try_io(Interest::READABLE, || -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) });
}

fn peek(socket: &TcpStream) -> io::Result<usize> {
    SockRef::from(socket).peek(&mut [MaybeUninit::uninit()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands of plain connections pay nothing for the others.
    #[test]
    fn a_plain_connection_is_as_small_as_its_socket() {
        assert_eq!(size_of::<Stream>(), size_of::<TcpStream>());
    }
}
