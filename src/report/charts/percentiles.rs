//! Distributions by percentile, on an axis on which each further nine is as far as the one before:
//! the few worst requests take as much room as all others.

use plotly::common::TickMode;
use plotly::layout::HoverMode;
use plotly::{Scatter, Trace};

use crate::report::charts::{
    Chart, axis, base_layout, cleaned, line, log_axis, millis, plain, plot_json,
};
use crate::report::figures::{Curve, LATENCY, MEDIAN, NEAR, coarse_curve};
use crate::report::model::Report;
use crate::report::text::{clean, nanos};
use crate::stats::counts::{as_f64, as_index};
use crate::units::{format_size, trim_zeros};

/// Longest name of a run in a legend.
const MAX_NAME: usize = 60;

/// The curve of latency, with that of another run where one is given.
pub(super) fn latency(report: &Report) -> Option<Chart> {
    let mut curves = curves(report);
    let first = curves.first()?;
    let p99 = value_at(first, 2.0).map_or_else(|| "not known: too few answers".to_owned(), nanos);
    let mut told = vec![format!(
        "Logarithmic in both directions. The p99 of {} is {p99}.",
        cleaned(&first.name)
    )];
    if let Some(baseline) = &report.baseline {
        let then = value_at(&baseline.latency, 2.0).map_or_else(|| "not known".to_owned(), nanos);
        let started = clean(&baseline.started, MAX_NAME);
        told.push(format!("Of the baseline, run at {started}, it is {then}."));
        let differences = baseline.differences.iter();
        told.extend(differences.map(|difference| format!("The baseline differs: {difference}.")));
        let name = format!("baseline of {started}");
        curves.insert(1, Curve { name, points: baseline.latency.points.clone() });
    }
    let colours = |name: &str| match name {
        LATENCY => "--tail",
        name if name.starts_with("baseline") => "--ink",
        name if name.starts_with("service") => "--typical",
        name if name.starts_with("recorded") => "--planned",
        _ => "--sent",
    };
    let traces = curves.iter().map(|curve| {
        let (x, y): (Vec<f64>, Vec<f64>) =
            curve.points.iter().map(|(nines, ns)| (rounded(*nines), millis(*ns))).unzip();
        let trace = Scatter::new(x, y).name(plain(&curve.name)).line(line(colours(&curve.name)));
        trace.text_array(names(curve)).hover_template("%{text}: %{y} ms") as Box<dyn Trace>
    });
    let layout = base_layout()
        .hover_mode(HoverMode::Closest)
        .y_axis(log_axis("ms"))
        .x_axis(nines_axis(&curves));
    Some(Chart {
        id: "chart-percentiles",
        title: "Latency by percentile",
        summary: told.join(" "),
        plot: plot_json(traces.collect(), layout),
        columns: std::iter::once("ms").chain(LADDER.map(|(name, _)| name)).collect(),
        rows: curves.iter().map(|curve| numbers(curve, |ns| millis(ns).to_string())).collect(),
    })
}

/// What sizes requests and answers had.
pub(super) fn sizes(report: &Report) -> Option<Chart> {
    let curves = &report.figures.sizes;
    let told: Vec<String> = curves
        .iter()
        .map(|curve| {
            let at = |nines: f64| value_at(curve, nines).map_or_else(|| "–".into(), format_size);
            let largest = curve.points.last().map_or(0, |point| point.1);
            format!(
                "{}: median {}, largest {}.",
                cleaned(&curve.name),
                at(MEDIAN),
                format_size(largest)
            )
        })
        .collect();
    if curves.is_empty() {
        return None;
    }
    let traces = curves.iter().zip(["--planned", "--sent", "--tail"]).map(|(curve, colour)| {
        let (x, y): (Vec<f64>, Vec<u64>) =
            curve.points.iter().map(|(nines, bytes)| (rounded(*nines), *bytes)).unzip();
        let width = if colour == "--planned" { 4.0 } else { 1.5 };
        let trace = Scatter::new(x, y).name(plain(&curve.name)).line(line(colour).width(width));
        trace.text_array(names(curve)).hover_template("%{text}: %{y} bytes") as Box<dyn Trace>
    });
    let layout = base_layout()
        .hover_mode(HoverMode::Closest)
        .y_axis(log_axis("bytes"))
        .x_axis(nines_axis(curves));
    Some(Chart {
        id: "chart-sizes",
        title: "Sizes by percentile",
        summary: told.join(" "),
        plot: plot_json(traces.collect(), layout),
        columns: std::iter::once("bytes").chain(LADDER.map(|(name, _)| name)).collect(),
        rows: curves.iter().map(|curve| numbers(curve, |bytes| bytes.to_string())).collect(),
    })
}

