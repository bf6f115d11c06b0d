//! Plan and summary yield a verdict: findings, expectations and the three-valued outcome.
//!
//! The load-shape finding comes first: if the recorded shape was not produced by our own fault,
//! every other finding is [`Outcome::Unknown`] and the run is not valid.

pub mod acts;
pub mod abort;
pub mod hold;
pub mod watch;
pub mod detectors;
pub mod expectations;
mod headline;
mod little;
mod interference;
pub mod moments;
pub mod judge;
mod drills;
pub mod closed;
#[cfg(test)]
mod twins;
#[cfg(test)]
mod world;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shape::ShapeReport;

/// What a check says. Missing evidence is `Unknown`, never `Pass`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The evidence is sufficient, and good.
    Pass,
    /// The evidence is not sufficient.
    Unknown,
    /// The evidence is sufficient, and bad.
    Fail,
}

/// What one detector found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable name of the check, such as `connection-limit`.
    pub check: String,
    /// What of several it is about, such as a probe or an endpoint; empty where a run has one such
    /// finding. It is the same in each run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What it says.
    pub outcome: Outcome,
    /// One sentence with the figure that matters.
    pub title: String,
    /// Further figures, a sentence each; never a payload or a credential.
    pub evidence: Vec<String>,
    /// What to do next; empty on `Pass`.
    pub advice: String,
}

/// One expectation of the scenario, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckedExpectation {
    /// As written in the scenario.
    pub text: String,
    /// What it says.
    pub outcome: Outcome,
    /// The value it was compared with, formatted with its unit; or why there is none.
    pub actual: String,
}

/// The outcome of a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunOutcome {
    /// The shape was produced and nothing failed: exit code 0.
    Pass,
    /// An expectation or a detector failed: exit code 99.
    Fail,
    /// The run cannot support a verdict: exit code 98.
    Invalid,
    /// The user stopped it: exit code 105.
    Interrupted,
}

/// The verdict on a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The outcome, which decides the exit code.
    pub outcome: RunOutcome,
    /// One sentence: the first thing that a tired person should know.
    pub headline: String,
    /// The load shape; `None` where nothing was replayed.
    pub shape: Option<ShapeReport>,
    /// Every detector's finding, the one to act on first on top.
    pub findings: Vec<Finding>,
    /// Every expectation of the scenario, in its order.
    pub expectations: Vec<CheckedExpectation>,
}

/// Says what findings are about that say nothing of it yet.
fn about(findings: &mut [Finding], subject: &str) {
    for each in findings.iter_mut().filter(|each| each.subject.is_empty()) {
        subject.clone_into(&mut each.subject);
    }
}

/// A finding without evidence and advice.
fn finding(check: &str, outcome: Outcome, title: impl Into<String>) -> Finding {
    Finding {
        check: check.to_owned(),
        subject: String::new(),
        outcome,
        title: title.into(),
        evidence: Vec::new(),
        advice: String::new(),
    }
}
