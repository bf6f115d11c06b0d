//! Requests by method and route: how many, of which half of the load, and how large.
//!
//! Where there are more classes than are told apart, those are kept whose hash is small, and all
//! others are one. So two recordings can be brought to the same classes, in whichever order they
//! meet them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hdrhistogram::Histogram;

use crate::recording::file::sights::names::{Class, Names};
use crate::shape::OTHER_ROUTES;
use crate::stats::histograms::{MAX_SIZE, sizes};

/// Most methods and routes that are told apart: as many as have names.
pub const MAX_CLASSES: usize = 10_000;

/// Routes whose sizes are kept apart: 27 KiB each at most.
pub const MAX_SIZED_ROUTES: usize = 200;

/// Slots of the classes that were met lately: their number is a power of two.
const SLOTS: usize = 1 << 10;

/// The fold over the classes of requests.
#[derive(Debug)]
pub(super) struct Routes {
    all: Vec<Route>,
    numbers: HashMap<u64, usize, FixedState>,
    /// By a part of the hash: the number of a class that was met lately.
    slots: Vec<usize>,
    /// How often the classes of half of all routes were let go.
    halvings: u32,
    other: [u64; 2],
    sized: usize,
}

#[derive(Debug)]
struct Route {
    class: Class,
    hash: u64,
    halves: [u64; 2],
    bytes: Option<Histogram<u64>>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            numbers: HashMap::default(),
            slots: vec![usize::MAX; SLOTS],
            halvings: 0,
            other: [0; 2],
            sized: 0,
        }
    }
}

impl Routes {
    /// Counts a request of a class in one half of the load.
    #[inline]
    pub(super) fn add(&mut self, class: Class, half: usize, bytes: u64) {
        let hash = class.hash();
        let slot = usize::try_from(hash % SLOTS as u64).unwrap_or(0);
        let mut number = self.slots[slot];
        if self.all.get(number).is_none_or(|route| route.hash != hash) {
            let Some(found) = self.number(class, hash) else {
                self.other[half] += 1;
                return;
            };
            self.slots[slot] = found;
            number = found;
        }
        let route = &mut self.all[number];
        route.halves[half] += 1;
        // Most requests have no body: those are put into the histograms at the end.
        if bytes == 0 {
            return;
        }
        if route.bytes.is_none() && self.sized < MAX_SIZED_ROUTES {
            self.sized += 1;
            route.bytes = Some(route_sizes());
        }
        if let Some(histogram) = &mut route.bytes {
            let bytes = bytes.min(MAX_SIZE);
            if histogram.record(bytes).is_err() {
                histogram.saturating_record(bytes);
            }
        }
    }

    /// The number of a class, new or not; `None` for one that is let go.
    fn number(&mut self, class: Class, hash: u64) -> Option<usize> {
        if class.route > bound(self.halvings) {
            return None;
        }
        if let Some(number) = self.numbers.get(&hash) {
            return Some(*number);
        }
        self.all.push(Route { class, hash, halves: [0; 2], bytes: None });
        self.numbers.insert(hash, self.all.len() - 1);
        while self.all.len() > MAX_CLASSES {
            self.halve();
        }
        self.numbers.get(&hash).copied()
    }

    fn halve(&mut self) {
        self.halvings += 1;
        let bound = bound(self.halvings);
        for route in self.all.extract_if(.., |route| route.class.route > bound) {
            for (other, count) in self.other.iter_mut().zip(route.halves) {
                *other += count;
            }
        }
        self.sized = self.all.iter().filter(|route| route.bytes.is_some()).count();
        self.slots.fill(usize::MAX);
        self.numbers =
            self.all.iter().enumerate().map(|(number, route)| (route.hash, number)).collect();
    }

    /// Every class with its name, and the bytes of those whose sizes were kept.
    pub(super) fn finish(mut self, names: &Names) -> (Mix, BTreeMap<Arc<str>, Histogram<u64>>) {
        let mut bytes = BTreeMap::new();
        let mut mix = Mix {
            classes: Vec::with_capacity(self.all.len()),
            other: self.other,
            bounds: smaller(
                names.bounds(),
                Class { method: u64::MAX, route: bound(self.halvings) },
            ),
        };
        for route in &mut self.all {
            let Some(name) = names.of(route.class) else {
                mix.put_away(route.halves);
                continue;
            };
            if route.bytes.is_none() && self.sized < MAX_SIZED_ROUTES {
                self.sized += 1;
                route.bytes = Some(route_sizes());
            }
            if let Some(mut sizes) = route.bytes.take() {
                let empty = route.halves.iter().sum::<u64>().saturating_sub(sizes.len());
                sizes.saturating_record_n(0, empty);
                bytes.insert(Arc::clone(&name), sizes);
            }
            mix.classes.push(Counted { name, class: route.class, halves: route.halves });
        }
        mix.put_away_beyond(mix.bounds);
        (mix, bytes)
    }
}

fn bound(halvings: u32) -> u64 {
    u64::MAX.checked_shr(halvings).unwrap_or(0)
}

/// Requests by class, as far as classes are told apart.
#[derive(Clone, Debug)]
pub struct Mix {
    classes: Vec<Counted>,
    other: [u64; 2],
    /// The largest hashes of methods and routes up to which every class is told apart.
    bounds: Class,
}

#[derive(Clone, Debug)]
struct Counted {
    name: Arc<str>,
    class: Class,
    halves: [u64; 2],
}

