//! What sessions of a group do: a Markov chain over routes, with the time that each step takes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::model::observe::{Event, SESSION_TIMEOUT};
use crate::model::owners::{Alone, Owners, Ratio, shared};
use crate::model::sample::Sample;
use crate::model::sketch::Law;
use crate::model::{Group, State, Step, rounded};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::tails::at_share;

/// Sessions as ranges of events, which are sorted by session here.
pub fn by_session(events: &mut [Event]) -> Vec<Range<usize>> {
    events.sort_by_key(|event| event.session);
    let mut start = 0;
    events
        .chunk_by(|a, b| a.session == b.session)
        .map(|session| {
            let range = start..start + session.len();
            start = range.end;
            range
        })
        .collect()
}

/// The gap in seconds below which a program asked, and not a person: where the fewest gaps are,
/// between those of machines and those of people.
pub fn embedded_below(events: &[Event], resolution: f64) -> f64 {
    /// Looked for between 20 ms and 1 s, in steps of a fifth of a factor of ten.
    const FROM: f64 = -1.7;
    const STEPS: usize = 9;
    if resolution > 0.01 {
        return 0.0;
    }
    let mut counts = [0_u64; STEPS];
    for event in events {
        let place = (f64::from(event.gap).log10() - FROM) * 5.0;
        if place >= 0.0
            && let Some(count) = counts.get_mut(as_index(place))
        {
            *count += 1;
        }
    }
    let least = counts.iter().min().copied().unwrap_or(0);
    let emptiest: Vec<usize> =
        counts.iter().enumerate().filter(|(_, count)| **count == least).map(|(at, _)| at).collect();
    let middle = emptiest.get(emptiest.len() / 2).copied().unwrap_or(STEPS / 2);
    10.0_f64.powf(FROM + (as_f64(middle as u64) + 0.5) / 5.0)
}

/// From which silence on a session's end is its end, and not that of the recording: nearly all
/// pauses are shorter. A fourth of the recording at most, so that most of it is looked at.
pub fn ended_after(events: &[Event], embedded_below: f64, length: f64) -> f64 {
    const NEARLY_ALL: f64 = 0.99;
    let pauses = events.iter().map(|event| f64::from(event.gap));
    let mut pauses: Vec<f64> = pauses.filter(|gap| *gap >= embedded_below).collect();
    pauses.sort_unstable_by(f64::total_cmp);
    let usual = at_share(&pauses, NEARLY_ALL).unwrap_or(0.0);
    usual.min(SESSION_TIMEOUT).min(length / 4.0)
}

/// What tells chains apart from what was cut off.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Gaps below belong to a page, in seconds.
    pub embedded_below: f64,
    /// Who was silent from later than this on, in seconds, may have gone on.
    pub ended_before: f64,
}

/// What is known of visits besides their requests, by their number.
#[derive(Clone, Copy, Debug)]
pub struct Visits<'a> {
    /// When each was last heard of, in seconds.
    pub lasts: &'a [f64],
    /// Whose it was.
    pub owners: &'a [u32],
}

impl Visits<'_> {
    /// Whose visit a request was part of.
    pub fn owner(&self, event: &Event) -> u32 {
        usize::try_from(event.session).ok().and_then(|at| self.owners.get(at)).copied().unwrap_or(0)
    }
}

/// Steps from one route: where to, and within a page or not.
type Taken = BTreeMap<(u16, bool), Followed>;

/// How a route was left.
#[derive(Default)]
struct Left {
    taken: Taken,
    ends: Followed,
    owners: Owners,
}

impl Left {
    fn merge(&mut self, other: &Self) {
        for (step, followed) in &other.taken {
            self.taken.entry(*step).or_default().merge(followed);
        }
        self.ends.merge(&other.ends);
        self.owners.merge(&other.owners);
    }

    /// How often it was the end, of all times that it was left. Where too few clients went on from
    /// it, nobody did.
    fn ends_of(&self) -> Ratio {
        let mut went_on = Owners::default();
        self.taken.values().for_each(|step| went_on.merge(&step.owners));
        let hides = self.ends.owners.are_enough() && !went_on.are_enough();
        let taken: u64 = self.taken.values().map(|step| step.count).sum();
        let whole = self.ends.count + if hides { 0 } else { taken };
        Ratio {
            part: as_f64(self.ends.count),
            whole: as_f64(whole),
            owners: self.ends.owners.clone(),
        }
    }
}

#[derive(Default)]
struct Followed {
    count: u64,
    owners: Owners,
    gaps: Sample,
}

