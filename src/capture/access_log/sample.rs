//! A log whose first lines are looked at before it is read.

use std::io::{self, BufRead, Chain, Cursor, Read};

use memchr::memchr;

use crate::capture::access_log::format::Format;
use crate::capture::access_log::zone::Zone;
use crate::capture::source::Source;
use crate::recording::ledger::Ledger;

/// Longest line read, in bytes: servers allow heads of 8 to 32 KiB, and escapes make four bytes of
/// one. The rest of a longer line is skipped.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes that the format is told by.
const SAMPLE_BYTES: u64 = 128 * 1024;

/// Lines that the format is told by.
const SAMPLE_LINES: usize = 64;

/// An open log and its format.
#[derive(Debug)]
pub struct Log {
    /// The path as given.
    pub name: String,
    /// How its lines are read.
    pub format: Format,
    /// Where its clock stood, if its times do not say.
    pub zone: Option<Zone>,
    input: Sampled,
}

/// A source with the bytes that were looked at in front of it.
pub type Sampled = Chain<Cursor<Vec<u8>>, Source>;

impl Log {
    /// Opens a log, in the format given or in the one that its first lines have. Where they have
    /// none, it gives back all of the input, for whoever can read it.
    pub fn open(mut source: Source, given: Option<&Format>) -> io::Result<Result<Self, Sampled>> {
        let mut sample = Vec::new();
        if given.is_none() {
            (&mut source).take(SAMPLE_BYTES).read_to_end(&mut sample)?;
        }
        let format = given.cloned().or_else(|| {
            let lines = sample.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let lines: Vec<&[u8]> =
                lines.filter(|line| !line.is_empty()).take(SAMPLE_LINES).collect();
            Format::detect(&lines)
        });
        let name = source.name().to_owned();
        let input = Cursor::new(sample).chain(source);
        Ok(match format {
            Some(format) => Ok(Self { name, format, zone: None, input }),
            None => Err(input),
        })
    }

    /// What is added to its times, in nanoseconds.
    pub(super) fn clock_shift_ns(&self) -> i64 {
        self.input.get_ref().1.clock_shift_ns()
    }

    /// Notes that it was not read to its end, if that is so. Returns the sentence for people.
    pub(super) fn note_damage(&self, ledger: &mut Ledger) -> Option<String> {
        self.input.get_ref().1.note_damage(ledger)
    }

    /// Reads the next line into `text`. Returns whether it is whole; `None` at the end.
    pub(super) fn line(&mut self, text: &mut Vec<u8>) -> io::Result<Option<bool>> {
        text.clear();
        let read = (&mut self.input).take(LINE_BYTES_MAX as u64).read_until(b'\n', text)?;
        if read == 0 {
            return Ok(None);
        }
        if read < LINE_BYTES_MAX || text.ends_with(b"\n") {
            return Ok(Some(true));
        }
        text.clear();
        loop {
            let more = match self.input.fill_buf() {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr(b'\n', more);
            let (used, is_last) = (end.map_or(more.len(), |end| end + 1), more.is_empty());
            self.input.consume(used);
            if end.is_some() || is_last {
                return Ok(Some(false));
            }
        }
    }
}
