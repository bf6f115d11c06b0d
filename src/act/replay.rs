//! Replay: the recorded load as it was, every request at its moment.

use std::error::Error;
use std::sync::Arc;

use crate::drive::closed::{Closed, drive_closed};
use crate::drive::gauges::Gauges;
use crate::drive::stop::Stop;
use crate::drive::{self, DriveError, Driven};
use crate::plan::Arrival;
use crate::scenario::Limits;
use crate::scenario::target::Target;

/// Replays a plan against a target, which exists only if it may be contacted; see
/// [`drive::drive`].
pub fn replay<E: Into<Box<dyn Error + Send + Sync>>>(
    plan: impl Iterator<Item = Result<Arrival, E>>,
    target: &Target,
    limits: &Limits,
    gauges: Arc<Gauges>,
    stop: Stop,
) -> Result<Driven, DriveError> {
    drive::drive(plan, target, limits, gauges, stop)
}

/// Sends a closed load to a target; see [`drive_closed`].
pub fn replay_closed(
    load: Closed,
    target: &Target,
    limits: &Limits,
    gauges: Arc<Gauges>,
    stop: Stop,
) -> Result<Driven, DriveError> {
    drive_closed(load, target, limits, gauges, stop)
}