impl Followed {
    fn count(&mut self, owner: u32) {
        self.count += 1;
        self.owners.add(owner);
    }

    fn add(&mut self, event: &Event, owner: u32, random: &mut ChaCha8Rng) {
        self.count(owner);
        self.gaps.add(f64::from(event.gap), owner, random);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.owners.merge(&other.owners);
        self.gaps.seen += other.gaps.seen;
        self.gaps.kept.extend(&other.gaps.kept);
    }
}

/// What sessions of a group did, before it is decided what may be told.
#[derive(Default)]
pub struct Seen {
    begins: BTreeMap<usize, Followed>,
    states: BTreeMap<usize, Left>,
    sessions: u64,
    requests: u64,
}

/// Looks at the sessions of a group.
pub fn seen(sessions: &[&[Event]], visits: Visits<'_>, limits: Limits) -> Seen {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut seen = Seen::default();
    for session in sessions {
        let Some(first) = session.first() else { continue };
        let owner = visits.owner(first);
        seen.sessions += 1;
        seen.requests += session.len() as u64;
        seen.begins.entry(first.route.into()).or_default().count(owner);
        // Gaps add up to moments from a session's end backwards.
        let number = usize::try_from(first.session).ok();
        let last = number.and_then(|number| visits.lasts.get(number));
        let mut at = last.copied().unwrap_or(0.0);
        let mut after: Option<&Event> = None;
        for event in session.iter().rev() {
            at -= after.map_or(0.0, |after| f64::from(after.gap));
            // What was left too late is not known to have ended, so nothing that was left then is
            // counted: pauses that were over in time would count for more otherwise.
            if at <= limits.ended_before {
                let left = seen.states.entry(event.route.into()).or_default();
                left.owners.add(owner);
                match after {
                    None => left.ends.count(owner),
                    Some(next) => {
                        let embedded = f64::from(next.gap) < limits.embedded_below;
                        let step = left.taken.entry((next.route, embedded)).or_default();
                        step.add(next, owner, &mut random);
                    }
                }
            }
            after = Some(event);
        }
    }
    seen
}

/// The chain of a group among `routes` routes, the last of which is that of all others. What too
/// few clients did is told of `parent`, the chain of all sessions, or of nobody.
pub fn fit(seen: &Seen, routes: usize, share: f64, parent: Option<&Group>) -> Group {
    let other = routes.saturating_sub(1);
    let ends = ends(seen);
    let mut rare: BTreeMap<usize, Followed> = BTreeMap::new();
    let mut states = Vec::with_capacity(seen.states.len());
    for ((from, left), ends) in seen.states.iter().zip(ends) {
        let of_parent = || {
            let states = parent.map_or(&[][..], |parent| &parent.states);
            states.iter().find(|state| state.from == *from).cloned()
        };
        states.extend(state(*from, left, ends, &mut rare).or_else(of_parent));
    }
    let common = common(seen, &states, &mut rare);
    let mut elsewhere = shares(&rare, other);
    let leads_elsewhere = |state: &State| state.next.iter().any(|step| step.to.is_none());
    let is_led_to = states.iter().chain([&common]).any(leads_elsewhere);
    if elsewhere.is_empty() && is_led_to {
        elsewhere = parent.map_or_else(Vec::new, |parent| parent.elsewhere.clone());
    }
    if elsewhere.is_empty() {
        elsewhere = is_led_to.then_some((other, 1.0)).into_iter().collect();
    }
    let mut begins = shares(&seen.begins, other);
    if begins.is_empty() {
        begins = parent.map_or_else(|| vec![(other, 1.0)], |parent| parent.begins.clone());
    }
    let steps = states.iter().flat_map(|state| &state.next).filter_map(|step| step.to);
    let more = common.next.iter().filter_map(|step| step.to);
    let listed = begins.iter().chain(&elsewhere).map(|(route, _)| *route);
    let mut reached: BTreeSet<usize> = steps.chain(more).chain(listed).collect();
    for state in &states {
        reached.remove(&state.from);
    }
    // A route that is reached and not left would end whoever comes there.
    states.extend(reached.into_iter().map(|from| State { from, ..common.clone() }));
    states.sort_by_key(|state| state.from);
    Group { share: rounded(share), begins, elsewhere, states }
}

