//! Aim: the exchanges of real captures are those that independent readers find.
//!
//! Every row of an oracle is one exchange, or one response without request. Agreement is counted
//! per class of captures and may only grow, `UPDATE=1` writes its floor again. It is counted
//! twice: `corpus_ratchet.tsv` goes by whoever is right where readers differ, and by what
//! somebody looked up; `corpus_oracle_ratchet.tsv` by nothing but the rows of tshark.
#![expect(clippy::print_stdout, reason = "what disagrees is for people to read")]

mod checked;
pub(crate) mod differences;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use peakhour::capture::import::{Found, Imported, read_capture};
use peakhour::capture::source::Source;
use peakhour::recording::Flags;

use crate::corpus::checked::CHECKED;
use crate::corpus::differences::{Difference, hold_differences, pairs};
use crate::support::{corpus, root};

/// A file of which only requests were captured, and most of those not whole: readers differ, and
/// the truth is the number of segments that begin with a request line, without the repeated ones.
const REQUESTS_ONLY: (&str, usize) =
    ("PcapPlusPlus/Tests__Pcap++Test__PcapExamples__4KHttpRequests.pcap", 381);

/// Fronts of the classes whose exchanges are HTTP/1 over whatever link, tunnel or file format.
const OURS: [&str; 7] = ["h1", "tcp", "gap", "ipfrag", "link", "tunnel", "fmt"];

/// method, host, target, status, request body, response body.
pub(crate) type Row = [String; 6];

/// Rows agreed, rows in all.
pub(crate) type Score = (usize, usize);

/// By class.
pub(crate) type Scores = BTreeMap<String, Score>;

#[test]
fn exchanges_agree_with_the_oracles() {
    let Some(corpus) = corpus() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let verdicts = verdicts(&corpus);
    let (mut scores, mut plain) = (Scores::new(), Scores::new());
    let mut differences = Vec::new();
    for entry in table(&corpus.join("INDEX.tsv")) {
        let (file, class) = (&entry["file"], &entry["class"]);
        let is_ours = OURS.iter().any(|front| class.starts_with(front));
        if !is_ours || entry["kind"] != "capture" {
            continue;
        }
        let found = import_twice(&locate(&corpus, file, scratch.path()));
        let tshark = match entry["oracle"].as_str() {
            "" => Vec::new(),
            oracle => rows(&corpus.join(oracle)),
        };
        add(plain.entry(class.clone()).or_default(), exactly(&found, &tshark));
        let (score, different) = ruled(&corpus, &entry, &found, verdicts.get(file));
        differences.extend(different);
        add(scores.entry(class.clone()).or_default(), score);
    }
    differences.extend(evaders(&corpus, scratch.path(), &mut scores, &mut plain));
    println!("by tshark's rows alone:");
    let worse = [
        below_the_floor("corpus_oracle_ratchet.tsv", &plain),
        below_the_floor("corpus_ratchet.tsv", &scores),
    ];
    assert!(worse.concat().is_empty(), "agreement fell; UPDATE=1 if that is right: {worse:?}");
    hold_differences("http1", differences);
    let mut all = (0, 0);
    for (class, score) in &scores {
        assert!(score.0 * 100 >= score.1 * 95, "{class}: {score:?}");
        add(&mut all, *score);
    }
    assert!(all.0 * 100 >= all.1 * 99, "{all:?}");
}

