//! Groups and their chains.

use std::collections::BTreeMap;

use serde_yaml::Spanned;

use crate::model::file::ELSEWHERE;
use crate::model::file::keys::{GroupKeys, StateKeys, Text};
use crate::model::file::read::parts::law;
use crate::model::file::read::{ModelError, Place, SLACK, YEAR};
use crate::model::{Group, MAX_GROUPS, MAX_ROUTES, State, Step};
use crate::scenario::problem::{crop, did_you_mean};

/// Most steps from one route: to each other one within a page and not, and elsewhere.
const MAX_STEPS: usize = 2 * MAX_ROUTES + 2;

type Names<'a> = BTreeMap<&'a str, usize>;

pub(super) fn groups(
    place: Place<'_>,
    keys: &Spanned<Vec<Spanned<GroupKeys>>>,
    names: &Names<'_>,
) -> Result<Vec<Group>, ModelError> {
    if keys.value.is_empty() || keys.value.len() > MAX_GROUPS {
        return Err(place.mistake(
            keys,
            "there are no groups, or too many".to_owned(),
            format!("write from 1 to {MAX_GROUPS} of them"),
        ));
    }
    let groups: Vec<Group> = keys
        .value
        .iter()
        .map(|keys| group(place, keys, names))
        .collect::<Result<_, ModelError>>()?;
    let sum = groups.iter().map(|group| group.share).sum();
    whole(place, keys, "the shares of all groups", sum)?;
    Ok(groups)
}

pub(super) fn whole<T>(
    place: Place<'_>,
    at: &Spanned<T>,
    what: &str,
    sum: f64,
) -> Result<(), ModelError> {
    if (sum - 1.0).abs() <= SLACK {
        return Ok(());
    }
    Err(place.mistake(
        at,
        format!("{what} add up to {sum:.3}"),
        "shares of one thing are all of it: they add up to 1".to_owned(),
    ))
}

fn number(place: Place<'_>, name: &str, at: &Text, names: &Names<'_>) -> Result<usize, ModelError> {
    names.get(name).copied().ok_or_else(|| {
        // The nearest are enough: there may be hundreds.
        let known: Vec<&str> = names.keys().copied().take(20).collect();
        place.mistake(
            at,
            format!("`{}` is no route of this model", crop(name)),
            did_you_mean(name, &known, "the first of `routes` are"),
        )
    })
}

fn shares(
    place: Place<'_>,
    keys: &BTreeMap<String, Text>,
    names: &Names<'_>,
) -> Result<Vec<(usize, f64)>, ModelError> {
    let mut shares = Vec::with_capacity(keys.len());
    for (name, share) in keys {
        shares.push((number(place, name, share, names)?, place.share(share)?));
    }
    shares.sort_by_key(|(route, _)| *route);
    Ok(shares)
}

fn group(
    place: Place<'_>,
    keys: &Spanned<GroupKeys>,
    names: &Names<'_>,
) -> Result<Group, ModelError> {
    let begins = shares(place, &keys.value.begins, names)?;
    whole(place, keys, "the shares of `begins`", begins.iter().map(|(_, share)| share).sum())?;
    let elsewhere = match &keys.value.elsewhere {
        Some(keys) => shares(place, keys, names)?,
        None => Vec::new(),
    };
    if !elsewhere.is_empty() {
        let sum = elsewhere.iter().map(|(_, share)| share).sum();
        whole(place, keys, "the shares of `elsewhere`", sum)?;
    }
    let mut states: Vec<State> = Vec::new();
    for state_keys in &keys.value.states {
        let state = state(place, state_keys, names, !elsewhere.is_empty())?;
        if states.iter().any(|other| other.from == state.from) {
            return Err(place.mistake(
                state_keys,
                "what follows this route is said twice".to_owned(),
                "put both lists together".to_owned(),
            ));
        }
        states.push(state);
    }
    Ok(Group { share: place.share(&keys.value.share)?, begins, elsewhere, states })
}

fn state(
    place: Place<'_>,
    keys: &Spanned<StateKeys>,
    names: &Names<'_>,
    has_elsewhere: bool,
) -> Result<State, ModelError> {
    let steps = keys.value.next.as_deref().unwrap_or(&[]);
    if steps.len() > MAX_STEPS {
        return Err(place.mistake(
            keys,
            "there are more steps than routes to go to".to_owned(),
            format!("write at most {MAX_STEPS}"),
        ));
    }
    let ends = place.share(&keys.value.ends)?;
    let mut next = Vec::with_capacity(steps.len());
    for step in steps {
        let to = if step.to.value == ELSEWHERE && has_elsewhere {
            None
        } else {
            Some(number(place, &step.to.value, &step.to, names)?)
        };
        next.push(Step {
            to,
            share: place.share(&step.share)?,
            embedded: step.embedded.unwrap_or(false),
            gap: law(place, &step.gap, YEAR)?,
        });
    }
    let sum = ends + next.iter().map(|step| step.share).sum::<f64>();
    whole(place, keys, "`ends` and the shares of `next`", sum)?;
    let from = number(place, &keys.value.from.value, &keys.value.from, names)?;
    Ok(State { from, ends, next })
}
