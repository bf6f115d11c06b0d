//! Files that are not packets, and need not be in the order of time: their exchanges are sorted
//! in a scratch file before the recording's start and its connections can be told.

use std::sync::atomic::Ordering;

use anyhow::bail;

use crate::capture::documents::{Documents, Settle};
use crate::capture::gor::read_gor;
use crate::capture::har::read_har;
use crate::capture::monitor::read_monitor;
use crate::capture::sessions::read_sessions;
use crate::capture::source::{Content, Source};
use crate::capture::vegeta::{Pace, read_targets};
use crate::cli::files::Scratch;
use crate::cli::load::{Options, ready};
use crate::recording::closings::Closings;
use crate::recording::file::reader::RecordingReader;
use crate::recording::file::writer::RecordingWriter;
use crate::recording::handshakes::Handshakes;
use crate::recording::ledger::Ledger;
use crate::recording::redaction::Redactor;
use crate::recording::{Exchange, FORMAT_VERSION, Header, Servers};

/// Imports files of one format; targets at a pace.
pub(super) fn from_documents(
    (content, pace): (Content, Option<Pace>),
    sources: Vec<Source>,
    writer: &mut RecordingWriter,
    redactor: &mut Option<Redactor>,
) -> anyhow::Result<(Header, Vec<String>)> {
    let scratch = Scratch::create()?;
    let mut sorting = RecordingWriter::create(&scratch.recording())?;
    let mut documents = read((content, pace), sources, &mut |exchange| {
        sorting.push(ready(exchange, redactor)).map_err(Into::into)
    })?;
    sorting.finish(header(&documents, 0))?;
    let (mut settle, mut exchanges) = (Settle::new(&documents), 0);
    for exchange in RecordingReader::open(&scratch.recording())?.exchanges(None) {
        writer.push(settle.settle(exchange?))?;
        exchanges += 1;
    }
    documents.ledger.note("requests that overlap on their connection, moved off", settle.moved);
    let mut header = header(&documents, settle.started_unix_ns());
    header.exchanges = exchanges;
    Ok((header, documents.warnings))
}

/// Targets have no times, and only they have none.
pub(super) fn pace(
    content: Content,
    sources: &[Source],
    options: &Options,
) -> anyhow::Result<Option<Pace>> {
    let name = sources.first().map_or("", Source::name);
    match (content, options.pace) {
        (Content::Targets, None) => bail!(
            "{name}: vegeta targets do not say when each was asked for; say how fast, such as \
             `peakhour import {name} --rate 100/s -o FILE`, or import a capture, a HAR or an \
             access log of that traffic"
        ),
        (Content::Targets, pace) => Ok(pace),
        (_, Some(_)) => bail!("{name}: has times of its own; --rate is for vegeta targets"),
        (_, None) => Ok(None),
    }
}

fn read(
    (content, pace): (Content, Option<Pace>),
    sources: Vec<Source>,
    sink: &mut dyn FnMut(Exchange) -> anyhow::Result<()>,
) -> anyhow::Result<Documents> {
    let mut failed = None;
    let stops: Vec<_> = sources.iter().map(Source::stop).collect();
    let mut push = |exchange: Exchange| {
        if failed.is_none() {
            failed = sink(exchange).err();
            for stop in stops.iter().filter(|_| failed.is_some()) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let documents = match (content, pace) {
        (_, Some(pace)) => read_targets(sources, pace, &mut push)?,
        (Content::Gor, _) => read_gor(sources, &mut push)?,
        (Content::Monitor, _) => read_monitor(sources, &mut push)?,
        (Content::Sessions, _) => read_sessions(sources, &mut push)?,
        _ => read_har(sources, &mut push)?,
    };
    failed.map_or(Ok(documents), Err)
}

fn header(documents: &Documents, started_unix_ns: i64) -> Header {
    Header {
        format_version: FORMAT_VERSION,
        origin: String::new(),
        started_unix_ns,
        duration_ns: 0,
        clock_resolution_ns: documents.clock_resolution_ns,
        exchanges: 0,
        connections: 0,
        servers: Servers::clone(&documents.servers),
        part: None,
        redacted_headers: Vec::new(),
        redaction: None,
        ledger: Ledger::clone(&documents.ledger),
        closings: Closings::default(),
        handshakes: Handshakes::default(),
    }
}
