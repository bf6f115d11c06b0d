//! What holds for all recordings, scales and speeds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::{
    ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest,
};

use crate::plan::tests::{exchange, planned, scenario};
use crate::plan::{PlanError, scale};
use crate::recording::{Exchange, Flags};
use crate::scenario::Scenario;

fn recordings() -> impl Strategy<Value = Vec<Exchange>> {
    let row = (0_u64..60_000, 0_u64..12, 0_u64..8, any::<bool>());
    prop::collection::vec(row, 1..60).prop_map(|mut rows| {
        rows.sort_unstable();
        let exchange = |(at, connection, session, is_whole): (_, _, u64, bool)| {
            let mut exchange = exchange(at, connection, session);
            if !is_whole && session == 0 {
                exchange.flags.insert(Flags::REQUEST_TRUNCATED);
            }
            exchange
        };
        rows.into_iter().map(exchange).collect()
    })
}

/// Sets of connections and sessions that belong together, by going on until nothing changes.
fn groups(exchanges: &[Exchange]) -> BTreeMap<u64, u64> {
    let mut group: BTreeMap<u64, u64> =
        exchanges.iter().map(|row| (row.connection, row.connection)).collect();
    loop {
        let before = group.clone();
        for a in exchanges {
            for b in exchanges {
                if a.connection == b.connection || a.session == b.session {
                    let least = group[&a.connection].min(group[&b.connection]);
                    group.insert(a.connection, least);
                    group.insert(b.connection, least);
                }
            }
        }
        if group == before {
            return group;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For all recordings, scales and speeds: arrivals are due in order and numbered without gaps,
    /// on the plan and on each connection; exactly the last arrival of a connection is marked so;
    /// and every exchange is either kept or counted as skipped.
    #[test]
    fn plans_are_ordered_and_reconcile(
        exchanges in recordings(),
        scale in 0.2..4.0_f64,
        speed in 0.1..10.0_f64,
        seed in 0_u64..100,
    ) {
        let scenario = Scenario { scale, speed, seed, ..scenario() };
        let (facts, arrivals) = match planned(&exchanges, &scenario) {
            Err(PlanError::Empty { .. }) => return Ok(()),
            other => other.unwrap(),
        };
        prop_assert!(arrivals.is_sorted_by_key(|arrival| arrival.due));
        let mut seqs: BTreeMap<u64, u32> = BTreeMap::new();
        let mut ended = BTreeSet::new();
        for (index, arrival) in (0..).zip(&arrivals) {
            prop_assert_eq!(arrival.index, index);
            let seq = seqs.entry(arrival.connection).or_default();
            prop_assert_eq!(arrival.seq, *seq);
            *seq += 1;
            prop_assert!(!ended.contains(&arrival.connection));
            if arrival.last_on_connection {
                ended.insert(arrival.connection);
            }
        }
        prop_assert_eq!(ended.len(), seqs.len());
        prop_assert_eq!(facts.arrivals, arrivals.len() as u64);
        prop_assert_eq!(facts.connections, seqs.len() as u64);
        let skipped: u64 = facts.skipped.values().sum();
        prop_assert_eq!(facts.arrivals - facts.clones + skipped, facts.exchanges);
        prop_assert_eq!(facts.exchanges, exchanges.len() as u64);
    }

    /// For all recordings and scales: a group of connections and sessions is played whole or not
    /// at all, as often as any other exchange of it, and a copy keeps the gaps of its original.
    #[test]
    fn scale_keeps_groups_whole(
        exchanges in recordings(),
        scale in 0.2..4.0_f64,
        seed in 0_u64..99,
    ) {
        let scenario = Scenario { scale, seed, ..scenario() };
        let (_, arrivals) = match planned(&exchanges, &scenario) {
            Err(PlanError::Empty { .. }) => return Ok(()),
            other => other.unwrap(),
        };
        let stride = exchanges.iter().map(|row| row.connection).max().unwrap() + 1;
        let groups = groups(&exchanges);
        let whole = |row: &&Exchange| !row.flags.contains(Flags::REQUEST_TRUNCATED);
        let mut copies: BTreeMap<u64, BTreeMap<u64, Vec<Duration>>> = BTreeMap::new();
        for arrival in &arrivals {
            let group = groups[&(arrival.connection % stride)];
            let copy = arrival.connection / stride;
            copies.entry(group).or_default().entry(copy).or_default().push(arrival.due);
        }
        for (group, copies) in copies {
            let recorded: Vec<Duration> = exchanges
                .iter()
                .filter(whole)
                .filter(|row| groups[&row.connection] == group)
                .map(|row| row.at)
                .collect();
            let played = f64::from(u32::try_from(copies.len()).unwrap());
            prop_assert!((played - scale).abs() < 1.0);
            for (copy, due) in copies {
                let shift = due[0].saturating_sub(recorded[0]);
                let limit = if copy == 0 { Duration::from_nanos(1) } else { scale::CLONE_SHIFT };
                prop_assert!(shift < limit);
                let expected: Vec<Duration> = recorded.iter().map(|at| *at + shift).collect();
                prop_assert_eq!(due, expected);
            }
        }
    }
}
