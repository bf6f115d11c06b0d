//! Arrivals that were never read from the plan of a run that was stopped.

use std::sync::Arc;

use crate::sample::Unsent;
use crate::shape::OTHER_ROUTES;
use crate::summary::Summary;

impl Summary {
    /// Counts them. Of what they would have been nothing is known but that they were planned.
    pub fn add_unread(&mut self, arrivals: u64) {
        if arrivals == 0 {
            return;
        }
        self.arrivals += arrivals;
        *self.fates.entry(Unsent::Interrupted.name()).or_default() += arrivals;
        self.planned.add_unread(arrivals);
        let route = self.route(&Arc::from(OTHER_ROUTES));
        route.arrivals += arrivals;
        route.unsent += arrivals;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample::{Fate, Sample};
    use crate::summary::examples::{answered, arrival};

    #[test]
    fn what_was_never_read_is_in_every_total() {
        let mut summary = Summary::new();
        let first = arrival(0, Duration::ZERO);
        summary.add(&first, &answered(&first, Duration::from_millis(1)));
        summary.add_unread(0);
        summary.add_unread(36_000_000);
        assert_eq!(summary.arrivals, 36_000_001);
        assert_eq!(summary.fates.values().sum::<u64>(), 36_000_001);
        assert_eq!(summary.fates["unsent: interrupted"], 36_000_000);
        assert_eq!(summary.routes.values().map(|route| route.arrivals).sum::<u64>(), 36_000_001);
        let planned = &summary.planned;
        assert_eq!((planned.total, planned.mix.values().sum::<u64>()), (36_000_001, 36_000_001));
        assert_eq!(planned.counts.iter().copied().map(u64::from).sum::<u64>(), 36_000_001);
    }

    #[test]
    fn what_was_held_back_is_counted_and_in_no_shape() {
        let mut summary = Summary::new();
        let arrival = arrival(0, Duration::ZERO);
        let fate = Fate::Unsent { reason: Unsent::Held };
        let answered = answered(&arrival, Duration::from_millis(1));
        summary.add(&arrival, &Sample { dispatched: None, sent: None, fate, ..answered });
        assert_eq!((summary.arrivals, summary.fates["unsent: held"]), (1, 1));
        assert_eq!((summary.planned.total, summary.offered.total), (0, 0));
    }
}
