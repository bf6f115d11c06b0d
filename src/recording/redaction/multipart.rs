//! Forms in parts: each has a name and a value, or is a file.

use std::ops::Range;

use memchr::memchr;

use crate::recording::redaction::bodies::is_text;
use crate::recording::redaction::coding::Coding;
use crate::recording::redaction::declared::{MAX_BOUNDARY, begins_like_json};
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::json::find_json;
use crate::recording::redaction::names::innermost;
use crate::recording::redaction::rules::Rules;

/// Parts that are told apart: a form has some dozens.
pub(crate) const MAX_PARTS: usize = 1 << 16;

/// What a search of the whole form must know of its parts; both lists are in order.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Lines with the boundary, and files that are no texts.
    pub(crate) spared: Vec<Range<usize>>,
    pub(crate) json: Vec<Range<usize>>,
    pub(crate) has_binary: bool,
    /// There are more than [`MAX_PARTS`].
    pub(crate) is_cut: bool,
}

/// Finds the values of parts whose names are listed, and of fields in parts that are JSON; `None`
/// where no line has the boundary.
pub(crate) fn find_multipart(
    rules: &Rules,
    body: &[u8],
    boundary: &[u8],
    hits: &mut Hits,
) -> Option<Parts> {
    let mut parts = Parts::default();
    let mut marker = next(body, 0, boundary)?;
    loop {
        let from = marker.end;
        parts.spared.push(marker);
        let found = next(body, from, boundary);
        let end = found.as_ref().map_or(body.len(), |marker| marker.start);
        let part = body.get(from..end).unwrap_or_default();
        let whole = part.strip_suffix(b"\r\n").or(part.strip_suffix(b"\n"));
        let part = whole.filter(|_| found.is_some()).unwrap_or(part);
        find_in_part(rules, body, from..from + part.len(), (&mut parts, hits));
        parts.is_cut = found.is_some() && parts.spared.len() >= MAX_PARTS;
        let Some(found) = found.filter(|_| !parts.is_cut) else { return Some(parts) };
        marker = found;
    }
}

/// The boundary of a text that begins like a form in parts, whatever its head says.
pub(crate) fn first_boundary(text: &[u8]) -> Option<&[u8]> {
    let boundary = text.strip_prefix(b"--")?;
    let end = memchr(b'\n', boundary)?;
    let behind = boundary.get(end + 1..)?.get(..DISPOSITION.len())?;
    let boundary = boundary.get(..end)?.trim_ascii_end();
    let is_form = behind.eq_ignore_ascii_case(DISPOSITION);
    (is_form && (1..=MAX_BOUNDARY).contains(&boundary.len())).then_some(boundary)
}

/// The next line that is a boundary, with its end; a position behind a line's end is given.
fn next(body: &[u8], from: usize, boundary: &[u8]) -> Option<Range<usize>> {
    let mut at = from;
    loop {
        let line = body.get(at..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', line).map_or(line.len(), |end| end + 1);
        let line = line.get(..length)?;
        if is_marker(line, boundary) {
            return Some(at..at + length);
        }
        at += length;
    }
}

/// Behind a boundary there may be blanks, and behind the last of all whatever there is.
fn is_marker(line: &[u8], boundary: &[u8]) -> bool {
    let behind = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
    behind.is_some_and(|behind| behind.starts_with(b"--") || behind.trim_ascii().is_empty())
}

fn find_in_part(
    rules: &Rules,
    body: &[u8],
    range: Range<usize>,
    (parts, hits): (&mut Parts, &mut Hits),
) {
    let part = body.get(range.clone()).unwrap_or_default();
    let mut at = range.start;
    let (mut name, mut is_file, mut is_disposition) = (&[][..], false, false);
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let is_folded = matches!(line.first(), Some(b' ' | b'\t'));
        let line = line.trim_ascii();
        if line.is_empty() {
            break;
        }
        let starts = |text: &[u8]| {
            line.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
        };
        is_disposition = starts(DISPOSITION) || (is_folded && is_disposition);
        if is_disposition {
            name = attribute(line, b"name").unwrap_or(name);
            is_file |= attribute(line, b"filename").is_some();
        }
    }
    let value = at..range.end.max(at);
    let text = body.get(value.clone()).unwrap_or_default();
    if let Some(entry) = rules.fields.get(innermost(name)).filter(|_| !name.is_empty()) {
        hits.add(body, value, entry, Coding::Percent);
    } else if (is_file || name.is_empty()) && !is_text(text) {
        parts.spared.push(value);
        parts.has_binary = true;
    } else if begins_like_json(text) {
        find_json(rules, body, value.clone(), hits);
        parts.json.push(value);
    }
}

