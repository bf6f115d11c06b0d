//! Routes, connections, edits.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde_yaml::Spanned;

use crate::model::arrivals::MOST_TIMES;
use crate::model::edit::{Crowd, Edits, MAX_EDITS, NewRoute, Outlier};
use crate::model::file::NO_RESPONSE;
use crate::model::file::keys::{
    BurstKeys, ConnectionKeys, EditKeys, KeyKeys, LawKeys, RouteKeys, SizeKeys, Text,
};
use crate::model::file::read::chains::whole;
use crate::model::file::read::{MAX_COUNT, MAX_RATE, ModelError, Place, SLACK, YEAR};
use crate::model::routes::METHODS;
use crate::model::sizes::{PowerTail, Sizes};
use crate::model::sketch::{Law, MAX_POINTS, MAX_SIGMA, Sketch};
use crate::model::{Bursts, Connections, Keys, MAX_ROUTES, MOST_RECENT, OTHER, Route};
use crate::stats::counts::as_index;
use crate::stats::zipf::MAX_EXPONENT;

/// Largest size: a terabyte.
const MAX_BYTES: f64 = 1e12;

/// Indexes of tails.
const INDEXES: RangeInclusive<f64> = 0.05..=50.0;

/// Longest name of a route.
const MAX_NAME: usize = 1_000;

/// Idle times that are told apart.
const MAX_IDLE: usize = 64;

pub(super) fn routes(
    place: Place<'_>,
    keys: &Spanned<Vec<Spanned<RouteKeys>>>,
) -> Result<Vec<Route>, ModelError> {
    if keys.value.is_empty() || keys.value.len() > MAX_ROUTES {
        return Err(place.mistake(
            keys,
            "there are no routes, or too many".to_owned(),
            format!("write from 1 to {MAX_ROUTES} of them"),
        ));
    }
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut routes = Vec::with_capacity(keys.value.len());
    for keys in &keys.value {
        let name = name(place, &keys.value.route)?;
        if !names.insert(name.clone()) {
            return Err(place.mistake(
                &keys.value.route,
                "this route is there twice".to_owned(),
                "remove one of the two".to_owned(),
            ));
        }
        routes.push(route(place, name, &keys.value)?);
    }
    Ok(routes)
}

fn name(place: Place<'_>, text: &Text) -> Result<String, ModelError> {
    let is_plain =
        |path: &str| path.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\#".contains(&b));
    let is_route = text.value.split_once(' ').is_some_and(|(method, path)| {
        METHODS.contains(&method) && path.starts_with('/') && is_plain(path)
    });
    if (is_route && text.value.len() <= MAX_NAME) || text.value == OTHER {
        return Ok(text.value.clone());
    }
    Err(place.mistake(
        text,
        "this is not a route".to_owned(),
        format!(
            "write a method and a template, such as `GET /cart/*`, or {OTHER}; the methods are {}",
            METHODS.join(", ")
        ),
    ))
}

fn route(place: Place<'_>, name: String, keys: &RouteKeys) -> Result<Route, ModelError> {
    if let Some(rest) = keys.rest.as_ref().filter(|_| keys.first_byte.is_none()) {
        return Err(place.mistake(
            rest,
            "`rest` is the time behind the first byte, of which nothing is said".to_owned(),
            "write `first_byte`, too, or remove `rest`".to_owned(),
        ));
    }
    let of_keys = keys.keys.as_ref().map(|keys| {
        Ok(Keys {
            count: as_index(place.number(&keys.count, 1.0..=MAX_COUNT)?) as u64,
            exponent: place.number(&keys.exponent, 0.0..=MAX_EXPONENT)?,
            once: place.share(&keys.once)?,
            fresh: keys.fresh.as_ref().map_or(Ok(0.0), |share| place.share(share))?,
            recent: keys.recent.as_ref().map_or(Ok(Vec::new()), |of| recent(place, keys, of))?,
        })
    });
    let Law::Points(head) = law(place, &keys.head, MAX_BYTES)? else {
        return Err(place.mistake(
            &keys.head,
            "sizes of heads are points".to_owned(),
            "write `{ points: [[0, 200], [1, 400]] }`".to_owned(),
        ));
    };
    let time = |keys: &Option<Spanned<LawKeys>>| {
        keys.as_ref().map(|keys| law(place, keys, YEAR)).transpose()
    };
    Ok(Route {
        name,
        keys: of_keys.transpose()?,
        head,
        body: sizes(place, &keys.body)?,
        answer: sizes(place, &keys.answer)?,
        statuses: statuses(place, &keys.route, &keys.statuses)?,
        first_byte: time(&keys.first_byte)?,
        rest: time(&keys.rest)?,
    })
}

