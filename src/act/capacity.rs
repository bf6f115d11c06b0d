//! The act `capacity`: the highest multiple of the recorded load that holds what the scenario
//! expects, and what broke first beyond it.
//!
//! ```text
//!  search (pure) ──► load ──► trial: plan of cloned sessions, run-in, what counts ──► held or not
//!        ▲                                                                               │
//!        └───────────────────────────────────────────────────────────────────────────────┘
//! ```

mod alike;
mod cut;
mod moved;
mod produced;
pub mod search;
pub mod seen;
mod times;
mod trial;

use std::thread::park_timeout;
use std::time::Duration;

use crate::act::Ground;
use crate::act::capacity::alike::{Alike, Next};
use crate::act::capacity::moved::moved;
use crate::act::capacity::search::{Bracket, Level, bracket, levels, telling};
use crate::act::capacity::seen::{Asked, Base, Capacity, Ended, Outcome, Trial};
use crate::act::capacity::trial::{Planned, Rig, Tried, base, planned, tried};
use crate::drive::clock::nanoseconds;
use crate::plan::busiest::busiest_stretch;
use crate::plan::facts::Facts;
use crate::scenario::acts::capacity::{CapacityOptions, HIGHEST};
use crate::scenario::{Limits, Scenario};
use crate::stats::counts::as_f64;
use crate::units::{format_duration, format_rate};

/// Performs the act.
pub fn perform(ground: &Ground<'_>, options: &CapacityOptions) -> Capacity {
    let mut seen = Capacity { asked: asked(ground, options), ..Capacity::default() };
    match rig(ground, options, &mut seen) {
        Ok(mut rig) => search(&mut rig, &mut seen),
        Err(reason) => seen.untried = Some(reason),
    }
    conclude(ground, &mut seen);
    seen
}

fn asked(ground: &Ground<'_>, options: &CapacityOptions) -> Asked {
    let is_one = |factor: f64| (factor - 1.0).abs() <= f64::EPSILON;
    Asked {
        at_least: options.at_least,
        max: options.max,
        max_by: None,
        resolution: options.resolution,
        trial_ns: nanoseconds(options.trial),
        run_in_ns: nanoseconds(options.run_in),
        trials: options.trials,
        within_ns: nanoseconds(options.within),
        is_recorded: is_one(ground.scenario.scale) && is_one(ground.scenario.speed),
    }
}

/// Fewest requests of a trial at a load of 1: of fewer, neither a percentile nor a rate is known.
const FEWEST: u64 = 100;

/// What trials are made from, or why there are none.
fn rig<'a>(
    ground: &'a Ground<'a>,
    options: &CapacityOptions,
    seen: &mut Capacity,
) -> Result<Rig<'a>, String> {
    let CapacityOptions { run_in, trial, .. } = *options;
    let stretch = busiest_stretch(ground.recording, ground.scenario, run_in, trial)
        .map_err(|error| format!("the recording cannot be planned: {error}"))?
        .map_err(|short| {
            format!(
                "the window holds {}, and a trial needs {}: choose a longer `window` or recording, \
                 or a shorter `trial` and `run_in` of the act",
                format_duration(short.holds),
                format_duration(run_in + trial)
            )
        })?;
    let rig = Rig { ground, options: options.clone(), stretch, base: Base::default() };
    let (base, facts) = base(&rig)?;
    if base.requests < FEWEST {
        return Err(format!(
            "the busiest {} hold {} requests; at least {FEWEST} are needed to tell a limit: set a \
             longer `trial` of the act, or a larger `scale`",
            format_duration(trial),
            base.requests
        ));
    }
    let mut rig = Rig { base, ..rig };
    seen.base = rig.base.clone();
    for (most, by) in ceilings(ground.scenario, &facts) {
        if most < rig.options.max {
            rig.options.max = most;
            seen.asked.max_by = Some(by);
        }
    }
    seen.asked.max = rig.options.max;
    Ok(rig)
}

/// Peaks of cloned sessions are not exact multiples: so near to a limit of the scenario is enough.
const NEAR: f64 = 0.9;

/// The multiples that the scenario allows at most, by the plan of a load of 1, and why. That one it
/// does allow, however near to its limits.
fn ceilings(scenario: &Scenario, facts: &Facts) -> [(f64, String); 3] {
    let share = |limit: u32, of: u64| (NEAR * f64::from(limit) / as_f64(of).max(1.0)).max(1.0);
    let Limits { max_rate, max_connections, .. } = scenario.limits;
    let copies = "a plan, which makes no more than 100 copies of a session".to_owned();
    [
        (HIGHEST / scenario.scale, copies),
        (share(max_rate, facts.peak_rate), format!("`limits.max_rate` of {max_rate}")),
        (
            share(max_connections, facts.peak_connections),
            format!("`limits.max_connections` of {max_connections}"),
        ),
    ]
}

