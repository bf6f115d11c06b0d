//! `--out KIND=FILE`: a report in a place of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::anyhow;

use crate::cli::files::check_output;
use crate::report::files::{write_whole, write_whole_with};
use crate::report::model::Report;
use crate::report::{html, json};

/// One `--out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    kind: Kind,
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Html,
    Json,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "write KIND=FILE with the kind html or json, such as html=peak.html";
        let (kind, file) = text.split_once('=').ok_or(wanted)?;
        let kind = match kind {
            "html" => Kind::Html,
            "json" => Kind::Json,
            _ => return Err(format!("unknown kind `{kind}`: {wanted}")),
        };
        if file.is_empty() {
            return Err(wanted.to_owned());
        }
        Ok(Self { kind, file: PathBuf::from(file) })
    }
}

impl Output {
    /// Fails before a run where its report could not be written after it.
    pub fn check(&self) -> anyhow::Result<()> {
        check_output(&self.file, &[])
    }
}

/// Writes one report where it was asked for, whole or not at all.
pub fn write_output(report: &Report, output: &Output) -> anyhow::Result<PathBuf> {
    let folder = match output.file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name =
        output.file.file_name().and_then(OsStr::to_str).ok_or_else(|| {
            anyhow!("cannot write {}: name a file with --out", output.file.display())
        })?;
    let written = match output.kind {
        Kind::Html => write_whole_with(folder, name, |file| html::write(report, file)),
        Kind::Json => write_whole(folder, name, json::render(report)?.as_bytes()),
    };
    Ok(written?)
}
