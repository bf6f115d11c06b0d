//! Places of bytes that are to be replaced. Finding looks at what is there, and changes nothing:
//! a value that holds what would end another is seen as it was on the wire.

use std::ops::Range;

use crate::recording::redaction::coding::Coding;
use crate::recording::redaction::names::Entry;

/// A value that does not stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Where it stands.
    pub(crate) range: Range<usize>,
    /// What happens to it.
    pub(crate) entry: Entry,
    /// How it is written.
    pub(crate) coding: Coding,
}

/// Hits of one text: a body of 16 MiB that had more would hold a secret in every 64 bytes.
pub(crate) const MAX_HITS: usize = 1 << 18;

/// What was found in one head, target or body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hits(pub(crate) Vec<Hit>);

impl Hits {
    /// Adds the value at a range, without the blanks around it; nothing where nothing is left.
    pub(crate) fn add(&mut self, bytes: &[u8], range: Range<usize>, entry: Entry, coding: Coding) {
        let value = bytes.get(range.clone()).unwrap_or_default();
        let start = range.end - value.trim_ascii_start().len();
        let end = start + value.trim_ascii().len();
        if start < end {
            self.push(Hit { range: start..end, entry, coding });
        }
    }

    /// Behind [`MAX_HITS`], all from the last hit on is filled: memory stays small, and no secret.
    pub(crate) fn push(&mut self, hit: Hit) {
        if self.0.len() < MAX_HITS {
            self.0.push(hit);
        } else if let Some(last) = self.0.last_mut() {
            last.range.start = last.range.start.min(hit.range.start);
            last.range.end = last.range.end.max(hit.range.end);
            last.entry.is_filled = true;
        }
    }

    /// Puts all in order, without overlaps: of two that meet, the first keeps what both have.
    pub(crate) fn settle(&mut self) {
        self.0.sort_by(|a, b| (a.range.start, b.range.end).cmp(&(b.range.start, a.range.end)));
        let mut end = 0;
        self.0.retain_mut(|hit| {
            hit.range.start = hit.range.start.max(end);
            end = end.max(hit.range.end);
            !hit.range.is_empty()
        });
    }

    /// A settled hit has a byte of the range.
    pub(crate) fn meets(&self, range: &Range<usize>) -> bool {
        let behind = self.0.partition_point(|hit| hit.range.end <= range.start);
        self.0.get(behind).is_some_and(|hit| hit.range.start < range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_the_most_hits_all_is_one() {
        let entry = Entry { rule: 0, is_filled: false, is_email: false };
        let mut hits = Hits::default();
        let text = "a,".repeat(MAX_HITS + 2);
        for at in 0..MAX_HITS + 2 {
            hits.add(text.as_bytes(), 2 * at..2 * at + 1, entry, Coding::Percent);
        }
        assert_eq!(hits.0.len(), MAX_HITS);
        let last = hits.0.last().unwrap();
        assert_eq!(last.range, 2 * MAX_HITS - 2..2 * MAX_HITS + 3);
        assert!(last.entry.is_filled);
    }

    #[test]
    fn hits_do_not_overlap_and_nothing_of_them_is_lost() {
        let entry = Entry { rule: 0, is_filled: false, is_email: false };
        let mut hits = Hits::default();
        let bytes = b" 0123456789 ";
        for range in [4..8, 0..12, 2..6, 12..12] {
            hits.add(bytes, range, entry, Coding::Percent);
        }
        hits.add(bytes, 0..1, entry, Coding::Percent);
        hits.settle();
        let ranges: Vec<_> = hits.0.iter().map(|hit| hit.range.clone()).collect();
        assert_eq!(ranges.len(), 1, "the largest has them all, and blanks are no values");
        assert_eq!(ranges.first(), Some(&(1..11)));
        let mut hits = Hits::default();
        for range in [4..8, 2..6] {
            hits.add(bytes, range, entry, Coding::Percent);
        }
        hits.settle();
        let ranges: Vec<_> = hits.0.iter().map(|hit| hit.range.clone()).collect();
        assert_eq!(ranges, [2..6, 6..8]);
        assert!(hits.meets(&(0..3)) && hits.meets(&(7..9)));
        assert!(!hits.meets(&(0..2)) && !hits.meets(&(8..9)));
    }
}
