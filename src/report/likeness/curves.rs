//! Two rate curves over one another in block characters.

use std::fmt::Write;

use crate::stats::counts::{as_f64, as_index};
use crate::units::format_count;

/// Width of the chart; with its axis it fits a terminal of 80 columns.
const COLUMNS: usize = 60;

/// Height of the chart in lines.
const ROWS: usize = 8;

/// The mean rate in each of sixty parts: the reference is filled, and the second one is drawn over
/// it, so that what is missing stands empty above, and what is too much stands alone. Counts are by
/// second or by minute, as `unit` says: `s` or `min`.
pub(super) fn curves([reference, other]: &[Vec<u64>; 2], unit: &str) -> String {
    let length = reference.len().max(other.len());
    let columns = COLUMNS.min(length);
    let means = |seconds: &[u64]| -> Vec<f64> {
        (0..columns)
            .map(|column| {
                let (from, to) = (length * column / columns, length * (column + 1) / columns);
                let sum: u64 =
                    (from..to).map(|second| seconds.get(second).copied().unwrap_or(0)).sum();
                as_f64(sum) / as_f64((to - from).max(1) as u64)
            })
            .collect()
    };
    if columns == 0 {
        return String::new();
    }
    let (first, second) = (means(reference), means(other));
    let most = first.iter().chain(&second).copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let per = if unit == "s" { "second" } else { "minute" };
    let mut text = format!("\nRequests a {per}: ░ the reference, ● the second\n");
    let height = |rate: f64| as_index((rate / most * as_f64(ROWS as u64)).ceil());
    for row in (1..=ROWS).rev() {
        let label = match row {
            ROWS => format_count(as_index(most.round()) as u64),
            _ => String::new(),
        };
        let line: String = first
            .iter()
            .zip(&second)
            .map(|(&first, &second)| match (height(first) >= row, height(second) == row) {
                (_, true) => '●',
                (true, false) => '░',
                (false, false) => ' ',
            })
            .collect();
        let _ = writeln!(text, "{label:>12} |{}", line.trim_end());
    }
    let _ = writeln!(text, "{:>12} +{}", "0", "-".repeat(columns));
    let end = format!("{} {unit}", format_count(length as u64));
    let room = columns.saturating_sub(end.chars().count() + 1);
    let _ = writeln!(text, "{:>13} 0{}{end}", "", " ".repeat(room));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_stands_apart() {
        let text = curves(&[vec![8, 8, 4, 0], vec![8, 4, 4, 8]], "s");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "           8 |●░ ●");
        assert_eq!(lines[6], "             |░●●");
        assert_eq!(lines[9], "             |░░░");
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        assert!(text.starts_with("\nRequests a second") && lines[11].ends_with("4 s"), "{text}");
        let minutes = curves(&[vec![1; 20], vec![2; 20]], "min");
        assert!(minutes.contains("Requests a minute") && minutes.ends_with(" 20 min\n"));
        assert_eq!(curves(&[vec![], vec![]], "s"), "");
        assert_eq!(curves(&[vec![0], vec![0]], "s"), "");
    }
}
