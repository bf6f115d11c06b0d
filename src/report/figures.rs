//! What the charts of a run are drawn from beyond its totals: bounded, whatever its length.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::facts::Facts;
use crate::report::model::{Mark, Quantiles};
use crate::shape::{MAX_SECONDS, WINDOW_NS};
use crate::stats::counts::{as_f64, as_index, coarsen};
use crate::stats::dispersion::index_of_dispersion;
use crate::summary::Summary;
use crate::summary::evidence::timeline::Tenth;
use crate::summary::outcomes::{GROUPS, NAMES};
use crate::verdict::Finding;
use crate::verdict::moments::moments;

/// What the charts are drawn from; empty in runs of versions that had none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Figures {
    /// When what failed was seen, since the start of the replay.
    pub moments: Vec<Mark>,
    /// Most connections in use in each second; empty where none was.
    pub connections: Vec<u64>,
    /// Requests by what became of them, by the second in which they were due.
    pub outcomes: Vec<Group>,
    /// Latencies by time and by length.
    pub heat: Option<Heat>,
    /// Times in nanoseconds by percentile, the latency first.
    pub curves: Vec<Curve>,
    /// The parts of an answered exchange, in their order.
    pub parts: Vec<Part>,
    /// Bytes by percentile.
    pub sizes: Vec<Curve>,
    /// Burstiness by time-scale, from fine to coarse.
    pub dispersion: Vec<Dispersion>,
}

/// Requests that came to the same end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// A class of status, or what else became of them.
    pub name: String,
    /// How many were due in each second.
    pub by_second: Vec<u32>,
}

/// Latencies by time and by length. Row `r` holds those from 1 µs × 10^(r/8) up to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heat {
    /// Seconds of a column.
    pub seconds: u64,
    /// The lowest row that is kept.
    pub first_row: u64,
    /// Answers by column and row, by the time in which they were due.
    pub columns: Vec<Vec<u64>>,
}

/// A distribution by percentile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Curve {
    /// Of what.
    pub name: String,
    /// Nines with values: 0 is the smallest, 1 the 90th percentile, 2 the 99th, 3 the 99.9th, and
    /// the median is among them. The last is the largest value, where half of one is beyond.
    pub points: Vec<(f64, u64)>,
}

/// A part of an exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// How long it takes.
    pub times: Quantiles,
}

/// Index of dispersion for counts at one time-scale: 1 is random, more is bursty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dispersion {
    /// The windows that were counted in, ms.
    pub scale_ms: u64,
    /// Of the recording.
    pub recorded: Option<f64>,
    /// Of the plan.
    pub planned: Option<f64>,
    /// Of what was sent.
    pub sent: Option<f64>,
}

/// Rows of a heatmap within a factor of ten.
pub const ROWS_A_DECADE: u32 = 8;

/// Most columns of a heatmap; a screen shows no more of them.
pub const MAX_COLUMNS: usize = 240;

/// Most of anything else: kinds of requests, curves, and points of a curve. A run has far fewer.
const MOST: usize = 300;

impl Figures {
    /// How long shaking hands took; `None` where no TLS was begun.
    pub fn handshake(&self) -> Option<&Quantiles> {
        let part = self.parts.iter().find(|part| part.name == HANDSHAKE);
        part.map(|part| &part.times)
    }

    /// What there is more of than any run has, so that a page of it would have no bound.
    pub fn too_many(&self) -> Option<&'static str> {
        let points = |curves: &[Curve]| {
            curves.len().max(curves.iter().map(|curve| curve.points.len()).max().unwrap_or(0))
        };
        let seconds = self.outcomes.iter().map(|group| group.by_second.len()).max().unwrap_or(0);
        let columns = self.heat.as_ref().map_or(&[][..], |heat| &heat.columns);
        let rows = columns.iter().map(Vec::len).max().unwrap_or(0);
        let counted = [
            ("figures.moments", self.moments.len(), MOST),
            ("figures.connections", self.connections.len(), MAX_SECONDS),
            ("figures.outcomes", self.outcomes.len(), GROUPS),
            ("figures.outcomes.by_second", seconds, MAX_SECONDS),
            ("figures.heat.columns", columns.len().max(rows), MAX_COLUMNS),
            ("figures.curves", points(&self.curves), MOST),
            ("figures.sizes", points(&self.sizes), MOST),
            ("figures.parts", self.parts.len(), MOST),
            ("figures.dispersion", self.dispersion.len(), MOST),
        ];
        counted.into_iter().find(|(_, count, most)| count > most).map(|(field, ..)| field)
    }
}

