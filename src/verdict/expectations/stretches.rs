//! The stretches of a run that an expectation is held against, one after the other.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::scenario::expectation::clauses::After;
use crate::scenario::expectation::{Expectation, MetricName};
use crate::shape::OTHER_ROUTES;
use crate::stats::changes::steady_from;
use crate::stats::counts::as_f64;
use crate::stats::histograms::{coarse_times, merge};
use crate::stats::steady::{FILTER_WINDOW, without_outliers};
use crate::summary::cells::Class;
use crate::summary::{Route, Summary};
use crate::units::format_duration;
use crate::verdict::expectations::{Missing, Seen};

/// What happened in a part of a run.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Since the start of the run.
    pub(super) from: Duration,
    pub(super) length: Duration,
    /// Requests that were due in it.
    pub(super) requests: u64,
    /// Of them, those that never left this machine.
    pub(super) unsent: u64,
    /// Errors among them.
    pub(super) errors: u64,
    /// Requests that were sent in it, whenever they were due.
    pub(super) sent: u64,
    /// Answers that were complete in it.
    pub(super) answered: u64,
    /// Latencies (due to done) of those that were due in it, in nanoseconds.
    pub(super) latency: Histogram<u64>,
}

impl Stretch {
    /// The share of its requests that had no answer.
    pub(super) fn missing(&self) -> f64 {
        let missing = self.requests.saturating_sub(self.latency.len());
        as_f64(missing) / as_f64(self.requests.max(1))
    }
}

/// A second, or a longer step where only those are kept.
#[derive(Clone, Debug, Default)]
struct Row<'a> {
    /// Requests, those not sent, errors, sent, answered.
    counts: [u64; 5],
    latency: Option<Cow<'a, Histogram<u64>>>,
}

/// All stretches of the length that was asked for, each a step later than the one before.
pub(super) struct Stretches<'a> {
    rows: Vec<Row<'a>>,
    step: Duration,
    /// Rows of a stretch.
    width: usize,
    next: usize,
    /// Those of the stretch before; `None` until there was one.
    sum: Option<Sum>,
}

/// What the rows of the latest stretch come to.
struct Sum {
    counts: [u64; 5],
    latency: Histogram<u64>,
}

impl<'a> Stretches<'a> {
    /// The stretches of an expectation: one, from its `after` to the end, where it names no time.
    pub(super) fn of(expectation: &Expectation, seen: &Seen<'a>) -> Result<Self, Missing> {
        let clauses = &expectation.clauses;
        let (rows, step) = match &clauses.route {
            Some(pattern) => (by_cells(seen.summary, pattern)?, seen.summary.cells.window()),
            None => (by_second(expectation.metric, seen), Duration::from_secs(1)),
        };
        let steps = |time: Duration| {
            usize::try_from(time.as_nanos().div_ceil(step.as_nanos())).unwrap_or(usize::MAX)
        };
        let start = match clauses.after {
            None => 0,
            Some(After::Time(time)) => steps(time),
            Some(After::Warmup) => warm_from(seen.summary)?.div_ceil(steps_of(step)),
        };
        let left = rows.len().saturating_sub(start);
        let width = clauses.over.map_or(left, steps);
        if width == 0 || width > left {
            let step = |rows: usize| {
                format_duration(step.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX)))
            };
            return Err(match clauses.over {
                Some(_) if left > 0 => format!("only {} of {} were seen", step(left), step(width)),
                _ => "nothing was due in that part of the run".to_owned(),
            }
            .into());
        }
        Ok(Self { rows, step, width, next: start, sum: None })
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Stretch> {
        let from = self.next;
        let rows = self.rows.get(from..from.checked_add(self.width)?)?;
        // Only what was summed up can be slid: rows before the first stretch never were in it.
        let slid = self.sum.take().zip(self.rows.get(from.wrapping_sub(1)));
        let slid = slid.and_then(|(sum, before)| sum.slid(before, rows.last()));
        let sum = self.sum.insert(slid.unwrap_or_else(|| Sum::of(rows)));
        self.next += 1;
        let [requests, unsent, errors, sent, answered] = sum.counts;
        let times = |rows: usize| self.step.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
        Some(Stretch {
            from: times(from),
            length: times(self.width),
            requests,
            unsent,
            errors,
            sent,
            answered,
            latency: sum.latency.clone(),
        })
    }
}

