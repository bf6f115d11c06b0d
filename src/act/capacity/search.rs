//! The search for the highest load that is held: a pure function from the trials so far to the
//! next load, so that it can be tried without a clock, over any target and any noise.
//!
//! Loads double until one fails, then what lies between is bisected. A load that fails is tried
//! again until most of its trials agree; one that holds goes on at once, since a mistake there
//! only moves the search up, where it is found out; and the load that is told in the end has most
//! of its trials behind it.

use crate::act::capacity::seen::{Ended, Outcome, Trial, is_same};
use crate::scenario::acts::capacity::{CapacityOptions, LOWEST};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Try this multiple of the load.
    Try(f64),
    /// The search has ended.
    Done(Ended),
}

/// What the trials of a load say together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The multiple of the load.
    pub load: f64,
    /// Trials that held the expectations.
    pub held: u32,
    /// Trials that did not.
    pub failed: u32,
    /// Trials that are no evidence.
    pub spoiled: u32,
    /// Those among them of which it could not be told what is expected.
    pub unjudged: u32,
}

impl Level {
    /// Most of so many trials held.
    pub fn is_held(&self, trials: u32) -> bool {
        self.held > trials / 2
    }

    /// Most of so many trials failed.
    pub fn is_failed(&self, trials: u32) -> bool {
        self.failed > trials / 2
    }

    /// Its trials do not agree.
    pub fn is_noisy(&self) -> bool {
        self.held > 0 && self.failed > 0
    }

    /// It held whenever it was tried, or most of the times.
    fn seems_held(&self, trials: u32) -> bool {
        self.is_held(trials) || (self.held > 0 && self.failed == 0)
    }

    /// It has both held and failed, or failed, and nothing is decided yet.
    fn is_open(&self, trials: u32) -> bool {
        self.failed > 0 && !self.is_held(trials) && !self.is_failed(trials)
    }

    /// Another trial, or why there is none: more of them would be no evidence, too.
    fn again(&self) -> Step {
        if self.spoiled < MAX_SPOILED {
            return Step::Try(self.load);
        }
        let is_late = self.unjudged * 2 < self.spoiled;
        Step::Done(if is_late { Ended::Generator } else { Ended::Unjudged })
    }
}

/// Trials of one load that are no evidence, after which no more are made.
pub const MAX_SPOILED: u32 = 3;

/// Most trials of a search, whatever happens.
pub const MAX_TRIALS: usize = 200;

/// The loads that were tried, from low to high, with what their trials say.
pub fn levels(trials: &[Trial]) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for trial in trials {
        let at = levels.iter().position(|level| is_same(level.load, trial.load));
        let at = at.unwrap_or_else(|| {
            levels.push(Level { load: trial.load, ..Level::default() });
            levels.len() - 1
        });
        match trial.outcome {
            Outcome::Held => levels[at].held += 1,
            Outcome::Failed => levels[at].failed += 1,
            Outcome::Spoiled => levels[at].spoiled += 1,
            Outcome::Unjudged => {
                levels[at].spoiled += 1;
                levels[at].unjudged += 1;
            }
        }
    }
    levels.sort_by(|a, b| a.load.total_cmp(&b.load));
    levels
}

/// The highest load that is held, and the lowest above it that is not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bracket {
    /// Held, as far as is known.
    pub held: Option<Level>,
    /// Not held, by most of its trials.
    pub failed: Option<Level>,
}

/// The bracket of the levels: what failed lowest, and what held highest below it. Whoever holds
/// above a load that failed has been lucky.
pub fn bracket(levels: &[Level], trials: u32) -> Bracket {
    let failed = levels.iter().find(|level| level.is_failed(trials)).copied();
    let below = |level: &&Level| failed.is_none_or(|failed| level.load < failed.load);
    let held = levels.iter().filter(below).rfind(|level| level.seems_held(trials)).copied();
    Bracket { held, failed }
}

