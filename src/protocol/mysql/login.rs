//! The first packets of both sides, as far as they say how to read on. Nothing of a login is kept.

use crate::bytes::Cursor;
use crate::protocol::mysql::Capabilities;

/// Longest name of a server's version that is believed.
const MAX_VERSION: usize = 128;

/// What a server greets with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// What it can do.
    pub capabilities: Capabilities,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What it wants of what the server can do.
    pub capabilities: Capabilities,
    /// It asks for TLS now, and logs in behind it.
    pub is_tls: bool,
    /// `MariaDB` leaves out descriptions of columns that the client knows.
    pub caches_metadata: bool,
}

/// The greeting in a payload: version 10, a name of a version, and so on.
pub fn greeting(payload: &[u8]) -> Option<Greeting> {
    let mut cursor = Cursor::new(payload);
    if cursor.u8()? != 10 {
        return None;
    }
    let end = cursor.rest().iter().take(MAX_VERSION).position(|byte| *byte == 0)?;
    let version = cursor.take(end)?;
    let is_name = version.first()?.is_ascii_digit() && version.iter().all(u8::is_ascii_graphic);
    if !is_name {
        return None;
    }
    // The number of the connection, and eight bytes of a challenge, between zeroes.
    cursor.skip(1 + 4 + 8 + 1)?;
    let low = cursor.array::<2>()?;
    // Character set and status; servers from before 4.1 stop before.
    let high = cursor.skip(3).and_then(|()| cursor.array::<2>()).unwrap_or_default();
    let bits = u32::from_le_bytes([low[0], low[1], high[0], high[1]]);
    Some(Greeting { capabilities: Capabilities(bits) })
}

/// The first packet of a client.
pub fn wish(payload: &[u8]) -> Option<Wish> {
    let mut cursor = Cursor::new(payload);
    let low = cursor.array::<2>()?;
    let capabilities = Capabilities(u32::from(u16::from_le_bytes(low)));
    if !capabilities.contains(Capabilities::PROTOCOL_41) {
        let is_tls = payload.len() == 5 && capabilities.contains(Capabilities::SSL);
        return Some(Wish { capabilities, is_tls, caches_metadata: false });
    }
    let high = cursor.array::<2>()?;
    let bits = u32::from_le_bytes([low[0], low[1], high[0], high[1]]);
    // Longest packet, character set and filler, of which the last four bytes are MariaDB's.
    cursor.skip(4 + 1 + 19)?;
    let extended = u32::from_le_bytes(cursor.array()?);
    let capabilities = Capabilities(bits);
    let is_mariadb = !capabilities.contains(Capabilities::CLIENT_MYSQL);
    Some(Wish {
        capabilities,
        is_tls: cursor.remaining() == 0 && capabilities.contains(Capabilities::SSL),
        caches_metadata: is_mariadb && extended & CACHE_METADATA != 0,
    })
}

/// Bit of `MariaDB`'s further capabilities.
const CACHE_METADATA: u32 = 1 << 4;

/// A server refuses the connection in place of a greeting: the number of the error.
pub fn refusal(payload: &[u8]) -> Option<u16> {
    let mut cursor = Cursor::new(payload);
    if cursor.u8()? != 0xff {
        return None;
    }
    let number = u16::from_le_bytes(cursor.array()?);
    let is_text = |byte: &u8| *byte >= b' ' && *byte != 0x7f;
    let text = cursor.rest();
    ((1_000..5_000).contains(&number) && text.len() > 8 && text.iter().all(is_text))
        .then_some(number)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A server that can do `bits`.
    pub(crate) fn hello(bits: u32) -> Vec<u8> {
        let [a, b, c, d] = bits.to_le_bytes();
        let mut payload = b"\x0a8.0.30\0\x01\0\0\0challeng\0".to_vec();
        payload.extend_from_slice(&[a, b, 8, 2, 0, c, d, 21]);
        payload.extend_from_slice(&[0; 10]);
        payload
    }

    /// A client that wants `bits`.
    pub(crate) fn answer(bits: u32, rest: &[u8]) -> Vec<u8> {
        let mut payload = bits.to_le_bytes().to_vec();
        payload.extend_from_slice(&[0, 0, 0, 1, 45]);
        payload.extend_from_slice(&[0; 23]);
        payload.extend_from_slice(rest);
        payload
    }

    #[test]
    fn greetings_and_wishes() {
        let capabilities = Capabilities(0x19ff_a685);
        assert_eq!(greeting(&hello(0x19ff_a685)), Some(Greeting { capabilities }));
        assert_eq!(greeting(b"\x0anot a version\0aaaaaaaaaaaaaaaa"), None);
        assert_eq!(greeting(b"\x095.0\0aaaaaaaaaaaaaaaaaaaaa"), None);
        let plain = wish(&answer(0x19ff_a685, b"root\0\0")).unwrap();
        assert_eq!((plain.capabilities, plain.is_tls), (capabilities, false));
        assert!(wish(&answer(0x19ff_ae85, b"")).unwrap().is_tls);
        assert!(!wish(&answer(0x19ff_ae85, b"root\0")).unwrap().is_tls);
        assert_eq!(wish(b"\x85\xa6"), None);
    }

    #[test]
    fn refusals_are_told_by_number_and_text() {
        assert_eq!(refusal(b"\xff\x10\x04Too many connections"), Some(1040));
        assert_eq!(refusal(b"\xff\x10\x04"), None);
        assert_eq!(refusal(b"\xff\xff\xffToo many connections"), None);
    }
}
