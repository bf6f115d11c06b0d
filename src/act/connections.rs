//! The act `connections`: how many connections each endpoint admits, how many may come at once,
//! and whether the pools of the services fit.
//!
//! Connections are opened and held until one is turned away, or `max` are open. Each is proven
//! alive by an answer in its own protocol, so that a full queue in between does not count as open.

mod burst;
mod census;
mod door;
mod held;
mod recovery;
mod repeats;
mod search;
pub mod seen;

use std::time::Duration;

use crate::act::Ground;
use crate::drive::clock::{Epoch, nanoseconds};
use crate::drive::health;
use crate::scenario::acts::connections::{ConnectionsOptions, TARGET};
use crate::scenario::endpoint::{Endpoint, Service};
use census::Census;
use door::Door;
use held::Crowd;
use schemars::JsonSchema;
use seen::{Burst, DemandSum, LazyPools, Recovery, StaticLimit};
use serde::{Deserialize, Serialize};

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Every endpoint, the target first.
    pub endpoints: Vec<EndpointSeen>,
    /// The user ended it before it was done.
    pub stopped: bool,
}

/// What was seen of an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointSeen {
    /// Its name in the scenario.
    pub name: String,
    /// What is spoken there.
    pub service: Service,
    /// Its address without credentials.
    pub address: String,
    /// Why nothing can be said about it.
    pub trouble: Option<String>,
    /// How many connections it admits.
    pub limit: Option<StaticLimit>,
    /// How many may come at once.
    pub burst: Option<Burst>,
    /// How soon it served again; `None` where no limit was met, or it is a queue.
    pub recovery: Option<Recovery>,
    /// What it counted itself before any was opened and after all were closed, this act's own
    /// connection included; `None` where its protocol does not tell.
    pub own_count: Option<[u64; 2]>,
    /// Who will need connections.
    pub demand: Option<DemandSum>,
    /// The whole demand at once, by generations.
    pub drills: Vec<LazyPools>,
}

/// What the steps on an endpoint stand on.
#[derive(Clone, Copy)]
struct Site<'a> {
    ground: &'a Ground<'a>,
    door: &'a Door,
    /// Never more at once.
    max: u64,
    /// It is this process' own limit, not the scenario's.
    by_files: bool,
    /// Longest search.
    within: Duration,
}

impl Site<'_> {
    fn epoch(&self) -> Epoch {
        self.ground.epoch
    }

    fn is_stopped(&self) -> bool {
        self.ground.stop.is_requested()
    }

    /// Waits for something, but not after the user wished it to end.
    async fn unless_stopped<T>(&self, awaited: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.ground.stop.subscribe();
        tokio::select! {
            done = awaited => Some(done),
            _ = stop.wait_for(|requested| *requested) => None,
        }
    }
}

/// Files that this process needs besides connections.
const OTHER_FILES: u64 = 128;

/// Performs the act.
pub fn perform(ground: &Ground<'_>, options: &ConnectionsOptions) -> Connections {
    let files = health::raise_open_files_limit().saturating_sub(OTHER_FILES);
    let mut seen = Connections::default();
    for (name, endpoint) in doors(ground, options) {
        if ground.stop.is_requested() {
            break;
        }
        (ground.say)(&format!("connections: {name}"));
        let mut of_this = empty(&name, &endpoint);
        match endpoint {
            Ok(door) => {
                let max = u64::from(options.max);
                let (by_files, within) = (files < max, options.within);
                let site = Site { ground, door: &door, max: max.min(files), by_files, within };
                of_this.demand = demand(&name, ground, options);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(look(site, options.drill, &mut of_this)),
                    Err(error) => of_this.trouble = Some(format!("no runtime: {error}")),
                }
            }
            Err((_, why)) => of_this.trouble = Some(why),
        }
        seen.endpoints.push(of_this);
    }
    seen.stopped = ground.stop.is_requested();
    seen
}

type Named = (String, Result<Door, (Endpoint, String)>);

/// Every endpoint that is to be looked at, the target first, or why it must not be.
fn doors(ground: &Ground<'_>, options: &ConnectionsOptions) -> Vec<Named> {
    let mut doors = Vec::new();
    if options.target {
        doors.push((TARGET.to_owned(), Ok(Door::target(ground.target))));
    }
    for (name, endpoint) in &options.endpoints {
        let door = ground.reach(endpoint).map(|address| Door::new(endpoint, address));
        let door = door.map_err(|error| (endpoint.clone(), error.to_string()));
        doors.push((name.clone(), door));
    }
    doors
}

