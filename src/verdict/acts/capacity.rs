//! What the evidence of the act `capacity` means.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::act::capacity::search::telling;
use crate::act::capacity::seen::{Capacity, Ended, Moved, Outcome as TrialOutcome, Trial};
use crate::probe::record::SeriesKind;
use crate::units::{format_counted, format_duration, format_rate, trim_zeros};
use crate::verdict::watch::{NEAR, STILL};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name: the highest multiple of the load that is held.
pub const CHECK: &str = "capacity";

/// A gauge without a limit that became so many times as high is worth a name.
const ROSE: f64 = 2.0;

/// Most figures of probes that are told beside the first.
const ALSO: usize = 3;

/// Judges the evidence.
pub fn judge(seen: &Capacity) -> Finding {
    let Some(ended) = seen.ended else {
        let reason = seen.untried.as_deref().unwrap_or("nothing says why");
        let mut unknown = finding(CHECK, Outcome::Unknown, format!("no load was tried: {reason}"));
        unknown.evidence.clone_from(&seen.notes);
        return unknown;
    };
    let mut found = finding(CHECK, outcome(seen, ended), title(seen, ended));
    found.evidence = evidence(seen);
    found.advice = advice(seen, ended, found.outcome);
    found
}

/// Whether the multiple that must be held is: no more than that is asked.
fn outcome(seen: &Capacity, ended: Ended) -> Outcome {
    let wanted = seen.asked.at_least;
    let failed = seen.failed.map(|failed| seen.multiple_at(failed).max(failed));
    if failed.is_some_and(|failed| failed <= wanted) {
        return Outcome::Fail;
    }
    let held = seen.held.map(|held| seen.multiple_at(held).min(held));
    let is_held = seen.is_confirmed && held.is_some_and(|held| held >= wanted);
    match ended {
        Ended::Found | Ended::Max | Ended::Time if is_held => Outcome::Pass,
        // What the generator could not ask for, or nobody waited for, is not known.
        _ => Outcome::Unknown,
    }
}

/// What a load of 1 is called.
pub fn peak(seen: &Capacity) -> &'static str {
    if seen.asked.is_recorded { "the recorded peak" } else { "the scenario's peak" }
}

fn title(seen: &Capacity, ended: Ended) -> String {
    let peak = peak(seen);
    let Some(held) = seen.held else { return nothing_held(seen, ended) };
    let rate = seen.rate_at(held).map(|rate| format!(" ({})", format_rate(rate)));
    let load = format!("{} × {peak}{}", multiple(seen, held), rate.unwrap_or_default());
    let then = then(seen);
    match (ended, seen.failed) {
        (Ended::Found, _) if seen.failed.is_some_and(|failed| failed <= 1.0) => {
            format!("only {load} is held; {then}")
        }
        (Ended::Found, _) => format!("{load}; {then}"),
        (Ended::Max, failed) => {
            let by = seen.asked.max_by.as_deref().unwrap_or("`max` of the act");
            let failed = failed.map(|failed| multiple(seen, failed));
            let below = failed.map(|failed| format!(" and less than {failed} ×"));
            let below = below.unwrap_or_default();
            format!("at least {load}{below}, not searched further: {by}")
        }
        (Ended::Gone, failed) => {
            let then = failed.map(|_| format!("; {then}")).unwrap_or_default();
            let fatal = telling(&seen.trials, seen.ended).last().map(|fatal| {
                let at = multiple(seen, fatal.load);
                if fatal.is_mute() {
                    return format!("at {at} × the target broke and did not come back");
                }
                format!("the target broke and did not come back: its last answers were at {at} ×")
            });
            format!("{load} was held; {}{then}", fatal.unwrap_or_default())
        }
        (_, Some(failed)) => {
            let failed = multiple(seen, failed);
            format!("{load} or more, and less than {failed} ×: {}; {then}", ended_by(ended))
        }
        (_, None) => format!("at least {load}: {}", ended_by(ended)),
    }
}

/// What ended a search before it had found a limit.
fn ended_by(ended: Ended) -> &'static str {
    match ended {
        Ended::Generator => "the generator ended first",
        Ended::Unjudged => "what is expected cannot be told of a trial",
        Ended::Time => "the time was over",
        Ended::Stopped => "the run was stopped",
        Ended::Gone => "the target broke and did not come back",
        Ended::Found | Ended::Max | Ended::Lowest | Ended::Trials | Ended::Broken => {
            "the search broke off"
        }
    }
}

/// A load as it is told: the multiple that its plans came to, to three digits.
pub fn multiple(seen: &Capacity, load: f64) -> String {
    let multiple = seen.multiple_at(load);
    let decimals = if multiple < 1.0 { 3 } else { 2 };
    short(multiple, decimals)
}

