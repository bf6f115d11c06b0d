//! One function a reader of what others wrote. Each takes any bytes at all and holds that reading
//! them ends without a panic, adds up, is the same twice, and yields what can be redacted,
//! recorded and exchanged.
//!
//! The targets of `fuzz/` call the same functions.

#[path = "script.rs"]
pub(crate) mod script;
#[path = "found.rs"]
mod found;

use std::io::{Cursor, Write};

use bytes::Bytes;
use peakhour::capture::access_log::connections::Connections;
use peakhour::capture::access_log::format::Format;
use peakhour::capture::access_log::read_logs;
use peakhour::capture::access_log::sample::Log;
use peakhour::capture::access_log::template::Template;
use peakhour::capture::documents::{Documents, Settle};
use peakhour::capture::gor::read_gor;
use peakhour::capture::har::read_har;
use peakhour::capture::import::{Found, Import, Imported, read_capture, read_capture_with};
use peakhour::capture::monitor::read_monitor;
use peakhour::capture::sessions::read_sessions;
use peakhour::capture::source::{Content, Source};
use peakhour::capture::tcp::{Data, End, Event, Link, Mark, Side, What};
use peakhour::capture::tls::keylog::Secrets;
use peakhour::capture::vegeta::{Pace, read_targets};
use peakhour::capture::{ACK, CaptureError, FIN, RST, SYN, Segment};
use peakhour::protocol::http2::hpack::{Decoder, MAX_TABLE};
use peakhour::recording::Exchange;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::jsonl::read_lines;
use peakhour::units::rate::parse_rate;

use found::{ends, exchanges_of, plain, redactable, source, survives, twice, written_and_drawn};

/// A capture file, with everything in it.
pub fn pcap(bytes: &[u8]) {
    let read = |found: &mut Vec<Found>| {
        read_capture(vec![source(bytes)?], &mut |one| found.push(one)).ok()
    };
    capture(read);
}

/// Frames of a link type, which the first two bytes say; each frame is a piece of a script.
pub fn packet(bytes: &[u8]) {
    let Some((link, script)) = bytes.split_first_chunk::<2>() else { return };
    let frames: Vec<(u8, Vec<u8>)> =
        script::pieces(script).into_iter().map(|(cut, frame)| (cut, frame.to_vec())).collect();
    pcap(&script::pcap(u16::from_le_bytes(*link), &frames));
}

/// Segments of one connection.
pub fn tcp(bytes: &[u8]) {
    capture(|found| {
        let (mut import, mut next, mut at_ns) = (Import::default(), [1_000_u32, 5_000], START_NS);
        for (control, piece) in script::pieces(bytes) {
            let is = |bit: u8| control & bit != 0;
            at_ns += if is(script::LATER) { 60_000_000_000 } else { 1_000_000 };
            let own = usize::from(control & script::SECOND);
            let (mut seq, mut payload) = (next[own], piece);
            if let (true, Some((distance, rest))) =
                (is(script::ASTRAY), piece.split_first_chunk::<2>())
            {
                seq = seq.wrapping_add_signed(i16::from_le_bytes(*distance).into());
                payload = rest;
            }
            let length = u32::try_from(payload.len()).unwrap();
            let kept = if is(script::SNAPPED) { payload.len() / 2 } else { payload.len() };
            let bits = [(script::STALE, SYN), (script::GAP, FIN), (script::END, RST)];
            let ack = if is(script::SILENT) { 0 } else { ACK };
            let set = bits.iter().filter(|(bit, _)| is(*bit));
            let flags = set.fold(ack, |all, (_, flag)| all | flag);
            let ends = ends();
            import.segment(
                &Segment {
                    at_ns,
                    source: ends[own],
                    destination: ends[1 - own],
                    seq,
                    ack: next[1 - own],
                    flags,
                    payload: &payload[..kept],
                    cut_bytes: u32::try_from(payload.len() - kept).unwrap(),
                },
                &mut |one| found.push(one),
            );
            if !is(script::ASTRAY) {
                let numbered = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
                next[own] = next[own].wrapping_add(length).wrapping_add(numbered);
            }
        }
        Some(import.finish(&mut |one| found.push(one)))
    });
}

/// A conversation in HTTP/1.
pub fn http1(bytes: &[u8]) {
    stream(bytes);
}

/// A conversation in HTTP/2.
pub fn http2(bytes: &[u8]) {
    stream(bytes);
}

/// Header blocks of HTTP/2, pieces of a script: those of a connection, and of one whose beginning
/// was not seen.
pub fn hpack(bytes: &[u8]) {
    for begin in [Decoder::new, Decoder::in_the_middle] {
        twice(|| {
            let mut decoder = begin();
            let mut decode = |block| {
                let read = decoder.decode(block);
                assert!(decoder.kept() <= MAX_TABLE, "the table holds {} bytes", decoder.kept());
                read
            };
            Some(script::pieces(bytes).iter().map(|(_, block)| decode(block)).collect::<Vec<_>>())
        });
    }
}

