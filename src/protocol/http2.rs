//! HTTP/2 as values: frames, the layouts of their payloads, and HPACK.
//!
//! Written for captures: a connection may be met in its middle, frames may be damaged, and
//! lengths may lie. Nothing here holds more than its named bounds.

pub mod frame;
pub mod payload;
pub mod hpack;
pub mod request;

/// What a client sends first.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest payload of a frame as long as a peer did not allow longer ones, in bytes.
pub const DEFAULT_FRAME: u32 = 16 * 1024;
