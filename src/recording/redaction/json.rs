//! Fields of JSON by their name, at any depth. What is read need not be valid JSON, nor whole: a
//! string is what stands between quotes, a name is a string with a colon behind it. Values are
//! replaced where they stand, so that not a byte of the rest changes.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};

use crate::recording::redaction::coding::{Coding, Decoded};
use crate::recording::redaction::escapes;
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::names::{Entry, innermost};
use crate::recording::redaction::rules::Rules;
use crate::recording::redaction::urls::find_url;

/// Finds the values of listed fields. Of an object or a list, all strings and numbers are values;
/// `true`, `false` and `null` are told by their length, and stay.
pub(crate) fn find_json(rules: &Rules, bytes: &[u8], range: Range<usize>, hits: &mut Hits) {
    let Some(text) = bytes.get(..range.end) else { return };
    let mut at = range.start;
    while let Some(name) = next_string(text, at) {
        at = name.behind;
        let Some(colon) = colon(text, at) else {
            find_in_string(rules, text, name.inside, hits);
            continue;
        };
        at = colon + 1;
        let entry =
            text.get(name.inside).and_then(|name| rules.fields.get(innermost(&plain(name))));
        if let Some(entry) = entry {
            at = find_value(entry, bytes, at..range.end, hits);
        }
    }
}

/// Finds what a URL in a string hides.
fn find_in_string(rules: &Rules, text: &[u8], inside: Range<usize>, hits: &mut Hits) {
    let raw = text.get(inside.clone()).unwrap_or_default();
    let is_scheme = |colon: usize| {
        let behind = raw.get(colon + 1..).unwrap_or_default();
        behind.starts_with(b"//") || behind.starts_with(b"\\/\\/")
    };
    if !memchr_iter(b':', raw).any(is_scheme) {
        return;
    }
    let url = escapes::plain(raw);
    let mut found = Hits::default();
    find_url(rules, &url, 0..url.len(), &mut found);
    for hit in found.0 {
        let range = escapes::whole(raw, hit.range);
        let range = inside.start + range.start..inside.start + range.end;
        hits.add(text, range, hit.entry, Coding::Json);
    }
}

/// A string, without its quotes.
struct Text {
    inside: Range<usize>,
    /// Where what follows it begins.
    behind: usize,
}

fn next_string(text: &[u8], at: usize) -> Option<Text> {
    let quote = memchr(b'"', text.get(at..)?)?;
    Some(string(text, at + quote))
}

/// The string that a quote opens; one that is cut ends with the text.
fn string(text: &[u8], quote: usize) -> Text {
    let start = quote + 1;
    let mut at = start;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match memchr2(b'"', b'\\', rest) {
            Some(length) if rest.get(length) == Some(&b'"') => {
                let end = at + length;
                return Text { inside: start..end, behind: end + 1 };
            }
            Some(length) => at = (at + length + 2).min(text.len()),
            None => return Text { inside: start..text.len(), behind: text.len() },
        }
    }
}

/// The colon that makes a string a name.
fn colon(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    (rest.get(blanks) == Some(&b':')).then_some(at + blanks)
}

fn plain(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'\\') {
        return Cow::Borrowed(name);
    }
    let mut decoded = Decoded::default();
    decoded.read(name, Coding::Json);
    Cow::Owned(decoded.bytes)
}

/// Finds the strings and numbers of a value; returns where it ends. Brackets need not be of one
/// kind: what opens must close.
fn find_value(entry: Entry, bytes: &[u8], range: Range<usize>, hits: &mut Hits) -> usize {
    let Some(text) = bytes.get(..range.end) else { return range.end };
    let (mut at, mut depth) = (range.start, 0_u64);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let value = string(text, at);
                at = value.behind;
                if depth > 0
                    && let Some(colon) = colon(text, at)
                {
                    at = colon + 1;
                    continue;
                }
                hits.add(bytes, value.inside, entry, Coding::Json);
            }
            b'0'..=b'9' | b'-' if word_end(text, at) == number(text, at).end => {
                let number = number(text, at);
                // An exponent stays: with another one the number may be too large for anything.
                let mantissa = text.get(number.clone()).unwrap_or_default();
                let digits =
                    mantissa.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).count();
                hits.add(bytes, at..at + digits, entry, Coding::Percent);
                at = number.end;
            }
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                if depth == 0 {
                    return at;
                }
                depth -= 1;
                at += 1;
            }
            // A value that is none, or the next field.
            b',' if depth == 0 => return at,
            b',' | b':' => {
                at += 1;
                continue;
            }
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            _ => {
                let end = word_end(text, at);
                let word = text.get(at..end).unwrap_or_default();
                if text.get(end) == Some(&b':') && depth > 0 {
                    at = end + 1;
                    continue;
                }
                if !WORDS.contains(&word) {
                    hits.add(bytes, at..end, entry, Coding::Json);
                }
                at = end;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Values that are told by their length.
const WORDS: [&[u8]; 3] = [b"true", b"false", b"null"];

/// Where a value without quotes ends, which only a lenient reader takes, or one in quotes of
/// another kind.
fn word_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let quoted = rest.strip_prefix(b"'").and_then(|rest| memchr2(b'\'', b'\n', rest));
    if let Some(length) = quoted.filter(|length| rest.get(length + 1) == Some(&b'\'')) {
        return at + length + 2;
    }
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || b",:\"{}[]".contains(byte);
    let length = rest.iter().skip(1).position(is_end).map_or(rest.len(), |length| length + 1);
    at + length
}

