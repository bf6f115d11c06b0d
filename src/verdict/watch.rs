//! What the probes saw means: limits that are near, counters that moved, and silence.

use std::time::Duration;

use crate::act::Performed;
use crate::probe::record::{Record, Series, SeriesKind, UNSEEN};
use crate::scenario::acts::ActName;
use crate::units::format_duration;
use crate::verdict::{Finding, Outcome, about, finding};

/// A probe that saw, and saw nothing bad.
pub const CHECK: &str = "watch";
/// A gauge came near its limit.
pub const LIMIT: &str = "watch-limit";
/// A counter grew that should stand still.
pub const COUNTER: &str = "watch-counter";
/// A probe saw nothing, or nothing any more.
pub const SILENT: &str = "watch-silent";

/// A gauge is near its limit from this share of it on: the rest is lost to the next deployment,
/// whose old and new generation hold their connections at once.
pub const NEAR: f64 = 0.8;

/// Counters that stand still in a healthy peak.
pub(super) const STILL: [&str; 11] = [
    "rejected_connections",
    "evicted_keys",
    "Connection_errors_max_connections",
    "deadlocks",
    "evictions",
    "listen_disabled_num",
    "matching lines",
    "ListenOverflows",
    "ListenDrops",
    "node_netstat_TcpExt_ListenOverflows",
    "node_netstat_TcpExt_ListenDrops",
];

/// How long after a drill its load is still seen.
const AFTERMATH_NS: u64 = 3_000_000_000;

/// The findings of all probes. What drills did on purpose, by going to limits, is left out.
pub fn judge(records: &[Record], performed: &[Performed]) -> Vec<Finding> {
    let on_purpose: Vec<(u64, u64)> = performed
        .iter()
        .filter(|each| goes_to_limits(each.act))
        .map(|each| (each.started_ns, each.ended_ns.saturating_add(AFTERMATH_NS)))
        .collect();
    records.iter().flat_map(|record| judge_one(record, &on_purpose)).collect()
}

fn goes_to_limits(act: ActName) -> bool {
    match act {
        ActName::Connections | ActName::Payloads | ActName::Cold | ActName::Capacity => true,
        ActName::Fingerprint | ActName::Canary | ActName::Replay => false,
    }
}

fn judge_one(record: &Record, on_purpose: &[(u64, u64)]) -> Vec<Finding> {
    let name = &record.name;
    if record.polls == 0 {
        let why = record.gaps.first().map_or("it never looked", |gap| gap.reason.as_str());
        let mut silent = finding(SILENT, Outcome::Unknown, format!("{name} saw nothing: {why}"));
        silent.advice = format!("Repair the probe `{name}` under `watch`, then rehearse again.");
        about(std::slice::from_mut(&mut silent), name);
        return vec![silent];
    }
    let mut found: Vec<Finding> = record
        .series
        .iter()
        .filter_map(|series| match series.kind {
            SeriesKind::Gauge => near_limit(record, series, on_purpose),
            SeriesKind::Counter => moved(record, series, on_purpose),
        })
        .collect();
    if let Some(gap) = record.gaps.last().filter(|gap| gap.to_ns.is_none()) {
        let title = format!("{name} sees nothing since {}: {}", at(gap.from_ns), gap.reason);
        let mut silent = finding(SILENT, Outcome::Unknown, title);
        silent.advice = format!("See what happened to what `{name}` watches at that moment.");
        found.push(silent);
    }
    if let Some(unseen) = record.facts.get(UNSEEN).filter(|unseen| !unseen.is_empty()) {
        let mut silent = finding(SILENT, Outcome::Unknown, format!("{name}: {unseen}"));
        silent.advice = format!("Look at what `{name}` watches, or ask it for less.");
        found.push(silent);
    }
    if found.is_empty() {
        let title = format!("{name} saw nothing bad in {} looks", record.polls);
        found.push(finding(CHECK, Outcome::Pass, title));
    }
    about(&mut found, name);
    for each in &mut found {
        for gap in record.gaps.iter().take(3) {
            if let Some(to_ns) = gap.to_ns {
                let (from, to) = (at(gap.from_ns), at(to_ns));
                each.evidence.push(format!("nothing was seen from {from} to {to}: {}", gap.reason));
            }
        }
        let facts = record.facts.iter().filter(|(name, _)| *name == "maxclients");
        each.evidence.extend(facts.map(|(name, fact)| format!("{name}: {fact}")));
    }
    found
}

fn near_limit(record: &Record, series: &Series, on_purpose: &[(u64, u64)]) -> Option<Finding> {
    let limit = series.limit?;
    let seen: Vec<(u64, f64)> = series
        .points
        .iter()
        .copied()
        .filter(|(moment, _)| !on_purpose.iter().any(|(from, to)| (from..=to).contains(&moment)))
        .collect();
    let (peak_ns, peak) = seen.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    if peak < limit * NEAR {
        return None;
    }
    let (name, metric) = (&record.name, &series.metric);
    let title =
        format!("{name}: {metric} reached {peak:.0} of {limit:.0} ({:.0} %)", peak / limit * 100.0);
    let mut near = finding(LIMIT, Outcome::Fail, title);
    let above = seen.iter().filter(|(_, value)| *value >= limit * NEAR).count();
    near.evidence = vec![
        format!("the peak was {} after the start of the rehearsal", at(peak_ns)),
        format!("{above} of {} looks were above {:.0} % of the limit", seen.len(), NEAR * 100.0),
    ];
    near.subject = format!("{name}.{metric}");
    near.advice = format!(
        "Raise the limit behind {metric} of {name}, or shrink what uses it; a release that runs \
         old and new at once needs twice as much."
    );
    Some(near)
}

