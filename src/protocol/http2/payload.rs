//! What stands inside frames: each layout that a reader of captures needs.

use crate::bytes::Cursor;
use crate::protocol::http2::frame::{Frame, Kind, PADDED, PRIORITY};

/// The setting that says how large the peer's HPACK table may be, in bytes.
pub const HEADER_TABLE_SIZE: u16 = 1;
/// The setting that says how long the peer's frames may be, in bytes.
pub const MAX_FRAME_SIZE: u16 = 5;

/// The pieces of a HEADERS or DATA payload without padding and priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes before the content: the length of the padding, and the priority.
    pub before: u32,
    /// Bytes of content.
    pub length: u32,
    /// Bytes of padding behind it.
    pub after: u32,
}

/// Where the content of a DATA or HEADERS frame stands; `first` is the first byte of the payload,
/// which tells the padding. `None` when padding and priority are longer than the payload.
pub fn content(frame: &Frame, first: Option<u8>) -> Option<Content> {
    let is_padded = frame.has(PADDED);
    let after = if is_padded { u32::from(first?) } else { 0 };
    let has_priority = frame.kind == Kind::Headers && frame.has(PRIORITY);
    let before = u32::from(is_padded) + if has_priority { 5 } else { 0 };
    let length = frame.length.checked_sub(before)?.checked_sub(after)?;
    Some(Content { before, length, after })
}

/// A `PUSH_PROMISE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push<'a> {
    /// The stream on which the response will come.
    pub promised: u32,
    /// The front of the header block of the request.
    pub fragment: &'a [u8],
}

/// Reads the payload of a `PUSH_PROMISE`.
pub fn push<'a>(frame: &Frame, payload: &'a [u8]) -> Option<Push<'a>> {
    let mut cursor = Cursor::new(payload);
    let padding = if frame.has(PADDED) { cursor.u8()? } else { 0 };
    let promised = cursor.u32_be()? & 0x7fff_ffff;
    let fragment = cursor.take(cursor.remaining().checked_sub(usize::from(padding))?)?;
    Some(Push { promised, fragment })
}

/// The settings of a SETTINGS payload, identifier and value, in order.
pub fn settings(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> + '_ {
    payload.chunks_exact(6).filter_map(|one| {
        let mut cursor = Cursor::new(one);
        cursor.u16_be().zip(cursor.u32_be())
    })
}

/// The error code of a `RST_STREAM` payload.
pub fn reset(payload: &[u8]) -> Option<u32> {
    Cursor::new(payload).u32_be()
}

/// A GOAWAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway<'a> {
    /// The last stream that was or may have been worked on.
    pub last: u32,
    /// The error code, 0 for an orderly end.
    pub code: u32,
    /// Whatever the sender wanted to say.
    pub debug: &'a [u8],
}

/// Reads the payload of a GOAWAY.
pub fn go_away(payload: &[u8]) -> Option<GoAway<'_>> {
    let mut cursor = Cursor::new(payload);
    let last = cursor.u32_be()? & 0x7fff_ffff;
    Some(GoAway { last, code: cursor.u32_be()?, debug: cursor.rest() })
}

/// The room, in bytes, that a `WINDOW_UPDATE` payload adds.
pub fn window(payload: &[u8]) -> Option<u32> {
    Some(Cursor::new(payload).u32_be()? & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: Kind, flags: u8, length: u32) -> Frame {
        Frame { length, kind, flags, stream: 1 }
    }

    #[test]
    fn content_is_what_padding_and_priority_leave() {
        let padded = frame(Kind::Headers, PADDED | PRIORITY, 20);
        let expected = Some(Content { before: 6, length: 11, after: 3 });
        assert_eq!(content(&padded, Some(3)), expected);
        assert_eq!(content(&padded, Some(14)).map(|it| it.length), Some(0));
        assert_eq!(content(&padded, Some(15)), None);
        assert_eq!(content(&padded, None), None);
        // The bit of the priority means nothing in DATA.
        let data = frame(Kind::Data, PRIORITY, 20);
        assert_eq!(content(&data, Some(9)), Some(Content { before: 0, length: 20, after: 0 }));
    }

    #[test]
    fn a_push_promises_a_stream() {
        let payload = b"\x02\0\0\0\x04\x82\x84\0\0";
        let found = push(&frame(Kind::Push, PADDED, 9), payload);
        assert_eq!(found, Some(Push { promised: 4, fragment: b"\x82\x84" }));
        assert_eq!(push(&frame(Kind::Push, PADDED, 9), b"\x09\0\0\0\x04\x82\x84\0\0"), None);
        assert_eq!(push(&frame(Kind::Push, 0, 3), b"\0\0\0"), None);
    }

    #[test]
    fn the_small_ones() {
        let found: Vec<_> = settings(b"\0\x01\0\0\x10\0\0\x05\0\0\x40\0\0\x06").collect();
        assert_eq!(found, [(HEADER_TABLE_SIZE, 4096), (MAX_FRAME_SIZE, 16_384)]);
        assert_eq!(reset(b"\0\0\0\x08"), Some(8));
        assert_eq!(window(b"\x80\0\0\x08"), Some(8));
        let expected = GoAway { last: 7, code: 2, debug: b"why" };
        assert_eq!(go_away(b"\0\0\0\x07\0\0\0\x02why"), Some(expected));
        assert_eq!(go_away(b"\0\0\0\x07\0\0"), None);
    }
}
