//! Everything that goes through the public surface; a sentence a module.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must say so")]

// The driver over real sockets: every fate, connections that stay connections, and stopping.
mod drive;
