//! The samples of a run, one by one, in a file of their own.

use std::path::Path;

use anyhow::Context;

use crate::cli::outputs;
use crate::drive::gauges::Live;
use crate::drive::hold::Control;
use crate::drive::samples::{SampleFile, Written};
use crate::units::format_counted;

/// The file, before anything is sent: where it cannot be written, nothing is.
pub(super) fn create(path: Option<&Path>) -> anyhow::Result<Option<SampleFile>> {
    path.map(|path| SampleFile::create(path).context("--samples")).transpose()
}

/// What steers a run whose samples go to this file, and whose gauges are shown there.
pub(super) fn control(file: Option<&SampleFile>, live: &Live) -> Control {
    let samples = file.map(SampleFile::sink);
    Control { samples, live: live.clone(), ..Control::default() }
}

/// Writes what is left. The reports of the run are written by then, whatever becomes of this.
pub(super) fn finish(file: Option<SampleFile>, quiet: bool) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    let path = file.path().to_owned();
    let Written { rows, dropped } =
        file.finish().context("the samples of this run are lost; its reports are written")?;
    let rows = format_counted(rows, "sample", "samples");
    outputs::note(quiet, &format!("{rows} in {}", path.display()));
    if dropped > 0 {
        outputs::note(
            false,
            &format!(
                "warning: {} not in {}, since its disk was behind; the reports have all of them",
                format_counted(dropped, "sample is", "samples are"),
                path.display()
            ),
        );
    }
    Ok(())
}