/// Responses that hide a file from whoever reads them.
fn evaders(
    corpus: &Path,
    scratch: &Path,
    scores: &mut Scores,
    plain: &mut Scores,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for member in table(&corpus.join("oracle/http-evader-shared.tsv")) {
        let file = format!("bundles/http-evader-shared.tar.gz!{}", member["file"]);
        let found = import_twice(&locate(corpus, &file, scratch));
        let rows = [evader_row(&member, "tshark"), evader_row(&member, "reader")];
        let tshark: Vec<Row> = rows[0].iter().cloned().collect();
        add(plain.entry("http-evader".into()).or_default(), exactly(&found, &tshark));
        // Nearly all of them hide one file of 68 bytes.
        let is_found = |row: &Row| row[0] == "GET" && row[5] == "68";
        let by_hand = by_hand(&file).unwrap_or_default();
        let all: Vec<&Row> = rows.iter().flatten().chain(&by_hand).collect();
        let is_known = |row: &Row| is_found(row) || all.iter().any(|other| same(other, row));
        let agreed = found.len() == 1 && is_known(&found[0]);
        if !agreed {
            let text = |row: &Row| row.join("|");
            let theirs = all.first().map(|row| text(row)).into_iter().collect();
            differences.extend(pairs(&file, &found.iter().map(text).collect::<Vec<_>>(), theirs));
        }
        add(scores.entry("http-evader".into()).or_default(), (usize::from(agreed), 1));
        // Suricata expects for all but the one without any head: a request, and a file behind it.
        let wanted = [("GET", "http_method=GET;"), ("evader.example.com", "hostname=evader.")];
        let is_wanted = wanted.iter().all(|(_, part)| member["suricata_expects"].contains(part));
        let has_all = found.len() == 1
            && wanted.iter().zip(&found[0]).all(|((word, _), cell)| word == cell)
            && !matches!(found[0][5].as_str(), "" | "0");
        if is_wanted && !has_all {
            let ours = found.first().map(|row| row.join("|")).unwrap_or_default();
            differences.push([file, ours, "a file, as Suricata expects".into()]);
        }
        let suricata = scores.entry("http-evader by suricata".into()).or_default();
        add(suricata, (usize::from(is_wanted && has_all), usize::from(is_wanted)));
    }
    differences
}

/// The rows of a capture that somebody has looked at.
fn by_hand(file: &str) -> Option<Vec<Row>> {
    let (_, rows, _) = CHECKED.iter().find(|(name, ..)| *name == file)?;
    Some(rows.iter().map(|row| row_from(row)).collect())
}

/// Agreement where somebody has looked, or else with the reader that is known to be right.
fn ruled(
    corpus: &Path,
    entry: &BTreeMap<String, String>,
    found: &[Row],
    verdict: Option<&String>,
) -> (Score, Vec<Difference>) {
    let (file, verdict) = (&entry["file"], verdict.map_or("", String::as_str));
    if file == REQUESTS_ONLY.0 {
        let requests = found.iter().filter(|row| row[3].is_empty()).count();
        let score = (requests.min(REQUESTS_ONLY.1), found.len().max(REQUESTS_ONLY.1));
        return (score, Vec::new());
    }
    let expected = by_hand(file)
        .map_or_else(|| expected(corpus, &entry["oracle"], verdict), |rows| vec![rows]);
    compare(file, found, &expected, verdict)
}

/// How many rows are those of the oracle, cell by cell, of how many.
pub(crate) fn exactly(found: &[Row], oracle: &[Row]) -> Score {
    let mut left: Vec<&Row> = oracle.iter().collect();
    for row in found {
        let row = row.clone().map(|cell| without_guess(&cell));
        if let Some(position) = left.iter().position(|other| **other == row) {
            left.remove(position);
        }
    }
    (oracle.len() - left.len(), oracle.len().max(found.len()))
}

/// A body that is not whole is `?`, also where its length is known.
fn without_guess(cell: &str) -> String {
    if cell.starts_with('?') { "?".into() } else { cell.into() }
}

/// Compares with the floor of each class, or moves it.
pub(crate) fn hold(ratchet: &str, scores: &Scores) {
    let worse = below_the_floor(ratchet, scores);
    assert!(worse.is_empty(), "agreement fell; UPDATE=1 if that is right: {worse:?}");
}

