//! Ends a trial that cannot hold any more: each further second would only fill the target's queues.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::drive::gauges::Gauges;
use crate::drive::stop::Stop;
use crate::scenario::acts::ActName;
use crate::scenario::expectation::{Expectation, MetricName};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::histograms::{Stat, nanoseconds};
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
    /// How much of the time that counts it was driven, whatever ended it, and answers by the second
    /// in it.
    pub(super) counted: Duration,
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
    gauges.keep_recent(watch.run_in + watch.length + Duration::from_mins(1));
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
    let mut watched = Watched { counted: watch.length, ..Watched::default() };
    let (mut first, mut last, mut stopped) = (None, None, None);
    let end = watch.run_in + watch.length;
    let mut judged = 0;
    while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        if watch.wish.is_requested() {
            watch.stop.request();
        }
        let now = gauges.snapshot();
        let at = (now.elapsed, now.answered);
        if watch.stop.is_requested() {
            stopped.get_or_insert(now.elapsed);
        }
        let is_over = stopped.is_some() || now.elapsed > end + TICK;
        if now.elapsed >= watch.run_in && !is_over {
            first.get_or_insert(at);
            last = Some(at);
        }
        let second = now.elapsed.saturating_sub(SETTLED).as_secs();
        if second > judged && stopped.is_none() {
            judged = second;
            let mut asked = watch.expectations.iter();
            if let Some(why) = asked.find_map(|it| hopeless(it, watch, gauges, second)) {
                watch.stop.request();
                stopped = Some(now.elapsed);
                watched.cut = Some(why);
            }
        }
    }
    // It may have ended since it was last looked at.
    stopped = stopped.or_else(|| watch.stop.is_requested().then(|| gauges.elapsed()));
    if let Some(at) = stopped {
        watched.counted = at.saturating_sub(watch.run_in).min(watch.length);
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
    let clauses = &expectation.clauses;
    let is_plain = clauses.are_of_the_whole() && clauses.are_of(ActName::Capacity);
    let (_, value) = expectation.compared().filter(|(op, _)| is_plain && op.is_ceiling())?;
    let run_in = watch.run_in.as_secs();
    // What took longer than this was due in the run-in.
    let since = |second: u64| nanoseconds(Duration::from_secs(second - run_in));
    let all = as_f64(watch.requests);
    match (expectation.metric, expectation.stat) {
        (MetricName::Errors, _) => {
            let mut errors = 0;
            for second in run_in + 1..until {
                let failed = gauges.recent_between(second, second + 1)?.failed;
                errors += failed.count_between(0, since(second));
            }
            (as_f64(errors) > value * all).then(|| {
                let share = format_share(as_f64(errors) / all);
                format!("`{}` cannot hold any more: {share} have failed", expectation.text)
            })
        }
        (MetricName::Latency, Some(Stat::Percentile(percentile))) => {
            let mut slow = 0;
            for second in run_in + 1..until {
                let latency = gauges.recent_between(second, second + 1)?.latency;
                let most = since(second);
                let bound = as_index(value) as u64;
                if most > bound {
                    slow += latency.count_between(bound.saturating_add(1), most);
                }
            }
            // Counts are whole, shares of them are not quite.
            (as_f64(slow) > (1.0 - percentile / 100.0) * all + 0.5).then(|| {
                let share = format_share(as_f64(slow) / all);
                format!("`{}` cannot hold any more: {share} took longer", expectation.text)
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::clock::Epoch;
    use crate::summary::examples::{answered, arrival};

    const S: Duration = Duration::from_secs(1);

    /// 40 requests a second from second 0 to 10, each of which takes so long; `failed` of ten are
    /// errors. What is said of an expectation after a second, with a run-in of two seconds.
    fn said(line: &str, took: Duration, failed: u64, until: u64) -> Option<String> {
        let gauges = Gauges::default();
        gauges.keep_recent(60 * S);
        for index in 0..400_u64 {
            let due = S / 40 * u32::try_from(index).unwrap();
            let sample = answered(&arrival(index, due), took);
            if sample.done.unwrap().as_secs() < until {
                gauges.settled(&sample, index % 10 < failed);
            }
        }
        let expectations = [Expectation::parse(line).unwrap()];
        let (wish, stop) = (Stop::new(), Stop::new());
        let watch = Watch {
            expectations: &expectations,
            run_in: 2 * S,
            length: 8 * S,
            requests: 400,
            wish: &wish,
            stop: &stop,
        };
        hopeless(&expectations[0], &watch, &gauges, until)
    }

    #[test]
    fn a_percentile_is_hopeless_once_more_are_slow_than_may_be() {
        let (slow, fast) = (S / 2, S / 20);
        let late = said("latency p90 < 250ms", slow, 0, 8).unwrap();
        assert!(late.contains("`latency p90 < 250ms` cannot hold any more"), "{late}");
        assert_eq!(said("latency p90 < 250ms", fast, 0, 10), None);
        // 40 of 400 may be slow: those of one second are not enough, and those of the run-in do
        // not count.
        assert_eq!(said("latency p90 < 250ms", slow, 0, 4), None);
        assert_eq!(said("latency p90 < 5s", slow, 0, 10), None);
        // A median of the rest may still hold.
        assert_eq!(said("latency p50 < 250ms", slow, 0, 7), None);
    }

    #[test]
    fn errors_are_hopeless_once_there_are_too_many() {
        let fast = S / 20;
        assert!(said("errors < 1%", fast, 1, 6).unwrap().contains("have failed"));
        assert_eq!(said("errors < 1%", fast, 0, 10), None);
        assert_eq!(said("errors < 20%", fast, 1, 10), None);
        // Errors that come late, of what was due in the run-in, are none of the trial.
        assert_eq!(said("errors < 1%", 3 * S, 1, 5), None);
        assert!(said("errors < 1%", 3 * S, 1, 10).is_some());
        // What is narrowed down, or bounded from below, is judged in the end.
        for line in ["errors < 1% over 2s", "errors < 1% with >= 9999 samples"] {
            assert_eq!(said(line, fast, 1, 10), None, "{line}");
        }
        assert_eq!(said("latency p50 > 250ms", fast, 0, 10), None);
        // Trials are held against what is expected of them, and of any load.
        assert!(said("errors < 1% in act capacity", fast, 1, 6).is_some());
        assert_eq!(said("errors < 1% in act replay", fast, 1, 6), None);
    }

    /// A rule of the scenario, or the user, ends a trial as an expectation does: its rates are
    /// those of the time that it had.
    #[test]
    fn whatever_ends_a_trial_only_the_time_until_then_was_driven() {
        let counted = |is_ended: bool| {
            let gauges = Gauges::default();
            let (wish, stop) = (Stop::new(), Stop::new());
            let length = Duration::from_hours(1);
            let (expectations, run_in) = (&[], Duration::ZERO);
            let watch =
                Watch { expectations, run_in, length, requests: 9, wish: &wish, stop: &stop };
            let ((), watched) = watched(&watch, &gauges, || {
                gauges.start(Epoch::after(Duration::ZERO));
                if is_ended {
                    stop.request();
                }
            });
            watched.counted == length
        };
        assert!(counted(false) && !counted(true));
    }
}
