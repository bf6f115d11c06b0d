//! What the drills of a rehearsal did: when, how long, and what they saw.

mod connections;
mod payloads;

use crate::act::canary::Canary;
use crate::act::fingerprint::Fingerprint;
use crate::act::{Evidence, Performed};
use crate::report::html::table::{Kind, TableView, amount, dash, facts_table, text, time};
use crate::report::html::{capacity, cold};
use crate::scenario::acts::ActName;
use crate::units::format_count;

/// The tables of the drills, an overview first.
pub(super) fn tables(acts: &[Performed]) -> Vec<TableView> {
    let row = |performed: &Performed| {
        vec![
            text(performed.act.name()),
            time(performed.started_ns),
            time(performed.ended_ns.saturating_sub(performed.started_ns)),
        ]
    };
    // It comes last, and what comes before it is all there was until then.
    let caption = if acts.iter().any(|performed| performed.act == ActName::Capacity) {
        "The acts beside the replay"
    } else {
        "The acts before the replay"
    };
    let overview = TableView {
        caption: caption.to_owned(),
        columns: vec!["act", "began after", "took"],
        rows: acts.iter().map(row).collect(),
        kind: Kind::Plain,
    };
    let mut details: Vec<TableView> =
        acts.iter().flat_map(|performed| details(&performed.evidence)).collect();
    let beyond = details.split_off(details.len().min(MAX_TABLES)).len();
    if beyond > 0 {
        let told = format!("{} more tables are in run.json", format_count(beyond as u64));
        details.push(facts_table("Not shown", &[("acts", told)]));
    }
    std::iter::once(overview).chain(details).collect()
}

/// Most tables of acts: each payload has one, and each pool.
const MAX_TABLES: usize = 20;

/// What one drill saw.
fn details(evidence: &Evidence) -> Vec<TableView> {
    match evidence {
        Evidence::Fingerprint(seen) => nodes(seen),
        Evidence::Canary(seen) => streams(seen),
        Evidence::Connections(seen) => connections::tables(seen),
        Evidence::Payloads(evidence) => payloads::tables(evidence),
        Evidence::Cold(evidence) => cold::tables(evidence),
        Evidence::Capacity(evidence) => capacity::tables(evidence),
    }
}

/// What every node told.
fn nodes(seen: &Fingerprint) -> Vec<TableView> {
    let rows = seen.nodes.iter().map(|node| {
        let clock = node.clock.map(|clock| time(clock.offset_ns.unsigned_abs()));
        vec![
            text(&node.name),
            amount(node.facts.len() as u64),
            clock.unwrap_or_else(dash),
            text(node.problem.as_deref().unwrap_or_default()),
        ]
    });
    vec![TableView {
        caption: "The nodes of the stack".to_owned(),
        columns: vec!["node", "facts", "clock off by", "problem"],
        rows: rows.collect(),
        kind: Kind::Plain,
    }]
}

/// Where marked requests showed up.
fn streams(seen: &Canary) -> Vec<TableView> {
    let rows = seen.streams.iter().map(|stream| {
        let [[success, success_seen], [error, error_seen]] = [stream.success, stream.error];
        vec![
            text(&stream.name),
            text(&format!("{success_seen} of {success}")),
            text(&format!("{error_seen} of {error}")),
            amount(stream.lines),
            text(stream.problem.as_deref().unwrap_or_default()),
        ]
    });
    vec![TableView {
        caption: "Marked requests in the log streams".to_owned(),
        columns: vec!["stream", "successful seen", "failing seen", "lines", "problem"],
        rows: rows.collect(),
        kind: Kind::Plain,
    }]
}
