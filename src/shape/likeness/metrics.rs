//! Every metric of two loads, in the order of the field's table.

use hdrhistogram::Histogram;

use crate::shape::compare::memories;
use crate::shape::floor::{FACTOR, SCALES};
use crate::shape::gate::{Gate, metric};
use crate::shape::judged::{Judged, Kind, counts, other};
use crate::shape::likeness::Input;
use crate::shape::likeness::curve::Curve;
use crate::shape::metrics::{Evaluated, Pair, lateness_ms, scale_name};
use crate::shape::tolerance::FineDispersion;
use crate::stats::counts::{as_f64, as_index, coarsen};
use crate::stats::gaps::{kolmogorov_smirnov, wasserstein};
use crate::stats::memory::{Hurst, hurst_by_range, hurst_by_variance};

/// A clock whose steps are more than this share of the mean gap makes gaps of its own.
const STEP_OF_GAP: f64 = 0.1;

/// One of this many pairs may be unsure.
const UNSURE: u64 = 200;

/// Fewest requests of a route whose sizes are compared.
const SIZED_REQUESTS: u64 = 100;

pub(super) fn all(input: &Input) -> Vec<Judged> {
    let mut metrics = amounts(input);
    metrics.extend(gaps(input));
    metrics.extend(bursts(input));
    metrics.extend(mix_and_sizes(input));
    metrics.extend(connections(input));
    metrics.extend(keys(input));
    metrics
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

/// An estimate does not have more digits than these.
fn three_digits(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let scale = 10.0_f64.powf(2.0 - value.log10().floor());
    (value * scale).round() / scale
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
    if floor * FACTOR > ceiling {
        return Err("too few requests: two samples of one load differ by more than can be told \
                    from another load"
            .into());
    }
    value
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
    let lag_value = supported(both.lag_seconds(lag), floors.lag_seconds, longest);
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
    // A clock must show a tenth of what is allowed.
    let of = |ms: f64, name: &str, value: Evaluated, gate: Gate| {
        counts(as_index(ms) as u64, name, "ms", value, gate)
    };
    vec![
        of(p99, "lateness p50", at(0.5), Gate::Report),
        of(p99, "lateness p99", at(0.99), Gate::AtMost(p99)),
        of(p999, "lateness p99.9", at(0.999), Gate::AtMost(p999)),
        of(max, "lateness max", at(1.0), Gate::AtMost(max)),
        counts(as_index(p99) as u64, "overtaken requests", "%", overtaken, Gate::Report),
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
    metrics.push(hurst(first, second));
    metrics
}

fn hurst(first: &[u32], second: &[u32]) -> Judged {
    let [before, after]: [Option<Hurst>; 2] =
        [first, second].map(|counts| hurst_by_variance(&coarsen(counts, 10)));
    let value = match (before, after) {
        (Some(before), Some(after)) => Ok(after.value - before.value),
        _ => Err("an hour of both is needed".to_owned()),
    };
    let mut judged = counts(100, "Hurst difference", "", value, Gate::Report);
    if let (Some(before), Some(after)) = (before, after) {
        judged.metric.note = format!(
            "{:.2} ± {:.2} and {:.2} ± {:.2}",
            before.value, before.within, after.value, after.within
        );
        let [before, after] = [first, second].map(|counts| hurst_by_range(&coarsen(counts, 10)));
        if let (Some(before), Some(after)) = (before, after) {
            let range = format!("; by R/S {:.2} and {:.2}", before.value, after.value);
            judged.metric.note += &range;
        }
    }
    judged
}

fn mix_and_sizes(input: &Input) -> Vec<Judged> {
    let (limits, floors, both) = (input.tolerances, &input.floors, pair(input));
    let [first, second] = [input.reference.profile, input.other.profile];
    let mix = supported(both.mix(), floors.mix, ceiling::SHARE);
    let mut metrics = vec![
        with_floor(other("mix TVD", "%", mix, at_most(limits.mix, floors.mix)), floors.mix),
        other("mix JSD", "bits", both.divergence(), Gate::Report),
    ];
    let gate = |floor: f64| Gate::Band(band(limits.size, floor));
    for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        let (value, floor) =
            size_ratio(input, [&first.shape.request_bytes, &second.shape.request_bytes], q);
        let value = supported(value, floor, ceiling::RATIO);
        let name = format!("request body ratio {name}");
        metrics.push(with_floor(other(&name, "", value, gate(floor)), floor));
    }
    // The largest of a sample is a matter of luck; that of a replay is not.
    let largest = if input.pairing.is_some() { gate(0.0) } else { Gate::Report };
    let sizes = [&first.shape.request_bytes, &second.shape.request_bytes];
    let most = size_ratio(input, sizes, 1.0).0;
    metrics.push(other("request body ratio max", "", most, largest));
    metrics.push(other("request body ratio by route", "", by_route(input), Gate::Report));
    let bytes = |which: usize| {
        let [before, after] = [first.bytes[which], second.bytes[which]].map(as_f64);
        if before > 0.0 {
            Ok(after / before)
        } else if after > 0.0 {
            Err("there are none to compare with".into())
        } else {
            Ok(1.0)
        }
    };
    let sum = if input.pairing.is_some() { gate(0.0) } else { Gate::Report };
    metrics.push(other("request bytes ratio", "", bytes(0), sum));
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        let value = size_ratio(input, [&first.response_bytes, &second.response_bytes], q).0;
        metrics.push(other(&format!("response body ratio {name}"), "", value, Gate::Report));
    }
    metrics.push(other("response bytes ratio", "", bytes(1), Gate::Report));
    metrics
}

