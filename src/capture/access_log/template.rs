//! A log of a format of its own, by the format string of nginx or Apache that it is written with.

use std::borrow::Cow;

use crate::capture::access_log::apache;
use crate::capture::access_log::common::status_of;
use crate::capture::access_log::entry::{Entry, Miss, Moment, Read};
use crate::capture::access_log::nginx;
use crate::capture::access_log::stamp::{self, Stamp};
use crate::capture::access_log::text::{Text, end_of_quotes, is_absent, number, present, unescape};

/// A format string, taken apart.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that is the same in every line.
    Literal(Vec<u8>),
    /// A value.
    Value(Field),
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Nothing that is of use here.
    Ignored,
    /// The client's address.
    Client,
    /// What tells its connections apart.
    Connection,
    /// A moment in any of the usual forms.
    Time(Moment),
    /// A moment in a form of strftime's.
    Pattern(String, Moment),
    /// The fraction of a second, in so many nanoseconds each.
    Fraction(u64),
    /// The duration, in units of so many nanoseconds.
    Duration(u64),
    /// The request line.
    Request,
    /// The method.
    Method,
    /// Path and query as sent.
    Target,
    /// The path alone, as the server understood it.
    Path,
    /// The query, with or without its question mark.
    Query,
    /// The protocol and its version.
    Version,
    /// `http` or `https`.
    Scheme,
    /// The host that was asked.
    Host,
    /// `User-Agent`.
    Agent,
    /// `Referer`.
    Referer,
    /// The status.
    Status,
    /// Bytes of the response's body.
    Sent,
    /// Bytes of the request's body.
    Received,
}

impl Template {
    /// Takes a format string apart. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        // In a configuration quotes are escaped, since the whole stands in quotes.
        let text = text.replace("\\\"", "\"").replace("\\t", "\t");
        let pieces = if text.contains('$') { nginx::pieces(&text) } else { apache::pieces(&text)? };
        let has = |wanted: fn(&Field) -> bool| {
            pieces.iter().any(|piece| matches!(piece, Piece::Value(field) if wanted(field)))
        };
        if !has(|field| matches!(field, Field::Time(_) | Field::Pattern(..))) {
            return Err("it has no time, such as $time_local or %t".to_owned());
        }
        if !has(|field| matches!(field, Field::Request | Field::Target | Field::Path)) {
            return Err("it has no request, such as $request or %r".to_owned());
        }
        let adjacent = pieces.windows(2).any(|pair| match pair {
            [Piece::Value(_), Piece::Value(next)] => {
                !matches!(next, Field::Target | Field::Path | Field::Query)
            }
            _ => false,
        });
        if adjacent {
            let problem = "two values stand side by side, so that nobody can tell where one ends";
            return Err(problem.to_owned());
        }
        Ok(Self { pieces })
    }

    /// Reads a line.
    pub fn read<'a>(&self, line: &'a [u8]) -> Read<'a> {
        let mut reading = Reading { entry: Entry::default(), time: None, fraction: None };
        let (mut rest, mut before): (&[u8], &[u8]) = (line, b"");
        let mut request: Option<Text<'a>> = None;
        let mut query: Text<'a> = Cow::default();
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Literal(literal) => {
                    let differs = Miss::NotUnderstood("it does not fit the format");
                    rest = rest.strip_prefix(&literal[..]).ok_or(differs)?;
                    before = literal;
                }
                Piece::Value(field) => {
                    let end = extent(rest, before, self.pieces.get(index + 1));
                    let end = end.ok_or(Miss::NotUnderstood("it ends before the format does"))?;
                    let (value, after) = rest.split_at(end);
                    rest = after;
                    match field {
                        Field::Request => request = Some(unescape(value)),
                        Field::Query => query = unescape(value.strip_prefix(b"?").unwrap_or(value)),
                        _ => reading.take(field, value)?,
                    }
                }
            }
        }
        let Reading { mut entry, time, fraction } = reading;
        let mut time = time.ok_or(Miss::NotUnderstood("the time is none"))?;
        if let Some(fraction) = fraction {
            time.ns = time.ns.saturating_add(fraction.ns);
            time.step_ns = fraction.step_ns;
        }
        entry.time = time;
        if let Some(request) = request {
            entry.request_line(request)?;
        }
        if is_absent(&entry.target) {
            return Err(Miss::NoRequest);
        }
        entry.split_absolute();
        if !is_absent(&query) && !entry.target.contains(&b'?') {
            entry.target = Cow::Owned([&entry.target[..], b"?", &query[..]].concat());
        }
        Ok(entry)
    }
}

