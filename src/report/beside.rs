//! Another run that the percentiles of a run are set beside. What was not the same is told; what
//! would make it a false comparison is refused.

use crate::report::earlier::{Pair, Told};
use crate::report::figures::{Curve, LATENCY, coarse_curve};
use crate::report::measured::Damaged;
use crate::report::model::{Baseline, Report};
use crate::report::text::clean;

/// Why a run cannot stand beside another.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// Its numbers contradict each other.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// It says nothing of its target.
    #[error("{name} is no baseline: {reason}; choose a run that is valid")]
    NotValid {
        /// Its file.
        name: String,
        /// Why.
        reason: String,
    },
    /// It had another load.
    #[error(
        "{name} is no baseline: {field} is {other} there and {here} here; choose a run of the same \
         scenario and recording"
    )]
    Different {
        /// Its file.
        name: String,
        /// The field of run.json.
        field: String,
        /// What it says there.
        other: String,
        /// What it says in the run that is reported.
        here: String,
    },
    /// Nothing was answered.
    #[error("{name} is no baseline: nothing was answered in it; choose another run")]
    Empty {
        /// Its file.
        name: String,
    },
}

/// Most differences that are told one by one; settings of a file that was made up may be many.
const MAX_DIFFERENCES: usize = 20;

/// What stands beside `report` of the run `other`, whose file is called `name`.
pub fn beside(report: &Report, other: &Report, name: &str) -> Result<Baseline, BaselineError> {
    let pair = Pair::of(other, name, report)?;
    let named = || name.to_owned();
    if let Some(reason) = pair.not_valid() {
        return Err(BaselineError::NotValid { name: named(), reason: reason.to_owned() });
    }
    let differences = pair.differences();
    if let Some(first) = differences.iter().find(|one| !one.condition.may_change_over_time()) {
        return Err(BaselineError::Different {
            name: named(),
            field: first.field.clone(),
            other: first.before.clone(),
            here: first.now.clone(),
        });
    }
    let latency = latency(other).ok_or_else(|| BaselineError::Empty { name: named() })?;
    let told =
        |one: &Told| format!("{} was {}, and is {} in this run", one.field, one.before, one.now);
    let more = differences.len().saturating_sub(MAX_DIFFERENCES);
    let mut differences: Vec<String> = differences.iter().take(MAX_DIFFERENCES).map(told).collect();
    if more > 0 {
        differences.push(format!("{more} more"));
    }
    Ok(Baseline { started: clean(&other.started, MAX_STARTED), latency, differences })
}

/// Longest moment that is told.
const MAX_STARTED: usize = 40;

/// The whole curve where the run has kept it, and else what its quantiles tell.
fn latency(run: &Report) -> Option<Curve> {
    let kept = run.figures.curves.iter().find(|curve| curve.name == LATENCY);
    kept.cloned().or_else(|| Some(coarse_curve(LATENCY, run.latency.as_ref()?)))
}
