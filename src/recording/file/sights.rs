//! Sights: what a load shape is made of, from the columns that tell it, without texts to own.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::recording::file::RecordingError;
use crate::recording::file::batch::Row;
use crate::recording::file::columns::Column;
use crate::recording::file::rows::{Rows, protocol};
use crate::recording::route::route_of;

/// What is looked at of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// First byte of the request, since the recording's start.
    pub at: Duration,
    /// Number of its connection.
    pub connection: u64,
    /// Hash of its session.
    pub session: u64,
    /// Number of its method and route, in order of appearance from 0: see [`Sights::names`].
    pub route: u32,
    /// Hash of its method and target, without the authority, which a rehearsal changes. It is for
    /// comparing within one process.
    pub key: u64,
    /// A cache may answer it: GET and HEAD, and any command.
    pub is_read: bool,
    /// Bytes of its body.
    pub request_bytes: u64,
    /// Bytes of the response's body, when it was whole.
    pub response_bytes: Option<u64>,
    /// Until the last byte of the answer, or its first one where the last is not known.
    pub took: Option<Duration>,
}

impl Sight {
    pub(super) const COLUMNS: &'static [Column] = &[
        Column::At,
        Column::Connection,
        Column::Session,
        Column::Protocol,
        Column::Method,
        Column::Target,
        Column::Route,
        Column::RequestBodyBytes,
        Column::ResponseBodyBytes,
        Column::FirstByte,
        Column::LastByte,
    ];
}

/// Most methods and routes that are numbered; further ones share the last number.
pub const MAX_NAMES: usize = 10_000;

/// Slots of the names that were met lately: their number is a power of two.
const SLOTS: usize = 1 << 10;

/// The sights of a recording, in the order of time.
#[derive(Debug)]
pub struct Sights {
    rows: Rows,
    names: Names,
}

impl Sights {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows, names: Names::default() }
    }

    /// `METHOD route` of each number that was given so far.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names.all
    }
}

impl Iterator for Sights {
    type Item = Result<Sight, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let names = &mut self.names;
        self.rows.next_row(|row| sight(row, names))
    }
}

fn sight(row: &Row<'_>, names: &mut Names) -> Result<Sight, RecordingError> {
    let method = row.raw(Column::Method)?;
    let took = match row.optional_natural(Column::LastByte)? {
        Some(last) => Some(last),
        None => row.optional_natural(Column::FirstByte)?,
    };
    let is_read = matches!(method, b"GET" | b"HEAD") || protocol(row)?.is_of_commands();
    let route = match names.met(method, row.raw(Column::Route)?) {
        Some(number) => number,
        // Only what is new has to be looked at.
        None => names.number(row.text(Column::Method)?, row.text(Column::Route)?),
    };
    Ok(Sight {
        at: Duration::from_nanos(row.natural(Column::At)?),
        connection: row.int(Column::Connection)?.cast_unsigned(),
        session: row.int(Column::Session)?.cast_unsigned(),
        route,
        key: hash(method, row.raw(Column::Target)?),
        is_read,
        request_bytes: row.natural(Column::RequestBodyBytes)?,
        response_bytes: row.optional_natural(Column::ResponseBodyBytes)?,
        took: took.map(Duration::from_nanos),
    })
}

fn hash(method: &[u8], target: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one((method, target))
}

/// A method and a route as they stand in the file, and their number.
type Met = (Box<str>, Box<str>, u32);

/// Numbers of methods and routes. Paths become templates where a file has them as they are, so that
/// two files tell the same routes apart.
#[derive(Debug)]
struct Names {
    all: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    /// By a hash: the numbers that were met lately, with what they stand for.
    slots: Vec<Option<Met>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { all: Vec::new(), numbers: HashMap::new(), slots: vec![None; SLOTS] }
    }
}

impl Names {
    /// The number of a method and route that were met lately: most rows ask for such.
    fn met(&self, method: &[u8], route: &[u8]) -> Option<u32> {
        let (its_method, its_route, number) = self.slots[slot(method, route)].as_ref()?;
        let is_same = its_method.as_bytes() == method && its_route.as_bytes() == route;
        is_same.then_some(*number)
    }

    /// The number of a method and route, new or not.
    fn number(&mut self, method: &str, route: &str) -> u32 {
        let name = if route.starts_with('/') {
            format!("{method} {}", route_of(route))
        } else {
            format!("{method} {route}")
        };
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let number = match self.numbers.get(name.as_str()) {
            Some(number) => *number,
            None if self.all.len() >= MAX_NAMES => next,
            None => {
                let name: Arc<str> = Arc::from(name);
                self.all.push(Arc::clone(&name));
                self.numbers.insert(name, next);
                next
            }
        };
        self.slots[slot(method.as_bytes(), route.as_bytes())] =
            Some((Box::from(method), Box::from(route), number));
        number
    }
}

fn slot(method: &[u8], route: &[u8]) -> usize {
    usize::try_from(hash(method, route) % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_in_order_of_appearance_and_bounded() {
        let mut names = Names::default();
        assert_eq!(names.met(b"GET", b"/a"), None);
        assert_eq!(names.number("GET", "/a"), 0);
        assert_eq!(names.met(b"GET", b"/a"), Some(0));
        assert_eq!(names.number("GET", "/b"), 1);
        assert_eq!(names.number("POST", "/a"), 2);
        assert_eq!(names.number("GET", "/a"), 0);
        assert_eq!(&*names.all[2], "POST /a");
        assert_eq!(names.number("GET", "/item/17"), 3);
        assert_eq!(names.number("GET", "/item/*"), 3, "a path is the template that it has");
        for route in 0..MAX_NAMES {
            names.number("PUT", &format!("name {route}"));
        }
        assert_eq!(names.all.len(), MAX_NAMES);
        let beyond = u32::try_from(MAX_NAMES).unwrap();
        assert_eq!(names.number("DELETE", "/new"), beyond);
        assert_eq!(names.number("GET", "/b"), 1, "those that were there keep their number");
    }

    #[test]
    fn a_method_and_a_target_are_told_apart() {
        assert_ne!(hash(b"GET", b"/a"), hash(b"HEAD", b"/a"));
        assert_ne!(hash(b"GET", b"/a"), hash(b"GET", b"/b"));
        assert_ne!(hash(b"GE", b"T/a"), hash(b"GET", b"/a"));
    }
}
