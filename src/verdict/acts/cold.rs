//! Judges the act `cold`: what a cold start was forecast to do, and what it did.

mod told;

use std::time::Duration;

use crate::act::cold::compare::{Comparison, Produced};
use crate::act::cold::warming::{Ratio, Warming, warming};
use crate::act::cold::{Bounds, Cold};
use crate::drive::clock::nanoseconds;
use crate::shape::Fault;
use crate::stats::counts::as_f64;
use crate::units::{format_duration, format_share};
use crate::verdict::acts::cold::told::{foreseen_lines, told};
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

/// Whether a cold start is as fast as a warm one after a time at the latest: what is said of it,
/// were that all that the scenario asks of it.
pub fn warm_within(evidence: &Cold, limit: Duration) -> Finding {
    let bounds = Bounds { warmup_ns: nanoseconds(limit), slo_ns: None, ..evidence.bounds };
    start(&Cold { bounds, forecast: None, ..evidence.clone() })
}

/// Whether that, and nothing else, is what the scenario asks of a cold start.
pub fn asks_only(evidence: &Cold, limit: Duration) -> bool {
    let Bounds { warmup_ns, slo_ns, .. } = evidence.bounds;
    let stands = evidence.forecast.as_ref().and_then(|forecast| forecast.capacity);
    warmup_ns == nanoseconds(limit) && slo_ns.is_none() && stands.is_none()
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
    if let Some(reason) = not_produced(comparison, &[Fault::Recording, Fault::Interruption]) {
        return unknown(reason);
    }
    let spoiled = not_produced(comparison, &[Fault::Generator]);
    let found = match warming(comparison) {
        Ok(found) => found,
        Err(reason) => {
            return unknown(
                spoiled.unwrap_or_else(|| format!("cold and warm cannot be compared: {reason}")),
            );
        }
    };
    let mut judged = match spoiled {
        None => judged(comparison, &found, evidence),
        Some(reason) => spoiled_but_sure(comparison, &found, evidence)
            .unwrap_or_else(|| finding(CHECK, Outcome::Unknown, reason)),
    };
    judged.evidence.extend(told(comparison, &found));
    judged.evidence.extend(evidence.notes.iter().cloned());
    judged
}

/// A replay with one of these faults.
fn not_produced(comparison: &Comparison, faults: &[Fault]) -> Option<String> {
    let spoiled = |produced: &Produced| produced.fault.is_some_and(|fault| faults.contains(&fault));
    [("cold", &comparison.cold_shape), ("warm", &comparison.warm_shape)]
        .into_iter()
        .find(|(_, produced)| spoiled(produced))
        .map(|(name, produced)| {
            format!("the {name} replay did not have the recorded shape: {}", produced.statement)
        })
}

/// Where this machine spoiled a replay, its times support nothing, unless they differ by far more
/// than it was late and the origin's own counter agrees: that counts reads, however late they are.
fn spoiled_but_sure(comparison: &Comparison, found: &Warming, evidence: &Cold) -> Option<Finding> {
    let reads_agree = found.excess_reads.is_some_and(|reads| reads >= READS_AGREE);
    if !reads_agree {
        return None;
    }
    surely_too_long(comparison, found, evidence)
}

/// Reads of the origin for each request, of the first quarter, which only cold caches explain.
const READS_AGREE: f64 = 0.1;

/// The cold run was slower beyond all noise for longer than is allowed.
fn surely_too_long(comparison: &Comparison, found: &Warming, evidence: &Cold) -> Option<Finding> {
    let limit = Duration::from_nanos(evidence.bounds.warmup_ns);
    let surely = found.p50.surely.max(found.p95.surely);
    if surely <= limit {
        return None;
    }
    if ends_cold(found) {
        return Some(fail(never(comparison), WARM_UP));
    }
    let after = found.p50.steady.into_iter().chain(found.p95.steady).max();
    let title = after.filter(|after| *after > limit).map_or_else(
        || too_long("longer than ", surely, limit),
        |after| too_long("", after, limit),
    );
    Some(fail(title, WARM_UP))
}

fn ends_cold(found: &Warming) -> bool {
    found.p50.is_cold_at_the_end || found.p95.is_cold_at_the_end
}

fn too_long(than: &str, after: Duration, limit: Duration) -> String {
    format!(
        "a cold start takes {than}{} to become as fast as a warm one, where {} are allowed",
        format_duration(after),
        format_duration(limit)
    )
}

fn never(comparison: &Comparison) -> String {
    format!(
        "no steady state within the {} of the cold replay: its end is still slower than the warm \
         one",
        format_duration(length(comparison))
    )
}

fn length(comparison: &Comparison) -> Duration {
    Duration::from_nanos(comparison.bin_ns)
        .saturating_mul(u32::try_from(comparison.bins.len()).unwrap_or(u32::MAX))
}

fn fail(title: String, advice: &str) -> Finding {
    let mut fail = finding(CHECK, Outcome::Fail, title);
    fail.advice = advice.into();
    fail
}

