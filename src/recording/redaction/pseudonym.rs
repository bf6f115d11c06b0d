//! A value becomes another one of the same length and the same kinds of characters.

use std::fmt;

use crate::recording::redaction::address::{self, Address};
use crate::recording::redaction::card;
use crate::recording::redaction::coding::{Coding, Decoded, character_length};
use crate::recording::redaction::email;
use crate::recording::redaction::fill;
use crate::recording::redaction::key::{Key, Stream};

/// Draws pseudonyms with a key; keeps its memory from value to value.
pub(crate) struct Pseudonyms {
    key: Key,
    decoded: Decoded,
    original: Vec<u8>,
}

/// Its memory is of secrets, and is not shown.
impl fmt::Debug for Pseudonyms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pseudonyms(not shown)")
    }
}

impl Pseudonyms {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, decoded: Decoded::default(), original: Vec::new() }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Replaces a value by its pseudonym. Punctuation stays, for it may be structure; a value of
    /// nothing else is filled. Of an e-mail address the top-level domain stays: only where a rule
    /// says that it is one, since a password may look like one.
    pub(crate) fn replace(&mut self, raw: &mut [u8], coding: Coding, is_email: bool) {
        let (key, original) = (&self.key, &mut self.original);
        if !coding.has_escapes(raw) {
            if !scramble(key, raw, is_email, original) {
                fill(raw);
            }
            return;
        }
        self.decoded.read(raw, coding);
        if scramble(key, &mut self.decoded.bytes, is_email, original) {
            self.decoded.write(raw);
        } else {
            fill(raw);
        }
    }
}

/// Draws that may give the value itself, before it is given up: of one character, one draw in four
/// does at worst.
const MAX_ATTEMPTS: u32 = 64;

/// False when there is nothing that can be replaced.
fn scramble(key: &Key, value: &mut [u8], is_email: bool, original: &mut Vec<u8>) -> bool {
    original.clear();
    original.extend_from_slice(value);
    let shape = Shape::of(original, is_email);
    let seed = match shape {
        // A card is the same card however its digits are grouped.
        Shape::Card => key.seed(&card::digits(original)),
        _ => key.seed(original),
    };
    for attempt in 0..MAX_ATTEMPTS {
        value.copy_from_slice(original);
        let mut stream = Stream::new(&seed, attempt);
        let replaced = match &shape {
            Shape::Address(address) => address::rewrite(value, *address, key, &mut stream),
            Shape::Card => card::rewrite(value, &mut stream),
            Shape::Text(text) => text.rewrite(value, &mut stream),
        };
        if !replaced || value != original.as_slice() {
            return replaced;
        }
    }
    false
}

/// What a value is, as far as its pseudonym should be that, too.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Address(Address),
    Card,
    Text(Text),
}

/// Characters of any kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Text {
    /// Bytes in front that stay.
    front: usize,
    /// Bytes at the end that stay.
    back: usize,
    /// All letters are hexadecimal digits.
    is_hex: bool,
    /// Where version and variant of a UUID stand, which validators look at.
    is_uuid: bool,
    /// A number so long that one with a larger first digit may be more than a program takes.
    is_long: bool,
}

/// Fewest hexadecimal digits that are taken for such, and not for a word.
const MIN_HEX: usize = 8;

/// Digits of 2147483647, which is the largest number of some programs.
const MIN_LONG: usize = 10;

/// How the header of a JWT begins, which is `{"` in base64.
pub(crate) const JWT: &[u8] = b"eyJ";

/// Shortest text that is taken for a token because it begins like a JWT.
const MIN_JWT: usize = 20;

impl Shape {
    fn of(value: &[u8], is_email: bool) -> Self {
        if let Some(address) = Address::of(value) {
            return Self::Address(address);
        }
        if card::is_card(value) {
            return Self::Card;
        }
        let hex = value.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
        let is_hex = hex >= MIN_HEX
            && value.iter().all(|byte| byte.is_ascii_hexdigit() || !byte.is_ascii_alphabetic());
        Self::Text(Text {
            front: if value.len() >= MIN_JWT && value.starts_with(JWT) { JWT.len() } else { 0 },
            back: if is_email { email::kept(value) } else { 0 },
            is_hex,
            is_uuid: is_hex && is_uuid(value),
            is_long: value.len() >= MIN_LONG && value.iter().all(u8::is_ascii_digit),
        })
    }
}

