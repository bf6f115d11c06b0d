//! The embedded stack under test: an HTTP server with one knob per fault, honest enough to fail in
//! the ways that matter.

pub mod cache;
pub mod catalogue;
pub mod faults;
pub mod server;
