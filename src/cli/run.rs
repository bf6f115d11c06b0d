//! `peakhour run`: the main job. Reads as the data flow: recording, plan, drive, verdict, report.

mod acts;
mod follow;
mod keep;
mod judged;
mod labels;
mod limits;
mod live;
mod load;
mod marks;
mod network;
mod options;
mod reach;
mod samples;
mod signals;
mod snapshot;
mod tls;

use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::FalseyValueParser as Flag;

use crate::act::Ground;
use crate::cli::exit::Exit;
use crate::cli::files::Unfinished;
use crate::cli::load::load_into;
use crate::cli::out::Output;
use crate::cli::run::acts::{PerformedAll, perform_watched};
use crate::cli::run::judged::{Over, Saved, reported};
use crate::cli::run::keep::{Kept, told};
use crate::cli::run::labels::{LabelOptions, Labels};
use crate::cli::run::limits::LimitOptions;
use crate::cli::run::live::{Exports, origin};
use crate::cli::run::network::NetworkOptions;
use crate::cli::run::options::{EXAMPLES, LoadOptions};
use crate::cli::run::reach::{outside_target, stage_fault, staged, warn};
use crate::cli::run::signals::listen;
use crate::cli::wall_clock::{self, Moment};
use crate::cli::{Overrides, Voice, checked, outputs};
use crate::drive::DriveError;
use crate::drive::clock::Epoch;
use crate::drive::gauges::Live;
use crate::drive::hold::Control;
use crate::plan::arrivals::Plan;
use crate::plan::outline;
use crate::probe::record::Record;
use crate::report::files::{RUN_FILE, prepare_folder};
use crate::scenario::Scenario;
use crate::scenario::abort::AbortRule;
use crate::scenario::acts::ActName;
use crate::scenario::target::check_way;
use crate::stage::faults::Fault;
use crate::stage::server::Stage;
use crate::summary::cells::Cells;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    /// The scenario to rehearse.
    #[arg(value_name = "SCENARIO", required_unless_present = "url")]
    scenario: Option<PathBuf>,
    /// Changes to the scenario.
    #[command(flatten)]
    overrides: Overrides,
    /// The folder that gets a folder for this run.
    #[arg(long, value_name = "FOLDER", default_value = "reports", env = "PEAKHOUR_REPORTS")]
    reports: PathBuf,
    /// Break the embedded stage on purpose: cold-cache, connection-limit, connection-hang,
    /// body-limit, event-loop, stall, capacity (or such as capacity=500: answers a second),
    /// other-status, half-body.
    #[arg(long, value_name = "KIND")]
    stage_fault: Option<String>,
    /// Perform this act of the scenario only: fingerprint, canary, connections, payloads, cold,
    /// replay or capacity.
    #[arg(long, value_name = "ACT", env = "PEAKHOUR_ONLY", value_parser = parse_act)]
    only: Option<ActName>,
    /// Consent to what acts change in the stack: `reset` of the act `cold` empties its caches.
    #[arg(long, env = "PEAKHOUR_YES", value_parser = Flag::new())]
    yes: bool,
    /// Keep what the act fingerprint finds, for the next release to be compared with.
    #[arg(long, value_name = "FILE")]
    save_snapshot: Option<PathBuf>,
    /// Write a report (html, json, junit, markdown, github, gitlab) to FILE, or -; repeatable. Or
    /// send numbers every 5 s while the load goes on: remote-write=URL or otlp=URL.
    #[arg(long, value_name = "KIND=TARGET")]
    out: Vec<Output>,
    /// Hold expectations such as `latency p99 < 1.10x baseline` against this run: its folder.
    #[arg(long, value_name = "RUN", env = "PEAKHOUR_BASELINE")]
    baseline: Option<PathBuf>,
    /// Write a row for each request, with all its moments, to a Parquet file. Rows come in no
    /// particular order; where the disk is behind, rows are dropped and counted.
    #[arg(long, value_name = "FILE", env = "PEAKHOUR_SAMPLES")]
    samples: Option<PathBuf>,
    /// What is written on the run.
    #[command(flatten)]
    labels: LabelOptions,
    /// Load without a recording.
    #[command(flatten)]
    load: LoadOptions,
    /// How connections reach the target.
    #[command(flatten)]
    network: NetworkOptions,
    /// Ceilings.
    #[command(flatten)]
    limits: LimitOptions,
    /// End the run early, as one that failed, when this holds: 'errors > 10% over 10s', 'latency
    /// p99 > 2s over 10s' or, of a probe, 'redis.clients > 900'. Repeatable; adds to a scenario's.
    #[arg(long, value_name = "RULE", env = "PEAKHOUR_ABORT")]
    #[arg(value_parser = checked(AbortRule::option, "PEAKHOUR_ABORT"))]
    abort: Vec<AbortRule>,
}

