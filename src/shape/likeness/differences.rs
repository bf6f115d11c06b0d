//! What is different, in words: what the other load did wrong, with the numbers that show it; and
//! what limits the verdict.

use std::time::Duration;

use crate::shape::contents::series::plateau;
use crate::shape::floor::{FACTOR, Floors, dispersion};
use crate::shape::judged::{Judged, Kind};
use crate::shape::likeness::{Input, Side};
use crate::shape::metrics::scale_of_ms;
use crate::shape::profile::Profile;
use crate::shape::{MetricOutcome, Shape};
use crate::stats::counts::{as_f64, as_index, coarsen};
use crate::stats::dispersion::successive_dispersion;
use crate::stats::steady::quantile_of;
use crate::units::{format_count, format_counted, format_duration, format_share};

/// A length that differs by more than this share is told.
const LENGTH: f64 = 0.02;

/// A silence is told that is so many times as long as the reference's longest.
const SILENCE: f64 = 3.0;

/// And at least this long, in nanoseconds.
const SILENCE_NS: u64 = 100_000_000;

/// Routes that are told where the mix differs.
const ROUTES: usize = 3;

/// What is different, the most telling first; empty where no metric failed.
pub(super) fn told(input: &Input, judged: &[Judged]) -> Vec<String> {
    let failed = |start: &str| {
        judged.iter().any(|each| {
            each.metric.outcome == MetricOutcome::Fail && each.metric.name.starts_with(start)
        })
    };
    let [first, second] = [input.reference.profile, input.other.profile];
    let mut told = Vec::new();
    if failed("completeness") {
        told.push(amount(first, second));
    }
    let is_off = failed("WAPE") || failed("max cumulative") || failed("lateness");
    let pace = pace(first, second).filter(|_| is_off || failed("completeness"));
    let is_of_one_pace = pace.is_none();
    if is_off {
        told.extend(length(first, second));
    }
    told.extend(pace);
    if failed("lateness") {
        told.extend(late(input));
    }
    if is_off || failed("IDC") || failed("gaps") || failed("peak") {
        told.extend(flat(first, second));
        told.extend(silence(first, second));
    }
    if is_of_one_pace && (is_off || failed("IDC") || failed("gaps") || failed("peak")) {
        let scales: Vec<u64> = judged.iter().filter_map(failed_scale).collect();
        told.extend(bursts(first, second, &scales, failed("gaps") && !is_off));
    }
    if failed("mix") {
        told.extend(routes(&first.shape, &second.shape));
    }
    if failed("request body") {
        let bytes = [first, second].map(|profile| profile.bytes[0]);
        told.push(format!(
            "the bodies of requests have other sizes: {} bytes in all, {} in the reference",
            format_count(bytes[1]),
            format_count(bytes[0])
        ));
    }
    if failed("connection opens") {
        told.push(connections(first, second));
    }
    if failed("miss-ratio") {
        let [before, after] = [first, second].map(distinct);
        let before = format_count(before);
        let after = match after {
            1 => "one resource is".to_owned(),
            after => format!("some {} resources are", format_count(after)),
        };
        told.push(format!(
            "caches will miss other shares: {after} asked for, some {before} in the reference"
        ));
    }
    if told.is_empty() {
        let metrics = judged.iter().map(|each| &each.metric);
        let metrics = metrics.filter(|metric| metric.outcome == MetricOutcome::Fail);
        told.extend(metrics.map(crate::shape::gate::described));
    }
    told
}

fn amount(first: &Profile, second: &Profile) -> String {
    let [before, after] = [first, second].map(|profile| profile.shape.total);
    let share = format_share(as_f64(before.abs_diff(after)) / as_f64(before));
    let difference = format_counted(before.abs_diff(after), "request", "requests");
    if after < before {
        format!("{difference} of {} are missing ({share})", format_count(before))
    } else {
        format!("{difference} more than the {} of the reference ({share})", format_count(before))
    }
}

fn length(first: &Profile, second: &Profile) -> Option<String> {
    let [before, after] = [first, second].map(|profile| profile.length.as_secs_f64());
    let ratio = after / before;
    ((ratio - 1.0).abs() > LENGTH).then(|| {
        format!(
            "it took {ratio:.2} × the time: {} from the first request to the last, {} in the \
             reference",
            format_duration(rounded(second.length)),
            format_duration(rounded(first.length))
        )
    })
}

/// Mean rates that differ by more than this factor are told, and bursts are not: there are none
/// that could be compared.
const PACE: f64 = 2.0;

