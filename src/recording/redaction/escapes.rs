//! Texts of JSON as searches see them: an escape is as many bytes of what it stands for, so that
//! nothing moves, and `\n` is the end of a word and not a letter.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use crate::recording::redaction::coding::{Coding, Decoded};

/// Bytes of `\u0041`.
const UNICODE: usize = 6;

/// A text of JSON without its escapes, as long as it is with them.
pub(crate) fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr(b'\\', text) else { return Cow::Borrowed(text) };
    let mut copy = text.to_vec();
    let mut at = first;
    while let Some(escape) = escape_at(text, at) {
        if let Some(place) = copy.get_mut(escape.clone()) {
            overwrite(place);
        }
        let rest = text.get(escape.end..).unwrap_or_default();
        at = escape.end + memchr(b'\\', rest).unwrap_or(rest.len());
    }
    Cow::Owned(copy)
}

/// The escape that a backslash begins; a cut one ends with the text.
fn escape_at(text: &[u8], at: usize) -> Option<Range<usize>> {
    text.get(at)?;
    let digits = text.get(at + 2..at + UNICODE);
    let is_unicode = text.get(at + 1) == Some(&b'u')
        && digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    Some(at..(at + if is_unicode { UNICODE } else { 2 }).min(text.len()))
}

fn overwrite(escape: &mut [u8]) {
    let mut decoded = Decoded::default();
    decoded.read(escape, Coding::Json);
    match decoded.bytes.as_slice() {
        // The bytes in front are those of a name, which an address may have.
        [b'@'] => {
            escape.fill(b'_');
            if let Some(last) = escape.last_mut() {
                *last = b'@';
            }
        }
        // Half a pair of surrogates stands for a letter, too.
        [byte] if escape.len() == 2 || !is_half(escape) => escape.fill(*byte),
        _ => {
            for letter in escape.chunks_exact_mut(2) {
                letter.copy_from_slice("\u{e4}".as_bytes());
            }
        }
    }
}

/// `\ud800` to `\udfff`.
fn is_half(escape: &[u8]) -> bool {
    matches!(escape.get(2..4), Some([b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F']))
}

/// The same range without the parts of escapes at its ends: the first is left out, the last is
/// taken whole.
pub(crate) fn whole(text: &[u8], range: Range<usize>) -> Range<usize> {
    let start = around(text, range.start).map_or(range.start, |escape| escape.end);
    // The second half of a pair is no character of its own.
    let start = second_half(text, start).unwrap_or(start);
    let end = around(text, range.end).map_or(range.end, |escape| escape.end);
    let end = second_half(text, end).unwrap_or(end);
    start..end.max(start)
}

/// Where the second half of a pair of surrogates ends that begins at a position.
fn second_half(text: &[u8], at: usize) -> Option<usize> {
    let escape = around(text, at + 1).filter(|escape| escape.start == at)?;
    let digits = text.get(escape.clone())?.get(2..4)?;
    matches!(digits, [b'd' | b'D', b'c'..=b'f' | b'C'..=b'F']).then_some(escape.end)
}

/// The escape of which a position is not the first byte.
fn around(text: &[u8], at: usize) -> Option<Range<usize>> {
    (1..UNICODE).find_map(|back| {
        let backslash = at.checked_sub(back)?;
        if text.get(backslash) != Some(&b'\\') {
            return None;
        }
        let before = text.get(..backslash).unwrap_or_default();
        let others = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        let escape = escape_at(text, backslash)?;
        (others % 2 == 0 && escape.end > at).then_some(escape)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_what_they_stand_for_and_as_long_as_before() {
        for (text, expected) in [
            (r"ab", "ab"),
            (r"a\nb", "a\n\nb"),
            (r"\\n", r"\\n"),
            (r"\/\u0026", "//&&&&&&"),
            (r"a\u0040b", "a_____@b"),
            (r"j\u00fcr", "j\u{e4}\u{e4}\u{e4}r"),
            (r"\ud83d\ude00", "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}"),
            (r"a\", r"a\"),
            (r"a\u00", "a\u{e4}00"),
        ] {
            assert_eq!(String::from_utf8_lossy(&plain(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn a_range_holds_no_part_of_an_escape() {
        for (text, range, expected) in [
            (r"\nab", 1..4, 2..4),
            (r"\\nab", 2..5, 2..5),
            (r"\\\nab", 3..6, 4..6),
            (r"\u00e4ab", 3..8, 6..8),
            (r"ab\n", 0..3, 0..4),
            (r"ab\u00e4c", 0..4, 0..8),
            (r"\ud83d\ude00a", 3..13, 12..13),
            (r"\ud83d\ude00a", 6..13, 12..13),
            (r"a\ud83d\ude00", 0..7, 0..13),
            (r"a", 0..1, 0..1),
        ] {
            assert_eq!(whole(text.as_bytes(), range), expected, "{text}");
        }
    }
}
