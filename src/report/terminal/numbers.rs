//! The figures of a run: what became of the arrivals, and the latencies.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Display;

use crate::report::model::{Oddities, Quantiles, Report, Totals};
use crate::report::terminal::grid::Grid;
use crate::report::text::{nanos, share};
use crate::stats::counts::total;
use crate::units::{format_count, format_size};

/// The section of numbers.
pub(super) fn numbers(report: &Report, width: u16) -> String {
    format!("Numbers\n{}{}", totals(report, width), latencies(report, width))
}

fn totals(report: &Report, width: u16) -> String {
    let totals = &report.totals;
    let mut grid = Grid::new(width);
    let mut row = |name: &str, text: String| grid.row(&[name.to_owned(), text]);
    row(
        "requests",
        format!(
            "{} {} · {} sent · {} answered",
            format_count(totals.planned),
            if report.is_closed() { "begun" } else { "planned" },
            format_count(totals.sent),
            format_count(totals.answered),
        ),
    );
    row(
        "errors",
        format!(
            "{} ({}) · {} never left this machine",
            format_count(totals.errors),
            share(totals.errors, report.asked()),
            format_count(totals.unsent),
        ),
    );
    row("fates", counts(&report.fates));
    row(if report.speaks_redis() { "replies" } else { "statuses" }, statuses(report));
    row(
        "connections",
        format!(
            "{} opened of {} planned{}",
            format_count(totals.connections_opened),
            format_count(report.facts.connections),
            handshakes(totals)
        ),
    );
    if let Some(oddities) = &report.oddities {
        row("oddities", odd(oddities));
    }
    row(
        "bytes",
        format!(
            "{} sent · {} of {} received",
            format_size(totals.request_bytes),
            format_size(totals.response_bytes),
            // Heads of answers are not counted, those of requests are.
            if report.speaks_redis() { "replies" } else { "bodies" }
        ),
    );
    grid.render(2)
}

/// What TLS cost: a session that is resumed saves the dear half of a handshake.
fn handshakes(totals: &Totals) -> String {
    let Totals { tls_handshakes: full, tls_resumed: resumed, .. } = *totals;
    if full == 0 && resumed == 0 {
        return String::new();
    }
    let told = format!(" · TLS: {} in full, {} resumed", format_count(full), format_count(resumed));
    told + &as_recorded(totals)
}

/// What happened on connections, as far as it did.
fn odd(oddities: &Oddities) -> String {
    let Oddities { sent_again, unasked, without_leave } = *oddities;
    let counts = [
        (sent_again, "sent again"),
        (unasked, "unasked answers"),
        (without_leave, "bodies sent without leave"),
    ];
    let told = counts.into_iter().filter(|(count, _)| *count > 0);
    let told = told.map(|(count, what)| format!("{what}: {}", format_count(count)));
    told.collect::<Vec<_>>().join(" · ")
}

/// Against the recording, as far as that knows.
fn as_recorded(totals: &Totals) -> String {
    let recorded = [totals.tls_recorded_handshakes, totals.tls_recorded_resumed];
    let [known, all] = [recorded, [totals.tls_handshakes, totals.tls_resumed]].map(total);
    if known == 0 {
        return String::new();
    }
    let unknown = match all.saturating_sub(known) {
        0 => String::new(),
        unknown => format!(", {} not known", format_count(unknown)),
    };
    let missed = match totals.tls_not_resumed {
        0 => String::new(),
        missed => format!("; {} of them had no session to resume", format_count(missed)),
    };
    let [full, resumed] = recorded.map(format_count);
    format!(" (recorded: {full} in full, {resumed} resumed{unknown}{missed})")
}

fn statuses(report: &Report) -> String {
    let changed = report.totals.status_changes;
    let text =
        if report.speaks_redis() { counts(&report.replies) } else { counts(&report.statuses) };
    if changed == 0 {
        text
    } else {
        format!("{text} · {} differ from the recording", format_count(changed))
    }
}

/// The largest counts first; what is beyond [`MAX_COUNTS`] is summed up.
fn counts<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    let mut sorted: Vec<(&K, &u64)> = counts.iter().collect();
    sorted.sort_by_key(|(_, number)| Reverse(**number));
    let beyond = sorted.split_off(sorted.len().min(MAX_COUNTS));
    let mut texts: Vec<String> =
        sorted.iter().map(|(name, number)| format!("{name}: {}", format_count(**number))).collect();
    if !beyond.is_empty() {
        let number = total(beyond.iter().map(|(_, number)| **number));
        texts.push(format!("{} others: {}", beyond.len(), format_count(number)));
    }
    if texts.is_empty() { "–".to_owned() } else { texts.join(" · ") }
}

/// Most counts in a line; a target may answer with any status code.
const MAX_COUNTS: usize = 8;

fn latencies(report: &Report, width: u16) -> String {
    let mut grid = Grid::new(width).right(&[1, 2, 3, 4, 5]);
    let header = ["", "p50", "p90", "p99", "p99.9", "max", ""];
    grid.row(&header.map(str::to_owned));
    // What was never answered was not fast, and is in neither.
    let meanings = match report.unanswered() {
        0 => ["due → done", "sent → done"],
        _ => ["due → done, answered", "sent → done, answered"],
    };
    let handshake = report.figures.handshake();
    let rows = [
        ("latency", report.latency.as_ref(), meanings[0]),
        ("service", report.service.as_ref(), meanings[1]),
        ("recorded", report.recorded_latency.as_ref(), "in production"),
        ("waiting", report.connection_wait.as_ref(), "for a connection"),
        ("TLS", handshake, "its handshake"),
        ("lateness", report.lateness.as_ref(), "our own"),
    ];
    // What was never recorded is no row, nor TLS that nobody spoke; a closed load is never late.
    let is_left_out = |name: &str| match name {
        "recorded" => report.load.is_some(),
        "TLS" => handshake.is_none(),
        "lateness" => report.is_closed(),
        _ => false,
    };
    for (name, quantiles, meaning) in rows.into_iter().filter(|row| !is_left_out(row.0)) {
        grid.row(&latency_row(name, quantiles, meaning));
    }
    grid.render(2)
}

fn latency_row(name: &str, quantiles: Option<&Quantiles>, meaning: &str) -> [String; 7] {
    let figure = |pick: fn(&Quantiles) -> u64| {
        quantiles.map_or_else(|| "–".to_owned(), |quantiles| nanos(pick(quantiles)))
    };
    [
        name.to_owned(),
        figure(|q| q.p50_ns),
        figure(|q| q.p90_ns),
        figure(|q| q.p99_ns),
        figure(|q| q.p99_9_ns),
        figure(|q| q.max_ns),
        meaning.to_owned(),
    ]
}
