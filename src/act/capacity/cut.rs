//! Ends a trial that cannot hold any more: each further second would only fill the target's queues.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::drive::gauges::Gauges;
use crate::drive::stop::Stop;
use crate::scenario::expectation::{Expectation, MetricName, Stat};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::histograms::nanoseconds;
use crate::units::format_share;

/// What a trial is watched by.
pub(super) struct Watch<'a> {
    /// What is expected.
    pub(super) expectations: &'a [Expectation],
    /// What does not count.
    pub(super) run_in: Duration,
    /// What does.
    pub(super) length: Duration,
    /// Requests of both.
    pub(super) requests: u64,
    /// The user's wish.
    pub(super) wish: &'a Stop,
    /// What ends the trial.
    pub(super) stop: &'a Stop,
}

/// What was seen while a trial was driven.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Why it was ended early.
    pub(super) cut: Option<String>,
    /// Answers by the second in the time that counts.
    pub(super) answered_rate: f64,
}

/// How often is looked.
const TICK: Duration = Duration::from_millis(100);

/// A second is over for good this long after its end.
const SETTLED: Duration = Duration::from_millis(100);

/// Drives a trial while it is watched.
pub(super) fn watched<T>(
    watch: &Watch<'_>,
    gauges: &Gauges,
    drive: impl FnOnce() -> T,
) -> (T, Watched) {
    gauges.keep_recent(watch.run_in + watch.length + Duration::from_secs(60));
    thread::scope(|scope| {
        let (driving, ended) = mpsc::channel::<()>();
        let follow = scope.spawn(move || follow(watch, gauges, &ended));
        let driven = drive();
        drop(driving);
        let watched = follow.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (driven, watched)
    })
}

fn follow(watch: &Watch<'_>, gauges: &Gauges, ended: &Receiver<()>) -> Watched {
    let mut watched = Watched::default();
    let (mut first, mut last) = (None, None);
    let end = watch.run_in + watch.length;
    let mut judged = 0;
    while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        if watch.wish.is_requested() {
            watch.stop.request();
        }
        let now = gauges.snapshot();
        let at = (now.elapsed, now.answered);
        if now.elapsed >= watch.run_in && now.elapsed <= end + TICK {
            first.get_or_insert(at);
            last = Some(at);
        }
        let second = now.elapsed.saturating_sub(SETTLED).as_secs();
        if second > judged && !watch.stop.is_requested() {
            judged = second;
            let mut asked = watch.expectations.iter();
            if let Some(why) = asked.find_map(|it| hopeless(it, watch, gauges, second)) {
                watch.stop.request();
                watched.cut = Some(why);
            }
        }
    }
    if let (Some((from, before)), Some((to, after))) = (first, last) {
        let seconds = to.saturating_sub(from).as_secs_f64();
        watched.answered_rate =
            if seconds > 0.0 { as_f64(after.saturating_sub(before)) / seconds } else { 0.0 };
    }
    watched
}

/// Why an expectation cannot be met any more, whatever comes: more requests than may be were too
/// slow or have failed. Of those that were settled before this second of the run.
fn hopeless(
    expectation: &Expectation,
    watch: &Watch<'_>,
    gauges: &Gauges,
    until: u64,
) -> Option<String> {
    // What a clause narrows down is judged when the trial is over.
    let is_plain = expectation.clauses.are_of_the_whole();
    let (_, value) = expectation.compared().filter(|(op, _)| is_plain && op.is_ceiling())?;
    let run_in = watch.run_in.as_secs();
    let all = as_f64(watch.requests);
    match (expectation.metric, expectation.stat) {
        (MetricName::Errors, _) => {
            let errors: u64 = gauges.recent_between(run_in + 1, until)?.errors;
            (as_f64(errors) > value * all).then(|| {
                let share = format_share(as_f64(errors) / all);
                format!("`{}` cannot hold any more: {share} have failed", expectation.text)
            })
        }
        (MetricName::Latency, Some(Stat::Percentile(percentile))) => {
            let mut slow = 0;
            for second in run_in + 1..until {
                let latency = gauges.recent_between(second, second + 1)?.latency;
                // What took longer than this was due in the run-in.
                let most = nanoseconds(Duration::from_secs(second - run_in));
                let bound = as_index(value) as u64;
                if most > bound {
                    slow += latency.count_between(bound.saturating_add(1), most);
                }
            }
            (as_f64(slow) > (1.0 - percentile / 100.0) * all).then(|| {
                let share = format_share(as_f64(slow) / all);
                format!("`{}` cannot hold any more: {share} took longer", expectation.text)
            })
        }
        _ => None,
    }
}
