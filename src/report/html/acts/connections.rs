//! How many connections each endpoint admits, as tables.

use crate::act::connections::seen::{DemandSum, LazyPools, StaticLimit};
use crate::act::connections::{Connections, EndpointSeen};
use crate::report::html::table::{Cell, Kind, TableView, amount, dash, measure, text, time};
use crate::stats::counts::as_f64;
use crate::units::format_count;

/// The limits of all endpoints, and the drills of lazy pools.
pub(super) fn tables(seen: &Connections) -> Vec<TableView> {
    let limits = TableView {
        caption: "How many connections each endpoint admits".to_owned(),
        columns: vec![
            "endpoint",
            "address",
            "limit",
            "for services",
            "demand",
            "next one",
            "confirmed",
            "lost",
            "at once",
            "served again",
            "took",
        ],
        rows: seen.endpoints.iter().map(limit).collect(),
        kind: Kind::Plain,
    };
    let drills = seen.endpoints.iter();
    let drills = drills.flat_map(|seen| seen.drills.iter().map(|pools| drill(seen, pools)));
    let drills = TableView {
        caption: "All pools filled at once".to_owned(),
        columns: vec![
            "endpoint",
            "generations",
            "needed",
            "asked",
            "admitted",
            "turned away",
            "repeated or hung",
            "median",
            "longest",
        ],
        rows: drills.collect(),
        kind: Kind::Plain,
    };
    [limits, drills].into_iter().filter(|table| !table.rows.is_empty()).collect()
}

fn limit(seen: &EndpointSeen) -> Vec<Cell> {
    let limit = seen.limit.as_ref().filter(|_| seen.trouble.is_none());
    let of_limit = |cell: fn(&StaticLimit) -> Cell| limit.map_or_else(dash, cell);
    let next = match (limit, &seen.trouble) {
        (_, Some(why)) => why.clone(),
        (Some(StaticLimit { refusal: Some(refusal), .. }), _) => refusal.text(),
        _ => "none was turned away".to_owned(),
    };
    let burst = seen.burst.as_ref().map_or_else(dash, |burst| match burst.broken {
        Some(broken) => {
            let (clean, broken) = (format_count(burst.clean), format_count(broken));
            measure(format!("{clean}, not {broken}"), as_f64(burst.clean))
        }
        None => amount(burst.clean),
    });
    vec![
        text(&seen.name),
        text(&seen.address),
        of_limit(|limit| {
            if limit.refusal.is_some() {
                return amount(limit.total());
            }
            count(format!("none up to {}", format_count(limit.total())))
        }),
        of_limit(|limit| amount(limit.usable())),
        seen.demand.as_ref().map(DemandSum::total).map_or_else(dash, amount),
        text(&next),
        of_limit(|limit| match limit.refusal {
            Some(_) => count(format!("{} of 3", limit.confirmed)),
            None => dash(),
        }),
        of_limit(|limit| amount(limit.lost)),
        burst,
        seen.recovery
            .as_ref()
            .filter(|recovery| recovery.served >= recovery.wanted)
            .map_or_else(dash, |recovery| time(recovery.took_ns)),
        of_limit(|limit| time(limit.took_ns)),
    ]
}

fn drill(seen: &EndpointSeen, pools: &LazyPools) -> Vec<Cell> {
    vec![
        text(&seen.name),
        amount(pools.generations),
        amount(pools.needed),
        amount(pools.asked),
        amount(pools.opened),
        amount(pools.refused.values().copied().fold(0, u64::saturating_add)),
        amount(pools.late.lost()),
        time(pools.median_ns),
        time(pools.longest_ns),
    ]
}

fn count(text: String) -> Cell {
    Cell { text, class: "num", order: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::connections::seen::{Burst, Refusal};
    use crate::scenario::endpoint::Service;

    fn seen() -> EndpointSeen {
        EndpointSeen {
            name: "redis".to_owned(),
            service: Service::Redis,
            address: "redis://127.0.0.1:6379".to_owned(),
            trouble: None,
            limit: Some(StaticLimit {
                held: 93,
                others: Some(7),
                refusal: Some(Refusal::Closed),
                confirmed: 3,
                ..StaticLimit::default()
            }),
            burst: Some(Burst { clean: 64, broken: Some(68), ..Burst::default() }),
            recovery: None,
            own_count: None,
            demand: None,
            drills: vec![LazyPools { needed: 120, opened: 93, ..LazyPools::default() }],
        }
    }

    fn shown(endpoint: EndpointSeen) -> Vec<Vec<String>> {
        let seen = Connections { endpoints: vec![endpoint], stopped: false };
        let tables = tables(&seen);
        for table in &tables {
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        }
        let rows = tables.into_iter().flat_map(|table| table.rows);
        rows.map(|row| row.into_iter().map(|cell| cell.text).collect()).collect()
    }

    #[test]
    fn limits_and_drills_have_a_row_each() {
        let rows = shown(seen());
        assert_eq!(rows[0][2], "100");
        assert_eq!(rows[0][5], "accepted and closed without a byte");
        assert_eq!(rows[0][8], "64, not 68");
        assert_eq!(rows[1][2..5], ["120", "0", "93"]);
    }

    #[test]
    fn an_endpoint_in_trouble_shows_why_and_no_limit() {
        let troubled = EndpointSeen { trouble: Some("it denies access".to_owned()), ..seen() };
        let rows = shown(troubled);
        assert_eq!((rows[0][2].as_str(), rows[0][5].as_str()), ("–", "it denies access"));
        assert!(tables(&Connections::default()).is_empty());
    }
}
