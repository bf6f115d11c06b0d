//! A **capture** becomes a **recording**; a recording and a **scenario** become a **plan**;
//! driving the plan yields **samples**; samples fold into a **summary**; plan and summary yield
//! a **verdict**; a verdict is **reported**. Saved runs are **compared** with one another.
//!
//! ```text
//!  capture ──► recording ──┐
//!                          ├──► plan ──► drive ──► sample ──► summary ──┐
//!              scenario ───┘              ▲                             ├──► verdict ──► report
//!                                         │ sockets, clock     shape ───┘
//!                                       target (or the embedded stage)
//! ```
//!
//! The list below is the reading order and the dependency order: a module uses only modules
//! listed above it. `tests/it/tidy.rs` holds that.

pub mod units;
pub mod bytes;
pub mod stats;
pub mod protocol;
pub mod recording;
pub mod capture;
pub mod record;
pub mod shape;
pub mod scenario;
pub mod model;
pub mod plan;
pub mod sample;
pub mod summary;
pub mod drive;
pub mod probe;
pub mod act;
pub mod verdict;
pub mod compare;
pub mod report;
pub mod stage;
pub mod cli;
