//! `peakhour history`: since which run is a metric another one?

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::Voice;
use crate::cli::compare::exit;
use crate::cli::compare::saved::read;
use crate::cli::exit::Exit;
use crate::cli::report::style;
use crate::cli::validate::{tell, whole};
use crate::compare::history::{HistoryOptions, history as changes};
use crate::compare::run::Run;
use crate::report::comparison::word;
use crate::report::files::RUN_FILE;
use crate::report::history::{SCHEMA_VERSION, Series, json, terminal};
use crate::report::html::history::write;
use crate::stats::divisive::{MAX_POINTS, Windows};

const EXAMPLES: &str = "\
Examples:
  peakhour run nightly.yaml --reports nightly --label commit=$(git rev-parse --short HEAD)
  peakhour history nightly --html trend.html

Exit codes: 0 no news, 99 a change for the worse among the latest runs, 98 too few runs to say, \
104 no runs to read.";

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct HistoryCommand {
    /// The folder that holds a folder for each run, as `run --reports` fills it.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The scenario; that of the newest run, where nothing is said.
    #[arg(long, value_name = "NAME", env = "PEAKHOUR_SCENARIO")]
    scenario: Option<String>,
    /// A change is news as long as it is among so many latest runs.
    #[arg(long, value_name = "RUNS", default_value_t = 7, env = "PEAKHOUR_RECENT")]
    recent: usize,
    /// Runs that are looked at together.
    #[arg(long, value_name = "RUNS", default_value_t = 50, env = "PEAKHOUR_WINDOW")]
    #[arg(value_parser = clap::value_parser!(u16).range(10..=1000))]
    window: u16,
    /// Also write a page with a chart a metric.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Also write everything as JSON; `-` prints it instead of the text.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs `history`.
pub fn history(command: &HistoryCommand, voice: Voice) -> anyhow::Result<Exit> {
    let (runs, unread) = runs(&command.folder)?;
    let defaults = HistoryOptions::default();
    let options = HistoryOptions {
        windows: Windows { length: command.window.into(), ..defaults.windows },
        recent: command.recent,
        scenario: command.scenario.clone(),
    };
    let mut history = changes(runs, &options);
    history.limits.extend(unread);
    let exit = exit(history.outcome);
    let series = Series {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        folder: command.folder.display().to_string(),
        exit_code: exit.code(),
        history,
    };
    if let Some(file) = &command.html {
        whole(file, |out| write(&series, out))?;
    }
    let people = if voice.quiet {
        format!("{}  {}\n", word(series.history.outcome), series.history.statement)
    } else {
        terminal(&series, style(voice))
    };
    tell(&json(&series)?, command.json.as_deref(), &people)?;
    Ok(exit)
}

/// Folders that are told one by one where their run cannot be read.
const MAX_UNREAD: usize = 5;

/// All runs of a folder, and what could not be read. One damaged file among a year of nights is
/// told, and the others go on.
fn runs(folder: &Path) -> anyhow::Result<(Vec<Run>, Vec<String>)> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}; name a folder of runs", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let path = entry.path();
        if path.join(RUN_FILE).is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!(
            "{}: none of its folders has a {RUN_FILE}; name the folder that `run --reports` fills",
            folder.display()
        );
    }
    if files.len() > MAX_POINTS {
        bail!(
            "{}: {} runs are more than the {MAX_POINTS} that are looked at; move the oldest away",
            folder.display(),
            files.len()
        );
    }
    files.sort();
    let (mut runs, mut unread) = (Vec::new(), Vec::new());
    for file in files {
        match read(&file) {
            Ok(run) => runs.push(run),
            Err(error) => unread.push(format!("left out: {error:#}")),
        }
    }
    if unread.len() > MAX_UNREAD {
        let more = unread.len() - MAX_UNREAD;
        unread.truncate(MAX_UNREAD);
        unread.push(format!("left out: {more} more that cannot be read"));
    }
    Ok((runs, unread))
}
