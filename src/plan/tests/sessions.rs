//! Sessions that set the pace, from the recording to the plan.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Two sessions share connection 0 and have another one each; a third has connection 3 alone.
fn shared() -> Vec<Exchange> {
    let rows = [(0, 7), (0, 8), (1, 7), (2, 8), (3, 9), (0, 7), (3, 9), (2, 8)];
    rows.into_iter().zip(0..).map(|((on, of), index)| exchange(index * 50, on, of)).collect()
}

#[test]
fn sessions_that_share_connections_are_driven_by_one_worker_and_copies_on_their_own() {
    let paced = Scenario { pace: Pace::Session, scale: 2.0, ..scenario() };
    let (facts, arrivals) = planned(&shared(), &paced).unwrap();
    assert_eq!((facts.session_pace, facts.sessions, arrivals.len()), (true, 6, 16));
    let mut groups: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    let mut seen: BTreeMap<u64, Vec<turns::Turn>> = BTreeMap::new();
    for arrival in &arrivals {
        let turn = arrival.turn.unwrap();
        groups.entry(turn.group).or_default().insert(arrival.session);
        seen.entry(arrival.session).or_default().push(turn);
    }
    let mut sizes: Vec<usize> = groups.values().map(BTreeSet::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2, 2], "{groups:?}");
    for turns in seen.values() {
        let positions: Vec<u32> = turns.iter().map(|turn| turn.position).collect();
        assert_eq!(positions, (0..u32::try_from(turns.len()).unwrap()).collect::<Vec<_>>());
        assert!(turns.iter().rev().skip(1).all(|turn| !turn.is_last));
        assert!(turns.last().unwrap().is_last);
        assert_eq!(turns[0].after, None);
        // Answers took 2 ms.
        let after: Vec<_> = turns[1..].iter().map(|turn| turn.after.unwrap().0).collect();
        assert_eq!(after, positions[..positions.len() - 1]);
    }
}

#[test]
fn without_that_pace_nothing_waits() {
    let (facts, arrivals) = planned(&shared(), &scenario()).unwrap();
    assert!(!facts.session_pace && arrivals.iter().all(|arrival| arrival.turn.is_none()));
}
