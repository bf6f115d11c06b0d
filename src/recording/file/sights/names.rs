//! Names of methods and routes, by numbers that are the same in every recording.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::FixedState;

use crate::recording::file::digests::FIRST;
use crate::recording::route::route_of;

/// Most texts that are remembered of methods, and of routes. Where there are more, half of them
/// are let go by their hash, and again, so that two recordings remember the same ones.
pub const MAX_TEXTS: usize = 10_000;

/// Bytes remembered of a text: enough for people, and an end for what a file makes us hold.
pub const MAX_TEXT_BYTES: usize = 1 << 10;

/// A method and a route, by the hashes of their texts. They are for comparing within one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class {
    /// Hash of the method.
    pub method: u64,
    /// Hash of the route.
    pub route: u64,
}

impl Class {
    /// One number for both.
    pub fn hash(self) -> u64 {
        both(self.method, self.route)
    }
}

/// One hash of two.
pub(super) fn both(method: u64, other: u64) -> u64 {
    method ^ other.rotate_left(23)
}

/// What the hashes of [`Class`] stand for.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub(super) methods: Texts,
    pub(super) routes: Texts,
}

impl Names {
    /// The class of a method and a route, which are remembered while there is room.
    pub fn class(&mut self, method: &str, route: &str) -> Class {
        Class { method: self.methods.meet(method), route: self.routes.meet(&template(route)) }
    }

    /// `METHOD route` of a class; `None` where it is not remembered.
    pub fn of(&self, class: Class) -> Option<Arc<str>> {
        let (method, route) =
            (self.methods.known.get(&class.method)?, self.routes.known.get(&class.route)?);
        Some(Arc::from(format!("{method} {route}")))
    }

    /// The largest hashes of a method and of a route that are remembered for sure.
    pub fn bounds(&self) -> Class {
        Class { method: self.methods.bound(), route: self.routes.bound() }
    }
}

/// Paths become templates where a file has them as they are, so that two files tell the same
/// routes apart.
pub(super) fn template(route: &str) -> String {
    if route.starts_with('/') { route_of(route) } else { route.to_owned() }
}

/// Texts by their hashes.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    known: HashMap<u64, Arc<str>>,
    /// How often half of all hashes were let go.
    halvings: u32,
}

impl Texts {
    /// The hash of a text.
    pub(super) fn meet(&mut self, text: &str) -> u64 {
        let hash = hash(text.as_bytes());
        if hash <= self.bound() && !self.known.contains_key(&hash) {
            let end = text.floor_char_boundary(MAX_TEXT_BYTES);
            let cut = if end < text.len() { "…" } else { "" };
            self.known.insert(hash, Arc::from(format!("{}{cut}", &text[..end])));
            while self.known.len() > MAX_TEXTS {
                self.halvings += 1;
                let bound = self.bound();
                self.known.retain(|hash, _| *hash <= bound);
            }
        }
        hash
    }

    fn bound(&self) -> u64 {
        u64::MAX.checked_shr(self.halvings).unwrap_or(0)
    }
}

/// A hash of which every bit is as good as the others.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(bytes).max(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_template_that_it_has_and_methods_are_told_apart() {
        let mut names = Names::default();
        let class = names.class("GET", "/item/17");
        assert_eq!(class, names.class("GET", "/item/*"));
        assert_ne!(class, names.class("POST", "/item/17"));
        assert_ne!(class.hash(), names.class("POST", "/item/17").hash());
        assert_eq!(names.of(class).as_deref(), Some("GET /item/*"));
        assert_eq!(names.of(Class::default()), None);
        assert_eq!(names.bounds().route, u64::MAX);
    }

    /// For two recordings that have more texts than are remembered, in another order.
    #[test]
    fn the_same_texts_are_remembered_in_any_order() {
        let (mut first, mut second) = (Texts::default(), Texts::default());
        for number in 0..2 * MAX_TEXTS {
            first.meet(&format!("route {number}"));
            second.meet(&format!("route {}", 2 * MAX_TEXTS - 1 - number));
        }
        assert!((MAX_TEXTS / 4..=MAX_TEXTS).contains(&first.known.len()), "{}", first.known.len());
        assert_eq!(first.bound(), second.bound());
        let keys = |texts: &Texts| {
            let mut keys: Vec<u64> = texts.known.keys().copied().collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keys(&first), keys(&second));
        assert!(keys(&first).iter().all(|hash| *hash <= first.bound()));
    }

    #[test]
    fn a_long_text_is_cut_for_people_and_stays_another_one() {
        let mut names = Names::default();
        let long = "ä".repeat(MAX_TEXT_BYTES);
        let (one, other) = (names.class("GET", &long), names.class("GET", &format!("{long}!")));
        assert_ne!(one, other);
        assert!(names.of(one).unwrap().len() <= MAX_TEXT_BYTES + 10);
    }
}
