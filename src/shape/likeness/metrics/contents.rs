//! What is asked for, and how large it is.

use hdrhistogram::Histogram;

use crate::shape::floor::{FACTOR, closed_mix};
use crate::shape::gate::Gate;
use crate::shape::judged::{Judged, other};
use crate::shape::likeness::Input;
use crate::shape::likeness::metrics::{
    Lost, apart, at_most, band, ceiling, pair, supported, widened, with_floor, with_lost,
};
use crate::shape::metrics::Evaluated;
use crate::shape::profile::Profile;
use crate::stats::counts::as_f64;
use crate::stats::distances::cramers_v;
use crate::stats::tails::{ranked, tail};

/// Fewest requests of a route whose sizes are compared.
const SIZED_REQUESTS: u64 = 100;

/// Sessions with bodies that are larger than all of another sample of the same law: there are as
/// many by a chance of one of a thousand.
const LARGER: f64 = 10.0;

pub(super) fn all(input: &Input) -> Vec<Judged> {
    let (limits, both) = (input.tolerances, pair(input));
    let [first, second] = [input.reference.profile, input.other.profile];
    let strength = cramers_v(&first.shape.mix, &second.shape.mix);
    let strength = strength.ok_or_else(|| "there is nothing to compare".to_owned());
    let mut metrics = vec![
        mix(input),
        other("mix JSD", "bits", both.divergence(), Gate::Report),
        other("mix Cramér's V", "", strength, Gate::Report),
    ];
    let gate = |floor: f64| Gate::Band(band(limits.size, floor));
    let sizes = [&first.shape.request_bytes, &second.shape.request_bytes];
    for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        let (value, floor) = size_ratio(input, sizes, q);
        let value = supported(value, floor, ceiling::RATIO);
        let name = format!("request body ratio {name}");
        metrics.push(with_floor(other(&name, "", value, gate(floor)), floor));
    }
    // The largest of a sample is a matter of luck; that of a replay is not.
    let exact = if input.pairing.is_some() { gate(0.0) } else { Gate::Report };
    let most = size_ratio(input, sizes, 1.0).0;
    metrics.push(other("request body ratio max", "", most, exact));
    metrics.push(larger(input));
    metrics.push(other("request body ratio by route", "", by_route(input), Gate::Report));
    // Each request that was lost has had bytes, as many as the others for all that is known.
    let lost = Lost::of(input).both;
    let exact = match exact {
        Gate::Band([low, high]) => Gate::Band([low - lost, high + lost]),
        report => report,
    };
    metrics.push(with_lost(other("request bytes ratio", "", bytes(input, 0), exact), lost));
    metrics.push(tails("request tail index difference", sizes));
    let answers = [&first.response_bytes, &second.response_bytes];
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        let value = size_ratio(input, answers, q).0;
        metrics.push(other(&format!("response body ratio {name}"), "", value, Gate::Report));
    }
    metrics.push(other("response bytes ratio", "", bytes(input, 1), Gate::Report));
    metrics.push(tails("response tail index difference", answers));
    metrics
}

/// How far the mixes are apart. Where too few sessions are known, nobody knows how alike requests
/// of one session are, and so what chance does to the mix at most; what it does at least is known,
/// and a mix that is as near as that is near.
fn mix(input: &Input) -> Judged {
    let (limits, floors, lost) = (input.tolerances, &input.floors, Lost::of(input).both);
    let [first, second] = [input.reference, input.other].map(|side| side.profile);
    if first.shape.mix.is_empty() || second.shape.mix.is_empty() {
        let reason = "the mix of one of them is not known".to_owned();
        return other("mix TVD", "%", Err(reason), at_most(limits.mix, 0.0));
    }
    let is_told = floors.mix.is_finite();
    let both = 1.0 / as_f64(first.shape.total) + 1.0 / as_f64(second.shape.total);
    let floor = if is_told { floors.mix } else { closed_mix(first, both) };
    let most = widened(limits.mix, floor) + lost;
    let value = supported(pair(input).mix(), floor + lost / FACTOR, ceiling::SHARE);
    let value = value.and_then(|value| {
        if is_told || value <= most {
            return Ok(value);
        }
        Err("too few sessions are known to tell how far two samples of one mix are apart".into())
    });
    with_lost(with_floor(other("mix TVD", "%", value, Gate::AtMost(most)), floor), lost)
}

/// The ratio of all bytes of requests, or of responses.
fn bytes(input: &Input, which: usize) -> Evaluated {
    let [before, after] = [input.reference, input.other].map(|side| side.profile.bytes[which]);
    if before > 0 {
        Ok(as_f64(after) / as_f64(before))
    } else if after > 0 {
        Err("there are none to compare with".into())
    } else {
        Ok(1.0)
    }
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

/// How many sessions of one load have bodies that are larger than every one of the other: what
/// quantiles are too coarse for. In a replay, the largest body tells.
///
/// Of two samples of n and m, the k largest are all of the second by a chance of `(m/(n+m))^k`,
/// which is one of a thousand at ten for samples of one size; others are weighed to be as likely.
/// Bodies of one session are alike, and count once.
fn larger(input: &Input) -> Judged {
    let [first, second] = [input.reference.profile, input.other.profile];
    let beyond = |profile: &Profile, others: &Profile| {
        let most = others.largest.first().map_or(0, |largest| largest.bytes);
        let larger = profile.largest.iter().take_while(|largest| largest.bytes > most);
        let mut sessions: Vec<u64> = larger.map(|largest| largest.session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        as_f64(sessions.len() as u64)
    };
    let [n, m] = [first, second].map(|profile| as_f64(profile.shape.request_bytes.len()));
    let value = if n > 0.0 && m > 0.0 {
        let weight = |own: f64, others: f64| ((own + others) / own).log2();
        Ok((beyond(second, first) * weight(m, n)).max(beyond(first, second) * weight(n, m)))
    } else {
        Err("there are none to compare".to_owned())
    };
    let gate = if input.pairing.is_some() { Gate::Report } else { Gate::AtMost(LARGER) };
    other("sessions above the largest body", "", value, gate)
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

/// How heavy the tails of both are: the index of the power law that is nearest to each.
fn tails(name: &str, sizes: [&Histogram<u64>; 2]) -> Judged {
    let indices = sizes.map(|sizes| tail(&ranked(sizes)).map(|tail| tail.index));
    let reason = "fewer than 50 bodies with a byte, or all of one size, in one of them";
    apart(name, "", indices, reason, |value| format!("{value:.2}"))
}
