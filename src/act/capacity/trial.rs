//! A trial: a multiple of the busiest stretch is driven, and what counts of it is held against
//! what the scenario expects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::act::Ground;
use crate::act::abort::{Guard, Guarded, guarded};
use crate::act::capacity::cut::{Watch, Watched, watched};
use crate::act::capacity::seen::{Base, Checked, Outcome, Trial};
use crate::act::replay::replay;
use crate::drive::Driven;
use crate::drive::clock::nanoseconds;
use crate::drive::gauges::Gauges;
use crate::drive::hold::Control;
use crate::drive::hook::Hooked;
use crate::drive::stop::Stop;
use crate::plan::arrivals::Plan;
use crate::plan::busiest::Stretch;
use crate::plan::facts::Facts;
use crate::plan::{Arrival, PlanError, outline};
use crate::sample::Unsent;
use crate::scenario::acts::ActName;
use crate::scenario::acts::capacity::CapacityOptions;
use crate::scenario::expectation::tightest_latency;
use crate::scenario::{Limits, Scenario, Window};
use crate::shape::compare::{ShapeInput, judge_shape};
use crate::shape::{Fault, Origin, ShapeVerdict};
use crate::stats::counts::as_f64;
use crate::summary::Summary;
use crate::units::{format_count, format_duration, format_share};

/// What trials are made from.
pub(super) struct Rig<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) options: CapacityOptions,
    pub(super) stretch: Stretch,
    pub(super) base: Base,
}

/// What became of a load.
pub(super) enum Tried {
    /// It was driven.
    Trial(Box<Trial>),
    /// The limits of the scenario forbid it: why.
    TooMuch(String),
    /// It could not be driven: why.
    Broken(String),
}

/// The scenario of a multiple of the stretch. Clones are later than their originals by less than
/// the run-in, so that all of them are there when it counts.
fn scenario_of(rig: &Rig<'_>, load: f64) -> Scenario {
    let mut scenario = rig.ground.scenario.clone();
    scenario.scale *= load;
    scenario.window = Window::Offset(rig.stretch.from, rig.stretch.to);
    scenario.clones.spread = Some(rig.stretch.counted.saturating_sub(rig.stretch.from));
    scenario.ramp = None;
    scenario
}

/// The plan of a multiple, until the end of the stretch: what clones would do later is left out.
fn planned(
    rig: &Rig<'_>,
    scenario: &Scenario,
) -> Result<(Facts, impl Iterator<Item = Result<Arrival, PlanError>> + use<>), PlanError> {
    let authority = &rig.ground.target.authority;
    let (facts, plan): (Facts, Plan) = outline(rig.ground.recording, scenario, authority)?;
    let end = rig.options.run_in + rig.options.trial;
    let is_within = move |arrival: &Result<Arrival, PlanError>| {
        arrival.as_ref().map_or(true, |arrival| arrival.due < end)
    };
    Ok((facts, plan.take_while(is_within)))
}

/// What a load of 1 is, with the facts of its plan.
pub(super) fn base(rig: &Rig<'_>) -> Result<(Base, Facts), String> {
    let broken = |error: PlanError| format!("the recording cannot be planned: {error}");
    let (facts, plan) = planned(rig, &scenario_of(rig, 1.0)).map_err(broken)?;
    let mut requests = 0;
    for arrival in plan {
        requests += u64::from(arrival.map_err(broken)?.due >= rig.options.run_in);
    }
    let stretch = [rig.stretch.counted, rig.stretch.to].map(nanoseconds);
    let rate = as_f64(requests) / rig.options.trial.as_secs_f64();
    Ok((Base { stretch_ns: stretch, requests, rate }, facts))
}

/// How many requests a load comes to; `None` where it cannot be planned.
pub(super) fn requests_of(rig: &Rig<'_>, load: f64) -> Option<f64> {
    let (facts, _) = planned(rig, &scenario_of(rig, load)).ok()?;
    Some(as_f64(facts.arrivals))
}

/// Longest wait for the last answers of a trial: what comes later has failed any expectation that
/// a trial of seconds can answer.
const GRACE: Duration = Duration::from_secs(3);

