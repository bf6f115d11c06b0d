//! The rate over time as a chart of block characters.

use std::fmt::Write;
use std::time::Duration;

use crate::shape::contents::series::Series;
use crate::stats::counts::as_f64;
use crate::units::{format_count, format_duration};

/// Width of the chart; with its axis it fits a terminal of 80 columns.
pub(super) const COLUMNS: usize = 60;

/// Height of the chart in lines.
const ROWS: usize = 6;

/// Parts of a line, from empty to full.
const PARTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The mean rate in each of sixty parts of the recording, under the largest of them.
pub(super) fn chart(series: &Series, length: Duration) -> String {
    let rates = rates(series, length);
    let most = rates.iter().copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let heights: Vec<f64> = rates.iter().map(|rate| *rate / most).collect();
    let axis = Axis { title: "requests a second", top: rate(most), start: "0".to_owned() };
    drawn(&heights, &axis, &format_duration(length))
}

/// What stands around a chart.
pub(super) struct Axis {
    pub(super) title: &'static str,
    /// Of the upper end of a full column.
    pub(super) top: String,
    /// Of the first column.
    pub(super) start: String,
}

/// A chart of columns, each a share of the full height; `end` is where the last one ends.
pub(super) fn drawn(heights: &[f64], axis: &Axis, end: &str) -> String {
    let mut text = format!("\n{}\n", axis.title);
    for row in (0..ROWS).rev() {
        let label = match row {
            _ if row == ROWS - 1 => axis.top.as_str(),
            0 => "0",
            _ => "",
        };
        let _ = write!(text, "{label:>12} |");
        let line: String = heights.iter().map(|height| part(*height, row)).collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "{:>12} +{}", "", "-".repeat(COLUMNS));
    let start = &axis.start;
    let room = COLUMNS.saturating_sub(end.chars().count() + start.chars().count());
    let _ = writeln!(text, "{:>13} {start}{}{end}", "", " ".repeat(room));
    text
}

/// The part of a line that a column of this height, a share of all lines, fills.
fn part(height: f64, row: usize) -> char {
    let eighths = (height * as_f64((ROWS * 8) as u64)).round();
    let mut filled = 0;
    // What is there at all is shown.
    let eighths = if height > 0.0 { eighths.max(1.0) } else { 0.0 };
    while filled < 8 && as_f64((row * 8 + filled) as u64) + 0.5 < eighths {
        filled += 1;
    }
    PARTS.get(filled).copied().unwrap_or('█')
}

fn rates(series: &Series, length: Duration) -> Vec<f64> {
    let bin = series.bin.as_secs_f64();
    let bins = (length.as_secs_f64() / bin).ceil().max(1.0);
    let column = |number: usize| {
        // A bin that two columns share counts for each by what lies in it.
        let (from, to) = (bins * share(number), bins * share(number + 1));
        let (mut sum, mut index) = (0.0, from.floor());
        // The file may claim a length far beyond its last request.
        while index < to.min(as_f64(series.counts.len() as u64)) {
            let inside = (index + 1.0).min(to) - index.max(from);
            let place = crate::stats::counts::as_index(index);
            let count = series.counts.get(place).copied().unwrap_or(0);
            sum += inside * f64::from(count);
            index += 1.0;
        }
        sum / ((to - from) * bin)
    };
    (0..COLUMNS).map(column).collect()
}

fn share(number: usize) -> f64 {
    as_f64(number as u64) / as_f64(COLUMNS as u64)
}

/// A rate: whole where it is large, with digits where it is small.
fn rate(per_second: f64) -> String {
    if per_second >= 10.0 {
        format_count(crate::stats::counts::as_index(per_second.round()) as u64)
    } else {
        format!("{per_second:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_rises_is_a_stair() {
        let mut series = Series::default();
        // Each second has as many requests as its number, evenly.
        for second in 0..60_u64 {
            for number in 0..second {
                let within = Duration::from_nanos(number * 1_000_000_000 / second);
                series.add(Duration::from_secs(second) + within);
            }
        }
        let text = chart(&series, Duration::from_mins(1));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[1], "requests a second");
        let empty = " ".repeat(50);
        assert_eq!(lines[2], format!("          59 |{empty}▁▁▂▃▄▅▆▆▇█"));
        let full = "█".repeat(50);
        assert_eq!(lines[7], format!("           0 | ▁▂▂▃▄▅▆▇▇{full}"));
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert!(lines[9].ends_with(" 1 min") && lines[9].chars().count() == 74, "{text}");
    }

    #[test]
    fn without_requests_there_is_no_chart() {
        assert_eq!(chart(&Series::default(), Duration::ZERO), "");
    }
}
