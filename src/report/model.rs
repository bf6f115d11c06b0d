//! The one value that every report is written from, and that `run.json` holds.
//!
//! It never holds a payload, a header or a credential: routes are templates, and everything else
//! is a count, a moment or a sentence of our own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::act::Performed;
use crate::drive::Driven;
use crate::drive::follow::Followed;
use crate::drive::health::Health;
use crate::drive::hook::HookReport;
use crate::drive::oddities::Odd;
use crate::plan::facts::Facts;
use crate::probe::record::Record;
use crate::recording::ledger::Ledger;
use crate::report::figures::{Curve, Figures};
use crate::report::responses::Compared;
use crate::scenario::load::CLOSED;
use crate::scenario::redis::is_redis;
use crate::shape::ShapeReport;
use crate::verdict::{CheckedExpectation, Finding, RunOutcome};

/// Version of the schema of `run.json`. A field that changes its meaning or goes away raises it;
/// a new field does not.
pub const SCHEMA_VERSION: u32 = 1;

/// A run, ready to be reported.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Version of that program.
    pub tool_version: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Wall clock of the run's start, RFC 3339.
    pub started: String,
    /// What the user wrote on the run, such as the commit of the release; empty where nothing was.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What was replayed; empty where there was no recording.
    pub recording: RecordingFacts,
    /// What was sent instead, where there was no recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadFacts>,
    /// Where it was sent: `stage` or an authority.
    pub target: String,
    /// What else has a part in what was measured, by name ([`crate::report::settings`]); empty in
    /// runs of versions that did not tell it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The outcome of the run.
    pub verdict: RunOutcome,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// One sentence: the first thing that a tired person should know.
    pub headline: String,
    /// What to do next, the most urgent first; empty when there is nothing to do.
    pub advice: Vec<String>,
    /// What was planned, and what became of it.
    pub totals: Totals,
    /// Arrivals by fate; together they are `totals.planned`.
    pub fates: BTreeMap<String, u64>,
    /// What sessions did to the plan; `None` where they did not set the pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_pace: Option<SessionPace>,
    /// What was taken from answers of the target; `None` where nothing was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
    /// What the hook did; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookReport>,
    /// Answers by status code; empty where the target is a Redis.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers by kind, where the target is a Redis: `reply` and `error reply`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replies: BTreeMap<String, u64>,
    /// Due to done: what a user would have felt. `None` where nothing was answered.
    pub latency: Option<Quantiles>,
    /// First byte sent to done: what the target took.
    pub service: Option<Quantiles>,
    /// Due to dispatched: our own lateness.
    pub lateness: Option<Quantiles>,
    /// Dispatched to connected.
    pub connection_wait: Option<Quantiles>,
    /// Between what quantiles of latency lie, as far as the run alone tells; empty where it is too
    /// short, or too little was answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<Within>,
    /// What production took for the same requests.
    pub recorded_latency: Option<Quantiles>,
    /// How far the produced load was from the planned one; `None` where nothing was replayed.
    pub shape: Option<ShapeReport>,
    /// Every detector's finding, the one to act on first on top.
    pub findings: Vec<Finding>,
    /// Every expectation of the scenario, in its order.
    pub expectations: Vec<CheckedExpectation>,
    /// The drills that were performed, in their order, with what they saw.
    #[serde(default)]
    pub acts: Vec<Performed>,
    /// What the probes saw, in the order of their names.
    #[serde(default)]
    pub probes: Vec<Record>,
    /// When the replay began, ns since the start of the rehearsal; `None` where there was none.
    #[serde(default)]
    pub replay_started_ns: Option<u64>,
    /// What happened on connections of HTTP/1 that is no request's fate; `None` where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oddities: Option<Oddities>,
    /// Times in which a person or a rule changed the course of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// One row a second of the run.
    pub series: Vec<SecondRow>,
    /// What the charts are drawn from beyond that.
    #[serde(default)]
    pub figures: Figures,
    /// Another run that its percentiles are set beside, in the page alone: it is no part of what
    /// this run measured, and is not saved with it.
    #[serde(skip)]
    pub baseline: Option<Baseline>,
    /// The busiest routes, at most [`MAX_ROUTES`], by falling count and then by name.
    pub routes: Vec<RouteRow>,
    /// The routes beyond them, so that the counts add up.
    pub other_routes: OtherRoutes,
    /// The answers beside the recorded ones; `None` where nothing can be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responses: Option<Compared>,
    /// The outline of the plan.
    pub facts: Facts,
    /// How the generator's machine was doing.
    pub health: Health,
}

