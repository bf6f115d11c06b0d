//! Ends a replay early where a rule of the scenario holds, as one Ctrl-C would: what is in flight
//! is waited for, and everything is reported. Data that is missing never ends a run.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::drive::clock::{Epoch, nanoseconds};
use crate::drive::gauges::{Gauges, Window};
use crate::drive::stop::Stop;
use crate::probe::Watching;
use crate::probe::record::{Record, SeriesKind};
use crate::scenario::abort::{AbortOn, AbortRule, figure_of};
use crate::stats::counts::as_f64;
use crate::stats::histograms::{Stat, time_of};
use crate::units::{format_duration, format_share};

/// What the rules have come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guarded {
    /// The rule that ended the run.
    pub aborted: Option<Aborted>,
    /// Rules, as written, that never had anything to be judged by.
    pub silent: Vec<String>,
    /// All rules.
    pub rules: usize,
}

/// A rule that ended a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Aborted {
    /// As written.
    pub rule: String,
    /// When it was seen to hold, since the start of the replay.
    pub at: Duration,
    /// What was seen, in a few words.
    pub seen: String,
}

/// What rules are judged by.
#[derive(Clone, Copy)]
pub struct Guard<'a> {
    /// The rules.
    pub rules: &'a [AbortRule],
    /// What ends the run.
    pub stop: &'a Stop,
    /// The probes, where there are any, and the start of their moments.
    pub watching: Option<(&'a Watching, Epoch)>,
    /// Tells a person.
    pub say: &'a (dyn Fn(&str) + Sync),
}

/// How often rules are looked at.
const TICK: Duration = Duration::from_millis(200);

/// A second is over for good this long after its end.
const SETTLED: Duration = Duration::from_millis(100);

/// Drives a load under the rules. Without rules, nothing is watched.
pub fn guarded<T>(
    guard: Guard<'_>,
    gauges: &Arc<Gauges>,
    drive: impl FnOnce() -> T,
) -> (T, Guarded) {
    let longest = guard.rules.iter().map(|rule| rule.over).max();
    let Some(longest) = longest else { return (drive(), Guarded::default()) };
    gauges.keep_recent(longest);
    thread::scope(|scope| {
        let (driving, ended) = mpsc::channel::<()>();
        let watch = scope.spawn(move || follow(guard, gauges, &ended));
        let driven = drive();
        drop(driving);
        let guarded = watch.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (driven, guarded)
    })
}

fn follow(guard: Guard<'_>, gauges: &Gauges, ended: &Receiver<()>) -> Guarded {
    let rules = guard.rules;
    let started = guard.watching.map(|(_, epoch)| epoch.now());
    let mut had_data = vec![false; rules.len()];
    let mut aborted = None;
    while aborted.is_none() && ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        if guard.stop.is_requested() {
            break;
        }
        let at = gauges.elapsed();
        for (rule, had_data) in rules.iter().zip(&mut had_data) {
            if at < rule.not_before {
                continue;
            }
            let probes = guard.watching.zip(started);
            let seen = match &rule.what {
                AbortOn::Probe { name } => probes.and_then(|((watching, epoch), started)| {
                    let moments = Moments { started, now: epoch.now() };
                    watching.look(|records| look_at_probe(name, rule, records, moments))
                }),
                AbortOn::Errors | AbortOn::Latency(_) => driven(rule, gauges, at),
            };
            *had_data |= seen.is_some();
            if let Some(Seen { holds: true, text }) = seen {
                (guard.say)(&format!("aborting: `{}` holds ({text})", rule.text));
                guard.stop.request();
                aborted = Some(Aborted { rule: rule.text.clone(), at, seen: text });
                break;
            }
        }
    }
    let silent = rules.iter().zip(&had_data).filter(|(_, had_data)| !**had_data);
    let silent = silent.map(|(rule, _)| rule.text.clone()).collect();
    Guarded { aborted, silent, rules: rules.len() }
}

/// What a rule saw.
#[derive(Debug, PartialEq)]
struct Seen {
    holds: bool,
    text: String,
}

/// Judges the last whole seconds; `None` before there are enough of them.
fn driven(rule: &AbortRule, gauges: &Gauges, elapsed: Duration) -> Option<Seen> {
    let until = elapsed.saturating_sub(SETTLED).as_secs();
    let from = until.checked_sub(rule.over.as_secs())?;
    look_at(rule, &gauges.recent_between(from, until)?)
}

/// `None` where nothing was sent, or where nothing was answered to be measured.
fn look_at(rule: &AbortRule, window: &Window) -> Option<Seen> {
    let (value, text) = match rule.what {
        AbortOn::Errors => {
            if window.sent == 0 || window.sent < rule.samples {
                return None;
            }
            let share = as_f64(window.errors) / as_f64(window.sent);
            (share, format!("{} of {} requests", format_share(share), window.sent))
        }
        AbortOn::Latency(_) if window.sent < rule.samples => return None,
        AbortOn::Latency(stat) => latency(stat, window)?,
        AbortOn::Probe { .. } => return None,
    };
    Some(Seen { holds: rule.op.holds(value, rule.value), text })
}

/// As expectations have it: what never was answered was not fast.
fn latency(stat: Stat, window: &Window) -> Option<(f64, String)> {
    let ns = time_of(&window.latency, window.sent, stat)?;
    if ns.is_infinite() {
        let missing = window.sent.saturating_sub(window.latency.len());
        let share = format_share(as_f64(missing) / as_f64(window.sent.max(1)));
        return Some((ns, format!("{share} of the requests had no answer")));
    }
    Some((ns, format_duration(Duration::from_secs_f64(ns / 1e9))))
}

/// Moments since the start of the rehearsal, as probes have them.
#[derive(Clone, Copy)]
struct Moments {
    /// The replay began.
    started: Duration,
    now: Duration,
}

/// Judges a figure. Over a time, each look in it must agree, there must be one, and none may have
/// failed; of a counter, it is what it grew by in the time, or since the replay began.
fn look_at_probe(
    name: &str,
    rule: &AbortRule,
    records: &[Record],
    moments: Moments,
) -> Option<Seen> {
    let (record, series) = records.iter().find_map(|record| {
        let figure = figure_of(name, &record.name)?;
        Some((record, record.metric(figure)?))
    })?;
    let from = moments.now.checked_sub(rule.over).filter(|from| *from >= moments.started)?;
    let is_counter = series.kind == SeriesKind::Counter;
    let from = if is_counter && rule.over.is_zero() { moments.started } else { from };
    let is_single = rule.over.is_zero() && !is_counter;
    let from_ns = if is_single { 0 } else { nanoseconds(from) };
    let blind = record.gaps.iter().any(|gap| gap.to_ns.is_none_or(|to| !is_single && to > from_ns));
    if blind {
        return None;
    }
    let mut within =
        series.points.iter().rev().take_while(|(at, _)| *at >= from_ns).map(|(_, value)| *value);
    let last = within.next().filter(|_| {
        let started_ns = nanoseconds(moments.started);
        series.points.last().is_some_and(|(at, _)| *at >= started_ns)
    })?;
    let text = |value: f64| format!("{value}");
    if is_counter {
        let before = series.points.iter().rev().find(|(at, _)| *at < from_ns)?.1;
        let grown = if last < before { last } else { last - before };
        let holds = rule.op.holds(grown, rule.value);
        return Some(Seen { holds, text: format!("it grew by {grown}") });
    }
    let holds = |value: f64| rule.op.holds(value, rule.value);
    let holds = holds(last) && (is_single || within.all(holds));
    Some(Seen { holds, text: text(last) })
}

#[cfg(test)]
mod tests;
