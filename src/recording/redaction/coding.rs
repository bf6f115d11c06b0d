//! A value behind its escapes: `%41` in URLs and cookies, `\u0041` in JSON. The same value has the
//! same pseudonym however it is written, and each character is written back in its own form.

/// How the place of a value writes characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// `%41` stands for `A`.
    Percent,
    /// So does `\u0041`, too.
    Json,
}

impl Coding {
    /// There is an escape to be read.
    pub(crate) fn has_escapes(self, raw: &[u8]) -> bool {
        raw.contains(&b'%') || (self == Self::Json && raw.contains(&b'\\'))
    }
}

/// The characters of a value, and where each byte of them came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoded {
    /// What the value says.
    pub(crate) bytes: Vec<u8>,
    /// One for each byte.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// The byte stands there as it is.
    Raw(usize),
    /// As two hexadecimal digits behind the `%` there.
    Percent(usize),
    /// As the first of the UTF-8 bytes of the character of a `\u` there.
    Unicode(usize),
    /// It cannot be changed: `\n`, or a further byte of a character.
    Fixed,
}

impl Decoded {
    /// Reads a value; what was there before is forgotten.
    pub(crate) fn read(&mut self, raw: &[u8], coding: Coding) {
        self.bytes.clear();
        self.places.clear();
        let mut at = 0;
        while let Some(byte) = raw.get(at) {
            let length = match byte {
                b'%' => self.percent(raw, at),
                b'\\' if coding == Coding::Json => self.escape(raw, at),
                _ => None,
            };
            if length.is_none() {
                self.push(*byte, Place::Raw(at));
            }
            at += length.unwrap_or(1);
        }
    }

    /// Writes the bytes back to where they came from.
    pub(crate) fn write(&self, raw: &mut [u8]) {
        for (index, (byte, place)) in self.bytes.iter().zip(&self.places).enumerate() {
            match *place {
                Place::Raw(at) => put(raw, at, &[*byte]),
                Place::Percent(at) => put_hex(raw, at + 1, u16::from(*byte), 2),
                Place::Unicode(at) => {
                    let rest = self.bytes.get(index..).unwrap_or_default();
                    let Some(character) = first_character(rest) else { continue };
                    let mut units = [0; 2];
                    for (number, unit) in character.encode_utf16(&mut units).iter().enumerate() {
                        put_hex(raw, at + 6 * number + 2, *unit, 4);
                    }
                }
                Place::Fixed => {}
            }
        }
    }

    fn push(&mut self, byte: u8, place: Place) {
        self.bytes.push(byte);
        self.places.push(place);
    }

    fn percent(&mut self, raw: &[u8], at: usize) -> Option<usize> {
        let byte = u8::try_from(hex(raw.get(at + 1..at + 3)?)?).ok()?;
        self.push(byte, Place::Percent(at));
        Some(3)
    }

    fn escape(&mut self, raw: &[u8], at: usize) -> Option<usize> {
        let short = match raw.get(at + 1)? {
            b'u' => return self.unicode(raw, at),
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            other => *other,
        };
        self.push(short, Place::Fixed);
        Some(2)
    }

    /// A surrogate without its other half stands for a letter.
    fn unicode(&mut self, raw: &[u8], at: usize) -> Option<usize> {
        let unit = |at: usize| {
            let digits = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
            u16::try_from(hex(digits)?).ok()
        };
        let first = unit(at)?;
        let pair = [first, unit(at + 6).unwrap_or_default()];
        let of = |units: &[u16]| char::decode_utf16(units.iter().copied()).next()?.ok();
        let (character, length) = match (of(&pair[..1]), of(&pair)) {
            (Some(character), _) => (character, 6),
            (None, Some(character)) => (character, 12),
            (None, None) => ('u', 6),
        };
        let mut bytes = [0; 4];
        for (number, byte) in character.encode_utf8(&mut bytes).bytes().enumerate() {
            self.push(byte, if number == 0 { Place::Unicode(at) } else { Place::Fixed });
        }
        Some(length)
    }
}

/// Length of the UTF-8 character in front; `None` where there is none.
pub(crate) fn character_length(bytes: &[u8]) -> Option<usize> {
    first_character(bytes).map(char::len_utf8)
}

fn first_character(bytes: &[u8]) -> Option<char> {
    let most = bytes.get(..4).unwrap_or(bytes);
    most.utf8_chunks().next()?.valid().chars().next()
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

/// In lower case where the digits that stood there had lower case, or were none that tell.
fn put_hex(raw: &mut [u8], at: usize, number: u16, digits: usize) {
    let Some(place) = raw.get_mut(at..at + digits) else { return };
    let is_upper = place.iter().any(u8::is_ascii_uppercase)
        || (digits == 2 && !place.iter().any(u8::is_ascii_lowercase));
    for (position, byte) in place.iter_mut().rev().enumerate() {
        let digit = char::from_digit(u32::from(number >> (4 * position)) & 15, 16);
        let digit = digit.map_or(b'0', |digit| u8::try_from(digit).unwrap_or(b'0'));
        *byte = if is_upper { digit.to_ascii_uppercase() } else { digit };
    }
}

fn put(raw: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = raw.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_behind_their_escapes_and_written_in_their_form() {
        for (raw, coding, says, back, why) in [
            ("ab", Coding::Percent, "ab", "bc", "none"),
            ("%61%4a%4A%4E", Coding::Percent, "aJJN", "%62%4b%4B%4F", "the case of digits stays"),
            ("a%6", Coding::Percent, "a%6", "b%7", "a broken escape is no escape"),
            (r"\u0061", Coding::Percent, r"\u0061", r"\v1172", "no escape in a URL"),
            (r"a\u0061\n%61", Coding::Json, "aa\na", r"b\u0062\n%62", "both in JSON"),
            (r"\u00e4\u00E4", Coding::Json, "ää", r"\u00e5\u00E5", "two bytes"),
            (r"\ud83d\ude00", Coding::Json, "😀", r"\ud83d\ude01", "a pair of surrogates"),
            (r"\ud83dx", Coding::Json, "ux", r"\u0076y", "half a pair"),
            (r"\u00", Coding::Json, r"\u00", r"\v11", "cut"),
            (r"\", Coding::Json, r"\", r"\", "cut earlier"),
        ] {
            let mut decoded = Decoded::default();
            decoded.read(raw.as_bytes(), coding);
            assert_eq!(String::from_utf8_lossy(&decoded.bytes), says, "{why}");
            let mut written = raw.as_bytes().to_vec();
            decoded.write(&mut written);
            let same = if raw == r"\ud83dx" { r"\u0075x" } else { raw };
            assert_eq!(String::from_utf8_lossy(&written), same, "{why}");
            // The last byte of each character becomes the next one.
            let ends: Vec<usize> =
                says.char_indices().map(|(at, c)| at + c.len_utf8() - 1).collect();
            for at in ends {
                let byte = &mut decoded.bytes[at];
                *byte += u8::from(byte.is_ascii_alphanumeric() || !byte.is_ascii());
            }
            decoded.write(&mut written);
            assert_eq!(String::from_utf8_lossy(&written), back, "{why}");
        }
    }
}
