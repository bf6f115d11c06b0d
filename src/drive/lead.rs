//! How much before its moment the pacer wakes, to be there when it comes.
//!
//! A timer wakes its thread some 30 to 60 µs late, as the kernel and the machine below it need to
//! get it going. So it is set for that much earlier, and the rest is spent turning around: some ten
//! microseconds of a processor for each wake, which is the difference between being late by 50 µs
//! and by two. On a machine whose processors are wanted by others this would only take time away
//! from them, and be taken off the processor for it: there the timer alone must do.

use std::time::Duration;

/// The longest lead. What wakes later than this does so for other reasons than the timer's.
const LONGEST: Duration = Duration::from_micros(100);

/// A wake that is later than this means that somebody else had the processor.
const CONTENDED: Duration = Duration::from_micros(500);

/// Contended wakes, as a share of [`FULL`], from which on there is no lead: one in sixteen.
const TOO_MANY: u32 = FULL / 16;

/// What the share of contended wakes is counted in.
const FULL: u32 = 1 << 16;

/// How fast the share follows: it is about the last 64 wakes.
const MEMORY: u32 = 64;

/// The lead follows the wakes in steps: up by three and down by one, so that three of four wakes
/// come before their moment.
const STEP: Duration = Duration::from_nanos(250);

/// A fourth of the time between moments may be spent turning around. Where moments are dense the
/// processor has better to do, and who is busy needs no timer.
const PART: u32 = 4;

/// How fast the mean time between moments follows: it is about the last eight.
const GAPS: u32 = 8;

/// How late the last wakes were, and what follows for the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lead {
    usual: Duration,
    contended: u32,
    /// The last moment that the timer was set for, and the mean time between such moments.
    last: Duration,
    gap: Duration,
}

impl Lead {
    /// A timer woke this much after the moment that it was set for.
    pub(crate) fn woke(&mut self, late: Duration) {
        let is_contended = late > CONTENDED;
        self.contended -= self.contended / MEMORY;
        if is_contended {
            self.contended += FULL / MEMORY;
            return;
        }
        self.usual = if late > self.usual {
            (self.usual + STEP * 3).min(LONGEST)
        } else {
            self.usual.saturating_sub(STEP)
        };
    }

    /// How much before a moment to wake.
    pub(crate) fn get(&self) -> Duration {
        if self.contended > TOO_MANY { Duration::ZERO } else { self.usual.min(self.gap / PART) }
    }

    /// The next moment is this one; again and again until it has come.
    pub(crate) fn aim(&mut self, moment: Duration) {
        let gap = moment.saturating_sub(self.last);
        if !gap.is_zero() {
            let kept = self.gap.saturating_sub(self.gap / GAPS);
            self.gap = kept + gap.min(LONGEST * PART) / GAPS;
            self.last = moment;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    fn after(wakes: impl Iterator<Item = Duration>) -> Lead {
        let mut lead = Lead::default();
        (0..100).for_each(|millisecond| lead.aim(Duration::from_millis(millisecond)));
        wakes.for_each(|late| lead.woke(late));
        lead
    }

    #[test]
    fn no_more_than_a_quarter_of_the_time_is_spent_turning_around() {
        let mut lead = after((0..1_000).map(|_| US * 80));
        assert!(lead.get() > US * 70, "{lead:?}");
        for moment in (0..100).map(|at| Duration::from_secs(1) + US * 100 * at) {
            lead.aim(moment);
            lead.aim(moment);
        }
        assert!((US * 24..US * 26).contains(&lead.get()), "{lead:?}");
    }

    #[test]
    fn three_of_four_wakes_come_before_their_moment() {
        assert_eq!(Lead::default().get(), Duration::ZERO);
        // 0 to 99 µs, in an order without a pattern.
        let lead = after((0..20_000_u32).map(|at| US * (at * 37 % 100)));
        assert!((US * 70..US * 80).contains(&lead.get()), "{lead:?}");
        let lead = after((0..20_000).map(|_| US * 400));
        assert_eq!(lead.get(), LONGEST, "no more than that is spent looking at the clock");
    }

    #[test]
    fn there_is_none_where_others_want_the_processor_and_again_when_they_are_gone() {
        let quiet = |_| US * 40;
        let noisy = |at: u32| if at.is_multiple_of(8) { US * 2_000 } else { US * 40 };
        let lead = after((0..1_000).map(quiet).chain((0..1_000).map(noisy)));
        assert_eq!(lead.get(), Duration::ZERO, "{lead:?}");
        let lead = after((0..1_000).map(noisy).chain((0..1_000).map(quiet)));
        assert!(lead.get() > US * 30, "{lead:?}");
        let rare = |at: u32| if at.is_multiple_of(50) { US * 2_000 } else { US * 40 };
        assert!(after((0..5_000).map(rare)).get() > US * 30, "one stall is no neighbour");
    }
}
