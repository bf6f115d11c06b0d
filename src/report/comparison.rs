//! What `compare` says: new runs beside those of a baseline, on a terminal and for programs.

use crate::compare::routes::Routes;
use crate::compare::{Comparison, Design, Judged, Outcome};
use crate::report::ReportError;
use crate::report::terminal::grid::{Grid, paint};
use crate::report::terminal::{self, Style};
use crate::report::text::clean;
use crate::units::format_counted;

/// Version of the JSON that programs read.
pub const SCHEMA_VERSION: u32 = 1;

/// New runs, those of a baseline, and what was found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Compared {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The program that wrote it.
    pub tool_version: String,
    /// The runs of the baseline, by the names that they were given.
    pub base: Vec<String>,
    /// The new ones.
    pub new: Vec<String>,
    /// Exit code of the program.
    pub exit_code: u8,
    /// What was found.
    #[serde(flatten)]
    pub comparison: Comparison,
}

impl Compared {
    /// The runs of both sides in a line.
    pub(crate) fn about(&self) -> String {
        let design = match self.comparison.design {
            Design::Gate => "shifts after Hodges and Lehmann with 95 % intervals",
            Design::Single => "held against the scatter of the baseline",
            Design::Few => "too few for a verdict on small changes",
            Design::Pair => "too few for any verdict",
        };
        format!(
            "{} beside {} of the baseline: {design}",
            format_counted(self.new.len() as u64, "new run", "new runs"),
            self.base.len()
        )
    }
}

/// As JSON with a newline at its end.
pub fn json(compared: &Compared) -> Result<String, ReportError> {
    let text = serde_json::to_string_pretty(compared).map_err(ReportError::Serialize)?;
    Ok(text + "\n")
}

/// Longest foreign sentence that is printed.
const MAX_SENTENCE: usize = 400;

/// The word that comes first.
pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Regression => "REGRESSION",
        Outcome::Unknown => "UNKNOWN",
        Outcome::Improvement => "IMPROVEMENT",
        Outcome::NoRegression => "NO REGRESSION",
    }
}

/// The mark of a metric's outcome.
pub(crate) fn mark(outcome: Outcome) -> char {
    match outcome {
        Outcome::Regression => '✗',
        Outcome::Unknown => '?',
        Outcome::Improvement | Outcome::NoRegression => '✓',
    }
}

/// As text with a newline at its end: the verdict first, then the metrics, and what limits it.
pub fn terminal(compared: &Compared, style: Style) -> String {
    let width = style.width.max(terminal::MIN_WIDTH);
    let comparison = &compared.comparison;
    let word = word(comparison.outcome);
    let mut page = verdict(word, &comparison.statement, &compared.about(), width);
    page += &metrics(&comparison.metrics, width);
    page += &routes(&comparison.routes, width);
    for (title, mark, texts) in [
        ("What else changed", "·", &comparison.changed),
        ("What limits this", "!", &comparison.limits),
    ] {
        page += &list(title, mark, texts, width);
    }
    if style.colour { paint(&page, word) } else { page }
}

/// The first lines of a page: the word, why, and of what.
pub(super) fn verdict(word: &str, statement: &str, about: &str, width: u16) -> String {
    let mut top = Grid::new(width);
    // What does not break stays in one piece beside its sentence.
    top.row(&[word.replace(' ', "\u{a0}"), clean(statement, MAX_SENTENCE)]);
    let mut below = Grid::new(width);
    below.row(&[clean(about, MAX_SENTENCE)]);
    let top = top.render(0).replace('\u{a0}', " ");
    top + &below.render(2)
}

/// A titled list; empty without texts.
pub(super) fn list(title: &str, mark: &str, texts: &[String], width: u16) -> String {
    if texts.is_empty() {
        return String::new();
    }
    let mut grid = Grid::new(width);
    for text in texts {
        grid.row(&[mark.to_owned(), clean(text, MAX_SENTENCE)]);
    }
    format!("\n{title}\n{}", grid.render(2))
}