fn smaller(one: Class, other: Class) -> Class {
    Class { method: one.method.min(other.method), route: one.route.min(other.route) }
}

fn is_kept(class: Class, bounds: Class) -> bool {
    class.method <= bounds.method && class.route <= bounds.route
}

impl Mix {
    /// Of names and counts, of which nothing else is known.
    pub fn of_counts(counts: BTreeMap<Arc<str>, u64>) -> Self {
        let mut names = Names::default();
        let mut mix = Self {
            classes: Vec::with_capacity(counts.len()),
            other: [0; 2],
            bounds: names.bounds(),
        };
        for (name, count) in counts {
            let (method, route) = name.split_once(' ').unwrap_or(("", &name));
            let class = names.class(method, route);
            mix.classes.push(Counted { name, class, halves: [count, 0] });
        }
        mix
    }

    /// The classes that both tell apart; `None` where they do so already.
    pub fn beside(&self, other: &Self) -> Option<Self> {
        let bounds = smaller(self.bounds, other.bounds);
        (bounds != self.bounds).then(|| {
            let mut mix = self.clone();
            mix.put_away_beyond(bounds);
            mix
        })
    }

    /// Requests whose classes are not told apart.
    pub fn beyond(&self) -> u64 {
        self.other[0].saturating_add(self.other[1])
    }

    /// Requests by name: all of them, and those of each half.
    pub fn counts(&self) -> [BTreeMap<Arc<str>, u64>; 3] {
        let mut maps: [BTreeMap<Arc<str>, u64>; 3] = Default::default();
        let other: Arc<str> = Arc::from(OTHER_ROUTES);
        let others = std::iter::once((&other, self.other));
        let classes = self.classes.iter().map(|counted| (&counted.name, counted.halves));
        for (name, [even, odd]) in classes.chain(others) {
            for (map, count) in maps.iter_mut().zip([even.saturating_add(odd), even, odd]) {
                if even > 0 || odd > 0 {
                    let counted = map.entry(Arc::clone(name)).or_default();
                    *counted = counted.saturating_add(count);
                }
            }
        }
        maps
    }

    fn put_away_beyond(&mut self, bounds: Class) {
        self.bounds = bounds;
        let beyond = self.classes.extract_if(.., |counted| !is_kept(counted.class, bounds));
        let halves: Vec<[u64; 2]> = beyond.map(|counted| counted.halves).collect();
        for halves in halves {
            self.put_away(halves);
        }
    }

    fn put_away(&mut self, halves: [u64; 2]) {
        for (other, count) in self.other.iter_mut().zip(halves) {
            *other = other.saturating_add(count);
        }
    }
}

/// Bytes with two significant digits; it grows with the largest value.
fn route_sizes() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 2, 2).unwrap_or_else(|_| sizes());
    histogram.auto(true);
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distances::total_variation;

    /// A load for so many routes, asked for in turn from some number on.
    fn asked(routes: u64, from: u64, prefix: &str) -> Mix {
        let (mut fold, mut names) = (Routes::default(), Names::default());
        for number in 0..routes {
            let number = (from + number) % routes;
            let class = names.class("GET", &format!("{prefix} {number}"));
            // Every tenth is asked for more often.
            for _ in 0..if number.is_multiple_of(10) { 5 } else { 1 } {
                fold.add(class, usize::from(number % 2 == 1), number);
            }
        }
        fold.finish(&names).0
    }

    fn apart(first: &Mix, second: &Mix) -> f64 {
        let (one, two) = (first.beside(second), second.beside(first));
        let (one, two) = (one.as_ref().unwrap_or(first), two.as_ref().unwrap_or(second));
        let ([one, ..], [two, ..]) = (one.counts(), two.counts());
        total_variation(&one, &two).unwrap()
    }

    #[test]
    fn more_routes_than_are_told_apart_are_the_same_ones_in_any_order() {
        let many = 3 * MAX_CLASSES as u64;
        let (first, second) = (asked(many, 0, "a"), asked(many, many / 2, "a"));
        assert!(first.classes.len() <= MAX_CLASSES && first.beyond() > 0);
        assert!(apart(&first, &second) <= 0.0, "{}", apart(&first, &second));
        let sum = |mix: &Mix| mix.counts()[0].values().sum::<u64>();
        assert_eq!(sum(&first), many / 10 * 14);
        // A third of them, all told apart, beside all of them.
        let fewer = asked(MAX_CLASSES as u64, 0, "a");
        assert_eq!(fewer.beyond(), 0);
        let told = fewer.beside(&first).unwrap();
        assert_eq!(told.bounds, first.bounds);
        assert_eq!(sum(&told), MAX_CLASSES as u64 / 10 * 14);
        // Other routes are other ones, as far as that can be told.
        assert!(apart(&first, &asked(many, 0, "b")) > 0.2);
    }

    #[test]
    fn few_routes_are_all_told_apart() {
        let (first, second) = (asked(50, 0, "a"), asked(50, 7, "a"));
        assert!(first.beside(&second).is_none() && first.beyond() == 0);
        assert_eq!(first.counts()[0], second.counts()[0]);
        let [all, even, odd] = first.counts();
        assert_eq!(all["GET a 7"], 1);
        assert_eq!((even["GET a 7"], odd["GET a 7"]), (0, 1));
        let names: BTreeMap<Arc<str>, u64> = all.clone();
        assert!(apart(&Mix::of_counts(names), &first) <= 0.0);
    }
}
