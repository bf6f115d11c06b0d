//! Where things stand in the head of a request, and what changes there. Nothing else of the head
//! is touched.

use std::ops::Range;

/// A header line: where it is, with its end and its continuations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) line: Range<usize>,
    /// Without blanks around it; empty where there is no colon.
    pub(crate) name: Range<usize>,
    /// Without blanks around it.
    pub(crate) value: Range<usize>,
}

impl Field {
    pub(crate) fn is_named(&self, head: &[u8], name: &str) -> bool {
        head.get(self.name.clone()).is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// The header lines of a head, of a request or of an answer.
pub(crate) fn fields(head: &[u8]) -> impl Iterator<Item = Field> {
    let mut at = start_line(head).end;
    std::iter::from_fn(move || {
        let start = at;
        let mut end = start + next_line(head, start)?;
        if is_empty(head.get(start..end)?) {
            return None;
        }
        // A line that begins with a blank continues the one before.
        while matches!(head.get(end), Some(b' ' | b'\t')) {
            end += next_line(head, end)?;
        }
        at = end;
        let line = head.get(start..end)?;
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(colon) => (start..start + colon, start + colon + 1..end),
            None => (start..start, start..end),
        };
        Some(Field { line: start..end, name: trimmed(head, name), value: trimmed(head, value) })
    })
}

/// The target of a request; `None` where its first line has none.
pub(crate) fn target(head: &[u8]) -> Option<Range<usize>> {
    let line = trimmed(head, start_line(head));
    let text = head.get(line.clone())?;
    let method = text.iter().position(|byte| *byte == b' ')?;
    let start = method + text.get(method..)?.iter().take_while(|byte| **byte == b' ').count();
    let rest = text.get(start..)?;
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    (end > 0).then(|| line.start + start..line.start + start + end)
}

/// The head with other bytes in some places; `edits` are in order and do not overlap.
pub(crate) fn spliced(head: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(head.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut at = 0;
    for (place, new) in edits {
        out.extend_from_slice(head.get(at..place.start).unwrap_or_default());
        out.extend_from_slice(new);
        at = place.end;
    }
    out.extend_from_slice(head.get(at..).unwrap_or_default());
    out
}

/// The first line with its end, behind empty lines that a client sent first.
fn start_line(head: &[u8]) -> Range<usize> {
    let mut at = 0;
    while let Some(length) = next_line(head, at) {
        if !is_empty(head.get(at..at + length).unwrap_or_default()) {
            return at..at + length;
        }
        at += length;
    }
    at..at
}

/// Length of the line that begins there, with its end; `None` at the end.
fn next_line(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    Some(memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1))
}

fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n" | b"\r")
}

fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let text = bytes.get(range.clone()).unwrap_or_default();
    let start = text.len() - text.trim_ascii_start().len();
    let length = text.trim_ascii().len();
    range.start + start..range.start + start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] =
        b"\r\nGET  /a?b HTTP/1.1\r\nHost: x\r\nX-Long : one\r\n two\r\nno colon\r\n\r\nrest: 1\r\n";

    #[test]
    fn each_line_is_found_where_it_is() {
        let text =
            |range: &Range<usize>| String::from_utf8_lossy(&HEAD[range.clone()]).into_owned();
        let found: Vec<(String, String)> =
            fields(HEAD).map(|field| (text(&field.name), text(&field.value))).collect();
        let expected = [("Host", "x"), ("X-Long", "one\r\n two"), ("", "no colon")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(text(&target(HEAD).unwrap()), "/a?b");
        assert_eq!(target(b"GET\r\n\r\n"), None);
        assert_eq!(target(b""), None);
        assert_eq!(target(b"GET /old\r\n"), Some(4..8));
    }

    #[test]
    fn only_the_places_change() {
        let target = target(HEAD).unwrap();
        let last = fields(HEAD).last().unwrap().line.end;
        let edits = [(target, b"/c".to_vec()), (last..last, b"New: 2\r\n".to_vec())];
        let out = String::from_utf8(spliced(HEAD, &edits)).unwrap();
        assert!(out.starts_with("\r\nGET  /c HTTP/1.1\r\nHost: x\r\n"), "{out}");
        assert!(out.ends_with("no colon\r\nNew: 2\r\n\r\nrest: 1\r\n"), "{out}");
    }
}
