//! Sets a produced shape against the planned one, and says who is to blame for a difference.
//!
//! What the target received (`sent`) is judged. Where it fails, the same metric of what this
//! machine offered decides whose fault it is: if the offer was right, the target held it back.

use hdrhistogram::Histogram;

use crate::shape::gate::{Gate, failures, metric};
use crate::shape::judged::{Judged, Kind, counts, faithful_from_ms, other, unjudged};
use crate::shape::metrics::{Pair, lateness_ms, scale_name, scale_of_ms};
use crate::shape::tolerance::{FineDispersion, Tolerances};
use crate::shape::{Fault, MetricOutcome, Origin, Shape, ShapeReport, ShapeVerdict};
use crate::units::{format_count, format_counted};

/// What a shape is judged by.
#[derive(Clone, Copy, Debug)]
pub struct ShapeInput<'a> {
    /// Every arrival at its due moment.
    pub planned: &'a Shape,
    /// What this machine was ready to send, when it was.
    pub offered: &'a Shape,
    /// What the target received, when it did.
    pub sent: &'a Shape,
    /// Due to dispatched, in nanoseconds.
    pub lateness: &'a Histogram<u64>,
    /// The tightest bound on a latency quantile that is under test, in nanoseconds: our lateness
    /// must be a small share of it.
    pub latency_bound_ns: Option<f64>,
    /// Smallest step of the recording's clock, in nanoseconds of the replay: below ten times it,
    /// bursts of the plan are the importer's and not those of production.
    pub clock_step_ns: u64,
    /// Where the load comes from.
    pub origin: Origin,
    /// Tolerances of the tier.
    pub tolerances: &'a Tolerances,
    /// The user stopped the run.
    pub interrupted: bool,
}

/// The verdict on the load shape of a run, with every metric.
pub fn judge_shape(input: &ShapeInput) -> ShapeReport {
    let judged = compare(input, input.sent);
    let offered = compare(input, input.offered);
    let failed: Vec<usize> = (0..judged.len())
        .filter(|&index| judged[index].metric.outcome == MetricOutcome::Fail)
        .collect();
    let own = |&&index: &&usize| offered[index].metric.outcome == MetricOutcome::Fail;
    let own: Vec<usize> = failed.iter().filter(own).copied().collect();
    let (fault, blamed) = if input.interrupted {
        (Fault::Interruption, &failed)
    } else if own.is_empty() {
        (Fault::Target, &failed)
    } else {
        (Fault::Generator, &own)
    };
    // What only the target changed is no evidence against this machine.
    let failures = failures(blamed.iter().map(|&index| &judged[index].metric));
    let gating = judged.iter().filter(|each| each.metric.ratio.is_some()).count();
    let verdict = if gating == 0 {
        ShapeVerdict::Invalid { fault: Fault::Recording }
    } else if failed.is_empty() {
        ShapeVerdict::Faithful
    } else {
        match faithful_from_ms(&judged, &failed) {
            Some(faithful_from_ms) => ShapeVerdict::Degraded { faithful_from_ms },
            None => ShapeVerdict::Invalid { fault },
        }
    };
    let worst = judged
        .iter()
        .filter_map(|each| each.metric.ratio.map(|ratio| (ratio, &each.metric)))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    ShapeReport {
        statement: statement(&verdict, (fault, &failures), &judged, input),
        verdict,
        worst_ratio: worst.map_or(0.0, |(ratio, _)| ratio),
        worst_metric: worst.map_or_else(String::new, |(_, metric)| metric.name.clone()),
        tier: input.tolerances.name.to_owned(),
        metrics: judged.into_iter().map(|each| each.metric).collect(),
    }
}

