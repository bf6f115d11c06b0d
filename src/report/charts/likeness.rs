//! The charts of two loads beside each other.

use plotly::common::Mode;
use plotly::layout::AxisType;
use plotly::{Bar, Scatter, Trace};

use crate::report::charts::points::{points, points_up_to};
use crate::report::charts::{
    Chart, MAX_ROWS, Words, axis, base_layout, line, log_axis, millis, plot_json, rate, span,
};
use crate::report::model::SecondRow;
use crate::report::text::number;
use crate::shape::likeness::Likeness;
use crate::shape::metrics::scale_of_ms;

const TWO: Words = Words {
    title: "Requests a second, one over the other",
    planned: "reference",
    sent: "second",
    columns: ["reference", "second", "second − reference"],
};

/// All charts that there are numbers for.
pub(crate) fn charts(likeness: &Likeness) -> Vec<Chart> {
    let [reference, other] = &likeness.seconds;
    let length = reference.len().max(other.len());
    if length == 0 {
        return Vec::new();
    }
    let at = |seconds: &[u64], second: usize| seconds.get(second).copied().unwrap_or(0);
    let rows: Vec<SecondRow> = (0..length)
        .map(|second| SecondRow {
            second: second as u64,
            due: at(reference, second),
            sent: at(other, second),
            answered: 0,
            errors: 0,
            p50_ns: None,
            p99_ns: None,
            max_lateness_ns: 0,
        })
        .collect();
    let mut charts =
        vec![rate([&points(&rows), &points_up_to(&rows, MAX_ROWS)], &span(length), &TWO, &[])];
    charts.extend(dispersion(likeness));
    charts.extend(gaps(likeness));
    charts
}

fn dispersion(likeness: &Likeness) -> Option<Chart> {
    let scales = &likeness.dispersion;
    let last = scales.last()?;
    let names: Vec<String> = scales.iter().map(|each| scale_of_ms(each.window_ms)).collect();
    let bars = |name: &'static str, colour: &'static str, values: Vec<f64>| {
        Bar::new(names.clone(), values)
            .name(name)
            .marker(plotly::common::Marker::new().color(colour)) as Box<dyn Trace>
    };
    let traces = vec![
        bars("reference", "--planned", scales.iter().map(|each| each.reference).collect()),
        bars("second", "--sent", scales.iter().map(|each| each.other).collect()),
    ];
    let layout = base_layout()
        .bar_gap(0.3)
        .y_axis(log_axis("index of dispersion"))
        .x_axis(axis("window").type_(AxisType::Category));
    Some(Chart {
        id: "chart-dispersion",
        title: "Burstiness by time-scale",
        summary: format!(
            "The index of dispersion of counts, on a logarithmic scale: 1 for requests at random, \
             more for bursts, less for even spacing. In windows of {}: {} in the reference, {} in \
             the second.",
            scale_of_ms(last.window_ms),
            number(last.reference, 3),
            number(last.other, 3)
        ),
        plot: plot_json(traces, layout),
        columns: vec!["window", "reference", "second"],
        rows: scales
            .iter()
            .map(|each| {
                vec![scale_of_ms(each.window_ms), number(each.reference, 3), number(each.other, 3)]
            })
            .collect(),
    })
}

fn gaps(likeness: &Likeness) -> Option<Chart> {
    let quantiles = &likeness.gaps;
    let middle = quantiles.iter().find(|each| each.q >= 0.5)?;
    let names: Vec<String> = quantiles.iter().map(|each| percentile(each.q)).collect();
    let curve = |name: &'static str, colour: &'static str, values: Vec<f64>| {
        Scatter::new(names.clone(), values).name(name).mode(Mode::Lines).line(line(colour))
            as Box<dyn Trace>
    };
    let traces = vec![
        curve(
            "reference",
            "--planned",
            quantiles.iter().map(|each| millis(each.reference_ns)).collect(),
        ),
        curve("second", "--sent", quantiles.iter().map(|each| millis(each.other_ns)).collect()),
    ];
    let layout =
        base_layout().y_axis(log_axis("ms")).x_axis(axis("percentile").type_(AxisType::Category));
    Some(Chart {
        id: "chart-gaps",
        title: "Gaps between requests by percentile",
        summary: format!(
            "Logarithmic scale. At the median {} ms in the reference, {} ms in the second.",
            millis(middle.reference_ns),
            millis(middle.other_ns)
        ),
        plot: plot_json(traces, layout),
        columns: vec!["percentile", "reference ms", "second ms"],
        rows: quantiles
            .iter()
            .map(|each| {
                vec![
                    percentile(each.q),
                    millis(each.reference_ns).to_string(),
                    millis(each.other_ns).to_string(),
                ]
            })
            .collect(),
    })
}

fn percentile(q: f64) -> String {
    if q >= 1.0 { "max".to_owned() } else { format!("p{}", number(q * 100.0, 4)) }
}
