//! Percentiles of a trial's latency. Those who got no answer were not fast: where an overload loses
//! half of them, the other half alone would make it look healthy.

use hdrhistogram::Histogram;

use crate::stats::counts::as_index;
use crate::stats::histograms::{Stat, longer_than, time_of};

/// Those that are told of a trial.
const TOLD: [Stat; 4] =
    [Stat::Percentile(50.0), Stat::Percentile(95.0), Stat::Percentile(99.0), Stat::Max];

/// What is told of a trial, ns, and which of it is the least that it can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) latency_ns: Option<[u64; 4]>,
    pub(super) at_least: [bool; 4],
}

/// The percentiles of so many requests by rank among all of them, as expectations have them: those
/// that had an answer first. Where one lies among the others, it is at least what they were waited
/// for, ns, or longer where more had their answer later than that.
pub(super) fn times(latency: &Histogram<u64>, requests: u64, waited_ns: u64) -> Times {
    if requests.max(latency.len()) == 0 {
        return Times::default();
    }
    let known = TOLD.map(|stat| time_of(latency, requests, stat).filter(|ns| ns.is_finite()));
    let at_least = known.map(|known| known.is_none());
    let told = |at: usize| match known[at] {
        Some(ns) => as_index(ns) as u64,
        None => longer_than(latency, requests, TOLD[at], waited_ns),
    };
    Times { latency_ns: Some([0, 1, 2, 3].map(told)), at_least }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histograms;

    const MS: u64 = 1_000_000;

    /// Answers after 1 ms, 2 ms ... so many.
    fn answers(count: u64) -> Histogram<u64> {
        let mut latency = histograms::times();
        (1..=count).for_each(|ms| latency.record(ms * MS).unwrap());
        latency
    }

    fn ms(times: Times) -> [u64; 4] {
        times.latency_ns.unwrap().map(|ns| (ns + MS / 2) / MS)
    }

    #[test]
    fn where_all_were_answered_they_are_those_of_the_answers() {
        let healthy = times(&answers(100), 100, 3_000 * MS);
        assert_eq!((ms(healthy), healthy.at_least), ([50, 95, 99, 100], [false; 4]));
        assert_eq!(times(&answers(0), 0, 3_000 * MS), Times::default(), "nothing was asked");
    }

    /// The broken twin: half of the answers are the same, and the other half is lost.
    #[test]
    fn an_overload_that_loses_half_of_its_answers_does_not_look_fast() {
        let lossy = times(&answers(100), 202, 3_000 * MS);
        assert_eq!((ms(lossy), lossy.at_least), ([3_000; 4], [true; 4]));
        // A median of the answers is the p25 of all, and that of all is known as long as half had
        // one.
        let half = times(&answers(100), 200, 3_000 * MS);
        assert_eq!((ms(half)[0], half.at_least), (100, [false, true, true, true]));
        let mute = times(&answers(0), 9, 3_000 * MS);
        assert_eq!((ms(mute), mute.at_least), ([3_000; 4], [true; 4]));
    }

    /// Whatever the lost ones would have come to: no more of them than there are can be faster.
    #[test]
    fn answers_that_came_later_than_was_waited_for_bound_it_from_below() {
        // Ten of 110 are lost. Had they come at once, the slowest hundredth would still be the
        // second slowest of the answers.
        let late = times(&answers(100), 110, 20 * MS);
        assert_eq!(late.at_least, [false, true, true, true]);
        assert_eq!(ms(late), [55, 95, 99, 100]);
        let waited = times(&answers(100), 110, 98 * MS);
        assert_eq!(ms(waited), [55, 98, 99, 100]);
    }
}
