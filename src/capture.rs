//! Captures of real traffic become exchanges: files are opened, frames are taken apart, streams
//! are put together, requests and responses are paired.
//!
//! Reading never fails for what is *in* a capture: what cannot be used is counted in the ledger.

pub mod source;
pub mod pcap;
pub mod packet;
pub mod fragments;
pub mod tcp;
pub mod streams;
pub mod pairing;
pub mod import;

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
