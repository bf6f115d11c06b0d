//! Values that production gave to a client in the head of an answer, and that came back in a later
//! request of the same client: found by going through the recording once.
//!
//! A recording keeps no bodies of answers, so that what a page or a JSON text gave is not found
//! here. What the request itself said is its client's own, and nothing that was given.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

use crate::plan::PlanError;
use crate::plan::clients::{Clients, is_singular};
use crate::plan::edit::{fields, target};
use crate::plan::fingerprint::Fnv;
use crate::plan::retarget::escaped;
use crate::plan::source::Rows;
use crate::plan::token::{Part, Place, Take, Tokens, Use, occurrences, parts};
use crate::recording::Exchange;
use crate::units::{format_count, format_counted};

/// Values of a client that may still come back. What did is kept longest.
const MAX_OPEN: usize = 64;

/// Values of one place in answers, such as a header, that never came back so far: an id that each
/// answer has anew must not take the room of a token.
const MAX_OF_PART: usize = 8;

/// Clients whose values are remembered at once; beyond them, those go that came first.
const MAX_CLIENTS: usize = 1 << 16;

/// Answers that gave the same value and are remembered.
const MAX_GIVERS: usize = 16;

/// Values given and sent back at most: each is some hundred bytes until the end of the run.
const MAX_TIES: usize = 1 << 20;

/// Most bytes of a body that are looked through for values.
const MAX_BODY: usize = 256 * 1024;

/// Headers of requests in which no value is looked for: cookies are followed, if at all, by name.
const PASSED_OVER: [&str; 5] =
    ["Host", "Cookie", "Content-Length", "Transfer-Encoding", "Connection"];

/// What was learned.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// By the position of an exchange among all that were read, from 1.
    tokens: HashMap<u64, Arc<Tokens>>,
    /// Values that came back.
    pub(crate) values: u64,
    /// Requests that carry one.
    pub(crate) requests: u64,
    /// What there was no room for.
    pub(crate) beyond: u64,
}

impl Learned {
    /// What the exchange at this position has to do with values of answers.
    pub(crate) fn of(&self, position: u64) -> Option<Arc<Tokens>> {
        self.tokens.get(&position).cloned()
    }
}

impl Learned {
    /// What a person should know of it.
    pub(crate) fn told(&self) -> String {
        let mut told = format!(
            "{} that production gave came back in {}, and are taken from the target's answers",
            format_counted(self.values, "value", "values"),
            format_counted(self.requests, "request", "requests")
        );
        if self.beyond > 0 {
            let _ = write!(told, "; {} were too many to be followed", format_count(self.beyond));
        }
        told
    }
}

/// Goes through a recording.
pub(crate) fn learn(exchanges: Rows<Exchange>) -> Result<Learned, PlanError> {
    let mut learner = Learner::default();
    for (position, exchange) in (1..).zip(exchanges) {
        learner.add(position, &exchange?);
    }
    let Learner { found, values, ties, mut beyond, clients, .. } = learner;
    beyond =
        beyond.saturating_add(clients.beyond).saturating_add(ties.saturating_sub(MAX_TIES) as u64);
    let requests = found.values().filter(|tokens| !tokens.uses.is_empty()).count() as u64;
    let tokens = found.into_iter().map(|(at, tokens)| (at, Arc::new(tokens))).collect();
    Ok(Learned { tokens, values, requests, beyond })
}

#[derive(Default)]
struct Learner {
    clients: Clients,
    /// What each client was given.
    open: HashMap<u64, VecDeque<Given>>,
    /// Clients in the order in which they came.
    order: VecDeque<u64>,
    found: HashMap<u64, Tokens>,
    values: u64,
    ties: usize,
    beyond: u64,
}

/// A value that a client was given.
struct Given {
    id: u64,
    value: Vec<u8>,
    /// The same as forms and queries have it, where that differs.
    escaped: Option<Vec<u8>>,
    /// When it was first there.
    at: Duration,
    /// Which answers gave it, and where.
    givers: Vec<(u64, Part)>,
    has_come_back: bool,
}

