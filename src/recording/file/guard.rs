//! Checks of what the Parquet library believes without looking: a length from the file that it
//! would reserve memory for, a nesting that it would follow down the stack, or a count that it
//! would count to. They end a program without a chance to say why, or keep it busy for hours.
//!
//! Parquet's own structures are written in thrift's compact protocol; this walks as much of it as
//! the checks need.

use crate::bytes::Cursor;

/// Deepest nesting walked; Parquet's footer needs seven.
const DEPTH_MAX: u32 = 32;

/// The sizes that open a page's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageSizes {
    /// Bytes of the page when unpacked.
    pub(super) unpacked: u64,
    /// Bytes of the page in the file.
    pub(super) packed: u64,
}

/// Reads the sizes of a page. Every known writer puts them first and in order, so anything else is
/// refused: a header that hides them cannot be checked.
pub(super) fn page_sizes(header: &[u8]) -> Option<PageSizes> {
    let mut cursor = Cursor::new(header);
    let mut number = || {
        (cursor.u8()? == FIELD_AFTER | I32).then_some(())?;
        zigzag(&mut cursor)
    };
    number()?;
    let unpacked = u64::try_from(number()?).ok()?;
    let packed = u64::try_from(number()?).ok()?;
    Some(PageSizes { unpacked, packed })
}

/// The schema in a footer is one group of plain columns: neither nested, nor larger than said.
pub(super) fn schema_is_flat(footer: &[u8]) -> bool {
    find_schema(footer).unwrap_or(false)
}

/// A structure begins here that can be passed over at the cost of its bytes, and ends within them.
///
/// The library passes over fields that it does not know, and takes nothing for a boolean of a
/// list: a count of two thousand million costs a file six bytes, and a reader seconds. Nothing in
/// Parquet's footers and page headers is a list of booleans.
pub(super) fn is_bounded(bytes: &[u8]) -> bool {
    skip(&mut Cursor::new(bytes), STRUCT, 0).is_some()
}

fn find_schema(footer: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(footer);
    let mut id = 0;
    loop {
        let kind = field(&mut cursor, &mut id)?;
        if kind == STOP {
            return None;
        }
        if id == SCHEMA {
            return (kind == LIST).then(|| schema(&mut cursor)).flatten();
        }
        skip(&mut cursor, kind, 0)?;
    }
}

fn schema(cursor: &mut Cursor<'_>) -> Option<bool> {
    let (kind, elements) = list(cursor)?;
    if kind != STRUCT {
        return Some(false);
    }
    for element in 0..elements {
        let children = children(cursor)?;
        let expected = if element == 0 { i64::from(elements) - 1 } else { 0 };
        if children != expected {
            return Some(false);
        }
    }
    Some(elements > 0)
}

fn children(cursor: &mut Cursor<'_>) -> Option<i64> {
    let (mut id, mut children) = (0, 0);
    loop {
        let kind = field(cursor, &mut id)?;
        if kind == STOP {
            return Some(children);
        }
        if id == CHILDREN {
            (kind == I32).then_some(())?;
            children = zigzag(cursor)?;
        } else {
            skip(cursor, kind, 0)?;
        }
    }
}

/// Field of the footer that holds the schema, and field of its elements that counts children.
const SCHEMA: i64 = 2;
const CHILDREN: i64 = 5;

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// Upper half of a field's mark: its number is the previous one's plus one.
const FIELD_AFTER: u8 = 1 << 4;

/// Type of the next field; `id` becomes its number.
fn field(cursor: &mut Cursor<'_>, id: &mut i64) -> Option<u8> {
    let mark = cursor.u8()?;
    let (delta, kind) = (mark >> 4, mark & 15);
    if kind == STOP {
        return Some(STOP);
    }
    *id = if delta == 0 { zigzag(cursor)? } else { id.checked_add(delta.into())? };
    Some(kind)
}