/// Runs of versions that had no curves have their quantiles.
fn curves(report: &Report) -> Vec<Curve> {
    if !report.figures.curves.is_empty() {
        return report.figures.curves.clone();
    }
    let all = [
        (LATENCY, &report.latency),
        ("service (sent → done)", &report.service),
        ("recorded in production", &report.recorded_latency),
        ("lateness (our own)", &report.lateness),
    ];
    let known = all.into_iter().filter_map(|(name, times)| Some((name, times.as_ref()?)));
    known.map(|(name, times)| coarse_curve(name, times)).collect()
}

/// What the tables tell, and what is written below the axis.
const LADDER: [(&str, f64); 8] = [
    ("p50", MEDIAN),
    ("p90", 1.0),
    ("p99", 2.0),
    ("p99.9", 3.0),
    ("p99.99", 4.0),
    ("p99.999", 5.0),
    ("p99.9999", 6.0),
    ("max", f64::INFINITY),
];

fn numbers(curve: &Curve, shown: impl Fn(u64) -> String) -> Vec<String> {
    let figures = LADDER.map(|(_, nines)| value_at(curve, nines).map(&shown));
    let figures = figures.map(|figure| figure.unwrap_or_else(|| "–".to_owned()));
    std::iter::once(cleaned(&curve.name)).chain(figures).collect()
}

/// The value at just so many nines, or the largest. That of a neighbour would be a wrong figure,
/// and beyond what the values can tell there is none.
fn value_at(curve: &Curve, nines: f64) -> Option<u64> {
    let (largest, within) = curve.points.split_last()?;
    if nines.is_infinite() {
        return Some(largest.1);
    }
    within.iter().find(|(at, _)| (at - nines).abs() < NEAR).map(|point| point.1)
}

/// What each point of a curve is called where it is pointed at.
fn names(curve: &Curve) -> Vec<String> {
    let Some((_, within)) = curve.points.split_last() else { return Vec::new() };
    within.iter().map(|(nines, _)| percentile(*nines)).chain(["max".to_owned()]).collect()
}

/// As many digits as the nines ask for: p57.83, p99.25, p99.9684.
fn percentile(nines: f64) -> String {
    let digits = as_index(nines.clamp(0.0, as_f64(MOST_NINES))) + 2;
    let percent = (1.0 - 10_f64.powf(-nines)) * 100.0;
    format!("p{}", trim_zeros(&format!("{percent:.digits$}")))
}

fn nines_axis(curves: &[Curve]) -> plotly::layout::Axis {
    let last = curves.iter().filter_map(|curve| curve.points.last()).map(|point| point.0);
    let last = last.fold(1.0, f64::max).min(as_f64(MOST_NINES));
    let ticks: Vec<&(&str, f64)> = LADDER.iter().filter(|(_, nines)| *nines <= last).collect();
    axis("percentile")
        .tick_mode(TickMode::Array)
        .tick_values(ticks.iter().map(|(_, nines)| *nines).collect())
        .tick_text(ticks.iter().map(|(name, _)| (*name).to_owned()).collect())
}

/// More nines than any run has requests for.
const MOST_NINES: u64 = 12;

fn rounded(nines: f64) -> f64 {
    (nines * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, u64)]) -> Curve {
        Curve { name: "latency".to_owned(), points: points.to_vec() }
    }

    #[test]
    fn percentiles_are_told_as_far_as_there_are_values() {
        let points = [(0.25, 2), (MEDIAN, 3), (0.375, 5), (1.0, 9), (1.5, 11), (2.3, 70)];
        let curve = curve(&points);
        let told = numbers(&curve, |value| value.to_string());
        assert_eq!(told, ["latency", "3", "9", "–", "–", "–", "–", "–", "70"]);
        let named = names(&curve);
        assert_eq!(named, ["p43.77", "p50", "p57.83", "p90", "p96.838", "max"]);
        assert_eq!(value_at(&super::Curve::default(), 1.0), None);
    }

    /// Where there is no point of the median, that of a neighbour is not told for it.
    #[test]
    fn a_percentile_is_never_that_of_a_neighbour() {
        let curve = curve(&[(0.25, 2), (0.375, 5), (1.0, 9), (2.0, 70)]);
        assert_eq!(value_at(&curve, MEDIAN), None);
        assert_eq!(value_at(&curve, 2.0), None, "the largest is no percentile");
        assert_eq!(percentile(3.5), "p99.96838");
        assert_eq!(percentile(0.0), "p0");
    }
}
