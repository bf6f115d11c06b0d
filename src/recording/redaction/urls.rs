//! Credentials in URLs and in forms.

use crate::recording::redaction::{REDACTED_PARAMETERS, fill};

/// Replaces users' names and passwords, and the values of listed parameters, in a URL of any form:
/// with a scheme, with an authority alone, or from the path on.
pub(crate) fn redact_url(url: &mut [u8]) -> bool {
    // In this order, since a value may hold what would end an authority.
    let parameters = redact_form(url);
    redact_userinfo(url) || parameters
}

/// Replaces what stands before the `@` of an authority: at the start and after each `//`, for a
/// URL may be the parameter of another. Its colon stays.
pub(crate) fn redact_userinfo(url: &mut [u8]) -> bool {
    let (mut start, mut replaced) = (0, false);
    loop {
        let authority = url[start..].split_mut(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\'));
        if let Some(authority) = authority.into_iter().next()
            && let Some(at) = authority.iter().rposition(|byte| *byte == b'@')
        {
            for part in authority[..at].split_mut(|byte| *byte == b':') {
                replaced |= fill(part);
            }
        }
        match url[start..].windows(2).position(|pair| pair == b"//") {
            Some(slashes) => start += slashes + 2,
            None => return replaced,
        }
    }
}

/// Replaces the values of listed parameters. A parameter starts after any byte that some server
/// splits at, fragments and `;jsessionid` included.
pub(crate) fn redact_form(form: &mut [u8]) -> bool {
    let mut replaced = false;
    for parameter in form.split_mut(|byte| matches!(byte, b'?' | b'&' | b';' | b'#')) {
        let Some(equals) = parameter.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = parameter.split_at_mut(equals + 1);
        if is_listed(&name[..equals]) {
            replaced |= fill(value);
        }
    }
    replaced
}

fn is_listed(name: &[u8]) -> bool {
    let name = decode(name);
    let name = name.trim_ascii();
    let inner = name.strip_suffix(b"]").unwrap_or(name);
    let start = inner.iter().rposition(|byte| *byte == b'[').map_or(0, |bracket| bracket + 1);
    let inner = &inner[start..];
    REDACTED_PARAMETERS.iter().any(|listed| inner.eq_ignore_ascii_case(listed.as_bytes()))
}

/// A name without its percent escapes, which must not hide it.
fn decode(name: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        let escaped = tail.split_first_chunk::<2>().filter(|_| *byte == b'%');
        let value = escaped.and_then(|([high, low], tail)| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
            Some((value, tail))
        });
        match value {
            Some((value, tail)) => {
                decoded.push(value);
                rest = tail;
            }
            None if *byte == b'+' => decoded.push(b' '),
            None => decoded.push(*byte),
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(url: &str) -> String {
        let mut bytes = url.as_bytes().to_vec();
        redact_url(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn parameters_are_found_however_they_are_written() {
        for (url, expected, why) in [
            ("/a?token=abc&page=2", "/a?token=xxx&page=2", "the plain form"),
            ("/a?page=2&ACCESS_Token=abc", "/a?page=2&ACCESS_Token=xxx", "any case"),
            ("/a?%74oken=abc", "/a?%74oken=xxx", "escaped"),
            ("/a?user[password]=abc", "/a?user[password]=xxx", "in brackets"),
            ("/a?user%5Bpassword%5D=abc", "/a?user%5Bpassword%5D=xxx", "escaped brackets"),
            ("/a;jsessionid=1F?b=c", "/a;jsessionid=xx?b=c", "in the path"),
            ("/cb#access_token=abc", "/cb#access_token=xxx", "in the fragment"),
            ("/a?sig=a=b==", "/a?sig=xxxxx", "equals signs in the value"),
            ("/a?sig=%2Fä", "/a?sig=xxxxx", "bytes that are not ASCII, each its own filler"),
            ("/a?token=&b=c", "/a?token=&b=c", "empty"),
            ("/a?token", "/a?token", "without a value"),
            ("/token=1?mytoken=2&tokens=3", "/token=1?mytoken=2&tokens=3", "other names"),
            ("/a?%zz=1&%", "/a?%zz=1&%", "broken escapes"),
            ("http://me:pw@h/a@b", "http://xx:xx@h/a@b", "user and password"),
            ("me:p@w@h:443", "xx:xxx@h:443", "an authority; the last @ counts"),
            ("/a?next=http://me:pw@h/b", "/a?next=http://xx:xx@h/b", "a URL in a parameter"),
            ("/a@b?c=d@e", "/a@b?c=d@e", "an @ in the path is no user"),
            ("*", "*", "asterisk form"),
            ("", "", "nothing"),
        ] {
            assert_eq!(redacted(url), expected, "{why}");
        }
    }
}
