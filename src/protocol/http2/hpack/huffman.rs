//! The Huffman code of HPACK: short codes for the bytes that headers are made of.
//!
//! The code is canonical: within one length, codes grow with the byte they stand for. The lengths
//! alone therefore tell all of it.

/// Longest code, in bits.
const LONGEST: usize = 30;

/// The end-of-string symbol, which nobody may send.
const END: u16 = 256;

/// Length of the code of each byte, in bits; the last is that of the end of a string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];

/// The codes of one length.
#[derive(Clone, Copy)]
struct Codes {
    length: u32,
    /// The first code.
    first: u32,
    /// The code behind the last one, moved to the left of 32 bits: whatever is below has this
    /// length or a shorter one.
    end: u64,
    /// Place of the first one's symbol in [`SYMBOLS`].
    place: usize,
}

/// All symbols, those with short codes first.
const SYMBOLS: [u16; 257] = symbols();

/// The codes by their length; lengths that nothing has are empty.
const CODES: [Codes; LONGEST] = codes();

const fn symbols() -> [u16; 257] {
    let mut sorted = [0; 257];
    let (mut place, mut length) = (0, 1);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol <= END {
            if LENGTHS[symbol as usize] as usize == length {
                sorted[place] = symbol;
                place += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    sorted
}

const fn codes() -> [Codes; LONGEST] {
    let mut all = [Codes { length: 0, first: 0, end: 0, place: 0 }; LONGEST];
    let (mut next, mut place, mut length) = (0_u32, 0, 1_u32);
    while length as usize <= LONGEST {
        let mut count = 0;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            count += (LENGTHS[symbol] as u32 == length) as u32;
            symbol += 1;
        }
        let end = ((next + count) as u64) << (32 - length);
        all[length as usize - 1] = Codes { length, first: next, end, place };
        next = (next + count) << 1;
        place += count as usize;
        length += 1;
    }
    all
}

/// Decodes a string; `None` when it has a code that nothing may have, or ends in something else
/// than at most seven bits of the end-of-string symbol.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    // The shortest codes have five bits.
    let mut decoded = Vec::with_capacity(coded.len() * 8 / 5);
    let (mut bits, mut held) = (0_u64, 0_u32);
    let mut rest = coded.iter();
    loop {
        while held <= 32 {
            let Some(byte) = rest.next() else {
                break;
            };
            bits = bits << 8 | u64::from(*byte);
            held += 8;
        }
        if held == 0 {
            return Some(decoded);
        }
        // The next 32 bits, with zeros behind the last one.
        let window = (bits << (64 - held)) >> 32;
        let found = CODES.iter().find(|codes| window < codes.end)?;
        if found.length > held {
            return is_padding(bits, held).then_some(decoded);
        }
        let code = u32::try_from(window >> (32 - found.length)).ok()?;
        let symbol = *SYMBOLS.get(found.place + usize::try_from(code - found.first).ok()?)?;
        if symbol == END {
            return None;
        }
        decoded.push(u8::try_from(symbol).ok()?);
        held -= found.length;
        bits &= (1 << held) - 1;
    }
}

/// What is left of a string is the front of the end-of-string symbol: ones.
fn is_padding(bits: u64, held: u32) -> bool {
    held < 8 && bits == (1 << held) - 1
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The code of `text`, padded with ones.
    pub(in super::super) fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits: Vec<bool> = Vec::new();
        for byte in text {
            let length = LENGTHS[usize::from(*byte)];
            let codes = CODES[usize::from(length) - 1];
            let place = SYMBOLS.iter().position(|symbol| *symbol == u16::from(*byte)).unwrap();
            let code = codes.first + u32::try_from(place - codes.place).unwrap();
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        bits.chunks(8)
            .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit)))
            .collect()
    }

    #[test]
    fn the_code_is_complete() {
        let room: u64 = LENGTHS.iter().map(|length| 1 << (30 - length)).sum();
        assert_eq!(room, 1 << 30);
    }

    #[test]
    fn strings_of_the_standard() {
        let of = |hex: u128| {
            let bytes = hex.to_be_bytes();
            let front = bytes.iter().take_while(|byte| **byte == 0).count();
            decode(&bytes[front..]).map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(of(0xf1e3_c2e5_f23a_6ba0_ab90_f4ff).as_deref(), Some("www.example.com"));
        assert_eq!(of(0xa8eb_1064_9cbf).as_deref(), Some("no-cache"));
        assert_eq!(of(0x6402).as_deref(), Some("302"));
        assert_eq!(decode(b"").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn bad_endings_are_refused() {
        assert_eq!(decode(b"\xff"), None, "eight bits of padding");
        assert_eq!(decode(b"\x1f").as_deref(), Some(&b"a"[..]));
        assert_eq!(decode(b"\x1e"), None, "padding with a zero");
        assert_eq!(decode(b"\xff\xff\xff\xff"), None, "the end of a string, sent");
        assert_eq!(decode(b"\xff\xff\xff\xfc"), None);
    }
}
