//! `--out KIND=TARGET`: a report in a place of its own, or the numbers of a run while it goes on.

pub(crate) mod collector;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{anyhow, bail};

use crate::cli::files::check_output;
use crate::cli::out::collector::{AUTHORIZATION, Collector, Form};
use crate::cli::outputs;
use crate::report::files::write_whole_with;
use crate::report::model::Report;
use crate::report::{annotations, html, json, junit, markdown};

/// One `--out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output(To);

#[derive(Clone, Debug, PartialEq, Eq)]
enum To {
    /// A report, once the run is over.
    File(Kind, PathBuf),
    /// Numbers, while it goes on.
    Live(Collector),
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

const FORMS: [(&str, Form); 2] = [("remote-write", Form::RemoteWrite), ("otlp", Form::Otlp)];

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || {
            let names = KINDS.map(|(name, _)| name).join(", ");
            let live = FORMS.map(|(name, _)| name).join(" and ");
            format!(
                "write KIND=FILE, such as html=peak.html or github=-; the kinds are {names}, and \
                 KIND=URL for {live}"
            )
        };
        let (kind, file) = text.split_once('=').ok_or_else(wanted)?;
        if let Some((_, form)) = FORMS.iter().find(|(name, _)| *name == kind) {
            let header = std::env::var(AUTHORIZATION).ok().filter(|value| !value.is_empty());
            return Collector::parse(*form, file, header.as_deref()).map(|to| Self(To::Live(to)));
        }
        let Some((_, found)) = KINDS.iter().find(|(name, _)| *name == kind) else {
            let kind: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(format!("unknown kind `{kind}`: {}", wanted()));
        };
        if file.is_empty() {
            return Err(wanted());
        }
        Ok(Self(To::File(*found, PathBuf::from(file))))
    }
}

impl Output {
    /// Fails before a run where its report could not be written after it.
    pub fn check(&self) -> anyhow::Result<()> {
        match &self.0 {
            To::File(_, file) if !is_standard(file) => check_output(file, &[]),
            _ => Ok(()),
        }
    }

    /// Fails where it is about a run that goes on: this one is over.
    pub fn check_later(&self) -> anyhow::Result<()> {
        if let To::Live(collector) = &self.0 {
            bail!(
                "--out: nothing is sent to {collector} of a run that is over; give it to \
                 `peakhour run`"
            );
        }
        self.check()
    }

    /// It goes to standard output, where nothing else may stand beside it.
    pub fn is_printed(&self) -> bool {
        matches!(&self.0, To::File(_, file) if is_standard(file))
    }

    /// Where numbers are sent while a run goes on.
    pub(crate) fn collector(&self) -> Option<&Collector> {
        match &self.0 {
            To::Live(collector) => Some(collector),
            To::File(..) => None,
        }
    }
}

fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn write(kind: Kind, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let text = match kind {
        Kind::Html => return html::write(report, out),
        Kind::Json => json::render(report),
        Kind::Junit => junit::render(report),
        Kind::Markdown => Ok(markdown::render(report)),
        Kind::Github => Ok(annotations::github(report)),
        Kind::Gitlab => annotations::gitlab(report),
    };
    out.write_all(text.map_err(io::Error::other)?.as_bytes())
}

/// Writes one report where it was asked for, whole or not at all: its file, where it has one, and
/// else standard output.
pub fn write_output(report: &Report, output: &Output) -> anyhow::Result<Option<PathBuf>> {
    let To::File(kind, file) = &output.0 else { return Ok(None) };
    if is_standard(file) {
        let mut text = Vec::new();
        write(*kind, report, &mut text)?;
        outputs::result(&String::from_utf8_lossy(&text));
        return Ok(None);
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = file
        .file_name()
        .and_then(OsStr::to_str)
        .ok_or_else(|| anyhow!("cannot write {}: name a file with --out", file.display()))?;
    Ok(Some(write_whole_with(folder, name, |out| write(*kind, report, out))?))
}
