//! The target held the recorded load back: requests wait for connections or for earlier answers.

use crate::sample::Unsent;
use crate::shape::{Fault, Origin, ShapeReport, ShapeVerdict};
use crate::summary::drift::Drift;
use crate::units::{format_count, format_counted, format_duration};
use crate::verdict::detectors::{DetectorInput, quantile, quantile_text};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "held-back";

/// From this ratio of p99 latency (what users feel) to p99 service time on, waiting before the
/// request was sent is worth a sentence.
const NOTABLE_GAP: u32 = 2;

/// Says whether the shape failed by the target's fault.
pub fn detect(input: &DetectorInput, shape: &ShapeReport) -> Finding {
    let load = input.facts.origin.word();
    let mut found = match &shape.verdict {
        ShapeVerdict::Faithful => {
            finding(CHECK, Outcome::Pass, format!("the target took the {load} load as it came"))
        }
        ShapeVerdict::Degraded { .. } => {
            let title = format!("the target took the {load} load, but not every burst of it");
            finding(CHECK, Outcome::Pass, title)
        }
        ShapeVerdict::Invalid { fault: Fault::Target } => {
            let mut found = finding(CHECK, Outcome::Fail, shape.statement.clone());
            let slower = match input.facts.origin {
                Origin::Recorded if input.facts.session_pace => {
                    "is slower than production, and the sessions waited for it as people do: \
                     `pace: recorded` sends whatever it does."
                }
                Origin::Recorded => {
                    "is slower than production, or closes connections that production kept."
                }
                Origin::Generated => {
                    "is too slow for so many requests on so few connections (-c), or closes them."
                }
            };
            found.advice = format!(
                "Requests wait for connections, or for earlier answers on the same connection. \
                 Act on the findings above first; if there are none, the target {slower}"
            );
            found
        }
        ShapeVerdict::Invalid { .. } => {
            let title = format!("the {load} load was not offered to the target");
            finding(CHECK, Outcome::Unknown, title)
        }
    };
    if found.outcome != Outcome::Unknown {
        found.evidence = evidence(input);
    }
    found
}

fn evidence(input: &DetectorInput) -> Vec<String> {
    let summary = input.summary;
    let mut lines = Vec::new();
    if summary.drift.moved > 0 {
        let Drift { arrivals, moved, total, most } = summary.drift;
        let sessions = u32::try_from(input.facts.sessions.max(1)).unwrap_or(u32::MAX);
        lines.push(format!(
            "earlier answers came so late that they moved {} of {} requests, by {} at most and by \
             {} a session on average",
            format_count(moved),
            format_count(arrivals),
            format_duration(most),
            format_duration(total / sessions)
        ));
    }
    let waiting = [
        Unsent::SessionBehind,
        Unsent::RunEnded,
        Unsent::InFlightLimit,
        Unsent::InFlightBytes,
        Unsent::ConnectionLimit,
    ];
    for reason in waiting {
        if let Some(&count) = summary.fates.get(reason.name()) {
            let count = format_counted(count, "request", "requests");
            lines.push(format!("{count} left waiting ({})", reason.name()));
        }
    }
    let planned: u64 = summary.planned.opens.iter().copied().map(u64::from).sum();
    if summary.connections_opened > planned {
        lines.push(format!(
            "{} connections opened where {} were planned: one that failed, or that the target \
             closed, is opened again",
            format_count(summary.connections_opened),
            format_count(planned)
        ));
    }
    let (felt, served) = (&summary.latency, &summary.service);
    if !served.is_empty() && quantile(felt, 0.99) >= quantile(served, 0.99) * NOTABLE_GAP {
        lines.push(format!(
            "p99 is {} from the planned moment, but {} from the first byte sent: users wait before \
             the target sees their request",
            quantile_text(felt, 0.99),
            quantile_text(served, 0.99)
        ));
    }
    lines
}
