//! Whatever a user names as a recording, opened as one: captures are imported first.

mod documents;
mod logs;
pub mod models;
mod recordings;

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::bail;

use crate::capture::access_log::format::Format;
use crate::capture::access_log::sample::Sampled;
use crate::capture::access_log::zone::Zone;
use crate::capture::import::{Found, read_capture_with};
use crate::capture::source::{Content, Source};
use crate::capture::tls::keylog::Secrets;
use crate::capture::vegeta::Pace;
use crate::cli::files::Scratch;
use crate::cli::load::documents::from_documents;
use crate::cli::load::logs::{Input, from_logs, told};
use crate::cli::load::models::{draw_into, is_model};
use crate::cli::load::recordings::from_recordings;
use crate::cli::redact::redactor_of;
use crate::cli::{Voice, outputs};
use crate::recording::closings::Closings;
use crate::recording::file::reader::RecordingReader;
use crate::recording::file::writer::RecordingWriter;
use crate::recording::jsonl::read_lines;
use crate::recording::redaction::{Redaction, Redactor};
use crate::recording::stored::spool::{LONGEST, Spool};
use crate::recording::{Exchange, FORMAT_VERSION, Header, Servers};

/// A recording, and the scratch file it may stand in.
#[derive(Debug)]
pub struct Loaded {
    /// The recording's file.
    pub path: PathBuf,
    /// Its reader.
    pub reader: RecordingReader,
    /// What went wrong on the way in, for people; empty for a recording.
    pub warnings: Vec<String>,
    _scratch: Option<Scratch>,
}

/// Opens a capture or a recording.
pub fn open(path: &Path) -> anyhow::Result<Source> {
    if path.is_dir() {
        bail!("{}: is a folder; name a recording or a capture in it", path.display());
    }
    Ok(Source::open(path)?)
}

/// Opens a recording, or imports a capture, or draws from a model, into a scratch file that goes
/// away with the result.
pub fn load(path: &Path) -> anyhow::Result<Loaded> {
    loaded(path, |path| redactor_of(path).map(Some))
}

/// The same without replacing secrets: for what is looked at and not kept. Two files that are
/// replaced each with a key of its own could not be compared.
pub fn load_as_it_is(path: &Path) -> anyhow::Result<Loaded> {
    loaded(path, |_| Ok(None))
}

fn loaded(
    path: &Path,
    redactor: impl FnOnce(&Path) -> anyhow::Result<Option<Redactor>>,
) -> anyhow::Result<Loaded> {
    if is_model(path) {
        let scratch = Scratch::create()?;
        let warnings = draw_into(path, &scratch.recording())?;
        return opened(scratch.recording(), warnings, Some(scratch));
    }
    let source = open(path)?;
    if source.content() == Content::Parquet {
        return opened(path.to_owned(), Vec::new(), None);
    }
    let (scratch, redactor) = (Scratch::create()?, redactor(path)?);
    let imported = import(vec![source], &scratch.recording(), redactor, &Options::default())?;
    opened(scratch.recording(), imported.warnings, Some(scratch))
}

/// Opens a recording, or imports a capture into `into`, where it stays. A large one takes minutes,
/// so it is announced.
pub fn load_into(path: &Path, into: &Path, voice: Voice) -> anyhow::Result<Loaded> {
    if is_model(path) {
        outputs::note(voice.quiet, &format!("drawing from {}", path.display()));
        let warnings = draw_into(path, into)?;
        return opened(into.to_owned(), warnings, None);
    }
    let source = open(path)?;
    if source.content() == Content::Parquet {
        return opened(path.to_owned(), Vec::new(), None);
    }
    outputs::note(voice.quiet, &format!("importing {}", path.display()));
    let imported = import(vec![source], into, Some(redactor_of(path)?), &Options::default())?;
    opened(into.to_owned(), imported.warnings, None)
}

fn opened(
    path: PathBuf,
    warnings: Vec<String>,
    scratch: Option<Scratch>,
) -> anyhow::Result<Loaded> {
    let reader = RecordingReader::open(&path)?;
    Ok(Loaded { path, reader, warnings, _scratch: scratch })
}

/// What an import yields.
#[derive(Debug)]
pub struct ImportOutcome {
    /// The footer that was written.
    pub header: Header,
    /// Sentences for people about what is wrong with the input.
    pub warnings: Vec<String>,
}

/// What the user says of captures that is not in them.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The captures are logs of this format.
    pub format: Option<Format>,
    /// How fast targets are asked for, which have no times.
    pub pace: Option<Pace>,
    /// Where the clocks of logs stood whose times do not say.
    pub zone: Option<Zone>,
    /// Secrets of TLS connections.
    pub keys: Secrets,
    /// Longest body of a request in packets that is kept whole; [`LONGEST`] unless it is named.
    pub longest_body: Option<u64>,
}