fn empty(name: &str, endpoint: &Result<Door, (Endpoint, String)>) -> EndpointSeen {
    let (service, address) = match endpoint {
        Ok(door) => (door.service, door.shown.clone()),
        Err((endpoint, _)) => (endpoint.service, endpoint.to_string()),
    };
    EndpointSeen {
        name: name.to_owned(),
        service,
        address,
        trouble: None,
        limit: None,
        burst: None,
        recovery: None,
        own_count: None,
        demand: None,
        drills: Vec::new(),
    }
}

/// What the services declare; the recorded peak for a target of which nothing is declared.
fn demand(name: &str, ground: &Ground<'_>, options: &ConnectionsOptions) -> Option<DemandSum> {
    let of_this: Vec<_> = options.demand.iter().filter(|demand| demand.to == name).collect();
    if !of_this.is_empty() {
        let terms = of_this.iter().map(|demand| {
            format!(
                "{}: {} instances x {} processes x {} threads x a pool of {}",
                demand.service, demand.instances, demand.processes, demand.threads, demand.pool
            )
        });
        return Some(DemandSum {
            connections: of_this.iter().fold(0, |sum, demand| sum + demand.connections()),
            generations: u64::from(options.generations),
            from: terms.collect::<Vec<_>>().join("; "),
            recorded: false,
        });
    }
    let peak = ground.facts.peak_connections;
    (name == TARGET && peak > 0).then(|| DemandSum {
        connections: peak,
        generations: 1,
        from: "the most connections that the plan holds at once".to_owned(),
        recorded: true,
    })
}

/// Looks at one endpoint. Whatever was opened is closed when this returns.
async fn look(site: Site<'_>, drill: bool, seen: &mut EndpointSeen) {
    let mut crowd = Crowd::default();
    let first = site.unless_stopped(search::first(site, &mut crowd)).await;
    let before = match first.unwrap_or_else(|| Err("it was stopped".to_owned())) {
        Ok(census) => census,
        Err(why) => {
            crowd.close(site).await;
            seen.trouble = Some(why);
            return;
        }
    };
    let limit = search::search(site, &mut crowd).await;
    crowd.close(site).await;
    let released = site.epoch().now();
    match limit {
        Ok(limit) => seen.limit = Some(limit),
        Err(why) => seen.trouble = Some(why),
    }
    if seen.limit.as_ref().is_some_and(StaticLimit::is_gone) {
        return;
    }
    let held = seen.limit.as_ref().map_or(0, |limit| limit.held);
    let is_queue = seen.limit.as_ref().is_some_and(|limit| limit.queue);
    let is_bounded = seen.limit.as_ref().is_some_and(|limit| limit.refusal.is_some());
    if is_bounded && !is_queue && !site.is_stopped() {
        seen.recovery = Some(recovery::recovery(site, held.saturating_sub(1), released).await);
    }
    if seen.trouble.is_none() && !is_queue && !site.is_stopped() {
        settle(site, before.as_ref()).await;
        seen.burst = Some(burst::bursts(site, held, before.as_ref()).await);
    }
    if drill && let Some(demand) = seen.demand.clone() {
        for generations in 1..=demand.generations {
            if site.is_stopped() || !(generations == 1 || generations == demand.generations) {
                continue;
            }
            settle(site, before.as_ref()).await;
            seen.drills.push(burst::lazy_pools(site, &demand, generations).await);
        }
    }
    let after = settle(site, before.as_ref()).await;
    seen.own_count = before.zip(after).map(|(before, after)| [before.connected, after.connected]);
}

/// Longest wait for an endpoint to notice that connections were closed.
const SETTLE: Duration = Duration::from_secs(5);

/// Waits until the endpoint counts no more connections than before, or for a moment where it does
/// not tell. Returns its last count.
async fn settle(site: Site<'_>, before: Option<&Census>) -> Option<Census> {
    let until = site.epoch().now() + SETTLE;
    let mut last = None;
    loop {
        site.unless_stopped(held::pause(Duration::from_millis(100))).await;
        let before = before?;
        let mut one = Crowd::default();
        let first = site.unless_stopped(search::first(site, &mut one)).await;
        if let Some(Ok(Some(census))) = first {
            last = Some(census);
        }
        one.close(site).await;
        let is_back = last.as_ref().is_some_and(|last| last.connected <= before.connected);
        if is_back || site.is_stopped() || site.epoch().now() > until {
            return last;
        }
    }
}

/// Time since a moment of the rehearsal.
fn since(epoch: Epoch, moment: Duration) -> u64 {
    nanoseconds(epoch.now().saturating_sub(moment))
}
