//! What a route answered, beside what production answered to the same requests; and what production
//! answered beside what it had answered before, which shows how much answers differ by themselves.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Arrival;
use crate::plan::answers::Answer;
use crate::protocol::resp::{ERROR_REPLY, REPLY};
use crate::recording::contents::Contents;
use crate::sample::{Fate, Sample};
use crate::stats::shares::Share;

/// Pairs of statuses told apart of a route; further ones are counted as [`OTHER_STATUSES`]. A route
/// has a handful, and a target that answers nonsense must not fill the memory.
pub const MAX_PAIRS: usize = 24;

/// Shapes of bodies told apart of a route: each is some 4 KiB at most. Pairs with others are not
/// compared.
pub const MAX_SHAPES: usize = 12;

/// Where pairs of statuses beyond [`MAX_PAIRS`] are counted.
pub const OTHER_STATUSES: (u16, u16) = (u16::MAX, u16::MAX);

/// Sizes that differ by less than this many bytes are alike: a number or a date in the body.
pub const LEAST_BYTES: u64 = 16;

/// Sizes that differ by less than a tenth of the larger one are alike.
pub const LEAST_PART: u64 = 10;

/// The answers of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// Answers by the recorded status and by that of the target; together all that were compared.
    pub statuses: BTreeMap<(u16, u16), u64>,
    /// Classes of production's answers beside its answers before to the same requests.
    pub status_repeats: Ways,
    /// Bodies of answers whose status is the recorded one.
    pub sizes: Sizes,
    /// Sizes of production's bodies beside those before to the same requests.
    pub size_repeats: Ways,
    /// Bodies whose digest is not the recorded one, of those whose two digests are known.
    pub digests: Share,
    /// Of production's bodies, those whose digest is not that of the one before.
    pub digest_repeats: Share,
    /// Bodies of JSON by their fields, as [`crate::recording::contents::Contents::shape`] has
    /// them: how many production answered with, and how many the target. Of a pair of which one
    /// is not known, neither is counted.
    pub shapes: BTreeMap<Arc<str>, [u64; 2]>,
    /// The first answer of another class.
    pub status_example: Option<Example>,
    /// The first body of another size.
    pub size_example: Option<Example>,
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

