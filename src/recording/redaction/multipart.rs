//! Forms in parts: each has a name and a value, or is a file.

use std::ops::Range;

use crate::recording::redaction::bodies::{find_in_text, is_text};
use crate::recording::redaction::coding::Coding;
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::rules::Rules;

/// Finds the values of parts whose names are listed, and looks into those that are texts.
pub(crate) fn find_multipart(
    rules: &Rules,
    body: &[u8],
    range: Range<usize>,
    boundary: &[u8],
    hits: &mut Hits,
) {
    let Some(text) = body.get(range.clone()) else { return };
    let marker = [b"--", boundary].concat();
    let mut start = next(text, 0, &marker).map(|at| at + marker.len());
    while let Some(from) = start {
        let found = next(text, from, &marker);
        let end = found.unwrap_or(text.len());
        let part = text.get(from..end).unwrap_or_default();
        let part = part.strip_suffix(b"\r\n").or(part.strip_suffix(b"\n")).unwrap_or(part);
        find_in_part(rules, body, range.start + from..range.start + from + part.len(), hits);
        start = found.map(|at| at + marker.len());
    }
}

/// Where a boundary stands at the start of a line.
fn next(text: &[u8], from: usize, marker: &[u8]) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with(marker) && (at == 0 || text.get(at - 1) == Some(&b'\n')) {
            return Some(at);
        }
        at += rest.iter().skip(1).position(|byte| *byte == b'-')? + 1;
    }
}

fn find_in_part(rules: &Rules, body: &[u8], range: Range<usize>, hits: &mut Hits) {
    let part = body.get(range.clone()).unwrap_or_default();
    let mut at = range.start;
    let (mut name, mut is_file) = (&[][..], false);
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = line.trim_ascii();
        if line.is_empty() && at > range.start + 2 {
            break;
        }
        let is_disposition = line
            .get(..DISPOSITION.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(DISPOSITION));
        if is_disposition {
            name = attribute(line, b"name").unwrap_or_default();
            is_file = attribute(line, b"filename").is_some();
        }
    }
    let value = at..range.end.max(at);
    match rules.fields.get(name).filter(|_| !name.is_empty()) {
        Some(entry) => hits.add(body, value, entry, Coding::Percent),
        None if !is_file || is_text(body.get(value.clone()).unwrap_or_default()) => {
            find_in_text(rules, body, value, hits);
        }
        None => {}
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
    use crate::recording::redaction::policy::Policy;

    fn found(body: &str, boundary: &str) -> Vec<String> {
        let mut hits = Hits::default();
        let rules = Rules::new(&Policy::default());
        find_multipart(&rules, body.as_bytes(), 0..body.len(), boundary.as_bytes(), &mut hits);
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
            (part("name=\"token\"", "") + &part("name=\"pin\"", "12"), &["12"], "an empty one"),
        ] {
            assert_eq!(found(&format!("{parts}--xy--\r\n"), "xy"), expected, "{why}");
        }
        let cut = part("name=\"pin\"", "12");
        assert_eq!(found(cut.trim_end(), "xy"), ["12"], "cut");
        assert_eq!(found("no boundary", "xy"), [""; 0]);
    }
}