/// What has fallen below the floor of its class; `UPDATE=1` moves the floor instead.
pub(crate) fn below_the_floor(ratchet: &str, scores: &Scores) -> Vec<String> {
    let mut text = String::from("class\tagreed\trows\n");
    for (class, score) in scores {
        println!("{class}: {} of {}", score.0, score.1);
        writeln!(text, "{class}\t{}\t{}", score.0, score.1).unwrap();
    }
    for front in ["h1", "tcp", ""] {
        let mut sum = (0, 0);
        for (_, score) in scores.iter().filter(|(class, _)| class.starts_with(front)) {
            add(&mut sum, *score);
        }
        println!("in all {front}*: {} of {}", sum.0, sum.1);
    }
    let path = root().join("tests/it").join(ratchet);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, text).unwrap();
        return Vec::new();
    }
    let mut worse = Vec::new();
    for floor in table(&path) {
        let number = |column: &str| floor[column].parse::<usize>().unwrap();
        let (agreed, rows) = scores.get(&floor["class"]).copied().unwrap_or_default();
        if agreed * number("rows") < number("agreed") * rows || agreed < number("agreed") {
            let class = &floor["class"];
            worse.push(format!("{ratchet}, {class}: {agreed} of {rows}, was {}", floor["agreed"]));
        }
    }
    worse
}

pub(crate) fn import_twice(path: &Path) -> Vec<Row> {
    let first = import(path);
    assert!(first == import(path), "{}: two imports differ", path.display());
    let Some((found, imported)) = first else {
        return Vec::new();
    };
    assert!(imported.ledger.reconciles(), "{}: {:#?}", path.display(), imported.ledger);
    // What is asked of databases is compared elsewhere.
    let is_web = |found: &&Found| match found {
        Found::Exchange(exchange) => exchange.protocol.name().starts_with("http"),
        Found::OrphanResponse { .. } => true,
    };
    found.iter().filter(is_web).map(row_of).collect()
}

fn import(path: &Path) -> Option<(Vec<Found>, Imported)> {
    let mut found = Vec::new();
    let source = Source::open(path).ok()?;
    let imported = read_capture(vec![source], &mut |one| found.push(one)).ok()?;
    Some((found, imported))
}

pub(crate) fn row_of(found: &Found) -> Row {
    let size = |bytes: Option<u64>| bytes.map_or("?".to_owned(), |bytes| bytes.to_string());
    match found {
        Found::OrphanResponse { status, body_bytes, .. } => {
            let none = String::new();
            [none.clone(), none.clone(), none.clone(), status.to_string(), none, size(*body_bytes)]
        }
        Found::Exchange(exchange) => {
            let is_whole = exchange.request_head.ends_with(b"\n\r\n")
                || exchange.request_head.ends_with(b"\n\n")
                || exchange.flags.contains(Flags::MALFORMED);
            let is_cut = exchange.flags.contains(Flags::REQUEST_TRUNCATED)
                // Bytes beyond the limit are not kept, but the body was whole.
                && exchange.request_body.len() < 1 << 20;
            let sent = exchange.request_body_bytes;
            let sent = match (is_cut, is_whole && exchange.flags.contains(Flags::GAP)) {
                (false, _) => sent.to_string(),
                (true, false) => "?".to_owned(),
                // The length is known although bytes are missing: readers call it either way.
                (true, true) => format!("?{sent}"),
            };
            let response = exchange.response.as_ref();
            let status = response.filter(|it| it.status != 0).map(|it| it.status.to_string());
            let received = response.map(|it| size(it.body_bytes));
            [
                exchange.method.clone(),
                exchange.authority.clone(),
                exchange.target.clone(),
                status.unwrap_or_default(),
                sent,
                received.unwrap_or_default(),
            ]
        }
    }
}

/// The rows are the same; `?7` of ours is both `?` and `7`.
fn same(expected: &Row, ours: &Row) -> bool {
    let cell = |(expected, ours): (&String, &String)| {
        expected == ours
            || ours.strip_prefix('?').is_some_and(|size| expected == "?" || expected == size)
    };
    expected.iter().zip(ours).all(cell)
}

pub(crate) fn row_from(text: &str) -> Row {
    let mut cells = text.split('|').map(str::to_owned);
    std::array::from_fn(|_| cells.next().unwrap_or_default())
}