fn metrics(judged: &[Judged], width: u16) -> String {
    let mut grid = titled(width);
    for metric in judged.iter().filter(|judged| judged.medians.iter().any(Option::is_some)) {
        grid.row(&row(metric.metric.name(), metric));
    }
    // A reason that several share is told once.
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for metric in judged.iter().filter(|metric| metric.outcome == Outcome::Unknown) {
        match reasons.iter_mut().find(|(note, _)| *note == metric.note) {
            Some((_, names)) => names.push(metric.metric.name()),
            None => reasons.push((&metric.note, vec![metric.metric.name()])),
        }
    }
    let mut beside = Grid::new(width);
    if judged.iter().any(is_against_its_medians) {
        beside.row(&["·".to_owned(), AGAINST.to_owned()]);
    }
    let mut unknown = Grid::new(width);
    for (note, names) in reasons {
        let line = format!("{}: {note}", names.join(", "));
        unknown.row(&["?".to_owned(), clean(&line, MAX_SENTENCE)]);
    }
    let unknown = unknown.render(2);
    let unknown = if unknown.is_empty() { unknown } else { format!("\nNot known\n{unknown}") };
    format!("\nMetrics\n{}{}{unknown}", grid.render(2), beside.render(2))
}

/// Whether the medians moved the one way and the runs, pair by pair, the other: with few runs that
/// differ much among each other both may be.
fn is_against_its_medians(judged: &Judged) -> bool {
    let [Some(base), Some(new)] = judged.medians else { return false };
    judged.change.is_some_and(|change| (new - base) * change < 0.0)
}

const AGAINST: &str = "a change is the middle of those of all pairs of runs, and may go another \
                       way than the medians beside it where runs differ much among each other";

/// The grid of metrics with its titles.
fn titled(width: u16) -> Grid {
    let mut grid = Grid::new(width).right(&[2, 3, 4]);
    let titles = ["", "", "baseline", "new", "change", "95 % interval", "seen from"];
    grid.row(&titles.map(str::to_owned));
    grid
}

fn row(name: &str, judged: &Judged) -> [String; 7] {
    let [base, new, change, interval, seen] = cells(judged);
    [mark(judged.outcome).to_string(), name.to_owned(), base, new, change, interval, seen]
}

/// Most metrics of routes that are printed; all are in the page and in the JSON.
const MAX_OF_ROUTES: usize = 8;

/// Longest name of a route beside its figures.
const MAX_ROUTE: usize = 60;

/// The routes that changed, or else those that moved most; nothing where no route was compared.
fn routes(routes: &Routes, width: u16) -> String {
    let compared = routes.compared.len() as u64;
    if compared == 0 {
        return String::new();
    }
    let is = |judged: &Judged| matches!(judged.outcome, Outcome::Regression | Outcome::Improvement);
    let changed = routes.judged().filter(|(_, judged)| is(judged)).count();
    let mut grid = titled(width);
    for (route, judged) in routes.foremost(changed.clamp(LEAST_OF_ROUTES, MAX_OF_ROUTES)) {
        let name = format!("{} of {}", judged.metric.name(), clean(route, MAX_ROUTE));
        grid.row(&row(&name, judged));
    }
    let more = changed.saturating_sub(MAX_OF_ROUTES);
    let more = if more > 0 { format!("; {more} more in --html and --json") } else { String::new() };
    let title = match changed {
        0 => "what moved most",
        _ => "what changed first",
    };
    format!(
        "\nRoutes: {}, {title}{more}\n{}",
        format_counted(compared, "was compared", "were compared"),
        grid.render(2)
    )
}

/// So many are printed where none changed.
const LEAST_OF_ROUTES: usize = 3;

