//! The mergeable fold of samples: bounded memory whatever the length of the run.

pub mod cells;
pub mod drift;
pub mod evidence;
pub mod flight;
#[cfg(test)]
pub(crate) mod examples;
pub mod fold;
pub mod outcomes;
pub mod parts;
mod run_in;
mod unread;

use std::collections::BTreeMap;
use std::sync::Arc;

use hdrhistogram::Histogram;

use crate::shape::Shape;
use crate::summary::cells::Cells;
use crate::summary::drift::Drift;
use crate::summary::evidence::Evidence;
use crate::summary::evidence::responses::Responses;
use crate::summary::flight::Flight;
use crate::summary::outcomes::Outcomes;
use crate::summary::parts::Parts;

/// Everything a verdict and a report need to know of a run.
///
/// Latencies are histograms of nanoseconds, 1 ns to one hour, three significant digits; they are
/// merged, never averaged. Latency and service count answered arrivals only; what failed is in
/// `fates`.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Arrivals folded; equal to the number planned, always.
    pub arrivals: u64,
    /// Arrivals of a run-in, which are in no other figure.
    pub run_in: u64,
    /// Arrivals by fate.
    pub fates: BTreeMap<&'static str, u64>,
    /// Answers by status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Arrivals that count as errors ([`fold::is_error`]).
    pub errors: u64,
    /// Answers whose status differs from the recorded one.
    pub status_changes: u64,
    /// Due to done: what a user would have felt, free of coordinated omission.
    pub latency: Histogram<u64>,
    /// First byte sent to done: what the target took.
    pub service: Histogram<u64>,
    /// Due to dispatched: our own lateness.
    pub lateness: Histogram<u64>,
    /// Dispatched to connected: waiting for a connect or for an earlier response.
    pub connection_wait: Histogram<u64>,
    /// What production took for the same requests, where the recording knows.
    pub recorded_latency: Histogram<u64>,
    /// Values above the histograms' range, which were counted as one hour.
    pub overflows: u64,
    /// The plan's shape: every arrival at its due moment.
    pub planned: Shape,
    /// The offered shape: every dispatched arrival at its dispatch, unless this machine lost it
    /// (no local resources, interrupted).
    pub offered: Shape,
    /// The sent shape: every sent arrival at its first byte, and every opened connection at the
    /// dispatch that opened it.
    pub sent: Shape,
    /// One row a second of the run, by the second in which the arrival was due; the last of
    /// [`crate::shape::MAX_SECONDS`] also holds whatever comes after it.
    pub seconds: Vec<Second>,
    /// By method and route.
    pub routes: BTreeMap<Arc<str>, Route>,
    /// Latency by time, route and class of status.
    pub cells: Cells,
    /// Which part of an exchange takes the time.
    pub parts: Parts,
    /// Connections opened.
    pub connections_opened: u64,
    /// TLS handshakes that were made in full, and those that resumed a session.
    pub handshakes: [u64; 2],
    /// What the recording says of those, where it knows.
    pub as_recorded: AsRecorded,
    /// The times from dispatched to done, together, in nanoseconds: what Little's law needs.
    pub in_flight_ns: u64,
    /// The same by the time in which they were.
    pub flight: Flight,
    /// Bytes of request heads and bodies sent.
    pub request_bytes: u64,
    /// Bytes of response bodies received.
    pub response_bytes: u64,
    /// What the detectors look at.
    pub evidence: Evidence,
    /// What sessions that set the pace did to the plan.
    pub drift: Drift,
}

/// How connections began when they were recorded that shook hands in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsRecorded {
    /// Those that were opened in full, and those that resumed a session of TLS.
    pub recorded: [u64; 2],
    /// Of the latter, those that were opened in full in the run: no ticket was at hand, or the
    /// target did not take it.
    pub not_resumed: u64,
}

/// One second of a run.
#[derive(Clone, Debug)]
pub struct Second {
    /// Arrivals due in it.
    pub due: u32,
    /// Requests whose first byte was sent in it.
    pub sent: u32,
    /// Answers completed in it.
    pub answered: u32,
    /// Errors among the arrivals due in it.
    pub errors: u32,
    /// Arrivals due in it that never left this machine.
    pub unsent: u32,
    /// Of those, the ones that were left out on purpose ([`crate::sample::Fate::is_set_aside`]).
    pub set_aside: u32,
    /// The arrivals due in it by what became of them; together they are `due`.
    pub outcomes: Outcomes,
    /// Latency (due to done) of the arrivals due in it, two significant digits.
    pub latency: Histogram<u64>,
    /// Largest lateness (due to dispatched) of the arrivals due in it, ns.
    pub max_lateness_ns: u64,
    /// The sum of their latenesses, ns.
    pub lateness_ns: u64,
}

/// One route of a run.
#[derive(Clone, Debug)]
pub struct Route {
    /// Arrivals.
    pub arrivals: u64,
    /// Errors among them.
    pub errors: u64,
    /// Errors among those without a whole answer.
    pub lost: u64,
    /// Those that never left this machine.
    pub unsent: u64,
    /// Of those, the ones that were left out on purpose ([`crate::sample::Fate::is_set_aside`]).
    pub set_aside: u64,
    /// Latency (due to done), two significant digits.
    pub latency: Histogram<u64>,
    /// What production took for those that were answered, where the recording knows.
    pub recorded_latency: Histogram<u64>,
    /// Its answers beside the recorded ones.
    pub responses: Responses,
}