fn judged(comparison: &Comparison, found: &Warming, evidence: &Cold) -> Finding {
    let limit = Duration::from_nanos(evidence.bounds.warmup_ns);
    if let Some(stuck) = stuck(comparison, found) {
        return stuck;
    }
    if let Some(failed) = violated(found, &evidence.bounds)
        .or_else(|| overloaded(found, evidence))
        .or_else(|| surely_too_long(comparison, found, evidence))
    {
        return failed;
    }
    let steady = found.p50.steady.zip(found.p95.steady).zip(found.errors_steady);
    let after = steady.map(|((p50, p95), errors)| p50.max(p95).max(errors));
    match after {
        None if length(comparison) < limit && ends_cold(found) => {
            let mut unknown = finding(CHECK, Outcome::Unknown, never(comparison));
            let allowed = format_duration(limit);
            unknown.advice = format!("Replay a window longer than {allowed}, the limit `warmup`.");
            return unknown;
        }
        None if found.errors_steady.is_none() => return fail(never(comparison), WARM_UP),
        Some(after) if after > limit && is_clear(found, limit) => {
            return fail(too_long("", after, limit), WARM_UP);
        }
        Some(after) if after <= limit && found.p50.relative_noise <= HIDES => {}
        None | Some(_) => return hidden(found, limit),
    }
    if let Some(reason) = perhaps_stuck(comparison, found) {
        return finding(CHECK, Outcome::Unknown, reason);
    }
    let title = match after.filter(|after| !after.is_zero()) {
        None => "cold and warm caches are equally fast".to_owned(),
        Some(after) => {
            format!("a cold start is as fast as a warm one after {}", format_duration(after))
        }
    };
    finding(CHECK, Outcome::Pass, title)
}

/// Noise of the median beyond which no differences are seen, as a share of what the warm run takes.
const HIDES: f64 = 1.0;

/// Of what is only just longer than the limit, noise must not decide.
fn is_clear(found: &Warming, limit: Duration) -> bool {
    const CLOSE: f64 = 1.1;
    const QUIET: f64 = 0.25;
    let fitted = |ratio: &Ratio| {
        ratio.relative_noise < QUIET
            && ratio.fitted.is_some_and(|fitted| fitted > limit.mul_f64(CLOSE))
    };
    found.errors_steady.is_some_and(|errors| errors > limit)
        || fitted(&found.p50)
        || fitted(&found.p95)
}

/// Slower than the limit allows, perhaps.
fn hidden(found: &Warming, limit: Duration) -> Finding {
    let title = format!(
        "noise hides whether a cold start takes longer than {}: in a bin it makes {} of the median \
         and {} of p95",
        format_duration(limit),
        format_duration(found.p50.noise),
        format_duration(found.p95.noise)
    );
    let mut hidden = finding(CHECK, Outcome::Unknown, title);
    hidden.advice = "Rehearse again while this machine and the stack do nothing else, or set \
                     longer `bins`."
        .into();
    hidden
}

fn violated(found: &Warming, bounds: &Bounds) -> Option<Finding> {
    let more = as_f64(found.violations[0].saturating_sub(found.violations[1]));
    let share = more / as_f64(found.requests.max(1));
    let slo = bounds.slo_ns.filter(|_| share > bounds.budget)?;
    let title = format!(
        "a cold start makes {} of the requests slower than {} or fail, where {} may be",
        format_share(share),
        format_duration(Duration::from_nanos(slo)),
        format_share(bounds.budget)
    );
    Some(fail(title, WARM_UP))
}

fn overloaded(found: &Warming, evidence: &Cold) -> Option<Finding> {
    let capacity = evidence.forecast.as_ref()?.capacity?;
    let [peak, _] = found.peak_reads.filter(|[peak, _]| *peak > capacity)?;
    let title = format!(
        "a cold start asks the origin for {peak:.0} reads/s, above the {capacity:.0} reads/s that \
         it stands"
    );
    Some(fail(title, RAMP))
}

const WARM_UP: &str = "Warm the caches before users come, or admit users more slowly; check that \
                       what stands behind the caches has room for the misses of the first minutes.";

const RAMP: &str = "Admit users by the ramp in the folder of the run (rehearse it with `ramp:`), \
                    warm the caches before, or let one request of a key read it for all others.";

/// What the cold start did goes on by itself: without load the stack stays slower than it was
/// before it. Where that was not watched, a warm run that is slower than the end of the cold one
/// is no answer.
fn stuck(comparison: &Comparison, found: &Warming) -> Option<Finding> {
    let [cold, warm] = found.late_p50;
    let by = STUCK_BY.max(found.p50.noise).as_secs_f64();
    let is_slower = warm >= STUCK * cold && warm - cold >= by && found.p50.is_reversed;
    let Some(recovery) = comparison.recovery else {
        let title = "the warm run was slower than the end of the cold one; whether the stack \
                     recovers was not watched";
        let mut unknown = finding(CHECK, Outcome::Unknown, title);
        unknown.advice = "Set a `trickle` of 4 s or longer: its requests are sent again after the \
                          load."
            .into();
        return is_slower.then_some(unknown);
    };
    let waited = format_duration(Duration::from_nanos(recovery.waited_ns));
    if recovery.has_recovered {
        let title = format!(
            "the warm run was slower than the end of the cold one, and the stack recovered \
             {waited} after the load: there is nothing warm to compare with"
        );
        return is_slower.then(|| finding(CHECK, Outcome::Unknown, title));
    }
    let time = |ns: u64| format_duration(Duration::from_nanos(ns));
    let title = format!(
        "METASTABLE: {waited} after the load the stack is still slow: {} at the median, {} before",
        recovery.after_ns.map_or("too few answers".to_owned(), time),
        time(recovery.before_ns)
    );
    let advice = "Look for work that feeds itself: retries, queues that grow, pools that \
                  reconnect. Shed load, bound retries, and rehearse the recovery.";
    Some(fail(title, advice))
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
    let has_recovered = comparison.recovery.is_some_and(|recovery| recovery.has_recovered);
    let is_slow = slow && !has_recovered;
    (is_slow || found.warm_errors > MANY_ERRORS).then(|| {
        "cold and warm are alike, but both are slow or fail: whether the stack recovered from the \
         cold start is not known"
            .to_owned()
    })
}

/// A share of errors with which no stack has recovered.
const MANY_ERRORS: f64 = 0.1;

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

#[cfg(test)]
mod tests;
