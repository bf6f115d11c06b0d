//! A bounded view of the front of an input: as many bytes as asked for, none copied twice.

use std::io::{self, Read};

/// The bytes of an input that were read and not consumed yet.
#[derive(Debug)]
pub(crate) struct Window<R> {
    reader: R,
    /// Bytes from `start` to `filled` are visible; those before are consumed, those behind room.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    /// Position in the input of the first byte that is not consumed.
    offset: u64,
    ended: bool,
    /// Bytes to ask for next.
    chunk: usize,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(reader: R) -> Self {
        let (start, filled, offset) = (0, 0, 0);
        Self { reader, buffer: Vec::new(), start, filled, offset, ended: false, chunk: FIRST_BYTES }
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
            self.buffer.copy_within(self.start..self.filled, 0);
            (self.start, self.filled) = (0, visible);
        }
        // Whatever there is now: a pipe that grows slowly is not waited for beyond what is wanted.
        while !self.ended && self.bytes().len() < wanted {
            let end = self.filled + self.chunk;
            if self.buffer.len() < end {
                self.buffer.resize(end, 0);
            }
            let room = self.buffer.get_mut(self.filled..end).unwrap_or_default();
            match self.reader.read(room) {
                Ok(read) => {
                    self.filled += read.min(room.len());
                    self.ended = read == 0;
                    self.chunk = (self.chunk * 2).min(READ_BYTES);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.bytes().len())
    }

    /// The visible bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.filled).unwrap_or_default()
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

/// A file that is opened long before it is read holds little: a thousand pieces of a capture are
/// a few megabytes.
const FIRST_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time, and fails when it is asked for more than there are yet.
    struct Pipe(usize);

    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.min(10);
            self.0 -= count;
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            buffer[..count].fill(7);
            Ok(count)
        }
    }

    #[test]
    fn no_more_is_read_than_was_asked_for_and_is_there() {
        let mut window = Window::new(Pipe(30));
        assert_eq!(window.reach(4).unwrap(), 10);
        window.consume(4);
        assert_eq!(window.reach(6).unwrap(), 6);
        assert_eq!(window.reach(26).unwrap(), 26);
        assert!(window.reach(27).is_err());
        assert_eq!(window.bytes(), [7; 26]);
    }

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
