//! The acts of a rehearsal, from cheap to dear, until one makes the rest meaningless.

use std::sync::Arc;
use std::time::Duration;

use crate::act::abort::{Guard, Guarded, guarded};
use crate::act::canary::heartbeat::Heartbeat;
use crate::act::capacity::seen::Checked;
use crate::act::replay::replay;
use crate::act::{Evidence, Ground, Load, Performed, perform};
use crate::cli::machine::tried;
use crate::cli::{Voice, outputs};
use crate::drive::clock::nanoseconds;
use crate::drive::gauges::{GaugeSnapshot, Gauges, Live};
use crate::drive::hold::Control;
use crate::drive::hook::Hooked;
use crate::drive::{DriveError, Driven};
use crate::plan::arrivals::Plan;
use crate::probe;
use crate::probe::record::Record;
use crate::report::progress::{self, ProgressSnapshot};
use crate::scenario::Scenario;
use crate::scenario::acts::ActName;
use crate::scenario::expectation::Expectation;
use crate::verdict::acts::{ends_rehearsal, heartbeat, judge, left_out};
use crate::verdict::expectations::around::Around;
use crate::verdict::expectations::{Seen, check};
use crate::verdict::watch;
use crate::verdict::{Finding, Outcome};

/// What the acts yielded.
pub(super) struct PerformedAll {
    /// The drills, in their order.
    pub(super) acts: Vec<Performed>,
    /// Their findings, in the same order.
    pub(super) findings: Vec<Finding>,
    /// When the replay began, ns since the start of the rehearsal.
    pub(super) replay_started_ns: Option<u64>,
    /// What the replay yielded; `None` where it is no act of the scenario, or was left out.
    pub(super) driven: Option<Driven>,
    /// What the rules that end a replay have come to.
    pub(super) guarded: Guarded,
}

/// Performs every act of the scenario, with all probes watching from before the first.
pub(super) fn perform_watched(
    ground: &Ground<'_>,
    plan: Plan,
    voice: Voice,
    control: &Control,
) -> Result<(PerformedAll, Vec<Record>), DriveError> {
    // Before anybody watches: what it does to the machine is not the load's doing.
    let replays = ground.scenario.acts.has(ActName::Replay);
    let calibration = replays.then(|| tried(ground.facts, ground.stop, voice)).flatten();
    let servers = &ground.recording.header().servers;
    let watching = probe::start(&ground.scenario.watch, servers, ground.epoch);
    let ground = Ground { watching: Some(&watching), ..*ground };
    let mut performed = perform_all(&ground, plan, voice, control)?;
    let probes = watching.finish();
    performed.driven = performed.driven.map(|driven| driven.calibrated(calibration));
    performed.findings.extend(watch::judge(&probes, &performed.acts));
    Ok((performed, probes))
}

/// Performs every act of the scenario, and cleans up after each.
fn perform_all(
    ground: &Ground<'_>,
    plan: Plan,
    voice: Voice,
    control: &Control,
) -> Result<PerformedAll, DriveError> {
    let mut all = PerformedAll {
        acts: Vec::new(),
        findings: Vec::new(),
        replay_started_ns: None,
        driven: None,
        guarded: Guarded::default(),
    };
    let acts = ActName::ALL.into_iter().filter(|act| ground.scenario.acts.has(*act));
    let (mut plan, mut ended_by, mut beating) = (Some(plan), None, None);
    for act in acts {
        if ground.stop.is_requested() {
            break;
        }
        if let Some(after) = ended_by {
            all.findings.push(left_out(act, after));
            continue;
        }
        if act == ActName::Replay
            && let Some(plan) = plan.take()
        {
            all.replay_started_ns = Some(nanoseconds(ground.epoch.now()));
            let (driven, guarded) = replayed(ground, plan, voice, control);
            (all.driven, all.guarded) = (Some(driven?), guarded);
        } else if let Some(performed) = perform(act, ground) {
            let findings = judge(&performed);
            outputs::note(voice.quiet, &told(act, &findings));
            ended_by = ends_rehearsal(act, &findings).then_some(act);
            all.findings.extend(findings);
            beating = beating.or_else(|| Heartbeat::start(ground, &performed));
            all.acts.push(performed);
        }
    }
    if let Some(beating) = beating {
        end_heartbeat(beating, &mut all);
    }
    Ok(all)
}

