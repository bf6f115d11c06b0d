//! Records of a `.gor` file: a header line, a payload, a separator line.

use std::io::{self, BufRead, Read};

use crate::capture::gor_header::{HEADER_BYTES_MAX, Header, gor_header};

/// The separator, between a line feed that is no part of the payload and another one.
pub(super) const SEPARATOR: &[u8] = "🐵🙈🙉".as_bytes();

/// Longest record kept, in bytes; of a longer one nothing is.
pub const RECORD_BYTES_MAX: usize = 96 * 1024 * 1024;

/// A record, or what stands in the place of one.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Header and payload; empty when it was longer than [`RECORD_BYTES_MAX`].
    pub(super) bytes: Vec<u8>,
    pub(super) is_too_long: bool,
    /// A separator came behind it.
    pub(super) is_ended: bool,
    /// Where it begins.
    pub(super) offset: u64,
}

impl Record {
    /// Its header, and its payload.
    pub(super) fn parts(&self) -> Option<(Header<'_>, &[u8])> {
        let line_end = self.bytes.iter().take(HEADER_BYTES_MAX).position(|byte| *byte == b'\n')?;
        let header = gor_header(&self.bytes[..line_end])?;
        Some((header, &self.bytes[line_end + 1..]))
    }

    /// The separator was part of the payload: adds it and what came behind it.
    pub(super) fn join(&mut self, next: &Self) {
        if self.bytes.len() + next.bytes.len() > RECORD_BYTES_MAX || next.is_too_long {
            self.is_too_long = true;
            self.bytes = Vec::new();
            return;
        }
        self.bytes.push(b'\n');
        self.bytes.extend_from_slice(SEPARATOR);
        self.bytes.push(b'\n');
        self.bytes.extend_from_slice(&next.bytes);
        self.is_ended = next.is_ended;
    }
}

/// Splits a file into records. The line end behind the last separator may be missing, and those
/// of the whole file may be CR LF.
pub(super) struct Records<'a> {
    input: &'a mut dyn BufRead,
    offset: u64,
}

impl<'a> Records<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input, offset: 0 }
    }

    /// The next record that is not empty.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let record = self.piece()?;
            let is_end = !record.is_ended;
            if record.is_too_long || !record.bytes.trim_ascii().is_empty() {
                return Ok(Some(record));
            }
            if is_end {
                return Ok(None);
            }
        }
    }

    fn piece(&mut self) -> io::Result<Record> {
        const STEP: u64 = 64 * 1024;
        let mut record = Record { offset: self.offset, ..Record::default() };
        let (mut line, mut at_line_start) = (Vec::new(), true);
        loop {
            line.clear();
            let read = (&mut *self.input).take(STEP).read_until(b'\n', &mut line)?;
            self.offset += read as u64;
            if read == 0 {
                return Ok(record);
            }
            if at_line_start && line.trim_ascii_end() == SEPARATOR {
                record.is_ended = true;
                record.bytes.pop(); // The line feed in front of the separator.
                return Ok(record);
            }
            at_line_start = line.ends_with(b"\n");
            record.is_too_long |= record.bytes.len() + line.len() > RECORD_BYTES_MAX;
            if record.is_too_long {
                record.bytes = Vec::new();
            } else {
                record.bytes.extend_from_slice(&line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_at_separator_lines_only() {
        let text = "1 a 1\nx 🐵🙈🙉\ny\n\n🐵🙈🙉\n🐵🙈🙉\n2 a 2\nz\n🐵🙈🙉";
        let mut input = text.as_bytes();
        let mut records = Records::new(&mut input);
        let first = records.next().unwrap().unwrap();
        assert_eq!(first.parts().unwrap().1, "x 🐵🙈🙉\ny\n".as_bytes());
        let second = records.next().unwrap().unwrap();
        assert!(second.is_ended && second.parts().unwrap().1 == b"z");
        assert!(records.next().unwrap().is_none());
    }
}
