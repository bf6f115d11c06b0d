//! The same law in bins of ten seconds, with a count that does not depend on any stamp: a thread
//! looks every few milliseconds how many requests are in flight. So a clock that goes wrong is
//! found, and samples that are missing for a while do not vanish in the mean of an hour.

use std::time::Duration;

use crate::drive::census::{STEP, Seen};
use crate::drive::health::Health;
use crate::stats::counts::as_f64;
use crate::summary::Summary;
use crate::summary::flight::BIN;
use crate::units::format_duration;

/// How far apart the two may be beyond what looks can tell, as a share of the larger one.
const TOLERANCE: f64 = 0.05;

/// So many standard errors of the looks are no evidence: with a million bins a year, not one is
/// wrong by chance.
const STANDARD_ERRORS: f64 = 6.0;

/// Where all of that together is more than this share, looks are too few to tell anything.
const TOO_COARSE: f64 = 0.25;

/// The bins of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::verdict) struct Bins {
    /// Those in which the two agree.
    pub(in crate::verdict) agreed: u64,
    /// Those of which nothing can be said: too little was in flight or looked at, or the run did
    /// not wait for all that was.
    pub(in crate::verdict) unknown: u64,
    /// The worst of those in which they part.
    pub(in crate::verdict) parted: Option<Parted>,
}

/// A bin in which the two part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::verdict) struct Parted {
    from: Duration,
    until: Duration,
    looked: f64,
    sampled: f64,
}

impl Bins {
    /// All bins that somebody looked at.
    pub(in crate::verdict) fn of(summary: &Summary, health: &Health) -> Self {
        let mut bins = Self::default();
        let end = Duration::try_from_secs_f64(health.seconds).unwrap_or_default();
        for (number, seen) in health.seen.iter().enumerate() {
            let from = BIN.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
            let until = end.min(from.saturating_add(BIN));
            let length = until.saturating_sub(from).as_secs_f64();
            let flight = summary.flight.in_bin(number);
            let sampled = as_f64(flight.ns) / 1e9 / length;
            let (looked, error) = mean(seen, length, sampled);
            let error = error + moved(seen, as_f64(flight.begun) / length);
            let larger = looked.max(sampled);
            let is_known = length > 0.0
                && error <= TOO_COARSE * larger
                && summary.flight.is_known_until(until);
            if !is_known {
                bins.unknown += 1;
            } else if (looked - sampled).abs() <= error + TOLERANCE * larger {
                bins.agreed += 1;
            } else {
                let parted = Parted { from, until, looked, sampled };
                let is_worse = |worst: Parted| parted.gap() > worst.gap();
                if bins.parted.is_none_or(is_worse) {
                    bins.parted = Some(parted);
                }
            }
        }
        bins
    }
}

/// The mean of what was seen in so many seconds, and by how much it may be wrong: by chance, and
/// by what was not looked at.
fn mean(seen: &Seen, length: f64, sampled: f64) -> (f64, f64) {
    let [looks, sum, squares, most] = [seen.looks, seen.sum, seen.squares, seen.most].map(as_f64);
    let mean = sum / looks;
    // What is rare may not have been seen at all.
    let variance = (squares / looks - mean * mean).max(mean.max(sampled));
    let unseen = (1.0 - looks * STEP.as_secs_f64() / length).max(0.0);
    (mean, STANDARD_ERRORS * (variance / looks).sqrt() + unseen * most)
}

/// By how much it may be wrong because looks came late, which they do when there is something to
/// do: as much as came and went meanwhile.
fn moved(seen: &Seen, begun_per_second: f64) -> f64 {
    2.0 * begun_per_second * as_f64(seen.late_ns) / 1e9 / as_f64(seen.looks)
}

impl Parted {
    fn gap(self) -> f64 {
        (self.looked - self.sampled).abs() / self.looked.max(self.sampled)
    }

