//! A table of the page as text cells, and how tables and cells are made.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::report::html::{MAX_SENTENCES, sentence};
use crate::report::text::{nanos, share};
use crate::stats::counts::as_f64;
use crate::units::format_count;
use crate::verdict::Outcome;

/// A table.
pub(super) struct TableView {
    /// What it shows.
    pub(super) caption: String,
    /// Column titles; the first column titles its rows.
    pub(super) columns: Vec<&'static str>,
    /// Rows, as long as `columns`.
    pub(super) rows: Vec<Vec<Cell>>,
    /// What can be done with it.
    pub(super) kind: Kind,
}

/// What can be done with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Read it.
    Plain,
    /// Read it; its column titles say nothing to those who see it.
    Facts,
    /// Sort it by a click on a column's title.
    Sortable,
}

impl TableView {
    /// The class of the table's element.
    pub(super) fn class(&self) -> &'static str {
        match self.kind {
            Kind::Plain => "",
            Kind::Facts => "facts",
            Kind::Sortable => "sortable",
        }
    }

    /// As many rows as a page has room for.
    pub(super) fn shown(&self) -> &[Vec<Cell>] {
        let mut room = MAX_TEXT;
        let fits = |row: &&Vec<Cell>| {
            let size = row.iter().map(|cell| weight(&cell.text)).sum();
            room = room.saturating_sub(size);
            room > 0
        };
        let count = self.rows.iter().take(MAX_ROWS).take_while(fits).count();
        &self.rows[..count]
    }

    /// Rows that are in run.json only.
    pub(super) fn left_out(&self) -> usize {
        self.rows.len() - self.shown().len()
    }

    /// A click on a column's title sorts by it.
    pub(super) fn is_sortable(&self) -> bool {
        self.kind == Kind::Sortable
    }

    /// The columns' titles with their classes: a title stands above its numbers.
    pub(super) fn heads(&self) -> Vec<(&'static str, &'static str)> {
        let is_numeric = |column: usize| {
            let cell = self.rows.first().and_then(|row| row.get(column));
            cell.is_some_and(|cell| cell.class.starts_with("num"))
        };
        let titles = self.columns.iter().zip(0..);
        titles
            .map(|(title, column)| (*title, if is_numeric(column) { "num" } else { "" }))
            .collect()
    }
}

/// Most rows of a table, and most bytes of their text. Few runs have a table of so many rows; two
/// hundred of the longest routes take half of the text. Bytes are those of the page ([`weight`]).
const MAX_ROWS: usize = 500;
const MAX_TEXT: usize = 100_000;

/// Bytes of a text as the page writes it: a quote or a bracket is six.
pub(super) fn weight(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\''));
    text.len() + escaped.count() * 5
}

/// A cell.
pub(super) struct Cell {
    /// What people read.
    pub(super) text: String,
    /// How it looks: `num`, `pass`, `unknown`, `fail`, `quiet`, `route`, `whole` or nothing; of a
    /// row's first cell also `rest`, where the row sums up those that are not listed.
    pub(super) class: &'static str,
    /// What it is sorted by, when that is not its text.
    pub(super) order: Option<f64>,
}

/// The style of an outcome.
pub(super) fn outcome_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Unknown => "unknown",
        Outcome::Fail => "fail",
    }
}

/// A table of facts, each with its name.
pub(super) fn facts_table(caption: &str, facts: &[(&str, String)]) -> TableView {
    TableView {
        caption: caption.to_owned(),
        columns: vec!["what", "value"],
        rows: facts
            .iter()
            .map(|(name, value)| vec![text(name), numeric(sentence(value))])
            .collect(),
        kind: Kind::Facts,
    }
}

/// A table of counts, the largest first, each with its share of a total.
pub(super) fn counts_table<K: ToString>(
    caption: &str,
    first: &'static str,
    counts: &BTreeMap<K, u64>,
    total: u64,
) -> TableView {
    // The largest first; the map's order decides between equals.
    let mut sorted: Vec<(&K, &u64)> = counts.iter().collect();
    sorted.sort_by_key(|(_, number)| Reverse(**number));
    let beyond = sorted.split_off(sorted.len().min(MAX_SENTENCES));
    let row =
        |name: &str, number: u64| vec![text(name), amount(number), numeric(share(number, total))];
    let mut rows: Vec<Vec<Cell>> =
        sorted.into_iter().map(|(name, number)| row(&name.to_string(), *number)).collect();
    if !beyond.is_empty() {
        let number = beyond.iter().fold(0_u64, |sum, (_, number)| sum.saturating_add(**number));
        rows.push(row(&format!("{} others", beyond.len()), number));
    }
    TableView {
        caption: caption.to_owned(),
        columns: vec![first, "count", "share"],
        rows,
        kind: Kind::Plain,
    }
}

/// A cell of words.
pub(super) fn text(text: &str) -> Cell {
    Cell { text: sentence(text), class: "", order: None }
}

/// A cell of a number that is text already.
pub(super) fn numeric(text: String) -> Cell {
    Cell { text, class: "num", order: None }
}

/// The same where rows can be sorted by it: as text, 1.2 would come before 1.15.
pub(super) fn measure(text: String, value: f64) -> Cell {
    Cell { text, class: "num", order: Some(value).filter(|value| value.is_finite()) }
}

/// A cell of a count.
pub(super) fn amount(number: u64) -> Cell {
    measure(format_count(number), as_f64(number))
}

/// A cell of a time in nanoseconds.
pub(super) fn time(time: u64) -> Cell {
    measure(nanos(time), as_f64(time))
}

/// A cell without a value.
pub(super) fn dash() -> Cell {
    Cell { text: "–".to_owned(), class: "num quiet", order: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_short_rows_ends_and_says_how_many_it_leaves_out() {
        let table = |rows: usize| TableView {
            caption: String::new(),
            columns: vec!["route"],
            rows: (0..rows).map(|_| vec![text("/")]).collect(),
            kind: Kind::Plain,
        };
        assert_eq!((table(MAX_ROWS).left_out(), table(MAX_ROWS).shown().len()), (0, MAX_ROWS));
        assert_eq!((table(MAX_ROWS + 3).left_out(), table(MAX_ROWS + 3).shown().len()), (3, 500));
    }
}
