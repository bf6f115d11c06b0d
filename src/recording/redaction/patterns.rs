//! What gives itself away wherever it stands: e-mail addresses, cards, tokens, and whatever a
//! policy has expressions for.

use std::borrow::Cow;
use std::ops::Range;

use crate::recording::redaction::coding::Coding;
use crate::recording::redaction::escapes::{plain, whole};
use crate::recording::redaction::hit::{Hit, Hits};
use crate::recording::redaction::names::Entry;
use crate::recording::redaction::pseudonym::JWT;
use crate::recording::redaction::rules::Patterns;
use crate::recording::redaction::{address, card, email};

/// What is searched, and what of it is special; each list is in order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place<'a> {
    /// From where to where.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Nothing is found here.
    pub(crate) spared: &'a [Range<usize>],
    /// Texts of JSON, with its escapes.
    pub(crate) json: &'a [Range<usize>],
}

/// Searches a part of what was already searched by name. Hits must be settled, and are again: what
/// a name has found stays as it is.
pub(crate) fn find(patterns: &Patterns, bytes: &[u8], place: Place<'_>, hits: &mut Hits) {
    let (start, Some(raw)) = (place.start, bytes.get(place.start..place.end)) else { return };
    let text = without_escapes(raw, place);
    let text = text.as_ref();
    let mut found = Hits::default();
    let mut add = |of_text: Range<usize>, entry: Entry| {
        let range = start + of_text.start..start + of_text.end;
        let (range, coding) = match meeting(place.json, &range) {
            Some(_) => (whole(bytes, range), Coding::Json),
            None => (range, Coding::Percent),
        };
        let is_spared = meeting(place.spared, &range).is_some();
        if !range.is_empty() && !is_spared && !hits.meets(&range) {
            found.push(Hit { range, entry, coding });
        }
    };
    if patterns.email.is_some() || patterns.jwt.is_some() {
        find_marked(patterns, text, &mut add);
    }
    if let Some(entry) = patterns.card {
        card::find(text, &mut |range| add(range, entry));
    }
    if let Some(entry) = patterns.address {
        address::find(text, &mut |range| add(range, entry));
    }
    for (expression, entry) in &patterns.expressions {
        let matches = expression.find_iter(text).map(|found| found.range());
        for range in matches.filter(|range| !range.is_empty()) {
            add(range, *entry);
        }
    }
    if !found.0.is_empty() {
        found.0.into_iter().for_each(|hit| hits.push(hit));
        hits.settle();
    }
}

fn without_escapes<'a>(raw: &'a [u8], place: Place<'_>) -> Cow<'a, [u8]> {
    let mut text = Cow::Borrowed(raw);
    for json in place.json {
        let part = json.start.saturating_sub(place.start)..json.end.saturating_sub(place.start);
        if let Some(Cow::Owned(other)) = raw.get(part.clone()).map(plain)
            && let Some(part) = text.to_mut().get_mut(part)
        {
            part.copy_from_slice(&other);
        }
    }
    text
}

/// The one of some ranges in order that has a byte of another.
fn meeting<'a>(ranges: &'a [Range<usize>], other: &Range<usize>) -> Option<&'a Range<usize>> {
    let behind = ranges.partition_point(|range| range.end <= other.start);
    ranges.get(behind).filter(|range| range.start < other.end)
}

/// Bytes that are compared at once; a compiler makes few instructions of it.
const CHUNK: usize = 32;

/// Finds what has an `@`, also as `%40`, or begins with `eyJ`.
fn find_marked(patterns: &Patterns, text: &[u8], add: &mut dyn FnMut(Range<usize>, Entry)) {
    let mark = |byte: u8, next: u8| {
        let is_escape = u8::from(byte == b'%') & u8::from(next == b'4');
        u8::from(byte == b'@') | u8::from(byte == b'J') | is_escape
    };
    let mut done = 0;
    for (number, chunk) in text.chunks(CHUNK).enumerate() {
        // The last byte of all has none behind it, and marks nothing.
        let pairs = chunk.iter().zip(text.get(number * CHUNK + 1..).unwrap_or_default());
        // Numbers, not truths: a way out in the loop would keep it from being few instructions.
        if pairs.clone().fold(0, |any, (byte, next)| any | mark(*byte, *next)) == 0 {
            continue;
        }
        let marked = pairs.enumerate().filter(|(_, (byte, next))| mark(**byte, **next) != 0);
        for (position, (byte, _)) in marked {
            let at = number * CHUNK + position;
            if at < done {
                continue;
            }
            let (found, entry) = match byte {
                b'@' => (email::around(text, at, 1, done), patterns.email),
                b'%' if text.get(at..at + 3) == Some(b"%40") => {
                    (email::around(text, at, 3, done), patterns.email)
                }
                b'J' => (token(text, at), patterns.jwt),
                _ => (None, None),
            };
            if let (Some(range), Some(entry)) = (found, entry) {
                done = range.end;
                add(range, entry);
            }
        }
    }
}

