//! The words of one command, and those of them that are secrets.

use std::ops::Range;

/// Most words of a command that are looked at: a `MIGRATE` with many keys has its secret in
/// front of them.
pub const MAX_LOOKED_AT: usize = 1_024;

/// What a byte of a secret becomes.
const FILLER: u8 = b'x';

/// Where the words of a command are, of an array or a line. The last one may be cut.
pub fn words(command: &[u8]) -> Vec<Range<usize>> {
    if command.first() == Some(&b'*') { of_array(command) } else { of_line(command) }
}

fn of_array(command: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let Some(mut at) = behind_line(command, 0) else { return found };
    while found.len() < MAX_LOOKED_AT && command.get(at) == Some(&b'$') {
        let Some(start) = behind_line(command, at) else { break };
        let digits = command.get(at + 1..start).unwrap_or_default().trim_ascii_end();
        let Some(length) = str::from_utf8(digits).ok().and_then(|text| text.parse::<usize>().ok())
        else {
            break;
        };
        let end = start.saturating_add(length);
        found.push(start..end.min(command.len()));
        at = end.saturating_add(2);
    }
    found
}

fn behind_line(command: &[u8], from: usize) -> Option<usize> {
    let length = command.get(from..)?.iter().position(|byte| *byte == b'\n')?;
    Some(from + length + 1)
}

/// Words of a line, without the quotes around them; a blank inside of quotes is no end.
fn of_line(line: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while found.len() < MAX_LOOKED_AT {
        while line.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let Some(first) = line.get(at) else { break };
        let quote = Some(*first).filter(|byte| matches!(byte, b'"' | b'\''));
        let start = at + usize::from(quote.is_some());
        at = start;
        while let Some(byte) = line.get(at) {
            match quote {
                Some(quote) if *byte == quote => break,
                Some(_) if *byte == b'\\' => at += 1,
                None if byte.is_ascii_whitespace() => break,
                _ => {}
            }
            at += 1;
        }
        let end = at.min(line.len());
        // Without its closing quote a word goes to the end of the line.
        let is_open = quote.is_some() && end == line.len();
        let end = if is_open { line.trim_ascii_end().len().max(start) } else { end };
        found.push(start..end);
        at += usize::from(quote.is_some());
    }
    found
}

/// Replaces the secrets of a command by filler of the same length; tells whether it had any.
pub fn redact(command: &mut [u8]) -> bool {
    let words = words(command);
    redact_at(command, &words)
}

/// The same where its words are known.
pub fn redact_at(command: &mut [u8], words: &[Range<usize>]) -> bool {
    let secrets = secrets(command, words);
    for range in &secrets {
        if let Some(secret) = command.get_mut(range.clone()) {
            secret.fill(FILLER);
        }
    }
    !secrets.is_empty()
}

