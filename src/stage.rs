//! The embedded stack under test: an HTTP server with one knob per fault, honest enough to fail in
//! the ways that matter.
//!
//! One thread, one event loop, as the servers it stands for: what blocks the loop blocks everybody.
//! Its waits (service, store) end up to 1 ms late, because they are kept by tokio's timer, but
//! lateness does not add up: every wait is for an absolute moment.

pub mod catalogue;
pub mod cache;
pub mod counters;
pub mod faults;
pub mod server;
mod service;
