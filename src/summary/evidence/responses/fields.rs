//! Which fields bodies of JSON have: those of production, and those of the target in their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::recording::contents::Contents;
use crate::stats::shares::Share;

/// Sets of fields that are counted as such, of some 4 KiB at most: bodies of a route mostly have a
/// few. Of bodies with others each field is counted, which takes longer.
pub const MAX_SHAPES: usize = 12;

/// Fields of such other bodies that are told apart: some 50 KiB of them. A route that has more has
/// values for names, and is not compared by them.
pub const MAX_FIELDS: usize = 512;

/// Bodies of answers whose recorded body was JSON, with the recorded status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Pairs of bodies whose fields are both known.
    pub compared: u64,
    /// Bodies of the target that are surely no JSON.
    pub no_json: u64,
    /// Bodies of the target of which neither is known: packed in a way that is not read, too long,
    /// or too many at once.
    pub unread: u64,
    /// Bodies by all of their fields, as [`Contents::shape`] has them: how many production answered
    /// with, and how many the target.
    shapes: BTreeMap<Arc<str>, [u64; 2]>,
    /// Bodies by each field, of those for whose fields there was no room among `shapes`.
    others: BTreeMap<Box<str>, [u64; 2]>,
    /// Mentions of fields for which there was no room, either.
    untold: u64,
}

impl Fields {
    /// Takes an answer whose recorded fields are these.
    pub fn add(&mut self, recorded: &Arc<str>, answered: Option<&Contents>) {
        match answered {
            Some(Contents { shape: Some(shape), .. }) => {
                self.compared += 1;
                if recorded == shape {
                    self.count(recorded, [1, 1]);
                } else {
                    self.count(recorded, [1, 0]);
                    self.count(shape, [0, 1]);
                }
            }
            Some(Contents { is_no_json: true, .. }) => self.no_json += 1,
            _ => self.unread += 1,
        }
    }

    /// Adds those of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        self.compared += other.compared;
        self.no_json += other.no_json;
        self.unread += other.unread;
        self.untold += other.untold;
        for (shape, counts) in &other.shapes {
            self.count(shape, *counts);
        }
        for (field, counts) in &other.others {
            self.count_field(field, *counts);
        }
    }

    /// Bodies of the target of which it is known whether they are JSON.
    pub fn known(&self) -> u64 {
        self.compared + self.no_json
    }

    /// How many of production's bodies had each field, and how many of the target's: shares of
    /// those that were compared. `None` where there are more fields than are told apart.
    pub fn shares(&self) -> Option<BTreeMap<&str, [Share; 2]>> {
        if self.untold > 0 {
            return None;
        }
        let whole = self.compared;
        let mut shares: BTreeMap<&str, [Share; 2]> = BTreeMap::new();
        let of_shapes = self
            .shapes
            .iter()
            .flat_map(|(shape, counts)| shape.lines().map(move |field| (field, counts)));
        let all = of_shapes.chain(self.others.iter().map(|(field, counts)| (&**field, counts)));
        for (field, counts) in all {
            let sides = shares.entry(field).or_insert([Share { part: 0, whole }; 2]);
            for (share, count) in sides.iter_mut().zip(counts) {
                share.part += count;
            }
        }
        Some(shares)
    }

    fn count(&mut self, shape: &Arc<str>, counts: [u64; 2]) {
        if let Some(sides) = self.shapes.get_mut(shape) {
            add(sides, counts);
        } else if self.shapes.len() < MAX_SHAPES {
            self.shapes.insert(Arc::clone(shape), counts);
        } else {
            for field in shape.lines() {
                self.count_field(field, counts);
            }
        }
    }

    fn count_field(&mut self, field: &str, counts: [u64; 2]) {
        if let Some(sides) = self.others.get_mut(field) {
            add(sides, counts);
        } else if self.others.len() < MAX_FIELDS {
            self.others.insert(field.into(), counts);
        } else {
            self.untold += counts[0] + counts[1];
        }
    }
}

fn add(sides: &mut [u64; 2], counts: [u64; 2]) {
    *sides = [0, 1].map(|side| sides[side] + counts[side]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[[&str; 2]]) -> Fields {
        let mut all = Fields::default();
        for [recorded, answered] in pairs {
            let shape = Some(Arc::from(*answered));
            all.add(&Arc::from(*recorded), Some(&Contents { shape, ..Contents::default() }));
        }
        all
    }

    fn counts(fields: &Fields) -> Vec<(String, [u64; 2])> {
        let told = fields.shares().unwrap();
        assert!(told.values().flatten().all(|share| share.whole == fields.compared));
        told.iter().map(|(name, sides)| (name.to_string(), sides.map(|it| it.part))).collect()
    }

    #[test]
    fn fields_are_counted_on_both_sides() {
        let mut all = fields(&[
            ["a: number\nb: string", "a: number"],
            ["a: number", "a: number\nc: null"],
            ["a: number", "a: number"],
        ]);
        let shape: Arc<str> = "a: number".into();
        all.add(&shape, Some(&Contents { is_no_json: true, ..Contents::default() }));
        all.add(&shape, Some(&Contents::default()));
        all.add(&shape, None);
        assert_eq!((all.compared, all.no_json, all.unread, all.known()), (3, 1, 2, 4));
        let mut twice = all.clone();
        twice.merge(&all);
        assert_eq!((twice.compared, twice.no_json, twice.unread), (6, 2, 4));
        let expected = [("a: number", [3, 3]), ("b: string", [1, 0]), ("c: null", [0, 1])];
        assert_eq!(counts(&all), expected.map(|(name, sides)| (name.to_owned(), sides)));
    }

    /// A field that appears when there is no more room for sets of fields is counted like others.
    #[test]
    fn no_pair_is_lost_where_there_are_many_sets_of_fields() {
        let sets: Vec<String> = (0..40).map(|at| format!("a: null\nn{at}: null")).collect();
        let mut pairs: Vec<[&str; 2]> = sets.iter().map(|set| [&**set, &**set]).collect();
        pairs.extend([["a: null", "a: null\nnew: null"]; 30]);
        let all = fields(&pairs);
        assert!(all.shapes.len() == MAX_SHAPES && !all.others.is_empty());
        let told = counts(&all);
        let of = |name: &str| told.iter().find(|(field, _)| field == name).unwrap().1;
        assert_eq!((of("a: null"), of("new: null"), of("n39: null")), ([70, 70], [0, 30], [1, 1]));
        // For all cuts: the parts merge to the whole.
        for cut in [1, 12, 39, 45] {
            let mut merged = fields(&pairs[cut..]);
            merged.merge(&fields(&pairs[..cut]));
            assert_eq!(counts(&merged), told, "{cut}");
        }
    }

    #[test]
    fn values_for_names_are_bounded_and_not_compared() {
        let mut all = Fields::default();
        for at in 0..5_000 {
            let shape: Arc<str> = format!("n{at}: null").into();
            let answered = Some(Arc::clone(&shape));
            all.add(&shape, Some(&Contents { shape: answered, ..Contents::default() }));
        }
        assert_eq!((all.shapes.len(), all.others.len()), (MAX_SHAPES, MAX_FIELDS));
        assert_eq!(all.untold, 2 * (5_000 - MAX_SHAPES - MAX_FIELDS) as u64);
        assert!(all.shares().is_none());
        let mut merged = Fields::default();
        merged.merge(&all);
        assert!(merged.shares().is_none(), "nor in what it is a part of");
    }
}
