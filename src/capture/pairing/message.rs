//! Messages as they were read, before it is known which belong together.

use ::bytes::Bytes;

use crate::capture::line::Line;
use crate::capture::tcp::Mark;
use crate::protocol::Protocol;
use crate::recording::Flags;
use crate::recording::stored::Stored;

/// A request as read from its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its first byte.
    pub mark: Mark,
    /// Its method.
    pub method: Bytes,
    /// Its head as on the wire.
    pub head: Bytes,
    /// The front of its body, as far as it was kept; empty where it is `stored`.
    pub body: Vec<u8>,
    /// Its body, as far as it was kept, where it is too large for memory.
    pub stored: Option<Stored>,
    /// Length of its body.
    pub body_bytes: u64,
    /// What stood around the bytes of a chunked body, where it is known.
    pub chunks: Option<Vec<u8>>,
    /// Position on its connection, from 0; set by the queue.
    pub seq: u32,
    /// It names no version, so its response may have no head.
    pub is_simple: bool,
    /// What is spoken.
    pub protocol: Protocol,
    /// Its stream, in protocols that have streams.
    pub stream: Option<u32>,
    /// Its text columns.
    pub line: Box<Line>,
    /// What is odd.
    pub flags: Flags,
}

impl Request {
    /// It was sent inside of TLS: where it names no scheme of its own, that is `https`.
    pub(in crate::capture) fn came_inside_tls(&mut self) {
        if self.protocol != Protocol::Http1 {
            return;
        }
        let names_it =
            self.line.target.get(..7).is_some_and(|it| it.eq_ignore_ascii_case("http://"));
        if !names_it {
            "https".clone_into(&mut self.line.scheme);
        }
    }
}

/// A response as read from its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its first byte.
    pub mark: Mark,
    /// Its status; 0 where it has none.
    pub status: u16,
    /// Its head as on the wire; empty for HTTP/0.9.
    pub head: Bytes,
    /// Length of its body, as far as it was seen or is known.
    pub body_bytes: u64,
    /// It was read to its end.
    pub whole: bool,
    /// Capture time of its last byte, nanoseconds since the Unix epoch.
    pub last_ns: i64,
    /// What is odd.
    pub flags: Flags,
}
