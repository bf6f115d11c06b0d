//! Several recordings become one: the files of one `record`, or recordings of one time.
//!
//! Each says when it began, so that they are put on one clock. Numbers of connections and of
//! sessions mean the same in the parts of one series, and are kept apart otherwise.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::bytes::fnv1a;
use crate::capture::source::Source;
use crate::recording::closings::{self, Closings};
use crate::recording::file::reader::RecordingReader;
use crate::recording::file::rows::Outline;
use crate::recording::file::writer::RecordingWriter;
use crate::recording::handshakes::{self, Handshakes};
use crate::recording::ledger::Ledger;
use crate::recording::redaction::{Redaction, Redactor};
use crate::recording::{FORMAT_VERSION, Header, Servers};
use crate::units::format_counted;

/// A recording that is read, and by how much its numbers of connections are moved.
struct Given {
    name: String,
    reader: RecordingReader,
    moved: u64,
}

/// Writes the exchanges of all recordings, and says what is known of them as a whole.
pub(super) fn from_recordings(
    sources: &[Source],
    writer: &mut RecordingWriter,
    redactor: &mut Option<Redactor>,
) -> anyhow::Result<(Header, Vec<String>)> {
    let mut all = Vec::new();
    for source in sources {
        let name = source.name().to_owned();
        let reader = RecordingReader::open(Path::new(&name)).with_context(|| {
            format!("{name}: several recordings are read from files that are not compressed")
        })?;
        all.push(Given { name, reader, moved: 0 });
    }
    all.sort_by_key(|given| given.reader.header().started_unix_ns);
    let warnings = parts(&all)?;
    refuse_twins(&all)?;
    tell_apart(&mut all)?;
    let started_unix_ns = all.first().map_or(0, |first| first.reader.header().started_unix_ns);
    if started_unix_ns == 0 && all.iter().any(|given| given.reader.header().started_unix_ns != 0) {
        let undated = all.first().map_or("", |first| &first.name);
        bail!("{undated}: has no date, so that it cannot be put beside recordings that have one");
    }
    let mut header = nothing(started_unix_ns);
    for given in &all {
        let shift_ns = given.reader.header().started_unix_ns.abs_diff(started_unix_ns);
        add(&mut header, given.reader.header(), shift_ns);
        let later = Duration::from_nanos(shift_ns);
        let unkept = header.closings.merge(&given.reader.header().closings, given.moved, later);
        header.ledger.note(closings::UNKEPT, unkept);
        let unkept = header.handshakes.merge(&given.reader.header().handshakes, given.moved);
        header.ledger.note(handshakes::UNKEPT, unkept);
        for exchange in given.reader.exchanges(None) {
            let mut exchange = exchange?;
            exchange.at = exchange.at.saturating_add(Duration::from_nanos(shift_ns));
            exchange.connection =
                exchange.connection.checked_add(given.moved).with_context(|| too_large(given))?;
            exchange.session = apart(exchange.session, given.moved);
            if let Some(redactor) = &mut *redactor {
                redactor.redact_once(&mut exchange);
            }
            writer.push(exchange)?;
        }
    }
    for kept in [&mut header.servers.authorities, &mut header.redacted_headers] {
        kept.sort_unstable();
        kept.dedup();
    }
    header.servers.addresses.sort_unstable();
    header.servers.addresses.dedup();
    Ok((header, warnings))
}

/// Refuses a part that is given twice, and warns of those that are missing in between.
fn parts(all: &[Given]) -> anyhow::Result<Vec<String>> {
    let mut by_series: BTreeMap<&str, BTreeMap<u64, &str>> = BTreeMap::new();
    for given in all {
        let Some(part) = &given.reader.header().part else { continue };
        let series = by_series.entry(&part.series).or_default();
        if let Some(other) = series.insert(part.number, &given.name) {
            bail!("{other} and {} are the same part of one recording", given.name);
        }
    }
    let mut warnings = Vec::new();
    for series in by_series.values() {
        let pairs = series.iter().zip(series.iter().skip(1));
        for ((number, before), (next, after)) in pairs {
            let missing = next - number - 1;
            if missing > 0 {
                warnings.push(format!("between {before} and {after}, {missing} parts are missing"));
            }
        }
    }
    Ok(warnings)
}