impl Learner {
    fn add(&mut self, position: u64, exchange: &Exchange) {
        let client = self.clients.client(exchange);
        let mut uses = Vec::new();
        let (mut takes, mut came) = (Vec::new(), Vec::new());
        if let Some(open) = self.open.get_mut(&client) {
            for given in open.iter_mut().filter(|given| given.at <= exchange.at) {
                let before = uses.len();
                find(exchange, given, &mut uses);
                if uses.len() > before {
                    came.push(given.id);
                }
                if uses.len() > before && !given.has_come_back {
                    given.has_come_back = true;
                    self.values += 1;
                    takes.extend(given.givers.drain(..).map(|giver| (giver, given.id)));
                }
            }
        }
        for id in came {
            self.renew(client, id);
        }
        for ((at, part), id) in takes {
            self.tie(at, |tokens| tokens.takes.push(Take { id, part }));
        }
        for one in uses {
            self.tie(position, |tokens| tokens.uses.push(one));
        }
        self.note(position, client, exchange);
    }

    /// What was just used is forgotten last.
    fn renew(&mut self, client: u64, id: u64) {
        if let Some(open) = self.open.get_mut(&client)
            && let Some(at) = open.iter().position(|given| given.id == id)
            && let Some(given) = open.remove(at)
        {
            open.push_back(given);
        }
    }

    fn tie(&mut self, position: u64, add: impl FnOnce(&mut Tokens)) {
        self.ties += 1;
        if self.ties <= MAX_TIES {
            add(self.found.entry(position).or_default());
        }
    }

    /// Notes what an answer gave.
    fn note(&mut self, position: u64, client: u64, exchange: &Exchange) {
        let Some(response) = &exchange.response else { return };
        let at = exchange.at.saturating_add(response.first_byte.unwrap_or_default());
        let mut again = Vec::new();
        for (part, value) in parts(&response.head) {
            let is_own = || {
                let body = &exchange.request_body;
                let body = body.get(..body.len().min(MAX_BODY)).unwrap_or_default();
                [&exchange.request_head[..], body].iter().any(|it| says(it, &value))
            };
            if !is_singular(&value) || is_own() {
                continue;
            }
            let open = self.open.entry(client).or_insert_with(|| {
                self.order.push_back(client);
                VecDeque::new()
            });
            let id = Fnv::new().text(&value).finish();
            match open.iter_mut().find(|given| given.id == id) {
                Some(given) if given.has_come_back => again.push((id, part)),
                Some(given) if given.givers.len() < MAX_GIVERS => {
                    given.givers.push((position, part));
                }
                Some(_) => self.beyond += 1,
                None => {
                    if let Some(at) = crowded_out(open, &part) {
                        self.beyond +=
                            u64::from(open.remove(at).is_some_and(|it| it.has_come_back));
                    }
                    open.push_back(Given::new(id, &value, at, (position, part)));
                }
            }
        }
        for (id, part) in again {
            self.tie(position, |tokens| tokens.takes.push(Take { id, part }));
        }
        if self.order.len() > MAX_CLIENTS
            && let Some(first) = self.order.pop_front()
        {
            self.open.remove(&first);
            self.beyond += 1;
        }
    }
}

impl Given {
    fn new(id: u64, value: &[u8], at: Duration, giver: (u64, Part)) -> Self {
        let plain = escaped(&String::from_utf8_lossy(value)).into_bytes();
        let escaped = (plain != value).then_some(plain);
        Self { id, value: value.to_vec(), escaped, at, givers: vec![giver], has_come_back: false }
    }
}

/// Which value makes room for a new one of a part, where it must.
fn crowded_out(open: &VecDeque<Given>, part: &Part) -> Option<usize> {
    let never = |given: &Given| !given.has_come_back;
    let alike = |given: &Given| never(given) && given.givers.iter().any(|(_, own)| own == part);
    if open.iter().filter(|given| alike(given)).count() >= MAX_OF_PART {
        return open.iter().position(alike);
    }
    (open.len() >= MAX_OPEN).then(|| open.iter().position(never).unwrap_or(0))
}

fn says(text: &[u8], value: &[u8]) -> bool {
    occurrences(text, value).next().is_some()
}

