//! What mutations begin with: pieces of the repository's captures and of the corpus, in the form
//! that each reader takes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use peakhour::capture::access_log::format::Format;
use peakhour::capture::import::{Found, read_capture};
use peakhour::capture::pcap::FrameReader;
use peakhour::capture::segments::read_segments;
use peakhour::capture::source::Source;
use peakhour::capture::tcp::{Event, Reassembly, Side, What};
use peakhour::capture::{FIN, RST, SYN, Segment};
use peakhour::recording::Exchange;
use peakhour::recording::file::writer::RecordingWriter;
use peakhour::recording::jsonl::write_line;
use peakhour::recording::ledger::Ledger;
use peakhour::recording::stored::spool::Spool;
use peakhour::report::model::Report;

use super::literals::LITERALS;
use super::readers::script;
use crate::capture_mutations::{captures, unpacked};
use crate::exchanges::{header, plain};
use crate::report_sample::full::full;
use crate::report_sample::{failing, invalid, passing};
use crate::support::{corpus, root};

/// Most bytes of a seed: small ones are mutated more thoroughly.
const SEED_BYTES: usize = 12_000;

/// Most seeds of a reader, taken evenly from all that there are.
const SEEDS: usize = 120;

type Seeds = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// The seeds of a reader.
pub(crate) fn seeds(reader: &str) -> &'static [Vec<u8>] {
    static ALL: OnceLock<Seeds> = OnceLock::new();
    ALL.get_or_init(all).get(reader).map_or(&[], Vec::as_slice)
}

fn all() -> Seeds {
    let mut seeds = Seeds::new();
    for (reader, text) in LITERALS {
        seeds.entry(reader).or_default().push(text.to_vec());
    }
    for path in captures() {
        if let Some(bytes) = unpacked(&path) {
            frames(&bytes, &mut seeds);
            conversations(&bytes, &key_log(&path), &mut seeds);
            if bytes.len() <= 4 * SEED_BYTES {
                seeds.entry("pcap").or_default().push(bytes);
            }
        }
    }
    let formats = fs::read(root().join("tests/it/access_logs/formats.txt")).unwrap();
    for text in formats.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"=>")) {
        log(text, &mut seeds);
    }
    for path in texts() {
        let bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "har" || extension == "json") {
            let front = &bytes[..bytes.len().min(4 * SEED_BYTES)];
            seeds.entry("har").or_default().push(front.to_vec());
        } else {
            let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').take(40).collect();
            log(&lines.join(&b'\n'), &mut seeds);
        }
    }
    recordings(&mut seeds);
    for report in [passing(), failing(), invalid(), full()] {
        // Seconds of a run are all alike.
        let report = Report { series: Vec::new(), ..report };
        seeds.entry("run").or_default().push(serde_json::to_vec(&report).unwrap());
    }
    for seeds in seeds.values_mut() {
        seeds.sort();
        seeds.dedup();
        let step = seeds.len().div_ceil(SEEDS).max(1);
        *seeds = std::mem::take(seeds).into_iter().step_by(step).collect();
    }
    seeds
}

