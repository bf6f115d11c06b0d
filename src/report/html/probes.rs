//! What the probes saw, a row a figure.

use crate::probe::record::{Record, Series};
use crate::report::html::table::{Kind, TableView, numeric, text};

/// Most rows; `run.json` has them all.
const MAX_ROWS: usize = 500;

/// The figures of all probes.
pub(super) fn table(records: &[Record]) -> TableView {
    let figure = |value: f64| numeric(format!("{value:.0}"));
    let row = |record: &Record, series: &Series| {
        let values = || series.points.iter().map(|(_, value)| *value);
        vec![
            text(&record.name),
            text(&series.metric),
            figure(values().next().unwrap_or(0.0)),
            figure(values().fold(f64::INFINITY, f64::min)),
            figure(values().fold(f64::NEG_INFINITY, f64::max)),
            figure(values().next_back().unwrap_or(0.0)),
            numeric(series.limit.map_or_else(|| "–".to_owned(), |limit| format!("{limit:.0}"))),
        ]
    };
    let all = records.iter().flat_map(|record| record.series.iter().map(move |one| (record, one)));
    TableView {
        caption: "What the probes saw".to_owned(),
        columns: vec!["probe", "metric", "first", "min", "max", "last", "limit"],
        rows: all.take(MAX_ROWS).map(|(record, series)| row(record, series)).collect(),
        kind: Kind::Plain,
    }
}
