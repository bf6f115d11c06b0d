//! What production did: exchanges, and an account of everything that could not be used.
//!
//! Times are offsets from the start of the recording; the start's wall clock is a single number
//! in [`Header`]. An exchange holds the request exactly as it was on the wire, so that it can be
//! sent again.

mod varints;
pub mod closings;
pub mod handshakes;
pub mod stored;
pub mod file;
pub mod ledger;
pub mod redaction;
pub mod route;
pub mod contents;
pub mod jsonl;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

use crate::protocol::Protocol;
use crate::recording::closings::Closings;
use crate::recording::handshakes::Handshakes;
use crate::recording::ledger::Ledger;
use crate::recording::redaction::Redaction;
use crate::recording::stored::Stored;

/// One request and what came back; a row of the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// First byte of the request, since the recording's start.
    pub at: Duration,
    /// The connection it was sent on; numbered from 0 in order of appearance.
    pub connection: u64,
    /// The client it belongs to: a hash of its cookies where it sent any, else of its connection.
    pub session: u64,
    /// Position on its connection, from 0.
    pub seq: u32,
    /// HTTP/2 stream; `None` for protocols without streams.
    pub stream: Option<u32>,
    /// What was spoken.
    pub protocol: Protocol,
    /// Request method as on the wire, bytes that are not UTF-8 percent-escaped.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// `Host` header or absolute target's authority; empty where there was none.
    pub authority: String,
    /// Request target as on the wire, bytes that are not UTF-8 percent-escaped.
    pub target: String,
    /// The template of the target, such as `/cart/*`: what a report groups by.
    pub route: String,
    /// Request line and header lines with their line ends, the empty line included, exactly as on
    /// the wire.
    pub request_head: Bytes,
    /// Request body, de-chunked, not decompressed; empty where it is `request_stored`.
    pub request_body: Bytes,
    /// The whole request body, where it is too large for memory.
    pub request_stored: Option<Stored>,
    /// Length of the body in bytes; larger than what there is of it where the capture was cut.
    pub request_body_bytes: u64,
    /// What stood around the bytes of a chunked body on the wire: size lines, line ends behind
    /// chunks, trailers and the end, without the bytes themselves. `None` where the body was not
    /// chunked, and where it is not known.
    pub request_chunks: Option<Bytes>,
    /// The response; `None` where none was captured.
    pub response: Option<Response>,
    /// What is odd about it.
    pub flags: Flags,
}

/// What production answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code of the final response, 0 for HTTP/0.9 which has none.
    pub status: u16,
    /// Status line and header lines exactly as on the wire.
    pub head: Bytes,
    /// Bytes of the body, de-chunked, not decompressed; `None` when it was not whole.
    pub body_bytes: Option<u64>,
    /// First 16 bytes of a digest of the whole body, where one was kept.
    pub digest: Option<[u8; 16]>,
    /// The fields of the whole body, where it was JSON and they were kept; see
    /// [`contents::Contents::shape`].
    pub shape: Option<Arc<str>>,
    /// First byte of the response, since the exchange's `at`.
    pub first_byte: Option<Duration>,
    /// Last byte of the response, since the exchange's `at`; `None` when it was not whole.
    pub last_byte: Option<Duration>,
}

/// What is odd about an exchange, as bits of the `flags` column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// Content-Length against Transfer-Encoding, or two lengths: not replayed by default.
    pub const AMBIGUOUS_FRAMING: Self = Self(1);
    /// The request's body is shorter here than it was on the wire.
    pub const REQUEST_TRUNCATED: Self = Self(1 << 1);
    /// The response is shorter here than it was on the wire.
    pub const RESPONSE_TRUNCATED: Self = Self(1 << 2);
    /// The connection was already open when the capture began.
    pub const MID_STREAM: Self = Self(1 << 3);
    /// Secrets were replaced at import.
    pub const REDACTED: Self = Self(1 << 4);
    /// Bytes that are not UTF-8 were percent-escaped in a text column; the head is exact.
    pub const ESCAPED: Self = Self(1 << 5);
    /// The request body was chunked on the wire.
    pub const CHUNKED: Self = Self(1 << 6);
    /// Sent before the previous response on the connection was complete.
    pub const PIPELINED: Self = Self(1 << 7);
    /// Bytes of the exchange are missing from the capture.
    pub const GAP: Self = Self(1 << 8);
    /// The connection changed its protocol after this exchange (101, or CONNECT answered 2xx).
    pub const UPGRADED: Self = Self(1 << 9);
    /// A head that no server should accept: no version, bad header lines, odd line ends.
    pub const MALFORMED: Self = Self(1 << 10);
    /// The heads were put together from what a file says of them, such as a HAR or
    /// a log: order, case and
    /// blanks on the wire may have been others.
    pub const SYNTHESISED: Self = Self(1 << 11);
    /// The client found the answer in its cache: nothing was sent.
    pub const FROM_CACHE: Self = Self(1 << 12);
    /// The server answered with an error, in a protocol whose answers have no status.
    pub const ERROR_REPLY: Self = Self(1 << 13);
    /// The connection became a WebSocket after this exchange.
    pub const WEBSOCKET: Self = Self(1 << 14);
    /// The client had closed its side before the response came, and had it nevertheless.
    pub const HALF_CLOSED: Self = Self(1 << 15);

    /// All bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Clears the bits of `other`.
    pub fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// Sets the bits of `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What is known about a recording as a whole; kept in the footer of its file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// Version of the file format, [`FORMAT_VERSION`] when written by this program.
    pub format_version: u32,
    /// What it was made from: file names and their format, for people.
    pub origin: String,
    /// Wall clock of the start, nanoseconds since the Unix epoch.
    pub started_unix_ns: i64,
    /// From the start to the last byte seen, in nanoseconds.
    pub duration_ns: u64,
    /// Smallest step of the recording's clock, in nanoseconds (1 000 for a microsecond pcap).
    pub clock_resolution_ns: u64,
    /// Number of exchanges.
    pub exchanges: u64,
    /// Number of connections with at least one exchange.
    pub connections: u64,
    /// Authorities that clients asked for and addresses that answered: never to be replayed into.
    pub servers: Servers,
    /// What was replaced at import; empty when redaction was off.
    pub redacted_headers: Vec<String>,
    /// What was done to secrets; `None` when redaction was off, and in files of before there was
    /// an account of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Redaction>,
    /// Every packet and byte, by what became of it.
    pub ledger: Ledger,
    /// When connections were closed, as far as that is known; it has its own entry in the footer.
    #[serde(skip)]
    pub closings: Closings,
    /// How connections began to speak TLS, as far as that is known; it has its own entry in the
    /// footer.
    #[serde(skip)]
    pub handshakes: Handshakes,
    /// The series that it is a part of; `None` where it stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// A place in a series of recordings that were written one after the other. Numbers of connections
/// go on from part to part: the same number is the same connection.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    /// Tells the series from all others.
    pub series: String,
    /// Position in it, from 0. Where one is missing, its file was lost.
    pub number: u64,
}

/// Version of the recording's format. Readers refuse larger ones.
pub const FORMAT_VERSION: u32 = 1;

/// Who answered in the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Servers {
    /// Host names and literals with their ports as clients wrote them, lower case, sorted, unique.
    pub authorities: Vec<String>,
    /// Addresses of the server side of connections, sorted, unique.
    pub addresses: Vec<SocketAddr>,
}

/// The host, and the port if there is one, that an authority names: in lower case, and without
/// the user in front of it, who is a credential and no part of where a server is.
pub fn host_of(authority: &str) -> String {
    authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase()
}
