//! What `history` says: a series of runs with its changes, on a terminal and for programs.

use std::fmt::Write;

use crate::compare::history::{Changed, History, Trend};
use crate::report::ReportError;
use crate::report::comparison::{list, verdict, word};
use crate::report::terminal::grid::{Grid, paint};
use crate::report::terminal::{self, Style};
use crate::report::text::clean;
use crate::stats::counts::{as_f64, as_index};
use crate::units::format_counted;

/// Version of the JSON that programs read.
pub const SCHEMA_VERSION: u32 = 1;

/// A series of runs, and what was found in it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Series {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The program that wrote it.
    pub tool_version: String,
    /// The folder of the runs.
    pub folder: String,
    /// Exit code of the program.
    pub exit_code: u8,
    /// What was found.
    #[serde(flatten)]
    pub history: History,
}

impl Series {
    /// The series in a line.
    pub(crate) fn about(&self) -> String {
        let runs = &self.history.runs;
        let span = match (runs.first(), runs.last()) {
            (Some(first), Some(last)) => format!(", {} to {}", first.started, last.started),
            _ => String::new(),
        };
        format!(
            "{} of {} in {}{span}",
            format_counted(runs.len() as u64, "run", "runs"),
            self.history.scenario,
            self.folder
        )
    }
}

/// As JSON with a newline at its end.
pub fn json(series: &Series) -> Result<String, ReportError> {
    let text = serde_json::to_string_pretty(series).map_err(ReportError::Serialize)?;
    Ok(text + "\n")
}

/// Longest foreign word of a change.
const MAX_WORD: usize = 120;

/// Most changes that are printed; the page and the JSON have all.
const MAX_CHANGES: usize = 12;

/// As text with a newline at its end: whether there is news, the changes, the curves.
pub fn terminal(series: &Series, style: Style) -> String {
    let width = style.width.max(terminal::MIN_WIDTH);
    let history = &series.history;
    let word = word(history.outcome);
    let mut page = verdict(word, &history.statement, &series.about(), width);
    if !history.changes.is_empty() {
        page += "\nChanges, the latest first\n";
        for change in history.changes.iter().take(MAX_CHANGES) {
            page += &told(change, width);
        }
        if history.changes.len() > MAX_CHANGES {
            let more = history.changes.len() - MAX_CHANGES;
            let _ = writeln!(page, "    {more} more, see --html or --json");
        }
    }
    page += &curves(&history.trends, width);
    page += &list("What limits this", "!", &history.limits, width);
    if style.colour { paint(&page, word) } else { page }
}

fn told(change: &Changed, width: u16) -> String {
    let mark = match (change.is_worse, change.is_recent) {
        (true, true) => "✗",
        (false, true) => "✓",
        (_, false) => "·",
    };
    let mut head = Grid::new(width);
    head.row(&[mark.to_owned(), clean(&sentence(change), 2 * MAX_WORD)]);
    let mut body = Grid::new(width);
    let when = format!("{}, p {}", change.started, probability(change.p));
    body.row(&["·".to_owned(), clean(&when, MAX_WORD)]);
    if !change.is_confirmed {
        let weak = "the same runs in random order can be cut as well: it may hang on a wild run";
        body.row(&["!".to_owned(), weak.to_owned()]);
    }
    for since in &change.since {
        body.row(&["→".to_owned(), clean(since, 2 * MAX_WORD)]);
    }
    head.render(2) + &body.render(4)
}

/// A change in a sentence.
pub(crate) fn sentence(change: &Changed) -> String {
    let metric = change.metric;
    format!(
        "{} {} since {}: {} before, {} after",
        metric.name(),
        metric.change(change.change),
        change.run,
        metric.value(change.before),
        metric.value(change.after)
    )
}

/// A chance for people.
pub(crate) fn probability(p: f64) -> String {
    if p < 1e-6 { "below 0.000001".to_owned() } else { format!("{p:.6}") }
}

/// Blocks of rising height.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Columns of a curve.
const COLUMNS: usize = 40;

/// A small curve a metric: the mean of the runs in each column.
fn curves(trends: &[Trend], width: u16) -> String {
    let mut grid = Grid::new(width).right(&[2]);
    for trend in trends {
        let last = trend.levels.last().map_or(0.0, |(_, _, mean)| *mean);
        let row = [trend.metric.name().to_owned(), curve(&trend.values), trend.metric.value(last)];
        grid.row(&row);
    }
    let rows = grid.render(2);
    if rows.is_empty() { rows } else { format!("\nCourse, and the level now\n{rows}") }
}

fn curve(values: &[Option<f64>]) -> String {
    let columns = COLUMNS.min(values.len());
    let means: Vec<Option<f64>> = (0..columns)
        .map(|column| {
            let part = values.len() * column / columns..values.len() * (column + 1) / columns;
            let known: Vec<f64> = values[part].iter().flatten().copied().collect();
            let sum = known.iter().sum::<f64>();
            (!known.is_empty()).then(|| sum / as_f64(known.len() as u64))
        })
        .collect();
    let known = || means.iter().flatten().copied();
    let (least, most) = (known().fold(f64::INFINITY, f64::min), known().fold(0.0, f64::max));
    // Of what hardly changes, noise must not look like a mountain.
    let span = (most - least).max(most.abs() * 0.25);
    let block = |mean: f64| {
        let share = if span > 0.0 { (mean - least) / span } else { 0.0 };
        BLOCKS[as_index(share * as_f64(BLOCKS.len() as u64)).min(BLOCKS.len() - 1)]
    };
    means.into_iter().map(|mean| mean.map_or(' ', block)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::compare::history::{HistoryOptions, history};
    use crate::compare::run::Run;
    use crate::compare::simulated::{Law, Simulation};

    /// Sixty nights, slower in the last five.
    pub(crate) fn slower() -> Series {
        let mut simulation = Simulation::new(5);
        let mut night = |number: usize| -> Run {
            let change = if number >= 55 { 1.3 } else { 1.0 };
            let mut run = simulation.run(Law { change, ..Law::default() });
            run.started = format!("2026-03-{number:02}");
            let commit = if number >= 55 { "4f1c\u{1b}[2J" } else { "0a9e" };
            run.labels.insert("commit".to_owned(), commit.to_owned());
            run
        };
        let runs = (0..60).map(&mut night).collect();
        Series {
            schema_version: SCHEMA_VERSION,
            tool_version: "0.1.0".to_owned(),
            folder: "reports".to_owned(),
            exit_code: 99,
            history: history(runs, &HistoryOptions::default()),
        }
    }

    #[test]
    fn the_news_comes_first_with_its_commit() {
        for width in [60, 80, 120] {
            let text = terminal(&slower(), Style { colour: false, width });
            assert!(text.starts_with("REGRESSION"), "{text}");
            assert!(text.contains("commit: 0a9e → 4f1c·[2J"), "{text}");
            assert!(text.contains("since run-56"), "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
            }
        }
        let value: serde_json::Value = serde_json::from_str(&json(&slower()).unwrap()).unwrap();
        assert_eq!(value["outcome"], "regression");
        assert_eq!(value["runs"].as_array().unwrap().len(), 60);
    }

    #[test]
    fn a_curve_rises_where_its_values_do_and_noise_is_flat() {
        assert_eq!(curve(&[Some(1.0), Some(2.0), None, Some(3.0)]), "▁▅ █");
        assert_eq!(curve(&[Some(100.0), Some(101.0), Some(100.0)]), "▁▁▁");
        assert_eq!(curve(&[]), "");
        assert_eq!(curve(&[Some(0.0); 3]), "▁▁▁");
    }
}
