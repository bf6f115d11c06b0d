//! `peakhour run --url`: load without a recording and without a scenario file. The same flow: plan,
//! drive, verdict, report.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::act::abort::{Guard, Guarded, guarded};
use crate::act::replay::{replay, replay_closed};
use crate::cli::exit::Exit;
use crate::cli::machine::tried;
use crate::cli::run::acts::with_progress;
use crate::cli::run::judged::{self, Saved, held_against, not_judged, set_beside};
use crate::cli::run::keep::{Kept, told};
use crate::cli::run::labels::Labels;
use crate::cli::run::limits::LimitOptions;
use crate::cli::run::live::{Exports, origin};
use crate::cli::run::network::NetworkOptions;
use crate::cli::run::options::LoadOptions;
use crate::cli::run::reach::{Wanted, answering, resolved, warn};
use crate::cli::run::signals::listen;
use crate::cli::run::{file_name, marks, samples, tell_not_valid};
use crate::cli::wall_clock::{self, Moment};
use crate::cli::{Voice, outputs};
use crate::drive::closed::Closed;
use crate::drive::gauges::Live;
use crate::drive::hold::Control;
use crate::drive::{DriveError, Driven};
use crate::plan::facts::Facts;
use crate::plan::generate::{Generated, Template, check_connections, generate};
use crate::plan::needs::Needs;
use crate::recording::Servers;
use crate::report::assemble::{AssembleInput, Sent, assemble};
use crate::report::files::prepare_folder;
use crate::report::model::{LoadFacts, Oddities, Report};
use crate::report::settings;
use crate::scenario::abort::AbortRule;
use crate::scenario::load as asked;
use crate::scenario::load::{Load, LoadPace};
use crate::scenario::target::Target;
use crate::shape::Origin;
use crate::summary::Summary;
use crate::units::format_counted;
use crate::verdict::closed::{ClosedInput, judge_closed};
use crate::verdict::expectations::around;
use crate::verdict::expectations::baseline::Baseline;
use crate::verdict::judge::{JudgeInput, Replayed, judge};
use crate::verdict::{Verdict, abort, hold};

/// Where the reports of a load go, and the seed of its random choices.
pub(super) struct Around<'a> {
    pub(super) seed: u64,
    pub(super) labels: &'a Labels,
    pub(super) reports: &'a Path,
    pub(super) out: &'a [crate::cli::out::Output],
    pub(super) network: &'a NetworkOptions,
    pub(super) limits: LimitOptions,
    pub(super) abort: &'a [AbortRule],
    pub(super) samples: Option<&'a Path>,
    /// The run that expectations are held against.
    pub(super) baseline: Option<&'a PathBuf>,
}

/// Runs a load.
pub(super) fn run(
    options: &LoadOptions,
    around: &Around<'_>,
    voice: Voice,
) -> anyhow::Result<Exit> {
    let started = wall_clock::now();
    let mut load = options.load(around.seed)?;
    around.network.apply(&mut load.network)?;
    around.limits.apply(&mut load.limits);
    around.abort.iter().try_for_each(|rule| rule.check(&[]))?;
    let asked = load.expect.iter().filter_map(AbortRule::of);
    let abort: Vec<_> = around.abort.iter().cloned().chain(asked).collect();
    let baseline = judged::read(around.baseline, &load.expect)?;
    let plan = planned(&load)?;
    let target = reached(&load)?;
    let name = format!("load of {}", target.authority);
    let folder = format!("{}-{}", file_name(&name), started.file_name());
    let folder = prepare_folder(around.reports, &folder)?;
    let baseline = baseline.as_ref();
    let (load, target, abort, named) = (&load, &target, &abort, &name);
    let job = Job { load, target, abort, name: named, started, baseline, voice };
    let (labels, samples, live) = (around.labels, around.samples, Live::default());
    let exports = Exports::start(around.out, &origin(&folder, &name, labels), &live, voice)
        .inspect_err(|_| drop(std::fs::remove_dir(&folder)))?;
    let kept = Kept { folder: &folder, out: around.out, save: None, samples, labels, live, voice };
    let exit = carried_out(&job, plan, &kept);
    exports.finish(exit.as_ref().ok().map(|exit| exit.code()));
    if exit.is_err() {
        // Removes the folder only where nothing was written.
        let _ = std::fs::remove_dir(&folder);
    }
    exit
}

