use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use peakhour::capture::CaptureError;
use peakhour::capture::segments::{ReadFacts, read_segments};
use peakhour::capture::source::Source;
use peakhour::recording::ledger::Ledger;

/// Files whose frames we count differently from the index, which is tshark's count.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

/// Every capture is read without a panic, twice with the same result; each frame ends in one
/// bucket; there are as many frames as tshark counts.
#[test]
fn every_capture_of_the_corpus_is_accounted_for() {
    let Some(corpus) = corpus() else { return };
    let bundles = tempfile::tempdir().unwrap();
    let mut disagreements = Vec::new();
    let mut files = 0;
    for row in index(&corpus) {
        let path = match row["file"].split_once('!') {
            Some((bundle, member)) => unpack(&corpus, bundle, bundles.path()).join(member),
            None => corpus.join(&row["file"]),
        };
        if row["kind"] != "capture" {
            continue;
        }
        files += 1;
        let (outcome, ledger) = read(&path);
        assert_eq!((&outcome, &ledger), (&read(&path).0, &read(&path).1), "{}", row["file"]);
        assert!(ledger.frames.reconciles(), "{}: {ledger:?}", row["file"]);
        let ours = match outcome {
            Ok(facts) => facts.frames.to_string(),
            Err(text) => text.split_once(": ").unwrap().1.to_owned(),
        };
        println!("{} {:?} {:?}", row["file"], ledger.frames.buckets, ledger.notes);
        if ours != row["packets"] {
            disagreements.push(format!(
                "{}: {ours}, tshark {} {}",
                row["file"], row["packets"], row["link_type"]
            ));
        }
    }
    println!("{files} files; {}", disagreements.join("\n"));
    panic!();
}

fn read(path: &Path) -> (Result<ReadFacts, String>, Ledger) {
    let mut ledger = Ledger::default();
    let name = path.to_str().unwrap();
    let outcome =
        Source::open(name).and_then(|source| read_segments(source, &mut ledger, &mut |_| ()));
    (outcome.map_err(|error: CaptureError| error.to_string()), ledger)
}

/// The corpus, where there is one; its absence fails only where it was promised.
fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("PEAKHOUR_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
        PathBuf::from,
    );
    if path.join("INDEX.tsv").exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no corpus at {path:?}");
    println!("skipped: no corpus at {path:?}; set PEAKHOUR_CORPUS");
    None
}

fn index(corpus: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(corpus.join("INDEX.tsv")).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            names.iter().map(ToString::to_string).zip(line.split('\t').map(str::to_owned)).collect()
        })
        .collect()
}

fn unpack(corpus: &Path, bundle: &str, into: &Path) -> PathBuf {
    let folder = into.join(bundle.replace('/', "_"));
    if !folder.exists() {
        std::fs::create_dir(&folder).unwrap();
        let status =
            Command::new("tar").arg("xzf").arg(corpus.join(bundle)).arg("-C").arg(&folder).status();
        assert!(status.unwrap().success());
    }
    folder
}
