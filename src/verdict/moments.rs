//! When what was found happened, so that it is seen beside everything else of that time.

use std::cmp::Reverse;
use std::time::Duration;

use crate::scenario::acts::ActName;
use crate::stats::histograms::nanoseconds;
use crate::summary::Summary;
use crate::summary::evidence::timeline::TENTH_NS;
use crate::verdict::acts::{canary, capacity, cold, connections, fingerprint, payloads};
use crate::verdict::detectors::{connection_limit, errors, event_loop, generator, outage, stall};
use crate::verdict::{Finding, Outcome};

/// When a finding's evidence was seen, since the start of the replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The finding's check.
    pub check: String,
    /// Begin, ns.
    pub from_ns: u64,
    /// End, ns; no earlier than the begin.
    pub to_ns: u64,
}

/// The moments of what failed, in the order of the findings. What has no time of its own, such as
/// a cache that was cold from the start, has none.
pub fn moments(findings: &[Finding], summary: &Summary) -> Vec<Moment> {
    let failed = |check: &str| {
        findings.iter().any(|each| each.check == check && each.outcome == Outcome::Fail)
    };
    let span_of = |check: &str| match check {
        stall::CHECK => stall::span(summary, failed(event_loop::CHECK)),
        outage::CHECK => outage::span(summary),
        connection_limit::CHECK => turned_away(summary),
        errors::CHECK => around_the_worst(summary, |second| u64::from(second.errors)),
        generator::CHECK => around_the_worst(summary, |second| second.max_lateness_ns),
        _ => None,
    };
    let all = findings.iter().filter(|finding| finding.outcome == Outcome::Fail);
    all.filter_map(|finding| {
        let (from, to) = span_of(&finding.check)?;
        let (from_ns, to_ns) = (nanoseconds(from), nanoseconds(to.max(from)));
        Some(Moment { check: finding.check.clone(), from_ns, to_ns })
    })
    .collect()
}

/// The act that a check is about; `None` of what is seen in the replay, or as long as a run lasts.
pub fn act_of(check: &str) -> Option<ActName> {
    match check {
        fingerprint::NODE_DRIFT
        | fingerprint::RELEASE_DRIFT
        | fingerprint::NODE_BEHAVIOUR
        | fingerprint::CLOCK_OFFSET => Some(ActName::Fingerprint),
        canary::CHECK => Some(ActName::Canary),
        connections::CHECK | connections::DEMAND | connections::LAZY_POOLS => {
            Some(ActName::Connections)
        }
        payloads::BLOCKING | payloads::LIMIT => Some(ActName::Payloads),
        cold::CHECK | cold::FORECAST => Some(ActName::Cold),
        capacity::CHECK => Some(ActName::Capacity),
        _ => None,
    }
}

/// From the first connection that was turned away to the last.
fn turned_away(summary: &Summary) -> Option<(Duration, Duration)> {
    let tenths = &summary.evidence.timeline.tenths;
    let first = tenths.iter().position(|row| row.turned_away > 0)?;
    let last = tenths.iter().rposition(|row| row.turned_away > 0)?;
    let start_of = |row: usize| Duration::from_nanos(TENTH_NS.saturating_mul(row as u64));
    Some((start_of(first), start_of(last + 1)))
}

/// The second with most of something, with its neighbours that have half of that or more; none
/// where no second has any.
fn around_the_worst(
    summary: &Summary,
    figure: impl Fn(&crate::summary::Second) -> u64,
) -> Option<(Duration, Duration)> {
    let figures: Vec<u64> = summary.seconds.iter().map(figure).collect();
    // The first of several that are alike.
    let (worst, most) =
        figures.iter().enumerate().max_by_key(|(second, figure)| (**figure, Reverse(*second)))?;
    let alike = |figure: &&u64| figure.saturating_mul(2) >= *most;
    let before = figures[..worst].iter().rev().take_while(alike).count();
    let after = figures[worst..].iter().take_while(alike).count();
    let start_of = |second: usize| Duration::from_secs(second as u64);
    (*most > 0).then(|| (start_of(worst - before), start_of(worst + after)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Fate;
    use crate::summary::examples::{answered, arrival, failed};
    use crate::verdict::finding;

    const MS: Duration = Duration::from_millis(1);

    /// A request each 100 ms for ten seconds; connections are refused from 4 s to 6 s.
    fn refusing() -> Summary {
        let mut summary = Summary::new();
        for index in 0..100 {
            let arrival = arrival(index, MS * 100 * u32::try_from(index).unwrap());
            let sample = match index {
                40..60 => failed(&arrival, Fate::Refused),
                _ => answered(&arrival, MS),
            };
            summary.add(&arrival, &sample);
        }
        summary
    }

    fn told(check: &str, outcome: Outcome, summary: &Summary) -> Vec<[u64; 2]> {
        let found = [finding("load-shape", Outcome::Pass, ""), finding(check, outcome, "")];
        let all = moments(&found, summary);
        assert!(all.iter().all(|moment| moment.check == check));
        all.iter().map(|moment| [moment.from_ns, moment.to_ns].map(|ns| ns / 1_000_000)).collect()
    }

    #[test]
    fn what_failed_has_the_time_in_which_it_was_seen() {
        let summary = refusing();
        let fail = Outcome::Fail;
        assert_eq!(told(connection_limit::CHECK, fail, &summary), [[4_000, 6_000]]);
        assert_eq!(told(errors::CHECK, fail, &summary), [[4_000, 6_000]]);
        // A second with less than half of the worst one's is no part of it.
        let mut thinning = summary.clone();
        thinning.seconds[5].errors = 4;
        thinning.seconds[3].errors = 5;
        assert_eq!(told(errors::CHECK, fail, &thinning), [[3_000, 5_000]]);
        let [from, to] = told(outage::CHECK, fail, &summary)[0];
        assert!((4_000..4_200).contains(&from) && (5_900..6_100).contains(&to), "{from} {to}");
    }

    #[test]
    fn what_an_act_found_is_of_that_act() {
        assert_eq!(act_of(cold::CHECK), Some(ActName::Cold));
        assert_eq!(act_of(connections::LAZY_POOLS), Some(ActName::Connections));
        for check in ["cold-cache", "canary-heartbeat", "watch", stall::CHECK] {
            assert_eq!(act_of(check), None, "{check}");
        }
    }

    #[test]
    fn what_passed_or_has_no_time_has_no_moment() {
        let none: Vec<[u64; 2]> = Vec::new();
        assert_eq!(told(connection_limit::CHECK, Outcome::Pass, &refusing()), none);
        assert_eq!(told("cold-cache", Outcome::Fail, &refusing()), none);
        for check in [connection_limit::CHECK, errors::CHECK, outage::CHECK, stall::CHECK] {
            assert_eq!(told(check, Outcome::Fail, &Summary::new()), none, "{check}");
        }
    }
}
