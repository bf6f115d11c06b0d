#![allow(clippy::unwrap_used)]
/// x.
mod capture_corpus;
