//! Files of access logs through the program: merged, redacted, refused, and compared with what
//! other readers found in logs of others.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::{Exchange, Header};

use crate::support::{corpus, peakhour};

fn imported(folder: &Path, arguments: &[&str]) -> (Header, Vec<Exchange>) {
    let out = folder.join("out.parquet");
    let ran = peakhour(folder, &[&["import"], arguments, &["-o", "out.parquet"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let reader = RecordingReader::open(&out).unwrap();
    let exchanges = reader.exchanges(None).collect::<Result<Vec<_>, _>>().unwrap();
    (reader.header().clone(), exchanges)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn several_logs_are_merged_by_time_and_redacted() {
    let folder = tempfile::tempdir().unwrap();
    let line = |second: u64, path: &str| {
        format!(
            "192.0.2.1 - - [17/May/2015:10:05:{second:02} +0000] \"GET {path} HTTP/1.1\" 200 1\n"
        )
    };
    let late = [line(30, "/d"), line(50, "/e?token=geheim")].concat();
    let early = [line(10, "/a"), line(40, "/c"), line(20, "/b")].concat();
    fs::write(folder.path().join("late.log"), late).unwrap();
    fs::write(folder.path().join("early.gz"), gzip(early.as_bytes())).unwrap();
    let (header, exchanges) =
        imported(folder.path(), &["late.log", "early.gz", "--format", "nginx"]);
    let targets: Vec<&str> = exchanges.iter().map(|each| each.target.as_str()).collect();
    assert_eq!(targets[..4], ["/a", "/b", "/d", "/c"]);
    let token = targets[4].strip_prefix("/e?token=").unwrap();
    assert!(token.len() == 6 && token != "geheim", "{token}");
    assert_eq!(exchanges[0].at, Duration::ZERO);
    assert_eq!((header.clock_resolution_ns, header.connections), (1_000_000_000, 1));
    assert_eq!(header.started_unix_ns / 1_000_000_000, 1_431_857_110);
    assert!(header.ledger.reconciles());
    let positions: Vec<u32> = exchanges.iter().map(|each| each.seq).collect();
    assert_eq!(positions, [0, 1, 2, 3, 4]);
}

/// A log of whole seconds is replayed, and its shape is not claimed below ten of them.
#[test]
fn a_replay_of_a_coarse_log_claims_nothing_finer_than_its_clock() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = String::new();
    for request in 0..60 {
        let (second, item) = (request / 30, request % 7);
        let request = format!("\"GET /item/{item} HTTP/1.1\" 200 1");
        let line = format!("192.0.2.{item} - - [17/May/2015:10:05:{second:02} +0000] {request}\n");
        log.push_str(&line);
    }
    fs::write(folder.path().join("peak.log"), log).unwrap();
    let scenario = "name: coarse\nrecording: peak.log\ntolerance: ci\ntarget: { url: stage }\n";
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let ran = peakhour(folder.path(), &["run", "s.yaml", "--out", "json=run.json"]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.words().contains("clock says nothing below 10 s"), "{shown}");
    let report = fs::read_to_string(folder.path().join("run.json")).unwrap();
    assert!(report.contains("has steps of 1 s, too coarse for it"), "{report}");
}

#[test]
fn a_log_that_fits_no_format_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("odd.log"), "2015 something /else 200\n".repeat(5)).unwrap();
    let ran = peakhour(folder.path(), &["import", "odd.log", "-o", "out.parquet"]);
    assert_eq!(ran.code, 104);
    assert!(ran.stderr.contains("--log-format"), "{}", ran.stderr);
    let arguments = ["import", "odd.log", "-o", "out.parquet", "--format", "alb"];
    let ran = peakhour(folder.path(), &arguments);
    assert_eq!(ran.code, 104);
    let fragments = ["none of 5 lines", "line 1: the type is no protocol", "--log-format"];
    assert!(fragments.iter().all(|part| ran.stderr.contains(part)), "{}", ran.stderr);
    let ran = peakhour(folder.path(), &["import", "odd.log", "-o", "o.parquet", "--format", "x"]);
    assert!(ran.code == 104 && ran.stderr.contains("cloudfront"), "{}", ran.stderr);
}

/// Rows of the oracle that this importer reads otherwise, each with its reason.
const DIFFERENCES: &[(&str, &str)] = &[
    ("tests__logs__incapsula_w3c.log", "host and path are taken apart, for a replay"),
    ("tests__logs__common_encoding_big5.log", "bytes that are not UTF-8 are percent-escaped"),
    ("test__logfile_w3c.3", "a doubled quote within quotes stands for itself"),
    ("tests__logs__common.log.bz2", "bzip2 is refused with advice"),
    ("test__logfile_syslog_with_access_log.0", "no line has a date of its own: refused"),
];

#[test]
fn logs_of_others_agree_with_their_oracle() {
    let Some(corpus) = corpus() else { return };
    let index = fs::read_to_string(corpus.join("INDEX.tsv")).unwrap();
    let (mut rows, mut agreed, mut files) = (0, 0, 0);
    for file in index.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        columns.get(15).filter(|class| class.starts_with("log-")).map(|_| columns[0])
    }) {
        files += 1;
        let oracle = corpus.join(format!("oracle/{}.tsv", file.replace('/', "__")));
        let oracle = fs::read_to_string(oracle).unwrap();
        let expected = oracle_rows(&oracle);
        let known = DIFFERENCES.iter().find(|(name, _)| file.ends_with(name));
        let folder = tempfile::tempdir().unwrap();
        let path = corpus.join(file).display().to_string();
        let ran = peakhour(folder.path(), &["import", &path, "-o", "out.parquet"]);
        if ran.code == 104 {
            assert!(known.is_some(), "{file}: {}", ran.stderr);
            continue;
        }
        let (header, exchanges) = imported(folder.path(), &[&path]);
        assert!(header.ledger.reconciles(), "{file}");
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for exchange in &exchanges {
            *found.entry(row_of(exchange)).or_default() += 1;
        }
        let mut same = 0;
        for (row, count) in &expected {
            same += found.get(row).copied().unwrap_or(0).min(*count);
        }
        let all: u64 = expected.values().sum();
        println!("{file}: {same} of {all} rows, {} exchanges", exchanges.len());
        assert_eq!(exchanges.len() as u64, all, "{file}");
        if known.is_none() {
            assert_eq!(same, all, "{file}:\n{expected:?}\n{found:?}");
        }
        (rows, agreed) = (rows + all, agreed + same);
    }
    println!("{agreed} of {rows} rows of {files} files agree");
    assert!(files > 15 && agreed * 100 >= rows * 99, "{agreed} of {rows}");
}

/// Method, target, status and size, and how often; what the oracle does not have is `?`.
fn oracle_rows(oracle: &str) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    for line in oracle.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns.last().is_some_and(|note| note.contains("skip")) {
            continue;
        }
        let method = if columns[2].is_empty() { "GET" } else { columns[2] };
        let row = format!("{method} {} {} {}", columns[4], columns[5], columns[7]);
        *rows.entry(row).or_default() += 1;
    }
    rows
}

fn row_of(exchange: &Exchange) -> String {
    let response = exchange.response.as_ref();
    let status = response.map_or(String::new(), |response| response.status.to_string());
    let sent = response.and_then(|response| response.body_bytes);
    let sent = sent.map_or(String::new(), |sent| sent.to_string());
    format!("{} {} {status} {sent}", exchange.method, exchange.target)
}
