//! The facts of a plan, found by going through it once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::plan::arrivals::{Notes, Plan};
use crate::plan::doubts;
use crate::plan::facts::Facts;
use crate::plan::fingerprint::Fnv;
use crate::plan::needs::{Needs, Volume};
use crate::plan::scale::{CLONE_SHIFT, Speed};
use crate::plan::scaling::Scaling;
use crate::plan::select::{Selection, Skip, is_scaled, rise};
use crate::plan::streamed::Streamed;
use crate::plan::tally::Counts;
use crate::plan::{Arrival, PlanError, Totals};
use crate::protocol::Protocol;
use crate::recording::file::RecordingError;
use crate::recording::stored::STORED_FROM;
use crate::scenario::clones::CloneKeys;
use crate::scenario::rewriting::Tokens;
use crate::scenario::{Pace, Scenario};
use crate::shape::Origin;
use crate::units::{format_count, format_counted, format_duration, format_share, format_size};

/// Goes through a plan; returns its facts, and how many arrivals there are of each connection and
/// session.
pub(crate) fn measure(
    mut plan: Plan,
    selection: &Selection,
    scenario: &Scenario,
) -> Result<(Facts, Totals), PlanError> {
    let mut tally = Tally::new();
    if is_scaled(scenario) {
        let speed = Speed::new(scenario.speed)?;
        tally.inner = Some((speed.due(rise(scenario)), speed.due(selection.last)));
    }
    for arrival in &mut plan {
        tally.add(&arrival?)?;
    }
    let notes = plan.notes();
    let mut skipped = selection.skipped.clone();
    for (reason, count) in &notes.skipped {
        *skipped.entry(reason.clone()).or_default() += count;
    }
    let needs = tally.needs();
    let facts = Facts {
        origin: Origin::Recorded,
        exchanges: selection.exchanges,
        arrivals: tally.arrivals,
        clones: notes.clones,
        connections: tally.connections.len() as u64,
        peak_connections: needs.connections,
        needs,
        sessions: tally.sessions.len() as u64,
        session_pace: scenario.pace == Pace::Session,
        duration_ns: u64::try_from(tally.last.as_nanos()).unwrap_or(u64::MAX),
        peak_rate: tally.counts.peak().0,
        request_bytes: tally.bytes,
        fingerprint: format!("{:016x}", tally.fingerprint.finish()),
        idc_before: selection.counts.dispersion(),
        idc_after: tally.counts.dispersion(),
        scaling: tally.inner.map(|_| scaling(notes, selection, scenario, &tally)),
        warnings: [warnings(notes, selection, scenario, &tally), plan.latest().warnings()].concat(),
        skipped,
        window_ns: [0, 0],
        clock_step_ns: 0,
    };
    refuse(&facts, &tally, scenario)?;
    let connections = tally.connections.into_iter().map(|(number, seen)| (number, seen.arrivals));
    let connections = connections.collect();
    let sessions = match scenario.pace {
        Pace::Recorded => HashMap::new(),
        Pace::Session => tally.sessions,
    };
    let arrivals = Some(facts.arrivals);
    Ok((facts, Totals { connections, sessions, arrivals }))
}

/// What scale and speed did.
fn scaling(notes: &Notes, selection: &Selection, scenario: &Scenario, tally: &Tally) -> Scaling {
    Scaling {
        scale: scenario.scale,
        speed: scenario.speed,
        idc_unscaled: selection.replayable.dispersion(),
        idc_scaled: tally.inner_counts.dispersion(),
        clones: notes.clones,
        own_identities: notes.own_identities,
        shared_identities: notes.shared_identities,
        follows_cookies: scenario.rewriting.follow_cookies,
        own_keys: notes.own_keys,
        asks_own_keys: scenario.clones.keys == CloneKeys::Own,
    }
}

fn refuse(facts: &Facts, tally: &Tally, scenario: &Scenario) -> Result<(), PlanError> {
    let limits = scenario.limits;
    if facts.arrivals == 0 {
        let reasons: Vec<String> = facts
            .skipped
            .iter()
            .map(|(reason, count)| format!("{reason}: {}", format_count(*count)))
            .collect();
        let reasons = match (facts.exchanges, reasons.is_empty()) {
            (0, _) => {
                "the window holds no request at all; `peakhour inspect` tells when the recording \
                       starts and how long it is"
                    .to_owned()
            }
            (_, true) => "no reason is known".to_owned(),
            (_, false) => reasons.join(", "),
        };
        return Err(PlanError::Empty { exchanges: facts.exchanges, reasons });
    }
    let (rate, second) = tally.counts.peak();
    if rate > u64::from(limits.max_rate) {
        return Err(PlanError::TooFast { rate, second, limit: limits.max_rate });
    }
    if facts.peak_connections > u64::from(limits.max_connections) {
        return Err(PlanError::TooManyConnections {
            connections: facts.peak_connections,
            limit: limits.max_connections,
        });
    }
    Ok(())
}