const DISPOSITION: &[u8] = b"Content-Disposition:";

/// The value of an attribute such as `name="a"`.
fn attribute<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.split(|byte| *byte == b';').find_map(|pair| {
        let (front, value) = pair.trim_ascii().split_at_checked(name.len())?;
        let value = value.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
        front.eq_ignore_ascii_case(name).then(|| {
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            value.strip_suffix(b"\"").unwrap_or(value)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::redaction::bodies::find_body;
    use crate::recording::redaction::policy::Policy;

    fn found(body: &str, boundary: &str) -> Vec<String> {
        let mut hits = Hits::default();
        let rules = Rules::new(&Policy::default());
        find_multipart(&rules, body.as_bytes(), boundary.as_bytes(), &mut hits);
        hits.0.into_iter().map(|hit| body[hit.range].to_owned()).collect()
    }

    #[test]
    fn values_are_found_by_the_name_of_their_part() {
        let part = |head: &str, value: &str| {
            format!("--xy\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
        };
        for (parts, expected, why) in [
            (part("name=\"password\"", "ab-c"), &["ab-c"][..], "a value"),
            (part("name=password", "a\r\n--x\r\nb"), &["a\r\n--x\r\nb"], "lines and no quotes"),
            (part("name=\"city\"", "Ulm"), &[], "another name"),
            (part("name=\"a\"", "{\"pin\":\"ab\"}"), &["ab"], "JSON in a part"),
            (part("name=\"a\"; filename=\"b.txt\"", "{\"pin\":\"ab\"}"), &["ab"], "a text file"),
            (part("name=\"a\"; filename=\"b\"", "\0{\"pin\":\"ab\"}"), &[], "another file"),
            (part("name=\"user[password]\"", "ab"), &["ab"], "in brackets"),
            (part("name=\"user.pin\"", "12"), &["12"], "behind a dot"),
            (part("a=b;\r\n name=\"pin\"", "12"), &["12"], "a folded line"),
            (part("name=\"pin\"", "12").replace("xy", "xy \t"), &["12"], "blanks"),
            (part("name=\"pin\"", "1\r\n--xyz\r\n2"), &["1\r\n--xyz\r\n2"], "no boundary"),
            (part("name=\"token\"", "") + &part("name=\"pin\"", "12"), &["12"], "an empty one"),
        ] {
            assert_eq!(found(&format!("{parts}--xy--\r\n"), "xy"), expected, "{why}");
        }
        let cut = part("name=\"pin\"", "12");
        assert_eq!(found(cut.trim_end(), "xy"), ["12"], "cut");
        assert_eq!(found("no boundary", "xy"), [""; 0]);
    }

    #[test]
    fn parts_are_bounded() {
        let mut hits = Hits::default();
        let rules = Rules::new(&Policy::default());
        let body = "--x\n".repeat(MAX_PARTS);
        let mut is_cut =
            |body: &str| find_multipart(&rules, body.as_bytes(), b"x", &mut hits).unwrap().is_cut;
        assert!(!is_cut(&body));
        assert!(is_cut(&(body + "--x\n")));
    }

    #[test]
    fn heads_of_parts_are_searched_and_boundaries_and_files_are_not() {
        let head = "POST / HTTP/1.1\r\n\
                    Content-Type: multipart/form-data; boundary=4111111111111111\r\n\r\n";
        let part = |head: &str, value: &str| {
            format!("--4111111111111111\r\nContent-Disposition: a; {head}\r\n\r\n{value}\r\n")
        };
        let body = [
            part("name=\"b\"; filename=\"anna@b.cd\"", "a@b.cd"),
            part("name=\"c\"; filename=\"c\"", "\0a@b.cd"),
            part("name=\"d\"", "{\"e\":\"f\\nanna@b.cd\"}"),
        ];
        let mut hits = Hits::default();
        let rules = Rules::new(&Policy::default());
        let body = body.concat();
        find_body(&rules, Some(head.as_bytes()), body.as_bytes(), &mut hits);
        let found: Vec<&str> = hits.0.into_iter().map(|hit| &body[hit.range]).collect();
        assert_eq!(found, ["anna@b.cd", "a@b.cd", "anna@b.cd"]);
    }
}