fn short(value: f64, decimals: usize) -> String {
    trim_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn nothing_held(seen: &Capacity, ended: Ended) -> String {
    let peak = peak(seen);
    match (ended, seen.failed) {
        (Ended::Generator, _) => "no load was produced: the generator ended first".to_owned(),
        (Ended::Unjudged, None) => format!("no load could be judged: {}", ended_by(ended)),
        (Ended::Lowest, Some(failed)) => {
            let failed = multiple(seen, failed);
            if seen.trials.iter().any(|trial| trial.answered > 0 || !trial.is_mute()) {
                return format!("not even {failed} × {peak} is held");
            }
            format!("the target answered nothing, not even at {failed} × {peak}")
        }
        (_, Some(failed)) => {
            let failed = multiple(seen, failed);
            format!("{failed} × {peak} is not held; how much is, was not found out")
        }
        (_, None) => "no load was tried to its end".to_owned(),
    }
}

/// What broke first, in the user's words.
fn then(seen: &Capacity) -> String {
    match cause(seen) {
        Some(moved) => format!("then {}", figure(moved)),
        None if seen.probes == 0 => {
            "what broke first is not known: no probe saw it (`watch`)".to_owned()
        }
        None => "what broke first is not known: no probe saw anything near a limit".to_owned(),
    }
}

/// The figure that says most of what broke: a gauge at its limit, then a counter that stands still
/// in a healthy peak, then what rose most.
pub fn cause(seen: &Capacity) -> Option<&Moved> {
    let share = |moved: &Moved| moved.limit.map_or(0.0, |limit| moved.failed / limit);
    let near = seen.moved.iter().filter(|moved| share(moved) >= NEAR);
    let name = |moved: &Moved| moved.metric.split('{').next().unwrap_or_default().to_owned();
    let is_still =
        |moved: &&Moved| moved.kind == SeriesKind::Counter && STILL.contains(&name(moved).as_str());
    let rose = |moved: &&Moved| {
        moved.kind == SeriesKind::Gauge && moved.held > 0.0 && moved.failed >= ROSE * moved.held
    };
    near.max_by(|a, b| share(a).total_cmp(&share(b)))
        .or_else(|| seen.moved.iter().find(is_still))
        .or_else(|| {
            let times = |moved: &Moved| moved.failed / moved.held;
            seen.moved.iter().filter(rose).max_by(|a, b| times(a).total_cmp(&times(b)))
        })
}

/// A figure with its values.
fn figure(moved: &Moved) -> String {
    let Moved { probe, metric, kind, limit, held, failed } = moved;
    let number = |value: f64| short(value, 2);
    let (before, after) = (number(*held), number(*failed));
    match (kind, limit) {
        (SeriesKind::Counter, _) => format!("{probe} {metric} ({before} → {after} a second)"),
        (SeriesKind::Gauge, Some(limit)) => {
            format!("{probe} {metric} ({before} → {after} of {})", number(*limit))
        }
        (SeriesKind::Gauge, None) => format!("{probe} {metric} ({before} → {after})"),
    }
}

fn evidence(seen: &Capacity) -> Vec<String> {
    let mut told = vec![format!(
        "1 × is {} for {}, the busiest stretch of the window, from {} on",
        format_rate(seen.base.rate),
        time(seen.asked.trial_ns),
        time(seen.base.stretch_ns[0]),
    )];
    told.extend(first_failure(seen));
    told.extend(unjudged(seen));
    told.extend(coarseness(seen));
    let first = cause(seen);
    let also = seen.moved.iter().filter(|moved| first.is_some_and(|first| first != *moved));
    let also: Vec<String> = also.take(ALSO).map(figure).collect();
    if !also.is_empty() {
        told.push(format!("what else rose: {}", also.join(", ")));
    }
    if let Some(knee) = seen.knee() {
        told.push(format!("latency (p99) bends upwards from {} × on", short(knee, 2)));
    }
    told.extend(lost(seen));
    told.push(law(seen));
    if seen.noisy > 0 {
        let noisy = format_counted(seen.noisy, "load", "loads");
        told.push(format!("noisy: the trials of {noisy} did not agree; the majority decided"));
    }
    if !seen.is_confirmed && seen.held.is_some() {
        told.push("fewer trials than a majority stand behind the multiple".to_owned());
    }
    told.push(trials(seen));
    told.extend(seen.notes.iter().cloned());
    told
}

/// Why the lowest load that is not held is not.
fn first_failure(seen: &Capacity) -> Option<String> {
    let failed = seen.failed?;
    let mut of = seen.trials.iter().filter(|trial| trial.is_of(failed));
    let trial = of.find(|trial| trial.outcome == TrialOutcome::Failed)?;
    Some(format!("at {} × {}", multiple(seen, failed), trial.reason))
}

/// Why what is expected could not be told of the last trial of which it could not be.
fn unjudged(seen: &Capacity) -> Option<String> {
    let is_it = |trial: &&Trial| trial.outcome == TrialOutcome::Unjudged;
    seen.trials.iter().rev().find(is_it).map(|trial| trial.reason.clone())
}

/// Loads whose p99 nobody waited for.
fn lost(seen: &Capacity) -> Option<String> {
    let curve = seen.curve();
    let lost = curve.iter().filter(|point| point.at_least[1]).count() as u64;
    (lost > 0).then(|| {
        let loads = format_counted(lost, "load", "loads");
        format!("at {loads} so many requests had no answer that no p99 is known (told with ≥)")
    })
}

/// Sessions are cloned whole: where few carry the load, its multiples are coarse. Where the search
/// did not go on to its end, they are apart for that.
fn coarseness(seen: &Capacity) -> Option<String> {
    let (held, failed) = (seen.held?, seen.failed.filter(|_| seen.ended == Some(Ended::Found))?);
    let [below, above] = [held, failed].map(|load| seen.multiple_at(load));
    let share = above / below - 1.0;
    (share > 2.0 * seen.asked.resolution).then(|| {
        format!(
            "sessions are cloned whole, and few carry the load: between {} and {} × nothing could \
             be tried",
            short(below, 2),
            short(above, 2)
        )
    })
}

/// The law of throughput over load, where it is to be believed.
pub fn law(seen: &Capacity) -> String {
    let usl = match seen.usl() {
        Ok(usl) => usl,
        Err(reason) => return format!("no scalability law is fitted: {reason}"),
    };
    if let Some(doubt) = usl.doubt() {
        return format!("the Universal Scalability Law does not fit: {doubt}");
    }
    let interval = |at: usize| {
        usl.intervals[at]
            .map_or("on its bound".to_owned(), |[low, high]| format!("{low:.4} to {high:.4}"))
    };
    let peak = usl.peak_load().and_then(|load| Some((load, usl.within_reach(load)?)));
    let peak = peak.map_or(
        "its highest throughput lies too far beyond the loads that were tried to be told"
            .to_owned(),
        |(load, rate)| format!("highest throughput at {load:.2} ×: {}", format_rate(rate)),
    );
    format!(
        "Universal Scalability Law: contention {:.4} ({}), coherency {:.4} ({}); {peak}",
        usl.alpha,
        interval(0),
        usl.beta,
        interval(1)
    )
}

fn trials(seen: &Capacity) -> String {
    let count = |outcome| seen.trials.iter().filter(|trial| trial.outcome == outcome).count();
    let first = seen.trials.first().map_or(0, |trial| trial.started_ns);
    let last = seen.trials.last().map_or(0, |trial| trial.ended_ns);
    format!(
        "{} in {}: {} held, {} did not, {} were no evidence",
        format_counted(seen.trials.len() as u64, "trial", "trials"),
        time(last.saturating_sub(first)),
        count(TrialOutcome::Held),
        count(TrialOutcome::Failed),
        count(TrialOutcome::Spoiled) + count(TrialOutcome::Unjudged)
    )
}

fn advice(seen: &Capacity, ended: Ended, outcome: Outcome) -> String {
    match (outcome, ended) {
        (Outcome::Pass, _) => String::new(),
        (_, Ended::Generator) => "Generate from a machine of its own, or from a larger one, and \
                                  rehearse again; `tolerance: ci` allows for shared machines."
            .into(),
        (_, Ended::Unjudged) => "Set a longer `trial` of the act, so that it holds what the \
                                 expectation asks for, or a scenario of its own without it."
            .into(),
        (_, Ended::Gone) => "Find out why the target did not come back: look at its processes and \
                             logs from that trial on, and start it again before the next rehearsal."
            .into(),
        (Outcome::Fail, _) => match cause(seen) {
            Some(moved) => {
                format!("Look at {} of {} first, then rehearse again.", moved.metric, moved.probe)
            }
            None => "Watch the dependencies (`watch`), so that the next rehearsal tells what \
                     breaks first."
                .into(),
        },
        (_, Ended::Time) => "Raise `within` of the act, or set a coarser `resolution`.".into(),
        (_, Ended::Max) if is_short(seen) => "Raise `max` of the act a little above `at_least`: \
                                              sessions are cloned whole, and what it came to is \
                                              less."
            .into(),
        (_, Ended::Max) => "Raise `max` of the act, or the limit that it names.".into(),
        (_, Ended::Found) => {
            "What is asked for (`at_least`) lies between what is held and what is \
                              not: ask for less, or set a finer `resolution`."
                .into()
        }
        _ => "Rehearse again.".into(),
    }
}

/// The multiple that was asked for is held, but its plan came to less.
fn is_short(seen: &Capacity) -> bool {
    seen.held.is_some_and(|held| held >= seen.asked.at_least && seen.asked.max_by.is_none())
}

fn time(ns: u64) -> String {
    format_duration(Duration::from_nanos(ns))
}
