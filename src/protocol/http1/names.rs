//! One look at the lines of a head: whether they are as they should be, and which of the names
//! that matter they have.

use memchr::memchr_iter;

use crate::protocol::http1::start::token_length;

/// Where in a head the lines of the names are that are looked up in every head, or in many: most
/// heads lack most of them, and need not be searched for each of them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// Positions in the head, from the first line of that name to behind the last one.
    spans: [(usize, usize); WANTED.len()],
}

/// The names.
const WANTED: [&[u8]; 5] =
    [b"host", b"cookie", b"upgrade", b"content-length", b"transfer-encoding"];

/// Whether there are line ends that are not CRLF, folds, lines without a name and a colon, or
/// control characters; and which of the names that are looked up there may be.
pub(super) fn look_at_lines(bytes: &[u8]) -> (bool, Names) {
    // Every byte is looked at, which takes less time than to stop at the first.
    let is_control = |byte: u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n');
    let mut odd = bytes.iter().fold(false, |odd, byte| odd | is_control(*byte));
    let (mut names, mut at, mut lines) = (Names::NONE, 0, 0);
    for feed in memchr_iter(b'\n', bytes) {
        let line = &bytes[at..feed];
        let text = line.strip_suffix(b"\r");
        odd |= text.is_none();
        if lines > 0 {
            odd |= names.look(text.unwrap_or(line), (at, feed + 1));
        }
        (at, lines) = (feed + 1, lines + 1);
    }
    if at < bytes.len() {
        // The last line is cut, and not looked at.
        (odd, names) = (true, Names::ALL);
    }
    // A carriage return inside of a line belongs to no line end.
    (odd || memchr_iter(b'\r', bytes).count() != lines, names)
}

impl Names {
    const NONE: Self = Self { spans: [(0, 0); WANTED.len()] };
    const ALL: Self = Self { spans: [(0, usize::MAX); WANTED.len()] };

    /// Where lines of that name may be; `None` says anywhere.
    pub(super) fn span(&self, name: &str) -> Option<(usize, usize)> {
        let (first, last) = self.spans[Self::index(name.as_bytes())?];
        (last != usize::MAX).then_some((first, last))
    }

    /// Looks at a line without its end, which takes that part of the head. Returns whether it is
    /// odd: then it may have any name.
    fn look(&mut self, line: &[u8], (start, end): (usize, usize)) -> bool {
        let length = token_length(line);
        let is_odd = !line.is_empty() && (length == 0 || line.get(length) != Some(&b':'));
        if is_odd {
            *self = Self::ALL;
        } else if let Some(index) = Self::index(&line[..length]) {
            let (first, last) = &mut self.spans[index];
            if *last == 0 {
                *first = start;
            }
            *last = end.max(*last);
        }
        is_odd
    }

    fn index(name: &[u8]) -> Option<usize> {
        let index = match name.len() {
            4 => 0,
            6 => 1,
            7 => 2,
            14 => 3,
            17 => 4,
            _ => return None,
        };
        name.eq_ignore_ascii_case(WANTED[index]).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::http1::head::salvage;
    use crate::protocol::http1::start::Kind;

    proptest! {
        /// The values of a name are those of all lines with that name, however odd the head.
        #[test]
        fn no_value_is_missed(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "Host", "cookie", "UPGRADE", "Content-Length", "transfer-encoding", "A", ":",
                    ": ", " ", "\t", "\r\n", "\n", "\r", "b", "\0", "é", "\r\n\r\n",
                ]),
                0..40,
            ),
        ) {
            let bytes = format!("GET / HTTP/1.1\r\n{}", pieces.concat());
            let Some(head) = salvage(Kind::Request, bytes.as_bytes()) else {
                return Err(TestCaseError::fail("the start line is certain"));
            };
            for name in ["host", "Cookie", "upgrade", "content-length", "Transfer-Encoding", "a"] {
                let is = |found: &&[u8]| found.eq_ignore_ascii_case(name.as_bytes());
                let fields = head.fields().filter(|field| is(&field.name));
                let all: Vec<&[u8]> = fields.map(|field| field.value).collect();
                prop_assert_eq!(head.values(name).collect::<Vec<_>>(), all, "{}", name);
            }
        }
    }

    #[test]
    fn where_lines_of_a_name_may_be() {
        let span = |fields: &str, name| {
            look_at_lines(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes()).1.span(name)
        };
        assert_eq!(span("A: b\r\nHOST: a\r\n", "host"), Some((22, 31)));
        assert_eq!(span("host: a\r\nA: b\r\nHost: c\r\nB:\r\n", "host"), Some((16, 40)));
        assert_eq!(span("Host: a\r\n", "cookie"), Some((0, 0)));
        assert_eq!(span("Host: a\r\n", "accept"), None, "only some are known");
        for odd in ["Host\r\n : a\r\n", "Host : a\r\n", " Host: a\r\n", "Host: a\r\nB\r\n"] {
            assert_eq!(span(odd, "host"), None, "{odd:?}");
        }
    }

    #[test]
    fn lines_that_are_odd() {
        let is_odd = |head: &str| look_at_lines(head.as_bytes()).0;
        assert!(!is_odd("GET / HTTP/1.1\r\nA: b\tc\r\n\r\n"));
        for odd in ["A: b\n", "A: b\r\r\n", "A: \rb\r\n", "A: \0\r\n", "A\r\n", ": b\r\n"] {
            assert!(is_odd(&format!("GET / HTTP/1.1\r\n{odd}\r\n")), "{odd:?}");
        }
    }
}