/// The ratio of a quantile, one byte added to both since many bodies are empty; and its noise
/// floor: how far the first one's own quantiles lie within the error of the rank.
fn size_ratio(input: &Input, sizes: [&Histogram<u64>; 2], q: f64) -> (Evaluated, f64) {
    let [first, second] = sizes;
    if first.is_empty() || second.is_empty() {
        return (Err("there are none to compare".into()), 0.0);
    }
    let at = |histogram: &Histogram<u64>, q: f64| {
        as_f64(histogram.value_at_quantile(q).min(histogram.max())) + 1.0
    };
    let (n, m) = (as_f64(first.len()), as_f64(second.len()));
    let rank = if input.pairing.is_some() {
        // Only requests that are missing make a difference.
        if (n - m).abs() > 0.0 { ((n - m).abs() + 1.0) / n } else { 0.0 }
    } else {
        2.0 * (q * (1.0 - q) * input.floors.design * (1.0 / n + 1.0 / m)).sqrt()
    };
    if rank > 1.0 {
        return (Ok(at(second, q) / at(first, q)), f64::INFINITY);
    }
    let middle = at(first, q);
    let high = at(first, (q + rank).min(1.0)) / middle;
    let low = middle / at(first, (q - rank).max(0.0));
    (Ok(at(second, q) / middle), (high.max(low) - 1.0) / FACTOR)
}

/// The ratio of the medians that is farthest from one, over the routes with enough requests.
fn by_route(input: &Input) -> Evaluated {
    let [first, second] = [input.reference.profile, input.other.profile];
    let ratios = first.route_bytes.iter().filter_map(|(route, before)| {
        let after = second.route_bytes.get(route)?;
        let is_told = before.len() >= SIZED_REQUESTS && after.len() >= SIZED_REQUESTS;
        let [before, after] =
            [before, after].map(|sizes| as_f64(sizes.value_at_quantile(0.5)) + 1.0);
        is_told.then(|| after / before)
    });
    ratios
        .max_by(|a, b| a.ln().abs().total_cmp(&b.ln().abs()))
        .ok_or_else(|| format!("no route with {SIZED_REQUESTS} requests in both"))
}

fn connections(input: &Input) -> Vec<Judged> {
    let (limits, floors) = (input.tolerances, &input.floors);
    let [first, second] = [input.reference.profile, input.other.profile];
    let is_followed = || {
        if first.shape.opens.is_empty() || second.shape.opens.is_empty() {
            return Err("connections are not in both".to_owned());
        }
        let lost = first.not_followed + second.not_followed;
        if lost > 0 { Err("too many connections to follow all".to_owned()) } else { Ok(()) }
    };
    let limit = widened(limits.opens, floors.opens);
    let opens = is_followed().and_then(|()| pair(input).opens_wape(limit));
    let opens = supported(opens, floors.opens, ceiling::COARSE);
    let ratio = |histograms: [&Histogram<u64>; 2], q: f64| -> Evaluated {
        is_followed()?;
        let [before, after] = histograms
            .map(|values| (!values.is_empty()).then(|| as_f64(values.value_at_quantile(q))));
        match (before, after) {
            (Some(before), Some(after)) if before > 0.0 => Ok(after / before),
            _ => Err("there is none to compare".into()),
        }
    };
    let mut metrics = vec![with_floor(
        counts(1_000, "connection opens WAPE 1 s", "%", opens, Gate::AtMost(limit)),
        floors.opens,
    )];
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        let name = format!("requests per connection ratio {name}");
        let value = ratio([&first.reuse, &second.reuse], q);
        metrics.push(other(&name, "", value, Gate::Report));
    }
    let idle = ratio([&first.idle, &second.idle], 0.5);
    metrics.push(other("idle gap ratio p50", "", idle, Gate::Report));
    let flights = match (first.mean_in_flight(), second.mean_in_flight()) {
        (Some(before), Some(after)) if before > 0.0 => Ok(after / before),
        _ => Err("the ends of answers are not known in both".to_owned()),
    };
    let peaks = match (first.most_in_flight, second.most_in_flight) {
        (0, _) | (_, 0) => Err("the ends of answers are not known in both".to_owned()),
        (before, after) => Ok(as_f64(after) / as_f64(before)),
    };
    // How many wait at once is an outcome of the target's speed, and no shape of the load.
    metrics.push(other("concurrency ratio mean", "", flights, Gate::Report));
    metrics.push(other("concurrency ratio peak", "", peaks, Gate::Report));
    metrics
}

fn keys(input: &Input) -> Vec<Judged> {
    let [first, second] = [input.reference.profile, input.other.profile];
    // Both of the same keys, or one would have the error of a sample and the other none.
    let threshold = first.keys.threshold().min(second.keys.threshold());
    let curves = [&first.keys, &second.keys].map(|keys| Curve::of(keys, threshold));
    let (mean, most) = match &curves {
        [Some(first), Some(second)] => {
            let (mean, most) = first.distance(second);
            (Ok(mean), Ok(most))
        }
        _ => (Err("no reads in both".to_owned()), Err("no reads in both".to_owned())),
    };
    let floor = input.floors.miss_curve;
    let mean = supported(mean, floor, ceiling::SHARE);
    let gate = at_most(input.tolerances.miss_curve, floor);
    vec![
        with_floor(other("miss-ratio curve MAE", "", mean, gate), floor),
        other("miss-ratio curve max distance", "", most, Gate::Report),
    ]
}

fn nothing() -> String {
    "there is nothing to compare".into()
}