fn texts() -> Vec<PathBuf> {
    let folders =
        ["PerfCascade", "har-to-k6", "hargo", "lnav", "matomo-log-analytics", "mitmproxy"];
    let folders = folders.iter().filter_map(|name| Some(corpus()?.join(name)));
    let mut found: Vec<PathBuf> = folders
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

/// Logs go to the reader of their format, and to the one that detects it.
fn log(text: &[u8], seeds: &mut Seeds) {
    let text = &text[..text.len().min(SEED_BYTES)];
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let reader = match Format::detect(&lines) {
        Some(Format::Common(_)) => "log_common",
        Some(Format::Json(_)) => "log_json",
        Some(Format::W3c(_)) => "log_w3c",
        Some(Format::Alb) => "log_alb",
        Some(Format::Elb) => "log_elb",
        Some(Format::Envoy) => "log_envoy",
        Some(Format::Haproxy) => "log_haproxy",
        Some(Format::Custom(_)) | None => return,
    };
    seeds.entry(reader).or_default().push(text.to_vec());
    seeds.entry("log_detected").or_default().push(text.to_vec());
}

/// The first frames of a capture, as far as they have one link type.
fn frames(bytes: &[u8], seeds: &mut Seeds) {
    let Ok(mut frames) = FrameReader::new(Cursor::new(bytes), "seed") else { return };
    let (mut link, mut script) = (None, Vec::new());
    while let Ok(Some(frame)) = frames.next() {
        let first = *link.get_or_insert(frame.link);
        if first != frame.link || script.len() + frame.data.len() > SEED_BYTES / 4 {
            break;
        }
        script::push(&mut script, 0, frame.data);
    }
    if let Some(link) = link.and_then(|link| u16::try_from(link.0).ok()) {
        let seed = [&link.to_le_bytes()[..], &script].concat();
        seeds.entry("packet").or_default().push(seed);
    }
}

/// The key log of a capture of the corpus, if it has one.
fn key_log(path: &Path) -> Vec<u8> {
    let log = || {
        let corpus = corpus()?;
        let name = path.strip_prefix(&corpus).ok()?.to_string_lossy().replace('/', "__");
        fs::read(corpus.join(format!("keys/{name}.keys"))).ok()
    };
    log().unwrap_or_default()
}

/// Segments and events of each connection; those of TLS with the key log.
fn conversations(bytes: &[u8], log: &[u8], seeds: &mut Seeds) {
    let Ok(source) = Source::from_reader("seed", Box::new(Cursor::new(bytes.to_vec()))) else {
        return;
    };
    let (mut ledger, mut unused) = (Ledger::default(), Ledger::default());
    let mut reassembly = Reassembly::default();
    let (mut talks, mut events) = (BTreeMap::new(), BTreeMap::new());
    let mut take = |event: Event<'_>, _: &mut Ledger| {
        let talk: &mut Talk = events.entry(event.link.number).or_default();
        talk.event(&event);
    };
    let _ = read_segments(source, &mut unused, &mut |one| {
        let (from, to) = (one.source.min(one.destination), one.source.max(one.destination));
        let talk: &mut Talk = talks.entry((from, to)).or_default();
        talk.segment(one);
        reassembly.segment(one, &mut ledger, &mut take);
    });
    reassembly.finish(&mut ledger, &mut take);
    for talk in talks.into_values().take(4) {
        if talk.has_data() {
            seeds.entry("tcp").or_default().push(talk.script);
        }
    }
    for talk in events.into_values() {
        header_blocks(&talk.script, seeds);
        match talk.reader() {
            Some("tls") => {
                let mut seed = vec![0];
                seed.extend(log);
                seed.extend(script::MARK);
                seed.extend(talk.script);
                seeds.entry("tls").or_default().push(seed);
            }
            Some(reader) => seeds.entry(reader).or_default().push(talk.script),
            None => {}
        }
    }
}

/// The header blocks of each side, where it speaks HTTP/2.
fn header_blocks(talk: &[u8], seeds: &mut Seeds) {
    for side in [0, script::SECOND] {
        let pieces = script::pieces(talk);
        let own = pieces.iter().filter(|(control, _)| control & script::SECOND == side);
        let stream: Vec<u8> = own.flat_map(|(_, piece)| piece.iter().copied()).collect();
        let mut rest = stream.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap_or(&stream);
        let mut blocks = Vec::new();
        while let Some((head, behind)) = rest.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, behind)) = behind.split_at_checked(length) else { break };
            let without_padding = head[4] & 0x28 == 0 && head[3] == 1;
            if without_padding {
                script::push(&mut blocks, 0, payload);
            }
            rest = behind;
        }
        if !blocks.is_empty() {
            seeds.entry("hpack").or_default().push(blocks);
        }
    }
}

/// A conversation that is being written down.
#[derive(Default)]
struct Talk {
    script: Vec<u8>,
    /// Who sent first, where that is known by an address: the side of the script is theirs.
    first: Option<std::net::SocketAddr>,
    ports: [u16; 2],
    /// The first bytes of each side.
    heads: [Vec<u8>; 2],
}

impl Talk {
    fn has_data(&self) -> bool {
        self.heads.iter().any(|head| !head.is_empty())
    }

    fn push(&mut self, control: u8, bytes: &[u8]) {
        let head = &mut self.heads[usize::from(control & script::SECOND)];
        if head.is_empty() && control & script::GAP == 0 {
            *head = bytes[..bytes.len().min(24)].to_vec();
        }
        let room = SEED_BYTES.saturating_sub(self.script.len());
        if room > 0 {
            script::push(&mut self.script, control, &bytes[..bytes.len().min(room)]);
        }
    }

