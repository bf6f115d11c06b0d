//! The loads that the act `capacity` tried.

use crate::act::capacity::search::{Level, levels};
use crate::act::capacity::seen::{Capacity, CurvePoint};
use crate::act::{Evidence, Performed};
use crate::report::terminal::grid::Grid;
use crate::report::text::{clean, nanos, number};
use crate::units::format_rate;
use crate::verdict::acts::capacity::judge;

/// The section; empty without the act.
pub(super) fn capacity(acts: &[Performed], width: u16) -> String {
    acts.iter().map(|performed| section(performed, width)).collect()
}

fn section(performed: &Performed, width: u16) -> String {
    let Evidence::Capacity(seen) = &performed.evidence else { return String::new() };
    let mut grid = Grid::new(width).right(&[0, 1, 2, 3, 4, 5]);
    grid.row(&["load", "sent", "answered", "p50", "p99", "held"].map(str::to_owned));
    let curve = seen.curve();
    for level in levels(&seen.trials) {
        let point = curve.iter().find(|point| point.load.total_cmp(&level.load).is_eq());
        grid.row(&row(level, point, seen));
    }
    let finding = judge(seen);
    let mut told = Grid::new(width);
    told.row(&["·".to_owned(), clean(&finding.title, super::MAX_SENTENCE)]);
    for sentence in finding.evidence.iter().take(super::MAX_EVIDENCE) {
        told.row(&["·".to_owned(), clean(sentence, super::MAX_SENTENCE)]);
    }
    let rows = if seen.trials.is_empty() { String::new() } else { grid.render(4) };
    format!("Capacity\n{rows}{}", told.render(2))
}

fn row(level: Level, point: Option<&CurvePoint>, seen: &Capacity) -> [String; 6] {
    let known = |of: fn(&CurvePoint) -> String| point.map_or_else(|| "–".to_owned(), of);
    let trials = level.held.saturating_add(level.failed);
    let held = if trials == 0 { "?".to_owned() } else { format!("{} of {trials}", level.held) };
    let mark =
        if seen.held.is_some_and(|held| held.total_cmp(&level.load).is_eq()) { "→ " } else { "" };
    [
        format!("{mark}{} ×", number(seen.multiple_at(level.load), 3)),
        known(|point| format_rate(point.sent_rate)),
        known(|point| format_rate(point.answered_rate)),
        known(|point| nanos(point.latency_ns[0])),
        known(|point| nanos(point.latency_ns[1])),
        held,
    ]
}
