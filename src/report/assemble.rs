//! Verdict, summary and facts become the report. Pure: the caller knows the wall clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use hdrhistogram::Histogram;
use jiff::Timestamp;

use crate::act::Performed;
use crate::drive::health::Health;
use crate::plan::facts::Facts;
use crate::probe::record::Record;
use crate::protocol::resp::ERROR_REPLY;
use crate::recording::Header;
use crate::report::figures::gather;
use crate::report::model::{
    LoadFacts, MAX_ROUTES, OtherRoutes, Quantiles, RecordingFacts, Report, RouteRow,
    SCHEMA_VERSION, SecondRow, SessionPace, Totals, Within,
};
use crate::report::responses::Compared;
use crate::scenario::redis::is_redis;
use crate::shape::{Fault, Origin, ShapeReport, ShapeVerdict};
use crate::stats::batches::Batches;
use crate::stats::histograms::nanoseconds;
use crate::summary::{Route, Second, Summary};
use crate::verdict::{Outcome, RunOutcome, Verdict};

/// Everything a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct AssembleInput<'a> {
    /// Version of this program.
    pub tool_version: &'a str,
    /// Name of the scenario.
    pub scenario: &'a str,
    /// Wall clock of the run's start, RFC 3339.
    pub started: &'a str,
    /// What was sent.
    pub sent: Sent<'a>,
    /// Where it was sent: `stage` or an authority, without credentials.
    pub target: &'a str,
    /// The drills that were performed.
    pub acts: &'a [Performed],
    /// What the probes saw.
    pub probes: &'a [Record],
    /// When the replay began, ns since the start of the rehearsal.
    pub replay_started_ns: Option<u64>,
    /// The verdict on the run.
    pub verdict: &'a Verdict,
    /// The exit code that goes with the verdict.
    pub exit_code: u8,
    /// The fold of all samples.
    pub summary: &'a Summary,
    /// The outline of the plan.
    pub facts: &'a Facts,
    /// How the generator's machine was doing.
    pub health: &'a Health,
}

/// Where the load of a run comes from.
#[derive(Clone, Copy, Debug)]
pub enum Sent<'a> {
    /// From production.
    Recording {
        /// The recording's file, as the scenario names it.
        path: &'a str,
        /// The part that was replayed, as the scenario puts it.
        window: &'a str,
        /// The footer of the recording.
        header: &'a Header,
    },
    /// From the options of the run.
    Load(&'a LoadFacts),
}

/// Puts a report together.
pub fn assemble(input: &AssembleInput) -> Report {
    let summary = input.summary;
    let (routes, other_routes) = routes(summary);
    let (statuses, replies) = answers(input);
    Report {
        schema_version: SCHEMA_VERSION,
        tool_version: input.tool_version.to_owned(),
        scenario: input.scenario.to_owned(),
        started: input.started.to_owned(),
        labels: BTreeMap::new(),
        recording: recording_facts(input.sent),
        load: match input.sent {
            Sent::Recording { .. } => None,
            Sent::Load(load) => Some(load.clone()),
        },
        target: input.target.to_owned(),
        settings: BTreeMap::new(),
        verdict: input.verdict.outcome,
        exit_code: input.exit_code,
        headline: input.verdict.headline.clone(),
        advice: advice(input),
        totals: totals(summary),
        fates: summary.fates.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        followed: None,
        hook: None,
        oddities: None,
        session_pace: input.facts.session_pace.then(|| session_pace(input)),
        statuses,
        replies,
        latency: quantiles(&summary.latency),
        service: quantiles(&summary.service),
        lateness: quantiles(&summary.lateness),
        connection_wait: quantiles(&summary.connection_wait),
        within: within(summary),
        recorded_latency: quantiles(&summary.recorded_latency),
        shape: input.verdict.shape.as_ref().map(finite_shape),
        findings: input.verdict.findings.clone(),
        expectations: input.verdict.expectations.clone(),
        acts: input.acts.to_vec(),
        probes: input.probes.to_vec(),
        replay_started_ns: input.replay_started_ns,
        marks: Vec::new(),
        series: summary.seconds.iter().zip(0..).map(second_row).collect(),
        figures: gather(summary, input.facts, &input.verdict.findings, quantiles),
        baseline: None,
        routes,
        other_routes,
        responses: Compared::of(summary),
        facts: input.facts.clone(),
        health: input.health.clone(),
    }
}

