//! Templates of routes that tell of nobody: a segment of a path stays as it is only where enough
//! sessions have it, and a template only where enough sessions asked for it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use crate::model::owners::{Owners, owner_of};
use crate::model::{MAX_ROUTES, OTHER};

/// Methods that a model names; requests with others are [`OTHER`].
pub const METHODS: [&str; 8] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Methods and templates that are looked at, as a recording has them; further ones are [`OTHER`].
pub const MAX_SEEN: usize = 50_000;

/// Segments of a path that a model has; longer paths end with a star.
const MAX_SEGMENTS: usize = 12;

/// Bytes of a segment that is no variable: nobody types a longer one.
const MAX_LITERAL: usize = 40;

/// What a recording asks for: a first look at all of it.
#[derive(Debug, Default)]
pub struct Seen {
    routes: HashMap<String, HashMap<String, Asked>>,
    kept: usize,
    /// Requests of routes beyond [`MAX_SEEN`], which are told to whoever fits.
    pub beyond: u64,
}

#[derive(Clone, Debug, Default)]
struct Asked {
    owners: Owners,
    requests: u64,
}

impl Seen {
    /// Takes a request into account.
    pub fn add(&mut self, method: &str, route: &str, session: u64) {
        let (method, route) = known_as(method, route);
        let (method, route) = (method, &*route);
        let known = self.routes.get_mut(method).and_then(|routes| routes.get_mut(route));
        let asked = match known {
            Some(asked) => asked,
            None if self.kept >= MAX_SEEN => {
                self.beyond += 1;
                return;
            }
            None => {
                self.kept += 1;
                let routes = self.routes.entry(method.to_owned()).or_default();
                routes.entry(route.to_owned()).or_default()
            }
        };
        asked.owners.add(owner_of(session));
        asked.requests += 1;
    }

    /// The templates, and which of them each route belongs to. Where routes are hidden, segments
    /// are numbers that say nothing but which are equal.
    pub fn table(&self, hides: bool) -> Table {
        // Hashes have no order, templates do.
        let mut all: BTreeMap<(&str, &str), &Asked> = BTreeMap::new();
        #[expect(clippy::iter_over_hash_type, reason = "they are sorted here")]
        for (method, routes) in &self.routes {
            #[expect(clippy::iter_over_hash_type, reason = "they are sorted here")]
            for (route, asked) in routes {
                all.insert((method, route), asked);
            }
        }
        let mut segments: BTreeMap<(String, &str), Owners> = BTreeMap::new();
        for ((method, route), asked) in &all {
            let Some(path) = path_of(method, route) else { continue };
            let mut before = String::new();
            for segment in path {
                segments.entry((before.clone(), segment)).or_default().merge(&asked.owners);
                before.push('/');
                before.push_str(segment);
            }
        }
        let mut templates: BTreeMap<String, (Owners, u64)> = BTreeMap::new();
        let mut belongs: Vec<((&str, &str), String)> = Vec::new();
        for ((method, route), asked) in &all {
            let name = template(method, route, &segments).unwrap_or_else(|| OTHER.to_owned());
            let (owners, requests) = templates.entry(name.clone()).or_default();
            owners.merge(&asked.owners);
            *requests += asked.requests;
            belongs.push(((method, route), name));
        }
        templates.retain(|name, (owners, _)| owners.are_enough() && name != OTHER);
        let mut names: Vec<(u64, String)> =
            templates.into_iter().map(|(name, (_, requests))| (requests, name)).collect();
        names.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        names.truncate(MAX_ROUTES - 1);
        let mut names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
        names.push(OTHER.to_owned());
        let position: BTreeMap<String, usize> =
            names.iter().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        let other = names.len() - 1;
        let mut of: HashMap<String, HashMap<String, usize>> = HashMap::new();
        for ((method, route), name) in belongs {
            let index = position.get(&name).copied().unwrap_or(other);
            of.entry(method.to_owned()).or_default().insert(route.to_owned(), index);
        }
        let names = if hides { hidden(&names) } else { names };
        Table { names, of, other }
    }
}

/// A method that a model names, or none, and as much of a route as tells anything, so that routes
/// have a bound: what is longer ends with a star in the place of the rest.
fn known_as<'a>(method: &'a str, route: &'a str) -> (&'a str, Cow<'a, str>) {
    const MOST: usize = MAX_SEGMENTS * (MAX_LITERAL + 1);
    let method = if METHODS.contains(&method) { method } else { "" };
    if route.len() <= MOST {
        return (method, Cow::Borrowed(route));
    }
    let cut = route.get(..route.floor_char_boundary(MOST)).unwrap_or("");
    let whole = cut.rfind('/').and_then(|end| cut.get(..end)).unwrap_or("");
    (method, Cow::Owned(format!("{whole}/*")))
}

/// The segments of a path that may be told; `None` for what is no path, or asked for strangely.
fn path_of<'a>(method: &str, route: &'a str) -> Option<impl Iterator<Item = &'a str>> {
    let path = route.strip_prefix('/')?;
    METHODS.contains(&method).then(|| path.split('/').take(MAX_SEGMENTS))
}

