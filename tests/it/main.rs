#![allow(clippy::unwrap_used)]
/// x.
mod capture_corpus;

/// Exchanges of real captures against independent readers.
mod corpus;
