//! Credentials in URLs and in forms.

use std::borrow::Cow;
use std::ops::Range;

use crate::recording::redaction::coding::{Coding, Decoded};
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::names::innermost;
use crate::recording::redaction::rules::Rules;

/// Finds users' names and passwords, and the values of listed parameters, in a URL of any form:
/// with a scheme, with an authority alone, or from the path on.
pub(crate) fn find_url(rules: &Rules, bytes: &[u8], range: Range<usize>, hits: &mut Hits) {
    let first = hits.0.len();
    find_in_url(rules, bytes, range.clone(), hits);
    find_userinfo(rules, bytes, range, hits, first);
}

/// Finds what stands before the `@` of an authority: at the start and after each `//`, for a URL
/// may be the parameter of another. What hits from number `first` on have hides whatever it holds:
/// it would end an authority where the server does not.
pub(crate) fn find_userinfo(
    rules: &Rules,
    bytes: &[u8],
    range: Range<usize>,
    hits: &mut Hits,
    first: usize,
) {
    let Some(entry) = rules.userinfo else { return };
    let Some(url) = bytes.get(range.clone()).filter(|url| url.contains(&b'@')) else { return };
    let parameters: Vec<Range<usize>> =
        hits.0.iter().skip(first).map(|hit| hit.range.clone()).collect();
    let is_hidden = |at: usize| {
        let behind = parameters.partition_point(|range| range.end <= at);
        parameters.get(behind).is_some_and(|range| range.start <= at)
    };
    let ends = |at: usize| {
        let byte = bytes.get(at).copied().unwrap_or_default();
        matches!(byte, b'/' | b'?' | b'#' | b'\\') && !is_hidden(at)
    };
    let (mut start, mut at) = (range.start, None);
    for position in range.clone() {
        if url.get(position - range.start) == Some(&b'@') && !is_hidden(position) {
            at = Some(position);
        }
        if !ends(position) && position + 1 < range.end {
            continue;
        }
        if let Some(at) = at.take() {
            for part in parts(bytes, start..at) {
                hits.add(bytes, part, entry, Coding::Percent);
            }
        }
        // Only what follows two slashes is an authority; until then no `@` counts.
        let is_slash = |at: usize| bytes.get(at) == Some(&b'/') && ends(at);
        start = if is_slash(position) && position > range.start && is_slash(position - 1) {
            position + 1
        } else {
            range.end
        };
    }
}

/// User and password, without the colon between them.
fn parts(bytes: &[u8], userinfo: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let text = bytes.get(userinfo.clone()).unwrap_or_default();
    text.split(|byte| *byte == b':').scan(userinfo.start, |start, part| {
        let range = *start..*start + part.len();
        *start = range.end + 1;
        Some(range)
    })
}

/// Finds the values of listed parameters of a form. A parameter starts after any byte that some
/// server splits at; its value ends where all do, at `&`.
pub(crate) fn find_form(rules: &Rules, bytes: &[u8], range: Range<usize>, hits: &mut Hits) {
    find_parameters(rules, bytes, range, b"&", hits);
}

/// The same in a URL: those of the path end with its segment.
fn find_in_url(rules: &Rules, bytes: &[u8], range: Range<usize>, hits: &mut Hits) {
    let url = bytes.get(range.clone()).unwrap_or_default();
    let path = url.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(url.len());
    let behind = range.start + path;
    find_parameters(rules, bytes, range.start..behind, b"/;", hits);
    find_parameters(rules, bytes, behind..range.end, b"&#", hits);
}

