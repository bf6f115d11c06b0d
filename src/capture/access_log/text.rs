//! Words, quotes and escapes of logs.

use std::borrow::Cow;

/// Bytes of a line, or what they were before the server escaped them.
pub type Text<'a> = Cow<'a, [u8]>;

/// What servers write where there is nothing.
pub fn is_absent(text: &[u8]) -> bool {
    text.is_empty() || text == b"-"
}

/// The text, empty where it says that there is nothing.
pub fn present(text: Text<'_>) -> Text<'_> {
    if is_absent(&text) { Cow::default() } else { text }
}

/// A word of RFC 9110's `token`, which a method is.
pub fn is_token(text: &[u8]) -> bool {
    let of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(of_token)
}

/// A decimal number, or `None`.
pub fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Undoes the escapes of nginx (`\xHH`), of Apache (`\"`, `\\`, `\n`, `\xhh`) and of JSON
/// (`\uHHHH`, `\/`). What is no escape stays as it is.
pub fn unescape(text: &[u8]) -> Text<'_> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((escape, after)) = after.split_first() else {
            out.push(b'\\');
            break;
        };
        let (plain, used) = match escape {
            b'x' => (hex(after, 2).and_then(|byte| u8::try_from(byte).ok()), 2),
            b'u' => {
                if let Some(letter) = hex(after, 4).and_then(char::from_u32) {
                    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &after[4..];
                    continue;
                }
                (None, 0)
            }
            b'n' => (Some(b'\n'), 0),
            b'r' => (Some(b'\r'), 0),
            b't' => (Some(b'\t'), 0),
            b'v' => (Some(0x0b), 0),
            b'f' => (Some(0x0c), 0),
            b'b' => (Some(0x08), 0),
            b'"' | b'\\' | b'/' => (Some(*escape), 0),
            _ => (None, 0),
        };
        if let Some(plain) = plain {
            out.push(plain);
            rest = &after[used..];
        } else {
            out.push(b'\\');
        }
    }
    Cow::Owned(out)
}

fn hex(text: &[u8], digits: usize) -> Option<u32> {
    let text = text.get(..digits)?;
    text.iter().try_fold(0, |value, byte| Some(value * 16 + char::from(*byte).to_digit(16)?))
}

/// A cursor over the fields of a line.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next word: up to a blank.
    pub fn word(&mut self) -> Option<&'a [u8]> {
        self.skip_blanks();
        let end = self.0.iter().position(|byte| *byte == b' ').unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// What stands between the next two characters, such as `[` and `]`.
    pub fn between(&mut self, open: u8, close: u8) -> Option<&'a [u8]> {
        self.skip_blanks();
        let inside = self.0.strip_prefix(&[open])?;
        let end = inside.iter().position(|byte| *byte == close)?;
        self.0 = &inside[end + 1..];
        Some(&inside[..end])
    }

    /// What stands between quotes, its escapes undone.
    pub fn quoted(&mut self) -> Option<Text<'a>> {
        self.skip_blanks();
        let inside = self.0.strip_prefix(b"\"")?;
        let end = end_of_quotes(inside)?;
        self.0 = &inside[end + 1..];
        Some(unescape(&inside[..end]))
    }

    /// The next field: quoted or a word.
    pub fn field(&mut self) -> Option<Text<'a>> {
        self.skip_blanks();
        if self.0.starts_with(b"\"") { self.quoted() } else { self.word().map(Cow::Borrowed) }
    }

    fn skip_blanks(&mut self) {
        let blanks = self.0.iter().take_while(|byte| **byte == b' ').count();
        self.0 = &self.0[blanks..];
    }
}

/// Where the quotes that are open end: at the first one that no backslash escapes.
pub fn end_of_quotes(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_every_server_are_undone() {
        for (escaped, plain) in [
            (r"a\x22b", "a\"b"),
            (r#"a\"b"#, "a\"b"),
            (r"a\\b\x5Cc", r"a\b\c"),
            (r"\u00e9\/", "é/"),
            (r"\x16\n", "\u{16}\n"),
            (r"\q \x2 \xzz \u12", r"\q \x2 \xzz \u12"),
            ("\\", "\\"),
        ] {
            assert_eq!(&unescape(escaped.as_bytes())[..], plain.as_bytes(), "{escaped}");
        }
    }

    #[test]
    fn fields_are_words_brackets_and_quotes() {
        let mut fields = Fields(br#"one  [two 2] "thr\"ee" four"#);
        assert_eq!(fields.word(), Some(&b"one"[..]));
        assert_eq!(fields.between(b'[', b']'), Some(&b"two 2"[..]));
        assert_eq!(fields.quoted().as_deref(), Some(&b"thr\"ee"[..]));
        assert_eq!(fields.quoted(), None);
        assert_eq!(fields.field().as_deref(), Some(&b"four"[..]));
        assert_eq!(fields.word(), None);
        assert_eq!(end_of_quotes(br#"a\\" b"#), Some(3));
    }
}
