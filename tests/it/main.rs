//! Everything that goes through the public surface; a sentence a module.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

// The reports of three made-up runs, against golden files and against hostile input.
mod report;
// The page in a real browser: charts are drawn, and nothing is asked of a network.
mod browser;
// The made-up runs.
mod report_sample;
