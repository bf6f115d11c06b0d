//! `peakhour report`: the reports of a saved run, written again without touching its target.

use std::path::PathBuf;

use crate::cli::exit::Exit;
use crate::cli::{Voice, outputs};
use crate::report::files::{RUN_FILE, write_reports};
use crate::report::json;
use crate::report::terminal::{self, Style};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct ReportCommand {
    /// The folder of the run, or its run.json.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Print the summary only, write nothing.
    #[arg(long)]
    print: bool,
}

/// Runs `report`. The exit code is that of the saved verdict.
pub fn report(command: &ReportCommand, voice: Voice) -> anyhow::Result<Exit> {
    let file = if command.run.is_dir() { command.run.join(RUN_FILE) } else { command.run.clone() };
    let saved = json::read(&file)?;
    let folder = file.parent().unwrap_or(std::path::Path::new("."));
    let written = if command.print { Vec::new() } else { write_reports(&saved, folder)? };
    outputs::result(&terminal::render(&saved, style(voice), &written));
    Ok(Exit::of(saved.verdict))
}

/// Terminals of 80 columns are what everything is laid out for.
pub(crate) fn style(voice: Voice) -> Style {
    Style { colour: voice.colour, width: 80 }
}
