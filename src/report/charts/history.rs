//! The charts of a series: one a metric, with its levels and changes.

use plotly::common::{Marker, Mode};
use plotly::layout::AxisType;
use plotly::{Scatter, Trace};

use crate::compare::history::{Changed, History, Trend};
use crate::compare::metric::{Metric, Quantity};
use crate::report::charts::{Chart, axis, base_layout, line, linear_axis, plot_json};
use crate::report::history::sentence;
use crate::report::text::clean;

/// A chart a metric.
pub(crate) fn charts(history: &History) -> Vec<Chart> {
    history.trends.iter().map(|trend| chart(trend, history)).collect()
}

/// Identifier in the page.
fn id(metric: Metric) -> &'static str {
    match metric {
        Metric::LatencyP50 => "trend-latency-p50",
        Metric::LatencyP95 => "trend-latency-p95",
        Metric::LatencyP99 => "trend-latency-p99",
        Metric::LatencyP999 => "trend-latency-p999",
        Metric::Errors => "trend-errors",
        Metric::Throughput => "trend-throughput",
        Metric::Capacity => "trend-capacity",
        Metric::Connections => "trend-connections",
        Metric::WarmUp => "trend-warm-up",
        Metric::ColdReads => "trend-reads-cold",
        Metric::WarmReads => "trend-reads-warm",
        Metric::RedisClients => "trend-redis-connections",
        Metric::RedisCommands => "trend-redis-commands",
        Metric::MysqlThreads => "trend-mysql-connections",
        Metric::MysqlQuestions => "trend-mysql-statements",
        Metric::PostgresConnections => "trend-postgres-connections",
        Metric::PostgresCommits => "trend-postgres-commits",
    }
}

/// A value in the unit of the axis, and the unit.
fn scaled(metric: Metric) -> (f64, &'static str) {
    match metric.quantity() {
        Quantity::Time if metric == Metric::WarmUp => (1e-9, "s"),
        Quantity::Time => (1e-6, "ms"),
        Quantity::Share => (100.0, "%"),
        Quantity::Rate => (1.0, "a second"),
        Quantity::Count => (1.0, "most"),
        Quantity::PerRequest => (1.0, "a request"),
        Quantity::Multiple => (1.0, "times"),
    }
}

/// Longest name of a run on an axis.
const MAX_NAME: usize = 60;

fn chart(trend: &Trend, history: &History) -> Chart {
    let (factor, unit) = scaled(trend.metric);
    // Three decimals of a millisecond; the page has a size limit.
    let rounded = |value: f64| (value * factor * 1_000.0).round() / 1_000.0;
    let x: Vec<usize> = (1..=trend.values.len()).collect();
    let y: Vec<Option<f64>> = trend.values.iter().map(|value| value.map(rounded)).collect();
    let mut levels: Vec<Option<f64>> = vec![None; trend.values.len()];
    for (from, to, mean) in &trend.levels {
        for level in levels.iter_mut().take(*to).skip(*from) {
            *level = Some(rounded(*mean));
        }
    }
    let changes: Vec<&Changed> =
        history.changes.iter().filter(|change| change.metric == trend.metric).collect();
    let marks = changes.iter().map(|change| change.at + 1).collect();
    let marked = changes.iter().map(|change| y.get(change.at).copied().flatten()).collect();
    let traces: Vec<Box<dyn Trace>> = vec![
        Scatter::new(x.clone(), y.clone())
            .name("runs")
            .mode(Mode::Markers)
            .marker(Marker::new().color("--sent").size(6)),
        Scatter::new(x, levels).name("level").mode(Mode::Lines).line(line("--typical").width(3.0)),
        Scatter::new(marks, marked)
            .name("change")
            .mode(Mode::Markers)
            .marker(Marker::new().color("--bad").size(13)),
    ];
    let layout = base_layout()
        .y_axis(linear_axis(unit))
        .x_axis(axis("run, the oldest first").type_(AxisType::Linear));
    let told = changes.first().map_or_else(
        || "No change was found.".to_owned(),
        |change| format!("The latest of {}: {}.", changes.len(), clean(&sentence(change), 240)),
    );
    Chart {
        id: id(trend.metric),
        title: trend.metric.name(),
        summary: told,
        plot: plot_json(traces, layout),
        columns: vec!["run", "name", "value", "unit"],
        rows: history
            .runs
            .iter()
            .zip(&y)
            .enumerate()
            .map(|(at, (run, value))| {
                vec![
                    (at + 1).to_string(),
                    clean(&run.name, MAX_NAME),
                    value.map_or_else(|| "–".to_owned(), |value| value.to_string()),
                    unit.to_owned(),
                ]
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::history::tests::slower;

    #[test]
    fn each_metric_has_a_chart_of_its_own_with_its_changes() {
        let series = slower();
        let charts = charts(&series.history);
        assert_eq!(charts.len(), series.history.trends.len());
        assert!(charts[0].summary.contains("since run-56"), "{}", charts[0].summary);
        assert_eq!(charts[0].rows.len(), 60);
        let ids: std::collections::BTreeSet<&str> = Metric::ALL.map(id).into_iter().collect();
        assert_eq!(ids.len(), Metric::ALL.len());
    }
}