/// What is added up over the arrivals.
struct Tally {
    arrivals: u64,
    bytes: u64,
    last: Duration,
    counts: Counts,
    /// Where the load is what scaling made of it, and its counts there; `None` without scaling.
    inner: Option<(Duration, Duration)>,
    inner_counts: Counts,
    volume: Volume,
    fingerprint: Fnv,
    connections: HashMap<u64, Seen>,
    /// Arrivals of each.
    sessions: HashMap<u64, u32>,
    /// Arrivals by where they go.
    goals: BTreeMap<u16, u64>,
    /// Arrivals whose bodies are read from the disk.
    streamed: u64,
    /// Where the bodies stand that were read already.
    checked: HashSet<u64>,
}

/// What was seen of a connection: from its first arrival to the end of its last answer, or until it
/// was closed.
struct Seen {
    first: Duration,
    last: Duration,
    arrivals: u32,
}

impl Tally {
    fn new() -> Self {
        Self {
            arrivals: 0,
            bytes: 0,
            last: Duration::ZERO,
            counts: Counts::default(),
            inner: None,
            inner_counts: Counts::default(),
            volume: Volume::default(),
            fingerprint: Fnv::new(),
            connections: HashMap::new(),
            sessions: HashMap::new(),
            goals: BTreeMap::new(),
            streamed: 0,
            checked: HashSet::new(),
        }
    }

    fn add(&mut self, arrival: &Arrival) -> Result<(), PlanError> {
        self.arrivals += 1;
        let bytes = arrival.head.len() as u64 + arrival.body_bytes();
        self.bytes += bytes;
        self.volume.add(arrival.due, bytes, arrival.recorded.body_bytes.unwrap_or(0));
        self.last = arrival.due;
        self.counts.count(arrival.due);
        if let Some((from, until)) = self.inner
            && arrival.due <= until
            && let Some(at) = arrival.due.checked_sub(from)
        {
            self.inner_counts.count(at);
        }
        self.fingerprint = self
            .fingerprint
            .number(arrival.due.as_secs())
            .number(u64::from(arrival.due.subsec_nanos()))
            .number(arrival.connection)
            .text(&arrival.head)
            .text(&arrival.body);
        if arrival.protocol == Protocol::Http2 {
            // The same bytes say another thing; what was planned in HTTP/1 keeps its hash.
            self.fingerprint = self.fingerprint.text(Protocol::Http2.name().as_bytes());
        }
        if let Some(streamed) = &arrival.streamed {
            self.add_streamed(streamed)?;
        }
        *self.goals.entry(arrival.bond.goal).or_default() += 1;
        let of_session = self.sessions.entry(arrival.session).or_default();
        *of_session = of_session.saturating_add(1);
        let end = arrival.due.saturating_add(arrival.recorded.latency.unwrap_or_default());
        let end = end.max(arrival.recorded.closes.unwrap_or_default());
        let seen = self.connections.entry(arrival.connection).or_insert(Seen {
            first: arrival.due,
            last: end,
            arrivals: 0,
        });
        seen.last = seen.last.max(end);
        seen.arrivals = seen.arrivals.saturating_add(1);
        Ok(())
    }

    /// A body on the disk is read once here: a damaged one is found before anything is sent.
    fn add_streamed(&mut self, streamed: &Streamed) -> Result<(), PlanError> {
        let body = &streamed.body;
        self.streamed += 1;
        if body.place().is_none_or(|place| self.checked.insert(place)) {
            body.check().map_err(RecordingError::from)?;
        }
        self.fingerprint = self
            .fingerprint
            .number(body.length())
            .text(body.digest().map_or(&[], |digest| &digest[..]))
            .text(streamed.around.as_deref().unwrap_or_default());
        Ok(())
    }

    fn needs(&self) -> Needs {
        let spans = self.connections.values().map(|seen| (seen.first, seen.last));
        Needs::new(spans, &self.volume)
    }
}