    /// What is wrong with a run in which they part.
    pub(in crate::verdict) fn statement(self) -> String {
        format!(
            "peakhour's books are wrong: from {} to {} of the run {:.2} requests were in flight \
             when it looked, and their samples tell of {:.2}; samples or a clock went astray: run \
             it again, and report this error of peakhour if it stays",
            format_duration(self.from),
            format_duration(self.until),
            self.looked,
            self.sampled
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::{answered, arrival};

    /// A minute in which a thousand requests a second take 8 ms each; `kept` says which have
    /// samples, by the second and their number in it, and how much longer they seem to have taken.
    fn summary(kept: impl Fn(u64, u64) -> Option<u64>) -> Summary {
        let mut summary = Summary::new();
        for (second, number) in (0..60).flat_map(|second| (0..1_000).map(move |it| (second, it))) {
            let Some(more) = kept(second, number) else { continue };
            let due = Duration::from_millis(second * 1_000 + number);
            let arrival = arrival(0, due);
            summary.add(&arrival, &answered(&arrival, Duration::from_micros(7_970 + more)));
        }
        summary
    }

    /// Looks of a minute that see so many in flight on average, half of them one more and the
    /// others one less.
    fn looks(mean: u64) -> Health {
        let seen = Seen {
            looks: 2_000,
            sum: 2_000 * mean,
            squares: 1_000 * ((mean + 1).pow(2) + (mean - 1).pow(2)),
            most: mean + 1,
            late_ns: 2_000 * 50_000,
        };
        Health { seconds: 60.0, seen: vec![seen; 6], ..Health::default() }
    }

    #[test]
    fn books_that_are_right_agree_in_every_bin() {
        let bins = Bins::of(&summary(|_, _| Some(0)), &looks(8));
        assert_eq!(bins, Bins { agreed: 6, ..Bins::default() });
    }

    /// A sixth of the run has lost a third of its samples: a twentieth of all.
    #[test]
    fn samples_that_are_lost_for_a_while_are_found_there() {
        let lost = |second, number| (second / 10 != 4 || number % 3 > 0).then_some(0);
        let bins = Bins::of(&summary(lost), &looks(8));
        assert_eq!((bins.agreed, bins.unknown), (5, 0));
        let told = bins.parted.unwrap().statement();
        assert!(told.contains("from 40 s to 50 s of the run 8.00 requests"), "{told}");
    }

    /// No sample is missing, and their moments are.
    #[test]
    fn a_clock_that_goes_wrong_is_found() {
        let slow = |second, _| Some(if second / 10 == 2 { 3_000 } else { 0 });
        let bins = Bins::of(&summary(slow), &looks(8));
        assert_eq!((bins.agreed, bins.parted.unwrap().from), (5, BIN * 2));
    }

    #[test]
    fn too_little_is_no_evidence() {
        let right = summary(|_, _| Some(0));
        let unknown = |health: Health| {
            let bins = Bins::of(&right, &health);
            assert_eq!((bins.agreed, bins.parted), (0, None), "{health:?}");
            bins.unknown
        };
        // Nobody looked; or later than a request takes; or only for half of the time; or there was
        // next to nothing to be seen.
        assert_eq!(unknown(Health::default()), 0);
        let mut late = looks(12);
        late.seen.iter_mut().for_each(|seen| *seen = Seen { late_ns: 2_000 * 2_000_000, ..*seen });
        assert_eq!(unknown(late), 6);
        let mut half = looks(12);
        half.seen.iter_mut().for_each(|seen| *seen = Seen { looks: 1_000, ..*seen });
        assert_eq!(unknown(half), 6);
        // Of what has no end it is not known for how long it was in flight.
        let mut endless = summary(|_, _| Some(0));
        endless.flight.add_endless(Duration::from_secs(35));
        let bins = Bins::of(&endless, &looks(8));
        assert_eq!(bins, Bins { agreed: 3, unknown: 3, parted: None });
        let no_time = Health { seconds: 0.0, ..looks(8) };
        assert_eq!(unknown(no_time), 6);
        let none = Health { seen: vec![Seen::default(); 2], ..looks(8) };
        assert_eq!(unknown(none), 2);
        let idle = Bins::of(&Summary::new(), &Health { seen: vec![Seen::default()], ..looks(8) });
        assert_eq!(idle, Bins { unknown: 1, ..Bins::default() });
        let rare = Seen { looks: 2_000, sum: 20, squares: 20, most: 1, late_ns: 0 };
        let rare = Bins::of(&Summary::new(), &Health { seen: vec![rare], ..looks(8) });
        assert_eq!(rare, Bins { unknown: 1, ..Bins::default() });
    }
}