/// The figures of a metric as text: baseline, new, change, interval, the least change seen.
pub(crate) fn cells(judged: &Judged) -> [String; 5] {
    let dash = || "–".to_owned();
    let metric = judged.metric;
    let [base, new] = judged.medians.map(|value| value.map_or_else(dash, |v| metric.value(v)));
    let change = judged.change.map_or_else(dash, |change| metric.change(change));
    let ends = |[low, high]: [f64; 2]| {
        format!("{} … {}", metric.change(low), metric.change(high)).replace(" points", "")
    };
    // What the runs by themselves tell is no interval of the change.
    let interval = match (judged.interval, judged.within) {
        (Some(interval), _) => ends(interval),
        (None, Some(within)) => format!("({})", ends(within)),
        (None, None) => dash(),
    };
    let seen = judged.detectable.map_or_else(dash, |least| match least {
        MUCH.. => "over 1\u{202f}000 %".to_owned(),
        _ => metric.change(least).replace('+', ""),
    });
    [base, new, change, interval, seen]
}

/// A least change, relative, above which its digits say nothing but that much would go unseen.
const MUCH: f64 = 10.0;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::compare::Options;
    use crate::compare::judge::judge;
    use crate::compare::run::Run;
    use crate::compare::simulated::{Law, Simulation};

    /// Ten runs and three that are a quarter slower.
    pub(crate) fn slower() -> Compared {
        let mut simulation = Simulation::new(2);
        let base: Vec<Run> = (0..10).map(|_| simulation.run(Law::default())).collect();
        let slow = Law { change: 1.25, ..Law::default() };
        let mut new: Vec<Run> = (0..3).map(|_| simulation.run(slow)).collect();
        for run in &mut new {
            run.labels.insert("commit".to_owned(), "4f1c\u{1b}[2J".repeat(60));
        }
        let mut base = base;
        for run in &mut base {
            run.labels.insert("commit".to_owned(), "0a9e".to_owned());
        }
        let comparison = judge(&base, &new, &Options::default()).unwrap();
        let names = |runs: &[Run]| runs.iter().map(|run| run.name.clone()).collect();
        Compared {
            schema_version: SCHEMA_VERSION,
            tool_version: "0.1.0".to_owned(),
            base: names(&base),
            new: names(&new),
            exit_code: 99,
            comparison,
        }
    }

    #[test]
    fn a_page_fits_the_terminal_and_names_the_regression_first() {
        for width in [60, 80, 120] {
            let text = terminal(&slower(), Style { colour: false, width });
            assert!(text.starts_with("REGRESSION"), "{text}");
            assert!(text.contains("✗"), "{text}");
            assert!(text.contains("commit: 0a9e → 4f1c·[2J"), "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
            }
        }
        let coloured = terminal(&slower(), Style { colour: true, width: 80 });
        assert!(coloured.starts_with("\u{1b}[1;31mREGRESSION\u{1b}[0m"), "{coloured}");
    }

    #[test]
    fn figures_that_would_mislead_are_told_in_words() {
        let style = Style { colour: false, width: 80 };
        let mut compared = slower();
        assert!(!terminal(&compared, style).contains("all pairs of"), "both went one way");
        let slower = compared.comparison.metrics.iter_mut();
        let slower = slower.filter(|metric| metric.change.is_some_and(|change| change > 0.1));
        for metric in slower {
            metric.change = Some(-0.1);
            metric.detectable = Some(12_496.66);
            assert_eq!(cells(metric)[4], "over 1\u{202f}000 %");
            metric.detectable = Some(0.276);
            assert_eq!(cells(metric)[4], "27.6 %");
        }
        assert!(terminal(&compared, style).contains("all pairs of"));
    }

    #[test]
    fn programs_read_the_same() {
        let value: serde_json::Value = serde_json::from_str(&json(&slower()).unwrap()).unwrap();
        assert_eq!(value["outcome"], "regression");
        assert_eq!(value["design"], "gate");
        let p99 = value["metrics"].as_array().unwrap().iter();
        let p99 = p99.clone().find(|metric| metric["metric"] == "latency p99").unwrap();
        assert_eq!(p99["outcome"], "regression");
        assert!(p99["interval"][0].as_f64().unwrap() > 0.0);
    }
}
