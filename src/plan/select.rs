//! What of a recording is replayed: the window, the requests that can be sent again, and the
//! groups that are kept or cloned whole.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::plan::doubts::listed;
use crate::plan::scale::{CLONE_SHIFT, Scale};
use crate::plan::source::{Rows, Source, Span};
use crate::plan::tally::Counts;
use crate::plan::{PlanError, redis};
use crate::protocol::Protocol;
use crate::recording::Flags;
use crate::recording::file::rows::Outline;
use crate::scenario::{MethodPolicy, Pace, Scenario, Window};

/// Why an exchange is not replayed; its text is the name of its bucket in the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    OtherProtocol,
    FromCache,
    Malformed,
    AmbiguousFraming,
    Upgraded,
    Tunnel,
    BodyNotWhole,
    Method,
    OtherMethod,
    Rewriting,
    BodyMismatch,
    LeftOutByScale,
    NotLetIn,
    NotRedis,
    CommandForm,
    Harmful,
    Blocking,
    Listening,
    Silencing,
    Login,
    Database,
    Transaction,
}

impl Skip {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OtherProtocol => "not spoken in HTTP/1 or HTTP/2",
            Self::FromCache => "answered from the client's cache",
            Self::Malformed => "malformed request",
            Self::AmbiguousFraming => "ambiguous framing",
            Self::Upgraded => "connection upgraded",
            Self::Tunnel => "CONNECT, which leads elsewhere",
            Self::BodyNotWhole => "request body not whole",
            Self::Method => "method not allowed by the scenario",
            Self::OtherMethod => "method does not match its head",
            Self::Rewriting => "rewritten into no target of a request",
            Self::BodyMismatch => "body does not match its head",
            Self::LeftOutByScale => "left out by scale",
            Self::NotLetIn => "not let in yet by the ramp",
            Self::NotRedis => "not spoken in RESP",
            Self::CommandForm => "command in a form that cannot be judged",
            Self::Harmful => "command that harms a server, not listed by name",
            Self::Blocking => "command that waits for others, not listed by name",
            Self::Listening => "subscription, MONITOR, tracking or replication",
            Self::Silencing => "CLIENT REPLY, which turns replies off",
            Self::Login => "recorded login: the target has its own",
            Self::Database => "SELECT: the target's URL names the database",
            Self::Transaction => "part of a transaction that is not replayed whole",
        }
    }
}

/// Whether a request can and may be sent again, by what the small columns say of it.
pub(crate) fn skip_reason(
    protocol: Protocol,
    flags: Flags,
    method: &str,
    policy: &MethodPolicy,
) -> Option<Skip> {
    if flags.contains(Flags::FROM_CACHE) {
        Some(Skip::FromCache)
    } else if !matches!(protocol, Protocol::Http1 | Protocol::Http2) {
        Some(Skip::OtherProtocol)
    } else if flags.contains(Flags::MALFORMED) {
        Some(Skip::Malformed)
    } else if flags.contains(Flags::AMBIGUOUS_FRAMING) {
        Some(Skip::AmbiguousFraming)
    } else if flags.contains(Flags::UPGRADED) && protocol == Protocol::Http2 {
        Some(Skip::Upgraded)
    } else if method == "CONNECT" {
        Some(Skip::Tunnel)
    } else if flags.contains(Flags::REQUEST_TRUNCATED) {
        Some(Skip::BodyNotWhole)
    } else if !is_allowed(method, policy) {
        Some(Skip::Method)
    } else {
        None
    }
}

fn is_allowed(method: &str, policy: &MethodPolicy) -> bool {
    match policy {
        MethodPolicy::All => true,
        MethodPolicy::Reading => matches!(method, "GET" | "HEAD" | "OPTIONS"),
        // Methods are case-sensitive: `get` is not GET, and is nobody's safe method.
        MethodPolicy::Only(methods) => methods.iter().any(|allowed| allowed == method),
    }
}

/// The part of the recording that the scenario names; `None` is all of it.
pub(crate) fn span(source: &Source<'_>, window: Window) -> Result<Option<Span>, PlanError> {
    match window {
        Window::All => Ok(None),
        Window::Offset(from, to) => Ok(Some((from, to))),
        Window::Clock(..) if source.started_unix_ns == 0 => Err(PlanError::NoDate),
        Window::Clock(from, to) => Ok(Some(clock_span(source.started_unix_ns, from, to))),
        Window::Busiest(length) => busiest(&mut (source.outlines)(None), length).map(Some),
    }
}

