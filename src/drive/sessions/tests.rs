use super::*;
use crate::summary::examples;

const MS: Duration = Duration::from_millis(1);

fn arrival(position: u32, due: u32, after: Option<(u32, u32)>) -> Box<Arrival> {
    let mut arrival = examples::arrival(u64::from(position), MS * due);
    arrival.session = 7;
    let after = after.map(|(position, thought)| (position, MS * thought));
    arrival.turn = Some(Turn { position, after, is_last: false, group: 0 });
    Box::new(arrival)
}

fn settled(position: u32, at: u32) -> Settled {
    Settled { session: 7, position, at: MS * at }
}

/// The drift in milliseconds of what is ready at once.
fn ready(offered: &Offered) -> Option<u128> {
    match offered {
        Offered::Ready(_, drift) => Some(drift.as_millis()),
        Offered::Waits | Offered::Refused(_) => None,
    }
}

fn next(sessions: &mut Sessions, now: u32) -> Option<(u64, u128)> {
    sessions.next(MS * now).map(|(arrival, drift)| (arrival.index, drift.as_millis()))
}

#[test]
fn an_answer_in_time_moves_nothing_and_a_late_one_what_follows_it() {
    for (answered, drift) in [(20, 0), (30, 0), (45, 15)] {
        let mut sessions = Sessions::default();
        assert_eq!(ready(&sessions.offer(arrival(0, 0, None), Duration::ZERO)), Some(0));
        sessions.settled(settled(0, answered));
        // Planned for 50, and 20 after the answer.
        let offered = sessions.offer(arrival(1, 50, Some((0, 20))), MS * 50);
        if drift == 0 {
            assert_eq!(ready(&offered), Some(0), "answered at {answered}");
        } else {
            assert!(matches!(offered, Offered::Waits), "{offered:?}");
            assert_eq!(sessions.next_moment(), Some(MS * 65));
            assert_eq!(next(&mut sessions, 64), None);
            assert_eq!(next(&mut sessions, 65), Some((1, drift)));
        }
        assert!(sessions.is_empty());
        assert_eq!((sessions.waiting, sessions.bytes), (0, 0), "its room is free again");
    }
}

#[test]
fn what_was_asked_for_beside_it_is_not_held_up() {
    let mut sessions = Sessions::default();
    assert_eq!(ready(&sessions.offer(arrival(0, 0, None), Duration::ZERO)), Some(0));
    assert_eq!(ready(&sessions.offer(arrival(1, 5, None), MS * 5)), Some(0));
}

#[test]
fn nobody_overtakes_within_a_session() {
    let mut sessions = Sessions::default();
    for (position, due) in [(0, 0), (1, 1)] {
        assert_eq!(ready(&sessions.offer(arrival(position, due, None), MS * due)), Some(0));
    }
    // The second of these two follows an answer that comes first.
    assert!(matches!(sessions.offer(arrival(2, 10, Some((0, 5))), MS * 10), Offered::Waits));
    sessions.settled(settled(1, 4));
    assert!(matches!(sessions.offer(arrival(3, 12, Some((1, 5))), MS * 12), Offered::Waits));
    assert_eq!((next(&mut sessions, 90), sessions.next_moment()), (None, None));
    sessions.settled(settled(0, 100));
    assert_eq!(next(&mut sessions, 105), Some((2, 95)));
    assert_eq!(next(&mut sessions, 105), Some((3, 93)), "asked when the one before was");
    assert!(sessions.is_empty());
}

#[test]
fn sessions_do_not_wait_for_each_other() {
    let mut sessions = Sessions::default();
    assert_eq!(ready(&sessions.offer(arrival(0, 0, None), Duration::ZERO)), Some(0));
    assert!(matches!(sessions.offer(arrival(1, 10, Some((0, 5))), MS * 10), Offered::Waits));
    let mut other = arrival(0, 10, None);
    other.session = 8;
    assert_eq!(ready(&sessions.offer(other, MS * 10)), Some(0));
    let left: Vec<u64> = sessions.abandon().map(|arrival| arrival.index).collect();
    assert_eq!(left, [1]);
}

#[test]
fn a_session_is_forgotten_with_its_last_request() {
    let mut sessions = Sessions::default();
    let mut last = arrival(0, 0, None);
    last.turn = last.turn.map(|turn| Turn { is_last: true, ..turn });
    assert_eq!(ready(&sessions.offer(last, MS)), Some(0));
    sessions.settled(settled(0, 10));
    assert!(sessions.open.is_empty());
}

#[test]
fn an_answer_that_was_forgotten_still_was_one() {
    let mut sessions = Sessions::default();
    assert_eq!(ready(&sessions.offer(arrival(0, 0, None), Duration::ZERO)), Some(0));
    for position in 0..=u32::try_from(MAX_REMEMBERED).unwrap() {
        sessions.settled(settled(position, position));
    }
    assert_eq!(sessions.open[&7].answers.len(), MAX_REMEMBERED);
    assert_eq!(ready(&sessions.offer(arrival(65, 70, Some((0, 1))), MS * 70)), Some(0));
}

#[test]
fn what_too_many_wait_for_is_refused_and_holds_up_nobody() {
    for (waiting, bytes) in [(MAX_WAITING, 0), (0, MAX_WAITING_BYTES)] {
        let mut sessions = Sessions::default();
        assert_eq!(ready(&sessions.offer(arrival(0, 0, None), Duration::ZERO)), Some(0));
        (sessions.waiting, sessions.bytes) = (waiting, bytes);
        let refused = sessions.offer(arrival(1, 10, Some((0, 5))), MS * 10);
        assert!(matches!(refused, Offered::Refused(_)), "{refused:?}");
        assert_eq!(ready(&sessions.offer(arrival(2, 20, Some((1, 5))), MS * 20)), Some(0));
    }
}
