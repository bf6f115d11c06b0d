//! Whether anything recorded is in a model's file. It runs on every fit, on the text itself.
//!
//! A text of the file that has six or more characters and is no word of the format is either a
//! segment of paths that enough clients have, counted here once more, or it must share no six
//! characters in a row with anything that was recorded: not with a path, a query, a header, a body,
//! a host or an address. Numbers are compared with nothing: they are counts, shares and sizes of
//! four digits.

pub mod copies;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::model::ANONYMOUS;
use crate::model::edit::{Crowd, Edits, NewRoute, Outlier};
use crate::model::file::write;
use crate::model::owners::{Owners, owner_of};
use crate::model::sizes::{PowerTail, Sizes};
use crate::model::sketch::{Law, Sketch};
use crate::model::{Bursts, Connections, Fitted, Group, Keys, Level, Model, OTHER, Route};
use crate::model::{State, Step};
use crate::recording::Exchange;

/// Characters from which on a text is looked at.
pub const LEAST: usize = 6;

/// What the test found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    /// Texts of the file that were looked at.
    pub texts: usize,
    /// Those that are segments of paths of enough clients.
    pub common: usize,
    /// Texts of the file that share something with what was recorded, and with what.
    pub found: Vec<Leak>,
}

/// A text that must not be in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The text of the file.
    pub text: String,
    /// Where something like it was recorded.
    pub place: &'static str,
}

impl std::fmt::Display for Leaks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self
            .found
            .iter()
            .map(|leak| format!("`{}` (recorded in {})", leak.text, leak.place))
            .collect();
        write!(f, "{}", all.join(", "))
    }
}

/// Looks for recorded texts in the text of a model's file. `open` begins the recording anew.
pub fn leaks<E, I>(text: &str, open: &mut dyn FnMut() -> I) -> Result<Leaks, E>
where
    I: Iterator<Item = Result<Exchange, E>>,
{
    let texts = texts(text);
    let mut owners: BTreeMap<&str, Owners> =
        texts.iter().map(|text| (*text, Owners::default())).collect();
    if !texts.is_empty() {
        for exchange in open() {
            let exchange = exchange?;
            for segment in segments(&exchange.target).chain(segments(&exchange.route)) {
                if let Some(owners) = owners.get_mut(segment) {
                    owners.add(owner_of(exchange.session));
                }
            }
        }
    }
    let mut rare: Vec<&str> = texts.iter().copied().collect();
    rare.retain(|text| !owners.get(text).is_some_and(Owners::are_enough));
    let mut leaks =
        Leaks { texts: texts.len(), common: texts.len() - rare.len(), found: Vec::new() };
    if rare.is_empty() {
        return Ok(leaks);
    }
    let windows = Windows::of(&rare);
    let mut found: BTreeMap<&str, &'static str> = BTreeMap::new();
    for exchange in open() {
        for (place, bytes) in places(&exchange?) {
            windows.look(bytes, &mut |text| {
                found.entry(text).or_insert(place);
            });
        }
    }
    leaks.found =
        found.into_iter().map(|(text, place)| Leak { text: text.to_owned(), place }).collect();
    Ok(leaks)
}

/// The texts of a file that could have come from a recording: six characters, a letter among them,
/// and no word of the format.
fn texts(file: &str) -> BTreeSet<&str> {
    let known = vocabulary();
    words(file).filter(|word| !known.contains(*word)).collect()
}

fn words(file: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || "-._~%@".contains(c);
    let has_letter = |word: &&str| word.chars().any(char::is_alphabetic);
    let is_long = |word: &&str| word.chars().count() >= LEAST;
    file.split(move |c| !is_part(c)).filter(has_letter).filter(is_long)
}

/// The words of the format: all that is in the file of a model that was fitted to nothing.
fn vocabulary() -> &'static BTreeSet<String> {
    static WORDS: OnceLock<BTreeSet<String>> = OnceLock::new();
    WORDS.get_or_init(|| {
        let methods = crate::model::routes::METHODS.join(" ");
        let text = write(&nothing());
        words(&text).chain(words(&methods)).map(str::to_owned).collect()
    })
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.get(..end).unwrap_or("").split('/')
}

fn places(exchange: &Exchange) -> impl Iterator<Item = (&'static str, &[u8])> {
    let response = exchange.response.as_ref().map_or(&b""[..], |response| &response.head);
    [
        ("a method", exchange.method.as_bytes()),
        ("a host", exchange.authority.as_bytes()),
        ("a target", exchange.target.as_bytes()),
        ("the head of a request", &exchange.request_head),
        ("the body of a request", &exchange.request_body),
        ("the head of a response", response),
    ]
    .into_iter()
}

/// All pieces of six bytes of some texts.
struct Windows<'a> {
    of: BTreeMap<[u8; LEAST], Vec<&'a str>>,
    /// A bit for what a piece may begin with: nearly all that is recorded begins otherwise.
    first: Vec<bool>,
}

