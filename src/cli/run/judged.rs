//! What all of a rehearsal means, also beside an earlier run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::exit::Exit;
use crate::cli::run::acts::PerformedAll;
use crate::cli::run::{Rehearsal, follow, marks};
use crate::drive::Driven;
use crate::drive::health::Health;
use crate::drive::hold::{Control, Held};
use crate::plan::facts::Facts;
use crate::probe::record::Record;
use crate::recording::file::reader::RecordingReader;
use crate::report::assemble::{AssembleInput, Sent, assemble};
use crate::report::baseline::baseline;
use crate::report::beside::beside;
use crate::report::files::RUN_FILE;
use crate::report::json;
use crate::report::model::{Oddities, Report};
use crate::report::settings::{self, Settings};
use crate::scenario::Scenario;
use crate::scenario::expectation::{Expectation, Value};
use crate::scenario::target::Target;
use crate::stage::faults::Fault;
use crate::stats::histograms::nanoseconds;
use crate::summary::Summary;
use crate::verdict::expectations::around::Around;
use crate::verdict::expectations::baseline::Baseline;
use crate::verdict::judge::{JudgeInput, Replayed, judge};
use crate::verdict::{RunOutcome, Verdict, abort, hold};

/// A saved run by its name.
pub(super) type Saved = (String, Report);

/// The saved run, which is read before anything is sent, so that a wrong name costs no rehearsal.
pub(super) fn read(
    file: Option<&PathBuf>,
    expectations: &[Expectation],
) -> anyhow::Result<Option<Saved>> {
    let is_asked = |each: &Expectation| matches!(each.bound.value(), Value::TimesBaseline(_));
    let Some(file) = file else {
        if let Some(asking) = expectations.iter().find(|each| is_asked(each)) {
            anyhow::bail!(
                "`{}` needs a run to be held against: name its folder by --baseline, or by \
                 `baseline` in the scenario",
                asking.text
            );
        }
        return Ok(None);
    };
    let name = file.display().to_string();
    let file = if file.is_dir() { file.join(RUN_FILE) } else { file.clone() };
    Ok(Some((name, json::read(Path::new(&file))?)))
}

/// What of it can be held against this run, of which all but the verdict is known.
pub(super) fn held_against(
    saved: Option<&Saved>,
    input: &AssembleInput,
    settings: &Settings,
) -> Option<Baseline> {
    saved.map(|(name, saved)| {
        let current = Report { settings: settings.clone(), ..assemble(input) };
        baseline(saved, name, &current)
    })
}

/// What a rehearsal that is over leaves to be judged.
pub(super) struct Over<'a> {
    pub(super) recording: &'a RecordingReader,
    pub(super) target: &'a Target,
    pub(super) performed: &'a PerformedAll,
}

/// Judges all of it, and puts the report together.
pub(super) fn reported(
    rehearsal: &Rehearsal<'_>,
    mut facts: Facts,
    over: &Over<'_>,
    (probes, control): (&[Record], &Control),
) -> (Report, Exit) {
    let Rehearsal { scenario, .. } = *rehearsal;
    let Over { recording, target, performed } = *over;
    let (followed, hooked) = (follow::followed(control), follow::hooked(control));
    let oddities = performed.driven.as_ref().and_then(Oddities::of);
    facts.warnings.extend(follow::told(&scenario.rewriting, followed, hooked.as_ref()));
    let nothing = (Summary::new(), Health::default(), Held::default());
    let (summary, health, held) =
        performed.driven.as_ref().map_or((&nothing.0, &nothing.1, &nothing.2), |driven| {
            (&driven.summary, &driven.health, &driven.held)
        });
    let not_judged = not_judged();
    let settings = settings::of_scenario(scenario, rehearsal.fault.map(Fault::name));
    let known = AssembleInput {
        tool_version: env!("CARGO_PKG_VERSION"),
        scenario: &scenario.name,
        started: &rehearsal.started.rfc3339(),
        sent: Sent::Recording {
            path: &scenario.recording.display().to_string(),
            window: &scenario.window.to_string(),
            header: recording.header(),
        },
        target: &target.authority,
        acts: &performed.acts,
        probes,
        replay_started_ns: performed.replay_started_ns,
        verdict: &not_judged,
        exit_code: 0,
        summary,
        facts: &facts,
        health,
    };
    let baseline = held_against(rehearsal.baseline, &known, &settings);
    let verdict = judged(&Ended {
        scenario,
        target,
        facts: &facts,
        performed,
        baseline: baseline.as_ref(),
        probes,
        interrupted: control.stop.is_requested(),
    });
    let exit = Exit::of(verdict.outcome);
    let exit_code = exit.code();
    let mut report = assemble(&AssembleInput { verdict: &verdict, exit_code, ..known });
    (report.followed, report.hook, report.oddities) = (followed, hooked, oddities);
    report.settings = settings;
    report.marks = marks::marks(held, &performed.guarded);
    set_beside(&mut report, rehearsal.baseline);
    (report, exit)
}

/// Sets the saved run beside this one in the picture. Another load has no place in it, which is
/// told: nobody should take its absence for an oversight.
pub(super) fn set_beside(report: &mut Report, saved: Option<&Saved>) {
    let Some((name, saved)) = saved else { return };
    match beside(report, saved, name) {
        Ok(baseline) => report.baseline = Some(baseline),
        Err(error) => {
            report.facts.warnings.push(format!("nothing is set beside this run: {error}"));
        }
    }
}

/// A rehearsal that has ended.
struct Ended<'a> {
    scenario: &'a Scenario,
    target: &'a Target,
    facts: &'a Facts,
    performed: &'a PerformedAll,
    /// What expectations are held against.
    baseline: Option<&'a Baseline>,
    probes: &'a [Record],
    interrupted: bool,
}

impl<'a> Ended<'a> {
    /// What expectations are held against besides the load of the replay.
    fn around(&self) -> Around<'a> {
        let Self { performed, probes, .. } = *self;
        let length = |driven: &Driven| Duration::try_from_secs_f64(driven.health.seconds).ok();
        let length = performed.driven.as_ref().and_then(length);
        let replayed = performed.replay_started_ns.zip(length);
        let replayed = replayed.map(|(from, it)| [from, from.saturating_add(nanoseconds(it))]);
        Around { acts: &performed.acts, drills: &performed.findings, probes, replayed }
    }
}

/// What all of it means.
fn judged(ended: &Ended<'_>) -> Verdict {
    let Ended { scenario, target, facts, performed, baseline, interrupted, .. } = *ended;
    let mut verdict = judge(&JudgeInput {
        replayed: performed.driven.as_ref().map(|driven| Replayed {
            facts,
            summary: &driven.summary,
            health: &driven.health,
            target_is_here: target.is_here(),
        }),
        drills: &performed.findings,
        tier: scenario.tolerance,
        expectations: &scenario.expect,
        baseline,
        around: ended.around(),
        interrupted,
    });
    abort::add(&mut verdict, &performed.guarded);
    if let Some(driven) = &performed.driven {
        hold::add(&mut verdict, &driven.held, &driven.summary);
    }
    verdict
}

/// In place of the verdict while what is compared is put together.
pub(super) fn not_judged() -> Verdict {
    Verdict {
        outcome: RunOutcome::Invalid,
        headline: String::new(),
        shape: None,
        findings: Vec::new(),
        expectations: Vec::new(),
    }
}
