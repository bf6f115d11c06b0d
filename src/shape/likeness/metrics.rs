//! Every metric of two loads, in the order of the field's table.

mod clients;
mod contents;
mod popularity;
mod sparse;

use hdrhistogram::Histogram;

use crate::shape::compare::memories;
use crate::shape::floor::{FACTOR, SCALES};
use crate::shape::gate::{Gate, metric};
use crate::shape::judged::{Judged, Kind, counts, other};
use crate::shape::likeness::Input;
use crate::shape::metrics::{Evaluated, Pair, lateness_ms, scale_name};
use crate::shape::tolerance::FineDispersion;
use crate::stats::counts::{as_f64, as_index, coarsen};
use crate::stats::distances::max_cumulative_lag;
use crate::stats::gaps::{kolmogorov_smirnov, wasserstein};
use crate::stats::memory::{Hurst, hurst_by_range, hurst_by_variance};

/// A clock whose steps are more than this share of the mean gap makes gaps of its own.
const STEP_OF_GAP: f64 = 0.1;

/// Requests of a hundred that may be in another order within their session, by more than the p99 of
/// lateness allows: as many as that quantile leaves out. An order that lateness allows is no fault.
const INVERSIONS: f64 = 0.01;

/// One of this many pairs may be unsure.
const UNSURE: u64 = 200;

pub(super) fn all(input: &Input) -> Vec<Judged> {
    let mut metrics = amounts(input);
    metrics.extend(gaps(input));
    metrics.extend(bursts(input));
    // What is too fine for the clocks is not told either.
    let step_ns = input.reference.clock_step_ns.max(input.other.clock_step_ns);
    for each in &mut metrics {
        each.refuse_below(step_ns);
    }
    if told_from_ms(&metrics).is_none() {
        let wider = sparse::all(input);
        if !wider.is_empty() {
            for each in &mut metrics {
                sparse::leave_to_wider_windows(each, input);
            }
        }
        metrics.extend(wider);
    }
    metrics.extend(contents::all(input));
    metrics.extend(clients::all(input));
    metrics.extend(popularity::all(input));
    metrics
}

/// The finest scale at which the rate curve is told, in milliseconds.
pub(super) fn told_from_ms(judged: &[Judged]) -> Option<u64> {
    let curves = judged.iter().filter(|each| each.metric.name.starts_with("WAPE"));
    curves.filter(|each| each.metric.ratio.is_some()).find_map(|each| match each.kind {
        Kind::Counts(ms) => Some(ms),
        _ => None,
    })
}

fn pair<'a>(input: &Input<'a>) -> Pair<'a> {
    Pair { planned: &input.reference.profile.shape, produced: &input.other.profile.shape }
}

/// A limit, widened to what chance alone does.
fn widened(limit: f64, floor: f64) -> f64 {
    limit.max(three_digits(floor * FACTOR))
}

fn at_most(limit: f64, floor: f64) -> Gate {
    Gate::AtMost(widened(limit, floor))
}

fn band([low, high]: [f64; 2], floor: f64) -> [f64; 2] {
    let most = 1.0 + three_digits(floor * FACTOR);
    [low.min(1.0 / most), high.max(most)]
}

/// An estimate does not have more digits than these. It is rounded up: where sizes are few and whole,
/// such as 11 and 12 bytes, the next one is exactly as far as chance goes, and not beyond it.
fn three_digits(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let scale = 10.0_f64.powf(2.0 - value.log10().floor());
    // What is a rounding error above a number of three digits is that number.
    (value * scale - 1e-6).ceil() / scale
}

/// What chance alone may do at most: a metric of which two samples of one law differ by more than
/// this says nothing.
mod ceiling {
    /// Of shares and distances that are 1 at most.
    pub(super) const SHARE: f64 = 0.3;
    /// Of the WAPE of counts.
    pub(super) const WAPE: f64 = 0.5;
    /// Of ratios: from a half to twice as much.
    pub(super) const RATIO: f64 = 1.0;
    /// Of the amount, as a share.
    pub(super) const AMOUNT: f64 = 0.25;
    /// Of the WAPE of opened connections, and of the ratio of dispersions of ten seconds, of which
    /// no recording of minutes knows more.
    pub(super) const COARSE: f64 = 1.5;
}

/// The value, unless what is tolerated of it because of its floor is beyond the ceiling.
fn supported(value: Evaluated, floor: f64, ceiling: f64) -> Evaluated {
    let value = value?;
    if floor * FACTOR > ceiling {
        return Err("too few requests: two samples of one load differ by more than can be told \
                    from another load"
            .into());
    }
    Ok(value)
}

