//! Counts in windows of a minute, for loads that are longer than windows of 10 ms reach or so
//! sparse that those hold nothing; of two halves of the sessions, so that chance can be told from
//! the curve.

use crate::shape::bump;
use crate::shape::profile::moved;
use crate::stats::counts::{as_f64, coarsen};
use crate::stats::dispersion::straight_dispersion;

/// Minutes that are told apart: sixty days of a log, in 350 kB a series. What comes later is left
/// out.
pub const MAX_MINUTES: usize = 60 * 24 * 60;

/// A minute, in nanoseconds.
pub(super) const MINUTE_NS: u64 = 60_000_000_000;

/// Windows of 10 ms in a minute.
const PER_MINUTE: i64 = 6_000;

/// Windows, in minutes, in which chance is looked for that all sessions have in common.
const COMMON: [usize; 3] = [1, 10, 30];

/// Fewest windows from which it is told.
const LEAST_COMMON: usize = 30;

/// Something counted by minute, of sessions with an even and with an odd hash.
#[derive(Clone, Debug, Default)]
pub struct Minutes {
    halves: [Vec<u32>; 2],
}

impl Minutes {
    /// Of a load whose sessions are not known, from its counts in windows of 10 ms.
    pub fn of_windows(counts: &[u32]) -> Self {
        let sum = |counts: &[u32]| counts.iter().copied().fold(0, u32::saturating_add);
        let windows = usize::try_from(PER_MINUTE).unwrap_or(usize::MAX);
        Self { halves: [counts.chunks(windows).map(sum).collect(), Vec::new()] }
    }

    /// Counts one at a moment before [`MAX_MINUTES`], of a session in one of the halves.
    pub(super) fn add(&mut self, at_ns: u64, half: usize) {
        let minute = usize::try_from(at_ns / MINUTE_NS).unwrap_or(usize::MAX);
        bump(&mut self.halves[half], minute.min(MAX_MINUTES - 1), 1);
    }

    /// Begins so many windows of 10 ms later, to the nearest minute.
    pub(super) fn shift(&mut self, windows: i64) {
        let minutes = windows.saturating_add(PER_MINUTE / 2).div_euclid(PER_MINUTE);
        for half in &mut self.halves {
            moved(half, minutes);
        }
    }

    /// Of all sessions, in windows of so many minutes; the last one may be incomplete.
    pub fn counts(&self, minutes: usize) -> Vec<u64> {
        let [even, odd] = self.in_halves(minutes);
        even.into_iter().zip(odd).map(|(even, odd)| even + odd).collect()
    }

    /// The same of each half.
    fn in_halves(&self, minutes: usize) -> [Vec<u64>; 2] {
        let mut halves = self.halves.each_ref().map(|half| coarsen(half, minutes));
        let windows = halves[0].len().max(halves[1].len());
        for half in &mut halves {
            half.resize(windows, 0);
        }
        halves
    }

    /// How much counts vary by chance alone: 1 for a Poisson process whatever its curve, and as
    /// much more as requests of one session come together. What both halves of the sessions do is
    /// the curve, and what they do apart is chance. `None` without requests.
    pub fn dispersion(&self, minutes: usize) -> Option<f64> {
        let [even, odd] = self.in_halves(minutes);
        let both = || even.iter().zip(&odd).map(|(even, odd)| (as_f64(*even), as_f64(*odd)));
        let sum: f64 = both().map(|(even, odd)| even + odd).sum();
        let squares: f64 = both().map(|(even, odd)| (even - odd).powi(2)).sum();
        (sum > 0.0).then(|| squares / sum)
    }

    /// How much counts vary by chance that all sessions have in common, such as a site that is busy
    /// now and then for some seconds or minutes: halves of the sessions do not show it, since they
    /// are busy together. 0 where sessions alone explain what there is.
    ///
    /// It is what windows of one, ten and thirty minutes vary by beside a straight line through
    /// their neighbours, or through those of an hour before and after, where that is less: what is
    /// slower, and what comes every hour, as of programs that begin on the hour, is the curve.
    pub fn common_dispersion(&self) -> f64 {
        let mut common = 0.0;
        for minutes in COMMON {
            let mut counts = self.counts(minutes);
            // The last one need not be whole.
            counts.pop();
            let known = straight_dispersion(&counts, 1).filter(|_| counts.len() >= LEAST_COMMON);
            let (Some(near), Some(own)) = (known, self.dispersion(minutes)) else { continue };
            let hour = 60 / minutes;
            let again = straight_dispersion(&counts, hour);
            let is_known = counts.len() >= 2 * hour + LEAST_COMMON;
            let all = again.filter(|_| is_known).map_or(near, |again| again.min(near));
            // Of so many windows, it is known with an error of `√(35/9/n)`.
            let error = (35.0 / 9.0 / as_f64(counts.len() as u64)).sqrt();
            let is_more = all > own.max(1.0) * (1.0 + 2.0 * error);
            // Wider windows are fewer, and known worse: they count where they clearly have more,
            // and what is taken is what chance may be by one error.
            if is_more && all > common {
                common = all * (1.0 + error);
            }
        }
        common
    }

