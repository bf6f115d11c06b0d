//! The loads that the act `capacity` tried.

use crate::act::capacity::search::{Level, levels};
use crate::act::capacity::seen::{Capacity, CurvePoint, is_same};
use crate::act::{Evidence, Performed};
use crate::report::terminal::grid::Grid;
use crate::report::text::{at_least, clean, number};
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
        let point = curve.iter().find(|point| is_same(point.load, level.load));
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
    let mark = if seen.held.is_some_and(|held| is_same(held, level.load)) { "→ " } else { "" };
    [
        format!("{mark}{} ×", number(seen.multiple_at(level.load), 3)),
        known(|point| format_rate(point.sent_rate)),
        known(|point| format_rate(point.answered_rate)),
        known(|point| at_least(point.latency_ns[0], point.at_least[0])),
        known(|point| at_least(point.latency_ns[1], point.at_least[1])),
        held,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::capacity::seen::{Outcome, Trial};
    use crate::scenario::acts::ActName;

    /// The twins differ in whether half of the answers were lost.
    #[test]
    fn times_that_are_not_known_are_told_as_at_least() {
        for lost in [false, true] {
            let trial = Trial {
                load: 2.0,
                planned: 2.0,
                driven_ns: 9_000_000_000,
                latency_ns: Some([1_000_000, 2_000_000, 3_000_000_000, 3_000_000_000]),
                at_least: [false, lost, lost, lost],
                outcome: Outcome::Failed,
                ..Trial::default()
            };
            let seen = Capacity { trials: vec![trial], ..Capacity::default() };
            let evidence = Evidence::Capacity(Box::new(seen));
            let act = ActName::Capacity;
            let performed = Performed { act, started_ns: 0, ended_ns: 9, evidence };
            let told = capacity(&[performed], 100);
            assert!(told.contains(" 1 ms "), "{told}");
            assert_eq!(told.contains("≥ 3 s"), lost, "{told}");
        }
    }
}
