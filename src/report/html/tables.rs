//! What the tables of the page hold.

use crate::drive::health::{Calibration, Health};
use crate::plan::facts::Facts;
use crate::recording::ledger::Account;
use crate::report::html::acts;
use crate::report::html::outcomes;
use crate::report::html::probes;
use crate::report::html::responses;
use crate::report::html::scaling;
use crate::report::html::table::{
    Cell, Kind, TableView, amount, counts_table, dash, facts_table, numeric, outcome_class, text,
    time,
};
use crate::report::model::{LoadFacts, Quantiles, Report, RouteRow};
use crate::report::text::{clean, mark, metric_value, nanos, number, ratio, share};
use crate::scenario::load::CLOSED;
use crate::shape::{Metric, MetricOutcome};
use crate::units::{format_count, format_size};
use crate::verdict::{CheckedExpectation, Outcome};

/// A titled part of the page with its tables.
pub(super) struct Section {
    /// Identifier in the page.
    pub(super) id: &'static str,
    /// Title for people.
    pub(super) title: &'static str,
    /// Its tables.
    pub(super) tables: Vec<TableView>,
}

/// The metrics of the load shape.
pub(super) fn shape(metrics: &[Metric]) -> TableView {
    let row = |metric: &Metric| {
        let (class, word) = match metric.outcome {
            MetricOutcome::Pass => ("pass", "✓ pass"),
            MetricOutcome::Fail => ("fail", "✗ fail"),
            MetricOutcome::Report => ("quiet", "· reported"),
            MetricOutcome::NotEvaluable => ("unknown", "? not evaluable"),
        };
        vec![
            text(&metric.name),
            Cell { text: word.to_owned(), class, order: None },
            numeric(metric_value(metric)),
            Cell { class: "whole", ..text(&metric.limit) },
            numeric(metric.ratio.map_or_else(|| "–".to_owned(), ratio)),
            Cell { class: "note", ..text(&metric.note) },
        ]
    };
    TableView {
        caption: "Distance of the produced load from the planned one, metric by metric".to_owned(),
        columns: vec!["metric", "outcome", "value", "limit", "value / limit", "note"],
        rows: metrics.iter().map(row).collect(),
        kind: Kind::Plain,
    }
}

/// The expectations; `None` when the scenario has none.
pub(super) fn expectations(expectations: &[CheckedExpectation]) -> Option<TableView> {
    let row = |expectation: &CheckedExpectation| {
        let outcome = expectation.outcome;
        let word = match outcome {
            Outcome::Pass => "pass",
            Outcome::Unknown => "unknown",
            Outcome::Fail => "fail",
        };
        vec![
            text(&expectation.text),
            Cell {
                text: format!("{} {word}", mark(outcome)),
                class: outcome_class(outcome),
                order: None,
            },
            text(&expectation.actual),
        ]
    };
    (!expectations.is_empty()).then(|| TableView {
        caption: "What the scenario expects, and what was measured".to_owned(),
        columns: vec!["expectation", "outcome", "actual"],
        rows: expectations.iter().map(row).collect(),
        kind: Kind::Plain,
    })
}

/// The sections of plain figures, in the order of the page.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let mut sections = Vec::new();
    if !report.acts.is_empty() {
        let tables = acts::tables(&report.acts);
        sections.push(Section { id: "acts", title: "Acts", tables });
    }
    if !report.probes.is_empty() {
        let tables = vec![probes::table(&report.probes)];
        sections.push(Section { id: "probes", title: "Probes", tables });
    }
    if report.has_replay() {
        let mut tables = vec![totals(report), latencies(report), fates(report), statuses(report)];
        tables.extend(outcomes::table(&report.figures.outcomes));
        sections.push(Section { id: "numbers", title: "Numbers", tables });
        sections.push(Section { id: "routes", title: "Routes", tables: vec![routes(report)] });
        sections.extend(responses::section(report.responses.as_ref()));
    }
    if let Some(load) = &report.load {
        let tables = generated(load, &report.facts);
        sections.push(Section { id: "plan", title: "Plan", tables });
    } else {
        sections.push(Section { id: "plan", title: "Plan", tables: plan(&report.facts) });
        sections.push(Section { id: "recording", title: "Recording", tables: recording(report) });
    }
    if report.has_replay() {
        let tables = vec![health(&report.health)];
        sections.push(Section { id: "generator", title: "Generator", tables });
    }
    sections.push(Section { id: "run", title: "Run", tables: vec![metadata(report)] });
    sections
}

