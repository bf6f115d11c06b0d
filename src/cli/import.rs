//! `peakhour import`: a capture becomes a recording.

mod clocks;
mod dry;

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::capture::access_log::format::{Format, NAMES};
use crate::capture::access_log::template::Template;
use crate::capture::access_log::zone::Zone;
use crate::capture::source::{Content, MAX_UNPACKED, Source};
use crate::capture::tls::keylog;
use crate::capture::vegeta::Pace;
use crate::cli::accounts::partial;
use crate::cli::exit::Exit;
use crate::cli::files::longest_body;
use crate::cli::files::{Scratch, Unfinished, check_output, check_recording};
use crate::cli::import::clocks::ClockOffset;
use crate::cli::load::{self, ImportOutcome, Options};
use crate::cli::redact::{Secrets, told};
use crate::cli::{Voice, outputs};
use crate::recording::file::reader::RecordingReader;
use crate::recording::jsonl::write_line_of;
use crate::units::rate::{Rate, parse_rate};
use crate::units::{format_count, format_counted, parse_size};

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The captures: pcap, pcapng, HAR, `GoReplay`, sessions of Proxy Verifier, vegeta targets,
    /// JSON Lines or access logs, plain, gz or zst; `-` is standard input. Several are put in the
    /// order of time, whatever the order here: pieces of one capture, or captures of one time.
    /// Several recordings, such as the files of one `record --rotate`, become one.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// The recording to write.
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["jsonl", "dry_run"])]
    output: Option<PathBuf>,
    /// Write JSON Lines to this file instead; `-` is standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    jsonl: Option<PathBuf>,
    /// Read everything, say what would be imported and what became of every packet; write nothing.
    #[arg(long, conflicts_with_all = ["output", "jsonl"])]
    dry_run: bool,
    /// Unpack at most so many bytes of each compressed capture, such as `1TiB`: what comes behind
    /// is left out, and the recording is marked as partial; otherwise 256GiB.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_unpacked: Option<u64>,
    /// Keep bodies of requests in packets whole up to this size, on the disk where they are large;
    /// otherwise 16GiB. Of longer ones the first MiB is kept, and they are not replayed.
    #[arg(long, value_name = "SIZE", value_parser = longest_body)]
    longest_body: Option<u64>,
    /// Keep of each response's body a digest, and of JSON the names and types of its fields, so
    /// that replays are compared with them; see docs/responses.md.
    #[arg(long)]
    contents: bool,
    /// What happens to secrets.
    #[command(flatten)]
    secrets: Secrets,
    /// A key log (the file that programs write where `SSLKEYLOGFILE` says) of TLS connections in
    /// the captures; may be given several times. Secrets inside of a pcapng file are found without
    /// it.
    #[arg(long, value_name = "FILE")]
    keylog: Vec<PathBuf>,
    /// What the captures are, instead of telling it by their content: pcap, pcapng, har, gor,
    /// monitor (of Redis), sessions, vegeta, jsonl; or an access log: nginx (the common or combined
    /// format, stamped with the end of each request), apache (the same, stamped with the arrival),
    /// common, combined, json, nginx-json, caddy, traefik, envoy, haproxy, alb, elb, cloudfront,
    /// iis, w3c.
    #[arg(long, value_name = "NAME", value_parser = format_named, conflicts_with = "log_format")]
    format: Option<Given>,
    /// Read the captures as access logs of this format string, nginx' `log_format` or Apache's
    /// `LogFormat`.
    #[arg(long, value_name = "STRING", value_parser = format_written)]
    log_format: Option<Given>,
    /// How many vegeta targets are asked for in a second, or in another time: `100`, `100/1m`.
    /// They say what to ask for and not when.
    #[arg(long, value_name = "N[/TIME]", value_parser = parse_rate)]
    rate: Option<Rate>,
    /// Deal vegeta targets out over so many connections in turn, instead of one for each target.
    #[arg(long, value_name = "N", requires = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    connections: Option<u32>,
    /// Where the clocks of access logs stood whose times do not say, such as those of `HAProxy`:
    /// a name such as `Europe/Berlin`, or an offset such as `+02:00`; otherwise UTC.
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true, value_parser = Zone::parse)]
    time_zone: Option<Zone>,
    /// Move the times of one of the captures or logs, whose clock was behind (`+250ms`) or before
    /// (`-1s`) that of the others. May be given for several.
    #[arg(long, value_name = "CAPTURE=+TIME", value_parser = clocks::parse)]
    clock_offset: Vec<ClockOffset>,
}

/// What captures are, as the user says.
#[derive(Clone, Debug)]
enum Given {
    Content(Content),
    Log(Format),
}

impl Import {
    fn options(&self) -> anyhow::Result<Options> {
        Ok(Options {
            format: self.log_format().cloned(),
            pace: self.rate.map(|rate| Pace { rate, connections: self.connections }),
            zone: self.time_zone.clone(),
            keys: self.keys()?,
            longest_body: self.longest_body,
            contents: self.contents,
        })
    }

