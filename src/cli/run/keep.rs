//! Where what a run yielded is kept, and how it is told.

use std::path::{Path, PathBuf};

use crate::cli::out::{Output, write_output};
use crate::cli::report::on_terminal;
use crate::cli::run::labels::Labels;
use crate::cli::run::snapshot;
use crate::cli::{Voice, outputs};
use crate::drive::gauges::Live;
use crate::report::files::{write_reports, write_whole_with};
use crate::report::hlog::{self, HLOG_FILE};
use crate::report::model::Report;
use crate::summary::cells::Cells;

/// Where the reports of a run go.
pub(super) struct Kept<'a> {
    pub(super) folder: &'a Path,
    pub(super) out: &'a [Output],
    /// Where to keep what was found of the nodes.
    pub(super) save: Option<&'a Path>,
    /// Where the samples go.
    pub(super) samples: Option<&'a Path>,
    /// What is written on it.
    pub(super) labels: &'a Labels,
    /// Where the gauges of its load are shown.
    pub(super) live: Live,
    pub(super) voice: Voice,
}

/// Writes the reports; the result of an hour is told even where it cannot be kept.
pub(super) fn told(report: &Report, cells: &Cells, kept: &Kept<'_>) -> anyhow::Result<()> {
    let mut written = Vec::new();
    let outcome = write_all(report, cells, kept, &mut written);
    let page = on_terminal(report, kept.voice, &written);
    if kept.out.iter().any(Output::is_printed) {
        // Whoever reads standard output reads one report, and not another one behind it.
        outputs::note(kept.voice.quiet, page.trim_end());
    } else {
        outputs::result(&page);
    }
    outcome
}

/// Writes all of them, though one may fail: what can be kept of an hour is.
fn write_all(
    report: &Report,
    cells: &Cells,
    kept: &Kept<'_>,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    let mut keep = |result: anyhow::Result<Vec<PathBuf>>| match result {
        Ok(files) => written.extend(files),
        // The first one ends the run, the others are told.
        Err(error) if outcome.is_ok() => outcome = Err(error),
        Err(error) => outputs::note(false, &format!("{error:#}")),
    };
    keep(write_reports(report, kept.folder).map_err(anyhow::Error::from));
    if !cells.is_empty() {
        let whole =
            write_whole_with(kept.folder, HLOG_FILE, |file| hlog::write(report, cells, file));
        keep(whole.map(|_| Vec::new()).map_err(anyhow::Error::from));
    }
    for output in kept.out {
        keep(write_output(report, output).map(Vec::from_iter));
    }
    if let Some(file) = kept.save {
        keep(snapshot::save(&report.acts, file).map(|file| vec![file]));
    }
    outcome
}
