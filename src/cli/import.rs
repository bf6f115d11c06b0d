//! `peakhour import`: a capture becomes a recording.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use crate::capture::source::Source;
use crate::cli::exit::Exit;
use crate::cli::load::{self, ImportOutcome, check_not_an_input, check_writable};
use crate::cli::{Voice, outputs};
use crate::recording::file::reader::RecordingReader;
use crate::recording::jsonl::write_line;
use crate::units::format_count;

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The captures: pcap, pcapng or JSON Lines, plain, gz or zst; `-` is standard input. Several
    /// are read one after the other, as the pieces of one capture.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// The recording to write.
    #[arg(short, long, value_name = "FILE", required_unless_present = "jsonl")]
    output: Option<PathBuf>,
    /// Write JSON Lines to this file instead; `-` is standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    jsonl: Option<PathBuf>,
    /// Keep credentials (cookies, Authorization, tokens) as they were captured. The recording then
    /// holds secrets of your users.
    #[arg(long)]
    keep_secrets: bool,
}

/// Runs `import`.
pub fn import(command: &Import, voice: Voice) -> anyhow::Result<Exit> {
    let sources =
        command.captures.iter().map(|path| load::open(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some(lines) = &command.jsonl {
        return import_lines(command, sources, lines, voice);
    }
    let Some(output) = &command.output else {
        anyhow::bail!("name the recording to write with -o FILE");
    };
    check_writable(output)?;
    check_not_an_input(output, &command.captures)?;
    let imported = load::import(sources, output, !command.keep_secrets)?;
    warn(&imported, voice);
    let header = &imported.header;
    outputs::note(
        voice.quiet,
        &format!(
            "{} exchanges on {} connections -> {file}\nwhat became of every packet: \
             peakhour inspect {file}",
            format_count(header.exchanges),
            format_count(header.connections),
            file = output.display()
        ),
    );
    Ok(Exit::Pass)
}

fn warn(imported: &ImportOutcome, voice: Voice) {
    for warning in &imported.warnings {
        outputs::note(voice.quiet, &format!("warning: {warning}"));
    }
}

/// JSON Lines are written in the order of time, so they go through a recording first.
fn import_lines(
    command: &Import,
    sources: Vec<Source>,
    lines: &std::path::Path,
    voice: Voice,
) -> anyhow::Result<Exit> {
    let to_stdout = lines == std::path::Path::new("-");
    if !to_stdout {
        check_writable(lines)?;
        check_not_an_input(lines, &command.captures)?;
    }
    let scratch = load::scratch();
    warn(&load::import(sources, scratch.path(), !command.keep_secrets)?, voice);
    let reader = RecordingReader::open(scratch.path())?;
    let mut out: Box<dyn Write> = if to_stdout {
        Box::new(std::io::BufWriter::new(std::io::stdout().lock()))
    } else {
        let file = std::fs::File::create(lines)
            .with_context(|| format!("cannot write {}", lines.display()))?;
        Box::new(std::io::BufWriter::new(file))
    };
    for exchange in reader.exchanges(None) {
        write_line(&exchange?, &mut out)
            .with_context(|| format!("cannot write {}", lines.display()))?;
    }
    out.flush().with_context(|| format!("cannot write {}", lines.display()))?;
    Ok(Exit::Pass)
}
