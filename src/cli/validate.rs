//! `peakhour validate`: is the load of one recording that of another one?

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::exit::Exit;
use crate::cli::load::load;
use crate::cli::report::style;
use crate::cli::{Voice, outputs};
use crate::recording::Header;
use crate::recording::file::reader::RecordingReader;
use crate::report::files::write_whole_with;
use crate::report::html::likeness::write;
use crate::report::likeness::{Compared, SCHEMA_VERSION, json, terminal};
use crate::scenario::Tier;
use crate::shape::likeness::{Pairs, Side, Verdict, judge};
use crate::shape::profile::{Profile, Profiler};
use crate::stats::counts::as_f64;
use crate::stats::histograms::nanoseconds;

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub struct Validate {
    /// The load as it should be: a recording, or a capture that `import` reads.
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
        Verdict::Faithful => Exit::Pass,
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
    let to_stdout = command.json.as_deref() == Some(Path::new("-"));
    if let Some(file) = command.json.as_ref().filter(|_| !to_stdout) {
        let text = json(&compared)?;
        whole(file, |out| out.write_all(text.as_bytes()))?;
    }
    if to_stdout {
        outputs::result(&json(&compared)?);
    } else if voice.quiet {
        let likeness = &compared.likeness;
        outputs::result(&format!("{}  {}\n", likeness.verdict.word(), likeness.statement));
    } else {
        outputs::result(&terminal(&compared, style(voice)));
    }
    Ok(exit)
}

/// Writes a file that is there whole, or not at all.
fn whole(
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

/// A recording, read.
struct Read {
    profile: Profile,
    clock_step_ns: u64,
    lost: f64,
    warnings: Vec<String>,
}

impl Read {
    fn side(&self) -> Side<'_> {
        Side { profile: &self.profile, clock_step_ns: self.clock_step_ns, lost: self.lost }
    }
}

fn read(path: &Path) -> anyhow::Result<Read> {
    let loaded = load(path)?;
    let header = loaded.reader.header();
    let name = path.display();
    let warnings = loaded.warnings.iter().map(|warning| format!("{name}: {warning}"));
    let mut warnings: Vec<String> = warnings.collect();
    let cuts = header.ledger.cuts();
    if !cuts.is_empty() {
        warnings.push(format!("{name}: not all of the input: {}", cuts.join(", ")));
    }
    Ok(Read {
        profile: profile(&loaded.reader)?,
        clock_step_ns: header.clock_resolution_ns,
        lost: lost(header),
        warnings,
    })
}

/// The share of messages that came in and became no exchange.
fn lost(header: &Header) -> f64 {
    let messages = header.ledger.messages.total;
    if messages == 0 {
        return 0.0;
    }
    as_f64(messages.saturating_sub(header.exchanges)) / as_f64(messages)
}

fn profile(reader: &RecordingReader) -> anyhow::Result<Profile> {
    let mut profiler = Profiler::default();
    let mut sights = reader.sights();
    for sight in sights.by_ref() {
        profiler.add(&sight?);
    }
    Ok(profiler.finish(sights.names()))
}
