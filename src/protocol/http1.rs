//! HTTP/1: heads, and the framing of bodies.

pub mod body;
pub mod start;
pub mod head;
pub mod framing;
