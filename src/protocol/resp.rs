//! RESP: what Redis, Valkey and their kin speak. Values only, no I/O.
//!
//! Here are replies of version 2 and commands, for those who ask; those who listen in read both
//! versions by [`scan`].

pub mod scan;
pub mod words;
pub mod commands;
pub mod exact;
pub mod effects;
pub mod keyed;

use std::fmt::Write as _;

/// One reply. Of long strings and arrays only the beginning is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `+OK`.
    Simple(String),
    /// `-ERR what is wrong`.
    Error(String),
    /// `:42`.
    Integer(i64),
    /// A string of bytes.
    Bulk {
        /// Its beginning, as far as [`MAX_KEPT`] allows.
        kept: Vec<u8>,
        /// Its whole length in bytes.
        length: u64,
    },
    /// A list of values.
    Array {
        /// The first of them, as far as [`MAX_ITEMS`] allows.
        kept: Vec<Value>,
        /// How many there are.
        length: u64,
    },
    /// No value.
    Null,
}

/// Bytes kept of the strings of one reply: an `INFO` takes some KiB.
pub const MAX_KEPT: usize = 256 << 10;

/// Values kept of the arrays of one reply.
pub const MAX_ITEMS: usize = 1_024;

/// Longest line: a status, an error, a number.
pub const MAX_LINE: usize = 64 << 10;

/// Deepest array within arrays: nobody's replies are deeper than a few.
pub const MAX_DEPTH: usize = 16;

/// Stands for a reply where answers are counted by status; RESP has none.
pub const REPLY: u16 = 0;

/// Stands for an error reply there. It lies above all that three digits of HTTP can say, in a class
/// of its own, so that it counts as worse than [`REPLY`].
pub const ERROR_REPLY: u16 = 1_000;

/// Why the bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RespError {
    /// The first byte is none of RESP.
    #[error("the server does not speak RESP")]
    Kind,
    /// A line does not end.
    #[error("a line of the reply is longer than {MAX_LINE} bytes")]
    LineTooLong,
    /// A number or a length is none.
    #[error("a number in the reply is malformed")]
    Number,
    /// A string does not end where it says.
    #[error("a string of the reply is not as long as it says")]
    Length,
    /// Arrays in arrays in arrays.
    #[error("arrays of the reply are nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// Reads replies from whatever pieces arrive. Memory is bounded by the constants above, whatever a
/// server claims.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    string: Option<OpenString>,
    arrays: Vec<OpenArray>,
    kept_bytes: usize,
    kept_items: usize,
}

/// A string of which bytes are missing.
#[derive(Debug)]
struct OpenString {
    kept: Vec<u8>,
    length: u64,
    /// Bytes to come, without the line end.
    left: u64,
    /// Bytes of the line end that came.
    end: usize,
}

/// An array of which values are missing.
#[derive(Debug)]
struct OpenArray {
    kept: Vec<Value>,
    length: u64,
    left: u64,
}

