//! The load shape of any series of moments, and how far two shapes are apart.
//!
//! A [`Shape`] is computed twice: from the plan's due moments, and from the moments that really
//! happened. [`compare::compare`] sets one against the other, metric by metric, with the names and
//! tolerances of the field.

pub mod compare;
pub mod contents;
#[cfg(test)]
pub(crate) mod detection;
pub mod gate;
pub mod floor;
pub mod keys;
pub mod reads;
pub mod forecast;
pub mod profile;
mod judged;
pub mod likeness;
pub mod metrics;
pub mod pairing;
pub mod tolerance;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::histograms;

/// Width of the finest count window, in nanoseconds (10 ms); coarser windows are sums of it.
pub const WINDOW_NS: u64 = 10_000_000;

/// Seconds of a run that are told apart. A peak hour fits six times; a longer run would grow
/// without limit, so everything after it is counted in the last second and window.
pub const MAX_SECONDS: usize = 6 * 3_600;

/// Distinct routes that are told apart. A suite has some hundred; templates that fail to
/// generalise would grow without limit, so further ones are counted under [`OTHER_ROUTES`].
pub const MAX_ROUTES: usize = 2_000;

/// Where routes beyond [`MAX_ROUTES`] are counted.
pub const OTHER_ROUTES: &str = "(other)";

/// A produced moment at most this late counts in the window of its planned moment: 1 ms, a tenth
/// of the finest window.
///
/// Without it, arrivals that lie on or just before a window's edge would all jump to the next
/// window with the first microseconds of lateness, and a harmless run would have another rate
/// curve. Lateness itself is judged on its own, so nothing is hidden.
pub const ON_TIME: Duration = Duration::from_millis(1);

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

impl Shape {
    /// The shape of no requests at all.
    pub fn new() -> Self {
        Self {
            total: 0,
            counts: Vec::new(),
            opens: Vec::new(),
            mix: BTreeMap::new(),
            request_bytes: histograms::sizes(),
        }
    }

    /// Counts a request at its moment; sizes above 4 GiB count as that.
    pub fn add(&mut self, moment: Duration, route: &Arc<str>, request_bytes: u64) {
        self.total += 1;
        bump(&mut self.counts, window_of(moment), 1);
        self.count_route(route, 1);
        self.request_bytes.saturating_record(request_bytes);
    }

    /// Counts requests of which only the number is known, behind all others.
    pub fn add_unread(&mut self, requests: u64) {
        self.total += requests;
        self.counts.push(u32::try_from(requests).unwrap_or(u32::MAX));
        self.count_route(&Arc::from(OTHER_ROUTES), requests);
    }

    /// Counts an opened connection at the moment when its opening began.
    pub fn open(&mut self, moment: Duration) {
        bump(&mut self.opens, second_of(moment), 1);
    }

    /// Adds the requests and connections of another shape with the same start.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        for (window, &count) in other.counts.iter().enumerate() {
            bump(&mut self.counts, window, count);
        }
        for (second, &count) in other.opens.iter().enumerate() {
            bump(&mut self.opens, second, count);
        }
        for (route, &count) in &other.mix {
            self.count_route(route, count);
        }
        histograms::merge(&mut self.request_bytes, &other.request_bytes);
    }

    /// Moves the requests of routes that are not in `known` to [`OTHER_ROUTES`], so that shapes of
    /// the same arrivals tell the same routes apart.
    pub fn keep_routes(&mut self, known: &BTreeMap<Arc<str>, u64>) {
        let unknown: Vec<Arc<str>> =
            self.mix.keys().filter(|&route| !known.contains_key(route)).cloned().collect();
        for route in unknown {
            let count = self.mix.remove(&route).unwrap_or(0);
            *self.mix.entry(Arc::from(OTHER_ROUTES)).or_default() += count;
        }
    }

    fn count_route(&mut self, route: &Arc<str>, count: u64) {
        *self.mix.entry(bounded_route(&self.mix, route)).or_default() += count;
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self::new()
    }
}