    fn segment(&mut self, one: &Segment<'_>) {
        let first = *self.first.get_or_insert(one.source);
        let bits = [(SYN, script::STALE), (FIN, script::GAP), (RST, script::END)];
        let flags = bits.iter().filter(|(flag, _)| one.flags & flag != 0).map(|(_, bit)| bit);
        let control = flags.fold(u8::from(one.source != first), |all, bit| all | bit);
        self.push(control, one.payload);
    }

    fn event(&mut self, event: &Event<'_>) {
        self.ports = event.link.ends.map(|end| end.port());
        let side = u8::from(event.side == Side::Second);
        match event.what {
            What::Data(data) => {
                let stale = if data.fresh { 0 } else { script::STALE };
                self.push(side | stale, data.bytes);
            }
            What::Gap(missing) => {
                let missing = u32::try_from(missing).unwrap_or(u32::MAX).min(0xff_ffff);
                self.push(side | script::GAP, &missing.to_le_bytes()[..3]);
            }
            What::End(_) => self.push(side | script::END, &[]),
            What::Closed => {}
        }
    }

    /// Who reads it, told by its first bytes or by its port: seeds may be wrong.
    fn reader(&self) -> Option<&'static str> {
        let is = |begins: &dyn Fn(&[u8]) -> bool| self.heads.iter().any(|head| begins(head));
        let by_port = |port| self.has_data() && self.ports.contains(&port);
        if is(&|head| head.starts_with(b"\x16\x03")) {
            Some("tls")
        } else if is(&|head| head.starts_with(b"PRI * HTTP/2")) {
            Some("http2")
        } else if by_port(3306) || is(&|head| head.get(3..5) == Some(&[0, 10])) {
            Some("mysql")
        } else if by_port(5432) || is(&|head| head.get(4..8) == Some(&[0, 3, 0, 0])) {
            Some("postgres")
        } else if by_port(6379) || is(&|head| head.starts_with(b"*") && head.contains(&b'$')) {
            Some("resp")
        } else if is(&|head| head.windows(5).any(|five| five == b"HTTP/") || head.contains(&b'/')) {
            Some("http1")
        } else {
            None
        }
    }
}

/// Recordings, their lines, and what is searched for secrets.
fn recordings(seeds: &mut Seeds) {
    let mut exchanges: Vec<Exchange> = (0..3).map(|number| plain(9, 1, number)).collect();
    let captured = root().join("captures/nginx-first/peak.pcap.gz");
    let mut keep = |found| match found {
        Found::Exchange(exchange) if exchanges.len() < 40 => exchanges.push(exchange),
        Found::Exchange(_) | Found::OrphanResponse { .. } => {}
    };
    read_capture(vec![Source::open(&captured).unwrap()], &mut keep).unwrap();
    for count in [0, 3, exchanges.len()] {
        let some = &exchanges[..count];
        seeds.entry("recording").or_default().push(recording(some));
        seeds.entry("recording").or_default().push(recording(&stored(some)));
        let mut lines = Vec::new();
        for exchange in some {
            write_line(exchange, &mut lines).unwrap();
        }
        seeds.entry("jsonl").or_default().push(lines);
    }
    for exchange in &exchanges {
        let mut seed = Vec::new();
        script::push(&mut seed, 0, &exchange.request_head);
        script::push(&mut seed, 0, &exchange.request_body);
        script::push(&mut seed, 0, exchange.target.as_bytes());
        seeds.entry("redaction").or_default().push(seed);
    }
}

/// The same with bodies that are stored apart from their rows.
fn stored(exchanges: &[Exchange]) -> Vec<Exchange> {
    let folder = tempfile::tempdir().unwrap();
    let spool = Arc::new(Spool::beside(&folder.path().join("seed")));
    let stored = exchanges.iter().map(|exchange| {
        let mut body = spool.begin();
        body.append(&exchange.request_head).unwrap();
        Exchange {
            request_body_bytes: body.length(),
            request_body: Bytes::new(),
            request_stored: Some(body),
            ..exchange.clone()
        }
    });
    stored.collect()
}

fn recording(exchanges: &[Exchange]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.parquet");
    let mut writer = RecordingWriter::create(&path).unwrap();
    for exchange in exchanges {
        writer.push(exchange.clone()).unwrap();
    }
    writer.finish(header()).unwrap();
    fs::read(&path).unwrap()
}

/// Writes all seeds below `folder`, a folder a reader.
pub(crate) fn write(folder: &Path, readers: impl Iterator<Item = &'static str>) {
    for reader in readers {
        let folder = folder.join(reader);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds(reader).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
        }
    }
}
