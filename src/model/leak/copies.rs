//! Whether a chain repeats what clients did instead of behaving like them.
//!
//! A chain is fitted to the sessions of half of all clients. Sessions that are drawn of it must not
//! have more sequences of steps in common with those than with the sessions that it never saw. It
//! is asked of all sessions together and of each group, since a group has a chain of its own.

use std::collections::HashSet;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::model::Group;
use crate::model::chains::{self, Limits, Visits};
use crate::model::draw::choice::Choice;
use crate::model::observe::Event;
use crate::model::owners::Owners;
use crate::stats::counts::as_f64;

/// Steps in a row that are compared.
pub const STEPS: usize = 5;

/// By how much more of them may be known from what was seen (science: privacy).
pub const MORE: f64 = 0.02;

/// Fewest sequences that tell anything.
const LEAST: usize = 200;

/// Sessions that are looked at, and drawn.
const SESSIONS: usize = 20_000;

/// Steps of a session that is drawn.
const LONGEST: usize = 200;

/// What shares of drawn sequences are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copies {
    /// Sequences that were drawn.
    pub sequences: usize,
    /// Share of them in the sessions that the chain was fitted to.
    pub seen: f64,
    /// The same in the sessions that it was not.
    pub unseen: f64,
}

impl Copies {
    /// More is known of what was seen than chance allows.
    pub fn copies(&self) -> bool {
        let chance = 3.0 * (0.5 / as_f64(self.sequences.max(1) as u64)).sqrt();
        self.seen > self.unseen + MORE + chance
    }
}

/// What became of the test, of all sessions and of each group. `None` where too few sequences were
/// drawn to tell: most sessions have fewer than [`STEPS`] steps, or nobody did; or where half of
/// the clients are so few that the chain of their sessions tells no step.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// Of all sessions.
    pub all: Option<Copies>,
    /// Of each group; none where there is but one.
    pub groups: Vec<Option<Copies>>,
}

impl Tested {
    /// The worst of those that copy, and its group, counted from 1; 0 is all sessions.
    pub fn worst(&self) -> Option<(usize, Copies)> {
        let all = [self.all].into_iter().chain(self.groups.iter().copied());
        let copying = (0..).zip(all).filter_map(|(group, told)| Some((group, told?)));
        copying
            .filter(|(_, told)| told.copies())
            .max_by(|(_, a), (_, b)| (a.seen - a.unseen).total_cmp(&(b.seen - b.unseen)))
    }
}

/// Tests all sessions, and those of each group. Sessions are events by session, and the group of
/// each.
pub fn tested(sessions: &[(&[Event], u8)], owners: &[u32], routes: usize) -> Tested {
    let all: Vec<&[Event]> = sessions.iter().map(|(session, _)| *session).collect();
    let count = sessions.iter().map(|(_, group)| *group).max().map_or(0, |most| most + 1);
    let of_group = |group: u8| {
        let of = sessions.iter().filter(|(_, of)| *of == group).map(|(session, _)| *session);
        copies(&of.collect::<Vec<_>>(), owners, routes)
    };
    let groups = if count > 1 { (0..count).map(of_group).collect() } else { Vec::new() };
    Tested { all: copies(&all, owners, routes), groups }
}

/// Compares. `None` where there is too little to tell.
fn copies(sessions: &[&[Event]], owners: &[u32], routes: usize) -> Option<Copies> {
    let every = sessions.len().div_ceil(SESSIONS).max(1);
    let visits = Visits { lasts: &[], owners };
    // By client: one who did the same in two visits is not known from either to the other.
    let half = |odd: u32| -> Vec<&[Event]> {
        let is_of = |session: &&&[Event]| {
            session.first().is_some_and(|first| visits.owner(first) % 2 == odd)
        };
        sessions.iter().step_by(every).filter(is_of).copied().collect()
    };
    let (seen, unseen) = (half(0), half(1));
    let limits = Limits { embedded_below: 0.0, ended_before: f64::INFINITY };
    let chain = chains::fit(&chains::seen(&seen, visits, limits), routes, 1.0, None);
    let clients: Owners =
        seen.iter().filter_map(|session| session.first()).map(|it| visits.owner(it)).collect();
    let steps = || chain.states.iter().flat_map(|state| &state.next);
    let tells = steps().any(|step| step.to.is_some()) || chain.elsewhere.len() > 1;
    // A chain that tells nothing repeats nothing, which proves nothing of one that does.
    if !clients.are_enough() || !tells {
        return None;
    }
    let (in_seen, in_unseen) = (sequences(&seen), sequences(&unseen));
    let mut walker = Walker::new(&chain, routes);
    let (mut all, mut known, mut known_unseen) = (0, 0, 0);
    for _ in 0..seen.len() {
        let walk = walker.walk();
        for sequence in walk.windows(STEPS).filter_map(|steps| steps.first_chunk::<STEPS>()) {
            all += 1;
            known += u64::from(in_seen.contains(sequence));
            known_unseen += u64::from(in_unseen.contains(sequence));
        }
    }
    let share = |count: u64| as_f64(count) / as_f64(all as u64);
    let told = Copies { sequences: all, seen: share(known), unseen: share(known_unseen) };
    (all >= LEAST).then_some(told)
}