fn moved(record: &Record, series: &Series, on_purpose: &[(u64, u64)]) -> Option<Finding> {
    // Of a page's series, without its labels.
    let name = series.metric.split('{').next().unwrap_or_default();
    if !STILL.contains(&name) {
        return None;
    }
    let (mut grown, mut first_ns) = (0.0, None);
    for pair in series.points.windows(2) {
        let &[(start, before), (end, after)] = pair else { continue };
        let is_ours = on_purpose.iter().any(|(from, to)| start <= *to && end >= *from);
        // A counter that fell began again at zero.
        let rise = if after < before { after } else { after - before };
        if rise > 0.0 && !is_ours {
            grown += rise;
            first_ns.get_or_insert(end);
        }
    }
    let first_ns = first_ns?;
    let (name, metric) = (&record.name, &series.metric);
    let mut moved = finding(COUNTER, Outcome::Fail, format!("{name}: {metric} grew by {grown:.0}"));
    moved.evidence = vec![format!("first seen {} after the start of the rehearsal", at(first_ns))];
    moved.subject = format!("{name}.{metric}");
    moved.advice = format!("Find out why {metric} of {name} grows: in a healthy peak it does not.");
    Some(moved)
}

fn at(moment_ns: u64) -> String {
    format_duration(Duration::from_nanos(moment_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::Evidence;
    use crate::act::connections::Connections;
    use crate::probe::record::Gap;

    const S: u64 = 1_000_000_000;

    fn record(metric: &str, kind: SeriesKind, values: &[f64]) -> Record {
        let points = (0..).map(|second| second * S).zip(values.iter().copied()).collect();
        let series = Series {
            metric: metric.to_owned(),
            kind,
            unit: String::new(),
            limit: Some(100.0),
            points,
        };
        Record { name: "redis".to_owned(), polls: 3, series: vec![series], ..Record::default() }
    }

    fn verdict(record: &Record) -> (String, Outcome, String) {
        let found = judge(std::slice::from_ref(record), &[]).remove(0);
        (found.check, found.outcome, found.title)
    }

    #[test]
    fn a_near_limit_fails_with_its_peak_and_a_far_one_passes() {
        let broken = verdict(&record("connected_clients", SeriesKind::Gauge, &[3.0, 81.0, 5.0]));
        assert_eq!((broken.0.as_str(), broken.1), (LIMIT, Outcome::Fail));
        assert!(broken.2.contains("81 of 100"), "{}", broken.2);
        let healthy = verdict(&record("connected_clients", SeriesKind::Gauge, &[3.0, 79.0, 5.0]));
        assert_eq!((healthy.0.as_str(), healthy.1), (CHECK, Outcome::Pass));
    }

    #[test]
    fn a_counter_that_moves_fails_and_one_that_stands_passes() {
        let broken = verdict(&record("evicted_keys", SeriesKind::Counter, &[7.0, 7.0, 9.0]));
        assert_eq!((broken.0.as_str(), broken.1), (COUNTER, Outcome::Fail));
        assert!(broken.2.contains("grew by 2"), "{}", broken.2);
        let healthy = verdict(&record("evicted_keys", SeriesKind::Counter, &[7.0, 7.0, 7.0]));
        assert_eq!(healthy.1, Outcome::Pass);
        let other = verdict(&record("keyspace_hits", SeriesKind::Counter, &[7.0, 8.0, 9.0]));
        assert_eq!(other.1, Outcome::Pass);
    }

    #[test]
    fn silence_is_unknown_with_its_reason() {
        let gap = Gap { from_ns: 9 * S, to_ns: None, reason: "connection refused".to_owned() };
        let never = Record { gaps: vec![gap.clone()], ..Record::default() };
        let never = verdict(&never);
        assert_eq!((never.0.as_str(), never.1), (SILENT, Outcome::Unknown));
        assert!(never.2.contains("connection refused"), "{}", never.2);
        let died = Record { gaps: vec![gap], ..record("x", SeriesKind::Gauge, &[1.0]) };
        let died = verdict(&died);
        assert_eq!((died.0.as_str(), died.1), (SILENT, Outcome::Unknown));
        assert!(died.2.contains("since 9 s: connection refused"), "{}", died.2);
    }

    #[test]
    fn what_a_drill_did_on_purpose_is_no_finding() {
        let broken = record("connected_clients", SeriesKind::Gauge, &[3.0, 100.0, 5.0]);
        let drill = Performed {
            act: ActName::Connections,
            started_ns: S / 2,
            ended_ns: S + S / 2,
            evidence: Evidence::Connections(Connections::default()),
        };
        let found = judge(&[broken], &[drill]);
        assert_eq!(found[0].outcome, Outcome::Pass, "{found:?}");
    }
}
