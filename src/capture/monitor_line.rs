//! A line of what Redis tells a client that monitors it, by which such files are known, too.

use std::ops::Range;

/// Most words of a command that are read.
pub(super) const MAX_WORDS: usize = 1 << 20;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Monitored<'a> {
    /// Nanoseconds since the Unix epoch; the line has microseconds.
    pub(super) at_ns: i64,
    /// Who asked: `ADDRESS:PORT`, `unix:PATH`, or `lua` for what a script did.
    pub(super) address: &'a [u8],
    /// The command and its arguments, decoded, one behind the other.
    pub(super) bytes: Vec<u8>,
    /// Where each of them is.
    pub(super) words: Vec<Range<usize>>,
}

/// Reads a line, `1700000000.123456 [0 127.0.0.1:5000] "GET" "k"`, with or without the `+` that it
/// has on the wire.
pub(super) fn monitored(line: &[u8]) -> Option<Monitored<'_>> {
    let line = line.trim_ascii_end();
    let (at_ns, address, mut rest) = front(line)?;
    let (mut bytes, mut words) = (Vec::with_capacity(rest.len()), Vec::new());
    while !rest.is_empty() && words.len() < MAX_WORDS {
        let start = bytes.len();
        rest = word(rest.strip_prefix(b" \"")?, &mut bytes)?;
        words.push(start..bytes.len());
    }
    (!words.is_empty()).then_some(Monitored { at_ns, address, bytes, words })
}

/// The head of a file has such a line in front, perhaps behind the `OK` that comes first.
pub(super) fn is_monitor(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let first = lines.find(|line| !matches!(*line, b"" | b"OK" | b"+OK"));
    first.and_then(front).is_some_and(|(.., rest)| rest.starts_with(b" \""))
}

/// Time and address, and what follows the bracket.
fn front(line: &[u8]) -> Option<(i64, &[u8], &[u8])> {
    let line = line.strip_prefix(b"+").unwrap_or(line);
    let (seconds, rest) = split_at(line, b'.')?;
    let (fraction, rest) = split_at(rest, b' ')?;
    let (database, rest) = split_at(rest.strip_prefix(b"[")?, b' ')?;
    let (address, rest) = split_at(rest, b']')?;
    let number = |digits: &[u8]| {
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| str::from_utf8(digits).ok()?.parse::<i64>().ok()).flatten()
    };
    number(database)?;
    // An address of version 6 stands in brackets of its own.
    let (address, rest) = match rest.first() {
        Some(b':') => {
            let length = rest.iter().position(|byte| *byte == b']')?;
            (
                &line[line.len() - rest.len() - address.len() - 1..][..address.len() + 1 + length],
                rest.get(length + 1..)?,
            )
        }
        _ => (address, rest),
    };
    let micros = number(fraction).filter(|_| fraction.len() == 6)?;
    let seconds = number(seconds)?.checked_mul(1_000_000_000)?;
    (!address.is_empty()).then_some((seconds.checked_add(micros * 1_000)?, address, rest))
}

fn split_at(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|it| *it == byte)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Decodes a word up to its closing quote; returns what follows.
fn word<'a>(mut rest: &'a [u8], bytes: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        match byte {
            b'"' => return Some(rest),
            b'\\' => {
                let (escaped, behind) = rest.split_first()?;
                rest = behind;
                bytes.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    b'x' => {
                        let (digits, behind) = rest.split_at_checked(2)?;
                        rest = behind;
                        u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?
                    }
                    other => *other,
                });
            }
            other => bytes.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> Option<(i64, String, Vec<Vec<u8>>)> {
        let Monitored { at_ns, address, bytes, words } = monitored(line)?;
        let words = words.into_iter().map(|range| bytes[range].to_vec()).collect();
        Some((at_ns, String::from_utf8_lossy(address).into_owned(), words))
    }

    #[test]
    fn lines_of_the_wire_and_of_the_client() {
        let words = vec![b"SET".to_vec(), b"k".to_vec(), b"a \"b\"\\\r\n\x07\x08\t\xff".to_vec()];
        let expected = (1_700_000_000_123_456_000, "127.0.0.1:5000".to_owned(), words);
        for front in ["", "+"] {
            let line = format!(
                "{front}1700000000.123456 [0 127.0.0.1:5000] \"SET\" \"k\" \
                 \"a \\\"b\\\"\\\\\\r\\n\\a\\b\\t\\xff\"\r\n"
            );
            assert_eq!(read(line.as_bytes()), Some(expected.clone()));
        }
    }

    #[test]
    fn addresses_of_every_kind() {
        for address in ["lua", "unix:/run/redis.sock", "[::1]:5000", "10.0.0.1:65535"] {
            let line = format!("1.000001 [15 {address}] \"PING\"");
            let (at_ns, found, words) = read(line.as_bytes()).unwrap();
            assert_eq!((at_ns, found.as_str(), words.len()), (1_000_001_000, address, 1));
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "OK",
            "",
            "1.1 [0 lua] \"PING\"",
            "1.000001 [x lua] \"PING\"",
            "1.000001 [0 lua]",
            "1.000001 [0 lua] PING",
            "1.000001 [0 lua] \"PING",
            "1.000001 [0 lua] \"\\x4",
            "1.000001 [0 [::1]",
            "99999999999999999999.000001 [0 lua] \"PING\"",
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
        assert!(is_monitor(b"OK\n1.000001 [0 lua] \"PI"));
        assert!(is_monitor(b"+OK\r\n+1.000001 [0 lua] \"PI"));
        assert!(!is_monitor(b"1.000001 [0 lua]"));
        assert!(!is_monitor(b"OK\nGET / HTTP/1.1"));
    }
}
