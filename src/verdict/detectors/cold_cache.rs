//! A cold cache: the first request for a target is slow, later ones are fast.

use std::time::Duration;

use crate::stats::counts::as_f64;
use crate::summary::evidence::touches::Touches;
use crate::units::{format_count, format_duration, format_share};
use crate::verdict::detectors::{DetectorInput, quantile, quantile_text};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "cold-cache";

/// Fewest requests on either side of the comparison of medians. Medians, because a stall early in
/// the run hits many first touches, but never half of them.
pub const MIN_TOUCHES: u64 = 20;

/// A cache is cold when the median first touch takes this many times as long as a later one ...
pub const TIMES_SLOWER: f64 = 3.0;

/// ... and longer by this: below, it does not matter to a user.
pub const MIN_DELAY: Duration = Duration::from_millis(5);

/// Compares first requests for a target with later ones, GET and HEAD only. Where the recording
/// knows that production was slower at the same first requests, too, that is taken off.
pub fn detect(input: &DetectorInput) -> Finding {
    let touches = &input.summary.evidence.touches;
    let (first, again) = (&touches.first, &touches.again);
    if first.len() < MIN_TOUCHES || again.len() < MIN_TOUCHES {
        let title = format!(
            "{} first and {} later reads were answered; {MIN_TOUCHES} of each are needed",
            format_count(first.len()),
            format_count(again.len())
        );
        return finding(CHECK, Outcome::Unknown, title);
    }
    let (cold, warm) = (quantile(first, 0.5), quantile(again, 0.5));
    let ratio = times(cold, warm) / recorded_ratio(touches);
    if cold.saturating_sub(warm) < MIN_DELAY || ratio < TIMES_SLOWER {
        // Time-outs on both sides are alike, too, but that is no warm cache.
        let answered = input.summary.latency.len();
        if answered * 2 < input.summary.sent.total {
            let title = "most requests had no answer, so that reads cannot be compared";
            return finding(CHECK, Outcome::Unknown, title);
        }
        let title = format!(
            "first reads took {} and later ones {}",
            format_duration(cold),
            format_duration(warm)
        );
        return finding(CHECK, Outcome::Pass, title);
    }
    let title = format!(
        "the cache is cold: first reads took {} instead of {}",
        format_duration(cold),
        format_duration(warm)
    );
    let mut found = finding(CHECK, Outcome::Fail, title);
    found.evidence = evidence(touches);
    found.advice = "Warm the cache before users come, or admit them more slowly; check that the \
                    store behind it stands the misses of the first minutes."
        .into();
    found
}

/// How many times slower production was at the same first requests; at least 1, and 1 where too
/// little is recorded.
fn recorded_ratio(touches: &Touches) -> f64 {
    let (first, again) = (&touches.recorded_first, &touches.recorded_again);
    if first.len() < MIN_TOUCHES || again.len() < MIN_TOUCHES {
        return 1.0;
    }
    times(quantile(first, 0.5), quantile(again, 0.5)).max(1.0)
}

fn evidence(touches: &Touches) -> Vec<String> {
    let (first, again) = (&touches.first, &touches.again);
    let total =
        |histogram: &hdrhistogram::Histogram<u64>| histogram.mean() * as_f64(histogram.len());
    let excess = total(first) - again.mean() * as_f64(first.len());
    let share = excess.max(0.0) / (total(first) + total(again)).max(1.0);
    let mut lines = vec![
        format!(
            "{} of {} reads are the first for their target",
            format_count(first.len()),
            format_count(first.len() + again.len())
        ),
        format!("{} of all time that reads took is due to them", format_share(share)),
        format!(
            "p99 of first reads {}, of later ones {}",
            quantile_text(first, 0.99),
            quantile_text(again, 0.99)
        ),
    ];
    if !touches.recorded_first.is_empty() {
        lines.push(format!(
            "production took {} at the median for the same first reads",
            quantile_text(&touches.recorded_first, 0.5)
        ));
    }
    lines
}

/// How many times `b` goes into `a`; a time of 0 counts as a nanosecond.
fn times(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-9)
}
