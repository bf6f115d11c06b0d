//! What large requests did to small ones, a table for each sweep.

use crate::act::payloads::{Payloads, Rung, Sweep};
use crate::report::html::table::{Cell, Kind, TableView, amount, dash, numeric, text, time};
use crate::report::text::share;
use crate::units::format_size;

/// A table for each sweep that has sizes, and one of the limits that were met.
pub(super) fn tables(evidence: &Payloads) -> Vec<TableView> {
    let swept = evidence.sweeps.iter().filter(|sweep| !sweep.rungs.is_empty());
    swept.map(sizes).chain(limits(evidence)).collect()
}

fn sizes(sweep: &Sweep) -> TableView {
    TableView {
        caption: format!("What small requests waited beside {}", sweep.name()),
        columns: vec![
            "size",
            "requests",
            "took",
            "waited p50",
            "waited p99",
            "waited at most",
            "blocked",
        ],
        rows: sweep.rungs.iter().map(row).chain([outside(sweep)]).collect(),
        kind: Kind::Plain,
    }
}

fn row(rung: &Rung) -> Vec<Cell> {
    let mut took: Vec<u64> = rung.requests.iter().map(|big| big.latency_ns).collect();
    took.sort_unstable();
    let inside = &rung.inside;
    vec![
        text(&format_size(rung.bytes)),
        amount(rung.requests.len() as u64),
        took.get(took.len() / 2).map_or_else(dash, |took| time(*took)),
        time(inside.p50_ns),
        time(inside.p99_ns),
        time(inside.max_ns),
        numeric(share(rung.blocked, inside.count)),
    ]
}

fn outside(sweep: &Sweep) -> Vec<Cell> {
    let outside = &sweep.outside;
    vec![
        text("nothing large"),
        dash(),
        dash(),
        time(outside.p50_ns),
        time(outside.p99_ns),
        time(outside.max_ns),
        dash(),
    ]
}

fn limits(evidence: &Payloads) -> Option<TableView> {
    let row = |sweep: &Sweep| {
        let boundary = sweep.boundary.as_ref()?;
        let refusal = text(&boundary.fate.told());
        Some(vec![
            text(&sweep.name()),
            amount(boundary.accepted),
            amount(boundary.refused),
            refusal,
        ])
    };
    let rows: Vec<Vec<Cell>> = evidence.sweeps.iter().filter_map(row).collect();
    (!rows.is_empty()).then(|| TableView {
        caption: "Sizes that are refused".to_owned(),
        columns: vec!["what", "bytes that pass", "bytes refused", "how"],
        rows,
        kind: Kind::Plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::payloads::{Boundary, Bystanders, Fate, What};

    #[test]
    fn a_sweep_has_a_row_a_size_and_a_limit_its_bytes() {
        let usual = Bystanders { count: 9, failed: 0, p50_ns: 1, p99_ns: 2, max_ns: 3 };
        let sweep = Sweep {
            endpoint: "target".to_owned(),
            what: What::HttpRequest,
            place: "POST /sync".to_owned(),
            rungs: vec![Rung { bytes: 4_096, ..Rung::default() }; 2],
            outside: usual,
            connect_outside_ns: None,
            attempts: Vec::new(),
            announced: None,
            boundary: Some(Boundary { accepted: 9, refused: 10, fate: Fate::Reset }),
            ended: None,
            unknown: None,
        };
        let evidence = Payloads { sweeps: vec![sweep], ..Payloads::default() };
        let tables = tables(&evidence);
        assert_eq!(tables.len(), 2);
        assert_eq!((tables[0].rows.len(), tables[1].rows.len()), (3, 1));
        assert!(
            tables
                .iter()
                .all(|table| { table.rows.iter().all(|row| row.len() == table.columns.len()) })
        );
        assert_eq!(tables[1].rows[0][3].text, "cut off by a reset");
        assert!(super::tables(&Payloads::default()).is_empty());
    }
}
