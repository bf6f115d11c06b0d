//! PostgreSQL, version 3 of its protocol, as heard on the wire: messages of both sides, how a
//! connection opens, and the statements in it.

pub mod messages;

use std::ops::Range;

use crate::bytes::Cursor;
use crate::protocol::sql::begins_statement;

/// How a client opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It asks for TLS, which a single byte grants or refuses.
    Tls,
    /// It asks for encryption by GSSAPI, likewise.
    Gss,
    /// It asks to cancel what another connection does, and is never answered.
    Cancel,
    /// It names a user and a database: the login begins.
    Startup,
}

/// Longest opening that is believed: what a server takes.
pub const MAX_OPENING: usize = 10_000;

/// The opening of a connection: its kind and its length in bytes, once eight bytes are there.
pub fn opening(bytes: &[u8]) -> Option<(Opening, usize)> {
    let mut cursor = Cursor::new(bytes);
    let length = usize::try_from(cursor.u32_be()?).ok()?;
    let kind = match (cursor.u32_be()?, length) {
        (80_877_103, 8) => Opening::Tls,
        (80_877_104, 8) => Opening::Gss,
        (80_877_102, 16..=MAX_OPENING) => Opening::Cancel,
        (code, 8..=MAX_OPENING) if code >> 16 == 3 => {
            // The names of parameters are words; there may be none in what a server refuses.
            let word = cursor.rest().iter().take_while(|byte| byte.is_ascii_graphic()).count();
            let is_word = cursor.rest().get(word).is_none_or(|byte| *byte == 0);
            if !is_word {
                return None;
            }
            Opening::Startup
        }
        _ => return None,
    };
    Some((kind, length))
}

/// The bytes certainly open a connection, or are messages of a client.
pub fn begins(bytes: &[u8]) -> bool {
    opening(bytes).is_some() || is_certain(bytes)
}

/// The bytes may be the front of an opening that [`opening`] cannot tell yet.
pub fn may_become_opening(bytes: &[u8]) -> bool {
    let high = [0, 0];
    bytes.len() < 8
        && !bytes.is_empty()
        && bytes.iter().zip(high).all(|(byte, zero)| *byte == zero)
        && bytes.get(2).is_none_or(|byte| usize::from(*byte) <= MAX_OPENING / 256)
        && bytes.get(4).is_none_or(|byte| matches!(byte, 0 | 4))
}

/// The name of a message of a client, as the `method` column has it; `None` for what belongs to
/// others and has no name of its own there.
pub fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        b'Q' => "QUERY",
        b'P' => "PARSE",
        b'B' => "BIND",
        b'E' => "EXECUTE",
        b'D' => "DESCRIBE",
        b'C' => "CLOSE",
        b'S' => "SYNC",
        b'H' => "FLUSH",
        b'F' => "FUNCTION_CALL",
        _ => return None,
    })
}

/// The kinds of messages that clients send after their login.
pub fn is_of_client(kind: u8) -> bool {
    b"QPBEDCSHFdcfpX".contains(&kind)
}

/// The kinds of messages that servers send.
pub fn is_of_server(kind: u8) -> bool {
    b"RSKZTDCENA123ntIsGHWVdcv".contains(&kind)
}

/// Where the statement of a payload is: of a query, or of a statement to parse.
pub fn text(kind: u8, payload: &[u8]) -> Range<usize> {
    let start = match kind {
        b'Q' => 0,
        b'P' => string(payload, 0).end + 1,
        _ => return 0..0,
    };
    string(payload, start)
}

/// The name of the prepared statement that a payload is about; empty for the one without name.
pub fn statement(kind: u8, payload: &[u8]) -> Option<&[u8]> {
    let range = match kind {
        b'P' => string(payload, 0),
        b'B' => string(payload, string(payload, 0).end + 1),
        b'D' | b'C' if payload.first() == Some(&b'S') => string(payload, 1),
        _ => return None,
    };
    payload.get(range)
}

/// A string that ends with a zero byte, without it.
fn string(payload: &[u8], start: usize) -> Range<usize> {
    let start = start.min(payload.len());
    let rest = payload.get(start..).unwrap_or_default();
    let length = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    start..start + length
}

/// The code and the message of an error, as `42P01 relation "x" does not exist`. Only the code
/// where `is_secret`: messages quote what was asked.
pub fn error_text(payload: &[u8], is_secret: bool) -> Vec<u8> {
    let field = |kind: u8| {
        let mut fields = payload.split(|byte| *byte == 0);
        fields.find_map(|field| field.strip_prefix(&[kind]))
    };
    let (code, message) = (field(b'C').unwrap_or_default(), field(b'M').unwrap_or_default());
    let message = if is_secret { &[][..] } else { message };
    [code, message].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(&b' ')
}