fn list(cursor: &mut Cursor<'_>) -> Option<(u8, u32)> {
    let mark = cursor.u8()?;
    let size = match mark >> 4 {
        15 => u32::try_from(varint(cursor)?).ok()?,
        size => size.into(),
    };
    Some((mark & 15, size))
}

fn skip(cursor: &mut Cursor<'_>, kind: u8, depth: u32) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match kind {
        // The value of a boolean field is in its mark.
        TRUE | FALSE => Some(()),
        BYTE => cursor.skip(1),
        I16 | I32 | I64 => varint(cursor).map(|_| ()),
        DOUBLE => cursor.skip(8),
        BINARY => {
            let length = usize::try_from(varint(cursor)?).ok()?;
            cursor.skip(length)
        }
        LIST | SET => {
            let (kind, size) = list(cursor)?;
            // So each turn consumes something.
            (size == 0 || !matches!(kind, TRUE | FALSE)).then_some(())?;
            (0..size).try_for_each(|_| skip(cursor, kind, depth + 1))
        }
        STRUCT => {
            let mut id = 0;
            loop {
                let kind = field(cursor, &mut id)?;
                if kind == STOP {
                    return Some(());
                }
                skip(cursor, kind, depth + 1)?;
            }
        }
        // Parquet has no maps.
        _ => None,
    }
}

fn zigzag(cursor: &mut Cursor<'_>) -> Option<i64> {
    let number = varint(cursor)?;
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

fn varint(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = cursor.u8()?;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn page_sizes_are_read_in_their_order_only() {
        // Type 0, 300 bytes unpacked, 5 packed, then a struct.
        let header = [0x15, 0, 0x15, 0xd8, 4, 0x15, 10, 0x2c];
        assert_eq!(page_sizes(&header), Some(PageSizes { unpacked: 300, packed: 5 }));
        assert_eq!(page_sizes(&header[..6]), None, "cut");
        assert_eq!(page_sizes(&[0x15, 0, 0x15, 1, 0x15, 10]), None, "-1 bytes");
        assert_eq!(page_sizes(&[0x25, 0, 0x15, 2, 0x15, 10]), None, "other fields");
    }

    #[test]
    fn only_a_flat_schema_passes() {
        // Version 1; two elements: a root with one child, a column of INT32.
        let flat = [0x15, 2, 0x19, 0x2c, 0x55, 2, 0, 0x15, 2, 0, 0];
        assert!(schema_is_flat(&flat));
        let mut nested = flat;
        nested[7] = 0x55; // The column claims a child.
        assert!(!schema_is_flat(&nested));
        let mut huge = flat;
        huge[5] = 126; // The root claims 63 children.
        assert!(!schema_is_flat(&huge));
        assert!(!schema_is_flat(&flat[..7]));
    }

    /// An unknown field with a list of 2 147 483 647 booleans in 6 bytes; its twin has two numbers.
    #[test]
    fn a_list_that_costs_nothing_to_write_is_not_counted_to() {
        for kind in [TRUE, FALSE] {
            let list = [0x19, 0xf0 | kind, 0xff, 0xff, 0xff, 0xff, 7, STOP];
            assert!(!is_bounded(&list));
            let nested = [0x1c, 0x19, 0x29, 0xf0 | kind, 0xff, 0xff, 3, 0x10 | kind, STOP, STOP];
            assert!(!is_bounded(&nested), "in a list of lists, in a structure");
            assert!(is_bounded(&[0x19, kind, STOP]), "of none of them there may be a list");
        }
        assert!(is_bounded(&[0x19, 0x20 | I32, 2, 4, STOP]));
        assert!(!is_bounded(&[0x19, 0x20 | I32, 2, 4]), "cut");
        assert!(!is_bounded(&[0x1b, 0x7f, 0x11, STOP]), "a map of 127 pairs of booleans");
    }

    proptest! {
        /// For all bytes: the walk ends, without a panic.
        #[test]
        fn the_walk_ends(footer in prop::collection::vec(any::<u8>(), 0..200)) {
            schema_is_flat(&footer);
            is_bounded(&footer);
            page_sizes(&footer);
        }
    }
}
