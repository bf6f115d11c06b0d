//! Where sessions set the pace: which answer a request followed in the recording, and how long its
//! user thought about it.
//!
//! A request follows the answer that ended last before it began. Those that began before that end
//! were asked for beside each other, as a browser fetches what a page needs, and none of them waits
//! for another one. Where the recording does not know when an answer ended, its request is waited
//! for, and nobody thinks.

use std::collections::HashMap;
use std::time::Duration;

use crate::plan::scale::Speed;

/// What an arrival waits for besides its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Position in its session, from 0, without gaps.
    pub position: u32,
    /// The request whose answer it follows, by its position, and the time from the end of that
    /// answer until its user asks. `None` for those that follow nothing.
    pub after: Option<(u32, Duration)>,
    /// Nothing follows in its session.
    pub is_last: bool,
    /// Sessions that share connections are of one group, which one worker drives.
    pub group: u64,
}

/// The sessions of a plan that have begun.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    sessions: HashMap<u64, Session>,
    /// All arrivals of each session; empty until they have been counted.
    totals: HashMap<u64, u32>,
}

/// What a request is to its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) session: u64,
    pub(crate) group: u64,
    /// Its moment in the recording's time.
    pub(crate) at: Duration,
    /// What its answer took there.
    pub(crate) latency: Option<Duration>,
}

#[derive(Debug, Default)]
struct Session {
    next: u32,
    /// Answers that had not ended when the latest request began.
    open: Vec<Answer>,
    /// The answer that ended last before it.
    ended: Option<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    end: Duration,
    position: u32,
    is_known: bool,
}

/// Answers of a session that are outstanding at once and may be followed: what asks for more is no
/// person, and its requests follow earlier ones.
const MAX_OPEN: usize = 64;

impl Turns {
    /// No session has begun. Without `totals`, no arrival is the last of a session.
    pub(crate) fn new(totals: HashMap<u64, u32>) -> Self {
        Self { sessions: HashMap::new(), totals }
    }

    /// The turn of the next request; requests come in the order of time.
    pub(crate) fn next(&mut self, asked: Asked, speed: Speed) -> Turn {
        let session = self.sessions.entry(asked.session).or_default();
        let turn = session.next(asked, speed);
        let is_last = self.totals.get(&asked.session) == Some(&session.next);
        if is_last {
            self.sessions.remove(&asked.session);
        }
        Turn { is_last, ..turn }
    }
}

impl Session {
    fn next(&mut self, asked: Asked, speed: Speed) -> Turn {
        let at = asked.at;
        let ended = self.open.iter().filter(|answer| answer.end <= at).max().copied();
        self.open.retain(|answer| answer.end > at);
        self.ended = self.ended.max(ended);
        let after = self.ended.map(|answer| {
            let thought = at.saturating_sub(answer.end);
            (answer.position, speed.due(if answer.is_known { thought } else { Duration::ZERO }))
        });
        let position = self.next;
        self.next = self.next.saturating_add(1);
        if self.open.len() < MAX_OPEN {
            let end = at.saturating_add(asked.latency.unwrap_or_default());
            self.open.push(Answer { end, position, is_known: asked.latency.is_some() });
        }
        Turn { position, after, is_last: false, group: asked.group }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What each request follows, of requests of one session at these moments with these latencies,
    /// in milliseconds.
    fn turns(requests: &[(u32, Option<u32>)], speed: f64) -> Vec<Option<(u32, Duration)>> {
        let speed = Speed::new(speed).unwrap();
        let total = u32::try_from(requests.len()).unwrap();
        let mut turns = Turns::new(HashMap::from([(7, total)]));
        let mut next = |(at, latency): (u32, Option<u32>)| {
            let latency = latency.map(|ms| MS * ms);
            turns.next(Asked { session: 7, group: 3, at: MS * at, latency }, speed)
        };
        let found: Vec<Turn> = requests.iter().copied().map(&mut next).collect();
        assert!(found.iter().all(|turn| turn.group == 3));
        assert!(found.iter().zip(0..).all(|(turn, position)| turn.position == position));
        let last = found.iter().map(|turn| turn.is_last).rposition(|is_last| is_last);
        assert_eq!(last, Some(found.len() - 1));
        assert_eq!(found.iter().filter(|turn| turn.is_last).count(), 1);
        assert!(turns.sessions.is_empty());
        found.iter().map(|turn| turn.after).collect()
    }

    #[test]
    fn a_request_follows_the_answer_that_ended_last_before_it() {
        let found = turns(&[(0, Some(10)), (30, Some(5)), (31, Some(2)), (100, Some(1))], 1.0);
        // The third was asked for beside the second, whose answer ended last.
        let after = [None, Some((0, MS * 20)), Some((0, MS * 21)), Some((1, MS * 65))];
        assert_eq!(found, after);
    }

    #[test]
    fn a_long_answer_may_end_behind_later_requests() {
        let found = turns(&[(0, Some(100)), (10, Some(5)), (20, Some(5)), (150, Some(1))], 1.0);
        let after = [None, None, Some((1, MS * 5)), Some((0, MS * 50))];
        assert_eq!(found, after);
    }

    /// A session of any length: what has ended makes room for what is asked next.
    #[test]
    fn a_long_session_follows_its_answers_to_the_end() {
        let many: Vec<_> = (0..200).map(|number| (number * 10, Some(5))).collect();
        let found = turns(&many, 1.0);
        let before = (0..199).map(|position| Some((position, MS * 5)));
        assert!(found.iter().skip(1).copied().eq(before), "{found:?}");
    }

    #[test]
    fn where_no_end_is_known_the_request_is_waited_for_and_nobody_thinks() {
        let found = turns(&[(0, None), (30, None), (30, None)], 1.0);
        assert_eq!(found, [None, Some((0, Duration::ZERO)), Some((1, Duration::ZERO))]);
    }

    #[test]
    fn thinking_goes_with_the_speed() {
        assert_eq!(turns(&[(0, Some(10)), (30, None)], 2.0), [None, Some((0, MS * 10))]);
    }

    #[test]
    fn more_than_anybody_asks_for_at_once_is_not_kept() {
        let many: Vec<_> = (0..500).map(|at| (at, Some(10_000))).collect();
        let mut session = Session::default();
        let speed = Speed::new(1.0).unwrap();
        for (at, latency) in many {
            let latency = latency.map(|ms: u32| MS * ms);
            let asked = Asked { session: 0, group: 0, at: MS * at, latency };
            assert_eq!(session.next(asked, speed).after, None);
        }
        assert_eq!((session.open.len(), session.next), (MAX_OPEN, 500));
    }
}
