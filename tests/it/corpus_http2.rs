//! Aim: the exchanges of real captures of HTTP/2 are those that tshark finds.
//!
//! The oracle's sizes of bodies need a correction. Whoever wrote it down took one byte from every
//! DATA frame, as if each had a length of padding, which shows where a response says its own
//! `content-length` (22617 of seven frames, written down as 22610). It also gives what was seen of
//! bodies that never ended as their size. `corpus_http2_frames.tsv` has, from tshark again, the
//! number of DATA frames and whether `END_STREAM` came, for each side of every stream:
//!
//! ```text
//! tshark -r FILE -Y http2 -T fields -e tcp.stream -e tcp.srcport \
//!        -e http2.streamid -e http2.type -e http2.flags
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use crate::corpus::differences::hold_differences;
use crate::corpus::{
    Row, Scores, add, compare, exactly, hold, import_twice, locate, row_at, row_from, table,
};
use crate::support::{corpus, root};

/// Files for which tshark has no row or another one, and somebody has looked: the rows as in
/// [`Row`], and why.
const CHECKED: [(&str, &[&str], &str); 5] = [
    (
        "deepflow/agent__resources__test__flow_generator__http__grpc-unary.pcap",
        &["POST|10.1.23.21:30035|/agent.Synchronizer/Sync|200|242|?"],
        "the response is one DATA frame, of which the capture has the front: not whole",
    ),
    (
        "deepflow/agent__resources__test__flow_generator__http__grpc-segmented.pcap",
        &["POST|192.168.199.215:30035|/agent.Synchronizer/Push||?|"],
        "tshark has no row; deepflow has this one, and the body never ends",
    ),
    (
        "deepflow/agent__resources__test__flow_generator__http__http2-multi.pcap",
        &["POST|||200|17|150", "POST|||200|17|148"],
        "begins in the middle, tshark has no row; deepflow has these, and their paths are unknown",
    ),
    (
        "deepflow/agent__resources__test__flow_generator__http__httpv2-stream-id.pcap",
        &["POST||||?|"],
        "begins in the middle, tshark has no row; deepflow has this one, and it never ends",
    ),
    (
        "suricata-verify/tests__drop-protocol-change__input.pcap",
        &["|||200||62"],
        "the packet of the request is damaged: its response is one without request",
    ),
];

/// A line of a table.
type Line = BTreeMap<String, String>;

#[test]
fn exchanges_agree_with_the_oracles() {
    let Some(corpus) = corpus() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let frames = table(&root().join("tests/it/corpus_http2_frames.tsv"));
    let mut scores = Scores::new();
    let mut differences = Vec::new();
    for entry in table(&corpus.join("INDEX.tsv")) {
        let (file, class) = (&entry["file"], &entry["class"]);
        // What needs a key log has a test of its own; some have their keys inside.
        let is_encrypted = !entry["keylog"].is_empty();
        if !class.starts_with("h2-") || entry["kind"] != "capture" || is_encrypted {
            continue;
        }
        let found = import_twice(&locate(&corpus, file, scratch.path()));
        let tshark = rows_of_tshark(&corpus, &entry, &frames);
        let plain = scores.entry(format!("{class} by tshark")).or_default();
        add(plain, exactly(&found, &tshark));
        let checked = CHECKED.iter().find(|(name, ..)| name == file);
        let expected =
            checked.map_or(tshark, |(_, rows, _)| rows.iter().map(|row| row_from(row)).collect());
        let (score, different) = compare(file, &found, &[expected], "");
        add(scores.entry(class.clone()).or_default(), score);
        differences.extend(different);
    }
    hold_differences("http2", differences);
    hold("corpus_http2_ratchet.tsv", &scores);
}

/// The rows of the oracle with the sizes as they are. It has a row for a 101 beside that of the
/// response proper: they are one exchange.
fn rows_of_tshark(corpus: &Path, entry: &Line, frames: &[Line]) -> Vec<Row> {
    if entry["oracle"].is_empty() {
        return Vec::new();
    }
    let lines = table(&corpus.join(&entry["oracle"]));
    let kept = lines.iter().filter(|line| !line["note"].starts_with("upgrade to h2c"));
    let corrected = |line: &Line| {
        let mut row = row_at(line);
        let is_stream = |of: &&Line| {
            of["file"] == entry["file"]
                && of["stream"] == line["stream"]
                && of["proto"] == line["proto"]
        };
        if let Some(frames) = frames.iter().find(is_stream) {
            for (cell, side) in [(4, "request"), (5, "response")] {
                let count: u64 = frames[&format!("{side}_frames")].parse().unwrap();
                let size = row[cell].parse::<u64>().unwrap() + count;
                let is_ended = frames[&format!("{side}_ended")] == "1";
                row[cell] = if is_ended { size.to_string() } else { "?".into() };
            }
            if row[3].is_empty() {
                row[5] = String::new();
            }
        }
        row
    };
    kept.map(corrected).collect()
}
