//! The static limit: connections are opened and held until one is turned away.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::act::connections::census::{Census, count};
use crate::act::connections::door::Attempt;
use crate::act::connections::held::{Crowd, pause};
use crate::act::connections::seen::{Ended, Refusal, StaticLimit, TRIES};
use crate::act::connections::{Site, since};
use crate::scenario::endpoint::Service;

/// Longest wait for a connect: one that is repeated takes more than a second.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Connects at once: far fewer than any queue of a kernel holds, so that it is not the limit.
const AT_ONCE: u64 = 32;

/// Plain connects before the next look whether they were closed; these come one after the other.
const IN_A_ROW: u64 = 256;

/// Time between heartbeats.
const BEAT_EVERY: Duration = Duration::from_secs(10);

/// How long a plain connection gets to be closed, before it counts as admitted.
const GRACE: Duration = Duration::from_millis(100);

/// Connections to open before the next look.
pub(super) fn batch(site: Site<'_>) -> u64 {
    if site.door.service == Service::Tcp { IN_A_ROW } else { AT_ONCE }
}

/// Opens the first connection. An endpoint that does not admit it has no limit to look for.
pub(super) async fn first(site: Site<'_>, crowd: &mut Crowd) -> Result<Option<Census>, String> {
    let attempt = site.door.open(PATIENCE).await;
    if site.door.service == Service::Tcp {
        pause(GRACE).await;
    }
    match attempt.outcome {
        Ok(held) if held.is_turned_away() => Err("it closes the first connection".to_owned()),
        Ok(mut held) => {
            let census = count(&mut held).await;
            crowd.all.push(held);
            Ok(census)
        }
        Err(refusal) => Err(format!("the first connection failed: {}", refusal.text())),
    }
}

/// Opens connections until the limit is found. The caller closes them.
pub(super) async fn search(site: Site<'_>, crowd: &mut Crowd) -> Result<StaticLimit, String> {
    let began = site.epoch().now();
    let mut limit = StaticLimit::default();
    let mut at_once = batch(site);
    let mut beaten = began;
    loop {
        let now = site.epoch().now();
        if let Some(ended) = ended(site, crowd, now.saturating_sub(began)) {
            limit.ended = Some(ended);
            break;
        }
        if now.saturating_sub(beaten) > BEAT_EVERY {
            crowd.beat(site).await;
            beaten = site.epoch().now();
        }
        let many = at_once.min(site.max - crowd.len());
        let Some(refusal) = more(site, crowd, many).await else { continue };
        check(&refusal)?;
        at_once = (at_once / 2).max(1);
        if let Some(refusal) = stands(site, crowd, refusal).await? {
            limit.refusal = Some(refusal);
            break;
        }
    }
    if !site.is_stopped() {
        crowd.beat(site).await;
    }
    limit.held = crowd.len();
    if let Some(first) = crowd.all.first_mut()
        && let Some(census) = count(first).await
    {
        limit.others = census.connected.checked_sub(limit.held);
        limit.configured = census.configured;
        limit.reserved = census.reserved;
    }
    if limit.refusal.is_some() && !site.is_stopped() {
        confirm(site, crowd, &mut limit).await;
        limit.held = limit.held.max(crowd.len());
        crowd.beat(site).await;
    }
    limit.lost = crowd.lost;
    limit.took_ns = since(site.epoch(), began);
    Ok(limit)
}

fn ended(site: Site<'_>, crowd: &Crowd, so_far: Duration) -> Option<Ended> {
    if site.is_stopped() {
        Some(Ended::Stopped)
    } else if crowd.len() >= site.max {
        Some(if site.by_files { Ended::OpenFiles } else { Ended::Max })
    } else {
        (so_far > site.within).then_some(Ended::Time)
    }
}

/// A failure that says nothing about a limit ends the search.
fn check(refusal: &Refusal) -> Result<(), String> {
    if refusal.is_limit() { Ok(()) } else { Err(refusal.text()) }
}

/// Opens up to so many more; returns how one of them was turned away.
pub(super) async fn more(site: Site<'_>, crowd: &mut Crowd, many: u64) -> Option<Refusal> {
    if site.door.service == Service::Tcp {
        return more_plain(site, crowd, many).await;
    }
    let attempts = together(site, many, PATIENCE).await;
    sort(crowd, attempts)
}

