//! An open connection to Redis.

use std::io;

use tokio::net::TcpStream;

use crate::drive::failure;
use crate::drive::place::Place;
use crate::drive::redis::reply::ReplyReader;
use crate::sample::Fate;

/// An open connection.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) replies: ReplyReader,
    /// A reply has come on it.
    pub(super) has_answered: bool,
    /// Why no more can be written. What the server said before can still be read.
    pub(super) write_error: Option<io::Error>,
    _place: Place,
}

impl Link {
    pub(super) fn new(stream: TcpStream, place: Place) -> Self {
        // Fails only on a connection that is broken already, which the first write will tell.
        let _ = stream.set_nodelay(true);
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