impl Reader {
    /// A reader at the beginning of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes off the front of `input`, until a reply is whole or nothing is left. After an
    /// error the stream is lost.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Value>, RespError> {
        while !input.is_empty() {
            let value = match &mut self.string {
                Some(string) => {
                    let (count, whole) = string.take(input, MAX_KEPT - self.kept_bytes)?;
                    self.kept_bytes += count;
                    if !whole {
                        continue;
                    }
                    self.string.take().map(OpenString::value)
                }
                None => self.read_line(input)?,
            };
            if let Some(whole) = value.and_then(|value| self.place(value)) {
                (self.kept_bytes, self.kept_items) = (0, 0);
                return Ok(Some(whole));
            }
        }
        Ok(None)
    }

    /// A line, and the value that it is; strings and arrays go on.
    fn read_line(&mut self, input: &mut &[u8]) -> Result<Option<Value>, RespError> {
        let end = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let (piece, rest) = input.split_at(end.unwrap_or(input.len()));
        if self.line.len() + piece.len() > MAX_LINE {
            return Err(RespError::LineTooLong);
        }
        self.line.extend_from_slice(piece);
        *input = rest;
        if !matches!(self.line.first(), Some(b'+' | b'-' | b':' | b'$' | b'*')) {
            return Err(RespError::Kind);
        }
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let text = line[1..].trim_ascii_end();
        let number = || str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        match line[0] {
            b'+' => Ok(Some(Value::Simple(String::from_utf8_lossy(text).into_owned()))),
            b'-' => Ok(Some(Value::Error(String::from_utf8_lossy(text).into_owned()))),
            b':' => number().map(|number| Some(Value::Integer(number))).ok_or(RespError::Number),
            kind => match number() {
                Some(-1) => Ok(Some(Value::Null)),
                Some(length) => {
                    let length = u64::try_from(length).map_err(|_| RespError::Number)?;
                    self.open(kind == b'*', length)
                }
                None => Err(RespError::Number),
            },
        }
    }

    fn open(&mut self, is_array: bool, length: u64) -> Result<Option<Value>, RespError> {
        if !is_array {
            self.string = Some(OpenString { kept: Vec::new(), length, left: length, end: 0 });
            return Ok(None);
        }
        if length == 0 {
            return Ok(Some(Value::Array { kept: Vec::new(), length }));
        }
        if self.arrays.len() == MAX_DEPTH {
            return Err(RespError::TooDeep);
        }
        self.arrays.push(OpenArray { kept: Vec::new(), length, left: length });
        Ok(None)
    }

    /// Puts a value into the array that it belongs to; what is whole then is the reply.
    fn place(&mut self, mut value: Value) -> Option<Value> {
        loop {
            let Some(array) = self.arrays.last_mut() else { return Some(value) };
            if self.kept_items < MAX_ITEMS {
                self.kept_items += 1;
                array.kept.push(value);
            }
            array.left -= 1;
            if array.left > 0 {
                return None;
            }
            let OpenArray { kept, length, .. } = self.arrays.pop()?;
            value = Value::Array { kept, length };
        }
    }
}

impl OpenString {
    /// Takes bytes off the front of `input`: how many were kept, and whether it is whole.
    fn take(&mut self, input: &mut &[u8], room: usize) -> Result<(usize, bool), RespError> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        let (piece, rest) = input.split_at(count);
        let kept = &piece[..count.min(room)];
        self.kept.extend_from_slice(kept);
        self.left -= count as u64;
        *input = rest;
        while self.left == 0 && self.end < 2 {
            let Some((byte, rest)) = input.split_first() else { break };
            if *byte != b"\r\n"[self.end] {
                return Err(RespError::Length);
            }
            *input = rest;
            self.end += 1;
        }
        Ok((kept.len(), self.end == 2))
    }

    fn value(self) -> Value {
        Value::Bulk { kept: self.kept, length: self.length }
    }
}

/// A command with its arguments.
pub fn command(words: &[&[u8]]) -> Vec<u8> {
    around(words, None, &[]).0
}

/// The bytes before and behind an argument of `length` bytes that the caller sends itself, since
/// it is too long to be held.
pub fn command_around(before: &[&[u8]], length: u64, behind: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    around(before, Some(length), behind)
}

