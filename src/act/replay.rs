//! Replay: the recorded load as it was, every request at its moment.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::drive::gauges::Gauges;
use crate::drive::stop::Stop;
use crate::drive::{self, DriveError, Driven};
use crate::plan::Arrival;
use crate::scenario::Limits;

/// Replays a plan against `address`; see [`drive::drive`].
pub fn replay<E: Into<Box<dyn Error + Send + Sync>>>(
    plan: impl Iterator<Item = Result<Arrival, E>>,
    address: SocketAddr,
    limits: &Limits,
    gauges: Arc<Gauges>,
    stop: Stop,
) -> Result<Driven, DriveError> {
    drive::drive(plan, address, limits, gauges, stop)
}
