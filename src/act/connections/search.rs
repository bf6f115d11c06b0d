//! The static limit: connections are opened and held until one is turned away.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::act::connections::census::{Census, count};
use crate::act::connections::door::Attempt;
use crate::act::connections::held::{Crowd, pause};
use crate::act::connections::{Ended, Refusal, Site, StaticLimit, since};
use crate::scenario::endpoint::Service;

/// Longest wait for a connect: one that is repeated takes more than a second.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Connects at once: far fewer than any queue of a kernel holds, so that it is not the limit.
const AT_ONCE: u64 = 32;

/// Time between heartbeats.
const BEAT_EVERY: Duration = Duration::from_secs(10);

/// Longest search.
const LONGEST: Duration = Duration::from_secs(50);

/// How long a plain connection gets to be closed, before it counts as admitted.
const GRACE: Duration = Duration::from_millis(100);

/// How often one is turned away before it is the limit, and not a moment's weakness.
const TRIES: u64 = 3;

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
    let mut at_once = AT_ONCE;
    let mut beaten = began;
    loop {
        let now = site.epoch().now();
        if let Some(ended) = ended(site, crowd, now.saturating_sub(began)) {
            limit.ended = Some(ended);
            break;
        }
        if now.saturating_sub(beaten) > BEAT_EVERY {
            limit.lost += crowd.beat().await;
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
    limit.lost += crowd.beat().await;
    limit.held = crowd.len();
    if let Some(first) = crowd.all.first_mut()
        && let Some(census) = count(first).await
    {
        limit.others = census.connected.checked_sub(limit.held);
        limit.configured = census.configured;
        limit.reserved = census.reserved;
    }
    if limit.refusal.is_some() && !site.is_stopped() {
        limit.confirmed = confirm(site, crowd).await;
        limit.held = limit.held.max(crowd.len());
    }
    limit.took_ns = since(site.epoch(), began);
    Ok(limit)
}

fn ended(site: Site<'_>, crowd: &Crowd, so_far: Duration) -> Option<Ended> {
    if site.is_stopped() {
        Some(Ended::Stopped)
    } else if crowd.len() >= site.max {
        Some(if site.by_files { Ended::OpenFiles } else { Ended::Max })
    } else {
        (so_far > LONGEST).then_some(Ended::Time)
    }
}

/// A failure that says nothing about a limit ends the search.
fn check(refusal: &Refusal) -> Result<(), String> {
    if refusal.is_limit() { Ok(()) } else { Err(refusal.text()) }
}

/// Opens up to so many more; returns how one of them was turned away.
async fn more(site: Site<'_>, crowd: &mut Crowd, many: u64) -> Option<Refusal> {
    if site.door.service == Service::Tcp {
        return more_plain(site, crowd, many).await;
    }
    let attempts = together(site, many, PATIENCE).await;
    sort(crowd, attempts)
}

/// Nothing but the connect proves a plain connection, and of several connects at once a kernel
/// completes more than its queue holds; so each waits for the one before.
async fn more_plain(site: Site<'_>, crowd: &mut Crowd, many: u64) -> Option<Refusal> {
    let mut refused = None;
    for _ in 0..many {
        if site.is_stopped() {
            break;
        }
        let attempt = site.door.open(PATIENCE).await;
        refused = sort(crowd, vec![attempt]);
        if refused.is_some() {
            break;
        }
    }
    pause(GRACE).await;
    let before = crowd.len();
    crowd.all.retain(|held| !held.is_turned_away());
    if crowd.len() < before { Some(Refusal::Closed) } else { refused }
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
    let mut stop = site.ground.stop.subscribe();
    let mut attempts = Vec::new();
    loop {
        tokio::select! {
            ended = opening.join_next() => match ended {
                Some(ended) => attempts.extend(ended.ok()),
                None => break,
            },
            _ = stop.wait_for(|requested| *requested) => break,
        }
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
        pause(Duration::from_millis(100 * attempt)).await;
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

/// Closes one, opens one, and is turned away with the next: how often of three.
async fn confirm(site: Site<'_>, crowd: &mut Crowd) -> u64 {
    let mut confirmed = 0;
    for _ in 0..TRIES {
        if site.is_stopped() || !crowd.close_one().await {
            break;
        }
        // The endpoint needs a moment to notice.
        let mut is_open = false;
        for pause_ms in [20, 50, 100, 200, 400, 800] {
            pause(Duration::from_millis(pause_ms)).await;
            is_open = more(site, crowd, 1).await.is_none();
            if is_open || site.is_stopped() {
                break;
            }
        }
        if !is_open {
            break; // A queue that nobody empties makes no room.
        }
        confirmed += u64::from(more(site, crowd, 1).await.is_some());
    }
    confirmed
}