fn pace(first: &Profile, second: &Profile) -> Option<String> {
    let [before, after] = [first, second].map(Profile::rate);
    // A few an hour are no requests a second.
    let (unit, seconds) =
        if before.max(after) < 10.0 { ("an hour", 3_600.0) } else { ("a second", 1.0) };
    let shown = |rate: f64| format_count(as_index((rate * seconds).round()) as u64);
    let is_another = after > before * PACE || before > after * PACE;
    is_another.then(|| {
        format!(
            "it sent {} requests {unit} in the mean, {} in the reference",
            shown(after),
            shown(before)
        )
    })
}

/// The rate does not follow the reference's ups and downs.
fn flat(first: &Profile, second: &Profile) -> Option<String> {
    let swing = |profile: &Profile| -> Option<f64> {
        // The last window is not whole.
        let mut counts = coarsen(&profile.shape.counts, 1_000);
        counts.pop();
        let counts: Vec<f64> = counts.into_iter().map(as_f64).collect();
        let middle = quantile_of(&counts, 0.5)?;
        let [low, high] = [quantile_of(&counts, 0.05)?, quantile_of(&counts, 0.95)?];
        (counts.len() >= 3 && middle > 0.0).then(|| (high - low) / middle)
    };
    let (before, after) = (swing(first)?, swing(second)?);
    (before > 0.1 && after < before / 3.0).then(|| {
        format!(
            "the rate is flat: between ten seconds and others it varies by {}, by {} in the \
             reference",
            format_share(after),
            format_share(before)
        )
    })
}

fn late(input: &Input) -> Option<String> {
    let lateness = &input.pairing?.lateness;
    let at = |q: f64| format_duration(Duration::from_nanos(lateness.value_at_quantile(q)));
    Some(format!(
        "requests came at other moments than theirs: one of ten by {} or more, one of a hundred by \
         {} or more",
        at(0.9),
        at(0.99)
    ))
}

fn silence(first: &Profile, second: &Profile) -> Option<String> {
    let [before, after] = [first, second].map(|profile| profile.gaps.max());
    let is_long = after >= SILENCE_NS && as_f64(after) > as_f64(before) * SILENCE;
    is_long.then(|| {
        let [before, after] = [before, after].map(|ns| rounded(Duration::from_nanos(ns)));
        format!(
            "it stood still: nothing was sent for up to {}, for {} in the reference",
            format_duration(after),
            format_duration(before)
        )
    })
}

/// The time-scale of a burst metric that failed, in milliseconds.
fn failed_scale(judged: &Judged) -> Option<u64> {
    match judged.kind {
        Kind::Burst(ms) if judged.metric.outcome == MetricOutcome::Fail => Some(ms),
        _ => None,
    }
}

/// What became of bursts, at those scales that failed.
fn bursts(first: &Profile, second: &Profile, scales: &[u64], by_gaps: bool) -> Option<String> {
    // The scale at which they are farthest apart.
    let apart = scales
        .iter()
        .filter_map(|&ms| {
            let (before, after) = (dispersion_at(first, ms)?, dispersion_at(second, ms)?);
            Some((before.max(0.01), after.max(0.01), ms))
        })
        .max_by(|a, b| (a.1 / a.0).ln().abs().total_cmp(&(b.1 / b.0).ln().abs()));
    if let Some((before, after, ms)) = apart {
        let figures = format!(
            "the dispersion of counts in {} is {after:.2}, {before:.2} in the reference",
            scale_of_ms(ms)
        );
        return Some(match after / before {
            _ if after < 0.5 && before > 0.5 => {
                format!("requests are evenly spaced, and bursts are gone: {figures}")
            }
            // The reference has no bursts either, at this scale.
            ratio if ratio < 1.0 && after < 0.5 => {
                format!("requests are more evenly spaced: {figures}")
            }
            ratio if ratio < 1.0 && after < 1.4 => {
                format!("requests come at random, and bursts are gone: {figures}")
            }
            ratio if ratio < 1.0 => format!("bursts are flattened: {figures}"),
            _ => format!("requests come in bunches that the reference has not: {figures}"),
        });
    }
    by_gaps.then(|| {
        let [before, after] = [first, second].map(|profile| {
            format_duration(Duration::from_nanos(profile.gaps.value_at_quantile(0.5)))
        });
        format!(
            "the gaps between requests are other ones although counts in windows fit (half of them \
             are below {after}, below {before} in the reference): requests come a little early or \
             late, at the steps of a coarse timer, or evenly inside of bursts"
        )
    })
}

/// The dispersion that the burst metric of a scale has.
fn dispersion_at(profile: &Profile, ms: u64) -> Option<f64> {
    let windows = |of_ms: u64| usize::try_from(ms / of_ms).unwrap_or(usize::MAX);
    if ms < 60_000 {
        dispersion(&profile.shape.counts, windows(10))
    } else {
        successive_dispersion(&profile.minutes.counts(windows(60_000)))
    }
}

