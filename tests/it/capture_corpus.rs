//! Every real capture is accounted for, frame by frame.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use peakhour::capture::segments::{ReadFacts, read_segments};
use peakhour::capture::source::Source;
use peakhour::recording::ledger::Ledger;

/// Files that are refused. The index counts no frames in them either.
const REFUSED: [(&str, &str); 4] = [
    ("tests__pcap-invalid-version-1.pcap", "pcap version 1.4 is not supported"),
    ("tests__pcapng-invalid-vers-1.pcapng", "pcapng version 0.1 is not supported"),
    ("tests__pcapng-invalid-vers-2.pcapng", "pcapng version 1.1 is not supported"),
    ("pcap2har/tests__empty.pcap", "is empty"),
];

/// Files whose TCP payload on the wire is not the oracle's, with ours and the reason.
const OTHER_PAYLOAD: [(&str, u64, &str); 3] = [
    ("linux_sll_oversized_addr.pcapng", 6_343, "a TCP header shorter than 20 bytes"),
    ("pcap__socks.pcap", 6_648, "the oracle leaves a stream out"),
    ("drop-protocol-change__input.pcap", 434, "a TCP header shorter than 20 bytes"),
];

/// For every capture: no panic, the same result twice, one bucket for each frame, as many frames
/// as tshark counts, and as many bytes of TCP payload on the wire.
#[test]
fn every_capture_of_the_corpus_is_accounted_for() {
    let Some(corpus) = corpus() else { return };
    let payloads = payloads(&corpus);
    let bundles = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for row in table(&corpus.join("INDEX.tsv")).iter().filter(|row| row["kind"] == "capture") {
        let file = &row["file"];
        let path = match file.split_once('!') {
            Some((bundle, member)) => unpack(&corpus, bundle, bundles.path()).join(member),
            None => corpus.join(file),
        };
        let read = checked(&path);
        match (&read.outcome, REFUSED.iter().find(|(name, _)| file.ends_with(name))) {
            (Err(text), Some((_, reason))) if text.contains(reason) => continue,
            (Ok(facts), None) if facts.frames.to_string() == row["packets"] => {}
            (outcome, _) => wrong.push(format!("{file}: {outcome:?}, not {}", row["packets"])),
        }
        let payload = OTHER_PAYLOAD
            .iter()
            .find(|(name, ..)| file.ends_with(name))
            .map(|(_, ours, _)| ours)
            .or(payloads.get(file));
        if payload.is_some_and(|payload| *payload != read.payload) {
            wrong.push(format!("{file}: {} bytes of payload, not {payload:?}", read.payload));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files whose custom blocks tshark counts as frames, which they are not.
const CUSTOM_BLOCKS_IN_COUNT: [&str; 4] =
    ["test017.pcapng", "test018.pcapng", "test102.pcapng", "test202.pcapng"];

/// The bundles of tiny files have a row each, with the sum of their frames.
#[test]
fn every_member_of_a_bundle_is_accounted_for() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let evader = unpack(&corpus, "bundles/http-evader-shared.tar.gz", folder.path());
    let suite = unpack(&corpus, "bundles/pcapng-suite-shared.tar.gz", folder.path());
    for path in std::fs::read_dir(evader).unwrap().map(|entry| entry.unwrap().path()) {
        let Read { outcome, ledger, .. } = checked(&path);
        assert!(
            outcome.unwrap().frames > 0 && ledger.frames.count("tcp payload") > 0,
            "{}",
            path.display()
        );
    }
    let (mut frames, mut custom_blocks) = (0, 0);
    for path in std::fs::read_dir(suite).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "pcapng") {
            continue;
        }
        let read = checked(&path);
        frames += read.outcome.unwrap().frames;
        if CUSTOM_BLOCKS_IN_COUNT.iter().any(|name| path.to_str().unwrap().ends_with(name)) {
            custom_blocks += read.ledger.notes.get("custom block not used").unwrap_or(&0);
        }
    }
    let index = table(&corpus.join("INDEX.tsv"));
    let row = index.iter().find(|row| row["file"].ends_with("pcapng-suite-shared.tar.gz"));
    assert_eq!((frames + custom_blocks).to_string(), row.unwrap()["packets"]);
}

struct Read {
    outcome: Result<ReadFacts, String>,
    ledger: Ledger,
    /// Bytes of TCP payload on the wire.
    payload: u64,
}

/// Reads a file twice, compares, and checks the account of frames.
fn checked(path: &Path) -> Read {
    let read = read(path);
    let again = self::read(path);
    assert_eq!(
        (&read.outcome, &read.ledger),
        (&again.outcome, &again.ledger),
        "{}",
        path.display()
    );
    assert!(read.ledger.frames.reconciles(), "{}: {:?}", path.display(), read.ledger);
    if let Ok(facts) = &read.outcome {
        assert_eq!(facts.frames, read.ledger.frames.total, "{}", path.display());
    }
    read
}

fn read(path: &Path) -> Read {
    let mut ledger = Ledger::default();
    let mut payload = 0;
    let outcome = Source::open(path).and_then(|source| {
        read_segments(source, &mut ledger, &mut |segment| {
            payload += segment.payload.len() as u64 + u64::from(segment.cut_bytes);
        })
    });
    Read { outcome: outcome.map_err(|error| error.to_string()), ledger, payload }
}

/// The corpus: `PEAKHOUR_CORPUS`, or `shared/corpus` beside the repository. Where it is absent the
/// test says so and is skipped; on CI its absence is a failure.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("PEAKHOUR_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
        PathBuf::from,
    );
    if path.join("INDEX.tsv").is_file() {
        return Some(path);
    }
    let absent = format!("this test needs the corpus of captures at {}", path.display());
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI=true, but {absent}");
    println!("SKIPPED: {absent}");
    None
}

/// Rows of a table with a head, by column name.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let values = line.split('\t').map(str::to_owned);
            names.iter().map(|name| (*name).to_owned()).zip(values).collect()
        })
        .collect()
}

/// Bytes of TCP payload on the wire by file.
fn payloads(corpus: &Path) -> BTreeMap<String, u64> {
    let mut payloads = BTreeMap::new();
    for row in table(&corpus.join("oracle-tcp-shared.tsv")) {
        let bytes: u64 = row["payload_bytes_on_wire"].parse().unwrap_or(0);
        *payloads.entry(row["file"].clone()).or_default() += bytes;
    }
    payloads
}

pub(crate) fn unpack(corpus: &Path, bundle: &str, into: &Path) -> PathBuf {
    let folder = into.join(bundle.replace('/', "_"));
    if !folder.exists() {
        std::fs::create_dir(&folder).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("xzf").arg(corpus.join(bundle)).arg("-C").arg(&folder);
        assert!(tar.status().unwrap().success());
    }
    folder
}
