//! What the probes saw, a row a figure.

use crate::probe::record::{Record, Series};
use crate::report::html::table::{Cell, Kind, TableView, dash, numeric, text};
use crate::report::text::number;

/// The figures of all probes.
pub(super) fn table(records: &[Record]) -> TableView {
    // A load of 0.42 is no load of 0; a count of a million has no use for digits behind it.
    let figure =
        |value: Option<f64>| value.map_or_else(dash, |value| numeric(number(value, FIGURE_DIGITS)));
    let row = |record: &Record, series: &Series| {
        let values = || series.points.iter().map(|(_, value)| *value).filter(|it| it.is_finite());
        vec![
            text(&record.name),
            text(&series.metric),
            figure(values().next()),
            figure(values().reduce(f64::min)),
            figure(values().reduce(f64::max)),
            figure(values().next_back()),
            figure(series.limit),
        ]
    };
    let all = records.iter().flat_map(|record| record.series.iter().map(move |one| (record, one)));
    TableView {
        caption: "What the probes saw".to_owned(),
        columns: vec!["probe", "metric", "first", "min", "max", "last", "limit"],
        rows: records
            .iter()
            .filter_map(hit_ratios)
            .chain(all.map(|(record, series)| row(record, series)))
            .collect(),
        kind: Kind::Plain,
    }
}

/// Significant digits of a figure; those before the point are all told.
const FIGURE_DIGITS: usize = 3;

/// Counters of hits and of misses, or of all; each server has its own.
const HITS: [(&str, &str, bool); 4] = [
    ("keyspace_hits", "keyspace_misses", false),
    ("get_hits", "get_misses", false),
    ("blks_hit", "blks_read", false),
    ("Innodb_buffer_pool_reads", "Innodb_buffer_pool_read_requests", true),
];

/// The share of look-ups that the cache of a server answered while it was watched.
fn hit_ratios(record: &Record) -> Option<Vec<Cell>> {
    let ratios = HITS.iter().find_map(|&(first, second, is_misses_of_all)| {
        let (first, second) = (record.metric(first)?, record.metric(second)?);
        let mut before = (first.points.first()?.1, second.points.first()?.1);
        let mut ratios = Vec::new();
        for (&(_, first), &(_, second)) in first.points.iter().zip(&second.points).skip(1) {
            let (a, b) = (first - before.0, second - before.1);
            before = (first, second);
            let ratio = if is_misses_of_all { (b - a) / b } else { a / (a + b) };
            // Nothing was looked up, or the server began again at zero.
            if ratio.is_finite() && a >= 0.0 && b >= 0.0 {
                ratios.push(ratio);
            }
        }
        (!ratios.is_empty()).then_some(ratios)
    })?;
    let share = |value: f64| numeric(format!("{:.1} %", value * 100.0));
    Some(vec![
        text(&record.name),
        text("hit ratio"),
        share(*ratios.first()?),
        share(ratios.iter().copied().fold(f64::INFINITY, f64::min)),
        share(ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        share(*ratios.last()?),
        numeric("–".to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::record::SeriesKind;

    fn record(series: [(&str, &[f64]); 2]) -> Record {
        let series = series.map(|(metric, values)| Series {
            metric: metric.to_owned(),
            kind: SeriesKind::Counter,
            unit: String::new(),
            limit: None,
            points: (0..).zip(values.iter().copied()).collect(),
        });
        Record { series: series.into(), ..Record::default() }
    }

    fn shown(record: &Record) -> String {
        let cells = hit_ratios(record).unwrap_or_default();
        cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn small_figures_are_told_and_none_is_made_up() {
        let load = record([("load", &[0.42, 1.5, 1_234_567.8][..]), ("errors", &[])]);
        let rows = table(&[load]).rows;
        let told = |row: usize| -> Vec<&str> {
            rows[row][2..].iter().map(|cell| cell.text.as_str()).collect()
        };
        assert_eq!(told(0), ["0.42", "0.42", "1234568", "1234568", "–"]);
        assert_eq!(told(1), ["–"; 5], "nothing was seen");
    }

    #[test]
    fn hit_ratios_are_of_the_time_watched_and_survive_restarts() {
        let redis = [("keyspace_hits", &[90.0, 91.0, 1.0, 4.0][..])];
        let redis = record([redis[0], ("keyspace_misses", &[10.0, 11.0, 0.0, 1.0])]);
        assert!(shown(&redis).contains("50.0 %") && shown(&redis).contains("75.0 %"));
        let reads = ("Innodb_buffer_pool_reads", &[5.0, 6.0][..]);
        let mysql = record([reads, ("Innodb_buffer_pool_read_requests", &[100.0, 110.0])]);
        assert!(shown(&mysql).contains("90.0 %"), "{}", shown(&mysql));
        let idle = record([("get_hits", &[5.0, 5.0]), ("get_misses", &[5.0, 5.0])]);
        assert_eq!(shown(&idle), "");
    }
}
