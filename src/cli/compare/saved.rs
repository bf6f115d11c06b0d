//! Saved runs, read for being compared.

use std::path::Path;

use anyhow::bail;

use crate::compare::run::Run;
use crate::report::files::RUN_FILE;
use crate::report::json;
use crate::report::measured::measured;
use crate::report::text::clean;

/// Longest name of a file in a report.
const MAX_NAME: usize = 200;

/// Reads a run by its folder, or by its file.
pub(in crate::cli) fn read(path: &Path) -> anyhow::Result<Run> {
    let file = if path.is_dir() { path.join(RUN_FILE) } else { path.to_owned() };
    if path.is_dir() && !file.is_file() {
        bail!(
            "{}: is a folder without {RUN_FILE}; name folders of runs (such as {}/*/), or their \
             files",
            path.display(),
            path.display()
        );
    }
    if !file.exists() && path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        bail!("{}: is no run; options stand before `--`", path.display());
    }
    let report = json::read(&file)?;
    Ok(measured(&report, &name(path))?)
}

/// How a run is called in reports: its folder, without the file that each of them has.
fn name(path: &Path) -> String {
    let own = match path.parent() {
        Some(folder) if path.ends_with(RUN_FILE) && !folder.as_os_str().is_empty() => folder,
        _ => path,
    };
    clean(&own.display().to_string(), MAX_NAME).trim_end_matches('/').to_owned()
}
