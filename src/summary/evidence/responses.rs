//! What a route answered, beside what production answered to the same requests; and what production
//! answered beside what it had answered before, which shows how much answers differ by themselves.

pub mod fields;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Arrival;
use crate::plan::answers::Answer;
use crate::protocol::resp::{ERROR_REPLY, REPLY};
use crate::recording::contents::Contents;
use crate::sample::{Fate, Sample};
use crate::stats::shares::Share;
use crate::summary::evidence::responses::fields::Fields;

/// Pairs of statuses told apart of a route; further ones are told apart by their classes alone. A
/// route has a handful, and a target that answers nonsense must not fill the memory.
pub const MAX_PAIRS: usize = 24;

/// Stands, with a class added, for statuses of that class in pairs beyond [`MAX_PAIRS`]. It lies
/// above all that answers have.
pub const OTHER_STATUSES: u16 = 60_000;

/// Sizes that differ by less than this many bytes are alike: a number or a date in the body.
pub const LEAST_BYTES: u64 = 16;

/// Sizes that differ by less than a tenth of the larger one are alike.
pub const LEAST_PART: u64 = 10;

/// The answers of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// Answers with the recorded status.
    pub same: u64,
    /// The others by the recorded status and by that of the target; together with `same` all that
    /// were compared.
    pub changes: BTreeMap<(u16, u16), Seen>,
    /// Classes of production's answers beside its answers before to the same requests.
    pub class_repeats: Ways,
    /// Their statuses, where they are of one class.
    pub status_repeats: Ways,
    /// Bodies of answers whose status is the recorded one, of those that may have a body.
    pub sizes: Sizes,
    /// Sizes of production's bodies beside those before to the same requests.
    pub size_repeats: Ways,
    /// Arrivals of whose recorded body something was kept.
    pub contents_kept: u64,
    /// Bodies whose digest is not the recorded one, of those whose two digests are known and whose
    /// recorded one has no fields of JSON.
    pub digests: Share,
    /// Of production's bodies without such fields, those whose digest is not that of the one
    /// before.
    pub digest_repeats: Share,
    /// Bodies whose recorded one has fields of JSON.
    pub fields: Fields,
    /// The first body that is smaller than the recorded one, and the first that is larger.
    pub size_examples: [Option<Example>; 2],
}

/// Answers with one pair of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Example,
}

/// Pairs of which one may be less or more than the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ways {
    /// All of them.
    pub compared: u64,
    /// Those whose second one is less.
    pub less: u64,
    /// Those whose second one is more.
    pub more: u64,
}

/// Sizes of bodies beside those that were recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sizes {
    /// Bodies whose two sizes are known; where they are not alike, the second one is the target's.
    pub ways: Ways,
    /// Bytes that production answered with, of all that were compared.
    pub recorded_bytes: u64,
    /// Bytes of the target.
    pub answered_bytes: u64,
}

/// An answer that differs. Its target is a user's, so that only its place in the plan is kept, by
/// which it is found in the samples of the run and in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Example {
    /// Position in the plan, from 0.
    pub index: u64,
    /// When it was due, since the start of the run.
    pub due: Duration,
}

/// How an answer is beside the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of a higher class: an error, or a redirection in place of what was asked for.
    Worse,
    /// Of a lower class.
    Better,
    /// Of the same class with a higher status, such as 204 instead of 200.
    Higher,
    /// Of the same class with a lower status.
    Lower,
    /// As good as the same: one of them only says that the client has it already.
    Alike,
}

impl Change {
    /// Of two statuses.
    pub fn of(recorded: u16, status: u16) -> Self {
        let classes = class(status).cmp(&class(recorded));
        let is_told = recorded < OTHER_STATUSES && status < OTHER_STATUSES;
        match classes.then(kind(status).cmp(&kind(recorded))) {
            Ordering::Greater if classes.is_gt() => Self::Worse,
            Ordering::Less if classes.is_lt() => Self::Better,
            Ordering::Greater if is_told => Self::Higher,
            Ordering::Less if is_told => Self::Lower,
            _ => Self::Alike,
        }
    }

