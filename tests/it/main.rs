//! Everything that goes through the public surface.
#![allow(clippy::unwrap_used)] // Tests.

// What several modules build on: arbitrary exchanges.
mod exchanges;
// Recordings: the file is sorted, atomic and read back alike.
mod recording_file;
// Recordings from elsewhere: damaged, cut, or made to deceive.
mod recording_hostile;
// Plans: made from a recording's file and a scenario's text.
mod plan;