/// Tries loads until the search ends.
fn search(rig: &mut Rig<'_>, seen: &mut Capacity) {
    let began = rig.ground.epoch.now();
    let mut alike = Alike::default();
    seen.ended = Some(loop {
        if rig.ground.stop.is_requested() {
            break Ended::Stopped;
        }
        let plan = |load: f64| planned(rig, load);
        let requests = |planned: &Planned| as_f64(planned.facts.arrivals);
        let (load, handed) = match alike.next(&seen.trials, &rig.options, plan, requests) {
            Next::Done(ended) => break ended,
            Next::Try(load, handed) => (load, handed),
        };
        let ahead = seen.trials.last().map_or(0, |trial| trial.left_ns);
        let ahead = Duration::from_nanos(ahead).min(LONGEST_COOLING);
        let so_far = rig.ground.epoch.now().saturating_sub(began);
        let length = rig.options.run_in + rig.options.trial;
        if so_far + ahead + length > rig.options.within {
            break Ended::Time;
        }
        cool_down(rig.ground, ahead);
        match tried(rig, load, handed.unwrap_or_else(|| planned(rig, load))) {
            Tried::Trial(trial) => {
                (rig.ground.say)(&told(&trial));
                seen.trials.push(*trial);
            }
            Tried::TooMuch(reason) => {
                // What the scenario's limits forbid is not a limit of the target.
                let lower = seen.trials.iter().map(|trial| trial.load).filter(|at| *at < load);
                let Some(highest) = lower.reduce(f64::max) else {
                    seen.notes.push(reason);
                    break Ended::Broken;
                };
                rig.options.max = highest;
                (seen.asked.max, seen.asked.max_by) = (highest, Some(reason));
            }
            Tried::Broken(reason) => {
                seen.notes.push(reason);
                break Ended::Broken;
            }
        }
    });
}

fn told(trial: &Trial) -> String {
    let word = match trial.outcome {
        Outcome::Held => "held",
        Outcome::Failed => "not held",
        Outcome::Spoiled | Outcome::Unjudged => "no evidence",
    };
    let rate = format_rate(trial.sent_rate);
    let why = if trial.reason.is_empty() { "" } else { ": " };
    format!("capacity: {} ×, {rate}: {word}{why}{}", trial.load, trial.reason)
}

/// Longest time that the next trial is kept back.
const LONGEST_COOLING: Duration = Duration::from_secs(20);

/// What a trial left in the target's queues must not burden the next one.
fn cool_down(ground: &Ground<'_>, wait: Duration) {
    let until = ground.epoch.now().saturating_add(wait);
    loop {
        let left = until.saturating_sub(ground.epoch.now());
        if left.is_zero() || ground.stop.is_requested() {
            return;
        }
        park_timeout(left.min(PATIENCE));
    }
}

/// How often a wait looks whether the user wishes it to end.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the trials come to, and what the probes saw of it.
fn conclude(ground: &Ground<'_>, seen: &mut Capacity) {
    let trials = seen.asked.trials;
    let levels = levels(telling(&seen.trials, seen.ended));
    let Bracket { held, failed } = bracket(&levels, trials);
    seen.held = held.map(|level| level.load);
    seen.failed = failed.map(|level| level.load);
    seen.is_confirmed = held.is_some_and(|level| level.is_held(trials));
    seen.noisy = levels.iter().filter(|level| level.is_noisy()).count() as u64;
    if let Some(watching) = ground.watching
        && let Some(failed) = failed
    {
        let spans = |level: Option<Level>, outcome: Outcome| spans(&seen.trials, level, outcome);
        let both = [spans(held, Outcome::Held), spans(Some(failed), Outcome::Failed)];
        (seen.probes, seen.moved) = watching.look(|records| moved(records, &both));
    }
}

/// The times in which a load was driven with an outcome.
fn spans(trials: &[Trial], level: Option<Level>, outcome: Outcome) -> Vec<(u64, u64)> {
    let Some(level) = level else { return Vec::new() };
    let of = trials.iter().filter(|trial| trial.is_of(level.load) && trial.outcome == outcome);
    of.map(|trial| (trial.counted_ns, trial.ended_ns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;
    use crate::stats::counts::as_index;

    /// A load of 1 is what the scenario replays: its own limits allow that.
    #[test]
    fn limits_of_the_scenario_bound_multiples_but_never_the_recorded_load() {
        let limits = "limits: { max_rate: 200, max_connections: 1000 }";
        let text = format!("# t\nrecording: a\ntarget: {{ url: stage }}\nscale: 4\n{limits}\n");
        let scenario = from_text(&text, "t.yaml").unwrap();
        let most = |peak_rate, peak_connections| {
            let facts = Facts { peak_connections, peak_rate, ..Facts::default() };
            ceilings(&scenario, &facts).map(|(most, _)| as_index((most * 100.0).round()))
        };
        assert_eq!(most(100, 100), [2_500, 180, 900]);
        assert_eq!(most(195, 1_000), [2_500, 100, 100]);
        assert_eq!(most(0, 0), [2_500, 18_000, 90_000]);
    }
}
