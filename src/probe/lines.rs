//! Counts lines in bytes that come in pieces.

/// Most bytes kept of a line that has not ended; longer ones are searched in parts.
const MAX_LINE: usize = 64 << 10;

/// The lines so far.
pub(crate) struct Lines {
    needle: Option<String>,
    begun: Vec<u8>,
    is_found: bool,
    pub(crate) all: u64,
    pub(crate) matching: u64,
}

impl Lines {
    pub(crate) fn new(needle: Option<String>) -> Self {
        Self { needle, begun: Vec::new(), is_found: false, all: 0, matching: 0 }
    }

    pub(crate) fn has_needle(&self) -> bool {
        self.needle.is_some()
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(MAX_LINE) {
                self.begun.extend_from_slice(part);
                if self.begun.len() > MAX_LINE {
                    self.search();
                    let kept = self.needle.as_ref().map_or(0, |needle| needle.len() - 1);
                    let kept = kept.min(self.begun.len());
                    self.begun.drain(..self.begun.len() - kept);
                }
            }
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// The file ends here, and so does its last line.
    pub(crate) fn end(&mut self) {
        if !self.begun.is_empty() || self.is_found {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        self.search();
        self.all += 1;
        self.matching += u64::from(self.is_found);
        self.is_found = false;
        self.begun.clear();
    }

    fn search(&mut self) {
        if let Some(needle) = &self.needle {
            self.is_found |= String::from_utf8_lossy(&self.begun).contains(needle.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(pieces: &[&[u8]]) -> (u64, u64) {
        let mut lines = Lines::new(Some("ERROR".to_owned()));
        for piece in pieces {
            lines.feed(piece);
        }
        lines.end();
        (lines.all, lines.matching)
    }

    #[test]
    fn lines_are_counted_whatever_pieces_they_come_in() {
        assert_eq!(counted(&[b"an ERROR\nfine\n\n\xff ERROR ERROR\n"]), (4, 2));
        assert_eq!(counted(&[b"an ER", b"ROR\nfi", b"ne", b"\n"]), (2, 1));
        assert_eq!(counted(&[b"fine\nERROR without an end"]), (2, 1));
        assert_eq!(counted(&[]), (0, 0));
    }

    #[test]
    fn a_line_without_end_is_searched_and_not_kept() {
        let mut lines = Lines::new(Some("ERROR".to_owned()));
        for _ in 0..40 {
            lines.feed(&[b'x'; 10_000]);
            assert!(lines.begun.len() <= 2 * MAX_LINE);
        }
        lines.feed(b"ERR");
        lines.feed(&[b"OR".to_vec(), vec![b'y'; MAX_LINE + 9]].concat());
        lines.feed(b"\nfine\n");
        assert_eq!((lines.all, lines.matching), (2, 1));
    }
}