/// Runs `run`.
pub fn run(command: &Run, voice: Voice) -> anyhow::Result<Exit> {
    command.out.iter().try_for_each(Output::check)?;
    let labels = &command.labels.labels()?;
    match &command.scenario {
        Some(_) if command.load.are_given() => anyhow::bail!(
            "a scenario says itself what is sent and how fast: --rate, -d, -c and the like go with \
             --url, without a scenario (see `peakhour run --help`)"
        ),
        Some(file) => scenario(command, file, labels, voice),
        None => {
            let around = load::Around {
                seed: command.overrides.seed.unwrap_or(1),
                labels,
                reports: &command.reports,
                out: &command.out,
                network: &command.network,
                limits: command.limits,
                abort: &command.abort,
                samples: command.samples.as_deref(),
                baseline: command.baseline.as_ref(),
            };
            load::run(&command.load, &around, voice)
        }
    }
}

fn scenario(command: &Run, file: &Path, labels: &Labels, voice: Voice) -> anyhow::Result<Exit> {
    let started = wall_clock::now();
    let mut scenario = command.overrides.apply(file)?;
    if let Some(only) = command.only {
        keep_only(&mut scenario, only, file)?;
    }
    if let Some(file) = &command.save_snapshot {
        snapshot::prepare(&mut scenario, file)?;
    }
    command.abort.iter().try_for_each(|rule| rule.check(&scenario.watch))?;
    let asked = scenario.expect.iter().filter_map(AbortRule::of);
    scenario.abort.extend(command.abort.iter().cloned().chain(asked));
    command.limits.apply(&mut scenario.limits);
    command.network.apply(&mut scenario.network)?;
    check_way(&scenario.target, &scenario.network, &scenario.acts)?;
    let fault = stage_fault(command.stage_fault.as_deref(), &scenario, file)?;
    let baseline = command.baseline.as_ref().or(scenario.baseline.as_ref());
    let baseline = judged::read(baseline, &scenario.expect)?;
    let name = format!("{}-{}", file_name(&scenario.name), started.file_name());
    let folder = prepare_folder(&command.reports, &name)?;
    let consent = consented(command, &scenario);
    let save = command.save_snapshot.as_deref();
    let samples = command.samples.as_deref();
    let live = Live::default();
    let origin = origin(&folder, &scenario.name, labels);
    let exports = Exports::start(&command.out, &origin, &live, voice)
        .inspect_err(|_| drop(std::fs::remove_dir(&folder)))?;
    let kept = Kept { folder: &folder, out: &command.out, save, samples, labels, live, voice };
    let rehearsal = Rehearsal {
        scenario: &scenario,
        fault,
        folder: &folder,
        started,
        baseline: baseline.as_ref(),
        consent,
        voice,
    };
    let exit = rehearse(&rehearsal, &kept);
    exports.finish(exit.as_ref().ok().map(|exit| exit.code()));
    if exit.is_err() && !folder.join(RUN_FILE).exists() {
        // A run that never began leaves nothing; a folder with something in it stays.
        let _ = std::fs::remove_file(folder.join(RECORDING_FILE));
        let _ = std::fs::remove_dir(&folder);
    }
    exit
}

fn parse_act(text: &str) -> Result<ActName, String> {
    ActName::parse(text).map_err(|mistake| format!("{mistake} (here or in PEAKHOUR_ONLY)"))
}

/// Whether the user lets the act `cold` empty caches: by an option, or by a word typed at a
/// terminal. Nobody is asked where nobody can answer.
fn consented(command: &Run, scenario: &Scenario) -> bool {
    let reset = scenario.acts.cold.as_ref().and_then(|cold| cold.reset.as_ref());
    if command.yes || reset.is_none() || !std::io::stdin().is_terminal() {
        return command.yes;
    }
    outputs::note(
        false,
        "the act `cold` will run its `reset`, which empties caches of the stack; type the word \
         reset to let it",
    );
    let mut typed = String::new();
    let read = std::io::stdin().lock().take(100).read_line(&mut typed);
    read.is_ok() && typed.trim() == "reset"
}

