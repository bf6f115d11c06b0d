//! Runs are compared with runs: is a release worse than the one before it, and since which night?
//!
//! The unit is the run, never the request: requests of one run are alike, so that a test over them
//! calls two runs of one release different (science, section 11).

pub mod metric;
pub mod conditions;
pub mod run;
mod gate;
mod errors;
mod tested;
pub mod routes;
pub mod judge;
pub mod quantiles;
pub mod history;
#[cfg(test)]
pub(crate) mod simulated;

use crate::compare::conditions::Condition;
use crate::compare::metric::Metric;
use crate::compare::quantiles::QuantileShift;
use crate::compare::routes::Routes;
use crate::units::format_share;

/// What a comparison says of a metric, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is worse.
    Regression,
    /// It cannot be said.
    Unknown,
    /// It is better.
    Improvement,
    /// A change of the size that is told would have been seen, and was not.
    NoRegression,
}

impl Outcome {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Unknown => "unknown",
            Self::Improvement => "improvement",
            Self::NoRegression => "no regression shown",
        }
    }
}

/// What is asked of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The least relative change that matters.
    pub least: f64,
    /// By how much runs of one release differ at least, whatever few runs show: the standard
    /// deviation as a share.
    pub noise: f64,
    /// Where even a change of this size could not be seen, its absence is no result.
    pub unseen: f64,
    /// What may differ between the runs; it is told.
    pub despite: Vec<Condition>,
}

impl Default for Options {
    fn default() -> Self {
        Self { least: 0.05, noise: 0.05, unseen: 0.30, despite: Vec::new() }
    }
}

/// How much so many runs on each side can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Design {
    /// Three new runs and ten of the baseline, or more: what runs differ by is known.
    Gate,
    /// One or two new runs beside ten of the baseline: by the scatter of the baseline alone.
    Single,
    /// Fewer: a large change may be shown, the absence of one may not.
    Few,
    /// One run on a side: what runs differ by is not known.
    Pair,
}

impl Design {
    /// That of so many runs.
    pub fn of(base: usize, new: usize) -> Self {
        match (base, new) {
            (MIN_BASE.., MIN_NEW..) => Self::Gate,
            (MIN_BASE.., 1..) => Self::Single,
            (2.., 2..) => Self::Few,
            _ => Self::Pair,
        }
    }
}

/// Runs of the baseline that tell what runs of one release differ by.
pub const MIN_BASE: usize = 10;

/// New runs that a verdict rests on.
pub const MIN_NEW: usize = 3;

/// Most runs of a side: more show no more, and each is compared with each.
pub const MAX_RUNS: usize = 200;

/// A metric of both sides.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Judged {
    /// Which.
    pub metric: Metric,
    /// What is said of it.
    pub outcome: Outcome,
    /// Median of the runs of each side; `None` without any.
    pub medians: [Option<f64>; 2],
    /// The change: relative, or of a share its difference.
    pub change: Option<f64>,
    /// Its 95 % interval, where so many runs have one.
    pub interval: Option<[f64; 2]>,
    /// Of one run beside one, the 95 % interval of the change as far as the two runs alone tell.
    /// What runs of one release differ by is not in it, so that no outcome rests on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<[f64; 2]>,
    /// How likely so large a change is without one, corrected for the number of metrics
    /// and routes.
    pub p: Option<f64>,
    /// The least change that is seen in four of five such comparisons.
    pub detectable: Option<f64>,
    /// Why it is not known; empty where it is.
    pub note: String,
    /// The values of the runs of each side, in the order in which they were named.
    pub values: [Vec<Option<f64>>; 2],
}

impl Judged {
    /// Every run has a value.
    pub fn is_there(&self) -> bool {
        self.values.iter().flatten().all(Option::is_some)
    }

    /// Some run has one.
    pub fn is_somewhere(&self) -> bool {
        self.values.iter().flatten().any(Option::is_some)
    }
}

/// New runs beside those of a baseline.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// The outcome of all.
    pub outcome: Outcome,
    /// One sentence: the first thing that a tired person should know.
    pub statement: String,
    /// What so many runs can show.
    pub design: Design,
    /// The metrics that runs have, in the order of [`Metric::ALL`].
    pub metrics: Vec<Judged>,
    /// The same, route by route.
    pub routes: Routes,
    /// By how much each quantile of latency moved.
    pub quantiles: Vec<QuantileShift>,
    /// What else changed from the baseline to the new runs.
    pub changed: Vec<String>,
    /// What limits what is said.
    pub limits: Vec<String>,
}

/// Why runs are not compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// More runs than are looked at.
    #[error("{count} runs are {side}, at most {MAX_RUNS} are compared; name the latest ones")]
    TooMany {
        /// `the baseline` or `new`.
        side: &'static str,
        /// How many.
        count: usize,
    },
    /// Nothing on a side.
    #[error("no run is {side}; name the runs of the baseline, then `--`, then the new ones")]
    None {
        /// `the baseline` or `new`.
        side: &'static str,
    },
    /// A run is there twice.
    #[error(
        "{second} is the same run as {first}; a run that counts twice would make the others look \
         more alike than they are: name it once"
    )]
    Twice {
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// Runs that have no verdict say nothing of their target.
    #[error(
        "not valid, so that nothing can be compared with it: {}; leave out such runs, or let \
         --skip-invalid do it",
        runs.join("; ")
    )]
    NotValid {
        /// Each file with its reason.
        runs: Vec<String>,
    },
    /// Runs of different things.
    #[error(
        "these runs cannot be compared: {field} is {first_value} in {first} and {other_value} in \
         {other}; {}",
        hint(*condition)
    )]
    Differs {
        /// What differs.
        condition: Condition,
        /// The field of run.json.
        field: String,
        /// One file ...
        first: String,
        /// ... and what it says.
        first_value: String,
        /// The other file ...
        other: String,
        /// ... and what it says.
        other_value: String,
    },
}

fn hint(condition: Condition) -> String {
    format!("{}; --despite {} compares them nevertheless", condition.hint(), condition.name())
}

/// A relative change for people: `+12.3 %`, `−4 %`.
pub fn told(change: f64) -> String {
    if !change.is_finite() {
        return "beyond all bounds".to_owned();
    }
    let sign = if change < 0.0 { "−" } else { "+" };
    // Three digits of a change are more than it has.
    let rounded = (change.abs() * 1_000.0).round() / 1_000.0;
    let share = if rounded >= 0.001 { rounded } else { change.abs() };
    format!("{sign}{}", format_share(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_shown_depends_on_the_runs() {
        for (base, new, expected) in [
            (10, 3, Design::Gate),
            (40, 5, Design::Gate),
            (10, 1, Design::Single),
            (12, 2, Design::Single),
            (9, 3, Design::Few),
            (2, 2, Design::Few),
            (9, 1, Design::Pair),
            (1, 9, Design::Pair),
            (1, 1, Design::Pair),
        ] {
            assert_eq!(Design::of(base, new), expected, "{base} {new}");
        }
    }

    #[test]
    fn changes_are_told_with_their_sign() {
        assert_eq!(told(0.123_45), "+12.3 %");
        assert_eq!(told(-0.04), "−4 %");
        assert_eq!(told(0.000_02), "+0.002 %");
        assert_eq!(told(f64::INFINITY), "beyond all bounds");
    }
}
