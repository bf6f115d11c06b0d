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

/// The keys that a command of Redis reads for whoever asks a cache: those of `GET`, `GETEX` and
/// `MGET`, and the hashes of `HGET`, `HMGET` and `HGETALL`. Empty for all other commands.
pub fn keys_read(command: &[u8]) -> Vec<u64> {
    let words = exact(command).unwrap_or_default();
    let keys = match name(&words).as_str() {
        "GET" | "GETEX" | "HGET" | "HMGET" | "HGETALL" => words.get(1..2),
        "MGET" => words.get(1..),
        _ => None,
    };
    keys.unwrap_or_default().iter().map(|key| fnv1a(key.iter().copied())).collect()
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
        let read = |key| Read { at: exchange.at, key, route: &route, took };
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
                self.add(&read(target_hash(&exchange.authority, &exchange.target)));
            }
            _ => {}
        }
    }

    /// Takes one read at a moment into account.
    pub fn add_key(&mut self, at: Duration, key: u64, route: &Arc<str>, took: Option<Duration>) {
        self.add(&Read { at, key, route: &|| Arc::clone(route), took });
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
        let hash = |key: &str| fnv1a(key.bytes());
        assert_eq!(keys("GET a"), [hash("a")]);
        assert_eq!(keys("mget a b"), [hash("a"), hash("b")]);
        assert_eq!(keys("HGETALL user:1"), keys("HGET user:1 name"));
        for line in ["SET a 1", "PING", "SUBSCRIBE a", "GET"] {
            assert!(keys(line).is_empty(), "{line}");
        }
        assert!(keys_read(b"\xff\xff*3").is_empty());
    }
}
