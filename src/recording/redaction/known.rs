//! Lines of heads in which nothing is found: most lines of most heads are those of the head before.

use std::fmt;

/// Lines that are remembered, a power of two. One takes the place of another, so that memory stays
/// small.
const LINES: usize = 1024;

/// Longest line that is remembered, in bytes.
const LONGEST: usize = 256;

/// Lines of heads in which one policy finds nothing.
#[derive(Clone)]
pub(crate) struct KnownLines(Vec<Vec<u8>>);

impl Default for KnownLines {
    fn default() -> Self {
        Self(vec![Vec::new(); LINES])
    }
}

/// The lines are of users, and are not shown.
impl fmt::Debug for KnownLines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KnownLines(not shown)")
    }
}

impl KnownLines {
    /// The line was learned, and nothing is in it.
    pub(crate) fn has(&self, line: &[u8]) -> bool {
        !line.is_empty() && self.0.get(place(line)).is_some_and(|known| known == line)
    }

    /// Nothing is in this line, wherever it stands.
    pub(crate) fn learn(&mut self, line: &[u8]) {
        if line.len() <= LONGEST
            && let Some(known) = self.0.get_mut(place(line))
        {
            known.clear();
            known.extend_from_slice(line);
        }
    }
}

/// Where a line is kept, by its length and both its ends: what is between them is compared anyway.
fn place(line: &[u8]) -> usize {
    let eight = |bytes: &[u8]| {
        let mut eight = [0; 8];
        let length = bytes.len().min(8);
        eight[..length].copy_from_slice(&bytes[..length]);
        u64::from_le_bytes(eight)
    };
    let front = eight(line);
    let back = eight(&line[line.len().saturating_sub(8)..]);
    let mixed = (front ^ back.rotate_left(29) ^ line.len() as u64).wrapping_mul(MIX);
    // The upper bits depend on all.
    usize::try_from(mixed >> (64 - LINES.ilog2())).unwrap_or_default()
}

/// An odd number whose bits are spread: its product depends on all bits of the other factor.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recording::redaction::Redactor;

    proptest! {
        /// Whatever was seen before, a head is redacted as if it were the first.
        #[test]
        fn heads_of_before_change_nothing(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "Accept: */*", "Cookie: a=1; b=22", "Host: me@h", "X-Api-Key:", " folded",
                    "Cookie:", "\tk=v", "A: b\rCookie: c=d", "A: 4111111111111111", "",
                    "Content-Length: 4111111111111111", "Referer: /?token=1", "A: anna@b.de",
                    "X-Forwarded-For: 93.184.216.34", "no colon", "eyJhbGciOi", "4111-1111-",
                ]),
                0..12,
            ),
            repeats in 1_usize..4,
        ) {
            let mut redactor = Redactor::filler();
            for count in 0..lines.len() * repeats {
                let (front, back) = lines.split_at(count % lines.len());
                let (front, back) = (front.join("\n"), back.join("\r\n"));
                let head = format!("GET / HTTP/1.1\r\n{back}\r\n{front}");
                let first = Redactor::filler().shown_head(head.as_bytes());
                prop_assert_eq!(redactor.shown_head(head.as_bytes()), first);
            }
        }
    }

    #[test]
    fn what_was_learned_is_known_until_another_takes_its_place() {
        let mut known = KnownLines::default();
        assert!(!known.has(b"") && !known.has(b"Accept: */*\r"));
        known.learn(b"Accept: */*\r");
        assert!(known.has(b"Accept: */*\r"));
        assert!(!known.has(b"Accept: */*") && !known.has(b"accept: */*\r"));
        known.learn(&[b'a'; LONGEST + 1]);
        assert!(!known.has(&[b'a'; LONGEST + 1]));
        for number in 0..20 * LINES {
            known.learn(format!("Accept: {number}\r").as_bytes());
        }
        assert!(!known.has(b"Accept: */*\r"), "memory stays small");
    }
}
