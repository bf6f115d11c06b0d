//! Frames of wireless networks: what radios write in front of them, and their own headers.
//!
//! Only what is neither encrypted, nor in fragments, nor aggregated can be read; the rest is
//! counted by its reason.

use crate::capture::frame::LinkType;
use crate::capture::layer::{Layer, Peeled, Piece};
use crate::capture::link::{NOT_IP, logical_link};

/// Bucket of frames that their receiver found damaged.
const DAMAGED: &str = "wireless frame damaged";

/// Peels a radiotap header and the frame's own off.
pub(crate) fn radiotap(piece: Piece<'_>) -> Option<Peeled<'_>> {
    const PADDED: u8 = 0x20;
    const BAD_CHECKSUM: u8 = 0x40;
    let mut cursor = piece.cursor();
    let [version, _] = cursor.array::<2>()?;
    let length = usize::from(u16::from_le_bytes(cursor.array::<2>()?));
    if version != 0 || length < 8 {
        return Some(Err("link header malformed"));
    }
    let flags = radiotap_flags(piece.bytes.get(..length)?);
    if flags & BAD_CHECKSUM != 0 {
        return Some(Err(DAMAGED));
    }
    wireless(piece.behind(length)?, flags & PADDED != 0)
}

/// The flags of a radiotap header, 0 where it has none: they follow the words that say which
/// fields there are, and the clock, which is aligned to eight bytes.
fn radiotap_flags(header: &[u8]) -> u8 {
    const CLOCK: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    const MORE_WORDS: u32 = 1 << 31;
    let word = |at: usize| {
        let bytes = header.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let first = word(4).unwrap_or(0);
    if first & FLAGS == 0 {
        return 0;
    }
    let mut at = 4;
    while word(at).is_some_and(|word| word & MORE_WORDS != 0) {
        at += 4;
    }
    at += 4;
    if first & CLOCK != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    header.get(at).copied().unwrap_or(0)
}

/// Peels the header of the per-packet information off, which names the link type behind it.
pub(crate) fn per_packet(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let mut cursor = piece.cursor();
    let [version, _] = cursor.array::<2>()?;
    let length = usize::from(u16::from_le_bytes(cursor.array::<2>()?));
    let link = i32::from_le_bytes(cursor.array::<4>()?);
    if version != 0 || length < 8 {
        return Some(Err("link header malformed"));
    }
    Some(Ok((Layer::Link(LinkType(link)), piece.behind(length)?)))
}

/// Peels the header of 802.11 off; `padded` where the radio padded it to whole words.
pub(crate) fn wireless(piece: Piece<'_>, padded: bool) -> Option<Peeled<'_>> {
    const VERSION_AND_TYPE: u8 = 0x0f;
    const DATA: u8 = 0x08;
    const WITHOUT_DATA: u8 = 0x40;
    const WITH_SERVICE: u8 = 0x80;
    const BETWEEN_STATIONS: u8 = 0x03;
    const MORE_FRAGMENTS: u8 = 0x04;
    const ENCRYPTED: u8 = 0x40;
    const WITH_CONTROL: u8 = 0x80;
    let mut cursor = piece.cursor();
    let [kind, flags] = cursor.array::<2>()?;
    if kind & VERSION_AND_TYPE != DATA || kind & WITHOUT_DATA != 0 {
        return Some(Err(NOT_IP));
    }
    if flags & ENCRYPTED != 0 {
        return Some(Err("encrypted link"));
    }
    cursor.skip(20)?;
    let [fragment, _] = cursor.array::<2>()?;
    if flags & MORE_FRAGMENTS != 0 || fragment & 0x0f != 0 {
        return Some(Err("wireless fragment"));
    }
    let mut header_bytes = 24;
    if flags & BETWEEN_STATIONS == BETWEEN_STATIONS {
        header_bytes += 6; // A fourth address.
    }
    if kind & WITH_SERVICE != 0 {
        let service = *piece.bytes.get(header_bytes)?;
        if service & 0x80 != 0 {
            return Some(Err("wireless aggregate not opened"));
        }
        header_bytes += 2;
        if flags & WITH_CONTROL != 0 {
            header_bytes += 4;
        }
    }
    if padded {
        header_bytes = header_bytes.next_multiple_of(4);
    }
    logical_link(piece.behind(header_bytes)?)
}