/// Imports captures of one kind. Exchanges are redacted where there is what does it.
pub fn import(
    sources: Vec<Source>,
    recording: &Path,
    mut redactor: Option<Redactor>,
    options: &Options,
) -> anyhow::Result<ImportOutcome> {
    if let ([recording], Some(Content::Parquet)) = (&*sources, sources.first().map(Source::content))
    {
        bail!(
            "{name}: is a recording already, if it is one of ours; look at it with `peakhour \
             inspect {name}`, or name it in a scenario",
            name = recording.name()
        );
    }
    let names: Vec<String> = sources.iter().map(|source| source.name().to_owned()).collect();
    let origin = names.join(", ");
    let content = sources.first().map_or(Content::Unknown, Source::content);
    let input = told(sources, options.format.as_ref())?;
    refuse_unused(&input, options)?;
    let mut writer = RecordingWriter::create(recording)?;
    let (mut header, warnings) = match input {
        Input::Packets(sources) => {
            let spool = Spool::beside(recording).up_to(options.longest_body.unwrap_or(LONGEST));
            let with = (options.keys.clone(), Arc::new(spool));
            from_packets(sources, with, &mut writer, &mut redactor)?
        }
        Input::Documents(content, sources) => {
            let pace = documents::pace(content, &sources, options)?;
            from_documents((content, pace), sources, &mut writer, &mut redactor)?
        }
        Input::Logs(mut logs) => {
            for log in &mut logs {
                log.zone.clone_from(&options.zone);
            }
            from_logs(logs, &mut writer, &mut redactor)?
        }
        Input::Lines(sources) => from_lines(sources, &mut writer, &mut redactor)?,
        Input::Recordings(sources) => from_recordings(&sources, &mut writer, &mut redactor)?,
    };
    refuse_empty(&origin, content, &header, &warnings)?;
    header.origin = origin;
    if let Some(redactor) = redactor {
        header.redacted_headers = redactor.headers();
        let mut account = redactor.account();
        // Of recordings that are put together; what was not searched then was looked at again.
        if let Some(before) = header.redaction.take() {
            account.merge(&Redaction { not_searched: Vec::new(), ..before });
        }
        header.redaction = Some(account);
    }
    Ok(ImportOutcome { header: writer.finish(header)?, warnings })
}

/// Zones are for times without one, and clocks are set right where times are read one by one;
/// bodies are kept whole where they come in pieces.
fn refuse_unused(input: &Input, options: &Options) -> anyhow::Result<()> {
    if options.longest_body.is_some() && !matches!(input, Input::Packets(_)) {
        bail!("--longest-body is for packets: in other captures bodies are as long as they are");
    }
    let is_shifted = |source: &&Source| source.clock_shift_ns() != 0;
    let shifted = match input {
        Input::Packets(_) | Input::Logs(_) => None,
        Input::Documents(_, sources) | Input::Recordings(sources) => {
            sources.iter().find(is_shifted)
        }
        Input::Lines(sources) => sources.iter().map(|lines| lines.get_ref().1).find(is_shifted),
    };
    if let Some(source) = shifted {
        bail!("{}: --clock-offset is for packets and access logs", source.name());
    }
    if options.zone.is_some() && !matches!(input, Input::Logs(_)) {
        bail!("--time-zone is for access logs: the times of other captures have their zone");
    }
    Ok(())
}

/// What the files hold: pieces of one capture are of one format.
fn one_content(sources: &[Source]) -> anyhow::Result<Content> {
    let is_packets = |content| matches!(content, Content::Pcap | Content::Pcapng);
    let Some(first) = sources.first() else {
        return Ok(Content::Unknown);
    };
    let content = first.content();
    let differs = |source: &&Source| {
        source.content() != content && !(is_packets(source.content()) && is_packets(content))
    };
    if let Some(other) = sources.iter().find(differs) {
        bail!(
            "{} and {} are of different formats; import each on its own, or say what they are \
             with --format",
            first.name(),
            other.name()
        );
    }
    Ok(content)
}

