//! Whose a request is, where cookies and tokens are followed.
//!
//! A recording numbers sessions by the cookies that were sent, so that a login, or any cookie that
//! changes, begins another one. To follow a user through them, a request belongs to the client whom
//! production gave one of its cookies; else to the client of its session; else to that of the
//! request before it on its connection, if both sent the same cookie with a value of its own. A
//! cookie that production gave to several clients with the same value tells nobody.

use std::collections::{HashMap, HashSet};

use crate::plan::edit::fields;
use crate::plan::fingerprint::Fnv;
use crate::recording::Exchange;

/// Sessions, connections and cookies remembered at most, of each: 20 to 50 MB. Requests beyond them
/// belong to their sessions, and are counted.
pub(crate) const MAX_CLIENTS: usize = 1 << 20;

/// Cookies of a request that are looked at: browsers keep some hundred of a host, and send fewer.
const MAX_COOKIES: usize = 64;

/// The clients of a recording, in the order of time.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// Client by session.
    sessions: HashMap<u64, u64>,
    /// To whom production gave a cookie; `None` where that were several.
    given: HashMap<u64, Option<u64>>,
    /// Clients with the names of the cookies that they were given.
    names: HashSet<u64>,
    /// The latest request of each connection: its client, and its cookies.
    latest: HashMap<u64, (u64, Vec<u64>)>,
    /// What was not remembered.
    pub(crate) beyond: u64,
}

impl Clients {
    /// The client of the next exchange.
    pub(crate) fn client(&mut self, exchange: &Exchange) -> u64 {
        let sent = cookies(&exchange.request_head, "Cookie", b';');
        let marks: Vec<u64> = sent.iter().map(|cookie| cookie.mark).collect();
        let by_cookie = marks.iter().find_map(|mark| self.given.get(mark).copied().flatten());
        let by_session = || self.sessions.get(&exchange.session).copied();
        let by_connection = || {
            let (client, before) = self.latest.get(&exchange.connection)?;
            marks.iter().any(|mark| before.contains(mark)).then_some(*client)
        };
        let client =
            by_cookie.or_else(by_session).or_else(by_connection).unwrap_or(exchange.session);
        let given = exchange.response.as_ref().map(|it| cookies(&it.head, "Set-Cookie", b';'));
        let given = given.unwrap_or_default();
        let client = self.newcomer(exchange, client, sent.is_empty(), &given);
        if by_cookie.is_some() || !sent.is_empty() {
            remember(&mut self.beyond, &mut self.sessions, exchange.session, client);
        }
        remember(&mut self.beyond, &mut self.latest, exchange.connection, (client, marks));
        for cookie in given {
            if self.names.len() < MAX_CLIENTS {
                self.names.insert(owned(client, cookie.name));
            }
            match self.given.get_mut(&cookie.mark) {
                Some(owner) if *owner == Some(client) => {}
                Some(owner) => *owner = None,
                None => remember(&mut self.beyond, &mut self.given, cookie.mark, Some(client)),
            }
        }
        client
    }

    /// Whoever comes without a cookie, and is given one that its client was given before, is
    /// somebody else: many people may share the connection of a proxy.
    fn newcomer(&self, exchange: &Exchange, client: u64, bare: bool, given: &[Cookie]) -> u64 {
        let again = given.iter().any(|cookie| self.names.contains(&owned(client, cookie.name)));
        if bare && again {
            let at = u64::try_from(exchange.at.as_nanos()).unwrap_or(u64::MAX);
            return Fnv::new()
                .text(b"newcomer")
                .number(exchange.connection)
                .number(u64::from(exchange.seq))
                .number(at)
                .finish();
        }
        client
    }
}

fn owned(client: u64, name: u64) -> u64 {
    Fnv::new().number(client).number(name).finish()
}

fn remember<T>(beyond: &mut u64, map: &mut HashMap<u64, T>, key: u64, value: T) {
    if map.len() < MAX_CLIENTS || map.contains_key(&key) {
        map.insert(key, value);
    } else {
        *beyond += 1;
    }
}

/// A cookie whose value looks like one of its own.
struct Cookie {
    /// Of its name.
    name: u64,
    /// Of its name and its value.
    mark: u64,
}

/// Cookies in headers of this name; of `Set-Cookie` what comes first is the cookie.
fn cookies(head: &[u8], header: &str, separator: u8) -> Vec<Cookie> {
    let mut found = Vec::new();
    let first_only = header == "Set-Cookie";
    for field in fields(head).filter(|field| field.is_named(head, header)) {
        let value = head.get(field.value).unwrap_or_default();
        let parts = value.split(|byte| *byte == separator);
        for part in parts.take(if first_only { 1 } else { MAX_COOKIES }) {
            let Some(equal) = part.iter().position(|byte| *byte == b'=') else { continue };
            let (name, value) = part.split_at(equal);
            let (name, value) = (name.trim_ascii(), value.get(1..).unwrap_or_default());
            let value = value.trim_ascii();
            if is_singular(value) && found.len() < MAX_COOKIES {
                let name = Fnv::new().text(name);
                found.push(Cookie { name: name.finish(), mark: name.text(value).finish() });
            }
        }
    }
    found
}