    fn log_format(&self) -> Option<&Format> {
        match self.log_format.as_ref().or(self.format.as_ref()) {
            Some(Given::Log(format)) => Some(format),
            _ => None,
        }
    }

    /// What the key logs hold. An error names the file, never what is in it.
    fn keys(&self) -> anyhow::Result<keylog::Secrets> {
        let mut secrets = keylog::Secrets::default();
        for path in &self.keylog {
            let mut read = |path: &Path| secrets.read(&mut BufReader::new(File::open(path)?));
            read(path).with_context(|| format!("cannot read the key log {}", path.display()))?;
        }
        Ok(secrets)
    }
}

fn format_named(name: &str) -> Result<Given, String> {
    if let Some((_, content)) = CONTENTS.iter().find(|(known, _)| *known == name) {
        return Ok(Given::Content(*content));
    }
    let names = || CONTENTS.iter().map(|(name, _)| *name).chain(NAMES).collect::<Vec<_>>();
    Format::named(name)
        .map(Given::Log)
        .ok_or_else(|| format!("the formats are {}", names().join(", ")))
}

/// Formats that are no access logs.
const CONTENTS: [(&str, Content); 8] = [
    ("pcap", Content::Pcap),
    ("pcapng", Content::Pcapng),
    ("har", Content::Har),
    ("gor", Content::Gor),
    ("monitor", Content::Monitor),
    ("sessions", Content::Sessions),
    ("vegeta", Content::Targets),
    ("jsonl", Content::JsonLines),
];

fn format_written(text: &str) -> Result<Given, String> {
    Template::parse(text).map(Format::Custom).map(Given::Log)
}

/// Runs `import`.
pub fn import(command: &Import, voice: Voice) -> anyhow::Result<Exit> {
    let stdins = command.captures.iter().filter(|path| path.as_os_str() == "-").count();
    if stdins > 1 {
        anyhow::bail!("standard input (-) can be read only once");
    }
    let mut sources =
        command.captures.iter().map(|path| load::open(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some(Given::Content(content)) = command.format {
        for source in &mut sources {
            source.read_as(content);
        }
    }
    for source in &mut sources {
        source.unpack_at_most(command.max_unpacked.unwrap_or(MAX_UNPACKED));
    }
    clocks::apply(&command.clock_offset, &command.captures, &mut sources)?;
    if command.dry_run {
        dry::read_only(sources, &command.options()?, command.secrets.redactor()?, voice)?;
        return Ok(Exit::Pass);
    }
    if let Some(lines) = &command.jsonl {
        return import_lines(command, sources, lines, voice);
    }
    let Some(output) = &command.output else {
        anyhow::bail!("name the recording to write with -o FILE");
    };
    check_recording(output, &command.captures)?;
    let _unfinished = Unfinished::recording(output)?;
    let redactor = command.secrets.redactor()?;
    let imported = load::import(sources, output, redactor, &command.options()?)?;
    warn(&imported, voice);
    let header = &imported.header;
    if let Some(partial) = partial(&header.ledger) {
        outputs::note(voice.quiet, &partial);
    }
    if let Some(redaction) = &header.redaction {
        outputs::note(voice.quiet, &told(redaction));
    }
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
        check_output(lines, &command.captures)?;
    }
    let scratch = Scratch::create()?;
    let redactor = command.secrets.redactor()?;
    let imported = load::import(sources, &scratch.recording(), redactor, &command.options()?)?;
    warn(&imported, voice);
    if let Some(redaction) = &imported.header.redaction {
        outputs::note(voice.quiet, &told(redaction));
    }
    let reader = RecordingReader::open(&scratch.recording())?;
    let mut out: Box<dyn Write> = if to_stdout {
        Box::new(BufWriter::new(std::io::stdout().lock()))
    } else {
        // As private as a recording.
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(lines);
        let file = file.with_context(|| format!("cannot write {}", lines.display()))?;
        Box::new(BufWriter::new(file))
    };
    match write_lines(&reader, &mut out) {
        // Whoever reads has enough: `peakhour import ... --jsonl - | head`.
        Err(error) if to_stdout && is_broken_pipe(&error) => Ok(Exit::Pass),
        Err(error) => Err(error.context(format!("cannot write {}", lines.display()))),
        Ok(cut) => {
            if cut > 0 {
                let bodies = format_counted(cut, "body is", "bodies are");
                let said =
                    format!("warning: {bodies} over 64 MiB and not in the lines: {TOO_LARGE}");
                outputs::note(voice.quiet, &said);
            }
            Ok(Exit::Pass)
        }
    }
}

/// What becomes of bodies that fit into no line.
const TOO_LARGE: &str = "their requests are marked as cut and would not be replayed; a recording \
                         (-o FILE) has them whole";

/// Returns how many bodies are too large for a line.
fn write_lines(reader: &RecordingReader, out: &mut dyn Write) -> anyhow::Result<u64> {
    let mut cut = 0;
    for exchange in reader.exchanges(None) {
        cut += u64::from(!write_line_of(&exchange?, &reader.header().handshakes, out)?);
    }
    out.flush()?;
    Ok(cut)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