fn find_parameters(rules: &Rules, bytes: &[u8], range: Range<usize>, ends: &[u8], hits: &mut Hits) {
    let mut start = range.start;
    while start < range.end {
        let rest = bytes.get(start..range.end).unwrap_or_default();
        let is_split = |byte: &u8| matches!(byte, b'?' | b'&' | b';' | b'#');
        let mut length = rest.iter().position(is_split).unwrap_or(rest.len());
        let equals = rest.iter().take(length).position(|byte| *byte == b'=');
        if let Some(equals) = equals {
            let (name, value) = rest.split_at(equals);
            let value = value.get(1..).unwrap_or_default();
            let from = start + equals + 1;
            if let Some(entry) = rules.parameters.get(innermost(&unescaped(name))) {
                let end = value.iter().position(|byte| ends.contains(byte));
                let end = end.unwrap_or(value.len());
                hits.add(bytes, from..from + end, entry, Coding::Percent);
                length = equals + 1 + end;
            } else {
                find_escaped(rules, bytes, from..start + length, hits);
            }
        }
        start += length + 1;
    }
}

/// Starts of values that are URLs, escaped.
const ESCAPED: [&[u8]; 6] = [b"http%3a", b"https%3a", b"%2f", b"http:", b"https:", b"/"];

/// Finds the values of listed parameters in a value that is itself a URL, of which `?`, `&`, `=`
/// are escaped once.
fn find_escaped(rules: &Rules, bytes: &[u8], range: Range<usize>, hits: &mut Hits) {
    let value = bytes.get(range.clone()).unwrap_or_default();
    let begins = |start: &&[u8]| {
        value.get(..start.len()).is_some_and(|front| front.eq_ignore_ascii_case(start))
    };
    if !ESCAPED.iter().any(begins) {
        return;
    }
    if let Some(entry) = rules.userinfo
        && let Some(user) = escaped_user(value)
    {
        let user = range.start + user.start..range.start + user.end;
        hits.add(bytes, user, entry, Coding::Percent);
    }
    let mut start = 0;
    while let Some(rest) = value.get(start..).filter(|rest| !rest.is_empty()) {
        let mut length = escaped(rest, b"?&;#").unwrap_or(rest.len());
        let parameter = rest.get(..length).unwrap_or_default();
        if let Some(equals) = escaped(parameter, b"=")
            && let Some(name) = parameter.get(..equals)
            && let Some(entry) = rules.parameters.get(innermost(&unescaped(name)))
        {
            let of_value = equals + ESCAPE;
            let behind = rest.get(of_value..).unwrap_or_default();
            length = of_value + escaped(behind, b"&#").unwrap_or(behind.len());
            let from = range.start + start;
            hits.add(bytes, from + of_value..from + length, entry, Coding::Percent);
        }
        start += length + ESCAPE;
    }
}

/// Bytes of `%3F`.
const ESCAPE: usize = 3;

/// Where the first escape of one of some bytes stands.
fn escaped(text: &[u8], bytes: &[u8]) -> Option<usize> {
    let is_one = |escape: &[u8]| {
        let [b'%', high, low] = escape else { return false };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low);
        byte.is_some_and(|byte| bytes.iter().any(|other| u32::from(*other) == byte))
    };
    text.windows(ESCAPE).position(is_one)
}

/// User and password of a URL that is escaped.
fn escaped_user(url: &[u8]) -> Option<Range<usize>> {
    let start = escaped(url, b"/")? + ESCAPE;
    let start = start + (escaped(url.get(start..)?, b"/")? == 0).then_some(ESCAPE)?;
    let authority = url.get(start..)?;
    let authority = authority.get(..escaped(authority, b"/?#").unwrap_or(authority.len()))?;
    let mut at = None;
    while let Some(next) = escaped(authority.get(at.map_or(0, |at| at + ESCAPE)..)?, b"@") {
        at = Some(at.map_or(0, |at| at + ESCAPE) + next);
    }
    Some(start..start + at?)
}

/// A name without its percent escapes, which must not hide it.
fn unescaped(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'%') && !name.contains(&b'+') {
        return Cow::Borrowed(name);
    }
    let mut decoded = Decoded::default();
    decoded.read(name, Coding::Percent);
    let blank = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    Cow::Owned(decoded.bytes.iter().map(blank).collect())
}

