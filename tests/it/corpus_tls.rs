//! Aim: exchanges inside of TLS in real captures are those that independent readers find there with
//! the same key logs; without keys nothing is found, and damage is survived.

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use peakhour::capture::source::Source;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::corpus::differences::hold_differences;
use crate::corpus::{Row, Scores, add, compare, expected, hold, row_of, table, verdicts};
use crate::support::corpus;
use crate::tls_tape::import;

/// Captures whose oracle is missing or wrong and somebody has looked: the row, and why.
const CHECKED: [(&str, [&str; 6], &str); 2] = [
    (
        "wireshark/test__captures__dhe1.pcapng.gz",
        ["GET", "", "/test", "", "?", ""],
        "TLS 1.0 with a CBC suite, which the oracle lacks: a request line and no more",
    ),
    (
        "wireshark/test__captures__http2-data-reassembly.pcap",
        ["GET", "172.16.5.10:8443", "/wireshark.png", "200", "0", "76091"],
        "four frames of 16384 bytes and one of 10555, by tshark; the oracle has each one short",
    ),
];

/// The captures of a class, with the path of their key log where there is one.
fn captures(corpus: &Path) -> Vec<(String, String, String, Option<PathBuf>)> {
    let classes = ["tls-keylog", "tls-nokey", "h2-tls-keylog"];
    let entries = table(&corpus.join("INDEX.tsv")).into_iter();
    let ours = entries.filter(|entry| classes.contains(&entry["class"].as_str()));
    ours.map(|entry| {
        let keylog = Some(&entry["keylog"]).filter(|path| !path.is_empty());
        let keylog = keylog.map(|path| corpus.join(path));
        (entry["file"].clone(), entry["class"].clone(), entry["oracle"].clone(), keylog)
    })
    .collect()
}

fn keys_of(keylog: Option<&PathBuf>) -> String {
    keylog.map_or(String::new(), |path| fs::read_to_string(path).unwrap())
}

#[test]
fn exchanges_in_tls_agree_with_the_oracles() {
    let Some(corpus) = corpus() else { return };
    let verdicts = verdicts(&corpus);
    let mut scores = Scores::new();
    let mut differences = Vec::new();
    for (file, class, oracle, keylog) in captures(&corpus) {
        let open = || Source::open(&corpus.join(&file)).unwrap();
        let (found, imported) = import(open(), &keys_of(keylog.as_ref()));
        assert!(import(open(), &keys_of(keylog.as_ref())).0 == found, "{file}: imports differ");
        let found: Vec<Row> = found.iter().map(row_of).collect();
        let verdict = verdicts.get(&file).map_or("", String::as_str);
        let checked = CHECKED.iter().find(|(name, ..)| *name == file);
        let rows = match checked {
            Some((_, row, _)) => vec![vec![row.map(str::to_owned)]],
            None => expected(&corpus, &oracle, verdict),
        };
        let (score, different) = compare(&file, &found, &rows, verdict);
        add(scores.entry(class.clone()).or_default(), score);
        differences.extend(different);
        if class == "tls-nokey" {
            assert!(found.is_empty(), "{file}: {found:?}");
            continue;
        }
        let buckets = &imported.ledger.stream_bytes.buckets;
        assert!(buckets.contains_key("tls, decrypted"), "{file}: {buckets:?}");
        let is_failed = |bucket: &&String| bucket.starts_with("tls not decrypted");
        assert_eq!(buckets.keys().find(is_failed), None, "{file}");
    }
    hold("corpus_tls_ratchet.tsv", &scores);
    hold_differences("tls", differences);
}

#[test]
fn nothing_is_found_without_the_key_log() {
    let Some(corpus) = corpus() else { return };
    let with_keylog = captures(&corpus).into_iter().filter(|(.., keylog)| keylog.is_some());
    let mut count = 0;
    for (file, ..) in with_keylog {
        let (found, imported) = import(Source::open(&corpus.join(&file)).unwrap(), "");
        assert!(found.is_empty(), "{file}: {found:?}");
        let buckets = &imported.ledger.stream_bytes.buckets;
        assert!(buckets["tls"] > 0, "{file}: {buckets:?}");
        assert_eq!(buckets.get("tls, decrypted"), None, "{file}");
        count += 1;
    }
    assert_eq!(count, 5);
}

/// Captures of every kind of suite, unpacked, with their key logs.
fn small_captures() -> Vec<(Vec<u8>, String)> {
    let Some(corpus) = corpus() else { return Vec::new() };
    let ours = captures(&corpus).into_iter().filter(|(_, class, ..)| class == "tls-keylog");
    ours.map(|(file, _, _, keylog)| {
        let mut bytes = Vec::new();
        Source::open(&corpus.join(file)).unwrap().read_to_end(&mut bytes).unwrap();
        (bytes, keys_of(keylog.as_ref()))
    })
    .collect()
}

/// Bytes at the front of a file that stay, so that it is read at all.
const HEADERS: usize = 256;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// For all captures with secrets, flipped bits, cuts and missing parts: the import ends and
    /// adds up.
    #[test]
    fn damaged_tls_is_accounted_for(
        which in any::<Index>(),
        flips in prop::collection::vec((any::<Index>(), 0..8_u32), 0..24),
        missing in prop::option::of((any::<Index>(), 1..3_000_usize)),
    ) {
        thread_local! {
            static CAPTURES: Vec<(Vec<u8>, String)> = small_captures();
        }
        let (mut bytes, keylog) = CAPTURES.with(|captures| {
            if captures.is_empty() { Default::default() } else { which.get(captures).clone() }
        });
        if !bytes.is_empty() {
            for (at, bit) in flips {
                let at = at.index(bytes.len() - HEADERS) + HEADERS;
                bytes[at] ^= 1 << bit;
            }
            if let Some((at, length)) = missing {
                let at = at.index(bytes.len() - HEADERS) + HEADERS;
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            import(Source::from_reader("damaged", Box::new(Cursor::new(bytes))).unwrap(), &keylog);
        }
    }
}