/// Distances at which keys come again, and their shares.
fn recent(
    place: Place<'_>,
    of: &KeyKeys,
    keys: &Spanned<Vec<Spanned<Vec<Text>>>>,
) -> Result<Vec<(u64, f64)>, ModelError> {
    let mut recent: Vec<(u64, f64)> = Vec::new();
    for pair in &keys.value {
        let [most, share] = pair.value.as_slice() else {
            return Err(place.mistake(
                pair,
                "this is not a distance and a share".to_owned(),
                "write `[8, 0.1]`: a tenth asks for one of the last 8 again".to_owned(),
            ));
        };
        let most = place.whole(most, 1..=MOST_RECENT as u64)?;
        let share = place.share(share)?;
        if recent.last().is_some_and(|(before, _)| *before >= most) {
            return Err(place.mistake(
                pair,
                "each distance is farther than the one before".to_owned(),
                "write them in their order: `[[1, 0.1], [8, 0.2]]`".to_owned(),
            ));
        }
        recent.push((most, share));
    }
    let fresh = of.fresh.as_ref().map_or(Ok(0.0), |share| place.share(share))?;
    let sum = fresh + recent.iter().map(|(_, share)| share).sum::<f64>();
    if sum > 1.0 + SLACK {
        return Err(place.mistake(
            keys,
            format!("the shares of `recent` and `fresh` add up to {sum:.3}"),
            "they are at most 1: what is left is asked for by popularity alone".to_owned(),
        ));
    }
    Ok(recent)
}

fn statuses(
    place: Place<'_>,
    at: &Text,
    keys: &BTreeMap<String, Text>,
) -> Result<Vec<(u16, f64)>, ModelError> {
    let mut statuses = Vec::new();
    for (status, share) in keys {
        let number = if status == NO_RESPONSE {
            Some(0)
        } else {
            status.parse::<u16>().ok().filter(|status| (100..1_000).contains(status))
        };
        let Some(number) = number else {
            return Err(place.mistake(
                share,
                "this is the share of no status".to_owned(),
                format!("write `{{ 200: 0.99, 404: 0.01 }}`, or {NO_RESPONSE} for no response"),
            ));
        };
        statuses.push((number, place.share(share)?));
    }
    let sum = statuses.iter().map(|(_, share)| share).sum();
    whole(place, at, "the shares of `statuses`", sum)?;
    statuses.sort_by_key(|(status, _)| *status);
    Ok(statuses)
}

fn sizes(place: Place<'_>, keys: &Spanned<SizeKeys>) -> Result<Sizes, ModelError> {
    let empty = place.share(&keys.value.empty)?;
    let (Some(middle), Some(most)) = (&keys.value.middle, &keys.value.most) else {
        if empty >= 1.0 {
            return Ok(Sizes::none());
        }
        return Err(place.mistake(
            keys,
            "it is not said how large these are".to_owned(),
            "write `middle` and `most`, or `{ empty: 1 }` where there are none".to_owned(),
        ));
    };
    let tail = keys.value.tail.as_ref().map(|keys| {
        Ok(PowerTail {
            share: place.share(&keys.share)?,
            start: place.number(&keys.start, 1.0..=MAX_BYTES)?,
            index: place.number(&keys.index, INDEXES)?,
        })
    });
    let largest = place.number(most, 0.0..=MAX_BYTES)?;
    if empty < 1.0 && largest <= 0.0 {
        return Err(place.mistake(
            most,
            "some of these are not empty, and none has a byte".to_owned(),
            "write how large they are at most, or `{ empty: 1 }` where there are none".to_owned(),
        ));
    }
    Ok(Sizes {
        empty,
        middle: law(place, middle, MAX_BYTES)?,
        tail: tail.transpose()?,
        most: largest,
    })
}