fn clock_span(started_unix_ns: i64, from: u32, to: u32) -> Span {
    const SECOND: i64 = 1_000_000_000;
    const DAY: i64 = 24 * 3600 * SECOND;
    let since_midnight = started_unix_ns.rem_euclid(DAY);
    let mut from = i64::from(from) * SECOND - since_midnight;
    let mut to = i64::from(to) * SECOND - since_midnight;
    // The first such window that was not over before the recording started: it may have begun the
    // evening before, or come the day after.
    let days = (-to).div_euclid(DAY) + 1;
    from += days * DAY;
    to += days * DAY;
    let since_start = |ns: i64| Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
    (since_start(from), since_start(to))
}

/// The earliest of the spans of this length with the most requests, to a thousandth of its length:
/// requests are counted in buckets, so that memory does not depend on their number.
pub(crate) fn busiest(outlines: &mut Rows<Outline>, length: Duration) -> Result<Span, PlanError> {
    let bucket = length.as_nanos().div_ceil(BUCKETS).max(1);
    let buckets = (length.as_nanos() / bucket).max(1);
    let mut recent: VecDeque<(u128, u64)> = VecDeque::new();
    let (mut sum, mut best_sum, mut best_end) = (0, 0, 0);
    for outline in outlines {
        let now = outline?.at.as_nanos() / bucket;
        match recent.back_mut() {
            Some((last, count)) if *last == now => *count += 1,
            _ => recent.push_back((now, 1)),
        }
        sum += 1;
        while let Some((_, count)) = recent.front().filter(|(first, _)| first + buckets <= now) {
            sum -= count;
            recent.pop_front();
        }
        if sum > best_sum {
            (best_sum, best_end) = (sum, now + 1);
        }
    }
    let start = best_end.saturating_sub(buckets) * bucket;
    let start = Duration::from_nanos(u64::try_from(start).unwrap_or(u64::MAX));
    Ok((start, start.saturating_add(length)))
}

/// How finely a window is placed.
const BUCKETS: u128 = 1000;

/// What the first look at a window found.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Exchanges in the window.
    pub(crate) exchanges: u64,
    /// Those that are not replayed, whatever the scale, by reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Their counts over time.
    pub(crate) counts: Counts,
    /// The same of those that can be replayed, from where all clones have begun; empty where
    /// nothing is scaled.
    pub(crate) replayable: Counts,
    /// The last of them, since the window's start.
    pub(crate) last: Duration,
    /// Group of each connection: the smallest number of a connection in it. Empty when every group
    /// is taken once, so that nobody asks.
    pub(crate) groups: HashMap<u64, u64>,
    /// Largest number of a connection.
    pub(crate) max_connection: u64,
    /// There are transactions of Redis among them.
    pub(crate) has_transactions: bool,
    /// Methods that the scenario lists, and that none of them has.
    pub(crate) unseen_methods: BTreeSet<String>,
    /// Share of the replayable exchanges that the largest group holds; 0 without groups.
    pub(crate) largest_group: f64,
}

/// Looks at every exchange of the window.
pub(crate) fn select(
    source: &Source<'_>,
    span: Option<Span>,
    scenario: &Scenario,
    scale: Scale,
) -> Result<Selection, PlanError> {
    let start = span.map_or(Duration::ZERO, |(start, _)| start);
    let is_redis = scenario.target.redis().is_some();
    // Commands are listed in a form of their own.
    let unseen_methods = if is_redis { BTreeSet::new() } else { listed(&scenario.methods) };
    let mut selection = Selection { unseen_methods, ..Selection::default() };
    let mut ties = Ties::default();
    for outline in (source.outlines)(span) {
        let outline = outline?;
        selection.exchanges += 1;
        selection.max_connection = selection.max_connection.max(outline.connection);
        selection.counts.count(outline.at.saturating_sub(start));
        let Outline { protocol, flags, ref method, .. } = outline;
        selection.has_transactions |= protocol == Protocol::Redis && method == "MULTI";
        selection.unseen_methods.remove(method);
        let skip = if is_redis {
            redis::skip_reason(protocol, flags)
        } else {
            skip_reason(protocol, flags, method, &scenario.methods)
        };
        if skip.is_none() && is_scaled(scenario) {
            let at = outline.at.saturating_sub(start);
            selection.last = selection.last.max(at);
            if let Some(at) = at.checked_sub(rise(scenario)) {
                selection.replayable.count(at);
            }
        }
        if let Some(skip) = skip {
            *selection.skipped.entry(skip.name().to_owned()).or_default() += 1;
        }
        if !scale.is_one() || scenario.ramp.is_some() || scenario.pace == Pace::Session {
            ties.tie(outline.connection, outline.session, skip.is_none())?;
        }
    }
    (selection.groups, selection.largest_group) = ties.groups();
    Ok(selection)
}

