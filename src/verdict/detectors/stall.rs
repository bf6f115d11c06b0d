//! The whole target stands still: requests are waiting, and nothing is answered.

use std::ops::Range;
use std::time::Duration;

use crate::summary::Summary;
use crate::summary::evidence::timeline::{TENTH_NS, Tenth};
use crate::units::{format_count, format_counted, format_duration};
use crate::verdict::detectors::{DetectorInput, quantile};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "stall";

/// Shortest silence that is reported: half a second is when users begin to notice.
pub const MIN_SILENCE: Duration = Duration::from_millis(500);

/// Fewest requests that should have been answered during a silence. Fewer may just be slow ones.
pub const MIN_OVERDUE: u64 = 3;

/// A request is overdue after this many times the median service time. A slow target is not one
/// that stands still.
pub const TIMES_TYPICAL: u32 = 4;

/// A time without an answer while requests were in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    from: Duration,
    length: Duration,
    /// Requests sent in it, long enough before its end to be overdue. Those that a cold cache or a
    /// large body of their own makes slow are not among them.
    overdue: u64,
    /// A large body was in flight for at least half of it. Clients that give up on one while the
    /// target still works on it leave gaps.
    beside_large: bool,
}

/// Looks for the longest silence; `event_loop` is that detector's finding, which may explain it.
pub fn detect(input: &DetectorInput, event_loop: &Finding) -> Finding {
    let summary = input.summary;
    if summary.service.len() < MIN_OVERDUE {
        let answered = format_counted(summary.service.len(), "request", "requests");
        let title = format!("{answered} answered: too few to tell");
        return finding(CHECK, Outcome::Unknown, title);
    }
    let explained = event_loop.outcome == Outcome::Fail;
    let longest = longest(summary, explained);
    let Some(silence) = longest else {
        let title = format!(
            "answers never stopped for {} while requests waited{}",
            format_duration(MIN_SILENCE),
            if explained { ", except beside large bodies" } else { "" }
        );
        return finding(CHECK, Outcome::Pass, title);
    };
    if silence.overdue < MIN_OVERDUE {
        let title = format!(
            "nothing was answered for {}, but only {} waited: too few to call it a stall",
            format_duration(silence.length),
            format_counted(silence.overdue, "request", "requests")
        );
        return finding(CHECK, Outcome::Unknown, title);
    }
    let length = format_duration(silence.length);
    let title = format!("nothing was answered for {length} while requests were waiting");
    let mut found = finding(CHECK, Outcome::Fail, title);
    found.evidence = vec![
        format!(
            "it began {} after the start; {} requests sent in it should have been answered in it",
            format_duration(silence.from),
            format_count(silence.overdue)
        ),
        format!(
            "the median service time of the run was {}",
            format_duration(quantile(&summary.service, 0.5))
        ),
    ];
    if silence.beside_large {
        found
            .evidence
            .push("a request with a large body was in flight for most of that time".into());
    }
    found.advice = "Look for what stops everything at once at that moment: garbage collection, a \
                    lock, a blocking call in an event loop, a disk flush, a failover."
        .into();
    found
}

/// From when to when the target stood still longest.
pub(crate) fn span(summary: &Summary, explained: bool) -> Option<(Duration, Duration)> {
    let silence = longest(summary, explained)?;
    Some((silence.from, silence.from.saturating_add(silence.length)))
}

/// The longest silence that counts; beside large bodies none does where those are `explained`.
fn longest(summary: &Summary, explained: bool) -> Option<Silence> {
    let patience = quantile(&summary.service, 0.5) * TIMES_TYPICAL;
    silences(&summary.evidence.timeline.tenths, patience)
        .into_iter()
        .filter(|silence| silence.length >= MIN_SILENCE && silence.overdue > 0)
        .filter(|silence| !(explained && silence.beside_large))
        // Many requests that wait are stronger evidence than one that waits longer.
        .max_by_key(|silence| (silence.overdue >= MIN_OVERDUE, silence.length))
}

/// Every run of rows without an answer in which something was in flight throughout.
fn silences(tenths: &[Tenth], patience: Duration) -> Vec<Silence> {
    let mut found = Vec::new();
    let (mut in_flight, mut large) = (0_i64, 0_i64);
    // First row of the silence under way, and rows of it with a large body in flight.
    let mut begun: Option<(usize, usize)> = None;
    for (index, row) in tenths.iter().enumerate() {
        let large_before = large > 0;
        in_flight += i64::from(row.sent) - i64::from(row.ended);
        large += i64::from(row.large);
        if row.answered == 0 && in_flight > 0 {
            let (_, large_rows) = begun.get_or_insert((index, 0));
            *large_rows += usize::from(large_before || large > 0 || row.large != 0);
        } else if let Some((first, large_rows)) = begun.take() {
            found.push(silence(tenths, first..index, patience, large_rows));
        }
    }
    if let Some((first, large_rows)) = begun {
        found.push(silence(tenths, first..tenths.len(), patience, large_rows));
    }
    found
}

/// The silence of these rows: from the last answer before them to the first one after.
fn silence(tenths: &[Tenth], rows: Range<usize>, patience: Duration, large_rows: usize) -> Silence {
    let beside_large = large_rows * 2 >= rows.len();
    let start_of = |row: usize| TENTH_NS.saturating_mul(row as u64);
    let before = rows.start.checked_sub(1).map(|row| tenths[row]).filter(|row| row.answered > 0);
    let from = before.map_or(start_of(rows.start), |row| row.last_answer_ns);
    let after = tenths.get(rows.end).filter(|row| row.answered > 0);
    let to = after.map_or(start_of(rows.end), |row| row.first_answer_ns);
    let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    let overdue = rows
        .filter(|&row| start_of(row + 1).saturating_add(patience) <= to)
        .map(|row| u64::from(tenths[row].sent_quick))
        .sum();
    Silence {
        from: Duration::from_nanos(from),
        length: Duration::from_nanos(to.saturating_sub(from)),
        overdue,
        beside_large,
    }
}