fn from_packets(
    sources: Vec<Source>,
    (keys, spool): (Secrets, Arc<Spool>),
    writer: &mut RecordingWriter,
    redactor: &mut Option<Redactor>,
) -> anyhow::Result<(Header, Vec<String>)> {
    let mut failed = None;
    let stops: Vec<_> = sources.iter().map(Source::stop).collect();
    let imported = read_capture_with(sources, keys, Some(spool), &mut |found| {
        if let (Found::Exchange(exchange), None) = (found, &failed) {
            failed = writer.push(ready(exchange, redactor)).err();
            for stop in stops.iter().filter(|_| failed.is_some()) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let header = Header {
        format_version: FORMAT_VERSION,
        origin: String::new(),
        started_unix_ns: imported.started_unix_ns,
        duration_ns: imported.duration_ns,
        clock_resolution_ns: imported.clock_resolution_ns,
        exchanges: imported.exchanges,
        connections: imported.connections,
        servers: imported.servers,
        part: None,
        redacted_headers: Vec::new(),
        redaction: None,
        ledger: imported.ledger,
        closings: imported.closings,
        handshakes: imported.handshakes,
    };
    Ok((header, imported.warnings))
}

/// JSON Lines carry offsets only: the start has no wall clock, and the end is that of the last
/// byte they mention.
fn from_lines(
    sources: Vec<Sampled>,
    writer: &mut RecordingWriter,
    redactor: &mut Option<Redactor>,
) -> anyhow::Result<(Header, Vec<String>)> {
    let [source] = <[_; 1]>::try_from(sources)
        .map_err(|_| anyhow::anyhow!("several files of JSON Lines cannot be imported together"))?;
    let name = source.get_ref().1.name().to_owned();
    let (mut exchanges, mut last_ns, mut connections) = (0, 0, BTreeSet::new());
    let mut input = BufReader::new(source);
    let read = read_lines(&mut input, &name, &mut |mut exchange| {
        exchanges += 1;
        connections.insert(exchange.connection);
        let last = exchange.response.as_ref().and_then(|response| response.last_byte);
        let end = exchange.at + last.unwrap_or_default();
        last_ns = last_ns.max(u64::try_from(end.as_nanos()).unwrap_or(u64::MAX));
        if let Some(redactor) = &mut *redactor {
            // Lines may come from a recording.
            redactor.redact_once(&mut exchange);
        }
        writer.push(exchange)
    });
    let source = &input.get_ref().get_ref().1;
    let mut imported = match (read, source.damage()) {
        (Err(error), Some(damage)) => bail!("{error} ({damage})"),
        (read, _) => read?,
    };
    let damage = source.note_damage(&mut imported.ledger);
    let bad = imported.ledger.frames.count("line not understood");
    let first_bad = imported.first_bad.iter();
    let mut warnings: Vec<String> = first_bad
        .map(|line| format!("{name}: {bad} lines were not understood; the first: {line}"))
        .collect();
    warnings.extend(damage.map(|damage| format!("{name}: {damage}")));
    let header = Header {
        format_version: FORMAT_VERSION,
        origin: String::new(),
        started_unix_ns: 0,
        duration_ns: last_ns,
        clock_resolution_ns: 1,
        exchanges,
        connections: connections.len() as u64,
        servers: Servers { authorities: imported.servers.authorities, addresses: Vec::new() },
        part: None,
        redacted_headers: Vec::new(),
        redaction: None,
        ledger: imported.ledger,
        closings: Closings::default(),
        handshakes: imported.handshakes,
    };
    Ok((header, warnings))
}

fn ready(mut exchange: Exchange, redactor: &mut Option<Redactor>) -> Exchange {
    if let Some(redactor) = redactor {
        redactor.redact(&mut exchange);
    }
    exchange
}

/// A capture with nothing to replay is an input error; what it does hold says where to look.
fn refuse_empty(
    origin: &str,
    content: Content,
    header: &Header,
    warnings: &[String],
) -> anyhow::Result<()> {
    if header.exchanges > 0 {
        return Ok(());
    }
    let frames = &header.ledger.frames;
    if content != Content::Pcap && content != Content::Pcapng {
        if let Some(warning) = warnings.first() {
            bail!("no exchange inside: {warning} (records: {})", listed(&frames.buckets));
        }
        bail!(
            "{origin}: no exchange inside ({}); check that it is whole, and what it is with \
             --format",
            listed(&frames.buckets)
        );
    }
    let buckets = listed(&frames.buckets);
    let bytes = listed(&header.ledger.stream_bytes.buckets);
    let cut = warnings.first().map_or(String::new(), |warning| format!(" ({warning})"));
    let tcp = frames.count("tcp payload") + frames.count("tcp without payload");
    if tcp == 0 {
        bail!(
            "{origin}: no TCP inside ({buckets}); capture the server's port, for example: \
             tcpdump -i any -s 0 -w peak.pcap 'tcp port 80'{cut}"
        );
    }
    let sealed = |bucket: &str| bucket.starts_with("tls") && bucket != "tls, decrypted";
    if header.ledger.stream_bytes.buckets.keys().any(|bucket| sealed(bucket)) {
        bail!(
            "{origin}: TCP but no exchange inside of any protocol that is read ({PROTOCOLS}; \
             stream bytes: {bytes}); what is in TLS is read with the key log of either end: \
             --keylog FILE{cut}"
        );
    }
    bail!(
        "{origin}: TCP but no exchange inside of any protocol that is read ({PROTOCOLS}; stream \
         bytes: {bytes}); capture in front of the server where the traffic is not encrypted, in \
         both directions, with -s 0{cut}"
    );
}

/// What is read from streams.
const PROTOCOLS: &str = "HTTP/1, HTTP/2, Redis, MySQL, PostgreSQL";

/// The buckets of an account as one line of text.
pub fn listed(buckets: &std::collections::BTreeMap<String, u64>) -> String {
    if buckets.is_empty() {
        return "nothing".to_owned();
    }
    let parts: Vec<String> =
        buckets.iter().map(|(name, count)| format!("{name} {count}")).collect();
    parts.join(", ")
}