/// Gathers them from a run.
pub fn gather(
    summary: &Summary,
    facts: &Facts,
    findings: &[Finding],
    quantiles: impl Fn(&Histogram<u64>) -> Option<Quantiles>,
) -> Figures {
    let marks = moments(findings, summary).into_iter();
    let parts = &summary.parts;
    let named = [
        ("connect", &summary.evidence.openings.connect),
        (HANDSHAKE, &summary.evidence.openings.handshake),
        ("sending the request", &parts.sending),
        ("waiting for the first byte", &parts.waiting),
        ("receiving the answer", &parts.receiving),
    ];
    Figures {
        moments: marks
            .map(|at| Mark { name: at.check, from_ns: at.from_ns, to_ns: at.to_ns })
            .collect(),
        connections: connections(&summary.evidence.timeline.tenths),
        outcomes: outcomes(summary),
        heat: heat(summary),
        curves: curves(&[
            (LATENCY, &summary.latency),
            ("service (sent → done)", &summary.service),
            ("recorded in production", &summary.recorded_latency),
            ("lateness (our own)", &summary.lateness),
        ]),
        parts: named
            .into_iter()
            .filter_map(|(name, times)| Some(Part { name: name.into(), times: quantiles(times)? }))
            .collect(),
        sizes: curves(&[
            ("requests, as planned", &summary.planned.request_bytes),
            ("requests, as sent", &summary.sent.request_bytes),
            ("bodies of answers", &parts.response_bytes),
        ]),
        dispersion: dispersion(summary, facts),
    }
}

/// The part that only connections with TLS have.
const HANDSHAKE: &str = "handshake of TLS";

/// The curve that others are set beside.
pub const LATENCY: &str = "latency (due → done)";

/// Most connections in use within each second.
fn connections(tenths: &[Tenth]) -> Vec<u64> {
    let mut held = 0_i64;
    let mut most = |rows: &[Tenth]| {
        let before = held;
        rows.iter().fold(before, |most, row| {
            held += i64::from(row.held);
            most.max(held)
        })
    };
    let all: Vec<u64> =
        tenths.chunks(10).map(|rows| u64::try_from(most(rows)).unwrap_or(0)).collect();
    if all.iter().all(|count| *count == 0) { Vec::new() } else { all }
}

fn outcomes(summary: &Summary) -> Vec<Group> {
    let group = |(index, name): (usize, &&str)| Group {
        name: (*name).to_owned(),
        by_second: summary.seconds.iter().map(|second| second.outcomes[index]).collect(),
    };
    let groups = NAMES.iter().enumerate().map(group);
    groups.filter(|group| group.by_second.iter().any(|count| *count > 0)).collect()
}

fn heat(summary: &Summary) -> Option<Heat> {
    let seconds = summary.seconds.len().div_ceil(MAX_COLUMNS).max(1);
    let mut columns: Vec<Vec<u64>> = Vec::new();
    for rows in summary.seconds.chunks(seconds) {
        let mut column = Vec::new();
        for value in rows.iter().flat_map(|second| second.latency.iter_recorded()) {
            let row = row_of(value.value_iterated_to());
            if column.len() <= row {
                column.resize(row + 1, 0);
            }
            column[row] += value.count_at_value();
        }
        columns.push(column);
    }
    let first = columns.iter().filter_map(|column| column.iter().position(|n| *n > 0)).min()?;
    for column in &mut columns {
        column.drain(..first.min(column.len()));
    }
    Some(Heat { seconds: seconds as u64, first_row: first as u64, columns })
}

