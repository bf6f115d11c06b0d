//! Burstiness of the recording and of the plan, and what scaling did to it.

use crate::plan::facts::Facts;
use crate::report::html::table::{Kind, TableView, dash, numeric, text};
use crate::report::text::number;

/// The dispersion of counts, and what scaling did to it in words.
pub(super) fn tables(facts: &Facts) -> Vec<TableView> {
    let row = |name: &str, values: &[Option<f64>; 4]| {
        let figure = |value: &Option<f64>| value.map_or_else(dash, |v| numeric(number(v, 3)));
        std::iter::once(text(name)).chain(values.iter().map(figure)).collect()
    };
    let mut rows = Vec::new();
    if facts.origin.is_recorded() {
        rows.push(row("recorded", &facts.idc_before));
    }
    rows.push(row("planned", &facts.idc_after));
    if let Some(scaling) = &facts.scaling {
        rows.push(row("not scaled", &scaling.idc_unscaled));
        rows.push(row("scaled", &scaling.idc_scaled));
        rows.push(row("scaled / not scaled", &scaling.ratios()));
    }
    let mut tables = vec![TableView {
        caption: "Index of dispersion for counts: 1 is random, more is bursty".to_owned(),
        columns: vec!["series", "10 ms", "100 ms", "1 s", "10 s"],
        rows,
        kind: Kind::Plain,
    }];
    if let Some(scaling) = &facts.scaling {
        tables.push(TableView {
            caption: "What scaling did to the load, whatever became of it in the run".to_owned(),
            columns: vec!["what it did"],
            rows: scaling.told().iter().map(|sentence| vec![text(sentence)]).collect(),
            kind: Kind::Plain,
        });
    }
    tables
}
