//! What sessions of a group do: a Markov chain over routes, with the time that each step takes.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::observe::{Event, SESSION_TIMEOUT};
use crate::model::sketch::{Law, Owned};
use crate::model::{ANONYMOUS, Group, State, Step, rounded};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::tails::at_share;

/// Values kept of the gaps of one step.
const MAX_GAPS: usize = 20_000;

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

/// Steps from one route: where to, and within a page or not.
type Taken = BTreeMap<(u16, bool), Followed>;

/// How a route was left.
#[derive(Default)]
struct Left {
    taken: Taken,
    ends: u64,
}

#[derive(Default)]
struct Followed {
    count: u64,
    sessions: usize,
    last_session: Option<u32>,
    gaps: Vec<Owned>,
}

impl Followed {
    fn add(&mut self, event: &Event) {
        self.count += 1;
        if self.last_session.replace(event.session) != Some(event.session) {
            self.sessions += 1;
        }
        if self.gaps.len() < MAX_GAPS {
            self.gaps.push((f64::from(event.gap), event.session));
        }
    }
}

/// Fits the chain of a group. `lasts` is when each session was last heard of, by its number.
pub fn fit(
    sessions: &[&[Event]],
    lasts: &[f64],
    limits: Limits,
    routes: usize,
    share: f64,
) -> Group {
    let mut begins: BTreeMap<u16, Followed> = BTreeMap::new();
    let mut states: BTreeMap<u16, Left> = BTreeMap::new();
    for session in sessions {
        if let Some(first) = session.first() {
            begins.entry(first.route).or_default().add(first);
        }
        // Gaps add up to moments from a session's end backwards.
        let last = session.last().and_then(|last| usize::try_from(last.session).ok());
        let mut at = last.and_then(|number| lasts.get(number)).copied().unwrap_or(0.0);
        let mut after: Option<&Event> = None;
        for event in session.iter().rev() {
            at -= after.map_or(0.0, |after| f64::from(after.gap));
            // What was left too late is not known to have ended, so nothing that was left then is
            // counted: pauses that were over in time would count for more otherwise.
            if at <= limits.ended_before {
                let left = states.entry(event.route).or_default();
                match after {
                    None => left.ends += 1,
                    Some(next) => {
                        let embedded = f64::from(next.gap) < limits.embedded_below;
                        left.taken.entry((next.route, embedded)).or_default().add(next);
                    }
                }
            }
            after = Some(event);
        }
    }
    let other = routes.saturating_sub(1);
    let mut rare: BTreeMap<usize, Followed> = BTreeMap::new();
    let states =
        states.into_iter().map(|(from, left)| state(usize::from(from), left, &mut rare)).collect();
    Group {
        share: rounded(share),
        begins: shares(begins.into_iter().map(|(to, seen)| (usize::from(to), seen)), other),
        elsewhere: shares(rare.into_iter(), other),
        states,
    }
}

fn state(from: usize, left: Left, rare: &mut BTreeMap<usize, Followed>) -> State {
    let Left { taken, ends } = left;
    let all = as_f64((taken.values().map(|step| step.count).sum::<u64>() + ends).max(1));
    let share_of = |count: u64| rounded(as_f64(count) / all);
    let mut next = Vec::new();
    // Within a page, and not.
    let mut merged = [Followed::default(), Followed::default()];
    for ((to, embedded), mut seen) in taken {
        let law = (seen.sessions >= ANONYMOUS).then(|| Law::fit(&mut seen.gaps)).flatten();
        if let Some(gap) = law {
            let share = share_of(seen.count);
            next.push(Step { to: Some(to.into()), share, embedded, gap });
            continue;
        }
        let into = &mut merged[usize::from(embedded)];
        into.count += seen.count;
        into.gaps.extend(&seen.gaps);
        let place = rare.entry(to.into()).or_default();
        place.count += seen.count;
        place.sessions += seen.sessions;
    }
    for (embedded, mut seen) in [false, true].into_iter().zip(merged) {
        if seen.count > 0 {
            let gap = Law::fit(&mut seen.gaps).unwrap_or_else(|| usual(embedded));
            let share = share_of(seen.count);
            next.push(Step { to: None, share, embedded, gap });
        }
    }
    State { from, ends: share_of(ends), next }
}

