//! Captures of real traffic become exchanges: files are opened, frames are taken apart, streams
//! are put together, requests and responses are paired.
//!
//! Reading never fails for what is *in* a capture: what cannot be used is counted in the ledger.

mod elements;
mod gor_header;
mod monitor_line;
pub mod source;
pub mod frame;
mod window;
mod clock;
mod legacy;
mod blocks;
mod pcapng;
pub mod pcap;
mod merge;
mod layer;
mod link;
mod wireless;
mod tunnel;
mod fragments;
mod packet;
pub mod segments;
pub mod tcp;
pub mod tls;
pub mod line;
pub mod pairing;
mod heads;
mod detect;
mod reader;
pub mod streams;
pub mod import;
pub mod documents;
mod lenient;
pub mod har;
pub mod gor;
pub mod monitor;
pub mod sessions;
pub mod vegeta;
pub mod access_log;

use std::io;
use std::net::SocketAddr;

/// A TCP segment, taken out of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Capture time, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Sequence number of the first payload byte (of the SYN itself where that flag is set).
    pub seq: u32,
    /// Acknowledgement number; meaningless without the ACK flag.
    pub ack: u32,
    /// Flag bits as in the TCP header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32.
    pub flags: u8,
    /// Payload as captured.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire but not captured (snap length): they follow `payload`.
    pub cut_bytes: u32,
}

/// Bit of [`Segment::flags`].
pub const FIN: u8 = 1;
/// Bit of [`Segment::flags`].
pub const SYN: u8 = 2;
/// Bit of [`Segment::flags`].
pub const RST: u8 = 4;
/// Bit of [`Segment::flags`].
pub const ACK: u8 = 16;

/// Why a file could not be read as a capture. What is *in* a capture never ends here: it is
/// counted in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file is not there, or not ours to read.
    #[error("{name}: cannot be opened; check the path and its permissions")]
    Open {
        /// Path as given.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file was opened, and reading it failed later on.
    #[error(
        "{name}: reading failed at byte {offset}; \
         copy the file to a local disk and import it again"
    )]
    Read {
        /// Path as given.
        name: String,
        /// How many bytes, decompressed, had been read.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{name}: is empty; check that the capture was written and copied whole")]
    Empty {
        /// Path as given.
        name: String,
    },
    /// The first bytes are of no format that is known here.
    #[error(
        "{name}: not a capture: it begins with {first_bytes}; supported are pcap and pcapng \
         (convert others with `editcap -F pcapng`), HAR, GoReplay, sessions of Proxy Verifier, \
         vegeta targets, JSON Lines and access logs (describe one of your own with \
         --log-format), plain or compressed with gzip or zstd"
    )]
    NotACapture {
        /// Path as given.
        name: String,
        /// The first bytes in hexadecimal.
        first_bytes: String,
    },
    /// A format that is known and not supported.
    #[error("{name}: {what} is not supported; {advice}")]
    Unsupported {
        /// Path as given.
        name: String,
        /// What it is.
        what: String,
        /// What to do next.
        advice: &'static str,
    },
}
