//! Everything that goes through the public surface, one module a topic.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "the names of tests are sentences")]

mod support; // Where things are, and how the program is started.

mod browser; // The HTML report in a real Chromium: charts drawn, no network, tables sort.
mod drive; // A plan over real sockets: connections, fates, bounds, a graceful stop.
mod report; // Golden reports: terminal, run.json, HTML.
mod report_sample; // A report to render, with every kind of line in it.
mod stage; // The embedded stage over real sockets: each knob's broken and healthy twin.
mod tidy; // The rules of the house that no compiler holds.
