//! What differs from the oracles is listed in `corpus_differences.tsv`, each row with a reason.
//! A difference that is not listed fails, and so does one that is listed and is none any more.

use crate::corpus::table;
use crate::support::root;

/// Whoever calls [`hold_differences`].
const TESTS: [&str; 6] = ["http1", "http2", "tls", "databases", "har", "streams"];

/// The capture, our row, and the row to find; one of the rows may be empty.
pub(crate) type Difference = [String; 3];

/// Cells that two rows have in common when they tell of the same exchange.
const ALIKE: usize = 2;

/// Rows of ours that are not to be found, each beside the one that it was probably meant to be.
pub(crate) fn pairs(capture: &str, ours: &[String], mut theirs: Vec<String>) -> Vec<Difference> {
    let mut pairs = Vec::new();
    for row in ours {
        let alike = |other: &String| {
            row.split('|').zip(other.split('|')).filter(|(cell, other)| cell == other).count()
        };
        let best = theirs.iter().enumerate().max_by_key(|(_, other)| alike(other));
        let best = best.filter(|(_, other)| alike(other) >= ALIKE).map(|(position, _)| position);
        let other = best.map_or(String::new(), |position| theirs.remove(position));
        pairs.push([capture.to_owned(), row.clone(), other]);
    }
    pairs.extend(theirs.into_iter().map(|row| [capture.to_owned(), String::new(), row]));
    pairs
}

/// Exactly the differences found by a test are those that are listed for it.
pub(crate) fn hold_differences(test: &str, found: Vec<Difference>) {
    assert!(TESTS.contains(&test));
    let (mut listed, mut new) = (Vec::new(), Vec::new());
    for line in table(&root().join("tests/it/corpus_differences.tsv")) {
        assert!(line["reason"].len() > 20, "no reason: {line:?}");
        assert!(TESTS.contains(&&*line["test"]), "no test of that name: {line:?}");
        if line["test"] == test {
            listed.push(["capture", "ours", "theirs"].map(|column| line[column].clone()));
        }
    }
    for difference in found {
        match listed.iter().position(|other| *other == difference) {
            Some(position) => drop(listed.remove(position)),
            None => new.push(difference),
        }
    }
    let lines = |differences: Vec<Difference>| -> String {
        let lines = differences.iter().map(|row| format!("{test}\t{}", row.join("\t")));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(new.is_empty(), "differences that are not listed:\n{}", lines(new));
    assert!(listed.is_empty(), "listed, but no longer different:\n{}", lines(listed));
}