/// A conversation in TLS: the first piece is a key log, the others are segments.
pub fn tls(bytes: &[u8]) {
    let pieces = script::pieces(bytes);
    let Some(((_, log), segments)) = pieces.split_first() else { return };
    let (mut next, mut frames) = ([1_000_u32, 5_000], Vec::new());
    for (control, payload) in segments {
        let own = usize::from(control & script::SECOND);
        if control & script::GAP == 0 {
            let flags = if control & script::END == 0 { ACK } else { ACK | FIN };
            let numbers = [next[own], next[1 - own]];
            frames.push((0, script::frame(control & script::SECOND, flags, numbers, payload)));
        }
        next[own] = next[own].wrapping_add(u32::try_from(payload.len()).unwrap());
    }
    let file = script::pcap(script::RAW_IP, &frames);
    capture(|found| {
        let mut secrets = Secrets::default();
        secrets.read(&mut Cursor::new(log)).ok()?;
        read_capture_with(vec![source(&file)?], secrets, None, true, &mut |one| found.push(one))
            .ok()
    });
}

/// A conversation with Redis.
pub fn resp(bytes: &[u8]) {
    stream(bytes);
}

/// A conversation with MySQL or `MariaDB`.
pub fn mysql(bytes: &[u8]) {
    stream(bytes);
}

/// A conversation with PostgreSQL.
pub fn postgres(bytes: &[u8]) {
    stream(bytes);
}

/// A HAR file.
pub fn har(bytes: &[u8]) {
    documents(bytes, Content::Har, read_har);
}

/// A file of `GoReplay`.
pub fn gor(bytes: &[u8]) {
    documents(bytes, Content::Gor, read_gor);
}

/// Sessions of Proxy Verifier.
pub fn sessions(bytes: &[u8]) {
    documents(bytes, Content::Sessions, read_sessions);
}

/// Targets of vegeta.
pub fn targets(bytes: &[u8]) {
    for connections in [None, Some(2)] {
        let pace = Pace { rate: parse_rate("50/s").unwrap(), connections };
        documents(bytes, Content::Targets, |sources, sink| read_targets(sources, pace, sink));
    }
}

/// What Redis tells a client that monitors it.
pub fn monitor(bytes: &[u8]) {
    documents(bytes, Content::Monitor, read_monitor);
}

/// Exchanges as JSON Lines.
pub fn jsonl(bytes: &[u8]) {
    let read = || {
        let mut found = Vec::new();
        let mut keep = |exchange| {
            found.push(exchange);
            Ok(())
        };
        let imported = read_lines(&mut Cursor::new(bytes), "lines", &mut keep).ok()?;
        Some((found, imported))
    };
    let Some((found, imported)) = twice(read) else { return };
    assert!(imported.ledger.reconciles(), "{:#?}", imported.ledger);
    survives(found);
}

/// A log in the common format and its descendants.
pub fn log_common(bytes: &[u8]) {
    log(bytes, &Format::named("combined").unwrap());
}

/// A log of JSON objects.
pub fn log_json(bytes: &[u8]) {
    log(bytes, &Format::named("json").unwrap());
}

/// A log in W3C's extended format.
pub fn log_w3c(bytes: &[u8]) {
    log(bytes, &Format::named("w3c").unwrap());
}

/// A log of an application load balancer.
pub fn log_alb(bytes: &[u8]) {
    log(bytes, &Format::named("alb").unwrap());
}

/// A log of a classic load balancer.
pub fn log_elb(bytes: &[u8]) {
    log(bytes, &Format::named("elb").unwrap());
}

/// A log of Envoy.
pub fn log_envoy(bytes: &[u8]) {
    log(bytes, &Format::named("envoy").unwrap());
}

/// A log of `HAProxy`.
pub fn log_haproxy(bytes: &[u8]) {
    log(bytes, &Format::named("haproxy").unwrap());
}

/// A log in a format that its first line says, as nginx or Apache write it.
pub fn log_template(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return };
    let Ok(template) = Template::parse(text) else { return };
    log(bytes.get(end + 1..).unwrap_or_default(), &Format::Custom(template));
}

/// A log whose format is told by its lines.
pub fn log_detected(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').take(64).collect();
    if let Some(format) = Format::detect(&lines) {
        log(bytes, &format);
    }
}

/// A recording.
pub fn recording(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let read = || {
        let reader = RecordingReader::open(file.path()).ok()?;
        let rows: Vec<Exchange> = reader.exchanges(None).collect::<Result<_, _>>().ok()?;
        let outlines = reader.outlines(None).map(|row| row.is_ok()).collect::<Vec<bool>>();
        let sizes = reader.body_sizes().map(|row| row.is_ok()).collect::<Vec<bool>>();
        assert_eq!(reader.header().exchanges, rows.len() as u64);
        let whole = rows.iter().flat_map(|row| &row.request_stored).map(|it| it.check().is_ok());
        assert_eq!(reader.sights().map(Result::unwrap).count(), rows.len());
        Some((outlines, sizes, whole.collect::<Vec<bool>>(), rows))
    };
    if let Some((.., rows)) = twice(read) {
        rows.into_iter().for_each(redactable);
    }
}

