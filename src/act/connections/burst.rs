//! Many connections at once: the dynamic limit, and pools that are filled lazily.

use std::time::Duration;

use crate::act::connections::census::Census;
use crate::act::connections::door::Attempt;
use crate::act::connections::held::{Crowd, pause};
use crate::act::connections::repeats::late;
use crate::act::connections::search::together;
use crate::act::connections::seen::{Burst, DemandSum, LazyPools, Refusal};
use crate::act::connections::{Site, settle};
use crate::drive::clock::nanoseconds;

/// Longest wait for a connect of a pool: a client waits about so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest wait for a connect of a burst: one that was repeated once is among them.
const ONCE_REPEATED: Duration = Duration::from_millis(1_500);

/// Smallest and largest burst.
const BURSTS: [u64; 2] = [32, 2_048];

/// Longest search for the largest burst that connects at once.
const LONGEST: Duration = Duration::from_secs(20);

/// Bursts of 32, 64, ... up to the static limit until connects have to be repeated, then in halves
/// until the size is known to a sixteenth.
pub(super) async fn bursts(site: Site<'_>, limit: u64, before: Option<&Census>) -> Burst {
    let most = limit.min(site.max).min(BURSTS[1]);
    let mut burst = Burst::default();
    let until = site.epoch().now() + LONGEST;
    while let Some(many) = next(&burst, most) {
        if site.epoch().now() > until {
            break;
        }
        let attempts = together(site, many, ONCE_REPEATED).await;
        let (late, trouble) = (late(&attempts), trouble(&attempts));
        let turned_away = |attempt: &&Attempt| match &attempt.outcome {
            Ok(held) => held.is_turned_away(),
            Err(refusal) => refusal.is_limit() && *refusal != Refusal::Hung,
        };
        let turned_away = attempts.iter().filter(turned_away).count() as u64;
        let untimed = attempts.iter().all(|attempt| attempt.connect.is_none());
        keep(attempts).close(site).await;
        if site.is_stopped() || trouble.is_some() {
            burst.trouble = trouble.or(Some("it was stopped".to_owned()));
            break;
        }
        burst.untimed = untimed;
        burst.turned_away = burst.turned_away.max(turned_away);
        if late.lost() > 0 {
            burst.broken = Some(many);
            burst.late = late;
        } else {
            burst.clean = many;
        }
        site.unless_stopped(pause(Duration::from_millis(200))).await;
        settle(site, before).await;
    }
    burst
}

/// The size of the next burst; `None` where enough is known.
fn next(burst: &Burst, most: u64) -> Option<u64> {
    let clean = burst.clean;
    match burst.broken {
        None if clean == 0 => (most > 0).then_some(BURSTS[0].min(most)),
        None => (clean < most).then_some((clean * 2).min(most)),
        Some(broken) => {
            let gap = broken.saturating_sub(clean);
            (gap > (broken / 16).max(1)).then_some(clean + gap / 2)
        }
    }
}

/// Why this machine could not do it, or the endpoint could not be used.
fn trouble(attempts: &[Attempt]) -> Option<String> {
    let failed = attempts.iter().filter_map(|attempt| attempt.outcome.as_ref().err());
    failed.filter(|refusal| !refusal.is_limit()).map(Refusal::text).next()
}

fn keep(attempts: Vec<Attempt>) -> Crowd {
    let all = attempts.into_iter().filter_map(|attempt| attempt.outcome.ok()).collect();
    Crowd { all, lost: 0 }
}

/// Opens the whole demand at once, from nothing.
pub(super) async fn lazy_pools(site: Site<'_>, demand: &DemandSum, generations: u64) -> LazyPools {
    let needed = demand.connections.saturating_mul(generations);
    let asked = needed.min(site.max);
    let attempts = together(site, asked, PATIENCE).await;
    let (late, trouble) = (late(&attempts), trouble(&attempts));
    let mut pools = LazyPools { generations, needed, asked, trouble, late, ..LazyPools::default() };
    let mut times = Vec::new();
    for attempt in &attempts {
        match &attempt.outcome {
            Ok(held) if !held.is_turned_away() => times.push(nanoseconds(attempt.total)),
            Ok(_) => *pools.refused.entry(Refusal::Closed.text()).or_default() += 1,
            Err(refusal) if refusal.is_limit() => {
                *pools.refused.entry(refusal.text()).or_default() += 1;
            }
            Err(_) => {}
        }
    }
    if site.is_stopped() {
        pools.trouble = Some("it was stopped".to_owned());
    }
    times.sort_unstable();
    pools.opened = times.len() as u64;
    pools.median_ns = times.get(times.len() / 2).copied().unwrap_or(0);
    pools.longest_ns = times.last().copied().unwrap_or(0);
    keep(attempts).close(site).await;
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_double_and_then_close_in() {
        let at = |clean, broken| next(&Burst { clean, broken, ..Burst::default() }, 100);
        assert_eq!(at(0, None), Some(32));
        assert_eq!(at(32, None), Some(64));
        assert_eq!(at(64, None), Some(100));
        assert_eq!(at(100, None), None);
        assert_eq!(at(64, Some(100)), Some(82));
        assert_eq!(at(94, Some(100)), None, "known to a sixteenth");
        assert_eq!(at(0, Some(1)), None);
        assert_eq!(next(&Burst::default(), 0), None);
    }
}
