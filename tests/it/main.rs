//! Everything that goes through the public surface, one module a topic.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "the names of tests are sentences")]

mod browser; // The page in a real browser: charts are drawn, nothing is asked of a network.
mod report; // Reports of made-up runs, against golden files and hostile input.
mod report_sample; // The made-up runs.