/// The bytes are certainly messages of a client: a query in readable text, or a run of messages up
/// to the end of the bytes, the first of which speaks of a statement.
pub fn is_certain(bytes: &[u8]) -> bool {
    let first = bytes.first().copied().unwrap_or_default();
    let Some(length) = messages::length_at(bytes, 0) else { return false };
    let payload = bytes.get(5..).unwrap_or_default();
    let is_whole = length <= bytes.len();
    if first == b'Q' {
        let text = payload.get(text(first, payload)).unwrap_or_default();
        let ends = !is_whole || text.len() + 6 == length;
        return ends && is_text(text) && (is_whole || begins_statement(text));
    }
    let mut at = 0;
    let (mut speaks, mut ends) = (false, false);
    while let Some(length) = messages::length_at(bytes, at) {
        let kind = bytes.get(at).copied().unwrap_or_default();
        let payload = bytes.get(at + 5..).unwrap_or_default();
        if !b"PBEDCSHQ".contains(&kind) {
            return false;
        }
        if kind == b'P' {
            let text = payload.get(text(kind, payload)).unwrap_or_default();
            speaks |= is_text(text) && !text.is_empty();
        }
        speaks |= matches!(kind, b'B' | b'E' | b'D' | b'C');
        ends |= matches!(kind, b'S' | b'H') && length == 5;
        at += length;
        if at >= bytes.len() {
            break;
        }
    }
    speaks && ends && at == bytes.len()
}

fn is_text(text: &[u8]) -> bool {
    let is_readable = |byte: &u8| *byte >= b' ' || byte.is_ascii_whitespace();
    !text.is_empty() && text.iter().take(256).all(is_readable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::postgres::messages::message;

    #[test]
    fn openings() {
        assert_eq!(opening(b"\0\0\0\x08\x04\xd2\x16\x2f"), Some((Opening::Tls, 8)));
        assert_eq!(opening(b"\0\0\0\x08\x04\xd2\x16\x30"), Some((Opening::Gss, 8)));
        assert_eq!(opening(b"\0\0\0\x10\x04\xd2\x16\x2e12345678"), Some((Opening::Cancel, 16)));
        assert_eq!(opening(b"\0\0\0\x29\0\x03\0\0user\0me\0"), Some((Opening::Startup, 41)));
        assert_eq!(opening(b"\0\0\0\x29\0\x03\0\0\x01\x02\x03"), None);
        assert_eq!(opening(b"GET / HTTP/1.1"), None);
        assert!(may_become_opening(b"\0\0\0\x08\x04\xd2"));
        assert!(!may_become_opening(b"\x16\x03\x01"));
        assert!(!may_become_opening(b"GET"));
    }

    #[test]
    fn statements_and_their_names() {
        let parse = b"s1\0select $1\0\0\0";
        assert_eq!(&parse[text(b'P', parse)], b"select $1");
        assert_eq!(statement(b'P', parse), Some(&b"s1"[..]));
        assert_eq!(statement(b'B', b"p\0s1\0\0\0"), Some(&b"s1"[..]));
        assert_eq!(statement(b'B', b"p"), Some(&b""[..]));
        assert_eq!(statement(b'D', b"Ss1\0"), Some(&b"s1"[..]));
        assert_eq!(statement(b'D', b"Pp\0"), None);
        assert_eq!(&b"select 1\0"[text(b'Q', b"select 1\0")], b"select 1");
        assert_eq!(text(b'P', b"cut"), 3..3);
    }

    #[test]
    fn errors_say_code_and_message() {
        let payload = b"SERROR\0VERROR\0C42P01\0Mrelation \"x\" does not exist\0P15\0\0";
        assert_eq!(error_text(payload, false), b"42P01 relation \"x\" does not exist");
        assert_eq!(error_text(payload, true), b"42P01");
        assert_eq!(error_text(b"", false), b"");
    }

    #[test]
    fn messages_that_are_nothing_else() {
        let query = message(b'Q', b"delete from t;\0");
        assert!(is_certain(&query));
        assert!(is_certain(&query[..12]));
        let parse = message(b'P', b"\0select $1\0\0\0");
        let sync = message(b'S', b"");
        assert!(is_certain(&[&parse[..], &message(b'D', b"S\0"), &sync].concat()));
        assert!(!is_certain(&parse));
        assert!(!is_certain(&[&parse[..], b"x", &sync].concat()));
        assert!(!is_certain(&message(b'Q', b"a\0b\0")));
        assert!(!is_certain(b"Quite another protocol\r\n"));
        assert!(!is_certain(b"PUT / HTTP/1.1\r\n\r\n"));
        assert!(!is_certain(&sync));
    }
}