/// A text that somebody made up for one purpose: long, and of more than a word.
pub(crate) fn is_singular(text: &[u8]) -> bool {
    if !(MIN_SINGULAR..=MAX_SINGULAR).contains(&text.len()) {
        return false;
    }
    let mut seen = [false; 256];
    let distinct = text
        .iter()
        .filter(|byte| {
            let place = seen.get_mut(usize::from(**byte));
            place.is_some_and(|place| !std::mem::replace(place, true))
        })
        .count();
    let has = |is: fn(&u8) -> bool| text.iter().any(is);
    let is_mixed = has(u8::is_ascii_digit)
        || (text.len() >= MIN_WORDLIKE
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase));
    let is_text = text.iter().all(u8::is_ascii_graphic);
    is_text && is_mixed && distinct >= MIN_DISTINCT
}

/// Shortest and longest value that is taken for one of its own.
pub(crate) const MIN_SINGULAR: usize = 8;
const MAX_SINGULAR: usize = 1024;

/// Shortest one without a digit: upper and lower case alone are in many words.
const MIN_WORDLIKE: usize = 16;

/// Distinct characters in it: `00000000` and `1.0.0.0` are nobody's.
const MIN_DISTINCT: usize = 5;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::bytes::Bytes;

    use super::*;
    use crate::plan::tests::exchange;
    use crate::recording::Response;

    /// Connection and session, the cookies sent, the cookie given.
    type Row = (u64, u64, &'static str, &'static str);

    fn clients(rows: &[Row]) -> Vec<u64> {
        let mut clients = Clients::default();
        let mut at = 0;
        let client = |(connection, session, cookies, given): &Row| {
            at += 1;
            let mut exchange = exchange(at, *connection, *session);
            exchange.seq = u32::try_from(at).unwrap();
            if !cookies.is_empty() {
                let head = format!("GET / HTTP/1.1\r\nCookie: {cookies}\r\n\r\n");
                exchange.request_head = Bytes::from(head);
            }
            let set =
                if given.is_empty() { String::new() } else { format!("Set-Cookie: {given}\r\n") };
            exchange.response = Some(Response {
                status: 200,
                head: Bytes::from(format!("HTTP/1.1 200 OK\r\n{set}\r\n")),
                body_bytes: None,
                digest: None,
                shape: None,
                first_byte: Some(Duration::ZERO),
                last_byte: None,
            });
            clients.client(&exchange)
        };
        rows.iter().map(client).collect()
    }

    #[test]
    fn a_user_is_followed_through_the_sessions_of_a_recording() {
        let found = clients(&[
            (1, 10, "", "sid=a1b2c3d4e5; Path=/"),
            (2, 20, "sid=a1b2c3d4e5", ""),
            (2, 20, "sid=a1b2c3d4e5", "cart=z9y8x7w6v5"),
            (3, 30, "theme=dark; cart=z9y8x7w6v5", "sid=f6g7h8i9j0"),
            (4, 40, "sid=f6g7h8i9j0", ""),
            (5, 50, "sid=somebody-e1se", ""),
            (5, 51, "sid=somebody-e1se; more=1", ""),
            (5, 52, "sid=a-th1rd-person", ""),
        ]);
        assert_eq!(found, [10, 10, 10, 10, 10, 50, 50, 52]);
    }

    #[test]
    fn people_who_share_a_connection_stay_apart() {
        let found = clients(&[
            (1, 10, "", "sid=ax4w1z8q7bbb"),
            (1, 10, "", "sid=cy5v2y9p6ddd"),
            (1, 11, "sid=ax4w1z8q7bbb", ""),
            (1, 12, "sid=cy5v2y9p6ddd", ""),
        ]);
        assert_eq!((found[0], found[2]), (10, 10));
        assert!(found[1] != 10 && found[1] == found[3], "{found:?}");
        // The same value for everybody is nobody's.
        let found = clients(&[
            (1, 10, "a=1", "consent=2024-01-01"),
            (2, 20, "b=1", "consent=2024-01-01"),
            (3, 30, "consent=2024-01-01", ""),
        ]);
        assert_eq!(found, [10, 20, 30]);
    }

    #[test]
    fn words_and_numbers_of_versions_are_nobodys() {
        for text in ["a1b2c3d4", "12345678", "W/\"5f3a-1b\"", "aGVsbG8td29ybGRYWVo="] {
            assert!(is_singular(text.as_bytes()), "{text}");
        }
        for text in ["text/html", "keep-alive", "00000000", "1.0.0.0.1", "a b2 c3 d4", "short1"] {
            assert!(!is_singular(text.as_bytes()), "{text}");
        }
    }

    /// Who is known stays known, and every other one is counted.
    #[test]
    fn clients_are_remembered_up_to_a_bound() {
        let mut map: HashMap<u64, u64> = (0..MAX_CLIENTS as u64).map(|key| (key, key)).collect();
        let mut beyond = 0;
        remember(&mut beyond, &mut map, 7, 70);
        assert_eq!((map[&7], beyond), (70, 0));
        remember(&mut beyond, &mut map, u64::MAX, 1);
        assert_eq!((map.len(), beyond), (MAX_CLIENTS, 1));
    }
}