/// How many rows are the same in both lists, whatever the order, of how many; and which are not.
pub(crate) fn compare(
    file: &str,
    found: &[Row],
    expected: &[Vec<Row>],
    verdict: &str,
) -> (Score, Vec<Difference>) {
    let mut best: Option<(Score, Vec<Difference>)> = None;
    for alternative in expected {
        let counts_only = verdict == "counts only";
        let simplify = |row: &Row| {
            if counts_only { [const { String::new() }; 6] } else { row.clone() }
        };
        let mut left: Vec<Row> = alternative.iter().map(simplify).collect();
        let mut surplus = Vec::new();
        for row in found.iter().map(simplify) {
            match left.iter().position(|other| same(other, &row)) {
                Some(position) => drop(left.remove(position)),
                None => surplus.push(row),
            }
        }
        let rows = alternative.len().max(found.len());
        let score = (found.len() - surplus.len(), rows);
        let text = |rows: Vec<Row>| rows.iter().map(|row| row.join("|")).collect::<Vec<_>>();
        let different = pairs(file, &text(surplus), text(left));
        if best.as_ref().is_none_or(|(other, _)| score.0 * other.1 > other.0 * score.1) {
            best = Some((score, different));
        }
    }
    best.unwrap_or_default()
}

/// The rows to find: those of the reader that is known to be right, or of either.
pub(crate) fn expected(corpus: &Path, oracle: &str, verdict: &str) -> Vec<Vec<Row>> {
    if oracle.is_empty() {
        return vec![Vec::new()];
    }
    let reference = corpus.join(oracle.replace("oracle/", "oracle-ref/"));
    let tshark = rows(&corpus.join(oracle));
    if !reference.exists() {
        return vec![tshark];
    }
    match verdict {
        _ if verdict.starts_with("reader") => vec![rows(&reference)],
        "none" | "ambiguous" | "both partly" | "peer (Zeek)" => vec![tshark, rows(&reference)],
        _ => vec![tshark],
    }
}

fn rows(path: &Path) -> Vec<Row> {
    table(path).iter().map(row_at).collect()
}

/// The row of a line of an oracle.
pub(crate) fn row_at(line: &BTreeMap<String, String>) -> Row {
    let columns = ["method", "host", "uri", "status", "req_body_bytes", "resp_body_bytes"];
    columns.map(|column| without_size(&line[column]))
}

/// `231?` means that 231 bytes of an unfinished body are there: a recording says only that.
fn without_size(cell: &str) -> String {
    if cell.ends_with('?') { "?".into() } else { cell.into() }
}

fn evader_row(member: &BTreeMap<String, String>, reader: &str) -> Option<Row> {
    let (status, bytes) = match reader {
        "tshark" => ("status", "resp_body_bytes"),
        _ => ("reader_status", "reader_resp_body_bytes"),
    };
    let cell = |column: &str| without_size(&member[column]);
    (!member["method"].is_empty())
        .then(|| [cell("method"), cell("host"), cell("uri"), cell(status), "0".into(), cell(bytes)])
}

/// Who is right where tools disagree, by file.
pub(crate) fn verdicts(corpus: &Path) -> BTreeMap<String, String> {
    let lines = table(&corpus.join("DISAGREE.tsv"));
    lines.into_iter().map(|line| (line["file"].clone(), line["who_is_right"].clone())).collect()
}

pub(crate) fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let line = |line: &str| {
        let mut cells = line.split('\t');
        names
            .iter()
            .map(|name| (*name).into())
            .zip(std::iter::from_fn(move || Some(cells.next().unwrap_or("").to_owned())))
            .collect()
    };
    lines.map(line).collect()
}

/// The path of a file of the corpus; a member of a bundle is unpacked first.
pub(crate) fn locate(corpus: &Path, file: &str, scratch: &Path) -> PathBuf {
    let Some((bundle, member)) = file.split_once('!') else {
        return corpus.join(file);
    };
    let folder = scratch.join(bundle.replace('/', "_"));
    if !folder.exists() {
        fs::create_dir_all(&folder).unwrap();
        let archive = corpus.join(bundle);
        let status =
            Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(&folder).status().unwrap();
        assert!(status.success(), "{bundle} cannot be unpacked");
    }
    folder.join(member)
}

pub(crate) fn add(sum: &mut Score, score: Score) {
    sum.0 += score.0;
    sum.1 += score.1;
}