    /// The way back.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::Worse => Self::Better,
            Self::Better => Self::Worse,
            Self::Higher => Self::Lower,
            Self::Lower => Self::Higher,
            Self::Alike => Self::Alike,
        }
    }
}

impl Responses {
    /// Takes what one sample shows.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let Some(recorded) = &arrival.answers.recorded else { return };
        let has_body = may_have_body(&arrival.method, recorded.status);
        self.contents_kept += u64::from(recorded.has_contents());
        if let Some(before) = &arrival.answers.before {
            self.add_repeat(before, recorded, has_body);
        }
        let Fate::Answered { status } = sample.fate else { return };
        let first = Example { index: arrival.index, due: arrival.due };
        if status != recorded.status {
            self.count((recorded.status, status), Seen { count: 1, first });
            return;
        }
        self.same += 1;
        if !has_body {
            return;
        }
        self.add_contents(&recorded.contents, sample.contents.as_deref());
        if let Some(bytes) = recorded.body_bytes {
            let order = self.sizes.add(bytes, sample.response_bytes);
            let [less, more] = &mut self.size_examples;
            match order {
                Ordering::Less => *less = earlier(*less, Some(first)),
                Ordering::Equal => {}
                Ordering::Greater => *more = earlier(*more, Some(first)),
            }
        }
    }

    /// Of JSON the fields tell whether it is as recorded: its values are others each time.
    fn add_contents(&mut self, recorded: &Contents, answered: Option<&Contents>) {
        if let Some(shape) = &recorded.shape {
            self.fields.add(shape, answered);
        } else if let Some((a, b)) = recorded.digest.zip(answered.and_then(|it| it.digest)) {
            count(&mut self.digests, a != b);
        }
    }

    fn add_repeat(&mut self, before: &Answer, recorded: &Answer, has_body: bool) {
        let change = Change::of(before.status, recorded.status);
        self.class_repeats.count(match change {
            Change::Worse => Ordering::Greater,
            Change::Better => Ordering::Less,
            _ => Ordering::Equal,
        });
        match change {
            Change::Higher => self.status_repeats.count(Ordering::Greater),
            Change::Lower => self.status_repeats.count(Ordering::Less),
            Change::Alike => self.status_repeats.count(Ordering::Equal),
            Change::Worse | Change::Better => {}
        }
        if before.status != recorded.status || !has_body {
            return;
        }
        if let Some((a, b)) = before.body_bytes.zip(recorded.body_bytes) {
            self.size_repeats.count(beside(a, b));
        }
        let has_fields = before.contents.shape.is_some() || recorded.contents.shape.is_some();
        let digests = before.contents.digest.zip(recorded.contents.digest);
        if let Some((a, b)) = digests.filter(|_| !has_fields) {
            count(&mut self.digest_repeats, a != b);
        }
    }

    /// Adds those of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        self.same += other.same;
        for (&pair, &seen) in &other.changes {
            self.count(pair, seen);
        }
        self.class_repeats.merge(other.class_repeats);
        self.status_repeats.merge(other.status_repeats);
        self.size_repeats.merge(other.size_repeats);
        self.sizes.merge(&other.sizes);
        self.contents_kept += other.contents_kept;
        self.digests = Share::sum(&[self.digests, other.digests]);
        self.digest_repeats = Share::sum(&[self.digest_repeats, other.digest_repeats]);
        self.fields.merge(&other.fields);
        let (mine, others) = (self.size_examples, other.size_examples);
        self.size_examples = [0, 1].map(|way| earlier(mine[way], others[way]));
    }

    /// Answers whose two statuses are known.
    pub fn compared(&self) -> u64 {
        self.same + self.changes.values().map(|seen| seen.count).sum::<u64>()
    }

    /// Bodies of which anything of the contents was compared.
    pub fn contents_compared(&self) -> u64 {
        self.digests.whole + self.fields.known()
    }

    /// Answers that are so beside the recorded ones, by their pairs of statuses.
    pub fn changed(&self, change: Change) -> impl Iterator<Item = ((u16, u16), Seen)> {
        let all = self.changes.iter().map(|(pair, seen)| (*pair, *seen));
        all.filter(move |&((recorded, status), _)| Change::of(recorded, status) == change)
    }

    /// How many they are.
    pub fn count_changed(&self, change: Change) -> u64 {
        self.changed(change).map(|(_, seen)| seen.count).sum()
    }

    /// Answers whose status is not the recorded one.
    pub fn status_changes(&self) -> Share {
        let whole = self.compared();
        Share { part: whole - self.same, whole }
    }

    /// Bodies of another size than the recorded one, among answers of the same status.
    pub fn size_changes(&self) -> Share {
        let Ways { compared, less, more } = self.sizes.ways;
        Share { part: less + more, whole: compared }
    }

    fn count(&mut self, pair: (u16, u16), seen: Seen) {
        let known = self.changes.len() < MAX_PAIRS || self.changes.contains_key(&pair);
        let other = |status| OTHER_STATUSES + class(status);
        let key = if known { pair } else { (other(pair.0), other(pair.1)) };
        let all = self.changes.entry(key).or_insert(Seen { count: 0, ..seen });
        *all = Seen { count: all.count + seen.count, first: all.first.min(seen.first) };
    }
}

