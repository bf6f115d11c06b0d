//! What requests of a route have in common. Where that is too few clients', or mostly one's, it is
//! what requests of all routes have in common.

use std::collections::BTreeMap;

use crate::model::observe::Asked;
use crate::model::owners::{Owners, are_common, thin};
use crate::model::sample::{Sample, together};
use crate::model::sizes::Sizes;
use crate::model::sketch::{Law, Owned, Sketch};
use crate::model::{Route, keys, rounded};
use crate::stats::counts::as_f64;

/// Bytes of a head of which nothing may be told: those of a browser.
const USUAL_HEAD: f64 = 500.0;

/// What requests of all routes have in common.
struct Usual {
    head: Sketch,
    body: Sizes,
    answer: Sizes,
    first_byte: Option<Law>,
    rest: Option<Law>,
}

pub(super) fn routes(names: &[String], asked: &[Asked]) -> Vec<Route> {
    let all = |of: fn(&Asked) -> &Sample| together(asked.iter().map(of));
    let usual = Usual {
        head: head(all(|asked| &asked.head)).unwrap_or_else(|| Sketch::constant(USUAL_HEAD)),
        body: Sizes::fit(&all(|asked| &asked.body), &Sizes::none()),
        answer: Sizes::fit(&all(|asked| &asked.answer), &Sizes::none()),
        first_byte: Law::fit(&evenly(all(|asked| &asked.first_byte))),
        rest: Law::fit(&evenly(all(|asked| &asked.rest))),
    };
    names.iter().zip(asked).map(|(name, asked)| route(name, asked, &usual)).collect()
}

fn head(heads: Vec<Owned>) -> Option<Sketch> {
    let heads = evenly(heads);
    are_common(heads.iter().map(|(_, owner)| *owner)).then(|| Sketch::fit(&heads)).flatten()
}

/// Values in their order, of which nobody has more than a quarter: with more, they would have no
/// law at all, and all others none because of one.
fn evenly(mut values: Vec<Owned>) -> Vec<Owned> {
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    thin(&mut values);
    values
}

fn route(name: &str, asked: &Asked, usual: &Usual) -> Route {
    // What was never recorded of a route is not there, and not as elsewhere.
    let law = |sample: &Sample, usual: &Option<Law>| {
        let was_seen = sample.seen > 0;
        Law::fit(&evenly(sample.kept.clone())).or_else(|| usual.clone().filter(|_| was_seen))
    };
    Route {
        name: name.to_owned(),
        keys: keys::fit(&asked.references),
        head: head(asked.head.kept.clone()).unwrap_or_else(|| usual.head.clone()),
        body: Sizes::fit(&asked.body.kept, &usual.body),
        answer: Sizes::fit(&asked.answer.kept, &usual.answer),
        statuses: statuses(asked),
        first_byte: law(&asked.first_byte, &usual.first_byte),
        rest: law(&asked.rest, &usual.rest),
    }
}

/// Statuses with their shares. One that too few clients got counts as the plainest of its kind, and
/// where these are too few, as the one that most got.
fn statuses(asked: &Asked) -> Vec<(u16, f64)> {
    let mut told: BTreeMap<u16, (u64, Owners)> = BTreeMap::new();
    for (status, (count, owners)) in &asked.statuses {
        let status = if owners.are_enough() { *status } else { plainest(*status) };
        let (all, of) = told.entry(status).or_default();
        *all += count;
        of.merge(owners);
    }
    let few: u64 =
        told.values().filter(|(_, owners)| !owners.are_enough()).map(|(count, _)| count).sum();
    told.retain(|_, (_, owners)| owners.are_enough());
    let Some(most) = told.iter().max_by_key(|(_, (count, _))| *count).map(|(status, _)| *status)
    else {
        return vec![(plainest(200), 1.0)];
    };
    if let Some((count, _)) = told.get_mut(&most) {
        *count += few;
    }
    let all = as_f64(told.values().map(|(count, _)| count).sum::<u64>().max(1));
    let share = |(status, (count, _)): (u16, (u64, Owners))| (status, rounded(as_f64(count) / all));
    told.into_iter().map(share).collect()
}

fn plainest(status: u16) -> u16 {
    match status {
        0 => 0,
        300..400 => 302,
        400..500 => 400,
        500.. => 500,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(statuses: &[(u16, u64, u32)]) -> Asked {
        let entry = |(status, count, clients): &(u16, u64, u32)| {
            (*status, (*count, (0..*clients).collect::<Owners>()))
        };
        Asked { statuses: statuses.iter().map(entry).collect(), ..Asked::default() }
    }

    #[test]
    fn a_status_of_few_clients_is_told_with_others_of_its_kind_or_not_at_all() {
        let of = |all: &[(u16, u64, u32)]| statuses(&asked(all));
        assert_eq!(of(&[(200, 90, 50), (404, 10, 20)]), [(200, 0.9), (404, 0.1)]);
        // Nineteen clients got one: nobody did.
        assert_eq!(of(&[(200, 90, 50), (404, 10, 19)]), [(200, 1.0)]);
        // Twenty got one or the other, in all.
        let mut both = asked(&[(200, 80, 50), (404, 10, 15), (410, 10, 0)]);
        both.statuses.get_mut(&410).unwrap().1 = (15..30).collect();
        assert_eq!(statuses(&both), [(200, 0.8), (400, 0.2)]);
        assert_eq!(of(&[(500, 9, 5)]), [(200, 1.0)]);
        assert_eq!(of(&[]), [(200, 1.0)]);
    }

    #[test]
    fn a_law_of_one_client_is_that_of_all_routes() {
        let mut random = rand::SeedableRng::seed_from_u64(1);
        let mut sample = |values: std::ops::Range<u32>, owners: u32| {
            let mut sample = Sample::default();
            for value in values {
                sample.add(f64::from(value), value % owners, &mut random);
            }
            sample
        };
        let many = Asked { head: sample(400..600, 50), ..Asked::default() };
        let one = Asked { head: sample(9_000..9_050, 2), ..Asked::default() };
        let names = ["GET /a".to_owned(), "GET /b".to_owned()];
        let told = routes(&names, &[many.clone(), one]);
        assert!(told[0].head.at(0.5) < 700.0 && told[1].head.at(0.5) < 700.0, "{told:?}");
        assert!(told[1].first_byte.is_none());
        let twin = Asked { head: sample(9_000..9_050, 50), ..Asked::default() };
        assert!(routes(&names, &[many, twin])[1].head.at(0.5) > 8_000.0);
    }
}