/// What is about to be sent: the moments of an open load, or the request of a closed one.
enum Planned {
    Open(Box<Generated>),
    Closed(Closed),
}

fn planned(load: &Load) -> anyhow::Result<(Facts, Planned)> {
    let length = match &load.pace {
        LoadPace::Open { stages, spacing } => {
            let (facts, generated) = generate(load, stages, *spacing)?;
            return Ok((facts, Planned::Open(Box::new(generated))));
        }
        LoadPace::Closed { length } => *length,
    };
    check_connections(load.connections, &load.limits)?;
    let connections = u64::from(load.connections);
    let facts = Facts {
        origin: Origin::Generated,
        connections,
        peak_connections: connections,
        needs: Needs::of_steady(connections, 0),
        sessions: connections,
        warnings: vec![CLOSED_NOTE.to_owned()],
        ..Facts::default()
    };
    let template = Template::new(&load.request, &load.target.authority());
    let closed = Closed { template, connections: load.connections, length };
    Ok((facts, Planned::Closed(closed)))
}

/// What latencies of a closed load leave out.
const CLOSED_NOTE: &str = "each connection waited for its answer before it asked again: a slow \
                           answer delayed the requests behind it, which no latency here shows; \
                           use --rate for what users would feel";

/// The target, which must be there.
fn reached(load: &Load) -> anyhow::Result<Target> {
    let Load { target, network, .. } = load;
    let allow = &asked::permitted(target, network, &load.allow)?;
    let wanted = Wanted { target, allow, servers: &Servers::default(), network };
    let target = resolved(wanted, None)?;
    // Not even a connection is opened to a machine that was not named.
    let is_named = asked::is_named(&load.target, network, &load.allow);
    let is_wanted = |address: SocketAddr| {
        if !is_named && !address.ip().to_canonical().is_loopback() {
            return Err(io::Error::other(
                "this is another machine: correct /etc/hosts, or name the host with --allow",
            ));
        }
        Ok(())
    };
    answering(target, "--url", load.limits.connect_timeout, is_wanted)
}

struct Job<'a> {
    load: &'a Load,
    target: &'a Target,
    abort: &'a [AbortRule],
    name: &'a str,
    started: Moment,
    baseline: Option<&'a Saved>,
    voice: Voice,
}

fn carried_out(
    job: &Job<'_>,
    (mut facts, plan): (Facts, Planned),
    kept: &Kept<'_>,
) -> anyhow::Result<Exit> {
    warn(job.voice, &job.load.target, &job.load.network, &mut facts);
    let samples = samples::create(kept.samples)?;
    let control = samples::control(samples.as_ref(), &kept.live);
    listen(job.voice, &control);
    let calibration = tried(&facts, &control.stop, job.voice);
    let (driven, guarded) = driven(job, plan, &control);
    let driven = match driven {
        Ok(driven) => driven.calibrated(calibration),
        Err(error) => {
            tell_not_valid(error);
            drop(control);
            return samples::finish(samples, job.voice.quiet).map(|()| Exit::Invalid);
        }
    };
    if facts.arrivals == 0 {
        facts.arrivals = driven.summary.arrivals;
        facts.request_bytes = driven.summary.request_bytes;
    }
    facts.warnings.extend(declined(&driven.summary));
    let (mut report, exit) = reported(job, &facts, &driven, &guarded);
    report.labels.clone_from(kept.labels);
    drop(control);
    told(&report, &driven.summary.cells, kept)?;
    samples::finish(samples, job.voice.quiet).map(|()| exit)
}

