//! What the evidence of the act `payloads` means: who is held up by large requests, and which
//! sizes are refused.

mod blocking;
mod limit;
#[cfg(test)]
mod examples;

use crate::act::payloads::{Largest, Payloads, Recorded, What};
use crate::stats::counts::as_f64;
use crate::units::{format_counted, format_share, format_size};
use crate::verdict::{Finding, Outcome, about, finding};

/// Stable name of the finding that large requests hold up small ones.
pub const BLOCKING: &str = "payload-blocking";

/// Stable name of the finding that sizes are refused.
pub const LIMIT: &str = "payload-limit";

/// Judges the evidence: one finding of each kind for each sweep that can tell.
pub fn judge(evidence: &Payloads) -> Vec<Finding> {
    if evidence.sweeps.is_empty() {
        let reason =
            if evidence.interrupted { "stopped before" } else { "nothing was seen, since" };
        let title = format!("{reason} anything large was sent");
        return [BLOCKING, LIMIT].map(|check| finding(check, Outcome::Unknown, &title)).into();
    }
    let mut findings = Vec::new();
    for sweep in &evidence.sweeps {
        let before = findings.len();
        if sweep.what != What::MysqlPacket {
            findings.push(blocking::judge(sweep, evidence));
        }
        let has_limit = matches!(sweep.what, What::HttpRequest | What::MysqlPacket);
        if has_limit || sweep.boundary.is_some() {
            findings.push(limit::judge(sweep, evidence));
        }
        let subject = format!("{} {}", sweep.endpoint, sweep.what.name());
        let subject = format!("{subject} {}", sweep.place);
        about(findings.get_mut(before..).unwrap_or_default(), subject.trim_end());
    }
    findings
}

/// Clients told in evidence.
const TOLD: usize = 3;

/// A body is an outlier when it is this many times the median.
const OUTLIER: u64 = 10;

/// What production sent, and whose bodies were the largest.
fn told_recorded(recorded: &Recorded) -> Vec<String> {
    if recorded.bodies == 0 {
        return vec!["the recording has no request with a body".to_owned()];
    }
    let mut lines = vec![format!(
        "production sent {}: p50 {}, p99 {}, largest {}",
        format_counted(recorded.bodies, "body", "bodies"),
        format_size(recorded.p50),
        format_size(recorded.p99),
        format_size(recorded.max)
    )];
    lines.extend(recorded.largest.iter().take(TOLD).map(|each| told_client(each, recorded)));
    lines.extend(recorded.problem.clone());
    lines
}

fn told_client(client: &Largest, recorded: &Recorded) -> String {
    let share = as_f64(client.bytes) / as_f64(recorded.bytes.max(1));
    let times = client.max / recorded.p50.max(1);
    let outlier = if times >= OUTLIER {
        format!(", an outlier of {times} times the median")
    } else {
        String::new()
    };
    format!(
        "client {:08x} sent up to {} to {}, {} of all bytes{outlier}",
        client.session >> 32,
        format_size(client.max),
        client.route,
        format_share(share)
    )
}