impl Responses {
    /// Takes what one sample shows.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let Some(recorded) = &arrival.answers.recorded else { return };
        if let Some(before) = &arrival.answers.before {
            self.add_repeat(before, recorded);
        }
        let Fate::Answered { status } = sample.fate else { return };
        let example = Some(Example { index: arrival.index, due: arrival.due });
        self.count((recorded.status, status), 1);
        if class(status) != class(recorded.status) {
            self.status_example = first(self.status_example, example);
        }
        if let Some(contents) = sample.contents.as_ref().filter(|_| status == recorded.status) {
            self.add_contents(&recorded.contents, contents);
        }
        if let Some(bytes) = recorded.body_bytes.filter(|_| status == recorded.status) {
            let order = self.sizes.add(bytes, sample.response_bytes);
            if order != Ordering::Equal {
                self.size_example = first(self.size_example, example);
            }
        }
    }

    fn add_contents(&mut self, recorded: &Contents, answered: &Contents) {
        if let Some((a, b)) = recorded.digest.zip(answered.digest) {
            count(&mut self.digests, a != b);
        }
        if let Some((a, b)) = recorded.shape.as_ref().zip(answered.shape.as_ref()) {
            self.count_shapes(a, b);
        }
    }

    fn count_shapes(&mut self, recorded: &Arc<str>, answered: &Arc<str>) {
        let unknown = |shape: &Arc<str>| usize::from(!self.shapes.contains_key(shape));
        let new = unknown(recorded) + unknown(answered);
        if new > 0 && self.shapes.len() + new > MAX_SHAPES {
            return;
        }
        for (shape, side) in [(recorded, 0), (answered, 1)] {
            self.shapes.entry(Arc::clone(shape)).or_default()[side] += 1;
        }
    }

    fn add_repeat(&mut self, before: &Answer, recorded: &Answer) {
        self.status_repeats.count(class(recorded.status).cmp(&class(before.status)));
        let sizes = before.body_bytes.zip(recorded.body_bytes);
        if let Some((a, b)) = sizes.filter(|_| before.status == recorded.status) {
            self.size_repeats.count(beside(a, b));
        }
        let digests = before.contents.digest.zip(recorded.contents.digest);
        if let Some((a, b)) = digests.filter(|_| before.status == recorded.status) {
            count(&mut self.digest_repeats, a != b);
        }
    }

    /// Adds those of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        for (&pair, &count) in &other.statuses {
            self.count(pair, count);
        }
        self.status_repeats.merge(other.status_repeats);
        self.size_repeats.merge(other.size_repeats);
        self.sizes.merge(&other.sizes);
        self.digests = Share::sum(&[self.digests, other.digests]);
        self.digest_repeats = Share::sum(&[self.digest_repeats, other.digest_repeats]);
        for (shape, counts) in &other.shapes {
            if self.shapes.len() < MAX_SHAPES || self.shapes.contains_key(shape) {
                let sides = self.shapes.entry(Arc::clone(shape)).or_default();
                *sides = [0, 1].map(|side| sides[side] + counts[side]);
            }
        }
        self.status_example = first(self.status_example, other.status_example);
        self.size_example = first(self.size_example, other.size_example);
    }

    /// Answers whose two statuses are known.
    pub fn compared(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Answers of another class than the recorded one, by whether theirs is the `worse` one: an
    /// error, or a redirection in place of what was asked for. What `counts` not is left out.
    pub fn changed(&self, worse: Ordering, counts: impl Fn(u16) -> bool) -> u64 {
        let pairs = self.statuses.iter().filter(|(pair, _)| **pair != OTHER_STATUSES);
        pairs
            .filter(|((recorded, status), _)| class(*status).cmp(&class(*recorded)) == worse)
            .filter(|((_, status), _)| counts(*status))
            .map(|(_, count)| count)
            .sum()
    }

    /// Fields of bodies of JSON: how many of production's bodies had each, and how many of the
    /// target's. Both are shares of the bodies whose fields are known.
    pub fn fields(&self) -> BTreeMap<&str, [Share; 2]> {
        let mut wholes = [0; 2];
        let mut fields: BTreeMap<&str, [Share; 2]> = BTreeMap::new();
        for (shape, counts) in &self.shapes {
            wholes = [0, 1].map(|side| wholes[side] + counts[side]);
            for field in shape.lines() {
                let sides = fields.entry(field).or_default();
                for (share, count) in sides.iter_mut().zip(counts) {
                    share.part += count;
                }
            }
        }
        for sides in fields.values_mut() {
            for (share, whole) in sides.iter_mut().zip(wholes) {
                share.whole = whole;
            }
        }
        fields
    }

    /// Answers whose status is not the recorded one.
    pub fn status_changes(&self) -> Share {
        let same = self.statuses.iter().filter(|((recorded, status), _)| recorded == status);
        let same = same.filter(|(pair, _)| **pair != OTHER_STATUSES).map(|(_, count)| count);
        let whole = self.compared();
        Share { part: whole - same.sum::<u64>(), whole }
    }

    /// Bodies of another size than the recorded one, among answers of the same status.
    pub fn size_changes(&self) -> Share {
        let Ways { compared, less, more } = self.sizes.ways;
        Share { part: less + more, whole: compared }
    }

    fn count(&mut self, pair: (u16, u16), count: u64) {
        let known = self.statuses.len() < MAX_PAIRS || self.statuses.contains_key(&pair);
        *self.statuses.entry(if known { pair } else { OTHER_STATUSES }).or_default() += count;
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
/// and stands for a good one.
pub fn class(status: u16) -> u16 {
    match status {
        REPLY | 304 => 2,
        ERROR_REPLY => 5,
        status => status / 100,
    }
}

/// How the second size is beside the first one, where they are not alike.
fn beside(first: u64, second: u64) -> Ordering {
    let least = LEAST_BYTES.max(first.max(second) / LEAST_PART);
    if first.abs_diff(second) < least { Ordering::Equal } else { second.cmp(&first) }
}

/// The one that comes first in the plan.
fn first(one: Option<Example>, other: Option<Example>) -> Option<Example> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::{answered, arrival};

    fn answer(status: u16, bytes: u64) -> Arc<Answer> {
        Arc::new(Answer { status, body_bytes: Some(bytes), ..Answer::default() })
    }

    /// One arrival for each of (recorded, answered), in this order; each is the predecessor of the
    /// next one.
    fn responses(pairs: &[[(u16, u64); 2]]) -> Responses {
        let (mut responses, mut before) = (Responses::default(), None);
        for (index, &[(recorded, bytes), (status, response_bytes)]) in (0..).zip(pairs) {
            let mut arrival = arrival(index, Duration::from_secs(index));
            let recorded = answer(recorded, bytes);
            arrival.answers.before = before.replace(Arc::clone(&recorded));
            arrival.answers.recorded = Some(recorded);
            let fate = Fate::Answered { status };
            let sample = Sample { response_bytes, fate, ..answered(&arrival, Duration::ZERO) };
            responses.add(&arrival, &sample);
        }
        responses
    }

    #[test]
    fn sizes_are_alike_within_a_tenth_and_sixteen_bytes() {
        for (first, second, order) in [
            (0, 15, Ordering::Equal),
            (0, 16, Ordering::Greater),
            (16, 0, Ordering::Less),
            (1_000, 901, Ordering::Equal),
            (1_000, 900, Ordering::Less),
            (1_000, 1_112, Ordering::Greater),
            (u64::MAX, u64::MAX, Ordering::Equal),
        ] {
            assert_eq!(beside(first, second), order, "{first} {second}");
        }
    }

    #[test]
    fn what_differs_is_told_from_what_differs_by_itself() {
        let all = responses(&[
            [(200, 100), (200, 100)],
            [(200, 100), (200, 50)],
            [(404, 100), (302, 10)],
            [(200, 100), (304, 0)],
            [(200, 100), (500, 0)],
        ]);
        assert_eq!(all.compared(), 5);
        assert_eq!(all.status_changes(), Share { part: 3, whole: 5 });
        assert_eq!(all.size_changes(), Share { part: 1, whole: 2 });
        assert_eq!(all.changed(Ordering::Greater, |_| true), 1);
        assert_eq!(all.changed(Ordering::Greater, |status| status < 400), 0);
        assert_eq!(all.changed(Ordering::Less, |_| true), 1, "a 304 is as good as a 200");
        assert_eq!(all.status_repeats, Ways { compared: 4, less: 1, more: 1 });
        assert_eq!(all.size_repeats, Ways { compared: 2, less: 0, more: 0 });
        let ways = Ways { compared: 2, less: 1, more: 0 };
        assert_eq!(all.sizes.ways, ways, "with the same status only");
        assert_eq!(all.status_example.unwrap().index, 2);
        assert_eq!(all.size_example.unwrap().index, 1);
    }

    #[test]
    fn fields_are_counted_on_both_sides() {
        let of = |shape: &str| Contents { digest: None, shape: Some(shape.into()) };
        let mut all = Responses::default();
        all.add_contents(&of("a: number\nb: string"), &of("a: number"));
        all.add_contents(&of("a: number"), &of("a: number\nc: null"));
        all.add_contents(&of("a: number"), &Contents::default());
        let share = |part| Share { part, whole: 2 };
        let fields: Vec<_> = all.fields().into_iter().collect();
        let expected = [("a: number", [2, 2]), ("b: string", [1, 0]), ("c: null", [0, 1])];
        assert_eq!(fields, expected.map(|(name, sides)| (name, sides.map(share))));
        for at in 0..100 {
            all.add_contents(&of(&format!("n{at}: null")), &of(&format!("m{at}: null")));
        }
        assert!(all.shapes.len() <= MAX_SHAPES);
        let sums = all.shapes.values().fold([0, 0], |sum, it| [sum[0] + it[0], sum[1] + it[1]]);
        assert_eq!(sums[0], sums[1], "of a pair both are counted, or none");
    }

    /// for all cuts and orders: the parts merge to the whole.
    #[test]
    fn parts_merge_to_the_whole_in_any_order() {
        let pairs: Vec<_> =
            (0..40_u16).map(|at| [(200, 100), (200 + at % 30 * 10, u64::from(at) * 9)]).collect();
        let whole = responses(&pairs);
        assert_eq!(whole.compared(), 40, "also beyond the bound");
        assert!(whole.statuses.len() == MAX_PAIRS + 1);
        let few: Vec<_> = pairs.iter().copied().filter(|[_, (it, _)]| *it < 400).collect();
        let whole = responses(&few);
        for cut in 1..few.len() {
            let mut merged = Responses::default();
            for part in [&few[cut..], &few[..cut]] {
                merged.merge(&Responses { status_example: None, ..responses(part) });
            }
            assert_eq!((&merged.statuses, merged.sizes), (&whole.statuses, whole.sizes), "{cut}");
        }
    }
}