/// Refuses what is given twice under whatever name: its load would count double, and nobody would
/// see it. Without a date nothing says that two recordings are of one time.
fn refuse_twins(all: &[Given]) -> anyhow::Result<()> {
    let dated = |given: &&Given| given.reader.header().started_unix_ns != 0;
    for (position, given) in all.iter().enumerate().filter(|(_, given)| dated(given)) {
        for other in &all[..position] {
            let [one, two] = [other, given].map(|each| each.reader.header());
            let as_long = one.started_unix_ns == two.started_unix_ns
                && (one.duration_ns, one.exchanges) == (two.duration_ns, two.exchanges);
            if as_long && is_same(other, given)? {
                bail!(
                    "{} and {} hold the same {}, of the same moments: name each recording once \
                     (a larger load is for `scale` in a scenario)",
                    other.name,
                    given.name,
                    format_counted(one.exchanges, "exchange", "exchanges")
                );
            }
        }
    }
    Ok(())
}

/// Whether all requests came at the same moments, at the same places of their connections, and they
/// and their answers are as large. What they asked for may be redacted with another key.
fn is_same(one: &Given, two: &Given) -> anyhow::Result<bool> {
    let seen = |it: &Outline| {
        let place = (it.at, it.connection, it.seq, it.method.clone());
        let answer = (it.status, it.response_body_bytes, it.first_byte, it.last_byte);
        (place, it.request_body_bytes, answer)
    };
    let mut others = two.reader.outlines(None);
    for outline in one.reader.outlines(None) {
        let (outline, Some(other)) = (outline?, others.next().transpose()?) else {
            return Ok(false);
        };
        if seen(&outline) != seen(&other) {
            return Ok(false);
        }
    }
    Ok(others.next().is_none())
}

/// Moves the numbers of connections of one series behind those of another.
fn tell_apart(all: &mut [Given]) -> anyhow::Result<()> {
    // What stands alone is a series of its own.
    let series: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(position, given)| match &given.reader.header().part {
            Some(part) => format!("series {}", part.series),
            None => format!("alone {position}"),
        })
        .collect();
    // One series alone is moved behind nothing.
    if series.iter().all(|name| Some(name) == series.first()) {
        return Ok(());
    }
    let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for (given, series) in all.iter().zip(&series) {
        if !highest.contains_key(series.as_str()) {
            order.push(series);
        }
        let highest = highest.entry(series).or_default();
        for outline in given.reader.outlines(None) {
            *highest = outline?.connection.max(*highest);
        }
    }
    let mut moved = BTreeMap::new();
    let mut next = 0_u64;
    for series in order {
        moved.insert(series, next);
        let count = highest.get(series).copied().unwrap_or(0).saturating_add(1);
        next = next.saturating_add(count);
    }
    for (given, series) in all.iter_mut().zip(&series) {
        given.moved = moved.get(series.as_str()).copied().unwrap_or(0);
    }
    Ok(())
}

/// The number of a session in a series whose connections are moved. Without cookies it was made of
/// its connection's number, which another series has as well. So a cookie that was sent in two
/// series counts as two clients.
fn apart(session: u64, moved: u64) -> u64 {
    match moved {
        0 => session,
        _ => fnv1a(session.to_le_bytes().into_iter().chain(moved.to_le_bytes())),
    }
}

fn too_large(given: &Given) -> String {
    format!("{}: its connections have numbers too large to be put beside others", given.name)
}

fn nothing(started_unix_ns: i64) -> Header {
    Header {
        format_version: FORMAT_VERSION,
        origin: String::new(),
        started_unix_ns,
        duration_ns: 0,
        clock_resolution_ns: 0,
        exchanges: 0,
        connections: 0,
        servers: Servers::default(),
        redacted_headers: Vec::new(),
        redaction: None,
        ledger: Ledger::default(),
        closings: Closings::default(),
        handshakes: Handshakes::default(),
        part: None,
    }
}

/// Adds what is known of another recording, which began `shift_ns` later.
fn add(all: &mut Header, other: &Header, shift_ns: u64) {
    all.duration_ns = all.duration_ns.max(other.duration_ns.saturating_add(shift_ns));
    all.clock_resolution_ns = all.clock_resolution_ns.max(other.clock_resolution_ns);
    all.exchanges = all.exchanges.saturating_add(other.exchanges);
    all.servers.authorities.extend(other.servers.authorities.iter().cloned());
    all.servers.addresses.extend(other.servers.addresses.iter().copied());
    all.redacted_headers.extend(other.redacted_headers.iter().cloned());
    Redaction::join(&mut all.redaction, other.redaction.as_ref());
    all.ledger.merge(&other.ledger);
}