fn session_pace(input: &AssembleInput) -> SessionPace {
    let drift = &input.summary.drift;
    SessionPace {
        sessions: input.facts.sessions,
        moved: drift.moved,
        total_ns: nanoseconds(drift.total),
        most_ns: nanoseconds(drift.most),
    }
}

/// Answers by status; or by kind, where there are none.
fn answers(input: &AssembleInput) -> (BTreeMap<u16, u64>, BTreeMap<String, u64>) {
    let statuses = &input.summary.statuses;
    if !is_redis(input.target) {
        return (statuses.clone(), BTreeMap::new());
    }
    let name = |status: u16| if status == ERROR_REPLY { "error reply" } else { "reply" };
    let mut replies = BTreeMap::new();
    for (status, count) in statuses {
        *replies.entry(name(*status).to_owned()).or_default() += count;
    }
    (BTreeMap::new(), replies)
}

fn recording_facts(sent: Sent<'_>) -> RecordingFacts {
    let Sent::Recording { path, window, header } = sent else {
        return RecordingFacts::default();
    };
    RecordingFacts {
        path: path.to_owned(),
        origin: header.origin.clone(),
        window: window.to_owned(),
        started: Timestamp::from_nanosecond(i128::from(header.started_unix_ns))
            .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        duration_ns: header.duration_ns,
        exchanges: header.exchanges,
        connections: header.connections,
        ledger: header.ledger.clone(),
    }
}

fn totals(summary: &Summary) -> Totals {
    // The names come from `sample::Unsent::name`, which all begin like this.
    let is_unsent = |name: &str| name.starts_with("unsent");
    Totals {
        planned: summary.arrivals,
        sent: summary.sent.total,
        answered: summary.fates.get("answered").copied().unwrap_or(0),
        errors: summary.errors,
        unsent: summary.fates.iter().filter(|(name, _)| is_unsent(name)).map(|(_, n)| n).sum(),
        status_changes: summary.status_changes,
        connections_opened: summary.connections_opened,
        tls_handshakes: summary.handshakes[0],
        tls_resumed: summary.handshakes[1],
        tls_recorded_handshakes: summary.as_recorded.recorded[0],
        tls_recorded_resumed: summary.as_recorded.recorded[1],
        tls_not_resumed: summary.as_recorded.not_resumed,
        request_bytes: summary.request_bytes,
        response_bytes: summary.response_bytes,
        overflows: summary.overflows,
    }
}

/// `None` for an empty histogram: a zero would read as a very good value.
fn quantiles(histogram: &Histogram<u64>) -> Option<Quantiles> {
    if histogram.is_empty() {
        return None;
    }
    Some(Quantiles {
        p50_ns: histogram.value_at_quantile(0.5),
        p90_ns: histogram.value_at_quantile(0.9),
        p95_ns: histogram.value_at_quantile(0.95),
        p99_ns: histogram.value_at_quantile(0.99),
        p99_9_ns: histogram.value_at_quantile(0.999),
        max_ns: histogram.max(),
        mean_ns: whole(histogram.mean()),
        count: histogram.len(),
    })
}

/// Quantiles whose interval within the run is told.
const WITHIN: [f64; 4] = [0.5, 0.95, 0.99, 0.999];

/// By batches of the seconds in which something was due.
fn within(summary: &Summary) -> Vec<Within> {
    let due = summary.seconds.iter().rposition(|second| second.due > 0).map_or(0, |last| last + 1);
    let seconds = summary.seconds.iter().take(due).map(|second| &second.latency);
    let batches = Batches::of(seconds, due);
    let interval = |q: f64| {
        let [low_ns, high_ns] = batches.as_ref()?.interval(q)?;
        Some(Within { q, low_ns, high_ns })
    };
    WITHIN.into_iter().filter_map(interval).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of values up to one hour in nanoseconds is positive and far below 2^64"
)]
fn whole(nanos: f64) -> u64 {
    nanos.round() as u64
}

