//! Commands of which it is certain what a server takes them for: what is sent again must be judged
//! by the same words that the server will read.

use crate::protocol::resp::words;

/// The words of a command when `bytes` are exactly one; `None` when they are less, more, or
/// written in a way that a server may read otherwise.
///
/// Arrays are taken only as clients write them: plain numbers, `\r\n` at each end. Lines are taken
/// only when they are printable and without quotes or backslashes, since those can spell one name
/// as another.
pub fn exact(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    match bytes.first()? {
        b'*' => array(bytes),
        _ => line(bytes),
    }
}

/// Most words that room is made for before they have come: a number is only a claim.
const MAX_ROOM: usize = 64;

fn array(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut rest) = number(bytes, b'*')?;
    let mut words = Vec::with_capacity(count.min(MAX_ROOM));
    for _ in 0..count {
        let (length, behind) = number(rest, b'$')?;
        let (word, behind) = behind.split_at_checked(length)?;
        rest = behind.strip_prefix(b"\r\n")?;
        words.push(word);
    }
    (rest.is_empty() && !words.is_empty()).then_some(words)
}

/// The number of a line that begins with `kind`, and what follows the line.
fn number(bytes: &[u8], kind: u8) -> Option<(usize, &[u8])> {
    let rest = bytes.strip_prefix(&[kind])?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (text, rest) = rest.split_at_checked(digits)?;
    let is_plain = digits == 1 || text.first().is_some_and(|first| *first != b'0');
    let number = str::from_utf8(text).ok()?.parse().ok().filter(|_| is_plain)?;
    Some((number, rest.strip_prefix(b"\r\n")?))
}

fn line(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let line = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n"))?;
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\"'\\".contains(byte);
    if !line.iter().all(is_plain) {
        return None;
    }
    let ranges = words::words(line);
    let words: Vec<&[u8]> = ranges.into_iter().filter_map(|range| line.get(range)).collect();
    (!words.is_empty() && words.len() < words::MAX_LOOKED_AT).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::command;

    #[test]
    fn what_clients_write_is_one_command() {
        for words in [&[&b"GET"[..], b"k"][..], &[b"PING"], &[b"SET", b"", b"a\r\n*1\r\n"]] {
            assert_eq!(exact(&command(words)).as_deref(), Some(words));
        }
        assert_eq!(exact(b"GET  k\r\n").as_deref(), Some(&[&b"GET"[..], b"k"][..]));
        assert_eq!(exact(b"PING\n").as_deref(), Some(&[&b"PING"[..]][..]));
        let many: Vec<&[u8]> = vec![b"k"; 5_000];
        assert_eq!(exact(&command(&many)).map(|words| words.len()), Some(5_000));
    }

    /// Each of these would let a server see another command than the one that was judged.
    #[test]
    fn what_could_be_read_otherwise_is_none() {
        for bytes in [
            &b""[..],
            b"\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*1\r\n$4\r\nPING\r\n*1\r\n$8\r\nFLUSHALL\r\n",
            b"*1\r\n$4\r\nPING\r\nx",
            b"*1\r\n$4\r\nPING",
            b"*2\r\n$4\r\nPING\r\n",
            b"*1\n$4\nPING\n",
            b"*01\r\n$4\r\nPING\r\n",
            b"*+1\r\n$4\r\nPING\r\n",
            b"*1\r\n$99999999999999999999\r\nPING\r\n",
            b"*18446744073709551615\r\n",
            b"GET k",
            b"\"FLUSH\\x41LL\"\r\n",
            b"FLUSHALL\x0bASYNC\r\n",
            b"FLUSHALL\0\r\n",
            b"PING\r\nFLUSHALL\r\n",
        ] {
            assert_eq!(exact(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
