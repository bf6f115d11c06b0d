//! Sessions of like behaviour: a mixture of Markov chains, fitted by expectation and maximisation.

use std::ops::Range;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::model::MAX_GROUPS;
use crate::model::observe::Event;
use crate::model::owners::are_common;
use crate::stats::counts::as_f64;

/// Routes that behaviour is told by; the others count as one.
const TOLD_BY: usize = 24;

/// Sessions that groups are found with; all others are then given to the nearest.
const LOOKED_AT: usize = 5_000;

/// Rounds of expectation and maximisation, and beginnings of which the best is taken.
const ROUNDS: usize = 12;
const BEGINNINGS: u64 = 2;

/// Fewest sessions of a group among those looked at: twice as many as make one anonymous, where
/// each is a client of its own.
const LEAST: f64 = 40.0;

const COLUMNS: usize = TOLD_BY + 2;
const CELLS: usize = COLUMNS * COLUMNS;

/// What a session did, as cells of a matrix of steps and how often.
type Steps = Vec<(u16, f64)>;

/// The group of each session, from 0. Sessions are ranges of events; whose they are is in the same
/// order.
pub fn assign(events: &[Event], sessions: &[Range<usize>], owners: &[u32]) -> Vec<u8> {
    let column = columns(events);
    let steps_of = |range: &Range<usize>| steps(events.get(range.clone()).unwrap_or(&[]), &column);
    let every = sessions.len().div_ceil(LOOKED_AT).max(1);
    let looked_at: Vec<Steps> = sessions.iter().step_by(every).map(steps_of).collect();
    let Some(mixture) = best(&looked_at) else { return vec![0; sessions.len()] };
    let mut groups: Vec<u8> =
        sessions.iter().map(|range| mixture.nearest(&steps_of(range))).collect();
    merge_small(&mut groups, owners);
    groups
}

/// The column of each route: the frequent ones have their own.
fn columns(events: &[Event]) -> Vec<usize> {
    let mut counts: Vec<(u64, usize)> = Vec::new();
    for event in events {
        let route = usize::from(event.route);
        if counts.len() <= route {
            counts.resize(route + 1, (0, 0));
        }
        counts[route].0 += 1;
    }
    for (route, count) in counts.iter_mut().enumerate() {
        count.1 = route;
    }
    let mut column = vec![TOLD_BY; counts.len()];
    counts.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (position, (_, route)) in counts.iter().take(TOLD_BY).enumerate() {
        column[*route] = position;
    }
    column
}

/// The last row and column are a session's beginning and its end.
fn steps(events: &[Event], column: &[usize]) -> Steps {
    let of = |event: &Event| column.get(usize::from(event.route)).copied().unwrap_or(TOLD_BY);
    let mut cells: Vec<usize> = Vec::with_capacity(events.len() + 1);
    let mut row = TOLD_BY + 1;
    for event in events {
        let next = of(event);
        cells.push(row * COLUMNS + next);
        row = next;
    }
    cells.push(row * COLUMNS + TOLD_BY + 1);
    cells.sort_unstable();
    cells
        .chunk_by(|a, b| a == b)
        .filter_map(|same| Some((u16::try_from(*same.first()?).ok()?, as_f64(same.len() as u64))))
        .collect()
}

/// Groups with their shares and the logarithms of their steps' shares.
struct Mixture {
    groups: Vec<(f64, Vec<f64>)>,
    likelihood: f64,
    numbers: f64,
    least: f64,
}

impl Mixture {
    fn nearest(&self, steps: &Steps) -> u8 {
        let scores = self.groups.iter().map(|(share, table)| score(*share, table, steps));
        let best = (0_u8..).zip(scores).max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(0, |(group, _)| group)
    }

    /// The Bayesian criterion: less is better.
    fn criterion(&self, steps: f64) -> f64 {
        self.numbers * steps.ln() - 2.0 * self.likelihood
    }
}

fn score(share: f64, table: &[f64], steps: &Steps) -> f64 {
    let sum: f64 = steps
        .iter()
        .map(|(cell, count)| count * table.get(usize::from(*cell)).unwrap_or(&0.0))
        .sum();
    share.ln() + sum
}

/// The mixture with the best criterion; `None` where one group is as good.
fn best(sessions: &[Steps]) -> Option<Mixture> {
    let all: f64 = sessions.iter().flatten().map(|(_, count)| count).sum();
    let mut best: Option<Mixture> = None;
    for groups in 1..=MAX_GROUPS {
        let tried = (0..BEGINNINGS).map(|seed| fitted(sessions, groups, seed));
        let found = tried.max_by(|a, b| a.likelihood.total_cmp(&b.likelihood))?;
        let is_better = best
            .as_ref()
            .is_none_or(|best| found.least >= LEAST && found.criterion(all) < best.criterion(all));
        // Where one more does not help, two more seldom do.
        if !is_better && groups > 3 {
            break;
        }
        if is_better {
            best = Some(found);
        }
    }
    best.filter(|best| best.groups.len() > 1)
}

