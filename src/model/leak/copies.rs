//! Whether a chain repeats what sessions did instead of behaving like them.
//!
//! A chain is fitted to every other session. Sessions that are drawn of it must not have more
//! sequences of steps in common with those than with the sessions that it never saw.

use std::collections::HashSet;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::model::Group;
use crate::model::chains::{self, Limits};
use crate::model::observe::Event;
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

type Sequence = [u16; STEPS];

/// Compares. `sessions` are events by session; `None` where there are too few to tell.
pub fn copies(sessions: &[&[Event]], routes: usize) -> Option<Copies> {
    let every = sessions.len().div_ceil(SESSIONS).max(1);
    let halves = |odd: usize| -> Vec<&[Event]> {
        let all = sessions.iter().step_by(every).enumerate();
        all.filter(|(index, _)| index % 2 == odd).map(|(_, session)| *session).collect()
    };
    let (seen, unseen) = (halves(0), halves(1));
    let limits = Limits { embedded_below: 0.0, ended_before: f64::INFINITY };
    let chain = chains::fit(&seen, &[], limits, routes, 1.0);
    let (in_seen, in_unseen) = (sequences(&seen), sequences(&unseen));
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let (mut all, mut known, mut known_unseen) = (0, 0, 0);
    for _ in 0..seen.len() {
        let walk = walk(&chain, routes, &mut random);
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

fn walk(chain: &Group, routes: usize, random: &mut ChaCha8Rng) -> Vec<u16> {
    let pick = |shares: &[(usize, f64)], random: &mut ChaCha8Rng| {
        let mut left: f64 = random.random();
        for (route, share) in shares {
            left -= share;
            if left < 0.0 {
                return *route;
            }
        }
        shares.last().map_or(routes.saturating_sub(1), |(route, _)| *route)
    };
    let mut at = pick(&chain.begins, random);
    let mut steps = Vec::new();
    while steps.len() < LONGEST {
        steps.push(u16::try_from(at).unwrap_or(u16::MAX));
        let Some(state) = chain.states.iter().find(|state| state.from == at) else { break };
        let mut left: f64 = random.random::<f64>() - state.ends;
        if left < 0.0 {
            break;
        }
        let taken = state.next.iter().find(|step| {
            left -= step.share;
            left < 0.0
        });
        let Some(step) = taken else { break };
        at = match step.to {
            Some(to) => to,
            None => pick(&chain.elsewhere, random),
        };
    }
    steps
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_chain_of_sessions_that_behave_alike_copies_none() {
        let all = sessions(&|_, _, random| random.random_range(0..4));
        let all: Vec<&[Event]> = all.iter().map(Vec::as_slice).collect();
        let told = copies(&all, 5).unwrap();
        assert!(!told.copies() && told.sequences > 1_000, "{told:?}");
        assert_eq!(copies(&all[..2], 5), None);
    }

    /// The broken twin: what a chain would be that told of single sessions.
    #[test]
    fn what_repeats_single_sessions_is_found() {
        let told = Copies { sequences: 5_000, seen: 0.9, unseen: 0.5 };
        assert!(told.copies());
        assert!(!Copies { seen: 0.51, ..told }.copies());
    }
}
