//! What the evidence of the act `canary` means: requests that no log told of.

use std::fmt::Write;
use std::time::Duration;

use crate::act::canary::{Canary, StreamSeen};
use crate::units::format_duration;
use crate::verdict::acts::heartbeat;
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "log-canary";

/// Lines of a request, against those of the last good release.
pub const LINES_RATIO: std::ops::RangeInclusive<f64> = 0.9..=1.1;

/// Judges the evidence.
pub fn judge(evidence: &Canary) -> Vec<Finding> {
    let (mut failed, mut unknown, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for sent in &evidence.sent {
        let who = sent.node.as_deref().unwrap_or("the target");
        let kind = if sent.is_error { "fail" } else { "succeed" };
        if let Some(problem) = &sent.problem {
            unknown.push(format!("{who} was not asked: {problem}"));
        } else if sent.as_expected < sent.requests {
            let (good, all) = (sent.as_expected, sent.requests);
            unknown.push(format!("{good} of {all} requests to {who} that had to {kind} did"));
        }
    }
    for stream in &evidence.streams {
        match judge_stream(stream, evidence.stopped) {
            (Outcome::Fail, text) => failed.extend(text),
            (Outcome::Unknown, text) => unknown.extend(text),
            (Outcome::Pass, text) => told.extend(text),
        }
    }
    let (outcome, title, advice) = match (failed.first(), unknown.first()) {
        (Some(first), _) => (
            Outcome::Fail,
            first.clone(),
            if evidence.streams.iter().any(is_unmarked) { UNMARKED } else { MISSING },
        ),
        (None, Some(first)) => (
            Outcome::Unknown,
            first.clone(),
            "Correct the paths and streams of the act `canary`, and what may be read.",
        ),
        (None, None) if evidence.streams.is_empty() => (
            Outcome::Unknown,
            "no stream was declared".to_owned(),
            "List the log streams under `streams` of the act `canary`.",
        ),
        (None, None) => {
            let streams = evidence.streams.len();
            (Outcome::Pass, format!("marked requests showed up in all {streams} streams"), "")
        }
    };
    let mut found = finding(CHECK, outcome, title);
    let all = [failed, unknown, told].concat();
    found.evidence = all.into_iter().filter(|text| *text != found.title).collect();
    found.advice = advice.into();
    let heartbeat = evidence.heartbeat.as_ref().map(heartbeat::judge);
    std::iter::once(found).chain(heartbeat).collect()
}

const MISSING: &str = "Check the logger's configuration and the shipping of this stream; send one \
                       request by hand and look for it.";

/// A log that is well may simply not print the header by which lines are known.
const UNMARKED: &str = "Lines came, but none with a marker. Let this log print the header that \
                        carries it (`header` of the act `canary`, `X-Request-Id` unless it says \
                        otherwise; in nginx `$http_x_request_id`); where it does, check the \
                        logger's configuration and the shipping of the stream.";

/// Lines with something in them were written, and none has a marker.
fn is_unmarked(seen: &StreamSeen) -> bool {
    seen.problem.is_none() && seen.marked == 0 && seen.lines > seen.blank
}

fn judge_stream(seen: &StreamSeen, stopped: bool) -> (Outcome, Vec<String>) {
    let name = &seen.name;
    if let Some(problem) = &seen.problem {
        return (Outcome::Unknown, vec![format!("{name} could not be read: {problem}")]);
    }
    let waited = format_duration(Duration::from_nanos(seen.waited_ns));
    let mut failed = Vec::new();
    for ([wanted, shown], kind) in [(seen.success, "successful"), (seen.error, "failing")] {
        let is_missing = if seen.any { shown == 0 } else { shown < wanted };
        if wanted > 0 && is_missing && !stopped {
            failed.push(format!(
                "{name}: {} of {wanted} {kind} requests did not show up within {waited}; \
                 {} other lines did, {} of them blank",
                wanted - shown,
                seen.lines.saturating_sub(seen.marked),
                seen.blank
            ));
        }
    }
    for wrong in &seen.malformed {
        failed.push(format!("{name}: marked lines are malformed: {wrong}"));
    }
    let shown = seen.success[1] + seen.error[1];
    if seen.misdated > 0 {
        let direction = if seen.skew_ns < 0 { "before it was asked for" } else { "ahead of ours" };
        let skew = Duration::from_nanos(seen.skew_ns.unsigned_abs() / 100_000_000 * 100_000_000);
        failed.push(format!(
            "{name}: the lines of {} of {shown} requests are misdated, the worst {} {direction}",
            seen.misdated,
            format_duration(skew)
        ));
    }
    if let Some(usual) = seen.lines_usual.filter(|_| shown > 1) {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand lines")]
        let ratio = seen.marked as f64 / (f64::from(shown) * usual);
        if !LINES_RATIO.contains(&ratio) {
            let marked = seen.marked;
            failed.push(format!(
                "{name}: {marked} lines of {shown} requests, {ratio:.2} times as many as usual"
            ));
        }
    }
    if !failed.is_empty() {
        return (Outcome::Fail, failed);
    }
    if seen.success[0] + seen.error[0] == 0 || stopped {
        let text = format!(
            "{name}: no marked request was answered as it had to be, or all of \
                            this was stopped"
        );
        return (Outcome::Unknown, vec![text]);
    }
    let mut told = format!("{name}: {} marked lines of {shown} requests", seen.marked);
    for (count, what) in [
        (u64::from(seen.repeated), "requests with more than one line"),
        (seen.torn, "torn lines"),
        (seen.blank, "blank lines"),
    ] {
        if count > 0 {
            let _ = write!(told, ", {count} {what}");
        }
    }
    (Outcome::Pass, vec![told])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(stream: StreamSeen) -> Outcome {
        let streams = vec![StreamSeen { name: "app".to_owned(), ..stream }];
        judge(&Canary { streams, ..Canary::default() })[0].outcome
    }

    /// A log that is well and does not print the header is another thing than one that is blank.
    #[test]
    fn a_log_that_does_not_print_the_marker_is_told_so() {
        let advice = |stream: StreamSeen| {
            let stream = StreamSeen { name: "app".to_owned(), ..stream };
            let found = judge(&Canary { streams: vec![stream], ..Canary::default() }).remove(0);
            assert_eq!(found.outcome, Outcome::Fail, "{}", found.title);
            found.advice
        };
        let silent = StreamSeen { success: [10, 0], error: [10, 0], ..Default::default() };
        assert_eq!(advice(silent.clone()), MISSING);
        assert_eq!(advice(StreamSeen { lines: 20, blank: 20, ..silent.clone() }), MISSING);
        assert_eq!(advice(StreamSeen { lines: 20, ..silent.clone() }), UNMARKED);
        let some = StreamSeen { success: [10, 9], lines: 29, marked: 9, ..silent };
        assert_eq!(advice(some), MISSING);
    }

    #[test]
    fn a_stream_that_misses_requests_fails_and_its_twin_passes() {
        let good = StreamSeen {
            success: [10, 10],
            error: [10, 10],
            lines: 20,
            marked: 20,
            ..Default::default()
        };
        assert_eq!(outcome(good.clone()), Outcome::Pass);
        assert_eq!(outcome(StreamSeen { error: [10, 0], ..good.clone() }), Outcome::Fail);
        assert_eq!(outcome(StreamSeen { success: [10, 9], ..good.clone() }), Outcome::Fail);
        let few = StreamSeen { lines_usual: Some(2.0), ..good.clone() };
        assert_eq!(outcome(few), Outcome::Fail);
        let malformed = StreamSeen { malformed: vec!["1 × has no level".into()], ..good.clone() };
        assert_eq!(outcome(malformed), Outcome::Fail);
        let closed = StreamSeen { problem: Some("Permission denied".into()), ..good };
        assert_eq!(outcome(closed), Outcome::Unknown);
        assert_eq!(outcome(StreamSeen::default()), Outcome::Unknown);
        assert_eq!(judge(&Canary::default())[0].outcome, Outcome::Unknown);
    }
}
