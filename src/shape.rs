//! The load shape of any series of moments, and how far two shapes are apart.
//!
//! A [`Shape`] is computed twice: from the plan's due moments, and from the moments that really
//! happened. [`compare::compare`] sets one against the other, metric by metric, with the names and
//! tolerances of the field.

pub mod compare;
pub mod metrics;
pub mod tolerance;

use std::collections::BTreeMap;
use std::sync::Arc;

use hdrhistogram::Histogram;

/// Width of the finest count window, in nanoseconds (10 ms); coarser windows are sums of it.
pub const WINDOW_NS: u64 = 10_000_000;

/// What is kept of a series of requests to judge its load shape: constant memory a second.
///
/// Invariant: the sums of `counts` and of `mix` are equal, and equal to `total`.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Requests.
    pub total: u64,
    /// Requests in each window of [`WINDOW_NS`] since the start.
    pub counts: Vec<u32>,
    /// Connections opened in each second since the start.
    pub opens: Vec<u32>,
    /// Requests by method and route.
    pub mix: BTreeMap<Arc<str>, u64>,
    /// Request bytes on the wire, head and body, 1 B to 4 GiB, three significant digits.
    pub request_bytes: Histogram<u64>,
}

/// How far the produced load was from the planned one.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ShapeReport {
    /// The verdict on the shape alone.
    pub verdict: ShapeVerdict,
    /// One sentence for people: what was produced, from which time-scale up, or why not.
    pub statement: String,
    /// `max(value / limit)` over the gating metrics; below 1 passes. The one scalar for trends.
    pub worst_ratio: f64,
    /// The metric that `worst_ratio` comes from.
    pub worst_metric: String,
    /// Tier of tolerances that was applied: `strict`, `standard` or `ci`.
    pub tier: String,
    /// Every metric, in the order of science's table.
    pub metrics: Vec<Metric>,
}

/// Whether the recorded load shape was produced.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ShapeVerdict {
    /// Every evaluable metric is within its tolerance.
    Faithful,
    /// Only burst metrics fail, and only at small time-scales.
    Degraded {
        /// The load is faithful at this time-scale and above, in milliseconds.
        faithful_from_ms: u64,
    },
    /// The load is not the recorded one, or nothing can be said about it.
    Invalid {
        /// Who is to blame for it.
        fault: Fault,
    },
}

/// Who kept the load from being produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This program or its machine was late or short of something.
    Generator,
    /// The target held requests back (slow answers on connections that are reused).
    Target,
    /// There is too little in the recording to judge.
    Recording,
    /// The user stopped the run.
    Interruption,
}

/// One number about the distance of two shapes.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Metric {
    /// Field name and scale, such as `IDC ratio 100 ms`.
    pub name: String,
    /// Its value; `None` when it is not evaluable.
    pub value: Option<f64>,
    /// The unit that follows the value: empty, `%`, `ms`, `s`.
    pub unit: String,
    /// The tolerance in words, such as `≤ 1 %` or `0.90–1.10`; empty when only reported.
    pub limit: String,
    /// `value / limit` folded so that 1 is the limit; `None` when it does not gate.
    pub ratio: Option<f64>,
    /// `pass`, `fail`, `report` or `not evaluable`.
    pub outcome: MetricOutcome,
    /// Why it is not evaluable, or what a failure means; may be empty.
    pub note: String,
}

/// What a metric says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricOutcome {
    /// Within its tolerance.
    Pass,
    /// Outside of its tolerance.
    Fail,
    /// Printed only; it gates nothing.
    Report,
    /// The data cannot support it; the note says why.
    NotEvaluable,
}
