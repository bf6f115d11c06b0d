//! Credentials in URLs and in forms.

use std::borrow::Cow;
use std::ops::Range;

use crate::recording::redaction::coding::{Coding, Decoded};
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::rules::Rules;

/// Finds users' names and passwords, and the values of listed parameters, in a URL of any form:
/// with a scheme, with an authority alone, or from the path on.
pub(crate) fn find_url(rules: &Rules, bytes: &[u8], range: Range<usize>, hits: &mut Hits) {
    let first = hits.0.len();
    find_form(rules, bytes, range.clone(), hits);
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

/// Finds the values of listed parameters. A parameter starts after any byte that some server
/// splits at, fragments and `;jsessionid` included.
pub(crate) fn find_form(rules: &Rules, bytes: &[u8], range: Range<usize>, hits: &mut Hits) {
    let form = bytes.get(range.clone()).unwrap_or_default();
    let mut start = range.start;
    for parameter in form.split(|byte| matches!(byte, b'?' | b'&' | b';' | b'#')) {
        let end = start + parameter.len();
        if let Some(equals) = parameter.iter().position(|byte| *byte == b'=')
            && let Some(entry) = parameter
                .get(..equals)
                .and_then(|name| rules.parameters.get(innermost(&unescaped(name))))
        {
            hits.add(bytes, start + equals + 1..end, entry, Coding::Percent);
        }
        start = end + 1;
    }
}

/// Of `user[password]`, `user.password` and `password[]` the name is `password`.
fn innermost(name: &[u8]) -> &[u8] {
    let mut name = name.trim_ascii();
    while let Some(list) = name.strip_suffix(b"[]") {
        name = list;
    }
    let name = name.strip_suffix(b"]").unwrap_or(name);
    let start = name.iter().rposition(|byte| matches!(byte, b'[' | b'.')).map_or(0, |at| at + 1);
    name.get(start..).unwrap_or_default()
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
            ("/tokens=1?mytoken2=3", "/tokens=1?mytoken2=3", "other names"),
            ("/a?%zz=1&%", "/a?%zz=1&%", "broken escapes"),
            ("http://me:pw@h/a@b", "http://xx:xx@h/a@b", "user and password"),
            ("me:p@w@h:443", "xx:xxx@h:443", "an authority; the last @ counts"),
            ("/a?next=http://me:pw@h/b", "/a?next=http://xx:xx@h/b", "a URL in a parameter"),
            ("//me@h//you@h", "//xx@h//xxx@h", "two authorities"),
            (
                "http://me;sid=a/b;x:pw@h/",
                "http://xxxxxxxxxxxx:xx@h/",
                "a value that would end one",
            ),
            ("/a@b?c=d@e", "/a@b?c=d@e", "an @ in the path is no user"),
            ("/a?to=anna@shop.example", "/a?to=xxxxxxxxxxxxxxxxx", "an e-mail address"),
            ("*", "*", "asterisk form"),
            ("", "", "nothing"),
        ] {
            assert_eq!(Redactor::filler().shown_url(url), expected, "{why}");
        }
    }
}