/// Drives a multiple once.
pub(super) fn tried(rig: &Rig<'_>, load: f64) -> Tried {
    let scenario = scenario_of(rig, load);
    let (facts, plan) = match planned(rig, &scenario) {
        Ok(planned) => planned,
        Err(
            error @ (PlanError::TooFast { .. }
            | PlanError::TooManyConnections { .. }
            | PlanError::TooFarAhead { .. }
            | PlanError::Factor { .. }),
        ) => return Tried::TooMuch(format!("the scenario's limits: {error}")),
        Err(error) => return Tried::Broken(format!("{load} × cannot be planned: {error}")),
    };
    let ground = rig.ground;
    let (stop, gauges) = (Stop::new(), Arc::<Gauges>::default());
    let limits = Limits { grace: scenario.limits.grace.min(GRACE), ..scenario.limits };
    let control = Control {
        stop: stop.clone(),
        follow: ground.control.follow.clone(),
        hook: ground.control.hook.clone(),
        run_in: rig.options.run_in,
        ..Control::default()
    };
    let watch = Watch {
        expectations: &scenario.expect,
        run_in: rig.options.run_in,
        length: rig.options.trial,
        requests: facts.arrivals,
        wish: ground.stop,
        stop: &stop,
    };
    let guard = Guard {
        rules: &scenario.abort,
        stop: &stop,
        watching: ground.watching.map(|watching| (watching, ground.epoch)),
        say: &|_| (),
    };
    let started = ground.epoch.now();
    let ((driven, guarded), watched) = watched(&watch, &gauges, || {
        guarded(guard, &gauges, || {
            let plan = Hooked::new(plan, control.hook.clone(), stop.clone());
            replay(plan, ground.target, &limits, Arc::clone(&gauges), control)
        })
    });
    let driven = match driven {
        Ok(driven) => driven,
        Err(error) => return Tried::Broken(format!("{load} × broke off: {error}")),
    };
    let mut trial = measured(rig, load, &driven.summary, &watched);
    trial.started_ns = nanoseconds(started);
    trial.counted_ns = nanoseconds(started + rig.options.run_in);
    trial.ended_ns = nanoseconds(ground.epoch.now());
    trial.left_ns = left_behind(&gauges);
    let ended = Early { guarded, watched, wished: ground.stop.is_requested() };
    judge(rig, &facts, &driven, &ended, &mut trial);
    Tried::Trial(Box::new(trial))
}