fn routes(first: &Shape, second: &Shape) -> Vec<String> {
    let share = |shape: &Shape, route: &str| {
        as_f64(shape.mix.get(route).copied().unwrap_or(0)) / as_f64(shape.total)
    };
    let mut routes: Vec<(&str, f64, f64)> = first
        .mix
        .keys()
        .chain(second.mix.keys().filter(|&route| !first.mix.contains_key(route)))
        .map(|route| (&**route, share(first, route), share(second, route)))
        .collect();
    routes.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()).then(a.0.cmp(b.0)));
    routes
        .into_iter()
        .take(ROUTES)
        .map(|(route, before, after)| {
            format!(
                "{route} is {} of the requests, {} in the reference",
                format_share(after),
                format_share(before)
            )
        })
        .collect()
}

fn connections(first: &Profile, second: &Profile) -> String {
    let [before, after] = [first, second].map(|profile| profile.reuse.len());
    let mean = |profile: &Profile| as_f64(profile.shape.total) / as_f64(profile.reuse.len().max(1));
    format!(
        "connections are opened differently: {} with {:.1} requests each, {} with {:.1} in the \
         reference",
        format_count(after),
        mean(second),
        format_count(before),
        mean(first)
    )
}

fn distinct(profile: &Profile) -> u64 {
    let all = as_f64(profile.keys.distinct(|_| true)) / profile.keys.rate();
    as_index(all.round()) as u64
}

/// A tolerance of the amount that is told: so much may be missing in a load that passes.
const TOLD_AMOUNT: f64 = 0.02;

/// What limits the verdict, in sentences.
pub(super) fn limits(input: &Input, shift_ns: i64) -> Vec<String> {
    let mut limits = Vec::new();
    limits.extend(of_side("reference", &input.reference, true));
    limits.extend(of_side("second recording", &input.other, false));
    if input.pairing.is_none() {
        let allowed = if input.floors == Floors::of_pairs() {
            "the curves agree more than those of two samples of one load would, so that no chance \
             is allowed for"
        } else {
            "a difference below twice the noise floor, which two samples of one load have by \
             chance, is tolerated"
        };
        let why = &input.unpaired;
        limits.push(format!(
            "requests were not set against each other one by one ({why}): {allowed}"
        ));
        let amount = input.floors.total * FACTOR;
        if amount > TOLD_AMOUNT {
            limits.push(format!(
                "so few clients differ in number by chance: up to {} more or fewer requests are \
                 not told from none",
                format_share(amount)
            ));
        }
    }
    if shift_ns.unsigned_abs() >= 10_000_000 {
        let by = format_duration(rounded(Duration::from_nanos(shift_ns.unsigned_abs())));
        let way = if shift_ns > 0 { "later" } else { "earlier" };
        limits.push(format!(
            "from the first request on, the second recording is {by} {way}; that was taken out"
        ));
    }
    limits
}

fn of_side(name: &str, side: &Side, is_reference: bool) -> Vec<String> {
    let mut limits = Vec::new();
    let ceiling = plateau(&coarsen(&side.profile.shape.counts, 100));
    if let Some(ceiling) = ceiling.filter(|_| is_reference) {
        limits.push(format!(
            "the {name} sits at {} a second for {} seconds: whoever made or served that load could \
             do no more, so that it shows what was possible and not what was asked for",
            format_counted(ceiling.per_second, "request", "requests"),
            format_count(ceiling.seconds)
        ));
    }
    if side.lost > 0.0 {
        limits.push(format!(
            "{} of what was to be the {name} could not be used",
            format_share(side.lost)
        ));
    }
    for (requests, what) in [
        (
            side.profile.coarse(),
            "six hours are told by minutes only: nothing finer is said of them",
        ),
        (side.profile.beyond, "sixty days were left out"),
    ] {
        if requests > 0 {
            let requests = format_counted(requests, "request", "requests");
            limits.push(format!("of the {name}, {requests} after the first {what}"));
        }
    }
    let beyond = side.profile.mix.beyond();
    if beyond > 0 {
        limits.push(format!(
            "of the {name}, {} of the requests are for routes beyond those that are told apart, \
             and count as one",
            format_share(as_f64(beyond) / as_f64(side.profile.shape.total))
        ));
    }
    let rate = side.profile.keys.rate();
    if rate < 1.0 {
        limits.push(format!(
            "of the {name}, {} of the keys were followed one by one",
            format_share(rate)
        ));
    }
    limits
}

/// To three digits or so: nobody reads nanoseconds of a minute.
fn rounded(length: Duration) -> Duration {
    let step = match length.as_millis() {
        0..100 => 10_000,
        100..10_000 => 1_000_000,
        _ => 100_000_000,
    };
    let ns = crate::stats::histograms::nanoseconds(length);
    Duration::from_nanos(ns.saturating_add(step / 2) / step * step)
}
