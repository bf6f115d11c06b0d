//! `peakhour compare`: is a release worse than the one before it?

pub(super) mod saved;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::builder::FalseyValueParser as Flag;

use crate::cli::compare::saved::read;
use crate::cli::exit::Exit;
use crate::cli::report::style;
use crate::cli::validate::{tell, whole};
use crate::cli::{Voice, outputs};
use crate::compare::conditions::Condition;
use crate::compare::judge::judge;
use crate::compare::run::Run;
use crate::compare::{CompareError, Options, Outcome};
use crate::report::comparison::{Compared, SCHEMA_VERSION, json, terminal, word};
use crate::report::html::comparison::write;
use crate::units::{format_share, parse_share};

const EXAMPLES: &str = "\
Examples:
  peakhour compare reports/last-release-*/ -- reports/candidate-*/
  peakhour compare --html gate.html baseline/*/run.json -- new-1 new-2 new-3
  peakhour compare before-rollout -- after-rollout

Exit codes: 0 no regression shown, 99 a regression, 98 it cannot be said, 104 runs that cannot be \
compared.";

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Compare {
    /// Runs of the baseline: folders of runs, or their run.json. Ten or more make a gate.
    #[arg(value_name = "BASE", required = true)]
    base: Vec<PathBuf>,
    /// The new runs, after `--`. Three or more make a gate.
    #[arg(value_name = "NEW", last = true, required = true)]
    new: Vec<PathBuf>,
    /// The least change that matters.
    #[arg(long, value_name = "SHARE", default_value = "5%", env = "PEAKHOUR_LEAST_CHANGE")]
    #[arg(value_parser = share)]
    least_change: f64,
    /// By how much runs of one release differ at least (standard deviation), whatever these runs
    /// show: few runs may be alike by chance.
    #[arg(long, value_name = "SHARE", default_value = "5%", env = "PEAKHOUR_NOISE")]
    #[arg(value_parser = share)]
    noise: f64,
    /// Where even a change of this size could go unseen, `no regression` is not said.
    #[arg(long, value_name = "SHARE", default_value = "30%", env = "PEAKHOUR_UNSEEN")]
    #[arg(value_parser = share)]
    unseen: f64,
    /// Compare runs that differ in this nevertheless: scenario, recording, load, arrivals, plan,
    /// target, settings, machine, nodes or version. May be repeated; the difference is told.
    #[arg(long, value_name = "KIND", env = "PEAKHOUR_DESPITE", value_delimiter = ',')]
    #[arg(value_parser = condition)]
    despite: Vec<Condition>,
    /// Leave out runs that are not valid, instead of refusing all.
    #[arg(long, env = "PEAKHOUR_SKIP_INVALID", value_parser = Flag::new())]
    skip_invalid: bool,
    /// Also write a page with charts.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Also write everything as JSON; `-` prints it instead of the text.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    parse_share(text).map_err(|error| error.to_string())
}

fn condition(text: &str) -> Result<Condition, String> {
    let names = Condition::ALL.map(Condition::name).join(", ");
    Condition::parse(text).ok_or_else(|| format!("`{text}` is none of {names}"))
}

/// Runs `compare`.
pub fn compare(command: &Compare, voice: Voice) -> anyhow::Result<Exit> {
    if command.least_change >= command.unseen {
        bail!(
            "--least-change {} is not below --unseen {}: a change that matters could always go \
             unseen, so that nothing could be said; raise --unseen",
            format_share(command.least_change),
            format_share(command.unseen)
        );
    }
    let mut left_out = Vec::new();
    let mut side = |paths: &[PathBuf]| -> anyhow::Result<Vec<Run>> {
        let runs = paths.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<Run>>>()?;
        if !command.skip_invalid {
            return Ok(runs);
        }
        let (kept, out): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| run.not_valid.is_none());
        let told = out.iter().map(|run| {
            format!("{} is left out: {}", run.name, run.not_valid.as_deref().unwrap_or_default())
        });
        left_out.extend(told);
        Ok(kept)
    };
    let (base, new) = (side(&command.base)?, side(&command.new)?);
    let options = Options {
        least: command.least_change,
        noise: command.noise,
        unseen: command.unseen,
        despite: command.despite.clone(),
    };
    let mut comparison = match judge(&base, &new, &options) {
        Ok(comparison) => comparison,
        // Runs that say nothing of their target say nothing beside others. What a file said of
        // other runs would be taken for what is said of these.
        Err(error @ CompareError::NotValid { .. }) => {
            outputs::note(false, &format!("not compared: {error}"));
            for file in [&command.html, &command.json].into_iter().flatten() {
                remove_stale(file)?;
            }
            return Ok(Exit::Invalid);
        }
        Err(CompareError::None { side }) if command.skip_invalid => {
            bail!("no valid run is {side}: {}", left_out.join("; "))
        }
        Err(error) => return Err(error.into()),
    };
    comparison.limits.extend(left_out);
    let exit = exit(comparison.outcome);
    let names = |runs: &[Run]| runs.iter().map(|run| run.name.clone()).collect();
    let compared = Compared {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        base: names(&base),
        new: names(&new),
        exit_code: exit.code(),
        comparison,
    };
    if let Some(file) = &command.html {
        whole(file, |out| write(&compared, out))?;
    }
    let people = if voice.quiet {
        format!("{}  {}\n", word(compared.comparison.outcome), compared.comparison.statement)
    } else {
        terminal(&compared, style(voice))
    };
    tell(&json(&compared)?, command.json.as_deref(), &people)?;
    Ok(exit)
}

/// Takes away what an earlier comparison left in a file that this one does not write.
fn remove_stale(file: &Path) -> anyhow::Result<()> {
    // Only a file can be stale, and standard output is none.
    if !std::fs::symlink_metadata(file).is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(anyhow::Error::from(error)
            .context(format!("{}: cannot remove what it says of other runs", file.display()))),
        _ => Ok(()),
    }
}

/// The exit code of an outcome.
pub(super) fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Regression => Exit::Failed,
        Outcome::Unknown => Exit::Invalid,
        Outcome::Improvement | Outcome::NoRegression => Exit::Pass,
    }
}