fn second_row((second, index): (&Second, u64)) -> SecondRow {
    let at =
        |quantile| (!second.latency.is_empty()).then(|| second.latency.value_at_quantile(quantile));
    SecondRow {
        second: index,
        due: second.due.into(),
        sent: second.sent.into(),
        answered: second.answered.into(),
        errors: second.errors.into(),
        p50_ns: at(0.5),
        p99_ns: at(0.99),
        max_lateness_ns: second.max_lateness_ns,
    }
}

fn routes(summary: &Summary) -> (Vec<RouteRow>, OtherRoutes) {
    let mut sorted: Vec<(&Arc<str>, &Route)> = summary.routes.iter().collect();
    // The map yields names in order and the sort is stable: equal counts stay in that order.
    sorted.sort_by_key(|(_, route)| std::cmp::Reverse(route.arrivals));
    let beyond = sorted.split_off(sorted.len().min(MAX_ROUTES));
    let rows = sorted.into_iter().map(|(name, route)| RouteRow {
        route: name.to_string(),
        arrivals: route.arrivals,
        unsent: route.unsent,
        errors: route.errors,
        latency: quantiles(&route.latency),
    });
    let others = OtherRoutes {
        routes: beyond.len() as u64,
        arrivals: beyond.iter().map(|(_, route)| route.arrivals).sum(),
        errors: beyond.iter().map(|(_, route)| route.errors).sum(),
    };
    (rows.collect(), others)
}

/// The advice of everything that failed, then of what is not known, each sentence once. A run
/// that says nothing about its target also says what to do about that.
fn advice(input: &AssembleInput) -> Vec<String> {
    let verdict = input.verdict;
    let mut advice: Vec<String> = Vec::new();
    for outcome in [Outcome::Fail, Outcome::Unknown] {
        for finding in verdict.findings.iter().filter(|finding| finding.outcome == outcome) {
            if !finding.advice.is_empty() && !advice.contains(&finding.advice) {
                advice.push(finding.advice.clone());
            }
        }
    }
    if let Some(remedy) = remedy(verdict, input.facts.origin) {
        advice.insert(0, remedy.to_owned());
    }
    advice
}

/// What helps when a run has no verdict. What a machine at fault needs is said by its finding.
fn remedy(verdict: &Verdict, origin: Origin) -> Option<&'static str> {
    match (verdict.outcome, &verdict.shape.as_ref()?.verdict) {
        (RunOutcome::Pass | RunOutcome::Fail, _)
        | (RunOutcome::Invalid, ShapeVerdict::Invalid { fault: Fault::Generator }) => None,
        (RunOutcome::Interrupted, _) => Some("Repeat the run and let it finish."),
        (RunOutcome::Invalid, ShapeVerdict::Invalid { .. }) if !origin.is_recorded() => {
            Some("Run for longer (-d), or at a higher rate.")
        }
        (RunOutcome::Invalid, _) if !origin.is_recorded() => {
            Some("Take out the expectation that cannot be answered.")
        }
        (RunOutcome::Invalid, ShapeVerdict::Invalid { .. }) => {
            Some("Replay a longer or busier window, or record again without losses.")
        }
        (RunOutcome::Invalid, _) => Some(
            "Take out the expectation that cannot be answered, or replay a recording that can \
             answer it.",
        ),
    }
}

/// JSON has no infinity, and a saved run must be readable: a ratio without bound becomes
/// [`UNBOUNDED_RATIO`], which still fails.
fn finite_shape(shape: &ShapeReport) -> ShapeReport {
    let finite = |ratio: f64| if ratio.is_finite() { ratio } else { UNBOUNDED_RATIO };
    let mut shape = shape.clone();
    shape.worst_ratio = finite(shape.worst_ratio);
    for metric in &mut shape.metrics {
        metric.ratio = metric.ratio.map(finite);
        metric.value = metric.value.filter(|value| value.is_finite());
    }
    shape
}

/// Stands for an infinite ratio.
const UNBOUNDED_RATIO: f64 = 1e9;
