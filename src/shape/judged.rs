//! A metric, the time-scale that it speaks of, and whether the recording's clock can.

use std::fmt::Write;
use std::time::Duration;

use crate::shape::gate::{Gate, metric};
use crate::shape::metrics::Evaluated;
use crate::shape::{Metric, MetricOutcome};
use crate::units::format_duration;

/// A metric and what it is about.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) kind: Kind,
    pub(super) metric: Metric,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Burstiness at a scale of so many milliseconds.
    Burst(u64),
    /// Gaps between requests: burstiness at the finest scale, which has no window.
    Gaps,
    /// Counts in windows of so many milliseconds.
    Counts(u64),
    Other,
}

/// A metric of no time-scale.
pub(super) fn other(name: &str, unit: &str, value: Evaluated, gate: Gate) -> Judged {
    Judged { kind: Kind::Other, metric: metric(name, unit, value, gate) }
}

/// A metric of counts in windows of `scale_ms`.
pub(super) fn counts(
    scale_ms: u64,
    name: &str,
    unit: &str,
    value: Evaluated,
    gate: Gate,
) -> Judged {
    Judged { kind: Kind::Counts(scale_ms), metric: metric(name, unit, value, gate) }
}

impl Judged {
    /// Takes the value back where its time-scale is below ten steps of the recording's clock: what
    /// the plan has there came from spreading requests within a step, and not from production.
    pub(super) fn refuse_below(&mut self, step_ns: u64) {
        if !self.is_too_fine_for(step_ns) {
            return;
        }
        let step = format_duration(Duration::from_nanos(step_ns));
        self.metric.value = None;
        self.metric.ratio = None;
        self.metric.outcome = MetricOutcome::NotEvaluable;
        self.metric.note = format!("the recording's clock has steps of {step}, too coarse for it");
    }

    fn is_too_fine_for(&self, step_ns: u64) -> bool {
        match self.kind {
            Kind::Burst(scale_ms) | Kind::Counts(scale_ms) => {
                scale_ms.saturating_mul(1_000_000) < step_ns.saturating_mul(STEPS)
            }
            Kind::Gaps | Kind::Other => false,
        }
    }
}

/// Steps of a clock from which on it tells anything about a time-scale.
pub(super) const STEPS: u64 = 10;

/// What could not be judged, and why, as the end of a sentence; empty where all was.
pub(super) fn unjudged(judged: &[Judged], step_ns: u64) -> String {
    let not_evaluable = |each: &&Judged| each.metric.outcome == MetricOutcome::NotEvaluable;
    let coarse = |each: &&Judged| each.is_too_fine_for(step_ns);
    let all = judged.iter().filter(not_evaluable).count();
    let too_coarse = judged.iter().filter(not_evaluable).filter(coarse).count();
    let mut parts = String::new();
    if all > too_coarse {
        let (few, of) = (all - too_coarse, judged.len());
        let _ = write!(parts, "; too little data for {few} of {of} metrics");
    }
    if too_coarse > 0 {
        let scale = Duration::from_nanos(step_ns.saturating_mul(STEPS));
        let scale = format_duration(scale);
        let _ = write!(parts, "; the recording's clock says nothing below {scale}");
    }
    parts
}

/// The smallest scale from which on no burst metric fails, if nothing else fails. Scales that are
/// not evaluable carry no claim: one that passes must be left.
pub(super) fn faithful_from_ms(judged: &[Judged], failed: &[usize]) -> Option<u64> {
    let mut largest_failed = 0;
    for &index in failed {
        match judged[index].kind {
            Kind::Burst(ms) => largest_failed = largest_failed.max(ms),
            Kind::Gaps => {}
            Kind::Counts(_) | Kind::Other => return None,
        }
    }
    judged.iter().find_map(|each| match each.kind {
        Kind::Burst(ms) if ms > largest_failed && each.metric.outcome == MetricOutcome::Pass => {
            Some(ms)
        }
        _ => None,
    })
}