/// What is searched for secrets: a head, a body and a target, pieces of a script.
pub fn redaction(bytes: &[u8]) {
    let pieces = script::pieces(bytes);
    let piece = |at: usize| pieces.get(at).map_or(&b""[..], |(_, piece)| *piece);
    let target = String::from_utf8_lossy(piece(2)).into_owned();
    redactable(Exchange {
        request_head: Bytes::copy_from_slice(piece(0)),
        request_body: Bytes::copy_from_slice(piece(1)),
        request_body_bytes: piece(1).len() as u64,
        request_chunks: None,
        route: target.clone(),
        target,
        ..plain()
    });
}

/// A model's file: what is read is written and read alike, and what is drawn of it is recorded.
pub fn model(bytes: &[u8]) {
    twice(|| found::model(bytes)).iter().for_each(written_and_drawn);
}

/// Moments of scripts begin here: in the year 2020.
const START_NS: i64 = 1_577_836_800_000_000_000;

/// What was found in packets: it adds up, and it survives.
fn capture(read: impl Fn(&mut Vec<Found>) -> Option<Imported>) {
    let outcome = twice(|| {
        let mut found = Vec::new();
        read(&mut found).map(|imported| (found, imported))
    });
    let Some((found, imported)) = outcome else { return };
    assert!(imported.ledger.reconciles(), "{:#?}", imported.ledger);
    assert_eq!(found.len() as u64, imported.exchanges + imported.orphans);
    survives(exchanges_of(found));
}

/// A conversation, event by event, that needs no reassembly.
fn stream(bytes: &[u8]) {
    let pieces = script::pieces(bytes);
    let is_known = pieces.first().is_some_and(|(control, _)| control & script::SILENT == 0);
    let link =
        Link { number: 0, ends: ends(), client: is_known.then_some(Side::First), resumed: None };
    capture(|found| {
        let (mut import, mut at_ns) = (Import::default(), START_NS);
        let (mut offsets, mut ended) = ([0_u64; 2], [false; 2]);
        let mut tell = |side, what| {
            import.event(0, &Event { link, side, what }, &mut |one| found.push(one));
        };
        for (tick, (control, piece)) in (0..).zip(&pieces) {
            let is = |bit: u8| control & bit != 0;
            at_ns += if is(script::LATER) { 60_000_000_000 } else { 1_000_000 };
            let side = if is(script::SECOND) { Side::Second } else { Side::First };
            if ended[side.index()] {
                continue;
            }
            let offset = offsets[side.index()];
            let ack = (!is(script::SILENT)).then_some(offsets[side.other().index()]);
            let mark = Mark { at_ns, tick, offset, ack };
            if !is(script::GAP) && !piece.is_empty() {
                tell(side, What::Data(Data { mark, bytes: piece, fresh: !is(script::STALE) }));
                offsets[side.index()] += piece.len() as u64;
            } else if let (true, Some(missing)) = (is(script::GAP), piece.first_chunk::<3>()) {
                let missing =
                    u64::from(u32::from_le_bytes([missing[0], missing[1], missing[2], 0]));
                tell(side, What::Gap(missing.max(1)));
                offsets[side.index()] += missing.max(1);
            }
            if is(script::END) {
                ended[side.index()] = true;
                tell(side, What::End(if is(script::LATER) { End::Reset } else { End::Fin }));
            }
        }
        for side in [Side::First, Side::Second] {
            if !ended[side.index()] {
                tell(side, What::End(End::Cut));
            }
        }
        tell(Side::First, What::Closed);
        Some(import.finish(&mut |one| found.push(one)))
    });
}

fn documents(
    bytes: &[u8],
    content: Content,
    read: impl Fn(Vec<Source>, &mut dyn FnMut(Exchange)) -> Result<Documents, CaptureError>,
) {
    let outcome = twice(|| {
        let mut source = source(bytes)?;
        source.read_as(content);
        let mut found = Vec::new();
        let documents = read(vec![source], &mut |one| found.push(one)).ok()?;
        Some((found, documents))
    });
    let Some((mut found, documents)) = outcome else { return };
    assert!(documents.ledger.reconciles(), "{:#?}", documents.ledger);
    assert!(found.len() as u64 <= documents.ledger.messages.total);
    found.sort_by_key(|exchange| exchange.at);
    let mut settle = Settle::new(&documents);
    survives(found.into_iter().map(|exchange| settle.settle(exchange)).collect());
}

fn log(bytes: &[u8], format: &Format) {
    let outcome = twice(|| {
        let log = Log::open(source(bytes)?, Some(format)).ok()?.ok()?;
        let mut found = Vec::new();
        let mut keep = |exchange| {
            found.push(exchange);
            Ok(())
        };
        let imported = read_logs(vec![log], &mut keep).ok()?;
        Some((found, imported))
    });
    let Some((mut found, imported)) = outcome else { return };
    assert!(imported.ledger.reconciles(), "{:#?}", imported.ledger);
    assert_eq!(found.len() as u64, imported.ledger.messages.total);
    found.sort_by_key(|exchange| (exchange.at, exchange.connection, exchange.seq));
    let mut connections = Connections::new(imported.clock_resolution_ns);
    for exchange in &mut found {
        connections.place(exchange);
    }
    survives(found);
}