fn keep_only(scenario: &mut Scenario, act: ActName, file: &Path) -> anyhow::Result<()> {
    if !scenario.acts.has(act) {
        anyhow::bail!(
            "--only {name}: {} has no act `{name}`; add it to its `acts`",
            file.display(),
            name = act.name()
        );
    }
    scenario.acts.keep_only(act);
    Ok(())
}

/// The imported capture of a run, beside its reports.
const RECORDING_FILE: &str = "recording.parquet";

/// What is known before anything is read.
struct Rehearsal<'a> {
    scenario: &'a Scenario,
    fault: Option<Fault>,
    folder: &'a Path,
    started: Moment,
    /// What expectations are held against.
    baseline: Option<&'a Saved>,
    consent: bool,
    voice: Voice,
}

fn rehearse(rehearsal: &Rehearsal<'_>, kept: &Kept<'_>) -> anyhow::Result<Exit> {
    let Rehearsal { scenario, folder, voice, .. } = *rehearsal;
    let unfinished = Unfinished::folder(folder)?;
    let recording = load_into(&scenario.recording, &folder.join(RECORDING_FILE), voice)?;
    say(voice, &recording.warnings);
    let outside = outside_target(scenario, &recording)?;
    let (mut facts, plan) = outline(&recording.reader, scenario, &scenario.target.authority())?;
    warn(voice, &scenario.target, &scenario.network, &mut facts);
    let (target, stage) = match outside {
        Some(target) => (target, None),
        None => staged(rehearsal, &recording, &facts)?,
    };

    // From here on an interruption ends the rehearsal early, and is reported.
    drop(unfinished);
    let samples = samples::create(kept.samples)?;
    let control = samples::control(samples.as_ref(), &kept.live);
    let control = follow::following(control, scenario, wall_clock::now())?;
    listen(voice, &control);
    let say = |line: &str| outputs::note(voice.quiet, line);
    let lent = stage.as_ref().map(Stage::handle);
    let ground = Ground {
        scenario,
        target: &target,
        recording: &recording.reader,
        facts: &facts,
        epoch: Epoch::after(Duration::ZERO),
        stop: &control.stop,
        say: &say,
        folder,
        consent: rehearsal.consent,
        watching: None,
        stage: lent.as_ref(),
        control: &control,
        check: &|act, load| acts::checked(scenario, act, load),
    };
    let Some((performed, probes)) = watched(&ground, plan, voice, &control)? else {
        drop(control);
        return samples::finish(samples, voice.quiet).map(|()| Exit::Invalid);
    };
    drop(stage);
    let over = Over { recording: &recording.reader, target: &target, performed: &performed };
    let report = reported(rehearsal, facts, &over, (&probes, &control));
    drop(control);
    let (mut report, exit) = report;
    report.labels.clone_from(kept.labels);
    let nothing = Cells::new();
    let cells = performed.driven.as_ref().map_or(&nothing, |driven| &driven.summary.cells);
    told(&report, cells, kept)?;
    samples::finish(samples, voice.quiet).map(|()| exit)
}

/// The acts with all probes watching; `None` where this machine could not carry the plan out,
/// whatever the target would have done.
fn watched(
    ground: &Ground<'_>,
    plan: Plan,
    voice: Voice,
    control: &Control,
) -> anyhow::Result<Option<(PerformedAll, Vec<Record>)>> {
    match perform_watched(ground, plan, voice, control) {
        Ok(performed) => Ok(Some(performed)),
        Err(error @ DriveError::Plan { .. }) => Err(error.into()),
        Err(error) => {
            tell_not_valid(error);
            Ok(None)
        }
    }
}

fn say(voice: Voice, warnings: &[String]) {
    for warning in warnings {
        outputs::note(voice.quiet, &format!("warning: {warning}"));
    }
}

fn tell_not_valid(error: DriveError) {
    outputs::note(false, &format!("run not valid: {:#}", anyhow::Error::from(error)));
}

/// A scenario's name as part of a file name.
fn file_name(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' };
    let name: String = name.chars().take(60).map(kept).collect();
    name.trim_matches(['-', '.']).to_owned()
}
