//! TLS as somebody reads it who stood beside the connection and was told its secrets: key logs,
//! hellos, the key schedules of TLS 1.0 to 1.3, and records.
//!
//! Nothing here holds a private key or breaks anything: a record is opened with the secret that
//! one of the two ends has logged. Secrets are never shown, not even by `Debug`.

pub mod keylog;
pub(super) mod suite;
pub(super) mod schedule;
pub(super) mod hello;
mod cbc;
pub(super) mod record;
pub(super) mod epoch;
