//! The target is not there: it turns connections away and answers nobody meanwhile. A limit turns
//! away those beyond it, and goes on serving the others.

use std::time::Duration;

use crate::summary::Summary;
use crate::summary::evidence::timeline::{TENTH_NS, Tenth};
use crate::units::{format_counted, format_duration};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "outage";

/// Fewest connections turned away in silence: one or two may be a lost packet.
pub const MIN_TURNED_AWAY: u64 = 3;

/// Fewest tenths of a second on end without an answer: half a second is long against the time
/// between two answers of a target under load.
const SILENT_ROWS: usize = 5;

/// Looks for times in which connections were turned away and nothing was answered.
pub fn detect(input: &DetectorInput) -> Finding {
    let evidence = &input.summary.evidence;
    if evidence.openings.tried == 0 {
        return finding(CHECK, Outcome::Unknown, "no connection was opened");
    }
    let turned_away: u64 = evidence.openings.turned_away.values().sum();
    let outage = outage(&evidence.timeline.tenths);
    let most = outage.turned_away * 10 >= turned_away * 9;
    if outage.turned_away < MIN_TURNED_AWAY || !most {
        return finding(CHECK, Outcome::Pass, "the target was there throughout");
    }
    let connections = format_counted(outage.turned_away, "connection", "connections");
    let title = if turned_away == evidence.openings.tried {
        format!("the target turned away all of {connections}: nothing serves there")
    } else {
        format!("the target was down: it turned {connections} away and answered nobody meanwhile")
    };
    let mut found = finding(CHECK, Outcome::Fail, title);
    found.evidence = vec![format!(
        "from {} to {} after the start",
        format_duration(outage.from),
        format_duration(outage.to)
    )];
    found.evidence.extend(evidence.openings.turned_away.iter().map(|(way, &count)| {
        format!("{} {}", format_counted(count, "connection", "connections"), way.name())
    }));
    found.advice =
        "Look for a crash, a restart or a failed deployment of the target at that time, \
                    and whether the address is the right one."
            .into();
    found
}

/// From when to when the target was away.
pub(crate) fn span(summary: &Summary) -> Option<(Duration, Duration)> {
    let outage = outage(&summary.evidence.timeline.tenths);
    (outage.turned_away > 0).then_some((outage.from, outage.to))
}

/// Connections turned away in silence, and from when to when.
struct Outage {
    turned_away: u64,
    from: Duration,
    to: Duration,
}

fn outage(tenths: &[Tenth]) -> Outage {
    let start_of = |row: usize| Duration::from_nanos(TENTH_NS.saturating_mul(row as u64));
    let mut outage = Outage { turned_away: 0, from: Duration::MAX, to: Duration::ZERO };
    let mut index = 0;
    for rows in tenths.chunk_by(|a, b| (a.answered == 0) == (b.answered == 0)) {
        let turned_away: u64 = rows.iter().map(|row| u64::from(row.turned_away)).sum();
        let silent = rows.len() >= SILENT_ROWS && rows.iter().all(|row| row.answered == 0);
        if silent && turned_away > 0 {
            outage.turned_away += turned_away;
            outage.from = outage.from.min(start_of(index));
            outage.to = start_of(index + rows.len());
        }
        index += rows.len();
    }
    outage
}
