//! What is counted in a log stream. No line is kept.

use std::collections::BTreeMap;

use crate::act::canary::dated::{date_of, dated};
use crate::act::wall::unix_ns;
use crate::drive::clock::monotonic_ns;

/// What was seen in a stream since it was opened.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Lines, marked or not.
    pub(super) lines: u64,
    /// Lines without a word.
    pub(super) blank: u64,
    /// Lines whose marker is cut off, or that hold two different ones.
    pub(super) torn: u64,
    /// Marked lines that are no JSON object with a level and a time, by what is wrong.
    pub(super) malformed: BTreeMap<&'static str, u64>,
    /// Marked lines by marker.
    pub(super) marks: BTreeMap<u32, Marked>,
}

/// The lines of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    /// How many.
    pub(super) count: u64,
    /// When the first was read, as `CLOCK_MONOTONIC` has it.
    pub(super) read_ns: u64,
    /// How the first is dated, and when it was read, both since the Unix epoch.
    dated: Option<(i64, i64)>,
}

impl Marked {
    /// How far the date of a line is from what it can be, where it was written after `sent_ns` and
    /// before it was read; `None` where it is right within bounds, or not there.
    pub(super) fn skew_ns(&self, sent_ns: i64) -> Option<i64> {
        let (dated, read) = self.dated?;
        let (ahead, behind) = (dated.saturating_sub(read), dated.saturating_sub(sent_ns));
        if ahead > SKEW_NS_MAX {
            return Some(ahead);
        }
        // A date may have whole seconds only.
        (behind < -SKEW_NS_MAX - 1_000_000_000).then_some(behind)
    }
}

const SKEW_NS_MAX: i64 = 2_000_000_000;

impl Seen {
    /// Adds what a command printed that had been begun again: it may have printed the same lines
    /// anew, so the more of each counts, and not the sum.
    pub(super) fn merge(&mut self, pass: Self) {
        self.lines = self.lines.max(pass.lines);
        self.blank = self.blank.max(pass.blank);
        self.torn = self.torn.max(pass.torn);
        for (wrong, count) in pass.malformed {
            let kept = self.malformed.entry(wrong).or_default();
            *kept = count.max(*kept);
        }
        for (number, marked) in pass.marks {
            let kept = self.marks.entry(number).or_insert(marked);
            kept.count = kept.count.max(marked.count);
        }
    }
}

/// Turns bytes into counts.
pub(super) struct Counter {
    mark: String,
    is_json: bool,
    partial: Vec<u8>,
}

/// Longest line that is looked at; the rest of a longer one is passed over.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Most markers that are kept: a target that makes them up must not fill the memory.
const MARKS_MAX: usize = 100_000;

/// Digits of a marker's number.
pub(super) const DIGITS: usize = 8;

impl Counter {
    /// Counts lines that hold `mark` and a number of [`DIGITS`] digits.
    pub(super) fn new(mark: &str, is_json: bool) -> Self {
        Self { mark: mark.to_owned(), is_json, partial: Vec::new() }
    }

    pub(super) fn add(&mut self, seen: &mut Seen, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.line(seen, &line);
            }
        }
    }

    /// No more will come: what has no line end is torn where a marker is in it.
    pub(super) fn end(&mut self, seen: &mut Seen) {
        let rest = std::mem::take(&mut self.partial);
        seen.torn += u64::from(String::from_utf8_lossy(&rest).contains(self.mark.as_str()));
    }

    fn line(&self, seen: &mut Seen, line: &[u8]) {
        seen.lines += 1;
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            seen.blank += 1;
            return;
        }
        let mut first = None;
        let mut is_torn = false;
        for rest in text.split(self.mark.as_str()).skip(1) {
            let number = rest.get(..DIGITS).and_then(|digits| digits.parse::<u32>().ok());
            is_torn |= number.is_none() || first.is_some_and(|first| Some(first) != number);
            first = first.or(number);
        }
        seen.torn += u64::from(is_torn);
        let Some(number) = first else { return };
        if seen.marks.len() >= MARKS_MAX && !seen.marks.contains_key(&number) {
            return;
        }
        let fields = self.is_json.then(|| serde_json::from_str(text).ok()).flatten();
        let marked = seen.marks.entry(number).or_insert_with(|| {
            let date = fields.as_ref().map_or_else(|| dated(text), date_of);
            Marked { count: 0, read_ns: monotonic_ns(), dated: date.map(|at| (at, unix_ns())) }
        });
        marked.count += 1;
        if let Some(wrong) = self.is_json.then(|| malformed(fields.as_ref())).flatten() {
            *seen.malformed.entry(wrong).or_default() += 1;
        }
    }
}

/// What is wrong with a line that should be JSON, in words that hold nothing of it.
fn malformed(line: Option<&serde_json::Value>) -> Option<&'static str> {
    let Some(serde_json::Value::Object(fields)) = line else { return Some("is no JSON object") };
    let has = |names: &[&str]| names.iter().any(|name| fields.contains_key(*name));
    if !has(&["level", "severity", "lvl", "loglevel", "log.level"]) {
        return Some("has no level");
    }
    (!has(&super::dated::FIELDS)).then_some("has no timestamp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str) -> Seen {
        let (mut counter, mut seen) = (Counter::new("m-", false), Seen::default());
        counter.add(&mut seen, text.as_bytes());
        counter.end(&mut seen);
        seen
    }

    #[test]
    fn torn_and_blank_lines_and_duplicates_are_counted() {
        let seen = counted("m-00000001 a\n\nm-00000001 b\nm-00000002m-00000003\nm-000\nm-00000004");
        assert_eq!((seen.lines, seen.blank, seen.torn), (5, 1, 3));
        let counts: Vec<(u32, u64)> =
            seen.marks.iter().map(|(number, marked)| (*number, marked.count)).collect();
        assert_eq!(counts, [(1, 2), (2, 1)]);
        // The same marker twice in a line is how some formats are.
        assert_eq!(counted("m-00000001 m-00000001\n").torn, 0);
    }

    #[test]
    fn a_command_that_prints_the_same_again_has_not_logged_it_twice() {
        let mut seen = counted("m-00000001\nm-00000001\n");
        seen.merge(counted("m-00000001\nm-00000001\nm-00000002\n"));
        assert_eq!(seen.marks[&1].count, 2);
        assert_eq!((seen.marks.len(), seen.lines), (2, 3));
    }

    #[test]
    fn a_date_may_be_wrong_in_both_directions() {
        let second = 1_000_000_000;
        let dated = |at: i64| Marked { count: 1, read_ns: 0, dated: Some((at, 105 * second)) };
        assert_eq!(dated(102 * second).skew_ns(100 * second), None);
        assert_eq!(dated(98 * second).skew_ns(100 * second), None);
        assert_eq!(dated(90 * second).skew_ns(100 * second), Some(-10 * second));
        assert_eq!(dated(115 * second).skew_ns(100 * second), Some(10 * second));
        assert_eq!(Marked { dated: None, ..dated(0) }.skew_ns(0), None);
    }
}
