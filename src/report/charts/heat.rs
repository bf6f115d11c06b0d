//! The latency heatmap: what a percentile hides, such as two groups of answers or a stall.

use plotly::common::{ColorScale, ColorScaleElement};
use plotly::layout::HoverMode;
use plotly::{HeatMap, Trace};

use crate::report::charts::{Chart, axis, base_layout, log_axis, plot_value};
use crate::report::figures::{Heat, row_begins};
use crate::report::text::nanos;
use crate::stats::counts::{as_f64, as_index, total};
use crate::units::format_count;

/// The chart; none where nothing was answered.
pub(super) fn chart(heat: Option<&Heat>) -> Option<Chart> {
    let heat = heat?;
    let rows = heat.columns.iter().map(Vec::len).max().filter(|rows| *rows > 0)?;
    let count = |column: &[u64], row: usize| column.get(row).copied().unwrap_or(0);
    let counts: Vec<Vec<u64>> = (0..rows)
        .map(|row| heat.columns.iter().map(|column| count(column, row)).collect())
        .collect();
    let z: Vec<Vec<Option<f64>>> =
        counts.iter().map(|row| row.iter().copied().map(shade).collect()).collect();
    let x: Vec<f64> = (0..heat.columns.len() as u64).map(|at| middle(heat, at)).collect();
    // One more than there are rows: those are edges, and not middles.
    let y: Vec<f64> =
        (0..=rows as u64).map(|row| edge(heat.first_row.saturating_add(row))).collect();
    let scale = [(0.0, "--cool"), (0.5, "--warm"), (1.0, "--hot")];
    let scale = scale.map(|(at, colour)| ColorScaleElement(at, colour.to_owned()));
    let trace = HeatMap::new(x, y, z)
        .name("answers")
        .color_scale(ColorScale::Vector(scale.into()))
        .hover_on_gaps(false)
        .show_scale(true);
    let layout = base_layout()
        .hover_mode(HoverMode::Closest)
        .x_axis(axis("seconds since the start of the replay"))
        .y_axis(log_axis("latency, ms"));
    let mut plot = plot_value(vec![trace as Box<dyn Trace>], layout);
    // Shades are powers of ten, which nobody wants to read: who points at one sees the count.
    plot["data"][0]["customdata"] = serde_json::json!(counts);
    plot["data"][0]["hovertemplate"] =
        "%{customdata} answers of some %{y:.3r} ms, around second %{x}<extra></extra>".into();
    plot["data"][0]["colorbar"] = serde_json::json!({
        "title": { "text": "answers" },
        "tickvals": [0, 1, 2, 3, 4, 5, 6],
        "ticktext": ["1", "10", "100", "1 000", "10 000", "100 000", "10⁶"],
        "outlinewidth": 0,
    });
    Some(Chart {
        id: "chart-heat",
        title: "Latency heatmap",
        summary: told(heat),
        plot: plot.to_string(),
        columns: vec!["second", "answers", "fastest from", "most from", "slowest from"],
        rows: heat.columns.iter().zip(0..).map(|(column, at)| numbers(heat, column, at)).collect(),
    })
}

/// The middle of a column, in seconds as the other charts over time count them: the figure of a
/// second stands at its number.
fn middle(heat: &Heat, column: u64) -> f64 {
    as_f64(column.saturating_mul(heat.seconds)) + (as_f64(heat.seconds) - 1.0) / 2.0
}

/// Where a row begins, ms.
fn edge(row: u64) -> f64 {
    row_begins(row).round() / 1e6
}

/// Tenfold answers are one step; no answer has no shade.
fn shade(count: u64) -> Option<f64> {
    (count > 0).then(|| (as_f64(count).log10() * 100.0).round() / 100.0)
}

fn begin(row: u64) -> String {
    nanos(as_index(row_begins(row).round()) as u64)
}

fn told(heat: &Heat) -> String {
    let answers = total(heat.columns.iter().flatten().copied());
    let fullest =
        heat.columns.iter().zip(0_u64..).filter_map(|(column, at)| {
            Some((column.iter().rposition(|count| *count > 0)? as u64, at))
        });
    let slowest = fullest.max_by_key(|(row, at)| (*row, std::cmp::Reverse(*at)));
    format!(
        "{} answers by the time in which they were due and by latency; {} a column. The slowest \
         took {} or more, in the column of second {}.",
        format_count(answers),
        if heat.seconds == 1 { "a second".to_owned() } else { format!("{} seconds", heat.seconds) },
        slowest.map_or_else(String::new, |(row, _)| begin(heat.first_row.saturating_add(row))),
        slowest.map_or(0, |(_, at)| at.saturating_mul(heat.seconds)),
    )
}

fn numbers(heat: &Heat, column: &[u64], at: u64) -> Vec<String> {
    let row = |row: Option<usize>| {
        row.map_or_else(|| "–".to_owned(), |row| begin(heat.first_row.saturating_add(row as u64)))
    };
    let most = column.iter().zip(0_usize..).filter(|(count, _)| **count > 0);
    vec![
        at.saturating_mul(heat.seconds).to_string(),
        total(column.iter().copied()).to_string(),
        row(column.iter().position(|count| *count > 0)),
        row(most.max_by_key(|(count, _)| **count).map(|(_, row)| row)),
        row(column.iter().rposition(|count| *count > 0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_and_a_time_without_answers_is_a_gap() {
        let heat =
            Heat { seconds: 5, first_row: 24, columns: vec![vec![90, 10], vec![], vec![1, 0, 3]] };
        let chart = chart(Some(&heat)).unwrap();
        assert!(chart.summary.contains("104 answers"), "{}", chart.summary);
        assert!(chart.summary.ends_with("in the column of second 10."), "{}", chart.summary);
        assert_eq!(chart.rows[1], ["5", "0", "–", "–", "–"]);
        assert_eq!(chart.rows[0], ["0", "100", "1 ms", "1 ms", "1.33 ms"]);
        assert!(chart.plot.contains("[1.95,null,0.0]"), "{}", chart.plot);
        let plot: serde_json::Value = serde_json::from_str(&chart.plot).unwrap();
        let data = &plot["data"][0];
        // A column is as wide as its seconds, and a row begins and ends where its latencies do.
        assert_eq!(data["x"], serde_json::json!([2.0, 7.0, 12.0]));
        assert_eq!(data["y"], serde_json::json!([1.0, 1.333_521, 1.778_279, 2.371_374]));
        assert_eq!(data["customdata"][0], serde_json::json!([90, 0, 1]));
        assert_eq!(plot["layout"]["yaxis"]["type"], "log");
        let second = Heat { seconds: 1, first_row: 0, columns: vec![vec![1]; 3] };
        assert_eq!(middle(&second, 2).to_bits(), 2.0_f64.to_bits());
        assert!(super::chart(None).is_none());
    }
}
