//! A trial: a multiple of the busiest stretch is driven, and what counts of it is held against
//! what the scenario expects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::act::abort::{Guard, Guarded, guarded};
use crate::act::capacity::cut::{Watch, Watched, watched};
use crate::act::capacity::produced::{Said, late, not_produced, spoiled, stood_still};
use crate::act::capacity::seen::{Base, Checked, Outcome, Trial};
use crate::act::capacity::times::{Times, times};
use crate::act::replay::replay;
use crate::act::{Ground, Load};
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
use crate::probe::record::Record;
use crate::sample::Unsent;
use crate::scenario::acts::ActName;
use crate::scenario::acts::capacity::CapacityOptions;
use crate::scenario::expectation::{MetricName, tightest_latency};
use crate::scenario::{Limits, Scenario, Window};
use crate::stats::counts::as_f64;
use crate::summary::Summary;
use crate::units::format_count;

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

/// A load that was planned, and not driven yet.
pub(super) struct Planned {
    pub(super) facts: Facts,
    plan: Plan,
}

/// Plans a multiple. That reads the stretch of the recording once for its facts.
pub(super) fn planned(rig: &Rig<'_>, load: f64) -> Result<Planned, PlanError> {
    let authority = &rig.ground.target.authority;
    let (facts, plan) = outline(rig.ground.recording, &scenario_of(rig, load), authority)?;
    Ok(Planned { facts, plan })
}

/// The plan until the end of the stretch: what clones would do later is left out.
fn within(rig: &Rig<'_>, plan: Plan) -> impl Iterator<Item = Result<Arrival, PlanError>> + use<> {
    let end = rig.options.run_in + rig.options.trial;
    plan.take_while(move |arrival| arrival.as_ref().map_or(true, |arrival| arrival.due < end))
}

/// What a load of 1 is, with the facts of its plan.
pub(super) fn base(rig: &Rig<'_>) -> Result<(Base, Facts), String> {
    let broken = |error: PlanError| format!("the recording cannot be planned: {error}");
    let Planned { facts, plan } = planned(rig, 1.0).map_err(broken)?;
    let mut requests = 0;
    for arrival in within(rig, plan) {
        requests += u64::from(arrival.map_err(broken)?.due >= rig.options.run_in);
    }
    let stretch = [rig.stretch.counted, rig.stretch.to].map(nanoseconds);
    let rate = as_f64(requests) / rig.options.trial.as_secs_f64();
    Ok((Base { stretch_ns: stretch, requests, rate }, facts))
}

/// Longest wait for the last answers of a trial: what comes later has failed any expectation that
/// a trial of seconds can answer.
const GRACE: Duration = Duration::from_secs(3);

/// Drives the plan of a multiple once.
pub(super) fn tried(rig: &Rig<'_>, load: f64, planned: Result<Planned, PlanError>) -> Tried {
    let Planned { facts, plan } = match planned {
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
    let (scenario, plan) = (ground.scenario, within(rig, plan));
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

/// How long any request of a trial is waited for before it is given up.
fn waited(limits: &Limits) -> Duration {
    limits.grace.min(GRACE).min(limits.connect_timeout).min(limits.response_timeout)
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
    let sent = summary.sent.total;
    let left = summary.arrivals.saturating_sub(summary.unsent());
    // Of what this machine or a person kept back, nothing is known.
    let asked = left.saturating_add(kept_from_being_sent(&summary.fates));
    let answered = summary.latency.len();
    let waited = waited(&rig.ground.scenario.limits);
    let Times { latency_ns, at_least } = times(&summary.latency, asked, nanoseconds(waited));
    Trial {
        load,
        planned: as_f64(summary.planned.total) / as_f64(rig.base.requests.max(1)),
        requests: summary.planned.total,
        sent_rate: as_f64(sent) / seconds,
        answered_rate: watched.answered_rate,
        latency_ns,
        at_least,
        answered,
        unanswered: asked.saturating_sub(answered),
        errors: as_f64(summary.errors) / as_f64(left.max(1)),
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
        late(rig.ground.scenario, summary).map_or((Outcome::Failed, cut), spoiled)
    } else if let Some(said) = not_produced(rig.ground.scenario, facts, summary) {
        said
    } else {
        trial.expectations = checked(rig, summary, [trial.counted_ns, trial.ended_ns]);
        held(rig.ground.scenario, summary, &trial.expectations)
    };
    let is_here = rig.ground.target.is_here();
    let bound = tightest_latency(&rig.ground.scenario.expect, ActName::Capacity);
    (trial.outcome, trial.reason) = match (verdict, stood_still(summary, bound).filter(|_| is_here))
    {
        ((Outcome::Failed, _), Some(reason)) => spoiled(reason),
        (verdict, _) => verdict,
    };
}

/// What is expected of a trial, held against it and what the probes saw of it.
fn checked(rig: &Rig<'_>, summary: &Summary, span_ns: [u64; 2]) -> Vec<Checked> {
    let length = rig.options.trial;
    let held = |probes: &[Record]| {
        (rig.ground.check)(ActName::Capacity, &Load { summary, length, probes, span_ns })
    };
    rig.ground.watching.map_or_else(|| held(&[]), |watching| watching.look(held))
}

/// Whether everything holds, or why it does not, or why that is not known.
fn held(scenario: &Scenario, summary: &Summary, checked: &[Checked]) -> Said {
    let told = |each: &Checked| format!("`{}`: {}", each.text, each.actual);
    let is_ours = |each: &&Checked| {
        let mut of = scenario.expect.iter().filter(|it| it.metric == MetricName::Lateness);
        of.any(|it| it.text == each.text)
    };
    let failed = || checked.iter().filter(|each| each.holds == Some(false));
    if let Some(late) = failed().find(is_ours) {
        return spoiled(format!("this machine was late: {}", told(late)));
    }
    if let Some(failed) = failed().next() {
        return (Outcome::Failed, told(failed));
    }
    let kept = kept_from_being_sent(&summary.fates);
    let allowed = 1.0 - scenario.tolerance.tolerances().completeness;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(expected: &[&str]) -> Scenario {
        let expected = expected.join(", ");
        let text = format!("# t\nrecording: a\ntarget: {{ url: stage }}\nexpect: [ {expected} ]\n");
        crate::scenario::parse::from_text(&text, "t.yaml").unwrap()
    }

    /// What was late here says nothing of the target, whatever else did not hold.
    #[test]
    fn an_expectation_of_our_own_lateness_never_fails_the_target() {
        let scenario = scenario(&["latency p99 < 1s", "lateness p99 < 5ms"]);
        let checked = |holds: [bool; 2]| {
            let each = |at: usize| Checked {
                text: scenario.expect[at].text.clone(),
                holds: Some(holds[at]),
                actual: "9 ms".to_owned(),
            };
            held(&scenario, &Summary::new(), &[each(0), each(1)])
        };
        assert_eq!(checked([true, true]).0, Outcome::Held);
        assert_eq!(checked([false, true]).0, Outcome::Failed);
        assert_eq!(checked([true, false]).0, Outcome::Spoiled);
        let (outcome, reason) = checked([false, false]);
        assert_eq!(outcome, Outcome::Spoiled);
        assert_eq!(reason, "this machine was late: `lateness p99 < 5ms`: 9 ms");
    }
}