fn number(text: &[u8], at: usize) -> Range<usize> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let rest = text.get(at..).unwrap_or_default();
    at..at + rest.iter().take_while(|byte| is_part(byte)).count()
}

#[cfg(test)]
mod tests {
    use crate::recording::redaction::Redactor;

    #[test]
    fn fields_are_found_at_any_depth_and_the_rest_stays_byte_for_byte() {
        for (json, expected, why) in [
            (r#"{"password":"ab"}"#, r#"{"password":"xx"}"#, "a string"),
            (r#"{ "Pass_Word" : "ab" }"#, r#"{ "Pass_Word" : "xx" }"#, "blanks and spelling"),
            (r#"{"a":[{"userPassword":"ab"}]}"#, r#"{"a":[{"userPassword":"xx"}]}"#, "deep"),
            (r#"{"pass\u0077ord":"ab"}"#, r#"{"pass\u0077ord":"xx"}"#, "an escaped name"),
            (r#"{"pin":"a\"b\\","c":"d"}"#, r#"{"pin":"xxxxxx","c":"d"}"#, "escapes"),
            (r#"{"note":"password","b":"c"}"#, r#"{"note":"password","b":"c"}"#, "a value"),
            (
                r#"{"card":{"no":"1","x":[2,"3"]},"b":"c"}"#,
                r#"{"card":{"no":"x","x":[x,"x"]},"b":"c"}"#,
                "an object",
            ),
            (r#"{"token":["a","b"],"c":["d"]}"#, r#"{"token":["x","x"],"c":["d"]}"#, "a list"),
            (
                r#"{"token":null,"otp":true,"b":"c"}"#,
                r#"{"token":null,"otp":true,"b":"c"}"#,
                "words",
            ),
            (r#"{"pin":hunter2x,"b":1}"#, r#"{"pin":xxxxxxxx,"b":1}"#, "no quotes"),
            (r#"{"pin":12ab,"b":1}"#, r#"{"pin":xxxx,"b":1}"#, "a number in front"),
            (r#"{"pin":'a, b',"b":1}"#, r#"{"pin":xxx xx,"b":1}"#, "other quotes"),
            (r#"{"card":{no:'1',x:2},"b":1}"#, r#"{"card":{no:xxx,x:x},"b":1}"#, "nor of names"),
            (r#"{"token":"","b":"c"}"#, r#"{"token":"","b":"c"}"#, "empty"),
            (r#"{"password":"ab"#, r#"{"password":"xx"#, "cut in a value"),
            (r#"{"password":"ab\"#, r#"{"password":"xxx"#, "cut in an escape"),
            (r#"{"password":"#, r#"{"password":"#, "cut before a value"),
            (r#"{"passwo"#, r#"{"passwo"#, "cut in a name"),
            (r#"{"password":}{"pin":"ab"}"#, r#"{"password":}{"pin":"xx"}"#, "no value, and more"),
            ("[{\"pin\":\"a\"}\n{\"pin\":\"b\"}", "[{\"pin\":\"x\"}\n{\"pin\":\"x\"}", "lines"),
            (r#"{"a":"anna@b.de"}"#, r#"{"a":"xxxxxxxxx"}"#, "a pattern"),
            (r#"{"a":"b\nanna@b.de"}"#, r#"{"a":"b\nxxxxxxxxx"}"#, "behind an escape"),
            (r#"{"a":"j\u00fcrg@b.de"}"#, r#"{"a":"xxxxxxxxxxxxxx"}"#, "an escape in it"),
            (r#"{"a":"a\u0040b.de"}"#, r#"{"a":"xxxxxxxxxxx"}"#, "an escape between"),
            (
                r#"{"a":"b\n4111111111111111"}"#,
                r#"{"a":"b\nxxxxxxxxxxxxxxxx"}"#,
                "a card behind an escape",
            ),
            (
                r#"{"a":"b\teyJhbGciOi.eyJzdWIiOi.c2ln"}"#,
                r#"{"a":"b\txxxxxxxxxxxxxxxxxxxxxxxxxx"}"#,
                "a token behind an escape",
            ),
            (
                r#"{"user.pin":"ab","user[password]":"cd"}"#,
                r#"{"user.pin":"xx","user[password]":"xx"}"#,
                "the last part of a name",
            ),
            (
                r#"{"url":"https://me:pw@h/?access_token=ab","b":"c"}"#,
                r#"{"url":"https://xx:xx@h/?access_token=xx","b":"c"}"#,
                "a URL",
            ),
            (
                r#"["https:\/\/me:pw@h\/?a=b\u0026token\u003dab\u0026c=d"]"#,
                r#"["https:\/\/xx:xx@h\/?a=b\u0026token\u003dxx\u0026c=d"]"#,
                "a URL behind escapes",
            ),
        ] {
            assert_eq!(Redactor::filler().shown_body(json), expected, "{why}");
        }
    }

    #[test]
    fn numbers_stay_numbers_of_the_same_length() {
        for number in ["1234", "0", "-1", "10.50", "7", "123456789", "1.5e10", "0.001"] {
            let json = format!("{{\"pin\":{number}, \"b\":1}}");
            let other = Redactor::example().shown_body(&json);
            assert_eq!(other.len(), json.len(), "{other}");
            assert_ne!(other, json);
            assert!(serde_json::from_str::<serde_json::Value>(&other).is_ok(), "{other}");
            assert!(other.ends_with(", \"b\":1}"), "{other}");
            assert_eq!(other.contains("e10"), json.contains("e10"), "{other}");
        }
    }
}