/// Every metric of one produced shape against the planned one, always the same ones in the same
/// order.
fn compare(input: &ShapeInput, produced: &Shape) -> Vec<Judged> {
    let limits = input.tolerances;
    let pair = Pair { planned: input.planned, produced };
    let mut metrics = vec![
        other("completeness", "%", pair.completeness(), Gate::AtLeast(limits.completeness)),
        counts(1_000, "WAPE 1 s", "%", pair.rate_wape(limits.wape), Gate::AtMost(limits.wape)),
        counts(1_000, "nRMSE 1 s", "%", pair.rate_rmse(), Gate::Report),
        other(
            "max cumulative lag",
            "s",
            pair.lag_seconds(limits.lag_seconds),
            Gate::AtMost(limits.lag_seconds),
        ),
        counts(1_000, "peak ratio 1 s", "", pair.peak_second(limits.peak), Gate::Band(limits.peak)),
        counts(10, "peak ratio 10 ms q99.99", "", pair.peak_window(), Gate::Report),
    ];
    metrics.splice(1..1, lateness(input));
    metrics.extend(bursts(input, pair));
    metrics.extend(memories(pair));
    metrics.push(other("mix TVD", "%", pair.mix(), Gate::AtMost(limits.mix)));
    metrics.push(other("mix JSD", "bits", pair.divergence(), Gate::Report));
    for (name, q) in SIZES {
        let name = format!("request size ratio {name}");
        metrics.push(other(&name, "", pair.size(q, limits.size), Gate::Band(limits.size)));
    }
    let opens = pair.opens_wape(limits.opens);
    let gate = Gate::AtMost(limits.opens);
    metrics.push(counts(1_000, "connection opens WAPE 1 s", "%", opens, gate));
    for each in &mut metrics {
        each.refuse_below(input.clock_step_ns);
    }
    metrics
}

/// Quantiles of request sizes.
const SIZES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// What counts remember of earlier ones.
pub(super) fn memories(pair: Pair) -> [Judged; 2] {
    let tenth = pair.memory(10, 1..=1);
    let second = pair.memory(100, 1..=10);
    [
        counts(100, "ACF difference 100 ms lag 1", "", tenth, Gate::Report),
        counts(1_000, "ACF difference 1 s lags 1–10", "", second, Gate::Report),
    ]
}

fn lateness(input: &ShapeInput) -> Vec<Judged> {
    let limits = input.tolerances;
    let at = |q: f64| lateness_ms(input.lateness, q);
    let [p99, p999, max] = limits.lateness_ms;
    let mut metrics = vec![
        other("lateness p50", "ms", at(0.5), Gate::Report),
        other("lateness p99", "ms", at(0.99), Gate::AtMost(p99)),
        other("lateness p99.9", "ms", at(0.999), Gate::AtMost(p999)),
        other("lateness max", "ms", at(1.0), Gate::AtMost(max)),
    ];
    if let Some(bound) = input.latency_bound_ns.filter(|&bound| bound > 0.0) {
        let share = at(0.99).map(|ms| ms * 1e6 / bound);
        let gate = Gate::AtMost(limits.lateness_of_bound);
        metrics.push(other("lateness p99 of latency bound", "%", share, gate));
    }
    metrics
}

fn bursts(input: &ShapeInput, pair: Pair) -> Vec<Judged> {
    let limits = input.tolerances;
    // A machine resolves ten times the p99 of its lateness; at 10 ms it must resolve 1 ms.
    let resolved = lateness_ms(input.lateness, 0.99).is_ok_and(|ms| ms * 10.0 <= 1.0);
    let (fine_band, fine_gate) = match limits.fine_dispersion {
        FineDispersion::Gate(band) => (band, Gate::Band(band)),
        FineDispersion::GateIfResolved(band) if resolved => (band, Gate::Band(band)),
        FineDispersion::GateIfResolved(band) => (band, Gate::Report),
        FineDispersion::Report => (limits.dispersion, Gate::Report),
    };
    let gate = Gate::Band(limits.dispersion);
    [
        (1, fine_band, fine_gate),
        (10, limits.dispersion, gate),
        (100, limits.dispersion, gate),
        (1_000, limits.dispersion, gate),
    ]
    .into_iter()
    .map(|(factor, band, gate)| {
        let name = format!("IDC ratio {}", scale_name(factor));
        let value = pair.dispersion(factor, band);
        Judged { kind: Kind::Burst(factor as u64 * 10), metric: metric(&name, "", value, gate) }
    })
    .collect()
}