fn is_uuid(value: &[u8]) -> bool {
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    value.len() == 36
        && value
            .iter()
            .enumerate()
            .all(|(at, byte)| if is_dash(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
}

impl Text {
    fn rewrite(&self, value: &mut [u8], stream: &mut Stream<'_>) -> bool {
        let (mut at, mut replaced) = (self.front, false);
        let end = value.len().saturating_sub(self.back);
        while at < end {
            let rest = value.get_mut(at..end).unwrap_or_default();
            let is_fixed = self.is_uuid && matches!(at, 14 | 19);
            let Some(first) = rest.first_mut() else { break };
            if !first.is_ascii() {
                at += other_script(rest, stream);
                replaced = true;
                continue;
            }
            let other = match *first {
                digit @ b'1'..=b'9' if self.is_long && at == 0 => {
                    Some(b'1' + stream.below((digit - b'1').max(1)))
                }
                byte => another(byte, self.is_hex, !replaced, stream),
            };
            if let Some(other) = other.filter(|_| !is_fixed) {
                *first = other;
                replaced = true;
            }
            at += 1;
        }
        replaced
    }
}

/// Another character of the same kind; `None` for one that stays. A number does not get a zero in
/// front.
pub(crate) fn another(
    byte: u8,
    is_hex: bool,
    is_first: bool,
    stream: &mut Stream<'_>,
) -> Option<u8> {
    let letters = if is_hex { 6 } else { 26 };
    let (from, count) = match byte {
        b'1'..=b'9' if is_first => (b'1', 9),
        b'0'..=b'9' => (b'0', 10),
        b'a'..=b'z' => (b'a', letters),
        b'A'..=b'Z' => (b'A', letters),
        b'!' | b'$' | b'*' | b'~' => {
            return MARKS.get(usize::from(stream.below(4))).copied();
        }
        _ => return None,
    };
    Some(from + stream.below(count))
}

/// Allowed wherever one of them is, and of no meaning to URLs, JSON and headers.
const MARKS: &[u8; 4] = b"!$*~";

/// Replaces a character that is not ASCII by one of as many bytes; returns how many. What is no
/// UTF-8 is replaced byte by byte.
fn other_script(bytes: &mut [u8], stream: &mut Stream<'_>) -> usize {
    let length = character_length(bytes).unwrap_or(1);
    let lead = bytes.first().copied().unwrap_or_default();
    let character = bytes.get_mut(..length).unwrap_or_default();
    let skipped = usize::from(length > 1);
    for (position, byte) in character.iter_mut().enumerate().skip(skipped) {
        // After these two leads half of the bytes are no UTF-8.
        *byte = match (lead, position) {
            (0xed, 1) => 0x80 + stream.below(32),
            (0xf4, 1) => 0x80 + stream.below(16),
            _ => 0xa0 + stream.below(32),
        };
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(value: &str) -> String {
        let mut bytes = value.as_bytes().to_vec();
        Pseudonyms::new(Key::from_secret(b"test")).replace(&mut bytes, Coding::Percent, false);
        String::from_utf8(bytes).unwrap()
    }

    /// `9` for digits, `h` and `H` for hexadecimal letters, `a`, `A` for others, `!` for marks,
    /// `ä` for what is not ASCII; the rest is itself.
    fn kinds(value: &str, is_hex: bool) -> String {
        let kind = |c: char| match c {
            '0'..='9' => '9',
            'a'..='f' if is_hex => 'h',
            'A'..='F' if is_hex => 'H',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            '!' | '$' | '*' | '~' => '!',
            c if !c.is_ascii() => 'ä',
            c => c,
        };
        value.chars().map(kind).collect()
    }

    #[test]
    fn a_pseudonym_is_of_the_kind_of_its_value() {
        for (value, expected, why) in [
            ("Zu7_x", "Aa9_a", "letters, digits; punctuation stays"),
            ("a+b/c==", "a+a/a==", "base64"),
            ("5f2e9a1c0b", "9h9h9h9h9h", "hexadecimal digits stay such"),
            ("5F2E9A1C0B", "9H9H9H9H9H", "in either case"),
            ("decade", "aaaaaa", "too short for a hexadecimal number"),
            ("p!ss", "a!aa", "marks"),
            ("straße→😀", "aaaaäaää", "other scripts, each character as long as before"),
            ("퟿\u{10ffff}", "ää", "the last characters of two ranges"),
        ] {
            let pseudonym = replaced(value);
            let is_hex = expected.to_ascii_lowercase().contains('h');
            assert_eq!(kinds(&pseudonym, is_hex), expected, "{why}: {pseudonym}");
            assert_eq!(pseudonym.len(), value.len(), "{why}");
            assert_ne!(pseudonym, value, "{why}");
            assert_eq!(pseudonym, replaced(value), "{why}");
        }
    }

    #[test]
    fn what_makes_a_value_valid_stays() {
        let uuid = replaced("0b5c3c5e-7e1f-4f6a-9b1d-3a1f0c2d4e5f");
        assert_eq!((&uuid[14..15], &uuid[19..20]), ("4", "9"), "version and variant: {uuid}");
        let jwt = replaced("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln");
        assert!(jwt.starts_with("eyJ") && jwt.matches('.').count() == 2, "{jwt}");
        let mut address = b"anna@shop.test".to_vec();
        Pseudonyms::new(Key::from_secret(b"test")).replace(&mut address, Coding::Percent, true);
        assert!(address.ends_with(b".test"));
        assert!(!replaced("anna@shop.test").contains(".test"), "only where a rule says so");
        assert_ne!(&replaced("1000")[..1], "0", "numbers keep their length");
        assert_eq!(replaced("--_%"), "xxxx", "nothing but punctuation is filled");
        assert_eq!(replaced("%2d%2D"), "xxxxxx", "behind escapes, too");
        assert_eq!(replaced(". ."), "x x", "blanks never change");
    }

    /// Of the largest numbers of programs, and of others as long.
    #[test]
    fn long_numbers_do_not_outgrow_what_a_program_takes() {
        for number in ["2147483647", "4294967295", "9007199254740991", "9223372036854775807"] {
            let other = replaced(number);
            assert_eq!(other.len(), number.len());
            assert!(other.parse::<u64>().unwrap() < number.parse().unwrap(), "{other}");
        }
        assert_ne!(replaced("1111111111"), "1111111111");
    }

    #[test]
    fn values_are_not_shown() {
        let mut pseudonyms = Pseudonyms::new(Key::from_secret(b"test"));
        pseudonyms.replace(&mut b"s3cret".to_vec(), Coding::Percent, false);
        assert_eq!(format!("{pseudonyms:?}"), "Pseudonyms(not shown)");
    }

    /// For all short values: none is its own pseudonym, for that would be telling.
    #[test]
    fn no_value_stays_itself() {
        for value in b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!$*~.-" {
            let value = char::from(*value).to_string();
            assert_ne!(replaced(&value), value);
        }
    }

    #[test]
    fn a_value_has_one_pseudonym_however_it_is_written() {
        let mut pseudonyms = Pseudonyms::new(Key::from_secret(b"test"));
        let mut of = |raw: &str, coding| {
            let mut bytes = raw.as_bytes().to_vec();
            pseudonyms.replace(&mut bytes, coding, false);
            let mut decoded = Decoded::default();
            decoded.read(&bytes, coding);
            String::from_utf8(decoded.bytes).unwrap()
        };
        let plain = of("a/b=Cä", Coding::Percent);
        assert_eq!(of("%61%2fb%3D%43%C3%A4", Coding::Percent), plain);
        assert_eq!(of(r"a\/b=C\u00e4", Coding::Json), plain);
        assert_eq!(of("4111 1111-1111 1111", Coding::Percent).replace([' ', '-'], ""), {
            of("4111111111111111", Coding::Json)
        });
    }
}
