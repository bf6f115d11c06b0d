//! What a plan is about to do, known before a packet is sent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::needs::Needs;
use crate::plan::scaling::Scaling;
use crate::shape::Origin;

/// The outline of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// Where the load comes from.
    #[serde(default, skip_serializing_if = "Origin::is_recorded")]
    pub origin: Origin,
    /// Exchanges of the recording that were looked at, the window applied.
    pub exchanges: u64,
    /// Arrivals planned.
    pub arrivals: u64,
    /// Arrivals beyond the first copy of their exchange.
    pub clones: u64,
    /// Exchanges that are not replayed, by reason. `arrivals - clones` and these together are
    /// `exchanges`.
    pub skipped: BTreeMap<String, u64>,
    /// Start and end of the window, ns since the recording's start; the end of the recording where
    /// all of it is replayed.
    pub window_ns: [u64; 2],
    /// Connections that will be opened.
    pub connections: u64,
    /// Most connections open at once by plan, each from its first arrival until it was closed, or
    /// else to the recorded end of its last answer.
    pub peak_connections: u64,
    /// What it needs of this machine.
    #[serde(default)]
    pub needs: Needs,
    /// Sessions that take part.
    pub sessions: u64,
    /// Requests of a session follow its answers, and are not sent before those came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub session_pace: bool,
    /// Due moment of the last arrival, ns since the start of the run.
    pub duration_ns: u64,
    /// Most arrivals in a second.
    pub peak_rate: u64,
    /// Bytes to send.
    pub request_bytes: u64,
    /// Hash of every arrival with its moment, connection and bytes: equal plans have equal ones.
    pub fingerprint: String,
    /// Index of dispersion for counts at 10 ms, 100 ms, 1 s and 10 s of the recording's window
    /// before and of the plan after scaling; `None` where a scale does not fit.
    pub idc_before: [Option<f64>; 4],
    /// See `idc_before`.
    pub idc_after: [Option<f64>; 4],
    /// Smallest step of the recording's clock in the time of the replay, in nanoseconds; 0 where
    /// it is not known.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub clock_step_ns: u64,
    /// What `scale` and `speed` did; `None` where both are 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// What a person should know before the run.
    pub warnings: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_unknown(step: &u64) -> bool {
    *step == 0
}
