//! When a number was read, for systems that take numbers in their order only.

use std::time::Duration;

/// Moments since the Unix epoch that only ever rise.
///
/// The wall clock says when a load began, and the clock of the load how long ago that was: where
/// the wall clock is set meanwhile, by an hour or by a second, later numbers stay later ones.
#[derive(Debug, Default)]
pub(super) struct Moments {
    /// When the load began, ns.
    began: Option<u64>,
    /// The last moment that was given, ns.
    last: Option<u64>,
}

/// The finest step that is told apart: Prometheus keeps milliseconds, and takes one number in each.
const STEP_NS: u64 = 1_000_000;

impl Moments {
    /// When the load began and which moment it is now, both in ns since the Unix epoch. The wall
    /// clock shows `wall_ns`, and the load has gone on for `elapsed`: not at all before it begins.
    pub(super) fn now(&mut self, wall_ns: u64, elapsed: Duration) -> (u64, u64) {
        let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        if elapsed_ns > 0 {
            self.began.get_or_insert(wall_ns.saturating_sub(elapsed_ns));
        }
        let began = self.began.unwrap_or(wall_ns);
        let now = began.saturating_add(elapsed_ns);
        let least = self.last.map_or(0, |last| last.saturating_add(STEP_NS));
        let now = now.max(least);
        self.last = Some(now);
        (began.min(now), now)
    }

    /// Another load follows.
    pub(super) fn begin_anew(&mut self) {
        self.began = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn moments_rise_however_the_wall_clock_is_set() {
        let seconds = Duration::from_secs;
        let mut moments = Moments::default();
        assert_eq!(moments.now(10_000 * S, seconds(0)), (10_000 * S, 10_000 * S));
        assert_eq!(moments.now(10_005 * S, seconds(2)), (10_003 * S, 10_005 * S));
        // Set back by an hour, and then forward by a day.
        assert_eq!(moments.now(6_410 * S, seconds(7)), (10_003 * S, 10_010 * S));
        assert_eq!(moments.now(90_000 * S, seconds(12)), (10_003 * S, 10_015 * S));
        // Two within a millisecond are two.
        let again = moments.now(90_000 * S, seconds(12));
        assert_eq!(again, (10_003 * S, 10_015 * S + STEP_NS));
        // A load that begins while the clock goes back began no later than it is read.
        let mut early = Moments::default();
        early.now(10_000 * S, seconds(0));
        let (began, now) = early.now(10 * S, seconds(1));
        assert!(began <= now && now > 10_000 * S, "{began} {now}");
        moments.begin_anew();
        assert_eq!(moments.now(90_100 * S, seconds(1)), (90_099 * S, 90_100 * S));
    }
}
