//! The folder of a run. Files appear whole or not at all: they are written under another name,
//! flushed to disk and renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use crate::report::ReportError;
use crate::report::model::Report;
use crate::report::{html, json, junit, markdown};

/// Makes the folder `base/name` and proves that files can be written into it, so that a run does
/// not end with nowhere to put its report. Where the name is taken, `-2`, `-3` ... is added.
pub fn prepare_folder(base: &Path, name: &str) -> Result<PathBuf, ReportError> {
    if !is_plain_name(name) {
        return Err(ReportError::Name { name: name.to_owned() });
    }
    fs::create_dir_all(base)
        .map_err(|source| ReportError::Folder { path: base.to_owned(), source })?;
    let folder = create_free_folder(base, name)?;
    let probe = folder.join("probe.inprogress");
    write_and_sync(&probe, |file| file.write_all(b"probe"))
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|source| ReportError::Folder { path: folder.clone(), source })?;
    Ok(folder)
}

/// Writes every report of a run into its folder, and returns those for people first; what only
/// programs read is not named.
pub fn write_reports(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    // The saved run goes first: every other report can be written again from it.
    let run = write_whole(folder, RUN_FILE, json::render(report)?.as_bytes())?;
    write_whole(folder, "junit.xml", junit::render(report)?.as_bytes())?;
    write_whole(folder, "report.md", markdown::render(report).as_bytes())?;
    let page = write_whole_with(folder, HTML_FILE, |file| html::write(report, file))?;
    Ok(vec![page, run])
}

/// Name of the saved run within its folder.
pub const RUN_FILE: &str = "run.json";

/// Name of the page within the folder of a run.
pub const HTML_FILE: &str = "report.html";

/// Writes `folder/name` whole or not at all, replacing what was there.
pub fn write_whole(folder: &Path, name: &str, content: &[u8]) -> Result<PathBuf, ReportError> {
    write_whole_with(folder, name, |file| file.write_all(content))
}

/// The same for what is made while it is written.
pub fn write_whole_with(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<PathBuf, ReportError> {
    if !is_plain_name(name) {
        return Err(ReportError::Name { name: name.to_owned() });
    }
    let path = folder.join(name);
    let in_progress = folder.join(format!("{name}.inprogress"));
    let written = write_and_sync(&in_progress, write)
        .and_then(|()| fs::rename(&in_progress, &path))
        .and_then(|()| sync_folder(folder));
    match written {
        Ok(()) => Ok(path),
        Err(source) => {
            // What is left of it is worthless; that it may not be there at all is no news.
            let _ = fs::remove_file(&in_progress);
            Err(ReportError::Write { path, source })
        }
    }
}

fn create_free_folder(base: &Path, name: &str) -> Result<PathBuf, ReportError> {
    let plain = base.join(name);
    for number in 1..=MAX_SIBLINGS {
        let path = if number == 1 { plain.clone() } else { base.join(format!("{name}-{number}")) };
        // Creation is the test: two runs that start at once never share a folder.
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(ReportError::Folder { path, source }),
        }
    }
    Err(ReportError::Crowded { path: plain, last: MAX_SIBLINGS })
}

/// Runs of one name; a nightly job with a name of its own a day never comes near.
const MAX_SIBLINGS: u32 = 1_000;

fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let one_name = matches!(components.next(), Some(Component::Normal(only)) if only == name);
    one_name && components.next().is_none() && !name.chars().any(char::is_control)
}

fn write_and_sync(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write(&mut file)?;
    file.into_inner()?.sync_all()
}

/// A rename is on disk when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