/// Whether a plan is another load than the recorded one, by its scale or its speed.
#[expect(clippy::float_cmp, reason = "1 is exact, and anything else is another load")]
pub(crate) fn is_scaled(scenario: &Scenario) -> bool {
    scenario.scale != 1.0 || scenario.speed != 1.0
}

/// For how long the load of clones rises, and ebbs away behind the end of the recording: what it is
/// in between is what scaling made of it.
pub(crate) fn rise(scenario: &Scenario) -> Duration {
    let spread = || scenario.clones.spread.unwrap_or(CLONE_SHIFT);
    if scenario.scale > 1.0 { spread() } else { Duration::ZERO }
}

/// Connections and sessions, tied together where one was used by the other: a forest in which each
/// tree is a group.
#[derive(Debug, Default)]
struct Ties {
    connections: HashMap<u64, u32>,
    sessions: HashMap<u64, u32>,
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    /// Of the tree, when it is a root.
    smallest_connection: u64,
    replayable: u64,
}

impl Ties {
    fn tie(&mut self, connection: u64, session: u64, replayable: bool) -> Result<(), PlanError> {
        let connection = node(&mut self.connections, &mut self.nodes, connection, connection)?;
        let session = node(&mut self.sessions, &mut self.nodes, session, u64::MAX)?;
        let (root, other) = (self.root(connection), self.root(session));
        self.nodes[root as usize].replayable += u64::from(replayable);
        if root != other {
            let absorbed = self.nodes[other as usize];
            let kept = &mut self.nodes[root as usize];
            kept.smallest_connection = kept.smallest_connection.min(absorbed.smallest_connection);
            kept.replayable += absorbed.replayable;
            self.nodes[other as usize].parent = root;
        }
        Ok(())
    }

    fn root(&mut self, mut at: u32) -> u32 {
        while self.nodes[at as usize].parent != at {
            // Each step shortens the path for the next one.
            let parent = self.nodes[at as usize].parent;
            self.nodes[at as usize].parent = self.nodes[parent as usize].parent;
            at = parent;
        }
        at
    }

    fn groups(mut self) -> (HashMap<u64, u64>, f64) {
        let connections = std::mem::take(&mut self.connections);
        let group = |(connection, at)| {
            let root = self.root(at);
            (connection, self.nodes[root as usize].smallest_connection)
        };
        let groups = connections.into_iter().map(group).collect();
        let roots = || (0_u32..).zip(&self.nodes).filter(|(index, node)| *index == node.parent);
        let all: u64 = roots().map(|(_, node)| node.replayable).sum();
        let largest = roots().map(|(_, node)| node.replayable).max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = if all == 0 { 0.0 } else { largest as f64 / all as f64 };
        (groups, share)
    }
}

fn node(
    known: &mut HashMap<u64, u32>,
    nodes: &mut Vec<Node>,
    key: u64,
    smallest_connection: u64,
) -> Result<u32, PlanError> {
    if let Some(at) = known.get(&key) {
        return Ok(*at);
    }
    let at = u32::try_from(nodes.len()).ok().filter(|at| *at < MAX_NODES);
    let at = at.ok_or(PlanError::TooManySessions { limit: MAX_NODES })?;
    nodes.push(Node { parent: at, smallest_connection, replayable: 0 });
    known.insert(key, at);
    Ok(at)
}

/// Connections and sessions of a window that are scaled at most: some 60 bytes each are kept while
/// the plan is made, 3 GiB in all.
const MAX_NODES: u32 = 50_000_000;

#[cfg(test)]
mod tests;