/// Judges it, and puts the report together.
fn reported(job: &Job<'_>, facts: &Facts, driven: &Driven, guarded: &Guarded) -> (Report, Exit) {
    let load = LoadFacts {
        pace: job.load.pace_name().to_owned(),
        description: job.load.description(),
        connections: u64::from(job.load.connections),
    };
    let (not_judged, settings) = (not_judged(), settings::of_load(job.load));
    let known = AssembleInput {
        tool_version: env!("CARGO_PKG_VERSION"),
        scenario: job.name,
        started: &job.started.rfc3339(),
        sent: Sent::Load(&load),
        target: &job.target.authority,
        acts: &[],
        probes: &[],
        replay_started_ns: Some(0),
        verdict: &not_judged,
        exit_code: 0,
        summary: &driven.summary,
        facts,
        health: &driven.health,
    };
    let baseline = held_against(job.baseline, &known, &settings);
    let mut verdict = judged(job, facts, driven, baseline.as_ref());
    abort::add(&mut verdict, guarded);
    hold::add(&mut verdict, &driven.held, &driven.summary);
    let exit = Exit::of(verdict.outcome);
    let exit_code = exit.code();
    let mut report = assemble(&AssembleInput { verdict: &verdict, exit_code, ..known });
    report.marks = marks::marks(&driven.held, guarded);
    report.oddities = Oddities::of(driven);
    report.settings = settings;
    set_beside(&mut report, job.baseline);
    (report, exit)
}

/// Answers of a class that no recording says are right: mostly a mistake in what was typed.
fn declined(summary: &Summary) -> Option<String> {
    let declined = summary.statuses.range(400..500);
    let (most, _) = declined.clone().max_by_key(|(_, count)| **count)?;
    let count = declined.map(|(_, count)| count).sum();
    Some(format!(
        "{} of class 4xx, mostly {most}, which count as no errors: check the path, the method, and \
         whether the target wants credentials (-H)",
        format_counted(count, "answer was", "answers were")
    ))
}

fn driven(
    job: &Job<'_>,
    plan: Planned,
    control: &Control,
) -> (Result<Driven, DriveError>, Guarded) {
    let Job { load, target, voice, .. } = *job;
    let length = match &load.pace {
        LoadPace::Open { stages, .. } => stages.iter().map(|stage| stage.length).sum(),
        LoadPace::Closed { length } => *length,
    };
    let say = |line: &str| outputs::note(voice.quiet, line);
    let guard = Guard { rules: job.abort, stop: &control.stop, watching: None, say: &say };
    let limits = &load.limits;
    with_progress(length, voice, &control.live, |gauges| {
        guarded(guard, &Arc::clone(&gauges), || match plan {
            Planned::Open(plan) => replay(plan, target, limits, gauges, control.clone()),
            Planned::Closed(closed) => {
                replay_closed(closed, target, limits, gauges, control.clone())
            }
        })
    })
}

fn judged(job: &Job<'_>, facts: &Facts, driven: &Driven, baseline: Option<&Baseline>) -> Verdict {
    let Driven { summary, health, interrupted, .. } = driven;
    let (expectations, interrupted) = (&job.load.expect, *interrupted);
    if matches!(job.load.pace, LoadPace::Closed { .. }) {
        let input = ClosedInput { facts, summary, health, expectations, baseline, interrupted };
        return judge_closed(&input);
    }
    let target_is_here = job.target.is_here();
    judge(&JudgeInput {
        replayed: Some(Replayed { facts, summary, health, target_is_here }),
        drills: &[],
        tier: job.load.tolerance,
        expectations,
        baseline,
        around: around::Around::default(),
        interrupted,
    })
}

/// How long a load lasts where nobody said.
pub(super) const DEFAULT_LENGTH: Duration = Duration::from_secs(10);