impl Sizes {
    /// Takes a pair, and says how the target's is beside the recorded one.
    fn add(&mut self, recorded: u64, answered: u64) -> Ordering {
        let order = beside(recorded, answered);
        self.ways.count(order);
        self.recorded_bytes = self.recorded_bytes.saturating_add(recorded);
        self.answered_bytes = self.answered_bytes.saturating_add(answered);
        order
    }

    fn merge(&mut self, other: &Self) {
        self.ways.merge(other.ways);
        self.recorded_bytes = self.recorded_bytes.saturating_add(other.recorded_bytes);
        self.answered_bytes = self.answered_bytes.saturating_add(other.answered_bytes);
    }
}

impl Ways {
    fn count(&mut self, order: Ordering) {
        self.compared += 1;
        self.less += u64::from(order == Ordering::Less);
        self.more += u64::from(order == Ordering::Greater);
    }

    fn merge(&mut self, other: Self) {
        self.compared += other.compared;
        self.less += other.less;
        self.more += other.more;
    }
}

fn count(share: &mut Share, is_other: bool) {
    share.part += u64::from(is_other);
    share.whole += 1;
}

/// The class that a client sees: an answer that was not modified is the one that it has already,
/// and stands for a good one. What no protocol knows is of class 9.
pub fn class(status: u16) -> u16 {
    match status {
        REPLY | 304 => 2,
        ERROR_REPLY => 5,
        other if other >= OTHER_STATUSES => (other - OTHER_STATUSES).min(9),
        status => (status / 100).min(9),
    }
}

/// What a client sees within a class.
fn kind(status: u16) -> u16 {
    if status == 304 { 200 } else { status }
}

/// The name of a status, or of what stands for one.
pub fn status_name(status: u16) -> String {
    match status {
        REPLY => "a reply".to_owned(),
        ERROR_REPLY => "an error".to_owned(),
        other if other >= OTHER_STATUSES => format!("other {}xx", class(other)),
        status => status.to_string(),
    }
}

/// Answers that never have a body say nothing of bodies, and would hide the others among them.
fn may_have_body(method: &str, status: u16) -> bool {
    method != "HEAD" && !matches!(status, 100..=199 | 204 | 304)
}

/// How the second size is beside the first one, where they are not alike.
fn beside(first: u64, second: u64) -> Ordering {
    let least = LEAST_BYTES.max(first.max(second) / LEAST_PART);
    if first.abs_diff(second) < least { Ordering::Equal } else { second.cmp(&first) }
}

/// The one that comes first in the plan.
fn earlier(one: Option<Example>, other: Option<Example>) -> Option<Example> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests;