/// The moment at which a produced request counts: the planned one when it was [`ON_TIME`].
pub fn counted_moment(due: Duration, happened: Duration) -> Duration {
    if happened.saturating_sub(due) <= ON_TIME && due.saturating_sub(happened) <= ON_TIME {
        due
    } else {
        happened
    }
}

/// The route itself while there is room in `known` (or it is there), else [`OTHER_ROUTES`].
pub fn bounded_route<T>(known: &BTreeMap<Arc<str>, T>, route: &Arc<str>) -> Arc<str> {
    if known.len() < MAX_ROUTES || known.contains_key(route) {
        Arc::clone(route)
    } else {
        Arc::from(OTHER_ROUTES)
    }
}

/// The second that a moment is counted in.
pub fn second_of(moment: Duration) -> usize {
    usize::try_from(moment.as_secs()).unwrap_or(usize::MAX).min(MAX_SECONDS - 1)
}

fn window_of(moment: Duration) -> usize {
    const WINDOWS: u64 = MAX_SECONDS as u64 * (1_000_000_000 / WINDOW_NS);
    let window = (histograms::nanoseconds(moment) / WINDOW_NS).min(WINDOWS - 1);
    usize::try_from(window).unwrap_or(usize::MAX)
}

fn bump(counts: &mut Vec<u32>, index: usize, by: u32) {
    if counts.len() <= index {
        counts.resize(index + 1, 0);
    }
    counts[index] = counts[index].saturating_add(by);
}

/// Where a load comes from: sentences about it must claim no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// From production, by a recording.
    #[default]
    Recorded,
    /// From the options of a run.
    Generated,
}

impl Origin {
    /// What kind of load it is, in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Generated => "planned",
        }
    }

    /// It is production's.
    pub fn is_recorded(&self) -> bool {
        *self == Self::Recorded
    }
}

/// How far the produced load was from the planned one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(moments_ms: &[u64]) -> Shape {
        let mut shape = Shape::new();
        for &ms in moments_ms {
            shape.add(Duration::from_millis(ms), &Arc::from("GET /"), 100);
        }
        shape
    }

    #[test]
    fn every_request_is_in_one_window_and_one_route() {
        let shape = shape_of(&[0, 9, 10, 1_005]);
        assert_eq!(shape.total, 4);
        assert_eq!((shape.counts[0], shape.counts[1], shape.counts[100]), (2, 1, 1));
        assert_eq!(shape.counts.iter().sum::<u32>(), 4);
        assert_eq!(shape.mix.values().sum::<u64>(), 4);
        assert_eq!(shape.request_bytes.len(), 4);
    }

    #[test]
    fn merging_is_adding() {
        let mut merged = shape_of(&[0, 2_000]);
        merged.open(Duration::from_secs(1));
        let mut other = shape_of(&[5, 30]);
        other.open(Duration::from_secs(3));
        merged.merge(&other);
        let mut whole = shape_of(&[0, 2_000, 5, 30]);
        whole.open(Duration::from_secs(1));
        whole.open(Duration::from_secs(3));
        assert_eq!((merged.total, &merged.counts, &merged.opens), (4, &whole.counts, &whole.opens));
        assert_eq!(merged.mix, whole.mix);
    }

    #[test]
    fn routes_and_seconds_are_bounded() {
        let mut shape = Shape::new();
        for number in 0..MAX_ROUTES + 5 {
            shape.add(Duration::MAX, &Arc::from(format!("GET /{number}")), u64::MAX);
        }
        shape.open(Duration::MAX);
        assert_eq!(shape.mix.len(), MAX_ROUTES + 1);
        assert_eq!(shape.mix[OTHER_ROUTES], 5);
        assert_eq!(shape.opens.len(), MAX_SECONDS);
        assert_eq!(shape.counts.len(), MAX_SECONDS * 100);
        assert_eq!(shape.total, MAX_ROUTES as u64 + 5);
    }

    #[test]
    fn a_moment_within_a_millisecond_counts_as_on_time() {
        let due = Duration::from_secs(1);
        assert_eq!(counted_moment(due, due + Duration::from_micros(50)), due);
        assert_eq!(counted_moment(due, due + ON_TIME), due);
        let late = due + Duration::from_micros(1_001);
        assert_eq!(counted_moment(due, late), late);
    }
}