/// Adds where a request carries a value.
fn find(exchange: &Exchange, given: &Given, uses: &mut Vec<Use>) {
    let head = &exchange.request_head;
    let mut look = |text: &[u8], place: Place, may_be_escaped: bool| {
        let escaped = given.escaped.as_ref().filter(|_| may_be_escaped);
        let forms = std::iter::once((&given.value, false)).chain(escaped.map(|it| (it, true)));
        for (recorded, is_escaped) in forms {
            if says(text, recorded) {
                let recorded = Bytes::from(recorded.clone());
                uses.push(Use { id: given.id, recorded, is_escaped, place: place.clone() });
                return;
            }
        }
    };
    if let Some(place) = target(head) {
        look(head.get(place).unwrap_or_default(), Place::Target, true);
    }
    for field in fields(head) {
        if PASSED_OVER.iter().any(|name| field.is_named(head, name)) {
            continue;
        }
        let name = String::from_utf8_lossy(head.get(field.name).unwrap_or_default()).into_owned();
        look(head.get(field.value).unwrap_or_default(), Place::Header(name), false);
    }
    let body = &exchange.request_body;
    look(body.get(..body.len().min(MAX_BODY)).unwrap_or_default(), Place::Body, true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::exchange;
    use crate::recording::Response;

    fn talk(at: u64, session: u64, request: &str, body: &str, answer: &str) -> Exchange {
        let mut exchange = exchange(at, session, session);
        exchange.request_head = Bytes::from(format!("{request}\r\n\r\n"));
        exchange.request_body = Bytes::from(body.to_owned());
        exchange.response = Some(Response {
            status: 200,
            head: Bytes::from(format!("HTTP/1.1 200 OK\r\n{answer}\r\n\r\n")),
            body_bytes: None,
            digest: None,
            shape: None,
            first_byte: Some(Duration::from_millis(5)),
            last_byte: None,
        });
        exchange
    }

    fn learned(exchanges: Vec<Exchange>) -> Learned {
        learn(Box::new(exchanges.into_iter().map(Ok))).unwrap()
    }

    fn places(learned: &Learned, position: u64) -> Vec<Place> {
        let tokens = learned.of(position).unwrap_or_default();
        tokens.uses.iter().map(|used| used.place.clone()).collect()
    }

    #[test]
    fn what_came_back_is_learned_from_where_it_was_given() {
        let found = learned(vec![
            talk(0, 1, "GET /login HTTP/1.1", "", "X-CSRF-Token: t0ken-one+a\r\nX-Id: unused-9876"),
            talk(
                10,
                1,
                "POST /login HTTP/1.1\r\nX-CSRF: t0ken-one+a",
                "a=1&csrf=t0ken-one%2Ba",
                "\
             Location: /orders/7f3a9b21?n=1",
            ),
            talk(
                20,
                1,
                "GET /orders/7f3a9b21?x=7f3a9b21 HTTP/1.1\r\nReferer: /orders/7f3a9b21",
                "",
                "",
            ),
        ]);
        assert_eq!((found.values, found.requests, found.beyond), (2, 2, 0));
        assert_eq!(places(&found, 2), [Place::Header("X-CSRF".into()), Place::Body]);
        assert!(found.of(2).unwrap().uses[1].is_escaped);
        assert_eq!(places(&found, 3), [Place::Target, Place::Header("Referer".into())]);
        let takes = |position: u64| found.of(position).unwrap().takes.clone();
        assert_eq!(takes(1)[0].part.header, "X-CSRF-Token");
        assert_eq!(takes(2)[0].part.piece, crate::plan::token::Piece::Segment(2));
        assert_eq!(takes(1)[0].id, found.of(2).unwrap().uses[0].id);
    }

    #[test]
    fn ids_that_each_answer_has_anew_take_no_room_from_tokens() {
        let gives = talk(0, 1, "GET / HTTP/1.1", "", "X-Token: t0ken-one+a\r\nX-Late: late-0ne-b");
        let asks = |at, value| {
            talk(at, 1, &format!("GET / HTTP/1.1\r\nX-T: {value}"), "", "X-Token: t0ken-one+a")
        };
        let id =
            |at| talk(at, 1, "GET / HTTP/1.1", "", &format!("X-Id: req-{at}\r\nETag: e-{at}-a"));
        let ids = |from: u64| (from..from + 200).map(id);
        let talks = std::iter::once(gives)
            .chain([asks(10, "t0ken-one+a")])
            .chain(ids(1_000))
            .chain([asks(2_000, "t0ken-one+a"), asks(2_001, "late-0ne-b")]);
        let found = learned(talks.collect());
        assert_eq!((found.values, found.requests, found.beyond), (2, 3, 0));
    }

    #[test]
    fn others_values_early_ones_words_and_ones_own_are_not_learned() {
        let asks = |at, session| talk(at, session, "GET /?t=abcd1234 HTTP/1.1", "", "");
        let gives = |at| talk(at, 1, "GET / HTTP/1.1", "", "X-Token: abcd1234");
        assert_eq!(learned(vec![gives(0), asks(10, 1)]).values, 1);
        assert_eq!(learned(vec![gives(0), asks(10, 2)]).values, 0, "another client's");
        assert_eq!(learned(vec![gives(0), asks(4, 1)]).values, 0, "before it was given");
        let echo = talk(0, 1, "GET / HTTP/1.1\r\nX-Id: abcd1234", "", "X-Id: abcd1234");
        assert_eq!(learned(vec![echo, asks(10, 1)]).values, 0, "its own");
        let word = talk(0, 1, "GET / HTTP/1.1", "", "X-Word: keep-alive");
        let cookie = talk(10, 1, "GET / HTTP/1.1\r\nCookie: t=abcd1234", "", "");
        assert_eq!(learned(vec![gives(0), cookie]).values, 0, "cookies are followed by name");
        let says = talk(10, 1, "GET /keep-alive HTTP/1.1", "", "");
        assert_eq!(learned(vec![word, says]).values, 0, "a word");
        let longer = talk(10, 1, "GET /abcd12345 HTTP/1.1", "", "");
        assert_eq!(learned(vec![gives(0), longer]).values, 0, "a part of another");
    }

    #[test]
    fn every_answer_that_gives_it_is_asked_and_what_is_remembered_is_bounded() {
        let mut talks: Vec<Exchange> =
            (0..5).map(|at| talk(at * 10, 1, "GET / HTTP/1.1", "", "ETag: \"abcd1234\"")).collect();
        talks.insert(3, talk(25, 1, "GET / HTTP/1.1\r\nIf-None-Match: \"abcd1234\"", "", ""));
        let found = learned(talks);
        let takes = |position| found.of(position).map_or(0, |tokens| tokens.takes.len());
        assert_eq!([1, 2, 3, 4, 5, 6].map(takes), [1, 1, 1, 0, 1, 1]);
        let many =
            (0..200).map(|n| talk(n, 1, "GET / HTTP/1.1", "", &format!("X-T: abcd1234-{n}")));
        let last = talk(300, 1, "GET /abcd1234-199 HTTP/1.1\r\nX-Old: abcd1234-0", "", "");
        let found = learned(many.chain([last]).collect());
        assert_eq!(places(&found, 201), [Place::Target], "the oldest are forgotten");
    }

    #[test]
    fn clients_beyond_those_that_are_remembered_are_counted_and_told() {
        let first = 1_000;
        let order = (first..first + MAX_CLIENTS as u64).collect();
        let mut learner = Learner { order, ..Learner::default() };
        learner.open.insert(first, VecDeque::new());
        learner.add(1, &talk(0, 1, "GET / HTTP/1.1", "", "X-Token: abcd1234"));
        assert_eq!((learner.order.len(), learner.beyond), (MAX_CLIENTS, 1));
        assert!(!learner.open.contains_key(&first), "the first one is forgotten");
        let told = Learned { beyond: 1_234, ..Learned::default() }.told();
        assert!(told.ends_with("; 1\u{202f}234 were too many to be followed"), "{told}");
        assert!(!Learned::default().told().contains("too many"));
    }
}
