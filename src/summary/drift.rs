//! What sessions that set the pace did to the plan.

use std::time::Duration;

/// By how much later than planned requests came because earlier answers of their sessions did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Arrivals whose session set the pace.
    pub arrivals: u64,
    /// Those of them that were moved.
    pub moved: u64,
    /// The sum over all of them.
    pub total: Duration,
    /// The largest.
    pub most: Duration,
}

impl Drift {
    /// Adds an arrival that was moved by so much.
    pub(crate) fn add(&mut self, drift: Duration) {
        let moved = u64::from(!drift.is_zero());
        self.merge(&Self { arrivals: 1, moved, total: drift, most: drift });
    }

    /// Adds those of another part of the run.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.arrivals += other.arrivals;
        self.moved += other.moved;
        self.total = self.total.saturating_add(other.total);
        self.most = self.most.max(other.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_moved_is_counted_and_merging_is_adding() {
        let ms = Duration::from_millis;
        let (mut one, mut other) = (Drift::default(), Drift::default());
        one.add(ms(5));
        other.add(ms(0));
        other.add(ms(7));
        one.merge(&other);
        assert_eq!(one, Drift { arrivals: 3, moved: 2, total: ms(12), most: ms(7) });
    }
}
