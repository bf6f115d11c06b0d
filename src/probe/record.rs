//! What a probe has seen: plain data.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most points of a series; beyond them pairs are merged.
pub const MAX_POINTS: usize = 1_200;

/// Most series of a probe: labels may change from look to look.
pub const MAX_SERIES: usize = 200;

/// The fact of what the last look did not see, though it should have; empty where there is none.
pub const UNSEEN: &str = "unseen";

/// Most gaps that are told one by one.
pub const MAX_GAPS: usize = 100;

/// What one probe has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Its name in the scenario.
    pub name: String,
    /// What it looks at, such as `redis`.
    pub kind: String,
    /// What does not change, such as why a limit is not known.
    pub facts: BTreeMap<String, String>,
    /// Its figures over time.
    pub series: Vec<Series>,
    /// When it saw nothing, and why.
    pub gaps: Vec<Gap>,
    /// Looks that saw something.
    pub polls: u64,
    /// Looks that failed.
    pub failures: u64,
}

/// One figure over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// The server's own name for it.
    pub metric: String,
    /// How to read it.
    pub kind: SeriesKind,
    /// Of what, such as `bytes`.
    pub unit: String,
    /// What a gauge cannot exceed.
    pub limit: Option<f64>,
    /// Moments since the start of the rehearsal in ns, with values.
    pub points: Vec<(u64, f64)>,
}

/// How to read a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeriesKind {
    /// A level.
    Gauge,
    /// Grows until its server starts again.
    Counter,
}

/// A time without sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The first look that failed, ns since the start.
    pub from_ns: u64,
    /// The next that saw something; `None` where none did.
    pub to_ns: Option<u64>,
    /// Why, in our own words.
    pub reason: String,
}

/// What one look yields.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) values: Vec<(Cow<'static, str>, SeriesKind, &'static str, f64)>,
    pub(crate) limits: Vec<(&'static str, f64)>,
    pub(crate) facts: Vec<(&'static str, String)>,
}

impl Record {
    pub(crate) fn new(name: &str, kind: &str) -> Self {
        Self { name: name.to_owned(), kind: kind.to_owned(), ..Self::default() }
    }

    pub(crate) fn add(&mut self, at_ns: u64, readings: Readings) {
        self.polls += 1;
        if let Some(gap) = self.gaps.last_mut().filter(|gap| gap.to_ns.is_none()) {
            gap.to_ns = Some(at_ns);
        }
        for (metric, kind, unit, value) in readings.values {
            if !value.is_finite() {
                continue;
            }
            let is_full = self.series.len() >= MAX_SERIES;
            match self.series.iter_mut().find(|series| series.metric == metric) {
                Some(series) => series.push(at_ns, value),
                None if is_full => {}
                None => self.series.push(Series {
                    metric: metric.into_owned(),
                    kind,
                    unit: unit.to_owned(),
                    limit: None,
                    points: vec![(at_ns, value)],
                }),
            }
        }
        for (metric, limit) in readings.limits {
            if let Some(series) = self.series.iter_mut().find(|series| series.metric == metric) {
                series.limit = Some(limit).filter(|limit| *limit > 0.0);
            }
        }
        for (name, fact) in readings.facts {
            self.facts.insert(name.to_owned(), fact);
        }
    }

    pub(crate) fn fail(&mut self, at_ns: u64, reason: &str) {
        self.failures += 1;
        let is_open = self.gaps.last().is_some_and(|gap| gap.to_ns.is_none());
        if !is_open && self.gaps.len() < MAX_GAPS {
            self.gaps.push(Gap { from_ns: at_ns, to_ns: None, reason: reason.to_owned() });
        }
    }

    /// The series of a metric.
    pub fn metric(&self, metric: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.metric == metric)
    }

    /// How much a counter grew a second between two moments; `None` where less than half of the
    /// time was seen. A counter that fell was set to zero meanwhile.
    pub fn rate_between(&self, metric: &str, from_ns: u64, to_ns: u64) -> Option<f64> {
        let (mut grown, mut seen_s) = (0.0, 0.0);
        for pair in self.metric(metric)?.points.windows(2) {
            let &[(start, before), (end, after)] = pair else { continue };
            let common = end.min(to_ns).saturating_sub(start.max(from_ns));
            if common > 0 {
                let rise = if after < before { after } else { after - before };
                grown += rise * seconds(common) / seconds(end - start);
                seen_s += seconds(common);
            }
        }
        let asked_s = seconds(to_ns.saturating_sub(from_ns));
        (seen_s > 0.0 && seen_s * 2.0 >= asked_s).then(|| grown / seen_s)
    }
}

impl Series {
    fn push(&mut self, at_ns: u64, value: f64) {
        self.points.push((at_ns, value));
        if self.points.len() > MAX_POINTS {
            // Peaks and the last values stay.
            let merged = |pair: &[(u64, f64)]| match (pair, self.kind) {
                (&[first, second], SeriesKind::Gauge) if first.1 > second.1 => first,
                (&[.., last], _) => last,
                (&[], _) => (0, 0.0),
            };
            self.points = self.points.chunks(2).map(merged).collect();
        }
    }
}

fn seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn looked(count: u64, value: impl Fn(u64) -> f64) -> Record {
        let mut record = Record::new("db", "mysql");
        for second in 0..count {
            let values = vec![("Questions".into(), SeriesKind::Counter, "", value(second))];
            record.add(second * S, Readings { values, ..Readings::default() });
        }
        record
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn a_rate_is_told_where_most_of_it_was_seen_and_survives_thinning_and_restarts() {
        let record = looked(5_000, |second| second as f64 * 7.0);
        assert!(record.series[0].points.len() <= MAX_POINTS);
        assert!((record.rate_between("Questions", 10 * S, 4_000 * S).unwrap() - 7.0).abs() < 0.01);
        assert_eq!(record.rate_between("Questions", 4_990 * S, 9_000 * S), None);
        assert_eq!(record.rate_between("other", 0, S), None);
        let restarted = looked(11, |second| (second % 6) as f64);
        assert!(restarted.rate_between("Questions", 0, 10 * S).unwrap() >= 0.0);
    }

    #[test]
    fn a_gap_lasts_until_the_next_look() {
        let mut record = looked(2, |_| 1.0);
        record.fail(2 * S, "connection refused");
        record.fail(3 * S, "connection refused");
        record.add(4 * S, Readings::default());
        assert_eq!(record.gaps.len(), 1);
        assert_eq!((record.gaps[0].from_ns, record.gaps[0].to_ns), (2 * S, Some(4 * S)));
        assert_eq!((record.polls, record.failures), (3, 2));
    }
}
