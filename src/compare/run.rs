//! What is kept of a run for comparing it: some numbers, and what they hold for.

use std::collections::BTreeMap;

use crate::compare::conditions::Fact;
use crate::compare::metric::Metric;
use crate::stats::shares::Share;

/// Most routes of a run that are compared one by one; no run is written with more.
pub const MAX_ROUTES: usize = 200;

/// A route of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfRoute {
    /// Quantiles of its latency, where it was asked for often enough; `None` where it was, and too
    /// many of those requests had no answer.
    pub values: BTreeMap<Metric, Option<f64>>,
    /// Its errors; `None` where nothing was sent.
    pub errors: Option<Share>,
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Its file or folder, as it was named.
    pub name: String,
    /// Wall clock of its start, RFC 3339: it orders runs as text.
    pub started: String,
    /// What the user wrote on it.
    pub labels: BTreeMap<String, String>,
    /// What has to be alike in runs that are compared.
    pub conditions: Vec<Fact>,
    /// What may differ and is told, such as packages of a node, as hashes by name.
    pub software: BTreeMap<String, u64>,
    /// Why it says nothing of its target; `None` where it does.
    pub not_valid: Option<String>,
    /// A hash of what it measured: two runs never measure the same to the nanosecond.
    pub content: u64,
    /// Its metrics; or why there is no value, where others may have one.
    pub values: BTreeMap<Metric, Result<f64, String>>,
    /// Its errors; `None` where nothing was sent.
    pub errors: Option<Share>,
    /// Quantiles of latency in nanoseconds, by rising quantile.
    pub quantiles: Vec<(f64, f64)>,
    /// The 95 % interval of a quantile, as far as the run alone tells, in nanoseconds.
    pub within: Vec<(f64, [f64; 2])>,
    /// Its routes, at most [`MAX_ROUTES`], by names that are fit to print.
    pub routes: BTreeMap<String, OfRoute>,
    /// Routes that it does not tell one by one.
    pub unlisted: u64,
}

impl Run {
    /// A metric, where it has a value that can be compared.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.values.get(&metric)?.as_ref().ok().copied().filter(|value| value.is_finite())
    }
}
