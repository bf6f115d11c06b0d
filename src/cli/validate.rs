//! `peakhour validate`: is the load of one recording that of another one?

mod side;

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::exit::Exit;
use crate::cli::report::style;
use crate::cli::validate::side::read;
use crate::cli::{Voice, outputs};
use crate::report::files::write_whole_with;
use crate::report::html::likeness::write;
use crate::report::likeness::{Compared, SCHEMA_VERSION, json, terminal};
use crate::scenario::Tier;
use crate::shape::likeness::{Pairs, Verdict, judge};
use crate::stats::histograms::nanoseconds;

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub struct Validate {
    /// The load as it should be: a recording, a capture that `import` reads, or a saved run.
    #[arg(value_name = "REFERENCE")]
    reference: PathBuf,
    /// The load as it was: what the target received, from any tool.
    #[arg(value_name = "OTHER")]
    other: PathBuf,
    /// Tolerances: strict (bare metal), standard, or ci (shared machines).
    #[arg(long, value_name = "TIER", default_value = "standard", env = "PEAKHOUR_TOLERANCE")]
    #[arg(value_parser = super::checked(crate::scenario::load::tolerance, "PEAKHOUR_TOLERANCE"))]
    tolerance: Tier,
    /// Never set requests against each other one by one: both are samples of a load.
    #[arg(long)]
    unpaired: bool,
    /// Also write a page with charts.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Also write everything as JSON; `-` prints it instead of the text.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs `validate`.
pub fn validate(command: &Validate, voice: Voice) -> anyhow::Result<Exit> {
    // Each file on a thread of its own: most of the time goes into reading them.
    let (reference, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| read(&command.other));
        let reference = read(&command.reference);
        let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (reference, other)
    });
    let (reference, other) = (reference?, other?);
    let pairs = if command.unpaired { Pairs::Never } else { Pairs::IfReplay };
    let likeness = judge(reference.side(), other.side(), command.tolerance.tolerances(), pairs);
    let exit = match likeness.verdict {
        Verdict::Faithful | Verdict::FaithfulWhereTold { .. } => Exit::Pass,
        Verdict::FaithfulFrom { .. } | Verdict::Degraded => Exit::Failed,
        Verdict::Invalid => Exit::Invalid,
    };
    let compared = Compared {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        reference: command.reference.display().to_string(),
        other: command.other.display().to_string(),
        requests: [&reference, &other].map(|read| read.profile.shape.total),
        length_ns: [&reference, &other].map(|read| nanoseconds(read.profile.length)),
        exit_code: exit.code(),
        likeness,
        warnings: [reference.warnings, other.warnings].concat(),
    };
    if let Some(file) = &command.html {
        whole(file, |out| write(&compared, out))?;
    }
    let people = if voice.quiet {
        let likeness = &compared.likeness;
        format!("{}  {}\n", likeness.verdict.word(), likeness.statement)
    } else {
        terminal(&compared, style(voice))
    };
    tell(&json(&compared)?, command.json.as_deref(), &people)?;
    Ok(exit)
}

/// Writes the JSON to its file, where there is one, and prints what is for people; or prints the
/// JSON alone, where its file is standard output.
pub(super) fn tell(json: &str, file: Option<&Path>, people: &str) -> anyhow::Result<()> {
    let to_stdout = file == Some(Path::new("-"));
    if let Some(file) = file.filter(|_| !to_stdout) {
        whole(file, |out| out.write_all(json.as_bytes()))?;
    }
    outputs::result(if to_stdout { json } else { people });
    Ok(())
}

/// Writes a file that is there whole, or not at all.
pub(super) fn whole(
    file: &Path,
    content: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{}: is no name of a file to write", file.display()))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    write_whole_with(folder.unwrap_or(Path::new(".")), name, content)?;
    Ok(())
}
