//! Aim: the commands to databases in real captures are those that independent readers find.
//!
//! Every row of an oracle is one command; agreement is counted per class of captures and may only
//! grow, `UPDATE=1` writes the floor in `corpus_databases_ratchet.tsv` again.
#![expect(clippy::print_stdout, reason = "what disagrees is for people to read")]

use std::collections::BTreeMap;
use std::path::Path;

use peakhour::capture::import::{Found, Imported, read_capture};
use peakhour::capture::source::Source;
use peakhour::protocol::Protocol;
use peakhour::protocol::resp::words::{redact, words};
use peakhour::recording::{Exchange, Flags};

use crate::corpus::{Scores, add, hold, locate, table};
use crate::support::corpus;

const CLASSES: [&str; 3] = ["resp", "mysql", "pgsql"];

#[test]
fn commands_agree_with_the_oracle() {
    let Some(corpus) = corpus() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut scores = Scores::new();
    for entry in table(&corpus.join("INDEX.tsv")) {
        let (file, class) = (&entry["file"], &entry["class"]);
        if !CLASSES.iter().any(|front| class.starts_with(front)) {
            continue;
        }
        let (found, _) = import(&locate(&corpus, file, scratch.path()));
        let mut left = expected(&corpus.join(&entry["oracle_db"]));
        let all = left.len().max(found.len());
        for row in found.iter().filter_map(row_of) {
            match left.iter().position(|other| *other == row) {
                Some(position) => drop(left.remove(position)),
                None => println!("{file}: + {row}"),
            }
        }
        for row in &left {
            println!("{file}: - {row}");
        }
        let agreed = all.min(found.len() + 0).min(all - left.len());
        add(scores.entry(class.clone()).or_default(), (agreed, all));
    }
    hold("corpus_databases_ratchet.tsv", &scores);
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

/// `QUERY select 1`, `GET k`; `None` for what is no command to a database.
fn row_of(exchange: &Exchange) -> Option<String> {
    let Exchange { method, target, .. } = exchange;
    match exchange.protocol {
        Protocol::Redis => {
            let body = &exchange.request_body;
            let all: Vec<String> =
                words(body).into_iter().map(|range| plain(&body[range])).collect();
            Some(format!("redis {}", all.join(" ")))
        }
        Protocol::Mysql => Some(format!("mysql {method} {}", plain(target.as_bytes()))),
        Protocol::Postgres => Some(format!("pgsql {method} {}", plain(target.as_bytes()))),
        _ => None,
    }
}

fn plain(bytes: &[u8]) -> String {
    let _ = (redact as fn(&mut [u8]) -> bool, Flags::GAP, BTreeMap::<u8, u8>::new());
    String::from_utf8_lossy(bytes).into_owned()
}

fn expected(oracle: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for row in table(oracle) {
        let (kind, text) = (row["kind"].as_str(), row["text"].as_str());
        match (row["source"].as_str(), row["index_or_frame"].as_str()) {
            (_, "-") => {}
            ("resp", _) if kind == "error" => {}
            ("resp", _) => rows.push(format!("redis {text}")),
            ("mysql", _) => rows.push(format!("mysql {kind} {text}")),
            ("pgsql", _) => rows.push(format!("pgsql {} {text}", kind.to_uppercase())),
            _ => {}
        }
    }
    rows
}
