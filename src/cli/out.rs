//! `--out KIND=FILE`: a report in a place of its own.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::anyhow;

use crate::cli::files::check_output;
use crate::cli::outputs;
use crate::report::files::write_whole_with;
use crate::report::model::Report;
use crate::report::{annotations, html, json, junit, markdown};

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
    Junit,
    Markdown,
    Github,
    Gitlab,
}

const KINDS: [(&str, Kind); 6] = [
    ("html", Kind::Html),
    ("json", Kind::Json),
    ("junit", Kind::Junit),
    ("markdown", Kind::Markdown),
    ("github", Kind::Github),
    ("gitlab", Kind::Gitlab),
];

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || {
            let names = KINDS.map(|(name, _)| name).join(", ");
            format!("write KIND=FILE, such as html=peak.html or github=-; the kinds are {names}")
        };
        let (kind, file) = text.split_once('=').ok_or_else(wanted)?;
        let Some((_, found)) = KINDS.iter().find(|(name, _)| *name == kind) else {
            let kind: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(format!("unknown kind `{kind}`: {}", wanted()));
        };
        if file.is_empty() {
            return Err(wanted());
        }
        Ok(Self { kind: *found, file: PathBuf::from(file) })
    }
}

impl Output {
    /// Fails before a run where its report could not be written after it.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.is_standard() { Ok(()) } else { check_output(&self.file, &[]) }
    }

    fn is_standard(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let text = match self.kind {
            Kind::Html => return html::write(report, out),
            Kind::Json => json::render(report),
            Kind::Junit => junit::render(report),
            Kind::Markdown => Ok(markdown::render(report)),
            Kind::Github => Ok(annotations::github(report)),
            Kind::Gitlab => annotations::gitlab(report),
        };
        out.write_all(text.map_err(io::Error::other)?.as_bytes())
    }
}

/// Writes one report where it was asked for, whole or not at all: its file, where it has one, and
/// else standard output.
pub fn write_output(report: &Report, output: &Output) -> anyhow::Result<Option<PathBuf>> {
    if output.is_standard() {
        let mut text = Vec::new();
        output.write(report, &mut text)?;
        outputs::result(&String::from_utf8_lossy(&text));
        return Ok(None);
    }
    let folder = match output.file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name =
        output.file.file_name().and_then(OsStr::to_str).ok_or_else(|| {
            anyhow!("cannot write {}: name a file with --out", output.file.display())
        })?;
    Ok(Some(write_whole_with(folder, name, |file| output.write(report, file))?))
}
