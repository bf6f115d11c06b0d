//! Which requests a cache may answer, and what they are cached by.

use std::sync::Arc;
use std::time::Duration;

use crate::bytes::fnv1a;
use crate::protocol::Protocol;
use crate::protocol::resp::effects::name;
use crate::protocol::resp::exact::exact;
use crate::recording::file::rows::target_hash;
use crate::recording::{Exchange, Flags};
use crate::shape::reads::{Read, Reads};

/// A request of HTTP that a cache may answer. Others go past caches.
pub fn is_cacheable(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// A key that is asked of a cache, or put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Its hash.
    pub key: u64,
    /// It is put there.
    pub is_write: bool,
}

impl From<u64> for Touched {
    fn from(key: u64) -> Self {
        Self { key, is_write: false }
    }
}

/// The keys that a command of Redis asks a cache for: those of `GET`, `GETEX`, `GETSET` and `MGET`,
/// and the hashes of `HGET`, `HMGET` and `HGETALL`; and those that are in it from then on: what
/// `SET` and its kind write, and the hashes of `HSET` and its kind. Empty for all other commands:
/// what deletes a key, or lets it expire, is not followed.
pub fn keys_read(command: &[u8]) -> Vec<Touched> {
    let words = exact(command).unwrap_or_default();
    let (keys, step, is_write) = match name(&words).as_str() {
        "GET" | "GETEX" | "GETSET" | "HGET" | "HMGET" | "HGETALL" => (words.get(1..2), 1, false),
        "MGET" => (words.get(1..), 1, false),
        "SET" | "SETEX" | "PSETEX" | "SETNX" | "HSET" | "HSETNX" | "HMSET" => {
            (words.get(1..2).filter(|_| words.len() > 2), 1, true)
        }
        "MSET" | "MSETNX" => (words.get(1..), 2, true),
        _ => (None, 1, false),
    };
    let keys = keys.unwrap_or_default().iter().step_by(step);
    keys.map(|key| Touched { key: fnv1a(key.iter().copied()), is_write }).collect()
}

impl Reads {
    /// Takes a recorded exchange into account if a cache may answer it: by its method and the host
    /// and target that it asks for, or by the keys of its command. What the client's own cache
    /// answered was never asked for.
    pub fn add_exchange(&mut self, exchange: &Exchange) {
        let response = exchange.response.as_ref();
        let took = response.and_then(|response| response.last_byte.or(response.first_byte));
        let route = || -> Arc<str> {
            Arc::from(format!("{} {}", exchange.method, exchange.route).trim_end())
        };
        let read = |of: Touched| Read {
            at: exchange.at,
            key: of.key,
            route: &route,
            took,
            is_write: of.is_write,
        };
        if exchange.flags.contains(Flags::FROM_CACHE) {
            return;
        }
        match exchange.protocol {
            Protocol::Redis => {
                for key in keys_read(&exchange.request_body) {
                    self.add(&read(key));
                }
            }
            Protocol::Http1 | Protocol::Http2 if is_cacheable(&exchange.method) => {
                self.add(&read(target_hash(&exchange.authority, &exchange.target).into()));
            }
            _ => {}
        }
    }

    /// Takes one key at a moment into account: a hash alone is one that is read.
    pub fn add_key(
        &mut self,
        at: Duration,
        touched: impl Into<Touched>,
        route: &Arc<str>,
        took: Option<Duration>,
    ) {
        let Touched { key, is_write } = touched.into();
        self.add(&Read { at, key, route: &|| Arc::clone(route), took, is_write });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::command;

    #[test]
    fn commands_that_read_a_cache_have_their_keys() {
        let keys = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            keys_read(&command(&words))
        };
        let read = |key: &str| Touched::from(fnv1a(key.bytes()));
        let written = |key: &str| Touched { is_write: true, ..read(key) };
        assert_eq!(keys("GET a"), [read("a")]);
        assert_eq!(keys("mget a b"), [read("a"), read("b")]);
        assert_eq!(keys("HGETALL user:1"), keys("HGET user:1 name"));
        assert_eq!(keys("SET a 1 EX 60"), [written("a")]);
        assert_eq!(keys("setex a 60 1"), [written("a")]);
        assert_eq!(keys("HSET a f 1 g 2"), [written("a")]);
        assert_eq!(keys("MSET a 1 b 2"), [written("a"), written("b")]);
        for line in ["DEL a", "EXPIRE a 1", "PING", "SUBSCRIBE a", "GET", "SET a", "MSET"] {
            assert!(keys(line).is_empty(), "{line}");
        }
        assert!(keys_read(b"\xff\xff*3").is_empty());
    }
}
