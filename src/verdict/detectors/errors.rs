//! Errors that no other finding explains.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::stats::counts::as_f64;
use crate::stats::shares::{Share, wilson};
use crate::summary::evidence::errors::ErrorClass;
use crate::summary::{Route, Summary};
use crate::units::{format_count, format_counted, format_share};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::detectors::differing::{MORE_ROUTES, and_more, confidence, named};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "errors";

/// Fewest errors that fail a run by themselves; one or two may be an accident.
pub const MIN_ERRORS: u64 = 3;

/// Largest share of arrivals that may be errors without an expectation that says otherwise.
pub const MAX_SHARE: f64 = 0.001;

/// Classes named in the evidence, the most frequent first.
const MAX_NAMED: usize = 8;

/// Counts errors that production did not have, without those that a failed finding explains.
pub fn detect(input: &DetectorInput, connection_limit: &Finding, body_limit: &Finding) -> Finding {
    let summary = input.summary;
    let settled: u64 = summary.arrivals - input.summary.unsent();
    if settled == 0 {
        return finding(CHECK, Outcome::Unknown, "no request was sent");
    }
    let explained = |class: ErrorClass| match class {
        ErrorClass::TurnedAway(_) => connection_limit.outcome == Outcome::Fail,
        ErrorClass::Status { status: 413, .. } => body_limit.outcome == Outcome::Fail,
        _ => false,
    };
    let mut classes: Vec<(ErrorClass, u64)> = summary
        .evidence
        .errors
        .by_class
        .iter()
        .map(|(&class, &count)| (class, count))
        .filter(|&(class, _)| !explained(class))
        .collect();
    classes.sort_by_key(|&(class, count)| (Reverse(count), class));
    let count: u64 = classes.iter().map(|&(_, count)| count).sum();
    let share = as_f64(count) / as_f64(settled);
    let others = summary.errors.saturating_sub(count);
    let beside = if others > 0 { " besides those explained above" } else { "" };
    let amount = format!("{} of {} requests", format_count(count), format_count(settled));
    let beyond =
        if input.facts.origin.is_recorded() { " that production did not have" } else { "" };
    if count < MIN_ERRORS || share <= MAX_SHARE {
        let explains = connection_limit.outcome == Outcome::Fail;
        if let Some(found) = lost(input.summary).filter(|_| !explains) {
            return found;
        }
        let title = format!("{amount} ended in an error{beyond}{beside}");
        let mut found = finding(CHECK, Outcome::Pass, title);
        found.evidence = evidence(&classes);
        return found;
    }
    let title = if summary.latency.is_empty() && others == 0 {
        format!("none of the {} sent was answered", format_counted(settled, "request", "requests"))
    } else {
        let share = format_share(share);
        format!("{amount} ({share}) ended in an error{beyond}{beside}")
    };
    let mut found = finding(CHECK, Outcome::Fail, title);
    found.evidence = evidence(&classes);
    found.advice = "Look for the most frequent class in the target's error log, at the second in \
                    which it begins."
        .into();
    found
}

/// Routes whose requests had no answer, though all errors together are few: one that is seldom
/// asked for may be gone. Other statuses of a route are compared with the recorded ones elsewhere.
fn lost(summary: &Summary) -> Option<Finding> {
    let confidence = confidence(summary.routes.len());
    let share = |route: &Route| Share { part: route.lost, whole: route.arrivals - route.unsent };
    let is_found =
        |route: &Route| route.lost >= MIN_ERRORS && wilson(share(route), confidence)[0] > MAX_SHARE;
    let mut routes: Vec<_> = summary.routes.iter().filter(|(_, route)| is_found(route)).collect();
    routes.sort_by_key(|(_, route)| Reverse(route.lost));
    let told = |(name, route): &(&Arc<str>, &Route)| {
        let Share { part, whole } = share(route);
        let (part, whole) = (format_count(part), format_counted(whole, "request", "requests"));
        format!("{name}: {part} of {whole} had no answer")
    };
    let (first, rest) = routes.split_first()?;
    let mut found = finding(CHECK, Outcome::Fail, told(first) + &and_more(rest.len()));
    found.evidence = named(rest.iter().map(told), MORE_ROUTES);
    found.advice = "Ask for such a route by hand: what serves it may be gone, or out of reach of \
                    what stands before it."
        .into();
    Some(found)
}

fn evidence(classes: &[(ErrorClass, u64)]) -> Vec<String> {
    let mut lines: Vec<String> = classes
        .iter()
        .take(MAX_NAMED)
        .map(|(class, count)| format!("{} {class}", format_count(*count)))
        .collect();
    if classes.len() > MAX_NAMED {
        let rest: u64 = classes.iter().skip(MAX_NAMED).map(|&(_, count)| count).sum();
        lines.push(format!("{} in {} more classes", format_count(rest), classes.len() - MAX_NAMED));
    }
    lines
}
