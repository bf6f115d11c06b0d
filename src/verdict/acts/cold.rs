//! Judges the act `cold`: what a cold start was forecast to do, and what it did.

use std::time::Duration;

use crate::act::cold::compare::{Comparison, Produced};
use crate::act::cold::forecast::Forecast;
use crate::act::cold::warming::{Ratio, Warming, warming};
use crate::act::cold::{Bounds, Cold};
use crate::shape::Fault;
use crate::stats::changes::Course;
use crate::stats::counts::as_f64;
use crate::units::{format_count, format_duration, format_share};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name of what the cold run showed.
pub const CHECK: &str = "cold-start";

/// Stable name of what the recorded keys forecast.
pub const FORECAST: &str = "cold-forecast";

/// A stack is stuck when its warm run is this many times slower than the end of its cold one ...
pub const STUCK: f64 = 1.5;

/// ... and by this time.
pub const STUCK_BY: Duration = Duration::from_millis(5);

/// The findings of the act.
pub fn judge(evidence: &Cold) -> Vec<Finding> {
    let mut findings = vec![start(evidence)];
    findings.push(forecast(evidence));
    findings
}

fn start(evidence: &Cold) -> Finding {
    let unknown = |title: String| {
        let mut unknown = finding(CHECK, Outcome::Unknown, title);
        unknown.evidence.clone_from(&evidence.notes);
        unknown
    };
    if let Some(reason) = &evidence.untried {
        return unknown(format!("no cold start was rehearsed: {reason}"));
    }
    let Some(comparison) = &evidence.comparison else {
        return unknown("no cold start was rehearsed".to_owned());
    };
    if let Some(reason) = not_produced(comparison) {
        return unknown(reason);
    }
    let found = match warming(comparison) {
        Ok(found) => found,
        Err(reason) => return unknown(format!("cold and warm cannot be compared: {reason}")),
    };
    let mut judged = judged(comparison, &found, evidence);
    judged.evidence.extend(told(comparison, &found));
    judged.evidence.extend(evidence.notes.iter().cloned());
    judged
}

/// A replay that this machine spoiled, or that has too little in it, supports nothing.
fn not_produced(comparison: &Comparison) -> Option<String> {
    let spoiled = |produced: &Produced| {
        matches!(produced.fault, Some(Fault::Generator | Fault::Recording | Fault::Interruption))
    };
    [("cold", &comparison.cold_shape), ("warm", &comparison.warm_shape)]
        .into_iter()
        .find(|(_, produced)| spoiled(produced))
        .map(|(name, produced)| {
            format!("the {name} replay did not have the recorded shape: {}", produced.statement)
        })
}

fn judged(comparison: &Comparison, found: &Warming, evidence: &Cold) -> Finding {
    let Bounds { warmup_ns, budget, slo_ns } = evidence.bounds;
    let limit = Duration::from_nanos(warmup_ns);
    let length = Duration::from_nanos(comparison.bin_ns)
        .saturating_mul(u32::try_from(comparison.bins.len()).unwrap_or(u32::MAX));
    if let Some(stuck) = stuck(found) {
        return stuck;
    }
    let fail = |title: String, advice: &str| {
        let mut fail = finding(CHECK, Outcome::Fail, title);
        fail.advice = advice.into();
        fail
    };
    let violated = as_f64(found.violations[0].saturating_sub(found.violations[1]));
    let share = violated / as_f64(found.requests.max(1));
    if let Some(slo) = slo_ns.filter(|_| share > budget) {
        let title = format!(
            "a cold start makes {} of the requests slower than {} or fail, where {} may be",
            format_share(share),
            format_duration(Duration::from_nanos(slo)),
            format_share(budget)
        );
        return fail(title, WARM_UP);
    }
    let capacity = evidence.forecast.as_ref().and_then(|forecast| forecast.capacity);
    if let Some((peak, capacity)) = found.peak_reads.map(|[cold, _]| cold).zip(capacity)
        && peak > capacity
    {
        let title = format!(
            "a cold start asks the origin for {peak:.0} reads/s, above the {capacity:.0} reads/s \
             that it stands"
        );
        return fail(title, RAMP);
    }
    let steady = found.p50.steady.zip(found.p95.steady).zip(found.errors_steady);
    let Some(after) = steady.map(|((p50, p95), errors)| p50.max(p95).max(errors)) else {
        let title = format!(
            "no steady state within the {} of the cold replay: its end is still slower than the \
             warm one",
            format_duration(length)
        );
        if length >= limit {
            return fail(title, WARM_UP);
        }
        let mut unknown = finding(CHECK, Outcome::Unknown, title);
        let allowed = format_duration(limit);
        unknown.advice = format!("Replay a window longer than {allowed}, the limit `warmup`.");
        return unknown;
    };
    if after > limit {
        let title = format!(
            "a cold start takes {} to become as fast as a warm one, where {} are allowed",
            format_duration(after),
            format_duration(limit)
        );
        return fail(title, WARM_UP);
    }
    if let Some(reason) = perhaps_stuck(comparison, found) {
        return finding(CHECK, Outcome::Unknown, reason);
    }
    let title = if after.is_zero() {
        "cold and warm caches are equally fast".to_owned()
    } else {
        format!("a cold start is as fast as a warm one after {}", format_duration(after))
    };
    finding(CHECK, Outcome::Pass, title)
}

