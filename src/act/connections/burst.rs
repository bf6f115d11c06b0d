//! Many connections at once: the dynamic limit, recovery, and pools that are filled lazily.

use std::time::Duration;

use crate::act::connections::door::Attempt;
use crate::act::connections::held::{Crowd, pause};
use crate::act::connections::search::together;
use crate::act::connections::{Burst, DemandSum, LazyPools, Refusal, Site, since};
use crate::drive::clock::nanoseconds;

/// Longest wait for a connect: a client's pool waits about so long, and kernels repeat a connect
/// after one second and more by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connect that takes this much longer than the median was repeated. Kernels differ in when they
/// repeat it, but none does so within a second.
const REPEATED: Duration = Duration::from_millis(900);

/// Smallest and largest burst.
const BURSTS: [u64; 2] = [32, 2_048];

/// Longest wait for an endpoint to recover.
const RECOVERY: Duration = Duration::from_secs(10);

/// Bursts of 32, 64, ... up to the static limit, until connects have to be repeated.
pub(super) async fn bursts(site: Site<'_>, limit: u64) -> Burst {
    let most = limit.min(site.max).min(BURSTS[1]);
    let mut burst = Burst::default();
    let mut many = BURSTS[0].min(most);
    while many > 0 && !site.is_stopped() {
        let attempts = together(site, many, PATIENCE).await;
        let retried = retried(&attempts);
        keep(attempts).close().await;
        if site.is_stopped() {
            break;
        }
        if retried > 0 {
            burst.broken = Some(many);
            burst.retried = retried;
            break;
        }
        burst.clean = many;
        if many == most {
            break;
        }
        many = (many * 2).min(most);
        pause(Duration::from_millis(200)).await;
    }
    burst
}

/// Connects that had to be repeated, or hung.
fn retried(attempts: &[Attempt]) -> u64 {
    let mut times: Vec<Duration> = attempts.iter().map(|attempt| attempt.connect).collect();
    times.sort_unstable();
    // The quickest quarter: in a bad burst the median was repeated itself.
    let usual = times.get(times.len() / 4).copied().unwrap_or_default();
    let usual = if usual > REPEATED { Duration::ZERO } else { usual };
    times.iter().filter(|time| time.saturating_sub(usual) >= REPEATED).count() as u64
}

fn keep(attempts: Vec<Attempt>) -> Crowd {
    Crowd { all: attempts.into_iter().filter_map(|attempt| attempt.outcome.ok()).collect() }
}

/// Time from the release of all connections until so many are admitted again.
pub(super) async fn recovery(site: Site<'_>, many: u64, released: Duration) -> Option<u64> {
    let mut crowd = Crowd::default();
    let mut recovered = Some(since(site.epoch(), released));
    while crowd.len() < many {
        if site.is_stopped() || site.epoch().now().saturating_sub(released) > RECOVERY {
            recovered = None;
            break;
        }
        let wanted = (many - crowd.len()).min(32);
        let attempts = together(site, wanted, PATIENCE).await;
        let admitted = keep(attempts).all;
        let all_admitted = admitted.len() as u64 == wanted;
        crowd.all.extend(admitted);
        if !all_admitted {
            pause(Duration::from_millis(20)).await;
            recovered = Some(since(site.epoch(), released));
        }
    }
    crowd.close().await;
    recovered
}

/// Opens the whole demand at once, from nothing.
pub(super) async fn lazy_pools(site: Site<'_>, demand: &DemandSum, generations: u64) -> LazyPools {
    let needed = demand.connections.saturating_mul(generations);
    let asked = needed.min(site.max);
    let attempts = together(site, asked, PATIENCE).await;
    let mut pools = LazyPools {
        generations,
        needed,
        asked,
        retried: retried(&attempts),
        ..LazyPools::default()
    };
    let mut times = Vec::new();
    for attempt in &attempts {
        match &attempt.outcome {
            Ok(held) if !held.is_turned_away() => times.push(nanoseconds(attempt.total)),
            Ok(_) => *pools.refused.entry(Refusal::Closed.text()).or_default() += 1,
            Err(refusal) if refusal.is_limit() => {
                *pools.refused.entry(refusal.text()).or_default() += 1;
            }
            Err(refusal) => pools.trouble = Some(refusal.text()),
        }
    }
    if site.is_stopped() {
        pools.trouble = Some("it was stopped".to_owned());
    }
    times.sort_unstable();
    pools.opened = times.len() as u64;
    pools.median_ns = times.get(times.len() / 2).copied().unwrap_or(0);
    pools.longest_ns = times.last().copied().unwrap_or(0);
    keep(attempts).close().await;
    pools
}