fn around(before: &[&[u8]], gap: Option<u64>, behind: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let words = before.len() + usize::from(gap.is_some()) + behind.len();
    let mut head = format!("*{words}\r\n").into_bytes();
    let add = |to: &mut Vec<u8>, word: &[u8]| {
        let mut start = String::new();
        let _ = write!(start, "${}\r\n", word.len()); // Writing to a text cannot fail.
        to.extend_from_slice(start.as_bytes());
        to.extend_from_slice(word);
        to.extend_from_slice(b"\r\n");
    };
    for word in before {
        add(&mut head, word);
    }
    let mut tail = Vec::new();
    if let Some(length) = gap {
        head.extend_from_slice(format!("${length}\r\n").as_bytes());
        tail.extend_from_slice(b"\r\n");
        for word in behind {
            add(&mut tail, word);
        }
    }
    (head, tail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(pieces: &[&[u8]]) -> Result<Vec<Value>, RespError> {
        let (mut reader, mut values) = (Reader::new(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                values.extend(reader.read(&mut rest)?);
            }
        }
        Ok(values)
    }

    fn bulk(text: &str) -> Value {
        Value::Bulk { kept: text.as_bytes().to_vec(), length: text.len() as u64 }
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        let wire = b"+OK\r\n-ERR no\r\n:-42\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n\
                     *2\r\n*1\r\n:1\r\n$1\r\nx\r\n";
        let inner = Value::Array { kept: vec![Value::Integer(1)], length: 1 };
        let expected = vec![
            Value::Simple("OK".to_owned()),
            Value::Error("ERR no".to_owned()),
            Value::Integer(-42),
            bulk("a\r\nbc"),
            bulk(""),
            Value::Null,
            Value::Null,
            Value::Array { kept: vec![], length: 0 },
            Value::Array { kept: vec![inner, bulk("x")], length: 2 },
        ];
        assert_eq!(read_all(&[wire]), Ok(expected));
    }

    #[test]
    fn what_is_no_reply_is_named() {
        let long = [b"+".to_vec(), vec![b'x'; MAX_LINE]].concat();
        let deep = b"*1\r\n".repeat(MAX_DEPTH + 1);
        for (wire, error) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], RespError::Kind),
            (b":x\r\n", RespError::Number),
            (b"$-2\r\n", RespError::Number),
            (b"$1\r\nabc", RespError::Length),
            (b"*99999999999999999999\r\n", RespError::Number),
            (&long, RespError::LineTooLong),
            (&deep, RespError::TooDeep),
        ] {
            assert_eq!(read_all(&[wire]), Err(error));
        }
    }

    #[test]
    fn a_long_reply_is_counted_and_not_kept() {
        let mut reader = Reader::new();
        let mut start: &[u8] = b"*3000\r\n$400000\r\n";
        assert_eq!(reader.read(&mut start), Ok(None));
        let mut value = None;
        for piece in [vec![b'x'; 400_000], b"\r\n".to_vec(), b":7\r\n".repeat(2_999)] {
            value = reader.read(&mut &piece[..]).unwrap();
        }
        let Some(Value::Array { kept, length }) = value else { panic!("{value:?}") };
        assert_eq!((kept.len(), length), (MAX_ITEMS, 3_000));
        let Value::Bulk { kept, length } = &kept[0] else { panic!("{:?}", kept[0]) };
        assert_eq!((kept.len(), *length), (MAX_KEPT, 400_000));
        assert_eq!(read_all(&[b"$9223372036854775807\r\nx"]), Ok(vec![]));
    }

    #[test]
    fn commands_are_arrays_of_strings() {
        assert_eq!(command(&[b"GET", b"k"]), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        let (head, tail) = command_around(&[b"SET", b"k"], 3, &[b"EX", b"60"]);
        assert_eq!(head, b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n");
        assert_eq!(tail, b"\r\n$2\r\nEX\r\n$2\r\n60\r\n");
    }

    proptest! {
        /// For all bytes and all cuts of them: no panic, and the same values or the same error.
        #[test]
        fn every_cut_reads_alike(
            parts in prop::collection::vec(prop::sample::select(vec![
                "+OK\r\n", "-E\r\n", ":1\r\n", "$3\r\nabc\r\n", "*2\r\n", "$-1\r\n", "$2\r\n", "\n",
                "x", "*0\r\n",
            ]), 0..9),
            cut in 0_usize..60,
        ) {
            let wire = parts.concat().into_bytes();
            let (a, b) = wire.split_at(cut.min(wire.len()));
            prop_assert_eq!(read_all(&[&wire]), read_all(&[a, b]));
            let bytes: Vec<&[u8]> = wire.chunks(1).collect();
            prop_assert_eq!(read_all(&[&wire]), read_all(&bytes));
        }
    }
}