const WARM_UP: &str = "Warm the caches before users come, or admit users more slowly; check that \
                       what stands behind the caches has room for the misses of the first minutes.";

const RAMP: &str = "Admit users by the ramp in the folder of the run, warm the caches before, or \
                    let one request of a key read it for all others.";

/// The warm run is slower than the cold one was at its end: what the cold start did goes on by
/// itself.
fn stuck(found: &Warming) -> Option<Finding> {
    let [cold, warm] = found.late_p50;
    if warm < STUCK * cold || warm - cold < STUCK_BY.as_secs_f64() {
        return None;
    }
    let time = |seconds: f64| {
        format_duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO))
    };
    let title = format!(
        "METASTABLE: after the cold start the stack stays slow: {} at the median on warm caches, \
         {} before",
        time(warm),
        time(cold)
    );
    let mut stuck = finding(CHECK, Outcome::Fail, title);
    stuck.advice = "Look for work that feeds itself: retries, queues that grow, pools that \
                    reconnect. Shed load, bound retries, and rehearse the recovery."
        .into();
    Some(stuck)
}

/// Cold and warm are alike, but perhaps only because neither has recovered: that the load cannot
/// tell from a stack that is slower than production.
fn perhaps_stuck(comparison: &Comparison, found: &Warming) -> Option<String> {
    let warm = found.late_p50[1];
    let slower = |ns: Option<u64>| {
        let than = ns.map(|ns| Duration::from_nanos(ns).as_secs_f64());
        than.is_some_and(|than| warm > STUCK * than && warm - than > STUCK_BY.as_secs_f64())
    };
    let slow = slower(comparison.trickle_p50_ns) && slower(comparison.recorded_p50_ns);
    (slow || found.warm_errors > MANY_ERRORS).then(|| {
        "cold and warm are alike, but both are slow or fail: whether the stack recovered from the \
         cold start is not known"
            .to_owned()
    })
}

/// A share of errors with which no stack has recovered.
const MANY_ERRORS: f64 = 0.1;

/// The figures, a sentence each.
fn told(comparison: &Comparison, found: &Warming) -> Vec<String> {
    let mut lines = vec![of("the median", &found.p50), of("p95", &found.p95)];
    for (name, ratio) in [("median", &found.p50), ("p95", &found.p95)] {
        if let Some((rule, fit)) = ratio.sustained.zip(ratio.fitted).filter(|_| ratio.is_disputed())
        {
            lines.push(format!(
                "for the {name} two rules disagree by more than 25 %: medians are steady after {}, \
                 the exponential fit after {}; trust neither to the second",
                format_duration(rule),
                format_duration(fit)
            ));
        }
    }
    if found.excess_seconds > 0.0 {
        lines.push(format!(
            "users waited {:.1} s longer in all than on warm caches",
            found.excess_seconds
        ));
    }
    let [cold, warm] = found.violations;
    if cold + warm > 0 {
        lines.push(format!(
            "{} requests were too slow or failed when cold, {} when warm, of {}",
            format_count(cold),
            format_count(warm),
            format_count(found.requests)
        ));
    }
    if let Some(([cold, warm], amplification)) = found.peak_reads.zip(found.amplification) {
        lines.push(format!(
            "the origin served at most {cold:.0} reads/s when cold and {warm:.0} reads/s when \
             warm: {amplification:.1} times as many in one bin"
        ));
    }
    if let Some([cold, warm]) = comparison.origin_reads {
        lines.push(format!(
            "{:.0} reads of the origin more than on warm caches ({cold:.0} against {warm:.0})",
            cold - warm
        ));
    }
    lines
}

