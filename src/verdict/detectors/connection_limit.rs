//! A limit on connections: new ones are refused, closed, or left waiting, while old ones are fine.

use crate::stats::counts::as_f64;
use crate::summary::evidence::openings::{Compared, SYN_RETRY, TurnedAway, Waits};
use crate::units::{format_count, format_counted, format_duration, format_share};
use crate::verdict::detectors::{DetectorInput, quantile_text};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "connection-limit";

/// Fewest new connections that fail without a word before it is called a limit: one or two may be
/// a restart or a lost packet. A banner says it itself, so that one is enough.
pub const MIN_TURNED_AWAY: u64 = 3;

/// Fewest requests on reused connections that new ones are compared with.
pub const MIN_REUSED: u64 = 20;

/// New connections wait in a queue when slow first answers are this many times as frequent on them
/// as on reused ones. A stall or a slow target slows both alike.
pub const TIMES_AS_OFTEN: f64 = 10.0;

/// ... and there must be this many times as many of them: in a stall every busy connection has one
/// slow request, and the new ones are a few among them.
const OUTNUMBER: u64 = 3;

/// Looks for a limit on connections. `outage` and `cold_cache` are those detectors' findings: a
/// target that is down has no limit, and beside a cold cache first touches cannot tell new
/// connections from reused ones.
pub fn detect(input: &DetectorInput, outage: &Finding, cold_cache: &Finding) -> Finding {
    let openings = &input.summary.evidence.openings;
    if openings.tried == 0 {
        return finding(CHECK, Outcome::Unknown, "no connection was opened");
    }
    if outage.outcome == Outcome::Fail {
        return finding(CHECK, Outcome::Unknown, "the target was down when it turned them away");
    }
    let turned_away: u64 = openings.turned_away.values().sum();
    let banner = openings.turned_away.contains_key(&TurnedAway::Banner);
    let cold = cold_cache.outcome == Outcome::Fail;
    let waiting = waits_in_queue(if cold { openings.warm } else { openings.all });
    if !banner && !waiting && turned_away.max(openings.syn_retries) < MIN_TURNED_AWAY {
        return fine(input, turned_away);
    }
    let mut found = finding(CHECK, Outcome::Fail, title(input, turned_away));
    found.evidence = evidence(input);
    found.advice = advice(input, turned_away);
    found
}

fn fine(input: &DetectorInput, turned_away: u64) -> Finding {
    let openings = &input.summary.evidence.openings;
    if turned_away == 0 {
        let title = match openings.tried {
            1 => "the only connection was accepted".to_owned(),
            tried => format!("all {} connections were accepted", format_count(tried)),
        };
        return finding(CHECK, Outcome::Pass, title);
    }
    let tried = format_counted(openings.tried, "new connection", "new connections");
    let title = format!("{turned_away} of {tried} failed: too few to tell why");
    let mut found = finding(CHECK, Outcome::Unknown, title);
    found.evidence = evidence(input);
    found.advice = "Look for restarts of the target at that time, or repeat the run.".into();
    found
}

/// Whether answers on new connections are slow or missing, far more often than on reused ones.
fn waits_in_queue(Compared { first, reused }: Compared) -> bool {
    let share = |waits: Waits, slow: u64| as_f64(slow) / as_f64(waits.requests.max(1));
    reused.requests >= MIN_REUSED
        && first.slow >= MIN_TURNED_AWAY
        && first.slow >= OUTNUMBER * reused.slow
        && share(first, first.slow) >= TIMES_AS_OFTEN * share(reused, reused.slow.max(1))
}

fn title(input: &DetectorInput, turned_away: u64) -> String {
    let openings = &input.summary.evidence.openings;
    let tried = format_count(openings.tried);
    let held = input.summary.evidence.timeline.held_at_first_refusal();
    let at = match held {
        Some(held) if held > 0 => format!(", first with about {} open", format_count(held)),
        _ => String::new(),
    };
    if turned_away > 0 {
        let share = format_share(as_f64(turned_away) / as_f64(openings.tried.max(1)));
        let count = format_count(turned_away);
        let verb = if turned_away == 1 { "was" } else { "were" };
        return format!("{count} of {tried} new connections ({share}) {verb} turned away{at}");
    }
    if openings.syn_retries >= MIN_TURNED_AWAY {
        let count = format_count(openings.syn_retries);
        return format!("{count} of {tried} connects took a second attempt: the queue was full");
    }
    let count = format_count(openings.all.first.slow);
    format!("{count} new connections were accepted but not served, while old ones were")
}

fn evidence(input: &DetectorInput) -> Vec<String> {
    let openings = &input.summary.evidence.openings;
    let mut lines: Vec<String> = openings
        .turned_away
        .iter()
        .map(|(way, &count)| {
            let count = format_counted(count, "new connection", "new connections");
            format!("{count} {}", way.name())
        })
        .collect();
    for (banner, &count) in &openings.banners {
        let times = format_counted(count, "time", "times");
        lines.push(format!("the target said `{banner}` {times}"));
    }
    if openings.syn_retries > 0 {
        let slow = format_duration(SYN_RETRY);
        let count = format_count(openings.syn_retries);
        lines.push(format!("{count} connects took more than {slow}: their first SYN was dropped"));
    }
    if openings.all.first.slow > 0 {
        lines.push(format!(
            "{} of {} first requests on new connections waited long for an answer, but {} of {} on \
             reused ones",
            format_count(openings.all.first.slow),
            format_count(openings.all.first.requests),
            format_count(openings.all.reused.slow),
            format_count(openings.all.reused.requests)
        ));
    }
    if !openings.connect.is_empty() {
        lines.push(format!(
            "connecting took {} at the median, {} at p99",
            quantile_text(&openings.connect, 0.5),
            quantile_text(&openings.connect, 0.99)
        ));
    }
    let peak = input.facts.peak_connections;
    if peak > 0 {
        let peak = format_counted(peak, "connection", "connections");
        lines.push(format!("the plan needs {peak} at once"));
    }
    lines
}

fn advice(input: &DetectorInput, turned_away: u64) -> String {
    let openings = &input.summary.evidence.openings;
    let refused = openings.turned_away.get(&TurnedAway::Refused).copied().unwrap_or(0);
    if refused > 0 && refused == openings.tried {
        return "Start the target, or correct its address, and run again.".into();
    }
    // The usual head room: 1.3 times the demand.
    let needed = input.facts.peak_connections.saturating_mul(13).div_ceil(10);
    let needed = if needed > 0 {
        format!("at least {} (1.3 times the planned peak)", format_count(needed))
    } else {
        "1.3 times the planned peak".to_owned()
    };
    let limits = if turned_away > 0 {
        "the connection limit (maxclients, max_connections, worker_connections, open files)"
    } else {
        "the accept queue and what accepts from it (backlog, somaxconn, workers, open files)"
    };
    format!("Raise {limits} to {needed}, then rehearse again; count every tier in between.")
}
