//! Where the blocks of a pcapng file begin and end.
//!
//! Each block has its length at both ends. Where the two differ, or where the length cannot be
//! one, the framing looks for the next block that agrees with itself, so that a corrupt block
//! costs only itself.

use std::io::{self, Read};

use crate::bytes::{ByteOrder, Cursor};
use crate::capture::frame::Notes;
use crate::capture::window::Window;

/// Longest block that is believed; it bounds the reader's memory.
const BLOCK_LIMIT: usize = 64 * 1024 * 1024;

/// Longest block believed while looking for one behind a corrupt place.
const SEARCH_LIMIT: usize = 1024 * 1024;

/// Bytes of options believed in a packet block that reaches beyond the end of the file.
const MAX_PACKET_OPTIONS: usize = 64 * 1024;

/// Block types.
pub(crate) const INTERFACE_DESCRIPTION: u32 = 1;
pub(crate) const OBSOLETE_PACKET: u32 = 2;
pub(crate) const SIMPLE_PACKET: u32 = 3;
pub(crate) const NAME_RESOLUTION: u32 = 4;
pub(crate) const INTERFACE_STATISTICS: u32 = 5;
pub(crate) const ENHANCED_PACKET: u32 = 6;
pub(crate) const DECRYPTION_SECRETS: u32 = 10;
pub(crate) const CUSTOM: u32 = 0x0bad;
pub(crate) const CUSTOM_DO_NOT_COPY: u32 = 0x4000_0bad;
/// Reads the same in both byte orders.
pub(crate) const SECTION_HEADER: u32 = 0x0a0d_0d0a;

/// Brings the next whole block to the front of the window and returns its length; `None` at the
/// end of the file. Skipped places and a cut end are noted.
pub(crate) fn next_block<R: Read>(
    window: &mut Window<R>,
    order: ByteOrder,
    notes: &mut Notes,
) -> io::Result<Option<usize>> {
    loop {
        match measure(window, order)? {
            Extent::End => return Ok(None),
            Extent::Whole(length) => return Ok(Some(length)),
            Extent::Cut => {
                notes.cut(window.offset(), window.bytes().len());
                return Ok(None);
            }
            Extent::Corrupt => {
                let begin = window.offset();
                search(window, order)?;
                notes.skipped(begin, window.offset());
            }
        }
    }
}

/// The byte order that a section header declares.
pub(crate) fn section_order(block: &[u8]) -> Option<ByteOrder> {
    match block.get(8..12)? {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(ByteOrder::Big),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(ByteOrder::Little),
        _ => None,
    }
}

/// What the front of the window is.
enum Extent {
    End,
    /// A block of this many bytes.
    Whole(usize),
    /// A block that reaches beyond the end of the file.
    Cut,
    Corrupt,
}

fn measure<R: Read>(window: &mut Window<R>, order: ByteOrder) -> io::Result<Extent> {
    let visible = window.reach(12)?;
    if visible == 0 {
        return Ok(Extent::End);
    }
    if visible < 12 {
        return Ok(Extent::Cut);
    }
    let Some((length, order)) = claim(window.bytes(), order) else {
        return Ok(Extent::Corrupt);
    };
    if window.reach(length)? < length {
        // A corrupt length points beyond the end as well, and must not cost all that is left.
        let bytes = window.bytes();
        let cut = packet_agrees(bytes, length, order) || !any_block(bytes, order);
        return Ok(if cut { Extent::Cut } else { Extent::Corrupt });
    }
    let whole = trailer_agrees(window.bytes(), length, order);
    Ok(if whole { Extent::Whole(length) } else { Extent::Corrupt })
}

/// Moves on to the next plausible block, or to the end of the file.
fn search<R: Read>(window: &mut Window<R>, order: ByteOrder) -> io::Result<()> {
    loop {
        window.consume(1);
        let visible = window.reach(SEARCH_LIMIT)?;
        if visible == 0 || plausible(window.bytes(), order) {
            return Ok(());
        }
    }
}

/// The length that a block begins with, if it can be one, and the byte order it is in.
fn claim(bytes: &[u8], order: ByteOrder) -> Option<(usize, ByteOrder)> {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.u32_in(order)?;
    let order = if kind == SECTION_HEADER { section_order(bytes)? } else { order };
    let length = cursor.u32_in(order)? as usize;
    (12..=BLOCK_LIMIT).contains(&length).then_some((length, order))
}

fn trailer_agrees(bytes: &[u8], length: usize, order: ByteOrder) -> bool {
    let trailer = bytes.get(length - 4..).and_then(|end| Cursor::new(end).u32_in(order));
    trailer.is_some_and(|trailer| trailer as usize == length)
}

/// The lengths inside of a packet block fit the block's, which no corrupt length does.
fn packet_agrees(bytes: &[u8], length: usize, order: ByteOrder) -> bool {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.u32_in(order);
    let captured = cursor.skip(16).and_then(|()| cursor.u32_in(order));
    let (Some(ENHANCED_PACKET), Some(captured)) = (kind, captured) else { return false };
    let packet = 32 + (captured as usize).next_multiple_of(4);
    (packet..=packet + MAX_PACKET_OPTIONS).contains(&length)
}

/// A plausible block begins somewhere behind the first byte.
fn any_block(bytes: &[u8], order: ByteOrder) -> bool {
    (1..bytes.len()).any(|at| bytes.get(at..).is_some_and(|rest| plausible(rest, order)))
}

/// A whole block of a known type, with the same sensible length at both ends.
fn plausible(bytes: &[u8], order: ByteOrder) -> bool {
    let known = match Cursor::new(bytes).u32_in(order) {
        Some(SECTION_HEADER | DECRYPTION_SECRETS | CUSTOM | CUSTOM_DO_NOT_COPY) => true,
        Some(kind) => (INTERFACE_DESCRIPTION..=ENHANCED_PACKET).contains(&kind),
        None => false,
    };
    known
        && claim(bytes, order).is_some_and(|(length, order)| {
            length <= SEARCH_LIMIT
                && length.is_multiple_of(4)
                && trailer_agrees(bytes, length, order)
        })
}