/// Where a value ends: at the text that follows in the format.
fn extent(rest: &[u8], before: &[u8], next: Option<&Piece>) -> Option<usize> {
    let literal = match next {
        None => return Some(rest.len()),
        // A path begins with a slash, a query with a question mark or not at all.
        Some(Piece::Value(Field::Query)) => {
            let end = rest.iter().position(|byte| matches!(byte, b'?' | b' ' | b'"'));
            return Some(end.unwrap_or(rest.len()));
        }
        Some(Piece::Value(_)) => return rest.iter().position(|byte| *byte == b'/'),
        Some(Piece::Literal(literal)) => literal,
    };
    if before.ends_with(b"\"") && literal.starts_with(b"\"") {
        return end_of_quotes(rest);
    }
    let mut from = 0;
    loop {
        let found = rest.get(from..)?.windows(literal.len()).position(|text| text == literal)?;
        let end = from + found;
        // Values of several upstream servers are a list: `0.010, 0.002`.
        if literal.starts_with(b" ") && rest[..end].ends_with(b",") {
            from = end + 1;
            continue;
        }
        return Some(end);
    }
}

struct Reading<'a> {
    entry: Entry<'a>,
    time: Option<Stamp>,
    fraction: Option<Stamp>,
}

impl<'a> Reading<'a> {
    fn take(&mut self, field: &Field, value: &'a [u8]) -> Result<(), Miss> {
        let entry = &mut self.entry;
        match field {
            Field::Client => entry.client = Cow::Borrowed(value),
            Field::Connection => entry.connection = present(Cow::Borrowed(value)),
            Field::Time(moment) => {
                let time = stamp::any(value).ok_or(Miss::NotUnderstood("the time is none"))?;
                // Of several times the finest counts.
                if self.time.is_none_or(|before| time.step_ns < before.step_ns) {
                    (self.time, entry.moment) = (Some(time), *moment);
                }
            }
            Field::Pattern(pattern, moment) => {
                let time = stamp::patterned(pattern, value);
                self.time = Some(time.ok_or(Miss::NotUnderstood("the time is none"))?);
                entry.moment = *moment;
            }
            Field::Fraction(unit) => {
                let fraction = stamp::decimal(value, *unit);
                let ns = fraction.and_then(|fraction| i64::try_from(fraction.ns).ok());
                self.fraction = ns.map(|ns| Stamp { ns, step_ns: *unit, ..Stamp::default() });
            }
            Field::Duration(unit) => entry.duration = stamp::decimal(value, *unit),
            Field::Method => entry.method = present(unescape(value)),
            Field::Target | Field::Path if entry.target.is_empty() => {
                entry.target = unescape(value);
            }
            Field::Target => entry.target = unescape(value),
            Field::Path | Field::Ignored | Field::Request | Field::Query => {}
            Field::Version => entry.version = present(Cow::Borrowed(value)),
            Field::Scheme => entry.scheme = Cow::Borrowed(value),
            Field::Host => entry.authority = present(unescape(value)),
            Field::Agent => entry.agent = present(unescape(value)),
            Field::Referer => entry.referer = present(unescape(value)),
            Field::Status => entry.status = status_of(value)?,
            Field::Sent => entry.sent = if value == b"-" { Some(0) } else { number(value) },
            Field::Received => entry.received = if value == b"-" { Some(0) } else { number(value) },
        }
        Ok(())
    }
}