fn fitted(sessions: &[Steps], groups: usize, seed: u64) -> Mixture {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Each session begins in one group by chance, mostly.
    let mut weights: Vec<Vec<f64>> = sessions
        .iter()
        .map(|_| {
            let own = random.random_range(0..groups);
            let other = 0.2 / as_f64(groups as u64);
            (0..groups).map(|group| if group == own { 0.8 + other } else { other }).collect()
        })
        .collect();
    let mut mixture = maximised(sessions, &weights, groups);
    for _ in 0..if groups == 1 { 1 } else { ROUNDS } {
        let mut likelihood = 0.0;
        for (steps, weights) in sessions.iter().zip(&mut weights) {
            for (weight, (share, table)) in weights.iter_mut().zip(&mixture.groups) {
                *weight = score(*share, table, steps);
            }
            let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = weights.iter().map(|weight| (weight - most).exp()).sum();
            likelihood += most + sum.ln();
            for weight in weights {
                *weight = (*weight - most).exp() / sum;
            }
        }
        mixture = Mixture { likelihood, ..maximised(sessions, &weights, groups) };
    }
    mixture
}

fn maximised(sessions: &[Steps], weights: &[Vec<f64>], groups: usize) -> Mixture {
    /// What a step that was never seen counts as.
    const NEVER: f64 = 0.01;
    let (mut numbers, mut least) = (as_f64(groups as u64) - 1.0, f64::INFINITY);
    let mut fitted = Vec::with_capacity(groups);
    for group in 0..groups {
        let weight_of = |weights: &Vec<f64>| weights.get(group).copied().unwrap_or(0.0);
        let mut table = vec![0.0; CELLS];
        let mut members = 0.0;
        for (steps, weights) in sessions.iter().zip(weights) {
            let weight = weight_of(weights);
            members += weight;
            for (cell, count) in steps {
                table[usize::from(*cell)] += weight * count;
            }
        }
        for row in table.chunks_mut(COLUMNS) {
            let seen = row.iter().filter(|count| **count > 0.5).count() as u64;
            numbers += as_f64(seen.saturating_sub(1));
            let sum: f64 = row.iter().sum::<f64>() + NEVER * as_f64(COLUMNS as u64);
            for count in row {
                *count = ((*count + NEVER) / sum).ln();
            }
        }
        least = least.min(members);
        let share = members / as_f64(sessions.len().max(1) as u64);
        fitted.push((share.max(1e-9), table));
    }
    Mixture { groups: fitted, likelihood: f64::NEG_INFINITY, numbers, least }
}

/// A group of few clients, or mostly of one, joins the largest one; the others are numbered without
/// gaps, the largest first.
fn merge_small(groups: &mut [u8], owners: &[u32]) {
    let mut counts = [(0_usize, 0_u8); MAX_GROUPS];
    for (group, count) in (0..).zip(&mut counts) {
        count.1 = group;
    }
    for group in &*groups {
        if let Some(count) = counts.get_mut(usize::from(*group)) {
            count.0 += 1;
        }
    }
    let is_common = |group: u8| {
        let of = groups.iter().zip(owners).filter(|(other, _)| **other == group);
        are_common(of.map(|(_, owner)| *owner))
    };
    counts.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut renamed = [0_u8; MAX_GROUPS];
    let mut next = 0;
    for (position, (_, group)) in counts.iter().enumerate() {
        // The largest one is a group in any case.
        if position == 0 || is_common(*group) {
            renamed[usize::from(*group)] = next;
            next += 1;
        }
    }
    for group in groups {
        *group = renamed.get(usize::from(*group)).copied().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions that wander among `routes`, until they end by chance.
    fn sessions(of: &[(&[u16], u32)]) -> (Vec<Event>, Vec<Range<usize>>) {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let (mut events, mut ranges, mut number) = (Vec::new(), Vec::new(), 0);
        for (routes, count) in of {
            for _ in 0..*count {
                let start = events.len();
                loop {
                    let route = routes[random.random_range(0..routes.len())];
                    events.push(Event { session: number, route, gap: 1.0 });
                    if random.random::<f64>() < 0.15 {
                        break;
                    }
                }
                ranges.push(start..events.len());
                number += 1;
            }
        }
        (events, ranges)
    }

    fn clients(count: u32) -> Vec<u32> {
        (0..count).collect()
    }

    #[test]
    fn sessions_that_behave_alike_are_one_group() {
        let (events, ranges) = sessions(&[(&[0, 1, 2], 300)]);
        assert_eq!(assign(&events, &ranges, &clients(300)), vec![0; 300]);
        assert!(assign(&[], &[], &[]).is_empty());
    }

    /// A chain alone tells apart what has no route in common; these have one.
    const TWO: [&[u16]; 2] = [&[0, 1, 1, 1, 1], &[0, 2, 2, 2, 2]];

    #[test]
    fn sessions_that_do_not_are_told_apart() {
        let (events, ranges) = sessions(&[(TWO[0], 300), (TWO[1], 200)]);
        let groups = assign(&events, &ranges, &clients(500));
        let right = |range: Range<usize>, group: u8| {
            groups[range].iter().map(|of| usize::from(*of == group)).sum::<usize>()
        };
        // Some sessions ask for the common route alone.
        assert!(right(0..300, 0) > 270 && right(300..500, 1) > 170, "{groups:?}");
    }

    #[test]
    fn a_few_are_no_group() {
        let (events, ranges) = sessions(&[(TWO[0], 300), (TWO[1], 15)]);
        assert!(assign(&events, &ranges, &clients(315)).iter().all(|group| *group == 0));
    }

    #[test]
    fn many_visits_of_a_few_clients_are_no_group() {
        let (events, ranges) = sessions(&[(TWO[0], 300), (TWO[1], 200)]);
        let client = |visit: u32| if visit < 300 { visit } else { 300 + visit % 3 };
        let owners: Vec<u32> = (0..500).map(client).collect();
        assert!(assign(&events, &ranges, &owners).iter().all(|group| *group == 0));
    }
}