/// Fewest characters of a token's header and of its claims: `{"a":1}` has ten.
const MIN_PART: usize = 8;

/// Parts of a token: three where it is signed, five where it is encrypted.
const MAX_PARTS: usize = 5;

/// The token of which the first three letters end at `last`: three to five parts in base64, of
/// which those behind the second may be empty.
fn token(text: &[u8], last: usize) -> Option<Range<usize>> {
    let start = last.checked_sub(JWT.len() - 1)?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let rest = text.get(start..)?;
    let before = start.checked_sub(1).and_then(|before| text.get(before));
    let is_escape = start.checked_sub(3).is_some_and(|at| text.get(at) == Some(&b'%'));
    if !rest.starts_with(JWT) || before.is_some_and(is_part) && !is_escape {
        return None;
    }
    let (mut length, mut parts) = (0, 0);
    loop {
        let part = rest.get(length..)?.iter().take_while(|byte| is_part(byte)).count();
        if parts < 2 && part < MIN_PART {
            return None;
        }
        (length, parts) = (length + part, parts + 1);
        if parts == MAX_PARTS || rest.get(length) != Some(&b'.') {
            return (parts > 2).then_some(start..start + length);
        }
        length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::redaction::policy::Policy;
    use crate::recording::redaction::policy::{Action, Pattern, Sought, expression};
    use crate::recording::redaction::rules::Rules;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl-_";

    fn found(policy: &Policy, text: &str) -> Vec<String> {
        let mut hits = Hits::default();
        let patterns = Rules::new(policy).patterns;
        let place = Place { end: text.len(), ..Place::default() };
        find(&patterns, text.as_bytes(), place, &mut hits);
        hits.0.into_iter().map(|hit| text[hit.range].to_owned()).collect()
    }

    #[test]
    fn patterns_are_found_wherever_they_stand() {
        let token = |text: &str| text.replace("JWT", TOKEN);
        for (text, expected, why) in [
            ("write to anna@shop.example!", &["anna@shop.example"][..], "a text"),
            ("a@b.de,c@d.de", &["a@b.de", "c@d.de"], "two"),
            ("a@b.de@c.de", &["a@b.de"], "nonsense"),
            ("q=anna%40shop.example", &["anna%40shop.example"], "escaped"),
            ("{\"t\":\"JWT\"}", &["JWT"], "a token in JSON"),
            ("x=%22JWT%22", &["JWT"], "a token behind an escape"),
            ("aJWT", &[], "part of a longer word"),
            ("eyJhbGciOi.eyJzdWIiOi", &[], "two parts"),
            ("eyJ.eyJ.eyJ", &[], "too short"),
            ("93.184.216.34", &[], "addresses are not looked for by default"),
        ] {
            let expected: Vec<String> = expected.iter().map(|text| token(text)).collect();
            for front in 0..70 {
                let moved = format!("{} {}", ".".repeat(front), token(text));
                assert_eq!(found(&Policy::default(), &moved), expected, "{why}");
            }
        }
    }

    /// What an expression finds of an escape is left out in front, and taken whole at the end.
    #[test]
    fn expressions_see_json_without_its_escapes() {
        for (written, json, expected) in [
            ("[A-Za-z]+-[0-9]+", r#""\nABC-12""#, "ABC-12"),
            (r"\bABC-[0-9]+", r#""x\nABC-12""#, "ABC-12"),
            ("c[a-z]", r#""b\u00ecab""#, ""),
            (r"a\n", r#""ba\nb""#, r"a\n"),
            (r"\\", r#""b\\""#, r"\\"),
        ] {
            let mut policy = Policy::nothing();
            let sought = Sought::Expression(expression(written).unwrap());
            let action = Action::default();
            policy.patterns = vec![Pattern { name: String::new(), sought, action }];
            let mut hits = Hits::default();
            let whole = 0..json.len();
            let place = Place { end: json.len(), json: &[whole], ..Place::default() };
            find(&Rules::new(&policy).patterns, json.as_bytes(), place, &mut hits);
            let found: Vec<&str> = hits.0.into_iter().map(|hit| &json[hit.range]).collect();
            assert_eq!(found.concat(), expected, "{written} {json}");
        }
    }

    #[test]
    fn a_policy_has_patterns_of_its_own() {
        let mut policy = Policy::nothing();
        assert!(found(&policy, "anna@shop.example").is_empty());
        let pattern = |sought| Pattern { name: String::new(), sought, action: Action::default() };
        policy.patterns = vec![
            pattern(Sought::Expression(expression(r"CUST-\d{3}|x*").unwrap())),
            pattern(Sought::Address),
        ];
        assert_eq!(found(&policy, "CUST-123 at 8.8.8.8"), ["CUST-123", "8.8.8.8"]);
    }
}
