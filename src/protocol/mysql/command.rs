//! Commands: their names, and the statement in their payload.

use std::ops::Range;

use crate::protocol::mysql::{Capabilities, length_encoded};
use crate::protocol::sql::begins_statement;

/// The number of a statement, and how many bytes stand before it: the command itself.
const STATEMENT_AT: Range<usize> = 1..5;

/// Names by number, without the `COM_` in front.
const NAMES: [&str; 32] = [
    "SLEEP",
    "QUIT",
    "INIT_DB",
    "QUERY",
    "FIELD_LIST",
    "CREATE_DB",
    "DROP_DB",
    "REFRESH",
    "SHUTDOWN",
    "STATISTICS",
    "PROCESS_INFO",
    "CONNECT",
    "PROCESS_KILL",
    "DEBUG",
    "PING",
    "TIME",
    "DELAYED_INSERT",
    "CHANGE_USER",
    "BINLOG_DUMP",
    "TABLE_DUMP",
    "CONNECT_OUT",
    "REGISTER_SLAVE",
    "STMT_PREPARE",
    "STMT_EXECUTE",
    "STMT_SEND_LONG_DATA",
    "STMT_CLOSE",
    "STMT_RESET",
    "SET_OPTION",
    "STMT_FETCH",
    "DAEMON",
    "BINLOG_DUMP_GTID",
    "RESET_CONNECTION",
];

/// Number of the command that sends a value in pieces.
pub const STMT_SEND_LONG_DATA: u8 = 0x18;

/// Number of the command that closes a prepared statement.
pub const STMT_CLOSE: u8 = 0x19;

/// `MariaDB`'s execution of a statement for many rows.
const BULK_EXECUTE: u8 = 0xfa;

/// How a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Not at all.
    Never,
    /// By one packet.
    Once,
    /// By results, of which each is an OK, an error, a request for a file, or rows.
    Results,
    /// By descriptions of parameters and columns behind an OK.
    Prepared,
    /// By packets until one that ends them.
    UntilEnd,
    /// By a dialogue of a login.
    Login,
}

/// The command of a number.
pub fn name(command: u8) -> Option<&'static str> {
    match command {
        BULK_EXECUTE => Some("STMT_BULK_EXECUTE"),
        number => NAMES.get(usize::from(number)).copied(),
    }
}

/// How the command of a number is answered.
pub fn answered(command: u8) -> Answered {
    match command {
        0x01 | 0x18 | 0x19 => Answered::Never,
        0x03 | 0x0a | 0x17 | BULK_EXECUTE => Answered::Results,
        0x04 | 0x12 | 0x13 | 0x1c | 0x1e => Answered::UntilEnd,
        0x11 => Answered::Login,
        0x16 => Answered::Prepared,
        _ => Answered::Once,
    }
}

/// Where the text of a payload is: of a query, a statement to prepare, a database to use.
pub fn text(payload: &[u8], capabilities: Option<Capabilities>) -> Range<usize> {
    let end = payload.len();
    match payload.first() {
        Some(0x03) => {
            let has_attributes = match capabilities {
                Some(known) => known.contains(Capabilities::QUERY_ATTRIBUTES),
                // No statement begins with a zero byte: none, in one set.
                None => payload.get(1..3) == Some(&[0, 1]),
            };
            let start = if has_attributes { behind_attributes(payload) } else { Some(1) };
            start.filter(|start| *start <= end).unwrap_or(1)..end
        }
        Some(0x02 | 0x05 | 0x06 | 0x16) => 1..end,
        Some(0x04) => {
            let table = payload.iter().skip(1).position(|byte| *byte == 0);
            1..table.map_or(end, |length| length + 1)
        }
        _ => end..end,
    }
}

/// The number of the prepared statement that a payload is about.
pub fn statement(payload: &[u8]) -> Option<u32> {
    match payload.first()? {
        0x17..=0x1a | 0x1c | &BULK_EXECUTE => {
            let number = payload.get(STATEMENT_AT)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*number))
        }
        _ => None,
    }
}

