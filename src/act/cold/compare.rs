//! The cold run beside the warm one, bin by bin.

use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::act::cold::origin::OriginReads;
use crate::act::cold::recovery::{self, Recovery};
use crate::scenario::Tier;
use crate::scenario::acts::cold::ColdOptions;
use crate::shape::compare::{ShapeInput, judge_shape};
use crate::shape::{Fault, Origin, ShapeVerdict};
use crate::stats::histograms::{coarse_times, merge};
use crate::summary::{Second, Summary};

/// Two replays of one plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Length of a bin in nanoseconds.
    pub bin_ns: u64,
    /// The bins, from the start of each replay.
    pub bins: Vec<Bin>,
    /// Whether the cold replay had the recorded shape.
    pub cold_shape: Produced,
    /// Whether the warm one had.
    pub warm_shape: Produced,
    /// Reads of the origin during the cold replay and during the warm one, where they were counted.
    pub origin_reads: Option<[f64; 2]>,
    /// Median latency of the few requests before the reset, ns.
    pub trickle_p50_ns: Option<u64>,
    /// What production took at the median for the same requests, ns.
    pub recorded_p50_ns: Option<u64>,
    /// The stack after both replays; `None` where too few requests came before the reset.
    pub recovery: Option<Recovery>,
}

/// The same time of both replays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bin {
    /// With cold caches.
    pub cold: Side,
    /// With warm ones.
    pub warm: Side,
}

/// What one replay saw of the requests that were due in a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Requests due.
    pub requests: u64,
    /// Whole answers.
    pub answers: u64,
    /// Errors.
    pub errors: u64,
    /// Median latency (due to done) of the answers, ns.
    pub p50_ns: u64,
    /// Its 95th percentile.
    pub p95_ns: u64,
    /// Its mean.
    pub mean_ns: f64,
    /// Answers slower than the scenario's `slo`, by more than the lateness of any request of their
    /// second.
    pub slow: u64,
    /// Reads of the origin, where they were counted.
    pub origin_reads: Option<f64>,
    /// By how much this machine sent them late, on average and at most, ns.
    pub lateness_ns: [u64; 2],
}

/// Whether a replay had the recorded shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Produced {
    /// The statement on its shape.
    pub statement: String,
    /// Who is to blame where it had not.
    pub fault: Option<Fault>,
}

/// What is compared.
pub(super) struct Passes<'a> {
    /// Step of the recording's clock in the plan, ns.
    pub(super) clock_step_ns: u64,
    pub(super) cold: &'a Summary,
    pub(super) warm: &'a Summary,
    pub(super) cold_reads: Option<&'a OriginReads>,
    pub(super) warm_reads: Option<&'a OriginReads>,
    pub(super) trickle: Option<&'a Summary>,
}

/// Sets two replays beside each other.
pub(super) fn compare(passes: &Passes<'_>, options: &ColdOptions, tier: Tier) -> Comparison {
    let seconds = bin_seconds(passes, options.bins);
    // Answers that come after the last request make rows without any.
    let due = |summary: &Summary| {
        summary.seconds.iter().rposition(|second| second.due > 0).map_or(0, |last| last + 1)
    };
    let bins = due(passes.cold).max(due(passes.warm)).div_ceil(seconds);
    let slo_ns = options.slo.map(|slo| u64::try_from(slo.as_nanos()).unwrap_or(u64::MAX));
    let side = |summary: &Summary, reads: Option<&OriginReads>, bin: usize| {
        let from = (bin * seconds).min(summary.seconds.len());
        let to = (from + seconds).min(summary.seconds.len());
        let end = |seconds: usize| Duration::from_secs(seconds as u64);
        let until = |moment: usize| reads.and_then(|reads| reads.until(end(moment)));
        let read = until((bin + 1) * seconds).zip(until(bin * seconds));
        let read = read.map(|(after, before)| (after - before).max(0.0));
        Side { origin_reads: read, ..folded(&summary.seconds[from..to], slo_ns) }
    };
    let total = |reads: Option<&OriginReads>| reads.and_then(OriginReads::total);
    let median = |times: &Histogram<u64>| {
        (times.len() >= recovery::FEWEST).then(|| times.value_at_quantile(0.5))
    };
    Comparison {
        bin_ns: seconds as u64 * 1_000_000_000,
        bins: (0..bins)
            .map(|bin| Bin {
                cold: side(passes.cold, passes.cold_reads, bin),
                warm: side(passes.warm, passes.warm_reads, bin),
            })
            .collect(),
        cold_shape: produced(passes.cold, tier, passes.clock_step_ns),
        warm_shape: produced(passes.warm, tier, passes.clock_step_ns),
        origin_reads: total(passes.cold_reads)
            .zip(total(passes.warm_reads))
            .map(|(cold, warm)| [cold, warm]),
        trickle_p50_ns: passes.trickle.and_then(|trickle| median(&trickle.latency)),
        recorded_p50_ns: median(&passes.warm.recorded_latency),
        recovery: None,
    }
}

/// The shortest bins that hold enough of the traffic for a median, of 1, 2 or 5 seconds.
fn bin_seconds(passes: &Passes<'_>, asked: Option<Duration>) -> usize {
    const ENOUGH: u32 = 20;
    if let Some(asked) = asked {
        return usize::try_from(asked.as_secs()).unwrap_or(1).max(1);
    }
    let mut due: Vec<u32> = passes.warm.seconds.iter().map(|second| second.due).collect();
    due.sort_unstable();
    let median = due.get(due.len() / 2).copied().unwrap_or(0);
    [1_u32, 2].into_iter().find(|seconds| median * seconds >= ENOUGH).unwrap_or(5) as usize
}

fn folded(seconds: &[Second], slo_ns: Option<u64>) -> Side {
    let mut latency = coarse_times();
    let mut slow = 0;
    let (mut requests, mut errors, mut late, mut most_late) = (0, 0, 0_u64, 0);
    for second in seconds {
        merge(&mut latency, &second.latency);
        requests += u64::from(second.due);
        errors += u64::from(second.errors);
        late = late.saturating_add(second.lateness_ns);
        most_late = second.max_lateness_ns.max(most_late);
        // What this machine sent late is not slow by the target: not even the latest of them.
        let least = slo_ns.map(|slo| slo.saturating_add(second.max_lateness_ns).saturating_add(1));
        slow += least.map_or(0, |least| second.latency.count_between(least, u64::MAX));
    }
    Side {
        requests,
        answers: latency.len(),
        errors,
        p50_ns: latency.value_at_quantile(0.5),
        p95_ns: latency.value_at_quantile(0.95),
        mean_ns: if latency.is_empty() { 0.0 } else { latency.mean() },
        slow,
        origin_reads: None,
        lateness_ns: [late.checked_div(requests).unwrap_or(0), most_late],
    }
}

fn produced(summary: &Summary, tier: Tier, clock_step_ns: u64) -> Produced {
    let shape = judge_shape(&ShapeInput {
        planned: &summary.planned,
        offered: &summary.offered,
        sent: &summary.sent,
        lateness: &summary.lateness,
        latency_bound_ns: None,
        clock_step_ns,
        origin: Origin::Recorded,
        tolerances: tier.tolerances(),
        interrupted: false,
    });
    let fault = match shape.verdict {
        ShapeVerdict::Invalid { fault } => Some(fault),
        ShapeVerdict::Faithful | ShapeVerdict::Degraded { .. } => None,
    };
    Produced { statement: shape.statement, fault }
}