/// A route whose segments are literals of enough sessions, or stars.
fn template(
    method: &str,
    route: &str,
    segments: &BTreeMap<(String, &str), Owners>,
) -> Option<String> {
    let mut name = format!("{method} ");
    let mut before = String::new();
    for segment in path_of(method, route)? {
        let owners = segments.get(&(before.clone(), segment));
        let is_told = is_literal(segment) && owners.is_some_and(Owners::are_enough);
        name.push('/');
        name.push_str(if is_told { segment } else { "*" });
        before.push('/');
        before.push_str(segment);
    }
    if route.split('/').nth(MAX_SEGMENTS + 1).is_some() {
        name.push_str("/*");
    }
    Some(name)
}

/// The segment is a word that a program was written with, as far as its letters tell.
pub fn is_literal(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    segment.len() <= MAX_LITERAL && segment.bytes().all(is_plain)
}

/// Numbers in the place of words: `/cart/*` becomes `/s1/*`.
fn hidden(names: &[String]) -> Vec<String> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        for segment in literals(name) {
            let next = numbers.len() + 1;
            numbers.entry(segment).or_insert(next);
        }
    }
    let hide = |name: &String| {
        let Some((method, path)) = name.split_once(' ') else { return name.clone() };
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| match numbers.get(segment) {
                Some(number) => format!("s{number}"),
                None => segment.to_owned(),
            })
            .collect();
        format!("{method} {}", segments.join("/"))
    };
    names.iter().map(hide).collect()
}

/// The words of a template that are no stars.
pub fn literals(name: &str) -> impl Iterator<Item = &str> {
    let path = name.split_once(' ').map_or("", |(_, path)| path);
    path.split('/').filter(|segment| !matches!(*segment, "" | "*"))
}

/// Templates by number, and the number of each route of a recording.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Method and template; the last one is [`OTHER`].
    pub names: Vec<String>,
    of: HashMap<String, HashMap<String, usize>>,
    other: usize,
}

impl Table {
    /// The number of a method and a route as they are recorded.
    pub fn number(&self, method: &str, route: &str) -> usize {
        let (method, route) = known_as(method, route);
        let route = &*route;
        self.of.get(method).and_then(|routes| routes.get(route)).copied().unwrap_or(self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(asked: &[(&str, &str, u64)]) -> Seen {
        let mut seen = Seen::default();
        for (method, route, sessions) in asked {
            for session in 0..*sessions {
                seen.add(method, route, session);
            }
        }
        seen
    }

    #[test]
    fn what_few_sessions_have_in_their_paths_is_a_star() {
        let mut all = seen(&[("GET", "/cart/*", 50), ("GET", "/", 19), ("POST", "/cart/*", 20)]);
        // Names of people: each has few visitors, all together have enough.
        for (number, name) in (0..).zip(["alice", "robert", "carol", "daniela"]) {
            for session in 0..10 {
                all.add("GET", &format!("/users/{name}"), 100 * number + session);
            }
        }
        let table = all.table(false);
        assert_eq!(table.names, ["GET /cart/*", "GET /users/*", "POST /cart/*", OTHER]);
        assert_eq!(table.number("GET", "/users/robert"), 1);
        assert_eq!(table.number("GET", "/"), 3);
        assert_eq!(table.number("GET", "/never/seen"), 3);
    }

    #[test]
    fn what_is_no_plain_path_is_not_told() {
        let secret = "/a/x%20y";
        let odd = seen(&[
            ("GET", secret, 99),
            ("CONNECT", "db.internal.example:443", 99),
            ("HELLO", "/a", 99),
            ("GET", "/a/\u{1b}[2J", 99),
        ]);
        let names = odd.table(false).names;
        assert_eq!(names, ["GET /a/*", OTHER]);
    }

    #[test]
    fn long_paths_end_with_a_star_and_are_kept_no_longer_than_they_tell() {
        let deep = "/a/b/c/d/e/f/g/h/i/j/k/l";
        let all = seen(&[
            ("GET", &format!("{deep}/orders"), 30),
            ("GET", &format!("{deep}/invoices"), 30),
            ("GET", deep, 30),
        ]);
        let table = all.table(false);
        assert_eq!(table.names, [format!("GET {deep}/*"), format!("GET {deep}"), OTHER.to_owned()]);
        assert_eq!(table.number("GET", &format!("{deep}/orders")), 0);
        // What begins like a word in the place where it is cut is none.
        let long = |tail: &str| format!("/a/{}{tail}", "word".repeat(2_000));
        let all = seen(&[("GET", &long("x"), 30), ("GET", &long("y"), 30), ("GET", "/a", 30)]);
        let kept: Vec<&String> = all.routes.values().flat_map(HashMap::keys).collect();
        assert!(kept.len() == 2 && kept.iter().all(|route| route.len() < 1_000), "{kept:?}");
        let table = all.table(false);
        assert_eq!(table.names, ["GET /a/*", "GET /a", OTHER]);
        assert_eq!(table.number("GET", &long("z")), 0);
        assert_eq!(all.beyond, 0);
    }

    #[test]
    fn hidden_routes_say_only_which_segments_are_equal() {
        let all = seen(&[("GET", "/cart/*", 50), ("POST", "/cart/items", 30), ("GET", "/", 20)]);
        assert_eq!(all.table(true).names, ["GET /s1/*", "POST /s1/s2", "GET /", OTHER]);
        assert_eq!(literals("POST /s1/*/s2").collect::<Vec<_>>(), ["s1", "s2"]);
    }
}