/// What to try next.
pub fn next(tried: &[Trial], options: &CapacityOptions) -> Step {
    let trials = options.trials;
    let levels = levels(tried);
    if tried.len() >= MAX_TRIALS {
        return Step::Done(Ended::Trials);
    }
    if let Some(open) = undecided(&levels, trials) {
        return open;
    }
    let Bracket { held, failed } = bracket(&levels, trials);
    match (held, failed) {
        (None, None) => Step::Try(options.max.min(1.0)),
        (None, Some(failed)) if failed.load <= LOWEST => Step::Done(Ended::Lowest),
        (None, Some(failed)) => Step::Try(rounded((failed.load / 2.0).max(LOWEST))),
        (Some(held), None) if held.load >= options.max => sure(held, trials, Ended::Max),
        (Some(held), None) => Step::Try(rounded((held.load * 2.0).min(options.max))),
        (Some(held), Some(failed)) => between(held, failed, options),
    }
}

/// Trials in a row without any answer after which it is looked whether the target is still there.
const SILENT: usize = 2;

/// What to do where the last trials had no answer at all: a target that broke for good fails every
/// load from then on, which says nothing of what it holds. So the lowest load that it had held is
/// tried again, and where it is silent there, too, the search has ended. `None` where it is not
/// silent, or never held anything.
pub fn silent(tried: &[Trial], trials: u32) -> Option<Step> {
    let (before, silent) = tried.split_at(silence(tried));
    let is_silent = silent.iter().filter(|trial| trial.is_mute()).count() >= SILENT;
    let known = levels(before);
    let held = known.iter().find(|level| is_silent && level.seems_held(trials))?.load;
    let again = levels(silent).into_iter().find(|level| is_same(level.load, held));
    Some(match again {
        Some(again) if again.failed as usize >= SILENT => Step::Done(Ended::Gone),
        Some(again) => again.again(),
        None => Step::Try(held),
    })
}

/// The index from which on no trial had an answer. A late generator had none either, which is no
/// evidence, but breaks no silence.
fn silence(tried: &[Trial]) -> usize {
    tried.len() - tried.iter().rev().take_while(|trial| trial.is_unanswered()).count()
}

/// The trials that tell what the target holds: of one that is gone, those up to the one at which
/// it went, with any more of that load. That is the first without an answer, or the one before it
/// where that failed.
pub fn telling(tried: &[Trial], ended: Option<Ended>) -> &[Trial] {
    if ended != Some(Ended::Gone) {
        return tried;
    }
    let (before, silent) = tried.split_at(silence(tried));
    let failed = before.last().filter(|trial| trial.outcome == Outcome::Failed);
    let mute = silent.iter().find(|trial| trial.is_mute());
    let Some(fatal) = failed.or(mute) else { return tried };
    let more = silent.iter().take_while(|trial| trial.is_of(fatal.load)).count();
    &tried[..before.len() + more]
}

/// A load that was tried, and of which nothing is known yet: the lowest of them.
fn undecided(levels: &[Level], trials: u32) -> Option<Step> {
    let failed = levels.iter().find(|level| level.is_failed(trials)).map(|level| level.load);
    let matters = |level: &&Level| failed.is_none_or(|failed| level.load < failed);
    let only_spoiled = |level: &Level| level.held == 0 && level.failed == 0;
    let open =
        levels.iter().filter(matters).find(|level| level.is_open(trials) || only_spoiled(level))?;
    Some(open.again())
}

/// A load that is told in the end has most of its trials behind it.
fn sure(held: Level, trials: u32, ended: Ended) -> Step {
    if held.is_held(trials) { Step::Done(ended) } else { held.again() }
}

fn between(held: Level, failed: Level, options: &CapacityOptions) -> Step {
    if failed.load <= held.load * (1.0 + options.resolution) {
        return sure(held, options.trials, Ended::Found);
    }
    let middle = rounded((held.load * failed.load).sqrt());
    if middle <= held.load || middle >= failed.load {
        // Closer than multiples are told apart.
        return sure(held, options.trials, Ended::Found);
    }
    if middle > options.max {
        // Peaks of cloned sessions are not exact multiples: a plan between two that the limits
        // allow may be one that they forbid.
        return sure(held, options.trials, Ended::Max);
    }
    Step::Try(middle)
}

/// Multiples have four digits: more would not be told.
fn rounded(load: f64) -> f64 {
    let digits = 3.0 - load.log10().floor();
    let scale = 10.0_f64.powf(digits);
    (load * scale).round() / scale
}

#[cfg(test)]
mod tests;