impl Report {
    /// Something was sent besides what the drills sent.
    pub fn has_replay(&self) -> bool {
        self.shape.is_some() || self.totals.planned > 0
    }

    /// Requests that left this machine: what a share of errors is of.
    pub fn asked(&self) -> u64 {
        self.totals.planned.saturating_sub(self.totals.unsent)
    }

    /// Those of them that had no whole answer, and so are in no latency.
    pub fn unanswered(&self) -> u64 {
        self.asked().saturating_sub(self.totals.answered)
    }

    /// Commands of Redis were sent, whose answers have no status.
    pub fn speaks_redis(&self) -> bool {
        is_redis(&self.target)
    }

    /// Each connection waited for its answers: nothing was planned.
    pub fn is_closed(&self) -> bool {
        self.load.as_ref().is_some_and(|load| load.pace == CLOSED)
    }
}

/// By how much later than planned requests came because earlier answers of their sessions did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionPace {
    /// Sessions.
    pub sessions: u64,
    /// Requests that were moved.
    pub moved: u64,
    /// The sum of what they were moved by, in nanoseconds.
    pub total_ns: u64,
    /// The largest, in nanoseconds.
    pub most_ns: u64,
}

/// What happened on connections that is no request's fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Oddities {
    /// Requests that were sent a second time, because the target closed an idle connection just as
    /// they were on their way.
    pub sent_again: u64,
    /// Connections on which the target said something that nobody had asked for; they were closed.
    pub unasked: u64,
    /// Bodies that were sent without the leave that their head asked for, because none came.
    pub without_leave: u64,
}

impl Oddities {
    /// Those of a run; `None` where there were none.
    pub fn of(driven: &Driven) -> Option<Self> {
        let Odd { unasked, no_leave } = driven.odd;
        let all = Self { sent_again: driven.retried, unasked, without_leave: no_leave };
        (all != Self::default()).then_some(all)
    }
}

/// A load that was never recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadFacts {
    /// `constant`, `poisson` or `closed`.
    pub pace: String,
    /// The load in a line, for people.
    pub description: String,
    /// Connections asked for.
    pub connections: u64,
}

/// Routes listed one by one. A person reads the top of the list; a recording with unguessed
/// templates may have one route a request, and the page has a size limit.
pub const MAX_ROUTES: usize = 200;

/// What was replayed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingFacts {
    /// The file, as the scenario names it.
    pub path: String,
    /// What it was made from.
    pub origin: String,
    /// The part that was replayed, as the scenario puts it.
    pub window: String,
    /// Wall clock of the recording's start, RFC 3339.
    pub started: String,
    /// Length of the whole recording in nanoseconds.
    pub duration_ns: u64,
    /// Exchanges in the whole recording.
    pub exchanges: u64,
    /// Connections in the whole recording.
    pub connections: u64,
    /// Every packet, byte and message of the capture, by what became of it.
    pub ledger: Ledger,
}

