//! What the act `cold` saw: cold against warm, time by time.

use crate::act::cold::Cold;
use crate::act::cold::compare::{Bin, Side};
use crate::report::html::table::{Cell, Kind, TableView, amount, dash, numeric, time};

/// Rows of the table: neighbouring bins of longer runs are left out.
const ROWS: usize = 60;

/// The table of an act; none where nothing was compared.
pub(super) fn tables(cold: &Cold) -> Vec<TableView> {
    let Some(comparison) = &cold.comparison else { return Vec::new() };
    let step = comparison.bins.len().div_ceil(ROWS).max(1);
    let row = |(index, bin): (usize, &Bin)| {
        let at = comparison.bin_ns.saturating_mul(index as u64);
        vec![
            time(at),
            amount(bin.cold.requests),
            latency(&bin.cold, bin.cold.p50_ns),
            latency(&bin.warm, bin.warm.p50_ns),
            latency(&bin.cold, bin.cold.p95_ns),
            latency(&bin.warm, bin.warm.p95_ns),
            amount(bin.cold.errors),
            amount(bin.warm.errors),
            reads(bin.cold.origin_reads),
            reads(bin.warm.origin_reads),
        ]
    };
    let rows = comparison.bins.iter().enumerate().step_by(step).map(row).collect();
    let caption = match step {
        1 => "Cold against warm, from the start of each replay".to_owned(),
        _ => format!("Cold against warm, every {step}th bin"),
    };
    let columns = vec![
        "after",
        "requests",
        "p50 cold",
        "p50 warm",
        "p95 cold",
        "p95 warm",
        "errors cold",
        "errors warm",
        "origin reads cold",
        "origin reads warm",
    ];
    vec![TableView { caption, columns, rows, kind: Kind::Plain }]
}

fn latency(side: &Side, ns: u64) -> Cell {
    if side.answers == 0 { dash() } else { time(ns) }
}

fn reads(reads: Option<f64>) -> Cell {
    reads.map_or_else(dash, |reads| numeric(format!("{reads:.0}")))
}