type Sequence = [u16; STEPS];

fn sequences(sessions: &[&[Event]]) -> HashSet<Sequence> {
    let mut all = HashSet::new();
    for session in sessions {
        for steps in session.windows(STEPS) {
            let mut sequence = [0; STEPS];
            for (into, event) in sequence.iter_mut().zip(steps) {
                *into = event.route;
            }
            all.insert(sequence);
        }
    }
    all
}

/// Sessions of a chain, without their times.
struct Walker {
    begins: Choice<usize>,
    elsewhere: Choice<usize>,
    /// By route.
    next: Vec<Choice<To>>,
    random: ChaCha8Rng,
}

/// Where a step leads.
#[derive(Clone, Copy)]
enum To {
    Route(usize),
    Elsewhere,
    End,
}

impl Walker {
    fn new(chain: &Group, routes: usize) -> Self {
        let mut next: Vec<_> = (0..routes).map(|_| Choice::of(std::iter::empty())).collect();
        for state in &chain.states {
            let steps = state.next.iter();
            let steps = steps.map(|step| (step.to.map_or(To::Elsewhere, To::Route), step.share));
            if let Some(choice) = next.get_mut(state.from) {
                *choice = Choice::of(steps.chain([(To::End, state.ends)]));
            }
        }
        Self {
            begins: Choice::of(chain.begins.iter().copied()),
            elsewhere: Choice::of(chain.elsewhere.iter().copied()),
            next,
            random: ChaCha8Rng::seed_from_u64(4),
        }
    }

    fn walk(&mut self) -> Vec<u16> {
        let mut steps = Vec::new();
        let mut at = self.begins.pick(&mut self.random).copied();
        while let Some(route) = at.filter(|_| steps.len() < LONGEST) {
            steps.push(u16::try_from(route).unwrap_or(u16::MAX));
            let step = self.next.get(route).and_then(|next| next.pick(&mut self.random));
            at = match step {
                Some(To::Route(to)) => Some(*to),
                Some(To::Elsewhere) => self.elsewhere.pick(&mut self.random).copied(),
                Some(To::End) | None => None,
            };
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn sessions(of: &dyn Fn(u32, usize, &mut ChaCha8Rng) -> u16) -> Vec<Vec<Event>> {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        (0..400)
            .map(|session| {
                (0..12)
                    .map(|step| Event { session, route: of(session, step, &mut random), gap: 1.0 })
                    .collect()
            })
            .collect()
    }

    fn test(all: &[Vec<Event>], groups: &dyn Fn(usize) -> u8) -> Tested {
        let owners: Vec<u32> = (0..400).collect();
        let sessions: Vec<(&[Event], u8)> =
            all.iter().enumerate().map(|(at, one)| (one.as_slice(), groups(at))).collect();
        tested(&sessions, &owners, 9)
    }

    #[test]
    fn a_chain_of_sessions_that_behave_alike_copies_none() {
        let all = sessions(&|_, _, random| random.random_range(0..4));
        let told = test(&all, &|_| 0);
        assert!(told.all.unwrap().sequences > 1_000 && told.groups.is_empty(), "{told:?}");
        assert_eq!(told.worst(), None);
        assert_eq!(test(&all[..2], &|_| 0), Tested { all: None, groups: Vec::new() });
    }

    /// Half of these clients are so few that a chain of theirs tells no step.
    #[test]
    fn a_chain_that_tells_nothing_proves_nothing() {
        let long = |clients: u32| -> Vec<Vec<Event>> {
            let mut random = ChaCha8Rng::seed_from_u64(6);
            let mut event = |session| Event { session, route: random.random_range(0..4), gap: 1.0 };
            (0..clients).map(|session| (0..100).map(|_| event(session)).collect()).collect()
        };
        assert_eq!(test(&long(38), &|_| 0).all, None);
        assert!(test(&long(60), &|_| 0).all.is_some_and(|told| told.seen > 0.0));
    }

    /// In each group one half of the clients does what none of the other half does. All together
    /// look alike, since those of the other group do it the other way round.
    #[test]
    fn groups_whose_chains_repeat_their_sessions_are_found_where_all_together_do_not() {
        let all = sessions(&|session, _, random| {
            let other = u16::from((session % 2 == 1) != (session >= 200));
            4 * other + random.random_range(0..4)
        });
        let told = test(&all, &|at| u8::from(at >= 200));
        let (group, copies) = told.worst().unwrap();
        assert!(group > 0 && copies.seen > 0.2 && copies.unseen < 0.01, "{told:?}");
        assert!(told.groups.iter().all(|group| group.unwrap().copies()), "{told:?}");
        assert!(!told.all.unwrap().copies(), "{told:?}");
        // The twin: one group, whose halves do the same.
        assert_eq!(test(&all, &|_| 0).worst(), None);
    }

    /// The broken twin: what a chain would be that told of single sessions.
    #[test]
    fn what_repeats_single_sessions_is_found() {
        let told = Copies { sequences: 5_000, seen: 0.9, unseen: 0.5 };
        assert!(told.copies());
        assert!(!Copies { seen: 0.51, ..told }.copies());
    }
}
