//! A few requests a second before anything is measured: names are looked up, code is compiled and
//! pools are filled by them, so that the cold run shows the caches only.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::act::Ground;
use crate::act::replay::replay;
use crate::drive::Driven;
use crate::drive::gauges::Gauges;
use crate::plan::Arrival;
use crate::plan::arrivals::Plan;

/// Requests a second.
const RATE: u32 = 5;

/// Arrivals looked at in search of different routes.
const LOOKED_AT: usize = 100_000;

/// Sends reads for `length`, as many routes as there are first; `None` where there is no time for
/// it. What it warms the reset empties again.
pub(super) fn trickle(
    ground: &Ground<'_>,
    length: Duration,
    plan: Plan,
) -> Result<Option<Driven>, String> {
    let wanted = usize::try_from(length.as_millis() * u128::from(RATE) / 1_000).unwrap_or(0);
    if wanted == 0 {
        return Ok(None);
    }
    let mut chosen = Vec::new();
    for arrival in plan.take(LOOKED_AT) {
        let arrival = arrival.map_err(|error| error.to_string())?;
        if matches!(&*arrival.method, "GET" | "HEAD") {
            chosen.push(arrival);
        }
        if ground.stop.is_requested() {
            return Err("the run was interrupted".to_owned());
        }
    }
    let arrivals = paced(chosen, wanted);
    let driven = replay(
        arrivals.into_iter().map(Ok::<_, Infallible>),
        ground.target,
        &ground.scenario.limits,
        Arc::<Gauges>::default(),
        ground.stop.clone().into(),
    );
    driven.map(Some).map_err(|error| format!("the trickle broke off: {error}"))
}

/// The first of each route, then the others, at an even pace and on a connection each.
fn paced(chosen: Vec<Arrival>, wanted: usize) -> Vec<Arrival> {
    let mut known = HashSet::new();
    let (mut first, others): (Vec<Arrival>, Vec<Arrival>) =
        chosen.into_iter().partition(|arrival| known.insert(Arc::clone(&arrival.route)));
    first.extend(others);
    first.truncate(wanted);
    let pace = Duration::from_secs(1) / RATE;
    for (index, arrival) in first.iter_mut().enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        arrival.index = u64::from(index);
        arrival.due = pace * index;
        arrival.connection = u64::from(index);
        arrival.seq = 0;
        arrival.last_on_connection = true;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::arrival;

    #[test]
    fn every_route_comes_first_and_the_pace_is_even() {
        let chosen = (0..40_u64).map(|index| {
            let mut arrival = arrival(index, Duration::from_millis(index));
            arrival.route = Arc::from(if index == 30 { "GET /rare" } else { "GET /often" });
            (arrival.connection, arrival.seq, arrival.last_on_connection) = (7, 3, false);
            arrival
        });
        let paced = paced(chosen.collect(), 10);
        assert_eq!(paced.len(), 10);
        assert_eq!(&*paced[1].route, "GET /rare");
        for (index, arrival) in (0..).zip(&paced) {
            assert_eq!(arrival.due, Duration::from_millis(200 * index));
            assert_eq!((arrival.connection, arrival.seq), (index, 0));
            assert!(arrival.last_on_connection);
        }
    }
}
