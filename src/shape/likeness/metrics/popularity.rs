//! Which resources are asked for how often, and what caches would make of it.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use crate::shape::gate::Gate;
use crate::shape::judged::{Judged, other};
use crate::shape::likeness::Input;
use crate::shape::likeness::curve::Curve;
use crate::shape::likeness::metrics::{apart, at_most, ceiling, supported, with_floor};
use crate::shape::metrics::Evaluated;
use crate::stats::counts::as_f64;
use crate::stats::zipf;

/// Resources of which the most popular ones are compared.
const TOP: usize = 100;

/// Fewest resources that have a popularity.
const LEAST_RESOURCES: usize = 20;

pub(super) fn all(input: &Input) -> Vec<Judged> {
    let [first, second] = [&input.reference.profile.keys, &input.other.profile.keys];
    // Both of the same keys, or one would have the error of a sample and the other none.
    let threshold = first.threshold().min(second.threshold());
    let popular = [first, second].map(|keys| keys.popular(threshold));
    let mut metrics = vec![exponent(&popular), overlap(&popular)];
    let curves = [first, second].map(|keys| Curve::of(keys, threshold));
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
    metrics.extend([
        with_floor(other("miss-ratio curve MAE", "", mean, gate), floor),
        other("miss-ratio curve max distance", "", most, Gate::Report),
    ]);
    metrics
}

/// Reads by resource, the most popular first.
type Popular = Vec<(u64, u64)>;

/// How unevenly resources are asked for. A sample of the keys has the exponent of all of them.
fn exponent(popular: &[Popular; 2]) -> Judged {
    let exponents = popular.each_ref().map(|keys| {
        let reads: Vec<u64> = keys.iter().map(|(_, reads)| *reads).collect();
        if reads.len() < LEAST_RESOURCES { None } else { zipf::exponent(&reads) }
    });
    let reason = format!("fewer than {LEAST_RESOURCES} resources are read in one of them");
    apart("Zipf exponent difference", "", exponents, &reason, |value| format!("{value:.3}"))
}

/// The share of the reference's most popular resources that are popular in the other one, too:
/// asked for at least as often as the last one of as many there.
fn overlap(popular: &[Popular; 2]) -> Judged {
    let [first, second] = popular;
    let top = TOP.min(first.len()).min(second.len());
    let share = || -> Evaluated {
        if top < LEAST_RESOURCES {
            return Err(format!("fewer than {LEAST_RESOURCES} resources are read in one of them"));
        }
        let least = second.get(top - 1).map_or(0, |(_, reads)| *reads);
        let theirs: HashSet<u64, FixedState> =
            second.iter().take_while(|(_, reads)| *reads >= least).map(|(key, _)| *key).collect();
        let both = first.iter().take(top).filter(|(key, _)| theirs.contains(key)).count();
        Ok(as_f64(both as u64) / as_f64(top as u64))
    };
    let mut judged = other("top-100 overlap", "%", share(), Gate::Report);
    if judged.metric.value.is_some() && top < TOP {
        judged.metric.note = format!("there are {top} resources");
    }
    judged
}
