//! `peakhour report`: the reports of a saved run, written again without touching its target.

use std::path::{Path, PathBuf};

use crate::cli::exit::Exit;
use crate::cli::out::{Output, write_output};
use crate::cli::{Voice, outputs};
use crate::report::beside::beside;
use crate::report::files::{RUN_FILE, write_reports};
use crate::report::json;
use crate::report::model::Report;
use crate::report::terminal::{self, Style};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct ReportCommand {
    /// The folder of the run, or its run.json.
    #[arg(value_name = "RUN", required_unless_present = "schema")]
    run: Option<PathBuf>,
    /// Print the JSON Schema of the run.json that this version writes.
    #[arg(long, exclusive = true)]
    schema: bool,
    /// Print the summary only, write nothing.
    #[arg(long)]
    print: bool,
    /// Draw the percentiles of this run beside those of the page, to be seen at once; `peakhour
    /// compare` says what a difference is worth.
    #[arg(long, value_name = "RUN", conflicts_with = "print")]
    baseline: Option<PathBuf>,
    /// Write this report only, to a place of its own; may be repeated. Kinds are html, json, junit,
    /// markdown, github (annotations of a job) and gitlab (code quality); - is standard output.
    #[arg(long, value_name = "KIND=FILE", conflicts_with = "print")]
    out: Vec<Output>,
}

/// Runs `report`. The exit code is that of the saved verdict.
pub fn report(command: &ReportCommand, voice: Voice) -> anyhow::Result<Exit> {
    let Some(run) = &command.run else {
        outputs::result(&json::schema()?);
        return Ok(Exit::Pass);
    };
    let file = run_file(run);
    let mut saved = json::read(&file)?;
    if let Some(other) = &command.baseline {
        let other = run_file(other);
        let name = other.display().to_string();
        saved.baseline = Some(beside(&saved, &json::read(&other)?, &name)?);
    }
    if !command.out.is_empty() {
        command.out.iter().try_for_each(Output::check_later)?;
        for output in &command.out {
            if let Some(file) = write_output(&saved, output)? {
                outputs::note(voice.quiet, &format!("{} is written", file.display()));
            }
        }
        return Ok(Exit::of(saved.verdict));
    }
    // The parent of a bare name is an empty path, into which nothing can be written.
    let named = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = named.unwrap_or(Path::new("."));
    let written = if command.print { Vec::new() } else { write_reports(&saved, folder)? };
    outputs::result(&on_terminal(&saved, voice, &written));
    Ok(Exit::of(saved.verdict))
}

/// The saved run of a folder, or the file itself.
fn run_file(run: &Path) -> PathBuf {
    if run.is_dir() { run.join(RUN_FILE) } else { run.to_owned() }
}

/// The report for people, or a line where they asked for quiet.
pub(super) fn on_terminal(report: &Report, voice: Voice, written: &[PathBuf]) -> String {
    if voice.quiet {
        return terminal::line(report, written);
    }
    terminal::render(report, style(voice), written)
}

/// Terminals of 80 columns are what everything is laid out for.
pub(crate) fn style(voice: Voice) -> Style {
    Style { colour: voice.colour, width: 80 }
}