fn with_floor(mut judged: Judged, floor: f64) -> Judged {
    let metric = &mut judged.metric;
    if floor > 0.0 && metric.value.is_some() {
        let shown = if metric.unit == "%" { floor * 100.0 } else { floor };
        let space = if metric.unit.is_empty() { "" } else { " " };
        metric.note = format!("noise floor {shown:.3}{space}{}", metric.unit);
    }
    judged
}

fn amounts(input: &Input) -> Vec<Judged> {
    let (limits, floors, both) = (input.tolerances, &input.floors, pair(input));
    // What was lost on the way into either file cannot be told from what was not sent.
    let lost = input.reference.lost.max(input.other.lost);
    let floor = floors.total.max(lost);
    let complete = Gate::Band(band([limits.completeness, 1.0 / limits.completeness], floor));
    let completeness = supported(both.completeness(), floor, ceiling::AMOUNT);
    let mut metrics = vec![with_floor(other("completeness", "%", completeness, complete), floor)];
    metrics.extend(lateness(input));
    let lag = widened(limits.lag_seconds, floors.lag_seconds);
    let lag_ms = as_index(lag * 1e3) as u64;
    let longest = input.reference.profile.length.as_secs_f64() / 10.0;
    let lag_value = supported(lag_seconds(input, lag), floors.lag_seconds, longest);
    let peak = band(limits.peak, floors.peak);
    let peak_value = supported(both.peak_second(peak), floors.peak, ceiling::RATIO);
    for (seconds, floor) in [(1, floors.wape), (10, floors.wape_tens)] {
        let wape = widened(limits.wape, floor);
        let value = supported(both.rate_wape_in(seconds, wape), floor, ceiling::WAPE);
        let name = format!("WAPE {seconds} s");
        let gate = Gate::AtMost(wape);
        metrics.push(with_floor(counts(seconds as u64 * 1_000, &name, "%", value, gate), floor));
    }
    metrics.extend([
        counts(1_000, "nRMSE 1 s", "%", both.rate_rmse(), Gate::Report),
        with_floor(
            counts(lag_ms, "max cumulative lag", "s", lag_value, Gate::AtMost(lag)),
            floors.lag_seconds,
        ),
        with_floor(counts(1_000, "peak ratio 1 s", "", peak_value, Gate::Band(peak)), floors.peak),
        counts(10, "peak ratio 10 ms q99.99", "", both.peak_window(), Gate::Report),
    ]);
    metrics
}

/// The largest cumulative lag, of all of both: by minutes where a load is longer than its windows
/// of 10 ms and where so much lag is allowed that minutes tell.
fn lag_seconds(input: &Input, limit: f64) -> Evaluated {
    let [first, second] = [input.reference.profile, input.other.profile];
    if limit < 60.0 || first.coarse() + second.coarse() == 0 {
        return pair(input).lag_seconds(limit);
    }
    let [before, after] = [first, second].map(|profile| profile.minutes.counts(1));
    max_cumulative_lag(&before, &after, 60.0).ok_or_else(nothing)
}

fn lateness(input: &Input) -> Vec<Judged> {
    let [p99, p999, max] = input.tolerances.lateness_ms;
    let unpaired = || match &input.pairing {
        Some(pairing) if pairing.unsure * UNSURE > pairing.pairs => {
            Err("too many are missing to tell which of the others belong together".to_owned())
        }
        Some(pairing) => Ok(pairing),
        None => Err(input.unpaired.clone()),
    };
    let at = |q: f64| unpaired().and_then(|pairing| lateness_ms(&pairing.lateness, q));
    let overtaken = unpaired().map(|pairing| pairing.overtaken);
    // What lateness allows may change the order of what is near each other.
    let allowed_ns = as_index(p99 * 1e6) as u64;
    let inversions = |beyond_ns: u64| -> Evaluated {
        match unpaired()? {
            pairing if pairing.in_session == 0 => {
                Err("no session has two requests at different moments".to_owned())
            }
            pairing => Ok(pairing.inversions_beyond(beyond_ns)),
        }
    };
    // A clock must show a tenth of what is allowed.
    let of = |ms: f64, name: &str, unit: &str, value: Evaluated, gate: Gate| {
        counts(as_index(ms) as u64, name, unit, value, gate)
    };
    vec![
        of(p99, "lateness p50", "ms", at(0.5), Gate::Report),
        of(p99, "lateness p99", "ms", at(0.99), Gate::AtMost(p99)),
        of(p999, "lateness p99.9", "ms", at(0.999), Gate::AtMost(p999)),
        of(max, "lateness max", "ms", at(1.0), Gate::AtMost(max)),
        counts(as_index(p99) as u64, "overtaken requests", "%", overtaken, Gate::Report),
        of(p99, "session inversions", "%", inversions(0), Gate::Report),
        of(
            p99,
            &format!("session inversions by more than {} ms", as_index(p99)),
            "%",
            inversions(allowed_ns),
            Gate::AtMost(INVERSIONS),
        ),
    ]
}