/// Nothing but the connect proves a plain connection, and of several connects at once a kernel
/// completes more than its queue holds; so each waits for the one before.
async fn more_plain(site: Site<'_>, crowd: &mut Crowd, many: u64) -> Option<Refusal> {
    let older = crowd.all.len();
    let mut refused = None;
    for _ in 0..many {
        if site.is_stopped() {
            break;
        }
        let Some(attempt) = site.unless_stopped(site.door.open(PATIENCE)).await else { break };
        refused = sort(crowd, vec![attempt]);
        if refused.is_some() {
            break;
        }
    }
    site.unless_stopped(pause(GRACE)).await;
    let newer = crowd.all.split_off(older.min(crowd.all.len()));
    crowd.all.retain(|held| !held.is_turned_away());
    crowd.lost += (older - crowd.all.len()) as u64;
    let opened = newer.len();
    let before = crowd.all.len();
    crowd.all.extend(newer.into_iter().filter(|held| !held.is_turned_away()));
    if crowd.all.len() - before < opened { Some(Refusal::Closed) } else { refused }
}

/// Keeps those admitted; returns how the last of the others was turned away, failures that say
/// nothing about a limit first.
fn sort(crowd: &mut Crowd, attempts: Vec<Attempt>) -> Option<Refusal> {
    let mut refused: Option<Refusal> = None;
    for attempt in attempts {
        match attempt.outcome {
            Ok(held) => crowd.all.push(held),
            Err(refusal) if refused.as_ref().is_none_or(Refusal::is_limit) => {
                refused = Some(refusal);
            }
            Err(_) => {}
        }
    }
    refused
}

/// Opens so many at once. Ends early when the user wishes it; what was not admitted by then is
/// dropped.
pub(super) async fn together(site: Site<'_>, many: u64, patience: Duration) -> Vec<Attempt> {
    let mut opening = JoinSet::new();
    for _ in 0..many {
        opening.spawn(site.door.open(patience));
    }
    let mut attempts = Vec::new();
    while let Some(Some(ended)) = site.unless_stopped(opening.join_next()).await {
        attempts.extend(ended.ok());
    }
    attempts
}

/// Tries again, one at a time: the endpoint may have been busy, or may not have noticed yet that
/// others left. Returns the refusal that stands, or nothing when there was room after all.
async fn stands(
    site: Site<'_>,
    crowd: &mut Crowd,
    mut refusal: Refusal,
) -> Result<Option<Refusal>, String> {
    for attempt in 1..=TRIES {
        if site.is_stopped() {
            return Ok(None);
        }
        site.unless_stopped(pause(Duration::from_millis(100 * attempt))).await;
        match more(site, crowd, 1).await {
            None => return Ok(None),
            Some(again) => {
                check(&again)?;
                refusal = again;
            }
        }
    }
    Ok(Some(refusal))
}

/// Closes one, opens one, and is turned away with the next: how often of three. A queue that nobody
/// empties makes no room; there it is what one more meets.
async fn confirm(site: Site<'_>, crowd: &mut Crowd, limit: &mut StaticLimit) {
    let may_be_queue = site.door.service == Service::Tcp && limit.refusal == Some(Refusal::Hung);
    for _ in 0..TRIES {
        if site.is_stopped() || !crowd.close_one().await {
            return;
        }
        if !has_room(site, crowd, if may_be_queue { 2 } else { ROOM_MS.len() }).await {
            limit.queue = may_be_queue && limit.confirmed == 0;
            break;
        }
        limit.confirmed += u64::from(more(site, crowd, 1).await.is_some_and(|by| by.is_limit()));
    }
    for _ in 0..TRIES {
        if limit.queue && !site.is_stopped() {
            limit.confirmed += u64::from(more(site, crowd, 1).await == Some(Refusal::Hung));
        }
    }
}

/// Waits between tries after one was closed: an endpoint needs a moment to notice.
const ROOM_MS: [u64; 6] = [20, 50, 100, 200, 400, 800];

/// Opens one in place of the one that was closed.
async fn has_room(site: Site<'_>, crowd: &mut Crowd, tries: usize) -> bool {
    for wait in ROOM_MS.into_iter().take(tries) {
        site.unless_stopped(pause(Duration::from_millis(wait))).await;
        if site.is_stopped() {
            break;
        }
        if more(site, crowd, 1).await.is_none() {
            return true;
        }
    }
    false
}