/// Where the text begins behind the attributes of a query: a count, a bit each that is set for
/// those without value, types and names, and the values.
fn behind_attributes(payload: &[u8]) -> Option<usize> {
    let mut at = 1;
    let next = |at: &mut usize| {
        let (value, bytes) = length_encoded(payload.get(*at..)?)?;
        *at += bytes;
        usize::try_from(value).ok()
    };
    let count = next(&mut at)?;
    next(&mut at)?;
    if count == 0 {
        return Some(at);
    }
    let nulls = payload.get(at..)?.get(..count.div_ceil(8))?;
    at += nulls.len() + 1;
    let mut types = Vec::new();
    for number in 0..count {
        let kind = *payload.get(at)?;
        at += 2;
        let name = next(&mut at)?;
        at = at.checked_add(name)?;
        let is_null = nulls.get(number / 8)? >> (number % 8) & 1 == 1;
        if !is_null {
            types.push(kind);
        }
    }
    for kind in types {
        let length = match kind {
            0x06 => 0,
            0x01 => 1,
            0x02 | 0x0d => 2,
            0x03 | 0x04 | 0x09 => 4,
            0x05 | 0x08 => 8,
            0x07 | 0x0a | 0x0b | 0x0c => {
                let length = *payload.get(at)?;
                at += 1;
                usize::from(length)
            }
            _ => next(&mut at)?,
        };
        at = at.checked_add(length)?;
    }
    Some(at)
}

/// The payload is certainly a command of this protocol, and not the front of anything else.
/// `is_cut` tells that more of it is to come.
pub fn is_certain(payload: &[u8], is_cut: bool) -> bool {
    match payload {
        [0x03 | 0x16, ..] => begins_statement(payload.get(text(payload, None)).unwrap_or_default()),
        // No flags but those of a cursor, and one iteration.
        [0x17, _, _, _, _, flags, 1, 0, 0, 0, ..] => *flags < 8,
        [0x0e] | [0x19 | 0x1a, _, _, _, 0] | [0x1c, _, _, _, 0, _, _, _, 0] => !is_cut,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH: Option<Capabilities> = Some(Capabilities::QUERY_ATTRIBUTES);

    fn text_of(payload: &[u8], capabilities: Option<Capabilities>) -> &str {
        str::from_utf8(&payload[text(payload, capabilities)]).unwrap()
    }

    #[test]
    fn the_text_of_each_command() {
        assert_eq!(text_of(b"\x03select 1", Some(Capabilities(0))), "select 1");
        assert_eq!(text_of(b"\x03select 1", None), "select 1");
        assert_eq!(text_of(b"\x03\0\x01select 1", WITH), "select 1");
        assert_eq!(text_of(b"\x03\0\x01select 1", None), "select 1");
        assert_eq!(text_of(b"\x16select ?", WITH), "select ?");
        assert_eq!(text_of(b"\x02shop", None), "shop");
        assert_eq!(text_of(b"\x04orders\0%", None), "orders");
        assert_eq!(text_of(b"\x0e", None), "");
    }

    #[test]
    fn attributes_of_every_type_are_stepped_over() {
        let mut payload = vec![0x03, 4, 1, 0b0100, 1];
        for (kind, name) in [(0xfe, "a"), (0x08, "bb"), (0x03, ""), (0x0c, "d")] {
            payload.extend_from_slice(&[kind, 0, u8::try_from(name.len()).unwrap()]);
            payload.extend_from_slice(name.as_bytes());
        }
        payload.extend_from_slice(b"\x03abc\x01\0\0\0\0\0\0\0\x04\xe8\x07\x01\x02select 1");
        assert_eq!(text_of(&payload, WITH), "select 1");
        for length in 0..payload.len() {
            text(&payload[..length], WITH);
        }
        // Attributes that cannot be: the text begins behind the command.
        assert_eq!(text(b"\x03\xfc", WITH), 1..2);
    }

    #[test]
    fn statements_have_numbers() {
        assert_eq!(statement(b"\x17\x60\0\0\0\0\x01\0\0\0"), Some(0x60));
        assert_eq!(statement(b"\x17\x60"), None);
        assert_eq!(statement(b"\x03select"), None);
        assert_eq!((name(3), name(0xfa)), (Some("QUERY"), Some("STMT_BULK_EXECUTE")));
        assert_eq!(name(200), None);
    }

    #[test]
    fn commands_that_are_nothing_else() {
        assert!(is_certain(b"\x0e", false));
        assert!(!is_certain(b"\x0e", true));
        assert!(is_certain(b"\x03\n select 1", true));
        assert!(is_certain(b"\x03/* by */ select 1", false));
        assert!(!is_certain(b"\x03\x01\x02\x03", false));
        assert!(is_certain(b"\x17\x60\0\0\0\0\x01\0\0\0\0", false));
        assert!(!is_certain(b"GET / HTTP/1.1\r\n", false));
    }
}
