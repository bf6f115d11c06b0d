//! The readers of peakhour, and what the targets call of them.
//!
//! The modules are links to those of the program: the first of its list, which use none of those
//! below. So a build for fuzzing is one of readers only, without servers, charts and clients.

extern crate self as peakhour;

pub mod units;
pub mod bytes;
pub mod stats;
pub mod protocol;
pub mod recording;
pub mod capture;
pub mod scenario {
    //! Of what is said about a file only where it is wrong: models are read by the same means.
    pub mod problem;
}
pub mod model;

#[path = "../../tests/it/hostile/readers.rs"]
pub mod readers;

// What reads the program's own reports needs all of it: only with the feature `whole`.
#[cfg(feature = "whole")]
pub use whole::report;
#[cfg(feature = "whole")]
#[path = "../../tests/it/hostile/runs.rs"]
pub mod runs;
