//! What clients do: their connections, how many of them wait, and whether they wait for answers.

use hdrhistogram::Histogram;

use crate::shape::gate::Gate;
use crate::shape::judged::{Judged, counts, other};
use crate::shape::likeness::Input;
use crate::shape::likeness::metrics::{apart, ceiling, pair, supported, widened, with_floor};
use crate::shape::metrics::Evaluated;
use crate::stats::counts::as_f64;
use crate::units::format_share;

pub(super) fn all(input: &Input) -> Vec<Judged> {
    let mut metrics = connections(input);
    metrics.push(resumption(input));
    metrics.extend(concurrency(input));
    metrics.push(dependency(input));
    metrics
}

fn connections(input: &Input) -> Vec<Judged> {
    let (limits, floors) = (input.tolerances, &input.floors);
    let [first, second] = [input.reference.profile, input.other.profile];
    let limit = widened(limits.opens, floors.opens);
    let opens = are_followed(input).and_then(|()| pair(input).opens_wape(limit));
    let opens = supported(opens, floors.opens, ceiling::COARSE);
    let ratio = |histograms: [&Histogram<u64>; 2], q: f64| -> Evaluated {
        are_followed(input)?;
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
    metrics
}

/// The connections of both are known, and all of them were followed.
pub(super) fn are_followed(input: &Input) -> Result<(), String> {
    for (name, side) in [("first", &input.reference), ("second", &input.other)] {
        if side.profile.shape.opens.is_empty() {
            return Err("connections are not in both".to_owned());
        }
        if !side.knows_connections {
            return Err(format!(
                "what the {name} was made from does not say which requests shared a connection"
            ));
        }
        if side.profile.not_followed > 0 {
            return Err("too many connections to follow all".to_owned());
        }
    }
    Ok(())
}

/// By how much more of the connections resumed a session of TLS, of those whose handshake was seen.
fn resumption(input: &Input) -> Judged {
    let share = |[full, resumed]: [u64; 2]| {
        (full + resumed > 0).then(|| as_f64(resumed) / as_f64(full + resumed))
    };
    let shares = [input.reference.handshakes, input.other.handshakes].map(share);
    let reason = "no handshake of TLS was seen in both";
    apart("TLS resumption difference", "%", shares, reason, format_share)
}

fn concurrency(input: &Input) -> [Judged; 2] {
    let [first, second] = [input.reference.profile, input.other.profile];
    let mean = match (first.mean_in_flight(), second.mean_in_flight()) {
        (Some(before), Some(after)) if before > 0.0 => Ok(after / before),
        _ => Err("the ends of answers are not known in both".to_owned()),
    };
    let peak = match (first.most_in_flight, second.most_in_flight) {
        (0, _) | (_, 0) => Err("the ends of answers are not known in both".to_owned()),
        (before, after) => Ok(as_f64(after) / as_f64(before)),
    };
    // How many wait at once is an outcome of the target's speed, and no shape of the load.
    [
        other("concurrency ratio mean", "", mean, Gate::Report),
        other("concurrency ratio peak", "", peak, Gate::Report),
    ]
}

/// By how much more of the requests came after the answer to the one before them in their session.
/// It is an outcome, too: a slow target makes an open load overlap.
fn dependency(input: &Input) -> Judged {
    let shares = [input.reference.profile, input.other.profile].map(|profile| {
        let [after, all] = profile.dependent;
        (all > 0).then(|| as_f64(after) / as_f64(all))
    });
    let reason = "no session has a request after an answer whose end is known in both";
    apart("dependency difference", "%", shares, reason, format_share)
}