#[cfg(test)]
mod tests {
    use crate::recording::redaction::Redactor;

    #[test]
    fn parameters_are_found_however_they_are_written() {
        for (url, expected, why) in [
            ("/a?token=abc&page=2", "/a?token=xxx&page=2", "the plain form"),
            ("/a?page=2&ACCESS_Token=abc", "/a?page=2&ACCESS_Token=xxx", "any case"),
            ("/a?accessToken=abc", "/a?accessToken=xxx", "either spelling"),
            ("/a?%74oken=abc", "/a?%74oken=xxx", "escaped"),
            ("/a?user[password]=abc", "/a?user[password]=xxx", "in brackets"),
            ("/a?user%5Bpassword%5D=abc", "/a?user%5Bpassword%5D=xxx", "escaped brackets"),
            ("/a?user.password=abc", "/a?user.password=xxx", "behind a dot"),
            ("/a?token[]=abc", "/a?token[]=xxx", "a list"),
            ("/a;jsessionid=1F?b=c", "/a;jsessionid=xx?b=c", "in the path"),
            ("/cb#access_token=abc", "/cb#access_token=xxx", "in the fragment"),
            ("/a?sig=a=b==", "/a?sig=xxxxx", "equals signs in the value"),
            ("/a?sig=%2Fä", "/a?sig=xxxxx", "bytes that are not ASCII, each its own filler"),
            ("/a?token=&b=c", "/a?token=&b=c", "empty"),
            ("/a?token", "/a?token", "without a value"),
            ("/tokens=1?mytokens=3", "/tokens=1?mytokens=3", "other names"),
            ("/a?%zz=1&%", "/a?%zz=1&%", "broken escapes"),
            ("http://me:pw@h/a@b", "http://xx:xx@h/a@b", "user and password"),
            ("me:p@w@h:443", "xx:xxx@h:443", "an authority; the last @ counts"),
            ("/a?next=http://me:pw@h/b", "/a?next=http://xx:xx@h/b", "a URL in a parameter"),
            ("//me@h//you@h", "//xx@h//xxx@h", "two authorities"),
            ("/?a=//me;sid=b/c:pw@h/&d=e", "/?a=//me;sid=xxxxxxxxx&d=e", "a value that has one"),
            ("/a?token=b?c;d=e&f=g#h", "/a?token=xxxxxxx&f=g#h", "a value ends at & alone"),
            ("/a?token=b#c", "/a?token=x#c", "or where a fragment begins"),
            ("/a;sid=b/c?d#e;sid=f", "/a;sid=x/c?d#e;sid=x", "in the path it ends with a segment"),
            (
                "/l?next=https%3A%2F%2Fh%2Fcb%3Fa%3Db%26access_token%3Dab%26c%3Dd&e=f",
                "/l?next=https%3A%2F%2Fh%2Fcb%3Fa%3Db%26access_token%3Dxx%26c%3Dd&e=f",
                "a URL in a parameter, escaped",
            ),
            ("/l?a=%2Fb%3ftoken%3dab#c", "/l?a=%2Fb%3ftoken%3dxx#c", "of its path alone"),
            (
                "/l?a=http%3A%2F%2Fme%3Apw%40h%2Fb%40c",
                "/l?a=http%3A%2F%2Fxxxxxxx%40h%2Fb%40c",
                "with a user",
            ),
            ("/l?a=b%3Ftoken%3Dab", "/l?a=b%3Ftoken%3Dab", "no URL"),
            ("/a@b?c=d@e", "/a@b?c=d@e", "an @ in the path is no user"),
            ("/a?to=anna@shop.example", "/a?to=xxxxxxxxxxxxxxxxx", "an e-mail address"),
            ("*", "*", "asterisk form"),
            ("", "", "nothing"),
        ] {
            assert_eq!(Redactor::filler().shown_url(url), expected, "{why}");
        }
    }
}
