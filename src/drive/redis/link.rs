//! An open connection to Redis.

use std::io;

use tokio::time::{Instant, timeout_at};

use crate::drive::desk::{InFlight, Run};
use crate::drive::failure;
use crate::drive::place::Place;
use crate::drive::redis::reply::ReplyReader;
use crate::drive::tls::Stream;
use crate::record::failures::TlsFailure;
use crate::sample::Fate;

/// An open connection.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) replies: ReplyReader,
    /// A reply has come on it.
    pub(super) has_answered: bool,
    /// Why no more can be written. What the server said before can still be read.
    pub(super) write_error: Option<io::Error>,
    _place: Place,
}

impl Link {
    /// Opens a connection for a command until a moment, inside of TLS where that is spoken; it
    /// resumes a session as it was recorded. The command's sample tells of the attempt.
    pub(super) async fn open(
        request: &mut InFlight,
        run: &Run,
        place: Place,
        until: Instant,
    ) -> Result<Self, Fate> {
        let opened = match timeout_at(until, run.dialler.open(0)).await {
            Ok(opened) => opened.map_err(|error| failure::of_connect(&error)),
            Err(_) => Err(Fate::ConnectTimedOut),
        };
        let stream = opened.inspect_err(|fate| request.connection_failed(fate))?;
        request.connection_opened();
        // Fails only on a connection that is broken already, which the first write will tell.
        let _ = stream.set_nodelay(true);
        let Some(tls) = run.dialler.tls(0) else {
            return Ok(Self::new(Stream::Plain(stream), place));
        };
        let recorded = request.arrival.recorded.resumed;
        let shaken = timeout_at(until, Stream::sealed(tls, recorded, stream)).await;
        let shaken = shaken.unwrap_or(Err(TlsFailure::TooSlow));
        let (stream, is_resumed) = shaken.map_err(|failure| Fate::Tls { failure })?;
        request.connection_secured();
        run.gauges.shook_hands(is_resumed, recorded);
        Ok(Self::new(stream, place))
    }

    fn new(stream: Stream, place: Place) -> Self {
        Self {
            stream,
            replies: ReplyReader::new(),
            has_answered: false,
            write_error: None,
            _place: place,
        }
    }

    /// What the server's closing of the connection makes of the oldest command.
    pub(super) fn at_end(&self) -> Fate {
        match (&self.write_error, self.replies.seen()) {
            // The write already met the reset, and reading no longer tells.
            (Some(error), 0) => failure::of_exchange(error),
            (_, after_bytes) => Fate::ClosedEarly { after_bytes },
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stream.say_goodbye();
    }
}

/// It ended inside of TLS without saying so. Replies tell themselves where they end, so that this
/// is an end like any other.
pub(super) fn is_torn(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}