fn secrets(command: &[u8], words: &[Range<usize>]) -> Vec<Range<usize>> {
    const NAMES: [&[u8]; 6] = [b"AUTH", b"HELLO", b"CONFIG", b"SENTINEL", b"ACL", b"MIGRATE"];
    let name = words.first().and_then(|range| command.get(range.clone())).unwrap_or_default();
    if !NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Vec::new();
    }
    if let Some(last) = words.get(MAX_LOOKED_AT - 1) {
        // Whatever follows was not looked at.
        let all = words.iter().skip(1).cloned();
        return all.chain(std::iter::once(last.end..command.len())).collect();
    }
    let word = |at: usize| {
        let bytes = words.get(at).and_then(|range| command.get(range.clone())).unwrap_or_default();
        bytes.to_ascii_uppercase()
    };
    let all_from = |at: usize| words.get(at..).unwrap_or_default().to_vec();
    let behind = |name: &[u8], from: usize, count: usize| {
        let at = (from..words.len()).find(|at| word(*at) == name);
        let all = at.map(|at| all_from(at + 1)).unwrap_or_default();
        all.into_iter().take(count).collect::<Vec<_>>()
    };
    match (word(0).as_slice(), word(1).as_slice()) {
        (b"AUTH", _) => all_from(1),
        (b"HELLO", _) => behind(b"AUTH", 2, 2),
        (b"CONFIG", b"SET") | (b"SENTINEL", b"CONFIG") => {
            let is_secret = |at: &usize| {
                let name = word(*at);
                name.ends_with(b"PASS") || name.ends_with(b"AUTH") || name.ends_with(b"PASSWORD")
            };
            let names = (2..words.len()).filter(is_secret);
            names.filter_map(|at| words.get(at + 1).cloned()).collect()
        }
        (b"SENTINEL", b"SET") => behind(b"AUTH-PASS", 3, 1),
        (b"ACL", b"SETUSER") => {
            let marks = |at: &usize| word(*at).first().is_some_and(|it| b"><#!".contains(it));
            let rules = (3..words.len()).filter(marks);
            rules.filter_map(|at| words.get(at)).map(|it| it.start + 1..it.end).collect()
        }
        (b"MIGRATE", _) => {
            let keys = (6..words.len()).find(|at| word(*at) == b"KEYS").unwrap_or(words.len());
            let end = words.get(keys).map_or(usize::MAX, |range| range.start);
            let both = [behind(b"AUTH", 6, 1), behind(b"AUTH2", 6, 2)].concat();
            both.into_iter().filter(|range| range.start < end).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(line: &str) -> Vec<u8> {
        let words: Vec<&str> = line.split(' ').collect();
        let strings = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        format!("*{}\r\n{}", words.len(), strings.collect::<String>()).into_bytes()
    }

    fn read(wire: &[u8]) -> Vec<String> {
        let text = |range: Range<usize>| String::from_utf8_lossy(&wire[range]).into_owned();
        words(wire).into_iter().map(text).collect()
    }

    #[test]
    fn words_of_arrays_and_lines() {
        assert_eq!(read(&array("SET k v")), ["SET", "k", "v"]);
        assert_eq!(read(b"*2\r\n$3\r\nGET\r\n$100\r\nabc"), ["GET", "abc"]);
        assert_eq!(read(b"*1\r\n$x\r\n"), Vec::<String>::new());
        assert_eq!(read(b" SET  k \"a b\" 'it''s'\r\n"), ["SET", "k", "a b", "it", "s"]);
        assert_eq!(read(b"SET k \"a\\\" b\"\n"), ["SET", "k", "a\\\" b"]);
        assert_eq!(read(b"SET bad \"open to the end\r\n"), ["SET", "bad", "open to the end"]);
        assert_eq!(read(b"\r\n"), Vec::<String>::new());
        assert_eq!(read(b"SET k \""), ["SET", "k", ""]);
        assert_eq!(read(b"SET k \"\\"), ["SET", "k", "\\"]);
    }

    #[test]
    fn secrets_are_filled_and_nothing_else_is() {
        for (line, redacted) in [
            ("AUTH hunter2", "AUTH xxxxxxx"),
            ("auth me hunter2", "auth xx xxxxxxx"),
            ("HELLO 3 AUTH me pw SETNAME x", "HELLO 3 AUTH xx xx SETNAME x"),
            ("CONFIG SET requirepass pw", "CONFIG SET requirepass xx"),
            ("config set save x MASTERAUTH pw", "config set save x MASTERAUTH xx"),
            ("CONFIG GET requirepass", "CONFIG GET requirepass"),
            ("ACL SETUSER me on >pw <old #ab ~* +@all", "ACL SETUSER me on >xx <xxx #xx ~* +@all"),
            ("MIGRATE h 1 k 0 9 COPY AUTH pw", "MIGRATE h 1 k 0 9 COPY AUTH xx"),
            ("MIGRATE h 1 k 0 9 AUTH2 me pw KEYS a", "MIGRATE h 1 k 0 9 AUTH2 xx xx KEYS a"),
            ("MIGRATE h 1 k 0 9 KEYS AUTH b", "MIGRATE h 1 k 0 9 KEYS AUTH b"),
            ("SENTINEL SET m auth-pass pw", "SENTINEL SET m auth-pass xx"),
            ("SET AUTH pw", "SET AUTH pw"),
        ] {
            for (mut wire, expected) in [
                (array(line), array(redacted)),
                (line.as_bytes().to_vec(), redacted.as_bytes().to_vec()),
            ] {
                assert_eq!(redact(&mut wire), line != redacted, "{line}");
                assert_eq!(wire, expected, "{line}");
            }
        }
        let many = format!("ACL SETUSER me {} >hunter2", "~k ".repeat(MAX_LOOKED_AT).trim_end());
        let mut wire = array(&many);
        assert!(redact(&mut wire) && !String::from_utf8_lossy(&wire).contains("hunter2"));
        let mut quoted = b"AUTH \"a b\\\"c\"\r\n".to_vec();
        redact(&mut quoted);
        assert_eq!(quoted, b"AUTH \"xxxxxx\"\r\n");
    }
}
