//! Aim: the bytes of each direction of each real connection are those that other readers put
//! together: same length, same SHA-256. `corpus_streams_ratchet.tsv` holds the floor.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use peakhour::capture::segments::read_segments;
use peakhour::capture::source::Source;
use peakhour::capture::tcp::{Reassembly, Side, What};
use peakhour::recording::ledger::Ledger;

use crate::corpus::differences::hold_differences;
use crate::corpus::{Scores, add, hold, locate, table};
use crate::support::corpus;

/// SHA-256 of no bytes, for which the oracle has no hash.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A stream inside of Teredo, for which the oracle has the addresses of the tunnel and the
/// sides exchanged: who sent what it says.
const INSIDE: (&str, &str, [&str; 2]) = (
    "zeek/testing__btest__Traces__tunnels__Teredo.pcap",
    "3",
    ["2001:4860:0:2001::68:80", "2001:0:4137:9e50:8000:f12a:b9c8:2815:1286"],
);

/// Bytes by sender and receiver, one entry a connection.
type Streams = BTreeMap<(SocketAddr, SocketAddr), Vec<Vec<u8>>>;

#[test]
fn streams_agree_with_the_oracle() {
    let Some(corpus) = corpus() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let index = table(&corpus.join("INDEX.tsv"));
    let classes: BTreeMap<&str, &str> =
        index.iter().map(|entry| (entry["file"].as_str(), entry["class"].as_str())).collect();
    let oracle = table(&corpus.join("oracle-tcp-shared.tsv"));
    let mut streams: BTreeMap<&str, Streams> = BTreeMap::new();
    let mut expected = Vec::new();
    for row in &oracle {
        let file = row["file"].as_str();
        let class = classes.get(file).copied().unwrap_or("bundle");
        // One-sided captures full of gaps have no meaningful hashes.
        let is_whole = row["client_gap_bytes"] == "0" && row["server_gap_bytes"] == "0";
        let is_here = classes.contains_key(file) || file.contains('!');
        if !is_here || !is_whole || class == "tcp-async-oneside" {
            continue;
        }
        let found = streams
            .entry(file)
            .or_insert_with(|| streams_of(&locate(&corpus, file, scratch.path())));
        let ends = match row {
            _ if file == INSIDE.0 && row["stream"] == INSIDE.1 => INSIDE.2.map(address),
            row => [address(&row["client"]), address(&row["server"])],
        };
        for (from, to, hash) in [(0, 1, "client_sha256"), (1, 0, "server_sha256")] {
            let queue = found.entry((ends[from], ends[to])).or_default();
            let bytes = if queue.is_empty() { Vec::new() } else { queue.remove(0) };
            fs::write(scratch.path().join(format!("{:06}.bytes", expected.len())), bytes).unwrap();
            let hash = if row[hash].len() < 64 { NOTHING } else { row[hash].as_str() };
            expected.push((format!("{file} {} {from}", row["stream"]), class, hash));
        }
    }
    let mut scores = Scores::new();
    let mut differences = Vec::new();
    for ((name, class, hash), ours) in expected.iter().zip(hashes(scratch.path())) {
        if *hash != ours {
            differences.push([name.clone(), ours[..12].to_owned(), hash[..12].to_owned()]);
        }
        add(scores.entry((*class).to_owned()).or_default(), (usize::from(*hash == ours), 1));
    }
    hold("corpus_streams_ratchet.tsv", &scores);
    hold_differences("streams", differences);
}

fn streams_of(path: &Path) -> Streams {
    let (mut ledger, mut unused) = (Ledger::default(), Ledger::default());
    let mut reassembly = Reassembly::default();
    let mut links = BTreeMap::new();
    let mut sink = |event: peakhour::capture::tcp::Event<'_>, ledger: &mut Ledger| {
        let (_, bytes) = links
            .entry(event.link.number)
            .or_insert_with(|| (event.link.ends, [Vec::new(), Vec::new()]));
        if let What::Data(data) = event.what {
            ledger.stream_bytes.end("data", data.bytes.len() as u64);
            let sent: &mut Vec<u8> = &mut bytes[event.side.index()];
            sent.extend_from_slice(data.bytes);
        }
    };
    read_segments(Source::open(path).unwrap(), &mut unused, &mut |segment| {
        reassembly.segment(segment, &mut ledger, &mut sink);
    })
    .ok();
    reassembly.finish(&mut ledger, &mut sink);
    assert!(ledger.stream_bytes.reconciles(), "{}: {ledger:#?}", path.display());
    let mut streams = Streams::new();
    for (ends, bytes) in links.into_values() {
        for (side, bytes) in [Side::First, Side::Second].into_iter().zip(bytes) {
            let key = (ends[side.index()], ends[side.other().index()]);
            streams.entry(key).or_default().push(bytes);
        }
    }
    streams
}

/// `address:port`, also for IPv6, without brackets.
fn address(text: &str) -> SocketAddr {
    let (host, port) = text.rsplit_once(':').unwrap();
    SocketAddr::new(host.parse().unwrap(), port.parse().unwrap())
}

/// The hashes of all streams written, in order of their names.
fn hashes(folder: &Path) -> Vec<String> {
    let command = "find . -name '*.bytes' | sort | xargs sha256sum";
    let output = Command::new("sh").args(["-c", command]).current_dir(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line[..64].to_owned()).collect()
}
