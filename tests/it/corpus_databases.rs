//! Aim: the commands to databases in real captures are those that independent readers find.
//!
//! Every row of an oracle is one command; agreement is counted per class of captures and may only
//! grow, `UPDATE=1` writes the floor in `corpus_databases_ratchet.tsv` again. Not counted are what
//! logs in and out, which is no command, and what [`CHECKED`] lists.

use std::path::Path;

use peakhour::capture::import::{Found, Imported, read_capture};
use peakhour::capture::source::Source;
use peakhour::protocol::Protocol;
use peakhour::protocol::resp::words::{redact, words};
use peakhour::recording::{Exchange, Flags};

use crate::corpus::differences::{hold_differences, pairs};
use crate::corpus::{Scores, add, hold, locate, table};
use crate::support::corpus;

const CLASSES: [&str; 4] = ["resp", "mysql", "pgsql", "websocket"];

/// Files of which the oracle is wrong, and somebody has looked: what is right, and why.
const CHECKED: [(&str, &[&str], &str); 5] = [
    (
        "bundles/extra-shared.tar.gz!zeek/testing__btest__Traces__redis__start-with-server.pcapng",
        &["redis SEThellothere"],
        "the capture begins with a reply, and the oracle takes the server for the client",
    ),
    (
        "zeek/testing__btest__Traces__redis__oss-fuzz-473580107.pcap",
        &[],
        "fuzzed bytes of HTTP on a port that is not that of Redis, where no reply is one of RESP",
    ),
    (
        "tcpdump/tests__resp_4_infiniteloop.pcapng",
        &[],
        "one segment that begins in the middle with an array of a negative length, for a crash",
    ),
    (
        "deepflow/agent__resources__test__flow_generator__mysql__partial-packet-compressed.pcap",
        &[],
        "compressed packets without their login: SLEEP is what their heads look like",
    ),
    (
        "bundles/extra-shared.tar.gz!zeek/testing__btest__Traces__mysql__change-user-error.pcap",
        &["mysql PING ", "mysql CHANGE_USER "],
        "the user's name is part of a login, of which nothing is kept",
    ),
];

#[test]
fn commands_agree_with_the_oracle() {
    let Some(corpus) = corpus() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut scores = Scores::new();
    let mut differences = Vec::new();
    for entry in table(&corpus.join("INDEX.tsv")) {
        let (file, class) = (&entry["file"], &entry["class"]);
        let is_of_class = CLASSES.iter().any(|front| class.starts_with(front));
        if !is_of_class && !file.contains("mysql_with_gap") {
            continue;
        }
        let (found, imported) = import(&locate(&corpus, file, scratch.path()));
        let mut left = match CHECKED.iter().find(|(name, ..)| name == file) {
            Some((_, rows, _)) => rows.iter().map(|row| (*row).to_owned()).collect(),
            None if class == "websocket" => vec!["websocket".to_owned()],
            None => expected(&corpus.join(&entry["oracle_db"])),
        };
        let rows: Vec<String> = found.iter().filter_map(row_of).collect();
        let (wanted, mut surplus) = (left.len(), Vec::new());
        for row in &rows {
            match left.iter().position(|other| other == row) {
                Some(position) => drop(left.remove(position)),
                None => surplus.push(row.clone()),
            }
        }
        let score = (rows.len() - surplus.len(), wanted.max(rows.len()));
        add(scores.entry(class.clone()).or_default(), score);
        differences.extend(pairs(file, &surplus, left));
        if !CHECKED.iter().any(|(name, ..)| name == file) {
            errors(&corpus.join(&entry["oracle_db"]), file, &found);
        }
        assert_eq!(
            imported.ledger.notes.get("websocket connections").copied().unwrap_or(0),
            u64::from(class == "websocket"),
            "{file}"
        );
    }
    hold("corpus_databases_ratchet.tsv", &scores);
    hold_differences("databases", differences);
}

/// As many replies of Redis are errors as the oracle says.
fn errors(oracle: &Path, file: &str, found: &[Exchange]) {
    if !oracle.is_file() {
        return;
    }
    let of_row = |row: &str| {
        let count = row.split(' ').find_map(|word| word.strip_prefix("errors="));
        count.map_or(0, |count| count.parse().unwrap())
    };
    let wanted: usize = table(oracle)
        .iter()
        .filter(|row| row["kind"] == "replies")
        .map(|row| of_row(&row["text"]))
        .sum();
    let is_error =
        |it: &&Exchange| it.protocol == Protocol::Redis && it.flags.contains(Flags::ERROR_REPLY);
    assert_eq!(found.iter().filter(is_error).count(), wanted, "{file}");
}

fn import(path: &Path) -> (Vec<Exchange>, Imported) {
    let mut found = Vec::new();
    let imported = read_capture(vec![Source::open(path).unwrap()], &mut |one| {
        if let Found::Exchange(exchange) = one {
            found.push(exchange);
        }
    })
    .unwrap();
    assert!(imported.ledger.reconciles(), "{}: {:#?}", path.display(), imported.ledger);
    (found, imported)
}

/// `mysql QUERY select 1`, `redis GET k`; `None` for what is no command to a database. The oracle
/// has no names of tables, and of executed statements other things than their text.
fn row_of(exchange: &Exchange) -> Option<String> {
    let Exchange { method, target, request_body, .. } = exchange;
    let text = match method.as_str() {
        "FIELD_LIST" | "STMT_EXECUTE" | "STMT_CLOSE" | "EXECUTE" => "",
        _ => target,
    };
    match exchange.protocol {
        Protocol::Redis if request_body.starts_with(b"*") => {
            let all: Vec<&[u8]> =
                words(request_body).into_iter().map(|range| &request_body[range]).collect();
            Some(format!("redis {}", plain(&all.join(&b' '))))
        }
        Protocol::Redis => Some(format!("redis {}", plain(request_body.trim_ascii_end()))),
        Protocol::Mysql => Some(format!("mysql {method} {}", plain(text.as_bytes()))),
        Protocol::Postgres => Some(format!("pgsql {method} {}", plain(text.as_bytes()))),
        _ if exchange.flags.contains(Flags::WEBSOCKET) => Some("websocket".to_owned()),
        _ => None,
    }
}

/// The front of a text as far as all readers write it alike: without control characters, escapes,
/// and bytes that are not ASCII.
fn plain(bytes: &[u8]) -> String {
    const LENGTH: usize = 90;
    let readable = bytes.iter().filter(|byte| byte.is_ascii_graphic() && **byte != b'\\');
    readable.take(LENGTH).map(|byte| char::from(*byte)).collect()
}

fn expected(oracle: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for row in table(oracle) {
        let (kind, text) = (row["kind"].as_str(), row["text"].as_str());
        let text = text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r");
        match (row["source"].as_str(), kind) {
            _ if row["index_or_frame"] == "-" => {}
            // An empty line asks for nothing.
            ("resp", "inline") if text.is_empty() => {}
            ("resp", "error") => {}
            ("resp", _) => {
                let mut command = text.into_bytes();
                redact(&mut command);
                rows.push(format!("redis {}", plain(&command)));
            }
            ("mysql", "FIELD_LIST" | "STMT_EXECUTE" | "STMT_CLOSE") => {
                rows.push(format!("mysql {kind} "));
            }
            ("mysql", _) => rows.push(format!("mysql {kind} {}", plain(text.as_bytes()))),
            // What stands between these belongs to them.
            ("pgsql", "Query" | "Parse" | "Execute") => {
                rows.push(format!("pgsql {} {}", kind.to_uppercase(), plain(text.as_bytes())));
            }
            _ => {}
        }
    }
    rows
}