fn row_of(ns: u64) -> usize {
    as_index((as_f64(ns) / 1e3).log10().max(0.0) * f64::from(ROWS_A_DECADE))
}

/// The shortest latency of a row of a heatmap, ns.
pub fn row_begins(row: u64) -> f64 {
    1e3 * 10_f64.powf(as_f64(row) / f64::from(ROWS_A_DECADE))
}

fn curves(named: &[(&str, &Histogram<u64>)]) -> Vec<Curve> {
    let known = named.iter().filter(|(_, histogram)| !histogram.is_empty());
    known.map(|(name, histogram)| curve(name, histogram)).collect()
}

/// Eight points a nine: further apart, a step of the curve would be lost between them.
const POINTS_A_NINE: u32 = 8;

/// The nines of a median, which is no whole step, and which everybody asks for.
pub const MEDIAN: f64 = std::f64::consts::LOG10_2;

/// Nines are real numbers: those that are nearer to each other than this are the same.
pub const NEAR: f64 = 1e-6;

fn curve(name: &str, histogram: &Histogram<u64>) -> Curve {
    let known = known_nines(histogram.len());
    let steps = (0..).map(|step| f64::from(step) / f64::from(POINTS_A_NINE));
    let mut nines: Vec<f64> = steps.take_while(|nines| *nines <= known).collect();
    nines.extend(Some(MEDIAN).filter(|median| *median <= known));
    nines.sort_by(f64::total_cmp);
    let at = |nines: f64| histogram.value_at_quantile(1.0 - 10_f64.powf(-nines));
    let mut points: Vec<(f64, u64)> = nines.into_iter().map(|nines| (nines, at(nines))).collect();
    points.push((nines_of_the_largest(histogram.len()), histogram.max()));
    Curve { name: name.to_owned(), points }
}

/// Most nines that so many values can tell: one of them is beyond.
fn known_nines(count: u64) -> f64 {
    as_f64(count.max(1)).log10() + NEAR
}

/// Where the largest of so many values stands: it is beyond every percentile that they can tell.
fn nines_of_the_largest(count: u64) -> f64 {
    as_f64(count.max(1).saturating_mul(2)).log10()
}

/// The curve of a run that has only its quantiles.
pub fn coarse_curve(name: &str, times: &Quantiles) -> Curve {
    let Quantiles { p50_ns, p90_ns, p99_ns, p99_9_ns, max_ns, count, .. } = *times;
    let known = [(MEDIAN, p50_ns), (1.0, p90_ns), (2.0, p99_ns), (3.0, p99_9_ns)];
    let within = known.into_iter().filter(|(nines, _)| *nines <= known_nines(count));
    let points = within.chain([(nines_of_the_largest(count), max_ns)]).collect();
    Curve { name: name.to_owned(), points }
}

/// Fewest windows that a scale needs, as the plan has it.
const MIN_WINDOWS: usize = 20;

fn dispersion(summary: &Summary, facts: &Facts) -> Vec<Dispersion> {
    let windows = summary.planned.counts.len();
    let all = [1_usize, 10, 100, 1_000].into_iter().enumerate().map(|(index, factor)| {
        let complete = windows / factor * factor;
        let mut sent = summary.sent.counts.clone();
        sent.resize(complete, 0);
        let seconds = as_f64(WINDOW_NS) / 1e9 * as_f64(factor as u64);
        let known = complete / factor >= MIN_WINDOWS;
        Dispersion {
            scale_ms: WINDOW_NS / 1_000_000 * factor as u64,
            recorded: facts.idc_before[index].filter(|_| facts.origin.is_recorded()),
            planned: facts.idc_after[index],
            sent: known
                .then(|| index_of_dispersion(&coarsen(&sent, factor), seconds))
                .flatten()
                .filter(|value| value.is_finite()),
        }
    });
    all.filter(|one| one.recorded.or(one.planned).or(one.sent).is_some()).collect()
}

#[cfg(test)]
mod tests;
