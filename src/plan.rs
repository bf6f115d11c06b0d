//! Recording and scenario become arrivals: what to send, on which connection, and when. Pure,
//! seeded and streamed; the same recording, scenario and seed give the same plan, byte for byte.

pub mod arrivals;
pub mod rewrite;
pub mod select;
pub mod facts;

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

/// A request ready to be sent, with its moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Position in the plan, from 0, in order of `due`.
    pub index: u64,
    /// When to send it, since the start of the run.
    pub due: Duration,
    /// The connection to send it on. Clones of a session have connections of their own.
    pub connection: u64,
    /// The session it belongs to.
    pub session: u64,
    /// Position on its connection, from 0, without gaps.
    pub seq: u32,
    /// Nothing follows on this connection: close it after the response.
    pub last_on_connection: bool,
    /// Method, for the framing of the response and for reports.
    pub method: Arc<str>,
    /// Route template with its method, such as `GET /cart/*`: what the mix is counted by.
    pub route: Arc<str>,
    /// Request line and headers as they go on the wire.
    pub head: Bytes,
    /// Body as it goes on the wire, chunk framing included.
    pub body: Bytes,
    /// Whether its target (method and target) appeared earlier in the plan.
    pub touch: Touch,
    /// What production answered, where the recording knows.
    pub recorded: Recorded,
}

/// Whether the plan asked for the same thing before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The first request for its target: a cold cache must miss.
    First,
    /// Asked for before in this plan: a warmed cache hits.
    Again,
    /// Not known: more distinct targets than are remembered.
    Unknown,
}

/// What production answered to the same request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Status code.
    pub status: Option<u16>,
    /// Body bytes, de-chunked.
    pub body_bytes: Option<u64>,
    /// First byte of the request to last byte of the response.
    pub latency: Option<Duration>,
}

/// A request body from this many bytes on counts as large: 64 KiB is far above an ordinary form
/// and is the size from which single-threaded servers are known to stall (science: payloads).
pub const LARGE_BODY: usize = 64 * 1024;