fn totals(report: &Report) -> TableView {
    let totals = &report.totals;
    let of_planned = |part| format!("{} ({})", format_count(part), share(part, totals.planned));
    // As expectations have it: what never left this machine is no error of the target.
    let of_asked = |part| format!("{} ({})", format_count(part), share(part, report.asked()));
    let mut rows = vec![
        (if report.is_closed() { "begun" } else { "planned" }, format_count(totals.planned)),
        ("sent", of_planned(totals.sent)),
        ("answered", of_planned(totals.answered)),
        ("errors, of those that left", of_asked(totals.errors)),
        ("never left this machine", of_planned(totals.unsent)),
    ];
    if report.load.is_none() {
        let what = if report.speaks_redis() {
            "kind of reply differs from the recording"
        } else {
            "status differs from the recording"
        };
        rows.push((what, of_planned(totals.status_changes)));
    }
    let received =
        if report.speaks_redis() { "bytes of replies" } else { "bytes of bodies received" };
    rows.extend([
        ("connections opened", format_count(totals.connections_opened)),
        ("request bytes sent", format_size(totals.request_bytes)),
        (received, format_size(totals.response_bytes)),
        ("times beyond one hour, counted as one hour", format_count(totals.overflows)),
    ]);
    let oddities = report.oddities.unwrap_or_default();
    let rare = [
        ("TLS handshakes in full", totals.tls_handshakes),
        ("TLS handshakes that resumed a session", totals.tls_resumed),
        ("of connections that were recorded to begin in full", totals.tls_recorded_handshakes),
        ("of connections that were recorded to resume a session", totals.tls_recorded_resumed),
        ("of the latter, with no session to resume", totals.tls_not_resumed),
        ("sent again on another connection", oddities.sent_again),
        ("connections with unasked answers", oddities.unasked),
        ("bodies sent without leave", oddities.without_leave),
    ];
    let met = rare.into_iter().filter(|(_, count)| *count > 0);
    rows.extend(met.map(|(name, count)| (name, format_count(count))));
    facts_table("Totals", &rows)
}

/// A row that only runs with TLS have.
const TLS: &str = "handshake of TLS, within that";

fn latencies(report: &Report) -> TableView {
    let rows = [
        ("latency: due → done, what a user would have felt", report.latency.as_ref()),
        ("service: sent → done, what the target took", report.service.as_ref()),
        ("recorded: what production took", report.recorded_latency.as_ref()),
        ("waiting for a connection", report.connection_wait.as_ref()),
        (TLS, report.figures.handshake()),
        ("lateness: due → dispatched, our own", report.lateness.as_ref()),
    ];
    TableView {
        caption: "Times".to_owned(),
        columns: vec!["time", "p50", "p90", "p95", "p99", "p99.9", "max", "mean", "count"],
        rows: rows
            .into_iter()
            .filter(|(name, _)| report.load.is_none() || !name.starts_with("recorded"))
            .filter(|(name, _)| !report.is_closed() || !name.starts_with("lateness"))
            .filter(|(name, quantiles)| quantiles.is_some() || *name != TLS)
            .map(|(name, quantiles)| {
                let mut row = vec![text(name)];
                row.extend(times(quantiles, Quantiles::all));
                row.push(quantiles.map_or_else(dash, |q| amount(q.count)));
                // Versions that kept no p95 have a zero there, and no answer was that fast.
                if quantiles.is_some_and(|q| q.p95_ns < q.p90_ns) {
                    row[P95] = dash();
                }
                row
            })
            .collect(),
        kind: Kind::Plain,
    }
}

/// The column of the 95th percentile among the times.
const P95: usize = 3;

impl Quantiles {
    fn all(&self) -> [u64; 7] {
        let Self { p50_ns, p90_ns, p95_ns, p99_ns, p99_9_ns, max_ns, mean_ns, .. } = *self;
        [p50_ns, p90_ns, p95_ns, p99_ns, p99_9_ns, max_ns, mean_ns]
    }

    fn three(&self) -> [u64; 3] {
        [self.p50_ns, self.p99_ns, self.max_ns]
    }
}

fn times<const N: usize>(
    quantiles: Option<&Quantiles>,
    pick: fn(&Quantiles) -> [u64; N],
) -> Vec<Cell> {
    match quantiles {
        None => (0..N).map(|_| dash()).collect(),
        Some(quantiles) => pick(quantiles).into_iter().map(time).collect(),
    }
}

fn fates(report: &Report) -> TableView {
    let total = report.totals.planned;
    counts_table("What became of every planned request", "fate", &report.fates, total)
}

fn statuses(report: &Report) -> TableView {
    let total = report.totals.answered;
    if report.speaks_redis() {
        return counts_table("Answers by kind", "kind", &report.replies, total);
    }
    counts_table("Answers by status code", "status", &report.statuses, total)
}

fn routes(report: &Report) -> TableView {
    let mut rows: Vec<Vec<Cell>> = report.routes.iter().map(route).collect();
    let others = &report.other_routes;
    if others.routes > 0 {
        let name = format!("{} other routes", format_count(others.routes));
        let mut row = vec![Cell { class: "rest", ..text(&name) }];
        row.extend([amount(others.arrivals), amount(others.errors), dash(), dash(), dash()]);
        rows.push(row);
    }
    TableView {
        caption: "Requests by method and route".to_owned(),
        columns: vec!["route", "requests", "errors", "p50", "p99", "max"],
        rows,
        kind: Kind::Sortable,
    }
}

/// Longest route in the page; two hundred of them take part in its size.
const MAX_ROUTE: usize = 160;

