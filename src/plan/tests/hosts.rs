//! Hosts with targets of their own, and clients that are followed, from the recording to the plan.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::plan::bond::Bond;
use crate::scenario::mapped::MappedHost;

#[test]
fn no_two_copies_and_no_two_hosts_share_a_connection() {
    let to = |host: &str| TargetSpec::Http { host: host.to_owned(), port: 80, tls: None };
    let host = |name: &str| MappedHost { host: name.to_owned(), port: None, to: to(name) };
    let mapped = Scenario {
        scale: 3.0,
        target: to("staging"),
        hosts: vec![host("a.example"), host("b.example")],
        rewriting: Rewriting { follow_cookies: true, ..Rewriting::default() },
        ..scenario()
    };
    let names = ["shop.example", "a.example", "b.example"];
    let exchanges: Vec<Exchange> = (0..36)
        .map(|index| {
            let mut exchange = exchange(index * 10, index % 2, 100 + index % 2);
            exchange.authority = names[usize::try_from(index / 2 % 3).unwrap()].to_owned();
            exchange
        })
        .collect();
    let (facts, arrivals) = planned(&exchanges, &mapped).unwrap();
    assert_eq!((facts.connections, arrivals.len()), (2 * 3 * 3, 36 * 3));
    let mut seen: BTreeMap<u64, BTreeSet<(u16, u64)>> = BTreeMap::new();
    let mut seqs: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for arrival in &arrivals {
        let Bond { goal, client, .. } = arrival.bond;
        seen.entry(arrival.connection).or_default().insert((goal, client));
        seqs.entry(arrival.connection).or_default().push(arrival.seq);
        let host = format!("\r\nHost: {}\r\n", ["staging", names[1], names[2]][usize::from(goal)]);
        assert!(String::from_utf8_lossy(&arrival.head).contains(&host), "{arrival:?}");
    }
    assert!(seen.values().all(|of| of.len() == 1), "one place and one client each: {seen:?}");
    assert!(seqs.values().all(|seqs| *seqs == [0, 1, 2, 3, 4, 5]), "{seqs:?}");
    let clients: BTreeSet<u64> = seen.values().flatten().map(|(_, client)| *client).collect();
    assert_eq!(clients.len(), 2 * 3, "each copy is somebody else");
    let last = arrivals.iter().filter(|arrival| arrival.last_on_connection).count();
    assert_eq!(last, 18);
    assert!(facts.warnings.contains(&"36 requests of `a.example` go to a.example".to_owned()));
}
