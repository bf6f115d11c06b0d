//! A payload that blocks an event loop: everybody waits while one large body is dealt with.

use std::time::Duration;

use crate::plan::LARGE_BODY;
use crate::summary::evidence::bodies::Bodies;
use crate::units::{format_count, format_counted, format_duration, format_size};
use crate::verdict::detectors::{DetectorInput, quantile, quantile_text};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "event-loop-blocked";

/// Fewest large bodies: with one or two, whatever else happened then would be blamed on them.
pub const MIN_LARGE: u64 = 3;

/// Fewest small requests beside a large body. Few, since a body that blocks for a moment has few
/// beside it; the other conditions are what keeps chance out.
pub const MIN_BESIDE: u64 = 5;

/// Fewest small requests apart from large bodies, to know what is normal.
pub const MIN_APART: u64 = 20;

/// Small requests beside a large body are held up when their median is this many times that of the
/// others ...
pub const TIMES_SLOWER: u32 = 3;

/// ... and longer by this: a millisecond or two is the price of sharing a network and a processor.
pub const MIN_DELAY: Duration = Duration::from_millis(10);

/// The delay must be explained by the large bodies: at most this many times the median time they
/// take themselves. A stall delays the requests beside one large body for longer than that, and
/// the other large bodies not at all.
pub const EXPLAINED_BY: u32 = 3;

/// Compares the latency of small requests while a large body was in flight with that of the
/// others. First touches of a target are left out, so that a cold cache cannot interfere.
pub fn detect(input: &DetectorInput) -> Finding {
    let bodies = &input.summary.evidence.bodies;
    let (beside, apart) = (&bodies.small_beside, &bodies.small_apart);
    let own = quantile(&bodies.large_service, 0.5);
    if bodies.large_answered >= MIN_LARGE && own < MIN_DELAY {
        let own = format_duration(own);
        let title = format!("large bodies took {own} at the median: too short to hold others up");
        return finding(CHECK, Outcome::Pass, title);
    }
    // Where large bodies are in flight all the time, production's time is what else there is.
    let recorded = &input.summary.evidence.touches.recorded_again;
    let baseline = if apart.len() < MIN_APART { recorded } else { apart };
    let few = beside.len() < MIN_BESIDE || baseline.len() < MIN_APART;
    if bodies.large_answered < MIN_LARGE || few {
        return finding(CHECK, Outcome::Unknown, too_little(bodies));
    }
    let (slow, fast) = (quantile(beside, 0.5), quantile(baseline, 0.5));
    let delay = slow.saturating_sub(fast);
    let held_up = delay >= MIN_DELAY && slow >= fast * TIMES_SLOWER;
    if !held_up || delay > own * EXPLAINED_BY {
        let title = format!(
            "small requests took {} beside a large body and {} otherwise",
            format_duration(slow),
            format_duration(fast)
        );
        return finding(CHECK, Outcome::Pass, title);
    }
    let title = format!(
        "large bodies block the target: beside one, a small request took {} instead of {}",
        format_duration(slow),
        format_duration(fast)
    );
    let mut found = finding(CHECK, Outcome::Fail, title);
    found.evidence = evidence(bodies);
    found.advice = "Take large payloads off the event loop (a worker, streaming, splitting), or \
                    limit their size to what users can wait for; then rehearse again."
        .into();
    found
}

fn too_little(bodies: &Bodies) -> String {
    let large = format_size(LARGE_BODY as u64);
    if bodies.large_answered < MIN_LARGE {
        return format!(
            "{} of {large} or more answered; {MIN_LARGE} are needed",
            format_counted(bodies.large_answered, "body", "bodies")
        );
    }
    format!(
        "{} small requests beside bodies of {large} or more and {} apart from them; {MIN_BESIDE} \
         and {MIN_APART} are needed",
        format_count(bodies.small_beside.len()),
        format_count(bodies.small_apart.len())
    )
}

fn evidence(bodies: &Bodies) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} small requests were beside a large body: p99 {}, largest {}",
            format_count(bodies.small_beside.len()),
            quantile_text(&bodies.small_beside, 0.99),
            quantile_text(&bodies.small_beside, 1.0)
        ),
        format!(
            "{} were not: p99 {}",
            format_count(bodies.small_apart.len()),
            quantile_text(&bodies.small_apart, 0.99)
        ),
    ];
    if let Some(mean) = bodies.large_bytes.checked_div(bodies.large_answered) {
        lines.push(format!(
            "{} large bodies of {} on average took {} at the median",
            format_count(bodies.large_answered),
            format_size(mean),
            quantile_text(&bodies.large_service, 0.5)
        ));
    }
    if let Some(per_byte) = bodies.time_per_byte().filter(|time| !time.is_zero()) {
        let per_mebibyte = per_byte.saturating_mul(1 << 20);
        lines.push(format!(
            "that is about {} a byte, {} a MiB",
            format_duration(per_byte),
            format_duration(per_mebibyte)
        ));
    }
    lines
}