fn statement(
    verdict: &ShapeVerdict,
    (fault, failures): (Fault, &str),
    judged: &[Judged],
    input: &ShapeInput,
) -> String {
    let unjudged = unjudged(judged, input.clock_step_ns);
    let requests = format_counted(input.planned.total, "request", "requests");
    let load = input.origin.word();
    match verdict {
        ShapeVerdict::Faithful => {
            format!("the {load} load of {requests} was produced{unjudged}")
        }
        ShapeVerdict::Degraded { faithful_from_ms } => {
            let who = match fault {
                Fault::Target => "the target changed",
                _ => "this machine changed",
            };
            let from = scale_of_ms(*faithful_from_ms);
            format!(
                "the load is faithful at time-scales of {from} and above; {who} its bursts below \
                 ({failures}){unjudged}"
            )
        }
        ShapeVerdict::Invalid { fault } => match fault {
            Fault::Recording => "there is no planned request to judge the load by".to_owned(),
            Fault::Interruption => {
                let sent = format_count(input.sent.total);
                format!("the run was stopped with {sent} of {requests} sent")
            }
            Fault::Target => format!("the target held the {load} load back: {failures}"),
            Fault::Generator => {
                format!("this machine did not produce the {load} load: {failures}")
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::shape::counted_moment;
    use crate::shape::tolerance::STANDARD;
    use crate::stats::histograms::{nanoseconds, record_time, times};

    /// Planned, offered and sent moments in milliseconds; `None` did not happen.
    type Moments = (f64, Option<f64>, Option<f64>);

    fn judge(moments: &[Moments], interrupted: bool) -> ShapeReport {
        judge_by_clock(moments, interrupted, 0)
    }

    fn judge_by_clock(moments: &[Moments], interrupted: bool, clock_step_ns: u64) -> ShapeReport {
        let mut shapes = [Shape::new(), Shape::new(), Shape::new()];
        let mut lateness = times();
        let route = Arc::from("GET /");
        let at = |ms: f64| Duration::from_secs_f64(ms / 1e3);
        for &(due, offered, sent) in moments {
            for (shape, happened) in shapes.iter_mut().zip([Some(due), offered, sent]) {
                if let Some(ms) = happened {
                    let moment = counted_moment(at(due), at(ms));
                    shape.add(moment, &route, 500);
                    shape.open(moment);
                }
            }
            if let Some(ms) = offered {
                record_time(&mut lateness, nanoseconds(at(ms).saturating_sub(at(due))));
            }
        }
        let [planned, offered, sent] = &shapes;
        judge_shape(&ShapeInput {
            planned,
            offered,
            sent,
            lateness: &lateness,
            latency_bound_ns: None,
            clock_step_ns,
            origin: Origin::Recorded,
            tolerances: &STANDARD,
            interrupted,
        })
    }

    /// 12 000 requests in 120 s, in bursts of a varying size every 10 ms on the grid line.
    fn on_grid_lines(late_ms: f64, slow_ms: f64) -> Vec<Moments> {
        (0..12_000_u32)
            .flat_map(|window| std::iter::repeat_n(window, (window * 7_919 % 3) as usize))
            .map(|window| {
                let due = f64::from(window) * 10.0;
                (due, Some(due + late_ms), Some(due + late_ms + slow_ms))
            })
            .collect()
    }

    fn outcome(report: &ShapeReport, name: &str) -> MetricOutcome {
        report.metrics.iter().find(|metric| metric.name == name).unwrap().outcome
    }

    #[test]
    fn requests_exactly_on_grid_lines_do_not_jump() {
        // Just below the line as well: decimal fractions of a second are not exact in nanoseconds.
        for early in [0.0, 1e-6] {
            let mut moments = on_grid_lines(0.05, 0.0);
            for (due, ..) in &mut moments {
                *due = (*due - early).max(0.0);
            }
            let report = judge(&moments, false);
            assert_eq!(report.verdict, ShapeVerdict::Faithful, "{}", report.statement);
            assert_eq!(outcome(&report, "WAPE 1 s"), MetricOutcome::Pass);
            assert_eq!(outcome(&report, "connection opens WAPE 1 s"), MetricOutcome::Pass);
            assert!(report.worst_ratio < 0.1, "{} {}", report.worst_metric, report.worst_ratio);
        }
    }

    #[test]
    fn a_coarse_clock_says_nothing_below_ten_of_its_steps() {
        let moments = on_grid_lines(0.05, 0.0);
        for name in ["IDC ratio 10 ms", "IDC ratio 1 s", "WAPE 1 s", "peak ratio 1 s"] {
            let report = judge_by_clock(&moments, false, 1_000_000);
            assert_eq!(outcome(&report, name), MetricOutcome::Pass, "{name}");
            let report = judge_by_clock(&moments, false, 1_000_000_000);
            assert_eq!(outcome(&report, name), MetricOutcome::NotEvaluable, "{name}");
            assert_eq!(outcome(&report, "IDC ratio 10 s"), MetricOutcome::Pass);
            assert_eq!(report.verdict, ShapeVerdict::Faithful);
            assert!(report.statement.ends_with("says nothing below 10 s"), "{}", report.statement);
        }
    }

    #[test]
    fn what_was_offered_decides_whose_fault_it_is() {
        let late = judge(&on_grid_lines(400.0, 0.0), false);
        assert_eq!(late.verdict, ShapeVerdict::Invalid { fault: Fault::Generator });
        let held_back = judge(&on_grid_lines(0.05, 400.0), false);
        assert_eq!(held_back.verdict, ShapeVerdict::Invalid { fault: Fault::Target });
        assert!(held_back.statement.contains("target held"), "{}", held_back.statement);
        let refused: Vec<Moments> = on_grid_lines(0.05, 0.0)
            .into_iter()
            .map(|(due, offered, _)| (due, offered, None))
            .collect();
        let refused = judge(&refused, false);
        assert_eq!(refused.verdict, ShapeVerdict::Invalid { fault: Fault::Target });
        // Late by ourselves, and refused besides: what is missing is not what is said of us.
        let both: Vec<Moments> = on_grid_lines(60.0, 0.0)
            .into_iter()
            .map(|(due, offered, sent)| (due, offered, sent.filter(|_| due < 60_000.0)))
            .collect();
        let both = judge(&both, false);
        assert_eq!(both.verdict, ShapeVerdict::Invalid { fault: Fault::Generator });
        assert_eq!(outcome(&both, "completeness"), MetricOutcome::Fail);
        assert!(both.statement.contains("lateness p99"), "{}", both.statement);
        assert!(!both.statement.contains("completeness"), "{}", both.statement);
        let stopped: Vec<Moments> = on_grid_lines(0.05, 0.0)
            .into_iter()
            .map(|each| if each.0 < 60_000.0 { each } else { (each.0, None, None) })
            .collect();
        let stopped = judge(&stopped, true);
        assert_eq!(stopped.verdict, ShapeVerdict::Invalid { fault: Fault::Interruption });
    }

    #[test]
    fn bursts_that_change_at_small_scales_only_degrade_the_shape() {
        // Every burst is spread over its 100 ms by the target: ten single requests, not one ten.
        let moments: Vec<Moments> = (0..12_000_u32)
            .map(|index| {
                let due = f64::from(index / 10) * 100.0;
                let late = f64::from(index % 10) * 9.9;
                (due, Some(due), Some(due + late))
            })
            .collect();
        let report = judge(&moments, false);
        assert_eq!(report.verdict, ShapeVerdict::Degraded { faithful_from_ms: 100 });
        assert!(report.statement.contains("100 ms and above; the target changed"));
    }

    #[test]
    fn a_small_recording_rests_on_completeness_lateness_and_mix() {
        let moments: Vec<Moments> = (0..60)
            .map(|index| f64::from(index) * 990.0)
            .map(|ms| (ms, Some(ms), Some(ms)))
            .collect();
        let report = judge(&moments, false);
        assert_eq!(report.verdict, ShapeVerdict::Faithful);
        for name in ["completeness", "lateness p99", "mix TVD", "request size ratio p99"] {
            assert_eq!(outcome(&report, name), MetricOutcome::Pass, "{name}");
        }
        for name in ["WAPE 1 s", "max cumulative lag", "IDC ratio 10 s", "peak ratio 1 s"] {
            assert_eq!(outcome(&report, name), MetricOutcome::NotEvaluable, "{name}");
        }
        let started = "the recorded load of 60 requests was produced; too little data for ";
        assert!(report.statement.starts_with(started), "{}", report.statement);
    }

    #[test]
    fn one_late_request_does_not_decide_a_quantile_of_few() {
        let mut moments: Vec<Moments> = (0..60)
            .map(|index| f64::from(index) * 990.0)
            .map(|ms| (ms, Some(ms), Some(ms)))
            .collect();
        moments[30].1 = Some(moments[30].0 + 300.0);
        assert_eq!(judge(&moments, false).verdict, ShapeVerdict::Faithful);
        moments[31].1 = Some(moments[31].0 + 300.0);
        assert_eq!(
            judge(&moments, false).verdict,
            ShapeVerdict::Invalid { fault: Fault::Generator }
        );
    }

    #[test]
    fn nothing_planned_is_not_evaluable_and_no_pass() {
        let report = judge(&[], false);
        assert_eq!(report.verdict, ShapeVerdict::Invalid { fault: Fault::Recording });
        assert!(report.metrics.iter().all(|m| m.outcome == MetricOutcome::NotEvaluable));
        assert!(report.metrics.iter().all(|m| m.value.is_none() && !m.note.is_empty()));
    }
}
