//! What the drills of a rehearsal did: when, how long, and what they saw.

mod connections;

use crate::act::{Evidence, Performed};
use crate::report::html::table::{Kind, TableView, text, time};

/// The tables of the drills, an overview first.
pub(super) fn tables(acts: &[Performed]) -> Vec<TableView> {
    let row = |performed: &Performed| {
        vec![
            text(performed.act.name()),
            time(performed.started_ns),
            time(performed.ended_ns.saturating_sub(performed.started_ns)),
        ]
    };
    let overview = TableView {
        caption: "The acts before the replay".to_owned(),
        columns: vec!["act", "began after", "took"],
        rows: acts.iter().map(row).collect(),
        kind: Kind::Plain,
    };
    let details = acts.iter().flat_map(|performed| details(&performed.evidence));
    std::iter::once(overview).chain(details).collect()
}

/// What one drill saw.
fn details(evidence: &Evidence) -> Vec<TableView> {
    match evidence {
        Evidence::Connections(seen) => connections::tables(seen),
        Evidence::Fingerprint(_)
        | Evidence::Canary(_)
        | Evidence::Payloads(_)
        | Evidence::Cold(_) => Vec::new(),
    }
}
