//! The act `connections`: how many connections each endpoint admits, how many may come at once,
//! and whether the pools of the services fit.
//!
//! Connections are opened and held until one is turned away, or `max` are open. Each is proven
//! alive by an answer in its own protocol, so that a full queue in between does not count as open.

mod burst;
mod census;
mod door;
mod held;
mod search;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::act::Ground;
use crate::drive::clock::{Epoch, nanoseconds};
use crate::drive::health;
use crate::scenario::acts::connections::{ConnectionsOptions, TARGET};
use crate::scenario::endpoint::{Endpoint, Service};
use census::Census;
use door::Door;
use held::Crowd;

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Connections {
    /// Every endpoint, the target first.
    pub endpoints: Vec<EndpointSeen>,
    /// The user ended it before it was done.
    pub stopped: bool,
}

/// What was seen of an endpoint.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
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
    /// From the release of all connections until it admitted all but one again; `None` where it did
    /// not within ten seconds, or this was not measured.
    pub recovery_ns: Option<u64>,
    /// What it counted itself before any was opened and after all were closed, this act's own
    /// connection included; `None` where its protocol does not tell.
    pub own_count: Option<[u64; 2]>,
    /// Who will need connections.
    pub demand: Option<DemandSum>,
    /// The whole demand at once, by generations.
    pub drills: Vec<LazyPools>,
}

/// How many connections an endpoint admits.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StaticLimit {
    /// Most that were held at once.
    pub held: u64,
    /// Those of others at that moment, by the endpoint's own count.
    pub others: Option<u64>,
    /// How the next one was turned away; `None` where none was.
    pub refusal: Option<Refusal>,
    /// Why the search ended, where none was turned away.
    pub ended: Option<Ended>,
    /// How often of three, one was closed, one was admitted, and the next one was turned away.
    pub confirmed: u64,
    /// Held connections that the endpoint closed meanwhile.
    pub lost: u64,
    /// What it says its limit is.
    pub configured: Option<u64>,
    /// Of these, what only privileged users may have.
    pub reserved: u64,
    /// How long it took.
    pub took_ns: u64,
}

impl StaticLimit {
    /// The server's number: what was held and what others held.
    pub fn total(&self) -> u64 {
        self.held.saturating_add(self.others.unwrap_or(0))
    }

    /// What services may have: privileged users get more of some servers.
    pub fn usable(&self) -> u64 {
        let plain = self.configured.map(|all| all.saturating_sub(self.reserved));
        plain.map_or(self.total(), |plain| plain.min(self.total()))
    }
}

/// Why a search ended although none was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The scenario allows no more.
    Max,
    /// This process may hold no more open files.
    OpenFiles,
    /// It took too long.
    Time,
    /// The user wished it.
    Stopped,
}

/// How a connection was turned away, as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Nobody listens, or a rule resets it.
    NoListener,
    /// The connect hung: the kernel's queue is full, or packets are dropped.
    Hung,
    /// It was told so in its protocol.
    Told(String),
    /// It was connected, and closed before a byte.
    Closed,
    /// It was connected, and nothing came.
    Silent,
    /// The endpoint cannot be used for another reason; no limit.
    Denied(String),
    /// This machine could not open it; no limit of the endpoint.
    Local(String),
}

impl Refusal {
    /// It may be a limit of the endpoint.
    pub fn is_limit(&self) -> bool {
        !matches!(self, Self::Denied(_) | Self::Local(_))
    }

    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::NoListener => "refused (nobody listens, or a rule resets it)".to_owned(),
            Self::Hung => "connecting hung (the accept queue is full)".to_owned(),
            Self::Told(said) => format!("told so ({said})"),
            Self::Closed => "accepted and closed without a byte".to_owned(),
            Self::Silent => "connected, but not answered".to_owned(),
            Self::Denied(why) | Self::Local(why) => why.clone(),
        }
    }
}

/// How many connections may come at once.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Burst {
    /// Largest burst that connected at once.
    pub clean: u64,
    /// Smallest that did not.
    pub broken: Option<u64>,
    /// Of these, connects that had to be repeated, or hung.
    pub retried: u64,
}

/// The connections that services will need.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DemandSum {
    /// Of one generation.
    pub connections: u64,
    /// Generations at once.
    pub generations: u64,
    /// Where the figure comes from.
    pub from: String,
    /// It is the recording's own peak: nothing is kept in reserve, and there is one generation.
    pub recorded: bool,
}

impl DemandSum {
    /// Everything at once, with a tenth in reserve for people and probes.
    pub fn total(&self) -> u64 {
        let all = self.connections.saturating_mul(self.generations);
        if self.recorded { all } else { all.saturating_add(all.div_ceil(10)) }
    }
}

/// The demand, opened at once from nothing.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LazyPools {
    /// Generations at once.
    pub generations: u64,
    /// Connections that these need.
    pub needed: u64,
    /// Connections asked for: all, unless `max` is less.
    pub asked: u64,
    /// Admitted.
    pub opened: u64,
    /// Turned away, by how.
    pub refused: BTreeMap<String, u64>,
    /// This machine failed, or the endpoint could not be used: why.
    pub trouble: Option<String>,
    /// Admitted, but only after connects were repeated.
    pub retried: u64,
    /// Median until admitted.
    pub median_ns: u64,
    /// Longest until admitted.
    pub longest_ns: u64,
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
}

impl Site<'_> {
    fn epoch(&self) -> Epoch {
        self.ground.epoch
    }

    fn is_stopped(&self) -> bool {
        self.ground.stop.is_requested()
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
                let site = Site { ground, door: &door, max: max.min(files), by_files: files < max };
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
        recovery_ns: None,
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
    let before = match search::first(site, &mut crowd).await {
        Ok(census) => census,
        Err(why) => {
            crowd.close().await;
            seen.trouble = Some(why);
            return;
        }
    };
    let limit = search::search(site, &mut crowd).await;
    crowd.close().await;
    let released = site.epoch().now();
    match limit {
        Ok(limit) => seen.limit = Some(limit),
        Err(why) => seen.trouble = Some(why),
    }
    let held = seen.limit.as_ref().map_or(0, |limit| limit.held);
    let is_bounded = seen.limit.as_ref().is_some_and(|limit| limit.refusal.is_some());
    if is_bounded && !site.is_stopped() {
        seen.recovery_ns = burst::recovery(site, held.saturating_sub(1), released).await;
    }
    if seen.trouble.is_none() && !site.is_stopped() {
        settle(site, before.as_ref()).await;
        seen.burst = Some(burst::bursts(site, held).await);
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
        held::pause(Duration::from_millis(100)).await;
        let before = before?;
        let mut one = Crowd::default();
        if let Ok(Some(census)) = search::first(site, &mut one).await {
            last = Some(census);
        }
        one.close().await;
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