pub(super) fn law(
    place: Place<'_>,
    keys: &Spanned<LawKeys>,
    largest: f64,
) -> Result<Law, ModelError> {
    let refused = |message: &str| {
        place.mistake(
            keys,
            message.to_owned(),
            "write `{ points: [[0, 1], [0.5, 3], [1, 20]] }`, or `{ median: 3, sigma: 1, most: 20 \
             }`"
            .to_owned(),
        )
    };
    let LawKeys { points, median, sigma, most } = &keys.value;
    match (points, median, sigma, most) {
        (Some(points), None, None, None) => {
            if points.len() > MAX_POINTS {
                return Err(refused("there are too many points"));
            }
            let mut pairs = Vec::with_capacity(points.len());
            for point in points {
                let [share, value] = point.value.as_slice() else {
                    return Err(refused("a point is a share and a value"));
                };
                pairs.push([place.share(share)?, place.number(value, 0.0..=largest)?]);
            }
            Sketch::new(pairs).map(Law::Points).map_err(refused)
        }
        (None, Some(median), Some(sigma), Some(most)) => Ok(Law::LogNormal {
            median: place.number(median, 0.0..=largest)?,
            sigma: place.number(sigma, 0.0..=MAX_SIGMA)?,
            most: place.number(most, 0.0..=largest)?,
        }),
        _ => Err(refused("this is neither points nor a lognormal")),
    }
}

pub(super) fn bursts(place: Place<'_>, keys: &BurstKeys) -> Result<Bursts, ModelError> {
    let lasts = |text: &Text| place.number(text, 1e-3..=YEAR);
    Ok(Bursts {
        calm: place.number(&keys.calm, 0.0..=MOST_TIMES)?,
        busy: place.number(&keys.busy, 0.0..=MOST_TIMES)?,
        calm_lasts: lasts(&keys.calm_lasts)?,
        busy_lasts: lasts(&keys.busy_lasts)?,
    })
}

pub(super) fn connections(
    place: Place<'_>,
    keys: &ConnectionKeys,
) -> Result<Connections, ModelError> {
    let mut when_idle = Vec::new();
    for pair in &keys.when_idle.value {
        let [most, share] = pair.value.as_slice() else {
            return Err(place.mistake(
                pair,
                "this is not a time and a share".to_owned(),
                "write `[5, 0.1]`: up to 5 s idle, a tenth opens another connection".to_owned(),
            ));
        };
        when_idle.push((place.seconds(most)?, place.share(share)?));
    }
    if when_idle.len() > MAX_IDLE {
        return Err(place.mistake(
            &keys.when_idle,
            "there are too many times".to_owned(),
            format!("write at most {MAX_IDLE}"),
        ));
    }
    when_idle.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(Connections {
        shared: keys.shared,
        when_busy: place.share(&keys.when_busy)?,
        when_idle,
        held: keys.held.as_ref().map(|keys| law(place, keys, YEAR)).transpose()?,
    })
}

pub(super) fn edits(place: Place<'_>, keys: Option<&EditKeys>) -> Result<Edits, ModelError> {
    let Some(keys) = keys else { return Ok(Edits::default()) };
    let mut edits = Edits::default();
    if let Some(sessions) = &keys.sessions {
        edits.sessions = place.number(sessions, 0.0..=MAX_RATE)?;
    }
    edits.tail = keys.tail.as_ref().map(|index| place.number(index, INDEXES)).transpose()?;
    for crowd in few(place, keys.crowds.as_ref())? {
        edits.crowds.push(Crowd {
            at: place.seconds(&crowd.at)?,
            lasts: place.seconds(&crowd.lasts)?,
            times: place.number(&crowd.times, 0.0..=1e4)?,
        });
    }
    for new in few(place, keys.routes.as_ref())? {
        let route = name(place, &new.route)?;
        edits.routes.push(NewRoute { route, share: place.number(&new.share, 0.0..=MOST_NEW)? });
    }
    let new: f64 = edits.routes.iter().map(|new| new.share).sum();
    if let Some(routes) = keys.routes.as_ref().filter(|_| new > MOST_NEW + 1e-9) {
        return Err(place.mistake(
            routes,
            format!("new routes have {new:.3} of all requests together"),
            format!("write shares that add up to {MOST_NEW} at most: the others keep the rest"),
        ));
    }
    for outlier in few(place, keys.outliers.as_ref())? {
        edits.outliers.push(Outlier {
            bytes: as_index(place.number(&outlier.bytes, 0.0..=MAX_BYTES)?) as u64,
            every: place.number(&outlier.every, 1e-3..=YEAR)?,
        });
    }
    Ok(edits)
}

/// The largest share that all new routes together may have.
const MOST_NEW: f64 = 0.9;

/// A list of edits that is not too long.
fn few<'k, T>(place: Place<'_>, all: Option<&'k Spanned<Vec<T>>>) -> Result<&'k [T], ModelError> {
    let Some(all) = all else { return Ok(&[]) };
    if all.value.len() > MAX_EDITS {
        return Err(place.mistake(
            all,
            format!("these are {} edits of one kind", all.value.len()),
            format!("write {MAX_EDITS} at most"),
        ));
    }
    Ok(&all.value)
}
