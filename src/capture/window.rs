//! A bounded view of the front of an input: as many bytes as asked for, none copied twice.

use std::io::{self, Read};

/// The bytes of an input that were read and not consumed yet.
#[derive(Debug)]
pub(crate) struct Window<R> {
    reader: R,
    /// Read bytes; those before `start` are consumed.
    buffer: Vec<u8>,
    start: usize,
    /// Position in the input of the first byte that is not consumed.
    offset: u64,
    ended: bool,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), start: 0, offset: 0, ended: false }
    }

    /// Makes `wanted` bytes visible if the input has that many; says how many are visible.
    ///
    /// Memory grows with the bytes that are really there, not with `wanted`, which may be a
    /// number from a hostile file.
    pub(crate) fn reach(&mut self, wanted: usize) -> io::Result<usize> {
        let visible = self.bytes().len();
        if visible >= wanted || self.ended {
            return Ok(visible);
        }
        // Moved only when that frees as much as it moves, so that each byte moves once or so.
        if self.start >= visible {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let missing = (wanted - visible).max(READ_BYTES);
        let read = (&mut self.reader).take(missing as u64).read_to_end(&mut self.buffer)?;
        self.ended = read < missing;
        Ok(self.bytes().len())
    }

    /// The visible bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Gives up `count` bytes at the front, at most those that are visible.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.bytes().len());
        self.start += count;
        self.offset += count as u64;
    }

    /// Position in the input of the first visible byte.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The input itself.
    pub(crate) fn reader(&self) -> &R {
        &self.reader
    }
}

/// Large enough that moving the rest of a record to the front costs little.
const READ_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_consumed_is_gone_and_the_rest_moves_up() {
        let input: Vec<u8> = (0..=255).cycle().take(3 * READ_BYTES).collect();
        let mut window = Window::new(&input[..]);
        assert!(window.reach(4).unwrap() >= 4);
        window.consume(3);
        assert_eq!(window.bytes().first(), Some(&3));
        assert!(window.reach(2 * READ_BYTES).unwrap() >= 2 * READ_BYTES);
        assert_eq!((window.bytes().first(), window.offset()), (Some(&3), 3));
        assert_eq!(window.reach(usize::MAX).unwrap(), input.len() - 3);
        window.consume(usize::MAX);
        assert_eq!((window.reach(1).unwrap(), window.offset()), (0, input.len() as u64));
    }
}
