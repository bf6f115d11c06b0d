//! HTTP/1: heads, and the framing of bodies.

pub mod body;
pub mod chunks;
pub mod start;
mod names;
pub mod head;
pub mod framing;
