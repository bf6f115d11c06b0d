//! Carries out a plan: the pacer, the connections, and the only sockets and clock of a replay.

pub mod clock;
pub mod connection;
pub mod gauges;
pub mod health;
pub mod pacer;
pub mod response;

use crate::summary::Summary;

/// What driving a plan yields.
#[derive(Clone, Debug)]
pub struct Driven {
    /// The fold of all samples: as many as there were arrivals.
    pub summary: Summary,
    /// How this machine was doing.
    pub health: health::Health,
    /// The user stopped it.
    pub interrupted: bool,
}
