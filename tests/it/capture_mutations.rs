//! Aim: whatever is damaged in a capture, its import ends, adds up, and is the same every time;
//! and what it found can be redacted, recorded and exchanged as JSON Lines.
//!
//! `PEAKHOUR_MUTATIONS` sets how many damaged captures are tried, `PEAKHOUR_SEED` where to begin.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peakhour::capture::import::{Found, Imported, read_capture};
use peakhour::capture::source::{Content, Source};
use peakhour::recording::Exchange;
use peakhour::recording::file::check;
use peakhour::recording::jsonl::{read_lines, write_line};
use peakhour::recording::redaction::Redactor;

use crate::support::{corpus, root};

/// Captures longer than this are cut: many small ones find more than a few large ones.
const MAX_BYTES: usize = 400_000;

/// Moments from here on are taken for wall clocks.
const DECADES: Duration = Duration::from_hours(29 * 365 * 24);

#[test]
fn a_damaged_capture_is_accounted_for() {
    let captures = captures();
    let number = |name: &str, usual: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let first = number("PEAKHOUR_SEED", 1);
    for seed in first..first + number("PEAKHOUR_MUTATIONS", 300) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let path = &captures[random.below(captures.len())];
        let Some(whole) = unpacked(path) else {
            continue;
        };
        let damaged = damage(whole, &mut random);
        let name = format!("seed {seed}, {}", path.display());
        let import = || import(&damaged);
        let outcome = std::panic::catch_unwind(|| (import(), import()));
        let Ok((first, second)) = outcome else {
            panic!("{name}: the import panicked");
        };
        assert_eq!(first, second, "{name}: two imports differ");
        let Some((found, imported)) = first else {
            continue;
        };
        assert!(imported.ledger.reconciles(), "{name}: {:#?}", imported.ledger);
        assert_eq!(found.len() as u64, imported.exchanges + imported.orphans, "{name}");
        survive(&name, found);
    }
}

/// What was found passes through redaction, and through JSON Lines without a change.
fn survive(name: &str, found: Vec<Found>) {
    let mut exchanges: Vec<Exchange> = found
        .into_iter()
        .filter_map(|found| match found {
            // A clock that jumped by decades is no offset that JSON Lines accept.
            Found::Exchange(exchange) if exchange.at < DECADES => Some(exchange),
            Found::Exchange(_) | Found::OrphanResponse { .. } => None,
        })
        .collect();
    if exchanges.is_empty() {
        return;
    }
    let (mut lines, mut redactor) = (Vec::new(), Redactor::filler());
    for exchange in &mut exchanges {
        let lengths =
            |it: &Exchange| (it.request_head.len(), it.target.len(), it.request_body.len());
        let before = lengths(exchange);
        redactor.redact(exchange);
        assert_eq!(lengths(exchange), before, "{name}");
        check(exchange).unwrap_or_else(|error| panic!("{name}: {error}"));
        write_line(exchange, &mut lines).unwrap();
    }
    let mut read = Vec::new();
    let mut keep = |exchange| {
        read.push(exchange);
        Ok(())
    };
    let imported = read_lines(&mut Cursor::new(lines), name, &mut keep);
    let imported = imported.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(imported.first_bad, None, "{name}");
    assert!(read == exchanges, "{name}: JSON Lines changed an exchange");
}

fn import(bytes: &[u8]) -> Option<(Vec<Found>, Imported)> {
    let mut found = Vec::new();
    let source = Source::from_reader("damaged", Box::new(Cursor::new(bytes.to_vec()))).ok()?;
    let imported = read_capture(vec![source], &mut |one| found.push(one)).ok()?;
    Some((found, imported))
}

fn captures() -> Vec<PathBuf> {
    let mut captures = vec![root().join("captures/nginx-first/peak.pcap.gz")];
    let mut folders: Vec<PathBuf> = corpus().into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if is_capture(&path) {
                captures.push(path);
            }
        }
    }
    captures.sort();
    captures
}

fn is_capture(path: &Path) -> bool {
    path.to_string_lossy().contains(".pcap")
}

fn unpacked(path: &Path) -> Option<Vec<u8>> {
    let mut source = Source::open(path).ok()?;
    let is_packets = matches!(source.content(), Content::Pcap | Content::Pcapng);
    let mut bytes = Vec::new();
    let mut front = std::io::Read::take(&mut source, MAX_BYTES as u64);
    std::io::Read::read_to_end(&mut front, &mut bytes).ok()?;
    is_packets.then_some(bytes)
}

/// A generator of numbers that are the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }
}

/// Damages the packets, where the file's records can be told apart, and sometimes the file.
fn damage(bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let little = bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]);
    let mut damaged = if little && random.below(8) > 0 {
        let (head, records) = bytes.split_at(24.min(bytes.len()));
        let mut records = split(records);
        for _ in 0..=random.below(12) {
            damage_records(&mut records, random);
        }
        [head, &records.concat()].concat()
    } else {
        bytes
    };
    if !little || random.below(8) == 0 {
        for _ in 0..=random.below(20) {
            damage_bytes(&mut damaged, 24, random);
        }
    }
    damaged
}

/// The records of a little-endian file, each with its head of 16 bytes.
fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some(length) = bytes.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let end = length.saturating_add(16).min(bytes.len());
        let (record, rest) = bytes.split_at(end);
        records.push(record.to_vec());
        bytes = rest;
    }
    records
}

fn damage_records(records: &mut Vec<Vec<u8>>, random: &mut Random) {
    let (at, other) = (random.below(records.len()), random.below(records.len()));
    if records.is_empty() {
        return;
    }
    match random.below(9) {
        0 => drop(records.remove(at)),
        1 => records.insert(other, records[at].clone()),
        2 => records.swap(at, other),
        3 => {
            // Neighbours change places: what several queues of a network card do.
            let next = (at + 1 + random.below(3)).min(records.len() - 1);
            records.swap(at, next);
        }
        4 => drop(records.drain(at.min(other)..at.max(other).min(at.min(other) + 20))),
        5 => {
            // A smaller snap length: the record says what the packet's length was.
            let kept = random.below(records[at].len());
            if kept > 16 {
                records[at].truncate(kept);
                let length = u32::try_from(kept - 16).unwrap().to_le_bytes();
                records[at][8..12].copy_from_slice(&length);
            }
        }
        6 => {
            let step = u8::try_from(random.below(256)).unwrap();
            let place = random.below(8);
            if let Some(byte) = records[at].get_mut(place) {
                *byte = byte.wrapping_add(step);
            }
        }
        _ => damage_bytes(&mut records[at], 16, random),
    }
}

/// Changes bytes behind `from`: bits, runs, numbers and words that mean something.
fn damage_bytes(bytes: &mut [u8], from: usize, random: &mut Random) {
    const WORDS: [&[u8]; 10] = [
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 99999999999999\r\n",
        b"ffffffffffffffff\r\n",
        b"\x16\x03\x01\x00\x05",
        b"*2\r\n$3\r\n",
        b"HTTP/1.1 101 \r\n\r\n",
    ];
    if bytes.len() <= from {
        return;
    }
    let at = from + random.below(bytes.len() - from);
    match random.below(5) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
        2 => {
            let end = (at + random.below(8)).min(bytes.len());
            bytes[at..end].fill(if random.below(2) == 0 { 0 } else { 0xff });
        }
        3 => {
            // Only TCP flags and numbers: the packet stays one of its connection.
            let place = from + 34 + random.below(20);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << random.below(8);
            }
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            let end = (at + word.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&word[..end - at]);
        }
    }
}
