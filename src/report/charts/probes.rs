//! What the probes saw, on the time axis of the run: a chart a probe.

use std::time::Duration;

use plotly::{Scatter, Trace};

use crate::probe::record::{Record, Series, SeriesKind};
use crate::report::charts::{
    Chart, axis, base_layout, cleaned, line, linear_axis, plain, plot_json,
};
use crate::units::format_count;

/// The figures of each probe that say most, the first that it has is drawn.
const MAIN: [&str; 11] = [
    "connected_clients",
    "Threads_connected",
    "connections",
    "curr_connections",
    "value",
    "matching lines",
    "lines",
    "busy",
    "load",
    "process_open_fds",
    "process_resident_memory_bytes",
];

/// Most charts and points of a chart, so that the page stays small.
const MAX_CHARTS: usize = 12;
const MAX_POINTS: usize = 400;

/// Identifiers in the page.
const IDS: [&str; MAX_CHARTS] = [
    "chart-probe-1",
    "chart-probe-2",
    "chart-probe-3",
    "chart-probe-4",
    "chart-probe-5",
    "chart-probe-6",
    "chart-probe-7",
    "chart-probe-8",
    "chart-probe-9",
    "chart-probe-10",
    "chart-probe-11",
    "chart-probe-12",
];

/// A chart of each probe that saw something, for a replay that began so long after the start.
pub(super) fn charts(records: &[Record], replay_ns: u64) -> Vec<Chart> {
    let shown = records.iter().filter_map(|record| main(record).map(|series| (record, series)));
    IDS.into_iter().zip(shown).map(|(id, (of, series))| chart(id, of, series, replay_ns)).collect()
}

/// What is drawn of a probe.
pub(super) struct Drawn<'a> {
    record: &'a Record,
    /// The figure.
    pub(super) series: &'a Series,
    /// Seconds of the run with values.
    pub(super) points: Vec<(f64, f64)>,
}

impl Drawn<'_> {
    /// The probe and its figure with what it counts.
    pub(super) fn name(&self) -> String {
        let unit = match self.series.kind {
            SeriesKind::Gauge => "",
            SeriesKind::Counter => " a second",
        };
        format!("{}: {}{unit}", self.record.name, self.series.metric)
    }
}

/// What is drawn of each probe that saw something.
pub(super) fn drawn(records: &[Record], replay_ns: u64) -> Vec<Drawn<'_>> {
    let shown = records.iter().filter_map(|record| main(record).map(|series| (record, series)));
    shown
        .map(|(record, series)| Drawn { record, series, points: points(series, replay_ns) })
        .filter(|drawn| !drawn.points.is_empty())
        .collect()
}

fn main(record: &Record) -> Option<&Series> {
    MAIN.iter().find_map(|name| record.metric(name)).or(record.series.first())
}

fn chart(id: &'static str, record: &Record, series: &Series, replay_ns: u64) -> Chart {
    let points = points(series, replay_ns);
    let unit = match series.kind {
        SeriesKind::Gauge => cleaned(&series.unit),
        SeriesKind::Counter => "a second".to_owned(),
    };
    let highest = points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let (name, metric) = (cleaned(&record.name), cleaned(&series.metric));
    let limit = series.limit.map_or_else(String::new, |limit| format!(" Its limit is {limit}."));
    let summary = format!(
        "What {name} saw: {metric} {unit}. Highest: {}.{limit} Second 0 is the start of the \
         replay.{}",
        highest.map_or_else(
            || "none".to_owned(),
            |(second, value)| format!("{} in second {second:.1}", shown(value))
        ),
        if record.gaps.is_empty() {
            String::new()
        } else {
            format!(" There were {} gaps without sight.", format_count(record.gaps.len() as u64))
        }
    );
    let x: Vec<f64> = points.iter().map(|point| point.0).collect();
    let y = points.iter().map(|point| point.1).collect();
    let mut traces: Vec<Box<dyn Trace>> = vec![
        Scatter::new(x.clone(), y).name(plain(&format!("{name}: {metric}"))).line(line("--sent")),
    ];
    if let Some(limit) = series.limit {
        let y = vec![limit; x.len()];
        traces.push(Scatter::new(x, y).name("limit").line(line("--bad")));
    }
    let layout =
        base_layout().y_axis(linear_axis(&plain(&unit))).x_axis(axis("seconds since the start"));
    Chart {
        id,
        title: "What a probe saw",
        summary,
        plot: plot_json(traces, layout),
        columns: vec!["second", "value"],
        rows: points.iter().map(|(at, value)| vec![format!("{at:.1}"), shown(*value)]).collect(),
    }
}

/// Seconds of the run with values; a counter's are growth a second. The highest stay.
fn points(series: &Series, replay_ns: u64) -> Vec<(f64, f64)> {
    let replay = tenths(replay_ns);
    let second = |ns: u64| tenths(ns) - replay;
    let all: Vec<(f64, f64)> = match series.kind {
        SeriesKind::Gauge => series.points.iter().map(|&(ns, v)| (second(ns), v)).collect(),
        SeriesKind::Counter => series
            .points
            .windows(2)
            .filter_map(|pair| {
                let &[(start, before), (end, after)] = pair else { return None };
                let passed = Duration::from_nanos(end.saturating_sub(start)).as_secs_f64();
                let rise = if after < before { after } else { after - before };
                (passed > 0.0).then(|| (second(end), rise / passed))
            })
            .collect(),
    };
    let width = all.len().div_ceil(MAX_POINTS).max(1);
    let worst = |chunk: &[(f64, f64)]| chunk.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    all.chunks(width).filter_map(worst).collect()
}

fn tenths(ns: u64) -> f64 {
    (Duration::from_nanos(ns).as_secs_f64() * 10.0).round() / 10.0
}

fn shown(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_drawn_with_its_limit_and_counters_as_rates() {
        let series = |metric: &str, kind, limit| Series {
            metric: metric.to_owned(),
            kind,
            unit: "connections".to_owned(),
            limit,
            points: (0..5_000_u32).map(|s| (u64::from(s) * 1_000_000_000, f64::from(s))).collect(),
        };
        let redis = Record {
            name: "redis".to_owned(),
            series: vec![
                series("evicted_keys", SeriesKind::Counter, None),
                series("connected_clients", SeriesKind::Gauge, Some(9_000.0)),
            ],
            ..Record::default()
        };
        let pages = Record { series: vec![redis.series[0].clone()], ..Record::default() };
        let charts = charts(&[redis, Record::default(), pages], 2_000_000_000);
        assert_eq!(charts.len(), 2);
        let told = "connected_clients connections. Highest: 4999 in second 4997.0. Its limit";
        assert!(charts[0].summary.contains(told), "{}", charts[0].summary);
        assert!(charts[0].plot.contains("limit") && charts[0].rows.len() <= MAX_POINTS);
        assert!(charts[1].summary.contains("evicted_keys a second. Highest: 1 in second"));
    }
}
