//! Every metric of two loads, in the order of the field's table.

mod clients;
mod contents;
mod popularity;
mod sparse;

use std::fmt::Write;

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

/// The same of a ratio whose logarithm is as likely to be above as below: that of two estimates.
fn band_of_estimates([low, high]: [f64; 2], floor: f64) -> [f64; 2] {
    let most = three_digits((floor * FACTOR).exp());
    [low.min(1.0 / most), high.max(most)]
}

/// An estimate does not have more digits than these. It is rounded up: where sizes are few and
/// whole, such as 11 and 12 bytes, the next one is exactly as far as chance goes, not beyond.
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
    pub(super) const WAPE: f64 = crate::shape::floor::DENSE;
    /// Of ratios: from a half to twice as much.
    pub(super) const RATIO: f64 = 1.0;
    /// Of the amount, as a share.
    pub(super) const AMOUNT: f64 = 0.25;
    /// Of the WAPE of opened connections, of which no recording of minutes knows more.
    pub(super) const COARSE: f64 = 1.5;
    /// Of the logarithm of a ratio of dispersions: six times as much. Ten windows of ten seconds,
    /// the fewest of which anything is told, tell no more.
    pub(super) const DISPERSION: f64 = 1.8;
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

fn with_floor(judged: Judged, floor: f64) -> Judged {
    with_note(judged, floor, "noise floor")
}

/// Says by how much a limit was widened for what was lost, which is no noise.
fn with_lost(judged: Judged, lost: f64) -> Judged {
    with_note(judged, lost, "allowed for losses")
}

fn with_note(mut judged: Judged, value: f64, what: &str) -> Judged {
    let metric = &mut judged.metric;
    if value > 0.0 && metric.value.is_some() {
        let shown = if metric.unit == "%" { value * 100.0 } else { value };
        let space = if metric.unit.is_empty() { "" } else { " " };
        let before = if metric.note.is_empty() { "" } else { ", " };
        let _ = write!(metric.note, "{before}{what} {shown:.3}{space}{}", metric.unit);
    }
    judged
}

/// What was lost on the way into either file, as a share, which cannot be told from what was not
/// sent: of a difference in number, and of what differs where each lost others.
#[derive(Clone, Copy, Debug)]
struct Lost {
    most: f64,
    both: f64,
}

impl Lost {
    fn of(input: &Input) -> Self {
        let (first, second) = (input.reference.lost, input.other.lost);
        Self { most: first.max(second), both: first + second }
    }
}

fn amounts(input: &Input) -> Vec<Judged> {
    let (limits, floors, both) = (input.tolerances, &input.floors, pair(input));
    let lost = Lost::of(input);
    // Of a floor, so much more is allowed for losses, which are no chance and count once.
    let beside = |floor: f64, lost: f64| floor + lost / FACTOR;
    let [least, most] = band([limits.completeness, 1.0 / limits.completeness], floors.total);
    let complete = Gate::Band([least - lost.most, most + lost.most]);
    let completeness =
        supported(both.completeness(), beside(floors.total, lost.most), ceiling::AMOUNT);
    let completeness = with_floor(other("completeness", "%", completeness, complete), floors.total);
    let mut metrics = vec![with_lost(completeness, lost.most)];
    metrics.extend(lateness(input));
    let length = input.reference.profile.length.as_secs_f64();
    let lost_seconds = lost.most * length;
    let lag = widened(limits.lag_seconds, floors.lag_seconds) + lost_seconds;
    let lag_ms = as_index(lag * 1e3) as u64;
    let lag_floor = beside(floors.lag_seconds, lost_seconds);
    let lag_value = supported(lag_seconds(input, lag), lag_floor, length / 10.0);
    let peak = band(limits.peak, floors.peak);
    let peak = [peak[0] - lost.both, peak[1] + lost.both];
    let peak_value = both.peak_second(peak);
    let peak_value = supported(peak_value, beside(floors.peak, lost.both), ceiling::RATIO);
    for (seconds, floor) in [(1, floors.wape), (10, floors.wape_tens)] {
        let wape = widened(limits.wape, floor) + lost.both;
        let value = both.rate_wape_in(seconds, wape);
        let value = supported(value, beside(floor, lost.both), ceiling::WAPE);
        let name = format!("WAPE {seconds} s");
        let judged = counts(seconds as u64 * 1_000, &name, "%", value, Gate::AtMost(wape));
        metrics.push(with_lost(with_floor(judged, floor), lost.both));
    }
    let lag = counts(lag_ms, "max cumulative lag", "s", lag_value, Gate::AtMost(lag));
    let peak = counts(1_000, "peak ratio 1 s", "", peak_value, Gate::Band(peak));
    metrics.extend([
        counts(1_000, "nRMSE 1 s", "%", both.rate_rmse(), Gate::Report),
        with_lost(with_floor(lag, floors.lag_seconds), lost_seconds),
        with_lost(with_floor(peak, floors.peak), lost.both),
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
        metrics.push(burst(both, factor, (own_band, gates), floor));
    }
    let [first, second] = [input.reference, input.other].map(|side| &side.profile.shape.counts);
    metrics.extend(memories(both));
    metrics.extend(hurst(first, second));
    metrics
}

/// The ratio of dispersions at `factor` × 10 ms within a band, which gates or is only printed.
pub(super) fn burst(
    both: Pair,
    factor: usize,
    (band, gates): ([f64; 2], bool),
    floor: f64,
) -> Judged {
    let widened = band_of_estimates(band, floor);
    let gate = if gates { Gate::Band(widened) } else { Gate::Report };
    let name = format!("IDC ratio {}", scale_name(factor));
    let value = supported(both.dispersion(factor, widened), floor, ceiling::DISPERSION);
    let metric = metric(&name, "", value, gate);
    with_floor(Judged { kind: Kind::Burst(factor as u64 * 10), metric }, floor)
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
