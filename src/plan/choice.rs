//! What decides about every exchange of a recording.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::plan::edit::target;
use crate::plan::fingerprint::Fnv;
use crate::plan::learn::Learned;
use crate::plan::pending::{Pending, Request};
use crate::plan::redis::Commands;
use crate::plan::redis::transactions::Broken;
use crate::plan::scale::{Scale, Speed};
use crate::recording::Exchange;
use crate::recording::closings::Closings;
use crate::recording::handshakes::Handshakes;
use crate::recording::route::route_of;
use crate::scenario::clones::Clones;
use crate::scenario::mapped::{MappedHost, goal_of};
use crate::scenario::ramp::Ramp;
use crate::scenario::rewriting::Rewriting;
use crate::scenario::{MethodPolicy, Pace};

/// Everything that decides about an exchange, settled before the first one is read.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) methods: MethodPolicy,
    pub(crate) headers: BTreeMap<String, String>,
    /// The `Host` of the target, and of each other host behind it.
    pub(crate) authorities: Vec<String>,
    /// Hosts whose requests go elsewhere.
    pub(crate) hosts: Vec<MappedHost>,
    /// What else is changed.
    pub(crate) rewriting: Rewriting,
    /// Values that came back.
    pub(crate) learned: Option<Arc<Learned>>,
    pub(crate) start: Duration,
    pub(crate) scale: Scale,
    pub(crate) seed: u64,
    pub(crate) clones: Clones,
    pub(crate) speed: Speed,
    pub(crate) ramp: Option<Ramp>,
    pub(crate) pace: Pace,
    /// Group of each connection; empty when every group is played once, and from the start.
    pub(crate) groups: HashMap<u64, u64>,
    /// When connections were closed, in the recording's time.
    pub(crate) closings: Arc<Closings>,
    /// How connections began to speak TLS.
    pub(crate) handshakes: Arc<Handshakes>,
    /// What is added to a connection's number for each copy.
    pub(crate) stride: u64,
    /// The target is a Redis.
    pub(crate) redis: Option<(Commands, Arc<Broken>)>,
}

impl Choice {
    /// Where an exchange goes: 0 is the target.
    pub(crate) fn goal(&self, exchange: &Exchange) -> u16 {
        goal_of(&self.hosts, &exchange.authority, &exchange.scheme)
    }

    /// Until when the client of a request's copy held its connection: as long after the request as
    /// in the recording.
    pub(crate) fn closes(&self, connection: u64, copy: &Pending) -> Option<Duration> {
        let closed = self.closings.of(connection)?.saturating_sub(self.start);
        Some(self.speed.due(closed.saturating_add(copy.shift)))
    }

    /// Which of the connections is meant that stand for a recorded one: each copy has one for each
    /// host that it asks, since a connection goes to one place.
    pub(crate) fn lane(&self, request: &Request, copy: u32) -> u64 {
        let goal = u64::from(request.bond.goal);
        goal * u64::from(self.scale.most_copies()) + u64::from(copy)
    }

    /// The target of a request as it is sent, and the route that it is counted by: the recorded
    /// one, unless the path is another one now.
    pub(crate) fn shown<'a>(
        &self,
        exchange: &'a Exchange,
        head: &[u8],
    ) -> (Cow<'a, str>, Cow<'a, str>) {
        let (recorded, route) = (exchange.target.as_str(), exchange.route.as_str());
        if !self.rewriting.changes_targets() || self.redis.is_some() {
            return (recorded.into(), route.into());
        }
        let place = target(head).unwrap_or_default();
        let sent = String::from_utf8_lossy(head.get(place).unwrap_or_default()).into_owned();
        let (old, new) = (route_of(recorded), route_of(&sent));
        let route = if old == new { route.into() } else { new.into() };
        (sent.into(), route)
    }
}

/// What was asked for, and whom.
pub(crate) fn asked(goal: u16, method: &str, target: &str) -> u64 {
    let asked = Fnv::new().text(method.as_bytes()).text(target.as_bytes());
    let asked = if goal == 0 { asked } else { asked.number(u64::from(goal)) };
    asked.finish()
}