fn gaps(input: &Input) -> Vec<Judged> {
    let (limit, floors) = (input.tolerances.gaps, &input.floors);
    let [first, second] = [input.reference, input.other];
    let is_told = || -> Result<(), String> {
        for (name, side) in [("first", first), ("second", second)] {
            let (step, gap) = (as_f64(side.clock_step_ns), side.profile.gaps.mean());
            if step > gap * STEP_OF_GAP {
                return Err(format!(
                    "the {name} clock's steps are more than a tenth of the mean gap"
                ));
            }
        }
        Ok(())
    };
    let of = |distance: fn(&Histogram<u64>, &Histogram<u64>) -> Option<f64>| -> Evaluated {
        is_told()?;
        distance(&first.profile.gaps, &second.profile.gaps).ok_or_else(nothing)
    };
    let scv = || -> Evaluated {
        is_told()?;
        let before = first.profile.gaps_scv().ok_or_else(nothing)?;
        let after = second.profile.gaps_scv().ok_or_else(nothing)?;
        if before > 0.0 { Ok(after / before) } else { Err("the first gaps are all alike".into()) }
    };
    let gated = |name: &str, value: Evaluated, floor: f64| {
        let value = supported(value, floor, ceiling::SHARE);
        let metric = metric(name, "", value, at_most(limit, floor));
        with_floor(Judged { kind: Kind::Gaps, metric }, floor)
    };
    vec![
        gated("gaps KS", of(kolmogorov_smirnov), floors.gaps_ks),
        gated("gaps Wasserstein-1", of(wasserstein), floors.gaps_w1),
        other("gaps SCV ratio", "", scv(), Gate::Report),
    ]
}

fn bursts(input: &Input) -> Vec<Judged> {
    let (limits, both) = (input.tolerances, pair(input));
    let mut metrics = Vec::new();
    for (factor, floor) in SCALES.into_iter().zip(input.floors.dispersion) {
        let (own_band, gates) = match (factor, limits.fine_dispersion) {
            (1, FineDispersion::Gate(own)) => (own, true),
            (1, FineDispersion::GateIfResolved(own)) => (own, false),
            (1, FineDispersion::Report) => (limits.dispersion, false),
            _ => (limits.dispersion, true),
        };
        let widened = band(own_band, floor);
        let gate = if gates { Gate::Band(widened) } else { Gate::Report };
        let name = format!("IDC ratio {}", scale_name(factor));
        let value = supported(both.dispersion(factor, widened), floor, ceiling::COARSE);
        let metric = metric(&name, "", value, gate);
        metrics.push(with_floor(Judged { kind: Kind::Burst(factor as u64 * 10), metric }, floor));
    }
    let [first, second] = [input.reference, input.other].map(|side| &side.profile.shape.counts);
    metrics.extend(memories(both));
    metrics.extend(hurst(first, second));
    metrics
}

type Estimate = fn(&[u64]) -> Option<Hurst>;

/// Two estimates of one thing that are told, and gate nothing.
fn hurst(first: &[u32], second: &[u32]) -> [Judged; 2] {
    let estimates: [(&str, Estimate); 2] =
        [("Hurst difference", hurst_by_variance), ("Hurst difference by R/S", hurst_by_range)];
    estimates.map(|(name, estimate)| {
        let [before, after] = [first, second].map(|counts| estimate(&coarsen(counts, 10)));
        let value = match (before, after) {
            (Some(before), Some(after)) => Ok(after.value - before.value),
            _ => Err("an hour of both is needed".to_owned()),
        };
        let mut judged = counts(100, name, "", value, Gate::Report);
        if let (Some(before), Some(after)) = (before, after) {
            judged.metric.note = format!(
                "{:.2} ± {:.2} and {:.2} ± {:.2}",
                before.value, before.within, after.value, after.within
            );
        }
        judged
    })
}

/// By how much more of something the other load has, with both values behind it: it is told, and
/// gates nothing.
fn apart(
    name: &str,
    unit: &str,
    values: [Option<f64>; 2],
    reason: &str,
    shown: impl Fn(f64) -> String,
) -> Judged {
    let [Some(before), Some(after)] = values else {
        return other(name, unit, Err(reason.to_owned()), Gate::Report);
    };
    let mut judged = other(name, unit, Ok(after - before), Gate::Report);
    judged.metric.note = format!("{} and {}", shown(before), shown(after));
    judged
}

fn nothing() -> String {
    "there is nothing to compare".into()
}
