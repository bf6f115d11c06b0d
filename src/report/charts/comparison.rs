//! The charts of new runs beside those of a baseline.

use plotly::common::{ErrorData, ErrorType, Marker, Mode};
use plotly::layout::AxisType;
use plotly::{Scatter, Trace};

use crate::compare::Judged;
use crate::compare::metric::Metric;
use crate::compare::quantiles::QuantileShift;
use crate::report::charts::{Chart, axis, base_layout, line, linear_axis, millis, plot_json};
use crate::report::comparison::Compared;
use crate::report::measured::time;
use crate::report::text::{clean, number};
use crate::stats::counts::as_index;

/// All charts that there are numbers for.
pub(crate) fn charts(compared: &Compared) -> Vec<Chart> {
    let mut charts: Vec<Chart> = shift(&compared.comparison.quantiles).into_iter().collect();
    let drawn = [Metric::LatencyP99, Metric::LatencyP95, Metric::LatencyP50];
    let judged = drawn.iter().find_map(|metric| {
        let all = &compared.comparison.metrics;
        all.iter().find(|judged| judged.metric == *metric && judged.change.is_some())
    });
    charts.extend(judged.map(|judged| runs(judged, compared)));
    charts
}

/// The shift function: by how much each quantile moved.
fn shift(quantiles: &[QuantileShift]) -> Option<Chart> {
    let largest = quantiles.iter().max_by(|a, b| a.change.abs().total_cmp(&b.change.abs()))?;
    let names: Vec<String> = quantiles.iter().map(|each| percentile(each.q)).collect();
    let percent = |change: f64| change * 100.0;
    let points = quantiles.iter().map(|each| percent(each.change)).collect();
    let mut trace = Scatter::new(names, points)
        .name("new − baseline")
        .mode(Mode::LinesMarkers)
        .line(line("--sent"));
    if quantiles.iter().all(|each| each.interval.is_some()) {
        let reach = |end: usize| {
            quantiles
                .iter()
                .filter_map(|each| Some(percent(each.interval?[end] - each.change).abs()))
                .collect::<Vec<f64>>()
        };
        trace =
            trace.error_y(ErrorData::new(ErrorType::Data).array(reach(1)).array_minus(reach(0)));
    }
    let layout = base_layout()
        .y_axis(axis("change in %"))
        .x_axis(axis("percentile of latency").type_(AxisType::Category));
    Some(Chart {
        id: "chart-shift",
        title: "By how much each percentile moved",
        summary: format!(
            "Medians of the runs, with 95 % intervals by drawing runs again. Most: {} {}.",
            percentile(largest.q),
            crate::compare::told(largest.change)
        ),
        plot: plot_json(vec![trace as Box<dyn Trace>], layout),
        columns: vec!["percentile", "baseline", "new", "change %", "from %", "to %"],
        rows: quantiles
            .iter()
            .map(|each| {
                let end = |end: usize| {
                    each.interval
                        .map_or_else(|| "–".to_owned(), |ends| number(percent(ends[end]), 3))
                };
                vec![
                    percentile(each.q),
                    time(each.ns[0]),
                    time(each.ns[1]),
                    number(percent(each.change), 3),
                    end(0),
                    end(1),
                ]
            })
            .collect(),
    })
}

fn percentile(q: f64) -> String {
    format!("p{}", number(q * 100.0, 4))
}

/// Longest name of a run on an axis.
const MAX_NAME: usize = 60;

/// Every run by itself, so that an outlier or a drift is seen.
fn runs(judged: &Judged, compared: &Compared) -> Chart {
    let [base, new] = [&compared.base, &compared.new]
        .map(|names| names.iter().map(|name| clean(name, MAX_NAME)).collect::<Vec<String>>());
    let points = |side: usize| -> Vec<Option<f64>> {
        judged.values[side]
            .iter()
            .map(|value| value.map(|ns| millis(as_index(ns) as u64)))
            .collect()
    };
    let trace = |name: &'static str, colour: &'static str, names: &[String], side: usize| {
        Scatter::new(names.to_vec(), points(side))
            .name(name)
            .mode(Mode::Markers)
            .marker(Marker::new().color(colour).size(9)) as Box<dyn Trace>
    };
    let traces = vec![trace("baseline", "--planned", &base, 0), trace("new", "--sent", &new, 1)];
    let layout =
        base_layout().y_axis(linear_axis("ms")).x_axis(axis("run").type_(AxisType::Category));
    let rows =
        [(&base, 0, "baseline"), (&new, 1, "new")].into_iter().flat_map(|(names, side, word)| {
            names.iter().zip(points(side)).map(move |(name, value)| {
                let value = value.map_or_else(|| "–".to_owned(), |ms| ms.to_string());
                vec![name.clone(), word.to_owned(), value]
            })
        });
    Chart {
        id: "chart-runs",
        title: "Each run by itself",
        summary: format!(
            "The {} of every run. Medians: {} in the baseline, {} in the new runs.",
            judged.metric.name(),
            time(judged.medians[0].unwrap_or_default()),
            time(judged.medians[1].unwrap_or_default())
        ),
        plot: plot_json(traces, layout),
        columns: vec!["run", "side", "ms"],
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::comparison::tests::slower;

    #[test]
    fn the_shift_and_the_runs_are_drawn() {
        let charts = charts(&slower());
        let ids: Vec<&str> = charts.iter().map(|chart| chart.id).collect();
        assert_eq!(ids, ["chart-shift", "chart-runs"]);
        assert_eq!(charts[0].rows.len(), 4);
        assert!(charts[0].plot.contains("arrayminus"), "{}", charts[0].plot);
        assert_eq!(charts[1].rows.len(), 13);
    }
}
