//! What happened in each tenth of a second: enough to see a silence, and how many connections were
//! held when the first one was turned away.

use std::time::Duration;

use crate::plan::{Arrival, Touch};
use crate::sample::{Fate, Sample};
use crate::shape::MAX_SECONDS;
use crate::stats::histograms::nanoseconds;
use crate::summary::evidence::is_large;
use crate::summary::evidence::openings::turned_away;

/// Length of a row: 100 ms, a fifth of the shortest stall that is reported.
pub const TENTH_NS: u64 = 100_000_000;

/// Most rows, 7 MiB: those of the seconds that a shape tells apart. What comes later is in the
/// last.
pub const MAX_TENTHS: usize = MAX_SECONDS * 10;

/// What happened in each tenth of a second since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// One row each.
    pub tenths: Vec<Tenth>,
}

/// A tenth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenth {
    /// Requests sent.
    pub sent: u32,
    /// Those of them that are known to be quick: small ones, and no first touch of a target.
    pub sent_quick: u32,
    /// Requests that ended, one way or another, after they were sent.
    pub ended: u32,
    /// Signs of life: answers that were complete, and banners.
    pub answered: u32,
    /// First and last of them, ns since the start of the run; meaningless without one.
    pub first_answer_ns: u64,
    /// See `first_answer_ns`.
    pub last_answer_ns: u64,
    /// Requests with large bodies sent, minus those that ended.
    pub large: i32,
    /// Connections that came into use, minus those that ended.
    pub held: i32,
    /// New connections that were turned away.
    pub turned_away: u32,
}

impl Timeline {
    /// Takes what one sample shows.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let large = is_large(arrival);
        if let Some((sent, done)) = sample.sent.zip(sample.done) {
            let row = self.row(sent);
            row.sent += 1;
            row.sent_quick += u32::from(!large && arrival.touch != Touch::First);
            row.large += i32::from(large);
            let row = self.row(done);
            row.ended += 1;
            row.large -= i32::from(large);
        }
        let answered = matches!(sample.fate, Fate::Answered { .. });
        if let Some(done) = sample.done
            && (answered || matches!(sample.fate, Fate::Rejected { .. } | Fate::Declined { .. }))
        {
            self.row(done).merge_answers(1, nanoseconds(done), nanoseconds(done));
        }
        // Who declines a command keeps its connection.
        let is_kept = answered || matches!(sample.fate, Fate::Declined { .. });
        self.add_connection(arrival, sample, is_kept);
    }

    /// Adds the rows of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        if self.tenths.len() < other.tenths.len() {
            self.tenths.resize(other.tenths.len(), Tenth::default());
        }
        for (row, &other) in self.tenths.iter_mut().zip(&other.tenths) {
            row.merge_answers(other.answered, other.first_answer_ns, other.last_answer_ns);
            row.sent += other.sent;
            row.sent_quick += other.sent_quick;
            row.ended += other.ended;
            row.large += other.large;
            row.held += other.held;
            row.turned_away += other.turned_away;
        }
    }

    /// Connections held when the first one was turned away: the most at the edges of that row.
    pub fn held_at_first_refusal(&self) -> Option<u64> {
        let mut held = 0_i64;
        for row in &self.tenths {
            let before = held;
            held += i64::from(row.held);
            if row.turned_away > 0 {
                return u64::try_from(before.max(held).max(0)).ok();
            }
        }
        None
    }

    /// A connection is held from its first use until it is closed: after its last answer by us, or
    /// by a failure. One that the target closes in between is noticed too late to say when.
    fn add_connection(&mut self, arrival: &Arrival, sample: &Sample, is_kept: bool) {
        let Some(done) = sample.done else { return };
        if turned_away(arrival, sample).is_some() {
            self.row(done).turned_away += 1;
            return;
        }
        let Some(connected) = sample.connected else { return };
        self.row(connected).held += i32::from(sample.opened);
        let closed = arrival.last_on_connection || !is_kept;
        self.row(done).held -= i32::from(closed);
    }

    fn row(&mut self, moment: Duration) -> &mut Tenth {
        let index = usize::try_from(nanoseconds(moment) / TENTH_NS).unwrap_or(usize::MAX);
        let index = index.min(MAX_TENTHS - 1);
        if self.tenths.len() <= index {
            self.tenths.resize(index + 1, Tenth::default());
        }
        &mut self.tenths[index]
    }
}

impl Tenth {
    fn merge_answers(&mut self, answered: u32, first_ns: u64, last_ns: u64) {
        if answered == 0 {
            return;
        }
        let none_yet = self.answered == 0;
        self.answered += answered;
        self.first_answer_ns = if none_yet { first_ns } else { self.first_answer_ns.min(first_ns) };
        self.last_answer_ns = self.last_answer_ns.max(last_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::{answered, arrival, failed};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn rows_hold_what_happened_in_them() {
        let mut timeline = Timeline::default();
        let mut arrival = arrival(0, 10 * MS);
        arrival.body = vec![0; 100_000].into();
        timeline.add(&arrival, &answered(&arrival, 250 * MS));
        let [first, _, third] = timeline.tenths[..] else { panic!("{timeline:?}") };
        assert_eq!((first.sent, first.large, first.held, first.answered), (1, 1, 1, 0));
        assert_eq!((third.ended, third.large, third.held, third.answered), (1, -1, -1, 1));
        assert_eq!(third.first_answer_ns, third.last_answer_ns);
    }

    #[test]
    fn connections_held_at_the_first_refusal_are_counted() {
        let mut timeline = Timeline::default();
        for index in 0..7 {
            let arrival = arrival(index, 100 * MS);
            timeline.add(&arrival, &answered(&arrival, 5_000 * MS));
        }
        assert_eq!(timeline.held_at_first_refusal(), None);
        let late = arrival(7, 2_000 * MS);
        timeline.add(&late, &failed(&late, Fate::Refused));
        assert_eq!(timeline.held_at_first_refusal(), Some(7));
    }

    #[test]
    fn rows_are_bounded() {
        let mut timeline = Timeline::default();
        let arrival = arrival(0, Duration::from_hours(200));
        timeline.add(&arrival, &answered(&arrival, MS));
        assert_eq!(timeline.tenths.len(), MAX_TENTHS);
    }
}