impl Sum {
    fn of(rows: &[Row<'_>]) -> Self {
        let mut sum = Self { counts: [0; 5], latency: coarse_times() };
        for row in rows {
            sum.add(row);
        }
        sum
    }

    fn add(&mut self, row: &Row<'_>) {
        for (sum, count) in self.counts.iter_mut().zip(row.counts) {
            *sum += count;
        }
        if let Some(latency) = &row.latency {
            merge(&mut self.latency, latency);
        }
    }

    /// Takes a row out and another one in. `None` where the row was not in it.
    fn slid(mut self, out: &Row<'_>, last: Option<&Row<'_>>) -> Option<Self> {
        for (sum, count) in self.counts.iter_mut().zip(out.counts) {
            *sum = sum.checked_sub(count)?;
        }
        if let Some(latency) = &out.latency {
            self.latency.subtract(latency.as_ref()).ok()?;
        }
        if let Some(row) = last {
            self.add(row);
        }
        Some(self)
    }
}

/// Seconds of a step.
fn steps_of(step: Duration) -> usize {
    usize::try_from(step.as_secs().max(1)).unwrap_or(usize::MAX)
}

/// The seconds of the run. Where they are counted by, only whole ones: a part of a second has less
/// of everything.
fn by_second<'a>(metric: MetricName, seen: &Seen<'a>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = seen
        .summary
        .seconds
        .iter()
        .map(|second| {
            let [due, unsent] = [second.due, second.unsent].map(|all| all - second.set_aside);
            Row {
                counts: [due, unsent, second.errors, second.sent, second.answered].map(u64::from),
                latency: Some(Cow::Borrowed(&second.latency)),
            }
        })
        .collect();
    if metric.is_rate() {
        let whole = usize::try_from(seen.length.as_secs()).unwrap_or(usize::MAX);
        rows.resize_with(whole.min(crate::shape::MAX_SECONDS), Row::default);
    }
    rows
}

/// The windows of the routes that fit.
fn by_cells<'a>(summary: &Summary, pattern: &str) -> Result<Vec<Row<'a>>, Missing> {
    of_routes(summary, pattern)?;
    let mut rows: BTreeMap<u32, Row<'a>> = BTreeMap::new();
    let mut is_hidden = false;
    for (key, histogram) in summary.cells.all() {
        is_hidden |= &*key.route == OTHER_ROUTES;
        if !fits(pattern, &key.route) {
            continue;
        }
        let row = rows.entry(key.window).or_default();
        row.counts[0] += histogram.len();
        if matches!(key.class, Class::Answered(_)) {
            let latency = row.latency.get_or_insert_with(|| Cow::Owned(coarse_times()));
            merge(latency.to_mut(), histogram);
        }
    }
    if rows.is_empty() && is_hidden {
        return Err("that route is not among those whose times are kept".into());
    }
    let windows = rows.keys().next_back().map_or(0, |last| last.saturating_add(1));
    Ok((0..windows).map(|window| rows.remove(&window).unwrap_or_default()).collect())
}

/// What all routes that fit come to, over the whole run.
pub(super) fn of_routes(summary: &Summary, pattern: &str) -> Result<Route, Missing> {
    let mut found = None;
    for (name, route) in &summary.routes {
        if fits(pattern, name) {
            found.get_or_insert_with(Route::new).merge(route);
        }
    }
    match found {
        Some(found) => Ok(found),
        None if summary.routes.contains_key(OTHER_ROUTES) => {
            Err("there were more routes than are told apart; that one was not among those".into())
        }
        None => Err(Missing::Route(pattern.to_owned())),
    }
}

/// Whether some of the routes that fit may be among those that are not told apart, over the whole
/// run or (`by_time`) over its parts.
pub(super) fn may_hide(summary: &Summary, pattern: &str, by_time: bool) -> bool {
    // A pattern that the others fit as well counts them all.
    if fits(pattern, OTHER_ROUTES) {
        return false;
    }
    let is_one = !pattern.contains('*') && !pattern.starts_with('/');
    if summary.routes.contains_key(OTHER_ROUTES) && !is_one {
        return true;
    }
    let kept: BTreeSet<&str> = summary.cells.all().map(|(key, _)| &*key.route).collect();
    by_time
        && kept.contains(OTHER_ROUTES)
        && summary.routes.keys().any(|route| fits(pattern, route) && !kept.contains(&**route))
}

/// Whether a route, such as `GET /cart/{}`, fits a pattern, in which `*` stands for anything. A
/// pattern that begins with `/` or `*` is about the path, and fits every method.
pub(super) fn fits(pattern: &str, route: &str) -> bool {
    let path = route.split_once(' ').map_or(route, |(_, path)| path);
    let is_path = pattern.starts_with(['/', '*']);
    let (mut rest, mut parts) = (if is_path { path } else { route }, pattern.split('*'));
    let Some(begun) = parts.next().and_then(|first| rest.strip_prefix(first)) else {
        return false;
    };
    rest = begun;
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            let Some(found) = rest.find(before) else { return false };
            rest = &rest[found + before.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

/// The second from which on the median latency stayed as it ended.
fn warm_from(summary: &Summary) -> Result<usize, Missing> {
    let answered: Vec<(usize, f64)> = summary
        .seconds
        .iter()
        .enumerate()
        .filter(|(_, second)| !second.latency.is_empty())
        .map(|(index, second)| (index, as_f64(second.latency.value_at_percentile(50.0))))
        .collect();
    if answered.len() < LEAST_SECONDS {
        let seen = answered.len();
        let reason = format!("{seen} s with answers do not tell when it was warm");
        return Err(reason.into());
    }
    let medians: Vec<f64> = answered.iter().map(|(_, median)| *median).collect();
    let steady = steady_from(&without_outliers(&medians, FILTER_WINDOW))
        .ok_or("latency still changed in the last quarter: it never was warm")?;
    Ok(answered.get(steady).map_or(0, |(second, _)| *second))
}

/// Fewer seconds do not tell a change from noise.
const LEAST_SECONDS: usize = 20;