/// How long the target needs for what it has not answered, at the rate at which it answers, ns.
fn left_behind(gauges: &Gauges) -> u64 {
    let now = gauges.snapshot();
    let unanswered = as_f64(now.sent.saturating_sub(now.answered));
    let rate = as_f64(now.answered) / now.elapsed.as_secs_f64().max(1.0);
    let seconds = (unanswered / rate.max(1.0)).min(3600.0);
    nanoseconds(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// The figures of a trial.
fn measured(rig: &Rig<'_>, load: f64, summary: &Summary, watched: &Watched) -> Trial {
    // A trial that was ended early was driven for a part of it.
    let seconds = watched.counted.as_secs_f64().max(0.001);
    let latency = &summary.latency;
    let at = |quantile: f64| latency.value_at_quantile(quantile);
    let quantiles = [at(0.5), at(0.95), at(0.99), latency.max()];
    let sent = summary.sent.total;
    Trial {
        load,
        planned: as_f64(summary.planned.total) / as_f64(rig.base.requests.max(1)),
        requests: summary.planned.total,
        sent_rate: as_f64(sent) / seconds,
        answered_rate: watched.answered_rate,
        latency_ns: (!latency.is_empty()).then_some(quantiles),
        errors: as_f64(summary.errors) / as_f64(sent.max(1)),
        driven_ns: nanoseconds(watched.counted),
        ..Trial::default()
    }
}

/// What ended a trial before its time.
struct Early {
    guarded: Guarded,
    watched: Watched,
    /// The user wished it.
    wished: bool,
}

/// Our own lateness comes first: what a late generator saw is no evidence.
fn judge(rig: &Rig<'_>, facts: &Facts, driven: &Driven, early: &Early, trial: &mut Trial) {
    let summary = &driven.summary;
    let aborted = early
        .guarded
        .aborted
        .as_ref()
        .map(|aborted| format!("`{}` ended it ({})", aborted.rule, aborted.seen));
    let cut = early.watched.cut.clone().or(aborted);
    let verdict = if early.wished {
        spoiled("the run was interrupted".to_owned())
    } else if let Some(cut) = cut {
        late(rig, summary).map_or((Outcome::Failed, cut), spoiled)
    } else if let Some(statement) = not_produced(rig, facts, summary) {
        spoiled(statement)
    } else {
        trial.expectations = (rig.ground.check)(ActName::Capacity, summary, rig.options.trial);
        held(rig, summary, &trial.expectations)
    };
    let is_here = rig.ground.target.is_here();
    let bound = tightest_latency(&rig.ground.scenario.expect);
    (trial.outcome, trial.reason) = match (verdict, stood_still(summary, bound).filter(|_| is_here))
    {
        ((Outcome::Failed, _), Some(reason)) => spoiled(reason),
        (verdict, _) => verdict,
    };
}

/// What a trial says, and why.
type Said = (Outcome, String);

fn spoiled(reason: String) -> Said {
    (Outcome::Spoiled, reason)
}

/// A target on this machine stands still when the machine does: where that took half of what a
/// request may take, what did not hold is not its fault.
fn stood_still(summary: &Summary, bound_ns: Option<f64>) -> Option<String> {
    let longest = summary.seconds.iter().map(|second| second.max_lateness_ns).max()?;
    let is_long = bound_ns.is_some_and(|bound| as_f64(longest) >= bound / 2.0);
    is_long.then(|| {
        format!(
            "this machine stood still for {}, and the target, which runs on it too, with it",
            format_duration(Duration::from_nanos(longest))
        )
    })
}

/// Whether everything holds, or why it does not, or why that is not known.
fn held(rig: &Rig<'_>, summary: &Summary, checked: &[Checked]) -> Said {
    let told = |each: &Checked| format!("`{}`: {}", each.text, each.actual);
    if let Some(failed) = checked.iter().find(|each| each.holds == Some(false)) {
        return (Outcome::Failed, told(failed));
    }
    let kept = kept_from_being_sent(&summary.fates);
    let allowed = 1.0 - rig.ground.scenario.tolerance.tolerances().completeness;
    if as_f64(kept) > allowed * as_f64(summary.arrivals) {
        let kept = format_count(kept);
        let reason = format!("the target kept {kept} requests from being sent in time");
        return (Outcome::Failed, reason);
    }
    let unknown = checked.iter().find(|each| each.holds.is_none());
    unknown.map_or((Outcome::Held, String::new()), |each| {
        (Outcome::Unjudged, format!("not known: {}", told(each)))
    })
}

/// Requests that were not sent since earlier ones were not answered.
fn kept_from_being_sent(fates: &BTreeMap<&'static str, u64>) -> u64 {
    let by_target = [
        Unsent::InFlightLimit,
        Unsent::ConnectionLimit,
        Unsent::InFlightBytes,
        Unsent::RunEnded,
        Unsent::SessionBehind,
    ];
    by_target.iter().filter_map(|reason| fates.get(reason.name())).sum()
}

/// Why the load that was offered is not the one that was planned. What the target made of it, such
/// as requests that waited for their connection, is in the latencies.
fn not_produced(rig: &Rig<'_>, facts: &Facts, summary: &Summary) -> Option<String> {
    let scenario = rig.ground.scenario;
    let shape = judge_shape(&ShapeInput {
        planned: &summary.planned,
        offered: &summary.offered,
        sent: &summary.offered,
        lateness: &summary.lateness,
        latency_bound_ns: tightest_latency(&scenario.expect),
        clock_step_ns: facts.clock_step_ns,
        origin: Origin::Recorded,
        tolerances: scenario.tolerance.tolerances(),
        interrupted: false,
    });
    match shape.verdict {
        ShapeVerdict::Faithful | ShapeVerdict::Degraded { .. } => None,
        ShapeVerdict::Invalid { fault: Fault::Recording } => {
            Some("there are too few requests to tell whether the load was produced".to_owned())
        }
        // It says that this machine did not produce the load.
        ShapeVerdict::Invalid { .. } => Some(shape.statement),
    }
}

/// The same for a trial that was ended early: its lateness alone.
fn late(rig: &Rig<'_>, summary: &Summary) -> Option<String> {
    let [most, ..] = rig.ground.scenario.tolerance.tolerances().lateness_ms;
    let p99 = Duration::from_nanos(summary.lateness.value_at_quantile(0.99));
    (p99.as_secs_f64() * 1e3 > most).then(|| {
        let late = format_duration(p99);
        format!(
            "this machine did not produce the load: {} of it was {late} late",
            format_share(0.01)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::{answered, arrival};

    /// The twins differ in how late the generator was once.
    #[test]
    fn a_machine_that_stood_still_is_told_from_a_slow_target() {
        for (late_ms, is_told) in [(80, false), (130, true)] {
            let mut summary = Summary::new();
            for index in 0..100_u64 {
                let arrival = arrival(index, Duration::from_millis(index * 20));
                let mut sample = answered(&arrival, Duration::from_millis(400));
                if index == 50 {
                    let late = Duration::from_millis(late_ms);
                    sample.dispatched = sample.dispatched.map(|at| at + late);
                }
                summary.add(&arrival, &sample);
            }
            let told = stood_still(&summary, Some(250e6));
            assert_eq!(told.is_some(), is_told, "{late_ms} ms: {told:?}");
            assert_eq!(stood_still(&summary, None), None, "no time is expected");
        }
    }
}
