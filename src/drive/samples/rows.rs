//! One row of a file of samples: an arrival and what became of it, without anything that was sent.

use std::sync::Arc;
use std::time::Duration;

use crate::plan::Arrival;
use crate::sample::{Fate, Sample};
use crate::summary::fold::request_bytes;

/// One arrival. Moments are nanoseconds since the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub(super) index: u64,
    pub(super) due: Duration,
    pub(super) drift: Duration,
    pub(super) dispatched: Option<Duration>,
    pub(super) established: Option<Duration>,
    pub(super) secured: Option<Duration>,
    pub(super) connected: Option<Duration>,
    pub(super) sent: Option<Duration>,
    pub(super) sent_last: Option<Duration>,
    pub(super) first_byte: Option<Duration>,
    pub(super) done: Option<Duration>,
    pub(super) connection: u64,
    pub(super) session: u64,
    pub(super) method: Arc<str>,
    pub(super) route: Arc<str>,
    pub(super) fate: &'static str,
    pub(super) status: Option<u16>,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

impl Row {
    /// The row of an arrival.
    pub fn of(arrival: &Arrival, sample: &Sample) -> Self {
        Self {
            index: arrival.index,
            due: sample.due,
            drift: sample.drift,
            dispatched: sample.dispatched,
            established: sample.established,
            secured: sample.secured,
            connected: sample.connected,
            sent: sample.sent,
            sent_last: sample.sent_last,
            first_byte: sample.first_byte,
            done: sample.done,
            connection: arrival.connection,
            session: arrival.session,
            method: Arc::clone(&arrival.method),
            route: Arc::clone(&arrival.route),
            fate: sample.fate.name(),
            status: match sample.fate {
                Fate::Answered { status } => Some(status),
                _ => None,
            },
            request_bytes: request_bytes(arrival),
            response_bytes: sample.response_bytes,
        }
    }
}
