//! Protocols that are not HTTP/1, told by their first bytes and never by a port.

use crate::protocol::http1::start::Kind;
use crate::protocol::http2::DEFAULT_FRAME;
use crate::protocol::http2::frame::is_chain;
use crate::protocol::resp::commands::{is_plain_command, may_become_plain_command};
use crate::protocol::{mysql, postgres};

/// The protocol that certainly begins like `bytes`; the name is the bucket of its bytes.
pub(super) fn other_protocol(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        // A TLS record: type, version 3.x, and a length that a record can have.
        [0x14..=0x17, 3, 0..=4, high, ..] if *high <= 0x48 => Some("tls"),
        [b'P', b'R', b'I', b' ', b'*', b' ', b'H', ..] => Some("http2"),
        // SETTINGS of at most twenty, which is what a server of HTTP/2 says first.
        [0, 0, length @ 0..=120, 4, 0, 0, 0, 0, 0, ..] if length % 6 == 0 => Some("http2"),
        [b'S', b'S', b'H', b'-', ..] => Some("ssh"),
        [b'*', count @ ..] if is_resp_array(count) => Some("redis"),
        _ => None,
    }
}

/// The protocol that certainly is spoken where `bytes` are the front of a segment somewhere in a
/// connection.
pub(super) fn other_in_the_middle(bytes: &[u8]) -> Option<&'static str> {
    // DATA alone is too little to tell, and nothing to read: its HEADERS were not seen.
    let is_http2 = bytes.get(3).is_some_and(|kind| *kind != 0) && is_chain(bytes, DEFAULT_FRAME);
    is_http2.then_some("http2")
}

/// Longest line that is taken for a command without RESP, in bytes: people type them, and the front
/// of a message is looked at again with every piece of it.
const MAX_PLAIN: usize = 4 * 1024;

/// The protocol of a database that the first bytes of a connection begin, in either direction: a
/// server's greeting, an opening, or a command where the opening was not captured.
pub(super) fn database(kind: Kind, bytes: &[u8]) -> Option<&'static str> {
    let front = &bytes[..bytes.len().min(MAX_PLAIN)];
    let line = front.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    if kind == Kind::Request && line.ends_with(b"\n") && is_plain_command(line) {
        return Some("redis");
    }
    if mysql::greets(bytes) || mysql::begins_command(bytes) {
        return Some("mysql");
    }
    postgres::begins(bytes).then_some("postgres")
}

/// `bytes` may be the beginning of a database's protocol, but are too short to tell.
pub(super) fn may_become_database(kind: Kind, bytes: &[u8]) -> bool {
    let may_be_line = kind == Kind::Request && may_become_plain_command(bytes);
    may_be_line || mysql::may_become_greeting(bytes) || postgres::may_become_opening(bytes)
}

/// `bytes` may be the beginning of another protocol, but are too short to tell.
pub(super) fn may_become_other(bytes: &[u8]) -> bool {
    match bytes {
        [0x14..=0x17] | [0x14..=0x17, 3] | [0x14..=0x17, 3, 0..=4] => true,
        [b'*', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits < 8 && b"\r\n$".starts_with(&rest[digits..])
        }
        // SETTINGS of HTTP/2.
        [0, ..] => {
            let (front, rest) = bytes.split_at(bytes.len().min(3));
            let is_length = matches!(front, [0] | [0, 0] | [0, 0, 0..=120]);
            is_length && b"\x04\0\0\0\0\0".starts_with(rest)
        }
        _ => b"PRI * H".starts_with(bytes) || b"SSH-".starts_with(bytes),
    }
}

/// `2 CR LF $`: the client's side of the Redis protocol is arrays of bulk strings.
fn is_resp_array(bytes: &[u8]) -> bool {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..8).contains(&digits) && bytes[digits..].starts_with(b"\r\n$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_by_their_first_bytes() {
        assert_eq!(other_protocol(b"\x16\x03\x01\x02\x00\x01"), Some("tls"));
        assert_eq!(other_protocol(b"PRI * HTTP/2.0\r\n\r\n"), Some("http2"));
        assert_eq!(other_protocol(b"\0\0\x06\x04\0\0\0\0\0\0\x03"), Some("http2"));
        assert_eq!(other_protocol(b"\0\0\x07\x04\0\0\0\0\0\0\x03"), None);
        assert_eq!(other_protocol(b"\0\0\x06\x04\0\0\0\0\x01\0\x03"), None);
        assert_eq!(other_protocol(b"*2\r\n$3\r\nGET\r\n"), Some("redis"));
        assert_eq!(other_protocol(b"SSH-2.0-OpenSSH\r\n"), Some("ssh"));
        assert_eq!(other_protocol(b"GET / HTTP/1.1\r\n"), None);
        assert_eq!(other_protocol(b"\x16\x03\x01\xff"), None);
        assert_eq!(other_protocol(b"PRINT / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn databases_by_their_first_bytes() {
        for (kind, bytes, name) in [
            (Kind::Request, &b"PING\r\nGE"[..], Some("redis")),
            (Kind::Request, b"SET k v\r\n", Some("redis")),
            (Kind::Response, b"SET k v\r\n", None),
            (Kind::Request, b"GET /k\r\n", None),
            (Kind::Request, b"EHLO me\r\n", None),
            (Kind::Response, b"\x17\0\0\0\xff\x10\x04Too many connections", Some("mysql")),
            (Kind::Request, b"\x09\0\0\0\x03select 1", Some("mysql")),
            (Kind::Request, b"\x01\0\0\0\x0e", Some("mysql")),
            (Kind::Request, b"\x01\0\0\0\x01", None),
            (Kind::Request, b"\0\0\0\x08\x04\xd2\x16\x2f", Some("postgres")),
            (Kind::Request, b"Q\0\0\0\x0dselect 1\0", Some("postgres")),
            (Kind::Request, b"POST / HTTP/1.1\r\n", None),
        ] {
            assert_eq!(database(kind, bytes), name, "{}", String::from_utf8_lossy(bytes));
        }
        for (kind, bytes) in [
            (Kind::Request, &b"SE"[..]),
            (Kind::Request, b"SET k"),
            (Kind::Request, b"\0\0\0\x08\x04"),
            (Kind::Response, b"J\0\0\0\x0a5.5"),
            (Kind::Response, b"\x19\0\0\0\xff\x10\x04Too"),
        ] {
            assert!(may_become_database(kind, bytes), "{bytes:?}");
        }
        assert!(!may_become_database(Kind::Response, b"SE"));
        assert!(!may_become_database(Kind::Request, b""));
    }

    #[test]
    fn too_short_to_tell() {
        assert!(may_become_other(b"\x16"));
        assert!(may_become_other(b"*12\r"));
        assert!(may_become_other(b"PRI"));
        assert!(may_become_other(b"\0\0\x06\x04\0\0"));
        assert!(!may_become_other(b"\0\0\x06\x05"));
        assert!(!may_become_other(b"GET"));
    }
    #[test]
    fn frames_of_http2_in_the_middle() {
        let headers = b"\0\0\x01\x01\x05\0\0\0\x01\x82";
        assert_eq!(other_in_the_middle(headers), Some("http2"));
        assert_eq!(other_in_the_middle(b"\0\0\x01\x01\x05\0\0\0\x01\x82more than that"), None);
        // DATA alone tells too little.
        assert_eq!(other_in_the_middle(b"\0\0\x01\0\x01\0\0\0\x01."), None);
        assert_eq!(other_in_the_middle(b"GET / HTTP/1.1\r\n"), None);
    }
}