/// Gaps of too few sessions to tell of: some milliseconds in a page, some seconds between pages.
fn usual(embedded: bool) -> Law {
    let (median, most) = if embedded { (0.005, 0.05) } else { (5.0, 60.0) };
    Law::LogNormal { median, sigma: 1.0, most }
}

/// Shares of routes; those of too few sessions count as the last one.
fn shares(seen: impl Iterator<Item = (usize, Followed)>, other: usize) -> Vec<(usize, f64)> {
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    for (route, seen) in seen {
        let told = if seen.sessions >= ANONYMOUS { route } else { other };
        *counts.entry(told).or_default() += seen.count;
    }
    let all = as_f64(counts.values().sum::<u64>().max(1));
    counts.into_iter().map(|(route, count)| (route, rounded(as_f64(count) / all))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(session: u32, route: u16, gap: f32) -> Event {
        Event { session, route, gap }
    }

    const LIMITS: Limits = Limits { embedded_below: 0.1, ended_before: 500.0 };

    #[test]
    fn steps_have_their_shares_and_gaps() {
        let mut events: Vec<Event> = Vec::new();
        for session in 0..100 {
            events.push(event(session, 0, f32::NAN));
            events.push(event(session, 1, 0.004));
            if session % 2 == 0 {
                events.push(event(session, 0, 5.0));
            }
        }
        let ranges = by_session(&mut events);
        let sessions: Vec<&[Event]> = ranges.iter().map(|range| &events[range.clone()]).collect();
        let group = fit(&sessions, &[10.0; 100], LIMITS, 3, 1.0);
        assert_eq!(group.begins, [(0, 1.0)]);
        let [home, item] = group.states.as_slice() else { panic!("{group:?}") };
        let [step] = home.next.as_slice() else { panic!("{home:?}") };
        assert_eq!((step.to, step.embedded, home.ends), (Some(1), true, 0.3333));
        let [step] = item.next.as_slice() else { panic!("{item:?}") };
        assert_eq!((step.to, step.embedded, step.share, item.ends), (Some(0), false, 0.5, 0.5));
    }

    #[test]
    fn a_step_of_few_sessions_is_not_told_and_leads_elsewhere() {
        let mut events: Vec<Event> = Vec::new();
        for session in 0..100 {
            events.push(event(session, 0, f32::NAN));
            events.push(event(session, if session < 19 { 1 } else { 2 }, 5.0));
        }
        let ranges = by_session(&mut events);
        let sessions: Vec<&[Event]> = ranges.iter().map(|range| &events[range.clone()]).collect();
        let group = fit(&sessions, &[10.0; 100], LIMITS, 4, 1.0);
        let told: Vec<Option<usize>> = group.states[0].next.iter().map(|step| step.to).collect();
        assert_eq!(told, [Some(2), None]);
        // Route 1 itself is known to nineteen of them only.
        assert_eq!(group.elsewhere, [(3, 1.0)]);
        assert!(group.begins == [(0, 1.0)] && group.states[1].ends >= 1.0, "{group:?}");
    }

    #[test]
    fn who_may_go_on_has_not_ended() {
        let mut events = vec![event(0, 0, f32::NAN), event(1, 0, f32::NAN), event(1, 0, 1.0)];
        let ranges = by_session(&mut events);
        let sessions: Vec<&[Event]> = ranges.iter().map(|range| &events[range.clone()]).collect();
        let ends = |lasts: &[f64]| fit(&sessions, lasts, LIMITS, 1, 1.0).states[0].ends;
        assert!((ends(&[10.0, 20.0]) - 0.6667).abs() < 1e-9);
        // The second went on at 500 s, and may go on behind 501 s.
        assert!((ends(&[10.0, 501.0]) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn pages_end_where_the_fewest_gaps_are() {
        let machine = (0..500_u16).map(|n| event(0, 0, 0.001 + 0.00004 * f32::from(n)));
        let people = (0..500_u16).map(|n| event(0, 0, 0.7 + 0.01 * f32::from(n)));
        let gaps: Vec<Event> = machine.chain(people).collect();
        let below = embedded_below(&gaps, 1e-6);
        assert!((0.03..0.6).contains(&below), "{below}");
        assert!(embedded_below(&gaps, 1.0) <= 0.0);
        assert!(ended_after(&gaps, below, 600.0) > 5.0);
        assert!((ended_after(&gaps, below, 8.0) - 2.0).abs() < 1e-9);
    }
}