impl<'a> Windows<'a> {
    fn of(texts: &[&'a str]) -> Self {
        let mut of: BTreeMap<[u8; LEAST], Vec<&'a str>> = BTreeMap::new();
        let mut first = vec![false; 1 << 16];
        for text in texts {
            for window in text.as_bytes().windows(LEAST) {
                let Some(piece) = window.first_chunk::<LEAST>() else { continue };
                first[usize::from(u16::from_le_bytes([piece[0], piece[1]]))] = true;
                let of = of.entry(*piece).or_default();
                if of.last() != Some(text) {
                    of.push(text);
                }
            }
        }
        Self { of, first }
    }

    fn look(&self, bytes: &[u8], found: &mut dyn FnMut(&'a str)) {
        for window in bytes.windows(LEAST) {
            let Some(piece) = window.first_chunk::<LEAST>() else { continue };
            if self.first[usize::from(u16::from_le_bytes([piece[0], piece[1]]))] {
                self.of.get(piece).into_iter().flatten().for_each(|text| found(text));
            }
        }
    }
}

/// A model with everything in it that a file can have, and nothing of anybody.
fn nothing() -> Model {
    let law = || Law::LogNormal { median: 1.0, sigma: 1.0, most: 1.0 };
    let tail = Some(PowerTail { share: 0.1, start: 1.0, index: 1.0 });
    let sizes = || Sizes { empty: 0.0, middle: law(), tail, most: 1.0 };
    let keys = Keys { count: 1, exponent: 0.0, once: 0.0, fresh: 0.1, recent: vec![(1, 0.1)] };
    Model {
        fitted: Fitted::default(),
        duration: 1.0,
        rate: vec![Level { from: 0.0, sessions: 1.0, busiest: 1 }],
        bursts: Some(Bursts { calm: 1.0, busy: 1.0, calm_lasts: 1.0, busy_lasts: 1.0 }),
        routes: vec![Route {
            name: OTHER.to_owned(),
            keys: Some(keys),
            head: Sketch::constant(1.0),
            body: sizes(),
            answer: sizes(),
            statuses: vec![(0, 1.0)],
            first_byte: Some(law()),
            rest: Some(law()),
        }],
        groups: vec![Group {
            share: 1.0,
            begins: vec![(0, 1.0)],
            elsewhere: vec![(0, 1.0)],
            states: vec![State {
                from: 0,
                ends: 1.0,
                next: vec![Step { to: None, share: 1.0, embedded: true, gap: law() }],
            }],
        }],
        connections: Connections {
            shared: true,
            when_busy: 1.0,
            when_idle: vec![(1.0, 1.0)],
            held: Some(law()),
        },
        edits: Edits {
            sessions: 1.0,
            tail: Some(1.0),
            crowds: vec![Crowd { at: 0.0, lasts: 1.0, times: 1.0 }],
            routes: vec![NewRoute { route: OTHER.to_owned(), share: 0.0 }],
            outliers: vec![Outlier { bytes: 1, every: 1.0 }],
        },
    }
}

/// The sentence for people about what the test did.
pub fn told(leaks: &Leaks) -> String {
    format!(
        "leak test: {} of {} words in the file are segments of paths that {ANONYMOUS} clients \
         have; the others share no {LEAST} characters with anything recorded",
        leaks.common, leaks.texts
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use ::bytes::Bytes;

    use super::*;
    use crate::protocol::Protocol;
    use crate::recording::{Flags, Response};

    fn recorded() -> Vec<Exchange> {
        (0..30)
            .map(|session| Exchange {
                at: Duration::from_secs(session),
                connection: session,
                session,
                seq: 0,
                stream: None,
                protocol: Protocol::Http1,
                method: "GET".to_owned(),
                scheme: "http".to_owned(),
                authority: "shop.example".to_owned(),
                target: format!("/checkout/{}?coupon=SUMMER77", 1_000_000 + session),
                route: "/checkout/*".to_owned(),
                request_head: Bytes::from_static(
                    b"GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.77\r\nCookie: a=a8f5f167f4\r\n",
                ),
                request_body: Bytes::from(format!("name=customer{session}&note=hello")),
                request_body_bytes: 20,
                request_stored: None,
                request_chunks: None,
                response: Some(Response {
                    status: 200,
                    head: Bytes::from_static(b"HTTP/1.1 200 OK\r\nServer: secretserver/7\r\n"),
                    body_bytes: None,
                    digest: None,
                    shape: None,
                    first_byte: None,
                    last_byte: None,
                }),
                flags: Flags::default(),
            })
            .collect()
    }

    fn test(text: &str) -> Leaks {
        let all = recorded();
        leaks(text, &mut || all.iter().cloned().map(Ok::<_, Infallible>)).unwrap()
    }

    #[test]
    fn the_format_itself_and_what_enough_clients_have_is_no_leak() {
        assert_eq!(test(&write(&nothing())), Leaks::default());
        let healthy = write(&nothing()).replace("route: \"OTHER\"", "route: \"GET /checkout/*\"");
        let told = test(&healthy);
        assert_eq!((told.texts, told.common, told.found.len()), (1, 1, 0));
        // What somebody noted in it, and nobody ever recorded.
        assert!(test("# written by an unrelated engineer\nduration: 1000007\n").found.is_empty());
    }

    /// The broken twins: a file with something recorded in it, wherever that was recorded.
    #[test]
    fn anything_recorded_is_a_leak_wherever_it_stands() {
        for (text, place) in [
            ("  - route: \"GET /coupon/*\"", "a target"),
            ("# seen at shop.example", "a host"),
            ("# 203.0.113.77a", "the head of a request"),
            ("host: \"a8f5f1\"", "the head of a request"),
            ("name: customer7", "the body of a request"),
            ("x: notsecretserver", "the head of a response"),
        ] {
            let found = test(text).found;
            assert!(found.iter().any(|leak| leak.place == place), "{text}: {found:?}");
        }
    }
}