/// How routes are left that too few clients left for each to be told: all of them together, or
/// all routes, where even those are too few.
fn common(seen: &Seen, told: &[State], rare: &mut BTreeMap<usize, Followed>) -> State {
    let pooled = |is_in: &dyn Fn(usize) -> bool| {
        let mut pooled = Left::default();
        for (from, left) in &seen.states {
            if is_in(*from) {
                pooled.merge(left);
            }
        }
        pooled
    };
    let mut left = pooled(&|from| told.iter().all(|state| state.from != from));
    if !left.owners.are_enough() {
        left = pooled(&|_| true);
    }
    let Ratio { part, whole, owners } = left.ends_of();
    let ends = if owners.are_enough() { part / whole } else { usual_end(seen) };
    state(0, &left, ends, rare).unwrap_or_else(|| gone_elsewhere(0, ends))
}

/// A state of which nothing is told but how often it is the last one.
fn gone_elsewhere(from: usize, ends: f64) -> State {
    let share = rounded(1.0 - ends);
    State {
        from,
        ends: rounded(ends),
        next: vec![Step { to: None, share, embedded: false, gap: usual(false) }],
    }
}

/// The share of requests that were the last of their session.
fn usual_end(seen: &Seen) -> f64 {
    (as_f64(seen.sessions) / as_f64(seen.requests.max(1))).min(1.0)
}

/// The share of times that a session ends at each of the routes. Where too few clients ended, it
/// is that of the routes most like it, together; where too few ended at all, sessions are as long
/// as they were on average.
fn ends(seen: &Seen) -> Vec<f64> {
    let ratios: Vec<Ratio> = seen.states.values().map(Left::ends_of).collect();
    shared(&ratios, Alone::Joins).unwrap_or_else(|| vec![usual_end(seen); ratios.len()])
}

/// What follows a route; `None` where too few clients left it to tell.
fn state(
    from: usize,
    left: &Left,
    ends: f64,
    rare: &mut BTreeMap<usize, Followed>,
) -> Option<State> {
    if !left.owners.are_enough() {
        return None;
    }
    let mut told: Vec<(Option<usize>, bool, u64, Law)> = Vec::new();
    // Within a page, and not.
    let mut merged: [Vec<(usize, &Followed)>; 2] = [Vec::new(), Vec::new()];
    for ((to, embedded), seen) in &left.taken {
        let law = seen.owners.are_enough().then(|| Law::fit(&seen.gaps.kept)).flatten();
        match law {
            Some(gap) => told.push((Some((*to).into()), *embedded, seen.count, gap)),
            None => merged[usize::from(*embedded)].push(((*to).into(), seen)),
        }
    }
    for (embedded, steps) in [false, true].into_iter().zip(merged) {
        let mut all = Followed::default();
        for (_, step) in &steps {
            all.merge(step);
        }
        if !all.owners.are_enough() {
            continue;
        }
        for (to, step) in steps {
            rare.entry(to).or_default().merge(step);
        }
        let gap = Law::fit(&all.gaps.kept).unwrap_or_else(|| usual(embedded));
        told.push((None, embedded, all.count, gap));
    }
    let all = as_f64(told.iter().map(|(_, _, count, _)| count).sum::<u64>());
    if told.is_empty() && ends <= 0.0 {
        return None;
    }
    if told.is_empty() {
        // Where they went is not told, but that they went on is, where enough did.
        let is_last = left.taken.is_empty() || ends >= 1.0;
        return Some(if is_last {
            State { from, ends: 1.0, next: Vec::new() }
        } else {
            gone_elsewhere(from, ends)
        });
    }
    let ends = rounded(ends);
    let next = told
        .into_iter()
        .map(|(to, embedded, count, gap)| {
            let share = rounded((1.0 - ends) * as_f64(count) / all);
            Step { to, share, embedded, gap }
        })
        .collect();
    Some(State { from, ends, next })
}

/// Gaps of too few sessions to tell of: some milliseconds in a page, some seconds between pages.
fn usual(embedded: bool) -> Law {
    let (median, most) = if embedded { (0.005, 0.05) } else { (5.0, 60.0) };
    Law::LogNormal { median, sigma: 1.0, most }
}

/// Shares of routes. Those of too few clients count as the last one, and where all of these
/// together are too few, they do not count.
fn shares(seen: &BTreeMap<usize, Followed>, other: usize) -> Vec<(usize, f64)> {
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    let mut few = Followed::default();
    for (route, seen) in seen {
        if seen.owners.are_enough() {
            counts.insert(*route, seen.count);
        } else {
            few.count += seen.count;
            few.owners.merge(&seen.owners);
        }
    }
    if few.owners.are_enough() {
        *counts.entry(other).or_default() += few.count;
    }
    let all = as_f64(counts.values().sum::<u64>().max(1));
    counts.into_iter().map(|(route, count)| (route, rounded(as_f64(count) / all))).collect()
}

#[cfg(test)]
mod tests;
