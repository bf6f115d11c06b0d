//! Header compression, read as far as it can be.
//!
//! A field may be an index into those sent before. A capture that begins in the middle of a
//! connection, or has lost bytes, has not seen all of them. The rule: the newest entries are
//! those that were seen since, so their indexes are right; an index behind them means a field
//! that was not seen. It is read as a field whose name and value are unknown, and counted. A
//! literal field whose name is such an index has an unknown name and a known value, and is kept
//! like that for later indexes. Reading goes on after either: only a block that ends inside a
//! field, or an integer that is too long, ends it.

mod huffman;
mod table;

use ::bytes::Bytes;

use crate::bytes::Cursor;
use crate::protocol::http2::hpack::table::Table;

/// Most bytes of fields kept to be named by index, whatever a side claims. The default is 4 KiB,
/// and browsers ask for 64.
pub const MAX_TABLE: usize = 64 * 1024;

/// The size of a table as long as nobody said another, in bytes.
pub const DEFAULT_TABLE: usize = 4 * 1024;

/// Most bytes of one header list that are kept, each field counting 32 more than its text. Fields
/// beyond it are read, so that later indexes stay right, but not kept: one byte may name a field
/// of any length.
pub const MAX_LIST: usize = 256 * 1024;

/// Most bytes that an integer may take, as in other decoders: about 2^28.
pub const MAX_INTEGER: usize = 5;

/// A header field; `None` is what could not be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, in lower case unless the sender was wrong.
    pub name: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
}

impl Field {
    /// A field of which nothing is known.
    pub const UNKNOWN: Self = Self { name: None, value: None };

    /// Both parts are known.
    pub fn is_known(&self) -> bool {
        self.name.is_some() && self.value.is_some()
    }
}

/// What a header block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The fields in order.
    pub fields: Vec<Field>,
    /// How many of them are not wholly known.
    pub unknown: u64,
    /// How many were left out because of [`MAX_LIST`].
    pub left_out: u64,
    /// It was read to its end.
    pub whole: bool,
}

/// Reads the header blocks of one side of a connection, in order.
#[derive(Clone, Debug)]
pub struct Decoder {
    table: Table,
}

impl Decoder {
    /// From the first block of a connection on.
    pub fn new() -> Self {
        Self { table: Table::new(DEFAULT_TABLE) }
    }

    /// Blocks before were not seen, or some were lost: nothing is known of what was sent before,
    /// not even the size of the table.
    pub fn in_the_middle() -> Self {
        Self { table: Table::new(MAX_TABLE) }
    }

    /// Bytes held.
    pub fn kept(&self) -> usize {
        self.table.size()
    }

    /// Reads the next block. After one that is not whole the decoder is as after a loss.
    pub fn decode(&mut self, bytes: &[u8]) -> Block {
        let mut block = Block { whole: true, ..Block::default() };
        let (mut cursor, mut room) = (Cursor::new(bytes), MAX_LIST);
        while cursor.remaining() > 0 {
            let field = match self.next(&mut cursor) {
                Some(Step::Field(field)) => field,
                Some(Step::Resized) => continue,
                None => {
                    block.whole = false;
                    *self = Self::in_the_middle();
                    break;
                }
            };
            block.unknown += u64::from(!field.is_known());
            match room.checked_sub(table::size(&field)) {
                Some(left) => {
                    room = left;
                    block.fields.push(field);
                }
                None => block.left_out += 1,
            }
        }
        block
    }

    fn next(&mut self, cursor: &mut Cursor<'_>) -> Option<Step> {
        let first = cursor.u8()?;
        match first {
            0x80.. => Some(Step::Field(self.table.get(integer(first, 7, cursor)?))),
            0x40..0x80 => {
                let field = self.literal(integer(first, 6, cursor)?, cursor)?;
                self.table.insert(field.clone());
                Some(Step::Field(field))
            }
            0x20..0x40 => {
                self.table.resize(integer(first, 5, cursor)?);
                Some(Step::Resized)
            }
            _ => Some(Step::Field(self.literal(integer(first, 4, cursor)?, cursor)?)),
        }
    }

    /// A field whose value is written out, and its name where the index is 0.
    fn literal(&self, index: u64, cursor: &mut Cursor<'_>) -> Option<Field> {
        let name = if index == 0 { string(cursor)? } else { self.table.get(index).name };
        Some(Field { name, value: string(cursor)? })
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

enum Step {
    Field(Field),
    Resized,
}

/// An integer whose front stands in the low `bits` of `first`; `None` when it is cut or takes
/// more than [`MAX_INTEGER`] bytes.
fn integer(first: u8, bits: u32, cursor: &mut Cursor<'_>) -> Option<u64> {
    let most = (1 << bits) - 1;
    let mut value = u64::from(first) & most;
    if value < most {
        return Some(value);
    }
    for place in 0..MAX_INTEGER - 1 {
        let byte = cursor.u8()?;
        value += u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A string; the inner `None` is one whose code is wrong, which is stepped over.
#[expect(clippy::option_option, reason = "that there is none, and that it cannot be read")]
fn string(cursor: &mut Cursor<'_>) -> Option<Option<Bytes>> {
    let first = cursor.u8()?;
    let length = integer(first, 7, cursor)?;
    let bytes = cursor.take(usize::try_from(length).ok()?)?;
    Some(if first & 0x80 == 0 {
        Some(Bytes::copy_from_slice(bytes))
    } else {
        huffman::decode(bytes).map(Bytes::from)
    })
}

#[cfg(test)]
mod tests;
