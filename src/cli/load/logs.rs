//! Access logs on their way into a recording.

use anyhow::{Context, bail};

use crate::capture::access_log::connections::Connections;
use crate::capture::access_log::format::Format;
use crate::capture::access_log::read_logs;
use crate::capture::access_log::sample::{Log, Sampled};
use crate::capture::source::{Content, Source};
use crate::cli::load::{one_content, ready};
use crate::recording::closings::Closings;
use crate::recording::file::writer::RecordingWriter;
use crate::recording::handshakes::Handshakes;
use crate::recording::ledger::guess;
use crate::recording::redaction::Redactor;
use crate::recording::{FORMAT_VERSION, Header};

/// Input by what it holds.
pub(super) enum Input {
    /// Frames of a network.
    Packets(Vec<Source>),
    /// Files of one format that are not packets.
    Documents(Content, Vec<Source>),
    /// Access logs, several of which are merged by time.
    Logs(Vec<Log>),
    /// Recordings, several of which are put together.
    Recordings(Vec<Source>),
    /// JSON Lines, with the bytes that were looked at in front.
    Lines(Vec<Sampled>),
}

/// Tells what sources hold, by their first bytes or lines. A format that was given needs no
/// telling.
pub(super) fn told(sources: Vec<Source>, given: Option<&Format>) -> anyhow::Result<Input> {
    let is_text = |content| matches!(content, Content::JsonLines | Content::Unknown);
    if given.is_none() && !sources.first().is_some_and(|first| is_text(first.content())) {
        return Ok(match one_content(&sources)? {
            content @ (Content::Har
            | Content::Gor
            | Content::Monitor
            | Content::Sessions
            | Content::Targets) => Input::Documents(content, sources),
            Content::Parquet => Input::Recordings(sources),
            _ => Input::Packets(sources),
        });
    }
    let (mut logs, mut others) = (Vec::new(), Vec::new());
    for source in sources {
        let name = source.name().to_owned();
        let log = Log::open(source, given).with_context(|| format!("{name}: cannot be read"))?;
        match log {
            Ok(log) => logs.push(log),
            Err(other) if other.get_ref().1.content() == Content::JsonLines => others.push(other),
            Err(other) => return Err(other.get_ref().1.not_a_capture().into()),
        }
    }
    match (logs.first(), others.first()) {
        (Some(log), Some(other)) => bail!(
            "{} is an access log and {} is not: import them one by one",
            log.name,
            other.get_ref().1.name()
        ),
        (Some(_), None) => Ok(Input::Logs(logs)),
        _ => Ok(Input::Lines(others)),
    }
}

/// Lines are in the order in which requests ended, so that connections are told apart only after
/// sorting by arrival.
pub(super) fn from_logs(
    logs: Vec<Log>,
    writer: &mut RecordingWriter,
    redactor: &mut Option<Redactor>,
) -> anyhow::Result<(Header, Vec<String>)> {
    writer.hold_back();
    let mut imported = read_logs(logs, &mut |exchange| writer.push(ready(exchange, redactor)))?;
    let mut connections = Connections::new(imported.clock_resolution_ns);
    writer.sort(&mut |exchange| connections.place(exchange))?;
    imported.ledger.note(guess::LOG, connections.guessed);
    imported.ledger.note("clients forgotten while they may have been there", connections.forgotten);
    let header = Header {
        format_version: FORMAT_VERSION,
        origin: String::new(),
        started_unix_ns: i64::try_from(connections.start().as_nanos()).unwrap_or(i64::MAX),
        duration_ns: 0,
        clock_resolution_ns: imported.clock_resolution_ns,
        exchanges: imported.ledger.messages.total,
        connections: 0,
        servers: imported.servers,
        part: None,
        redacted_headers: Vec::new(),
        redaction: None,
        ledger: imported.ledger,
        closings: Closings::default(),
        handshakes: Handshakes::default(),
    };
    Ok((header, imported.warnings))
}
