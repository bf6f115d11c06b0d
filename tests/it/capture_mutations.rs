//! Aim: whatever is damaged in a capture, its import ends, adds up, and is the same every time;
//! and what it found can be redacted, recorded and exchanged as JSON Lines.
//!
//! `PEAKHOUR_MUTATIONS` sets how many damaged captures are tried, `PEAKHOUR_SEED` where to begin.

use std::fs;
use std::path::{Path, PathBuf};

use peakhour::capture::source::{Content, Source};

use crate::hostile::readers;
use crate::mutations::{Random, damage};
use crate::support::{corpus, root};

/// Captures longer than this are cut: many small ones find more than a few large ones.
const MAX_BYTES: usize = 400_000;

#[test]
fn a_damaged_capture_is_accounted_for() {
    let captures = captures();
    let number = |name: &str, usual: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let first = number("PEAKHOUR_SEED", 1);
    for seed in first..first + number("PEAKHOUR_MUTATIONS", 300) {
        let mut random = Random::of(seed);
        let path = &captures[random.below(captures.len())];
        let Some(whole) = unpacked(path) else {
            continue;
        };
        let damaged = damage(whole, &mut random);
        let name = format!("seed {seed}, {}", path.display());
        let outcome = std::panic::catch_unwind(|| readers::pcap(&damaged));
        assert!(outcome.is_ok(), "{name}: see the panic above");
    }
}

pub(crate) fn captures() -> Vec<PathBuf> {
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

pub(crate) fn unpacked(path: &Path) -> Option<Vec<u8>> {
    let mut source = Source::open(path).ok()?;
    let is_packets = matches!(source.content(), Content::Pcap | Content::Pcapng);
    let mut bytes = Vec::new();
    let mut front = std::io::Read::take(&mut source, MAX_BYTES as u64);
    std::io::Read::read_to_end(&mut front, &mut bytes).ok()?;
    is_packets.then_some(bytes)
}
