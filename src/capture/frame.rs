//! A frame as a capture file holds it, and what its reader saw besides frames.

use std::collections::BTreeMap;

use crate::recording::ledger::cut;

/// One captured frame, whatever it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Capture time, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// How the data begins.
    pub link: LinkType,
    /// The bytes that were captured.
    pub data: &'a [u8],
    /// How many bytes were on the wire, by the capture's own account; more than `data` holds
    /// where a snap length cut it.
    pub wire_bytes: u32,
}

/// A link-layer header type, numbered as on <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub i32);

impl LinkType {
    /// Of a pcapng packet whose interface was never described.
    pub const UNDECLARED: Self = Self(-1);
}

/// What a reader saw that is no frame: losses whose size is unknown, and oddities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// How often, by name; they become notes of the ledger.
    pub counts: BTreeMap<&'static str, u64>,
    /// Sentences for people, with byte offsets; only the first [`MAX_WARNINGS`].
    pub warnings: Vec<String>,
}

/// A damaged file could yield a warning per block, and nobody reads more than a few.
pub const MAX_WARNINGS: usize = 16;

impl Notes {
    /// Counts something under a name.
    pub(crate) fn count(&mut self, name: &'static str, amount: u64) {
        if amount > 0 {
            *self.counts.entry(name).or_default() += amount;
        }
    }

    /// Keeps a sentence for people.
    pub(crate) fn warn(&mut self, text: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(text);
        }
    }

    /// The file ends inside what begins at `offset`.
    pub(crate) fn cut(&mut self, offset: u64, left: usize) {
        self.count(cut::CAPTURE, 1);
        self.warn(format!(
            "the capture file is cut: what begins at byte {offset} is not whole, \
             its {left} bytes are not used"
        ));
    }

    /// From `offset` on nothing could be read, up to `end`.
    pub(crate) fn skipped(&mut self, offset: u64, end: u64) {
        self.count("corrupt place skipped", 1);
        self.count("bytes of corrupt places skipped", end.saturating_sub(offset));
        self.warn(format!(
            "the capture file is corrupt at byte {offset}: {} bytes were skipped",
            end.saturating_sub(offset)
        ));
    }
}

/// Where a frame lies in the bytes at the front of the reader's window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Capture time; `None` where the file has none, or none that fits.
    pub(crate) at_ns: Option<i64>,
    /// How the data begins.
    pub(crate) link: LinkType,
    /// Start and end of the frame's data in the window.
    pub(crate) data: (usize, usize),
    /// Bytes on the wire.
    pub(crate) wire_bytes: u32,
    /// Bytes that the record or block takes in the window.
    pub(crate) consumed: usize,
}