/// A quantity's course in a sentence.
fn of(name: &str, ratio: &Ratio) -> String {
    if ratio.course == Course::Flat {
        return format!("{name}: flat, {:.2} times the warm one at the end", ratio.late);
    }
    let after = |time: Option<Duration>| time.map_or("–".to_owned(), format_duration);
    format!(
        "{name}: {}, at most {:.1} times the warm one, {:.2} times at the end; steady after {} by \
         medians within {}, {} by an exponential fit, {} by MSER-5",
        ratio.course.name(),
        ratio.worst,
        ratio.late,
        after(ratio.sustained),
        format_share(ratio.within),
        after(ratio.fitted),
        after(ratio.mser)
    )
}

fn forecast(evidence: &Cold) -> Finding {
    let Some(foreseen) = evidence.forecast.as_ref().filter(|forecast| forecast.reads > 0) else {
        return finding(FORECAST, Outcome::Unknown, "there are no reads to forecast misses of");
    };
    let peaks = format!(
        "{:.0} reads/s of the origin at most, {:.0} reads/s when warm",
        foreseen.peak_cold, foreseen.peak_warm
    );
    let mut judged = match foreseen.capacity {
        None => {
            let title = format!(
                "a cold start is forecast to need {peaks}; what the origin stands is not known"
            );
            let mut unknown = finding(FORECAST, Outcome::Unknown, title);
            unknown.advice = "Set `origin_capacity` of the act `cold`, such as 500/s.".into();
            unknown
        }
        Some(capacity) if foreseen.is_too_much() => {
            let title = format!(
                "a cold start is forecast to overload the origin: {peaks}; it stands {capacity:.0}"
            );
            let mut fail = finding(FORECAST, Outcome::Fail, title);
            fail.advice = RAMP.into();
            fail
        }
        Some(capacity) => {
            let title =
                format!("a cold start is forecast to need {peaks}; it stands {capacity:.0}");
            finding(FORECAST, Outcome::Pass, title)
        }
    };
    judged.evidence = foreseen_lines(foreseen, evidence.ramp_file.as_deref());
    judged
}

fn foreseen_lines(foreseen: &Forecast, ramp_file: Option<&str>) -> Vec<String> {
    let cache = foreseen.cache_keys.map_or("an unbounded cache".to_owned(), |keys| {
        format!("an LRU cache of {} keys", format_count(keys))
    });
    let mut lines = vec![format!(
        "{} reads of {} keys through {cache}: {:.0} reads of the origin when cold, {:.0} when warm, \
         up to {:.1} times as many in one bin",
        format_count(foreseen.reads),
        format_count(foreseen.keys),
        foreseen.cold_reads,
        foreseen.warm_reads,
        foreseen.peak_amplification
    )];
    if foreseen.seconds_above > 0.0 {
        lines.push(format!("above what the origin stands for {:.0} s", foreseen.seconds_above));
    }
    if foreseen.stampede_keys > 0 {
        let routes: Vec<&str> =
            foreseen.stampede_routes.iter().map(|(route, _)| route.as_str()).collect();
        lines.push(format!(
            "{} keys are asked for again while they are still read ({}): without a lock each such \
             request reads the origin, too; a miss is taken to last {:.0} ms",
            format_count(foreseen.stampede_keys),
            routes.join(", "),
            foreseen.miss_seconds * 1e3
        ));
    }
    if let Some((file, after)) = ramp_file.zip(foreseen.full_after()) {
        lines.push(format!(
            "{file} admits users so that it stands it: everybody after {}",
            format_duration(after)
        ));
    }
    if foreseen.beyond > 0 {
        let beyond = format_count(foreseen.beyond);
        lines.push(format!("{beyond} further reads were not looked at"));
    }
    lines
}

#[cfg(test)]
mod tests;