    /// The WAPE of two independent loads with this curve: that of the halves, each of which has
    /// half of the requests; or, where the halves are near each other by chance, that of a
    /// dispersion. `None` without requests.
    pub fn wape_floor(&self, minutes: usize, dispersion: f64) -> Option<f64> {
        let [even, odd] = self.in_halves(minutes);
        let both = || even.iter().zip(&odd);
        let sum: u64 = both().map(|(even, odd)| even + odd).sum();
        let apart: u64 = both().map(|(even, odd)| even.abs_diff(*odd)).sum();
        let roots: f64 = both().map(|(even, odd)| as_f64(even + odd).sqrt()).sum();
        let (sum, apart) = (as_f64(sum), as_f64(apart));
        let seen = std::f64::consts::SQRT_2 * apart / sum;
        let expected = 2.0 * (dispersion / std::f64::consts::PI).sqrt() * roots / sum;
        (sum > 0.0).then(|| seen.max(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::spread;

    /// Sessions of so many requests within a minute, in every tenth minute.
    fn pulses(seed: u64, requests: u64) -> Minutes {
        let mut minutes = Minutes::default();
        for session in 0..2_000_u64 {
            let drawn = spread(spread(seed << 32 | session) + 1);
            let pulse = drawn % 200;
            for _ in 0..requests {
                minutes.add(pulse * 10 * MINUTE_NS, usize::from(drawn >> 60 & 1 == 1));
            }
        }
        minutes
    }

    #[test]
    fn chance_is_told_from_the_curve() {
        for requests in [1, 5] {
            let load = pulses(1, requests);
            let dispersion = load.dispersion(1).unwrap();
            let expected = as_f64(requests);
            assert!((dispersion / expected - 1.0).abs() < 0.25, "{dispersion} for {expected}");
            // The floor is what two loads of the curve are apart.
            let floor = load.wape_floor(1, 0.0).unwrap();
            let [one, other] = [2, 3].map(|seed| pulses(seed, requests).counts(1));
            let apart = crate::stats::distances::wape(&one, &other).unwrap();
            assert!((apart / floor - 1.0).abs() < 0.25, "{apart} and {floor}");
            assert!(load.wape_floor(1, 100.0).unwrap() > floor * 2.0);
        }
        assert_eq!(Minutes::default().dispersion(1), None);
        assert_eq!(Minutes::default().wape_floor(1, 1.0), None);
    }

    #[test]
    fn all_is_counted_whatever_its_moment() {
        let mut minutes = Minutes::default();
        for at_ns in [0, 90 * MINUTE_NS, u64::MAX] {
            minutes.add(at_ns, 1);
        }
        let hours = minutes.counts(60);
        assert_eq!((hours.len(), hours[0], hours[1]), (MAX_MINUTES / 60, 1, 1));
        minutes.shift(-PER_MINUTE * 31);
        assert_eq!(minutes.counts(60)[0], 2);
        assert_eq!(Minutes::of_windows(&vec![1; 6_001]).counts(1), [6_000, 1]);
    }

    /// Ten hours, in each minute of which there are so many sessions of so many requests each.
    fn hours(sessions: impl Fn(u64) -> u64, requests: u64) -> Minutes {
        let mut minutes = Minutes::default();
        for minute in 0..600 {
            for session in 0..sessions(minute) {
                let half = spread(spread(minute) + session + 1) >> 60 & 1;
                for _ in 0..requests {
                    minutes.add(minute * MINUTE_NS, usize::from(half == 1));
                }
            }
        }
        minutes
    }

    #[test]
    fn what_all_do_together_is_told_from_sessions_and_from_the_curve() {
        // Each of sixteen clients is there by a chance of a quarter.
        let alone = |minute: u64| {
            let clients = minute * 16..minute * 16 + 16;
            clients.filter(|client| spread(client + 1).is_multiple_of(4)).count() as u64
        };
        for requests in [1, 5] {
            let common = hours(alone, requests).common_dispersion();
            assert!(common <= 0.0, "{common} of sessions with {requests}");
        }
        let rising = hours(|minute| minute / 6, 1).common_dispersion();
        assert!(rising <= 0.0, "{rising}");
        // All are busy for four minutes now and then: some 400 requests in ten minutes, or 10.
        let busy = |minute: u64| if spread(minute / 4).is_multiple_of(4) { 40 } else { 1 };
        let busy = hours(busy, 1).common_dispersion();
        assert!((30.0..200.0).contains(&busy), "{busy}");
        // What they do every hour is the curve.
        let hourly = hours(|minute| if minute % 60 == 7 { 900 } else { 1 }, 1).common_dispersion();
        assert!(hourly <= 0.0, "{hourly}");
        // Of less than half an hour, nothing is known.
        assert!(Minutes::of_windows(&vec![1; 6_000 * 30]).common_dispersion() <= 0.0);
    }
}
