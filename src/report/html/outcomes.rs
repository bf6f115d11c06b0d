//! What became of requests, and when it was first and last seen.

use std::time::Duration;

use crate::drive::clock::nanoseconds;
use crate::report::figures::Group;
use crate::report::html::table::{Cell, Kind, TableView, amount, numeric, text, time};
use crate::report::text::share;
use crate::units::format_duration;

/// The table; `None` where nothing by the second was kept, or all came to one end.
pub(super) fn table(groups: &[Group]) -> Option<TableView> {
    let rows: Vec<&Group> = groups.iter().filter(|group| count(group) > 0).collect();
    let total = rows.iter().map(|group| count(group)).sum();
    (rows.len() > 1).then(|| TableView {
        caption: "What became of requests, and when (by when they were due)".to_owned(),
        columns: vec!["end", "requests", "share", "first", "last", "most in a second", "then"],
        rows: rows.into_iter().map(|group| row(group, total)).collect(),
        kind: Kind::Sortable,
    })
}

fn count(group: &Group) -> u64 {
    group.by_second.iter().map(|requests| u64::from(*requests)).sum()
}

fn row(group: &Group, total: u64) -> Vec<Cell> {
    let some = |requests: &u32| *requests > 0;
    let first = group.by_second.iter().position(some).unwrap_or_default();
    let last = group.by_second.iter().rposition(some).unwrap_or_default();
    // The first of several that are alike: maxima of iterators are the last.
    let all = group.by_second.iter().copied().enumerate().rev();
    let (worst, most) = all.max_by_key(|(_, requests)| *requests).unwrap_or_default();
    let requests = count(group);
    vec![
        text(&group.name),
        amount(requests),
        numeric(share(requests, total)),
        moment(first),
        moment(last),
        amount(u64::from(most)),
        moment(worst),
    ]
}

/// A second since the start of the replay.
fn moment(second: usize) -> Cell {
    let at = Duration::from_secs(second as u64);
    Cell { text: format_duration(at), ..time(nanoseconds(at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, by_second: &[u32]) -> Group {
        Group { name: name.to_owned(), by_second: by_second.to_vec() }
    }

    #[test]
    fn each_end_has_its_first_and_last_moment_and_its_worst() {
        let groups = [
            group("2xx", &[90, 90, 40, 0, 90]),
            group("5xx", &[0, 0, 50, 90, 0]),
            group("timed out", &[0, 3, 0, 3, 0]),
            group("unsent", &[0; 5]),
        ];
        let table = table(&groups).unwrap();
        let rows: Vec<Vec<&str>> =
            table.rows.iter().map(|row| row.iter().map(|cell| &*cell.text).collect()).collect();
        assert_eq!(
            rows,
            [
                ["2xx", "310", "68 %", "0 s", "4 s", "90", "0 s"],
                ["5xx", "140", "30.7 %", "2 s", "3 s", "90", "3 s"],
                ["timed out", "6", "1.32 %", "1 s", "3 s", "3", "1 s"],
            ]
        );
        // The twin in which nothing went wrong, and runs of versions that did not tell it.
        assert!(super::table(&groups[..1]).is_none() && super::table(&[]).is_none());
    }
}