fn route(route: &RouteRow) -> Vec<Cell> {
    let name = Cell { text: clean(&route.route, MAX_ROUTE), class: "route", order: None };
    let errors =
        Cell { class: if route.errors > 0 { "num fail" } else { "num" }, ..amount(route.errors) };
    let mut row = vec![name, amount(route.arrivals), errors];
    row.extend(times(route.latency.as_ref(), Quantiles::three));
    row
}

fn plan(facts: &Facts) -> Vec<TableView> {
    // Of a load that was never recorded, nothing was looked at or left out.
    let is_recorded = facts.origin.is_recorded();
    let looked_at = is_recorded.then(|| ("exchanges looked at", format_count(facts.exchanges)));
    let planned = [
        ("arrivals planned", format_count(facts.arrivals)),
        ("sessions", format_count(facts.sessions)),
        ("connections", format_count(facts.connections)),
        ("most connections at once", format_count(facts.peak_connections)),
        ("last arrival", nanos(facts.duration_ns)),
        ("most arrivals in a second", format_count(facts.peak_rate)),
        ("bytes to send", format_size(facts.request_bytes)),
        ("fingerprint", facts.fingerprint.clone()),
    ];
    let rows: Vec<_> = looked_at.into_iter().chain(planned).collect();
    let outline = facts_table("Outline", &rows);
    let mut tables = vec![outline];
    tables.extend(scaling::tables(facts));
    if is_recorded {
        let caption = "Not replayed, by reason";
        tables.push(counts_table(caption, "reason", &facts.skipped, facts.exchanges));
    }
    tables
}

/// The outline of a load that was never recorded. A closed one has no plan besides its options.
fn generated(load: &LoadFacts, facts: &Facts) -> Vec<TableView> {
    let asked = [("load", load.description.clone()), ("pace", load.pace.clone())];
    let mut tables = vec![facts_table("Load", &asked)];
    if load.pace != CLOSED {
        tables.extend(plan(facts));
    }
    tables
}

fn recording(report: &Report) -> Vec<TableView> {
    let recording = &report.recording;
    let about = facts_table(
        "Recording",
        &[
            ("file", recording.path.clone()),
            ("made from", recording.origin.clone()),
            ("replayed part", recording.window.clone()),
            ("started", recording.started.clone()),
            ("length", nanos(recording.duration_ns)),
            ("exchanges", format_count(recording.exchanges)),
            ("connections", format_count(recording.connections)),
        ],
    );
    let ledger = &recording.ledger;
    let account = |caption: &str, account: &Account| {
        let state = if account.reconciles() { "all accounted for" } else { "DOES NOT ADD UP" };
        let caption = format!("{caption}: {} in total, {state}", format_count(account.total));
        counts_table(&caption, "what became of it", &account.buckets, account.total)
    };
    let mut tables = vec![
        about,
        account("Frames or lines", &ledger.frames),
        account("Stream bytes", &ledger.stream_bytes),
        account("Messages", &ledger.messages),
    ];
    if !ledger.notes.is_empty() {
        tables.push(counts_table("Also seen", "what", &ledger.notes, 0));
    }
    tables
}

fn health(health: &Health) -> TableView {
    let percent =
        |share: Option<f64>| optional(share, |share| format!("{} %", number(share * 100.0, 3)));
    let seconds = |value: Option<f64>| optional(value, |value| format!("{} s", number(value, 3)));
    let tried = |tried: Calibration| {
        format!(
            "{}/s of {}/s, p99 lateness {}",
            format_count(tried.sent_rate()),
            format_count(tried.asked_rate),
            nanos(tried.lateness_p99_ns)
        )
    };
    let in_flight = health.in_flight_seconds.filter(|_| health.seconds > 0.0);
    let in_flight = in_flight.map(|sum| sum / health.seconds);
    facts_table(
        "How the generator's machine was doing",
        &[
            ("processors", health.processors.to_string()),
            ("processor time in use by anybody", percent(health.busy_share)),
            ("processor time taken by the hypervisor", percent(health.steal_share)),
            ("processor time of this program", seconds(health.own_cpu_seconds)),
            ("waiting for a processor", seconds(health.run_queue_wait_seconds)),
            ("open files allowed", optional(health.open_files_limit, format_count)),
            ("sent to itself before the run", optional(health.calibration, tried)),
            ("requests read from the plan after their moment", format_count(health.read_late)),
            ("waits of the reader for room in memory", format_count(health.reader_waits)),
            ("requests in flight, on average", optional(in_flight, |mean| number(mean, 4))),
            ("length of the run", format!("{} s", number(health.seconds, 3))),
        ],
    )
}

fn metadata(report: &Report) -> TableView {
    let mut rows = vec![
        ("scenario", report.scenario.clone()),
        ("target", report.target.clone()),
        ("started", report.started.clone()),
        ("exit code", report.exit_code.to_string()),
        ("peakhour", report.tool_version.clone()),
        ("schema version of run.json", report.schema_version.to_string()),
    ];
    // What the user wrote on it, under the user's own names.
    rows.extend(report.labels.iter().map(|(name, value)| (name.as_str(), value.clone())));
    facts_table("This run", &rows)
}

fn optional<T>(value: Option<T>, write: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "not known".to_owned(), write)
}