/// The heartbeat is evidence of the act that began it, and is judged once it has ended.
fn end_heartbeat(beating: Heartbeat, all: &mut PerformedAll) {
    let beats = beating.finish();
    all.findings.push(heartbeat::judge(&beats));
    for performed in &mut all.acts {
        if let Evidence::Canary(canary) = &mut performed.evidence {
            canary.heartbeat = Some(beats.clone());
        }
    }
}

/// A line a drill: its worst finding.
fn told(act: ActName, findings: &[Finding]) -> String {
    let worst =
        findings.iter().max_by_key(|finding| (finding.outcome, finding.check == act.name()));
    let word = |outcome: Outcome| match outcome {
        Outcome::Pass => "passed",
        Outcome::Unknown => "unknown",
        Outcome::Fail => "failed",
    };
    worst.map_or_else(
        || format!("{}: nothing was asked for", act.name()),
        |worst| format!("{} {}: {}", act.name(), word(worst.outcome), worst.title),
    )
}

/// What an act holds a load of its own against: `cold` what is expected of it, `capacity` all that
/// is expected of the replay, as far as a load alone tells it, and what is expected of its trials.
pub(super) fn checked(scenario: &Scenario, act: ActName, load: &Load<'_>) -> Vec<Checked> {
    let Load { summary, length, probes, span_ns } = *load;
    let seen = Seen { summary, length, is_recorded: true, baseline: None };
    // To a figure of a probe, the trial is the load.
    let around = Around { probes, replayed: Some(span_ns), ..Around::default() };
    let is_asked = |each: &&Expectation| match act {
        ActName::Capacity => each.is_of_trials(),
        _ => each.metric.is_of_a_load() && each.clauses.act == Some(act),
    };
    let held = |each: &Expectation| {
        let mut of_load = each.clone();
        of_load.clauses.act = None;
        around.check(&of_load).unwrap_or_else(|| check(&of_load, &seen))
    };
    let checked = scenario.expect.iter().filter(is_asked).map(held);
    let holds = |outcome: Outcome| match outcome {
        Outcome::Pass => Some(true),
        Outcome::Unknown => None,
        Outcome::Fail => Some(false),
    };
    checked
        .map(|each| Checked { text: each.text, holds: holds(each.outcome), actual: each.actual })
        .collect()
}

fn replayed(
    ground: &Ground<'_>,
    plan: Plan,
    voice: Voice,
    control: &Control,
) -> (Result<Driven, DriveError>, Guarded) {
    let planned = Duration::from_nanos(ground.facts.duration_ns);
    let limits = &ground.scenario.limits;
    let guard = Guard {
        rules: &ground.scenario.abort,
        stop: &control.stop,
        watching: ground.watching.map(|watching| (watching, ground.epoch)),
        say: &|line| outputs::note(voice.quiet, line),
    };
    with_progress(planned, voice, &control.live, |gauges| {
        guarded(guard, &Arc::clone(&gauges), || {
            let plan = Hooked::new(plan, control.hook.clone(), control.stop.clone());
            replay(plan, ground.target, limits, gauges, control.clone())
        })
    })
}

/// Shows how a load goes while it is driven.
pub(super) fn with_progress<T>(
    planned: Duration,
    voice: Voice,
    live: &Live,
    drive: impl FnOnce(Arc<Gauges>) -> T,
) -> T {
    let gauges = Arc::<Gauges>::default();
    live.show(&gauges);
    let seen = Arc::clone(&gauges);
    let progress = progress::start(progress::choose_mode(voice.quiet), move || {
        snapshot(&seen.snapshot(), planned)
    });
    let driven = drive(gauges);
    progress.finish();
    driven
}

fn snapshot(gauges: &GaugeSnapshot, planned: Duration) -> ProgressSnapshot {
    ProgressSnapshot {
        elapsed: gauges.elapsed,
        planned,
        due: gauges.due,
        sent: gauges.sent,
        errors: gauges.errors,
        in_flight: u64::from(gauges.in_flight),
        connections: u64::from(gauges.connections_open),
        latency_p99: gauges.latency_p99,
        max_lateness: gauges.max_lateness,
    }
}