/// What was planned, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Arrivals of the plan.
    pub planned: u64,
    /// Arrivals whose first byte was sent.
    pub sent: u64,
    /// Arrivals with a whole response.
    pub answered: u64,
    /// Arrivals that count as errors.
    pub errors: u64,
    /// Arrivals that never left this machine.
    pub unsent: u64,
    /// Answers whose status, or kind of reply, differs from the recorded one.
    pub status_changes: u64,
    /// Connections opened.
    pub connections_opened: u64,
    /// TLS handshakes that were made in full.
    #[serde(default, skip_serializing_if = "is_none")]
    pub tls_handshakes: u64,
    /// TLS handshakes that resumed a session.
    #[serde(default, skip_serializing_if = "is_none")]
    pub tls_resumed: u64,
    /// Of all of them, those whose connection was opened in full when it was recorded.
    #[serde(default, skip_serializing_if = "is_none")]
    pub tls_recorded_handshakes: u64,
    /// Of all of them, those whose connection resumed a session when it was recorded.
    #[serde(default, skip_serializing_if = "is_none")]
    pub tls_recorded_resumed: u64,
    /// Of the latter, those that were made in full nevertheless: no ticket was at hand, or the
    /// target did not take it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub tls_not_resumed: u64,
    /// Bytes of request heads and bodies sent.
    pub request_bytes: u64,
    /// Bytes of response bodies received.
    pub response_bytes: u64,
    /// Times above the histograms' range, counted as one hour.
    pub overflows: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A distribution of times, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 95th percentile; 0 in runs of versions that had none.
    #[serde(default)]
    pub p95_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p99_9_ns: u64,
    /// Largest value.
    pub max_ns: u64,
    /// Arithmetic mean.
    pub mean_ns: u64,
    /// How many values; never 0.
    pub count: u64,
}

#[cfg(test)]
impl Quantiles {
    /// So many values, of which the median is 1 and the largest 6.
    pub(crate) fn example(count: u64) -> Self {
        let (p50_ns, p90_ns, p95_ns, p99_ns, p99_9_ns) = (1, 2, 3, 4, 5);
        Self { p50_ns, p90_ns, p95_ns, p99_ns, p99_9_ns, max_ns: 6, mean_ns: 2, count }
    }
}

/// A quantile's 95 % interval within one run, by batches of its time. Another run of the same
/// release may well lie outside of it: what differs between runs is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Within {
    /// The quantile, from 0 to 1.
    pub q: f64,
    /// Its lower end, in nanoseconds.
    pub low_ns: u64,
    /// Its upper end.
    pub high_ns: u64,
}

/// A time of a run, since its start, to be seen in its charts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// What happened, in a word.
    pub name: String,
    /// Its begin.
    pub from_ns: u64,
    /// Its end.
    pub to_ns: u64,
}

/// Another run, as far as its percentiles go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// Wall clock of its start, RFC 3339.
    pub started: String,
    /// Its latency.
    pub latency: Curve,
    /// In what its conditions differ from those of this run, a sentence each.
    pub differences: Vec<String>,
}

/// One second of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecondRow {
    /// Seconds since the start of the run, at the beginning of this one.
    pub second: u64,
    /// Arrivals due in it.
    pub due: u64,
    /// Requests whose first byte was sent in it.
    pub sent: u64,
    /// Answers completed in it.
    pub answered: u64,
    /// Errors among the arrivals due in it.
    pub errors: u64,
    /// Median latency (due to done) of the arrivals due in it; `None` where none was answered.
    pub p50_ns: Option<u64>,
    /// 99th percentile of the same.
    pub p99_ns: Option<u64>,
    /// Largest lateness of the arrivals due in it.
    pub max_lateness_ns: u64,
}

/// One route of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteRow {
    /// Method and template, such as `GET /cart/*`.
    pub route: String,
    /// Arrivals.
    pub arrivals: u64,
    /// Of them, those that never left this machine.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unsent: u64,
    /// Errors among them.
    pub errors: u64,
    /// Latency (due to done); `None` where nothing was answered.
    pub latency: Option<Quantiles>,
}

impl RouteRow {
    /// Fewest answers of a route whose 99th percentile is more than its slowest answer.
    pub const FEWEST: u64 = 100;
}

/// Routes that are not listed one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OtherRoutes {
    /// How many routes.
    pub routes: u64,
    /// Arrivals on them.
    pub arrivals: u64,
    /// Errors among those.
    pub errors: u64,
}