fn warnings(
    notes: &Notes,
    selection: &Selection,
    scenario: &Scenario,
    tally: &Tally,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let sets = |name: &str| scenario.headers.keys().any(|set| set.eq_ignore_ascii_case(name));
    let is_followed = scenario.rewriting.follow_cookies;
    if notes.redacted > 0 && !sets("Authorization") && !sets("Cookie") && !is_followed {
        warnings.push(format!(
            "credentials of {} requests were replaced at import and are sent as pseudonyms; set \
             `Authorization` or `Cookie` under `rewrite.headers` if the target checks them",
            format_count(notes.redacted)
        ));
    }
    if notes.upgrades > 0 {
        warnings.push(format!(
            "{} connections went on in another protocol, such as a WebSocket: the switch is \
             replayed, and what passed behind it is not",
            format_count(notes.upgrades)
        ));
    }
    if notes.untold_touches > 0 {
        warnings.push(format!(
            "there are more distinct targets than are remembered: of {} requests it is not known \
             whether they are the first for their target",
            format_count(notes.untold_touches)
        ));
    }
    let mismatched = notes.skipped.get(Skip::BodyMismatch.name()).copied().unwrap_or(0);
    if mismatched > 0 {
        warnings.push(format!(
            "{} requests announce another body than the recording holds, and are left out",
            format_count(mismatched)
        ));
    }
    let rewriting = &scenario.rewriting;
    let looks_into_bodies = rewriting.tokens != Tokens::default() || rewriting.hook.is_some();
    if tally.streamed > 0 && looks_into_bodies {
        warnings.push(format!(
            "the bodies of {} are over {} and are sent from the disk as they were recorded: no \
             value in them is replaced, and a hook is told their lengths alone",
            format_counted(tally.streamed, "request", "requests"),
            format_size(STORED_FROM as u64)
        ));
    }
    for (goal, host) in (1..).zip(&scenario.hosts) {
        let count = tally.goals.get(&goal).copied().unwrap_or(0);
        warnings.push(format!(
            "{} of `{}` go to {}",
            format_counted(count, "request", "requests"),
            host.recorded(),
            host.to.authority()
        ));
    }
    warnings.extend(doubts::methods(&selection.unseen_methods));
    let kept_out = notes.skipped.get(Skip::NotLetIn.name()).copied().unwrap_or(0);
    let let_in = [tally.arrivals, kept_out];
    warnings.extend(doubts::ramp(scenario, let_in, selection.largest_group));
    warnings.extend(scale_warnings(notes, selection, scenario, tally.arrivals));
    if scenario.pace == Pace::Session {
        warnings.push(regime(tally.arrivals, tally.sessions.len()));
    }
    warnings
}

/// What a load does to whom, where sessions set the pace: short ones come whatever the target does,
/// long ones wait for it.
#[expect(clippy::cast_precision_loss, reason = "a mean for people")]
fn regime(arrivals: u64, sessions: usize) -> String {
    let mean = arrivals as f64 / sessions.max(1) as f64;
    let like = match mean {
        ..=NEARLY_OPEN => "nearly an open load, which a slow target cannot hold up",
        NEARLY_CLOSED.. => "nearly a closed load, which a slow target holds up",
        _ => "a partly open load, which a slow target holds up in part",
    };
    format!(
        "sessions set the pace: {mean:.1} requests each, {like}; their latencies are from the \
         moment at which their users could ask"
    )
}

/// Requests of a session up to which a partly open load is like an open one, and from which on it
/// is like a closed one (Schroeder, Wierman and Harchol-Balter, NSDI 2006).
const NEARLY_OPEN: f64 = 5.0;
const NEARLY_CLOSED: f64 = 10.0;

#[expect(clippy::cast_precision_loss, reason = "shares for people")]
fn scale_warnings(
    notes: &Notes,
    selection: &Selection,
    scenario: &Scenario,
    arrivals: u64,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let left_out = notes.skipped.get(Skip::LeftOutByScale.name()).copied().unwrap_or(0);
    let replayable = arrivals.saturating_sub(notes.clones) + left_out;
    let achieved = if replayable == 0 { 0.0 } else { arrivals as f64 / replayable as f64 };
    if replayable > 0 && (achieved / scenario.scale - 1.0).abs() > SCALE_MISS {
        warnings.push(format!(
            "a scale of {} came out as {achieved:.3}: whole groups of connections and sessions \
             are kept or cloned, and the largest one holds {} of the requests; try another seed \
             or a longer window",
            scenario.scale,
            format_share(selection.largest_group)
        ));
    }
    if notes.clones > 0 {
        warnings.push(format!(
            "clones start up to {} later than their originals: the load rises over that time at \
             the beginning, and ebbs away as long at the end",
            format_duration(CLONE_SHIFT.div_f64(scenario.speed))
        ));
    }
    warnings
}

/// A scale that misses by more than this is worth a warning: the rate is then not the one asked
/// for.
const SCALE_MISS: f64 = 0.1;
