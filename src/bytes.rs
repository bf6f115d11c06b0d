//! A cursor over bytes that cannot panic: every read says whether the bytes were there.
//!
//! All parsers of captured data stand on it, so that hostile input ends in an `Option`, never in
//! an index out of bounds.

use std::borrow::Cow;

/// FNV-1a with 64 bits: the same in every run and on every machine, which `std`'s hashers do not
/// promise.
pub fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Bytes of a name that is told: nobody reads more, and a thousand of them stay small.
pub const MAX_NAME_BYTES: usize = 1 << 10;

/// A name of a bounded length. What is cut has the hash of all of it behind, so that names which
/// begin alike stay apart.
pub fn short_name(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_NAME_BYTES {
        return Cow::Borrowed(name);
    }
    let end = name.floor_char_boundary(MAX_NAME_BYTES);
    let hash = fnv1a(name.bytes());
    Cow::Owned(format!("{}… #{hash:016x}", name.get(..end).unwrap_or("")))
}

/// Spreads a number over all bits, so that a threshold takes a fair share of any numbers.
pub fn spread(number: u64) -> u64 {
    // The finaliser of SplitMix64.
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Reads integers and slices from the front of a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The next `count` bytes, or `None` (and nothing is consumed) when fewer are left.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    /// Skips `count` bytes.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*taken)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next two bytes in network order.
    pub fn u16_be(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes in network order.
    pub fn u32_be(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next two bytes in the given order.
    pub fn u16_in(&mut self, order: ByteOrder) -> Option<u16> {
        self.array().map(|bytes| match order {
            ByteOrder::Big => u16::from_be_bytes(bytes),
            ByteOrder::Little => u16::from_le_bytes(bytes),
        })
    }

    /// The next four bytes in the given order.
    pub fn u32_in(&mut self, order: ByteOrder) -> Option<u32> {
        self.array().map(|bytes| match order {
            ByteOrder::Big => u32::from_be_bytes(bytes),
            ByteOrder::Little => u32::from_le_bytes(bytes),
        })
    }
}

/// The order of the bytes of an integer, which a capture file declares for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Most significant byte first.
    Big,
    /// Least significant byte first.
    Little,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_consumes_nothing() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u32_be(), None);
        assert_eq!(cursor.u16_be(), Some(0x0102));
        assert_eq!(cursor.take(2), None);
        assert_eq!(cursor.u8(), Some(3));
        assert_eq!(cursor.u8(), None);
    }

    #[test]
    fn the_byte_order_is_the_files_own() {
        assert_eq!(Cursor::new(&[1, 2]).u16_in(ByteOrder::Little), Some(0x0201));
        assert_eq!(Cursor::new(&[1, 2, 3, 4]).u32_in(ByteOrder::Big), Some(0x0102_0304));
    }
}
