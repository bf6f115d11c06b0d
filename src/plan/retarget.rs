//! Paths and queries, and headers that are left out, as a scenario's `rewrite` has them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::plan::edit::{fields, spliced, target};
use crate::scenario::rewriting::{QueryRule, Rewriting};

/// What stands in a query as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A head with its target changed and without what is left out; `None` where a rule makes a target
/// that no request can have.
pub(crate) fn reshaped(head: &[u8], rewriting: &Rewriting) -> Option<Vec<u8>> {
    let mut edits = Vec::new();
    if rewriting.changes_targets()
        && let Some(place) = target(head)
    {
        let old = head.get(place.clone()).unwrap_or_default();
        let new = retarget(old, rewriting);
        let is_whole = new.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
        if !is_whole || !same_place(old, &new) {
            return None;
        }
        edits.push((place, new));
    }
    let is_removed = |name: &str, field: &crate::plan::edit::Field| field.is_named(head, name);
    for field in fields(head) {
        if rewriting.removed.iter().any(|name| is_removed(name, &field)) {
            edits.push((field.line, Vec::new()));
        }
    }
    Some(spliced(head, &edits))
}

/// The target of a request with its path and its query changed. A target that is no path (`*`)
/// stays.
pub(crate) fn retarget(target: &[u8], rewriting: &Rewriting) -> Vec<u8> {
    let start = path_start(target);
    let (before, rest) = target.split_at(start);
    let has_path = matches!(rest.first(), Some(b'/' | b'?')) || (start > 0 && rest.is_empty());
    if !has_path {
        return target.to_vec();
    }
    let fragment = rest.iter().position(|byte| *byte == b'#').unwrap_or(rest.len());
    let (rest, fragment) = rest.split_at(fragment);
    let query = rest.iter().position(|byte| *byte == b'?').unwrap_or(rest.len());
    let (path, query) = rest.split_at(query);
    let mut path = Cow::Borrowed(path);
    for rule in &rewriting.paths {
        let replaced = rule.from.0.replace_all(&path, rule.to.as_bytes()).into_owned();
        path = Cow::Owned(replaced);
    }
    let mut out = [before, &path].concat();
    push_query(&mut out, query.strip_prefix(b"?"), &rewriting.query);
    out.extend_from_slice(fragment);
    out
}

/// The target of a recorded request as it is going to be asked for.
pub(crate) fn rewritten_target<'a>(recorded: &'a str, rewriting: &Rewriting) -> Cow<'a, str> {
    if !rewriting.changes_targets() {
        return Cow::Borrowed(recorded);
    }
    let new = retarget(recorded.as_bytes(), rewriting);
    Cow::Owned(String::from_utf8_lossy(&new).into_owned())
}

/// Whether another target asks the same host: a path stays one, and whom an absolute target names
/// stays named. Of anything else (`*`, the target of `CONNECT`) no byte may change.
pub(crate) fn same_place(old: &[u8], new: &[u8]) -> bool {
    let start = path_start(old);
    if start == 0 && !matches!(old.first(), Some(b'/' | b'?')) {
        return old == new;
    }
    let is_behind = |rest: &[u8]| matches!(rest.first(), None | Some(b'/' | b'?' | b'#'));
    match new.split_at_checked(start) {
        Some((before, rest)) if start > 0 => old.starts_with(before) && is_behind(rest),
        Some((_, rest)) => matches!(rest.first(), Some(b'/' | b'?')),
        None => false,
    }
}

/// Where the path of an absolute target begins; 0 for any other.
fn path_start(target: &[u8]) -> usize {
    let Some(scheme) = target.windows(3).position(|part| part == b"://") else { return 0 };
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    if scheme == 0 || !target.iter().take(scheme).all(is_scheme) {
        return 0;
    }
    let authority = target.get(scheme + 3..).unwrap_or_default();
    let length = authority.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    scheme + 3 + length.unwrap_or(authority.len())
}

/// A parameter that is set keeps its first place; where it was not there, it goes behind the
/// others.
fn push_query(out: &mut Vec<u8>, query: Option<&[u8]>, rules: &[QueryRule]) {
    let mut set: Vec<&str> = Vec::new();
    let mut parts: Vec<Cow<'_, [u8]>> = Vec::new();
    for part in query.into_iter().flat_map(|query| query.split(|byte| *byte == b'&')) {
        let name_end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let (name, _) = part.split_at(name_end);
        let meant = parameter_name(name);
        let Some(rule) = rules.iter().find(|rule| rule.name == meant) else {
            parts.push(Cow::Borrowed(part));
            continue;
        };
        if let Some(value) = rule.value.as_ref().filter(|_| !set.contains(&rule.name.as_str())) {
            set.push(&rule.name);
            parts.push(Cow::Owned([name, b"=", escaped(value).as_bytes()].concat()));
        }
    }
    for QueryRule { name, value } in rules {
        if let Some(value) = value.as_ref().filter(|_| !set.contains(&name.as_str())) {
            let part = format!("{}={}", escaped(name), escaped(value));
            parts.push(Cow::Owned(part.into_bytes()));
        }
    }
    let is_bare = query.is_none_or(|query| !query.is_empty()) && parts.is_empty();
    if !is_bare {
        out.push(b'?');
        out.extend_from_slice(&parts.join(&b'&'));
    }
}

/// A name or a value as it is meant.
pub(crate) fn parameter_name(text: &[u8]) -> String {
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// A name or a value as it is written in a query or a form.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;

    fn rewriting(lines: &str) -> Rewriting {
        let text = format!("recording: r\ntarget: {{ url: stage }}\nrewrite:\n{lines}");
        from_text(&text, "s.yaml").unwrap().rewriting
    }

    #[test]
    fn paths_and_queries_change_and_nothing_else() {
        let rules = rewriting(
            "  paths: [{ from: '^/v1/', to: '/v2/' }, { from: '/user-(\\d+)', to: '/users/$1' }]\n\
             \x20 query: { tenant: 'a&b', debug: null, 'x y': '1' }\n",
        );
        for (target, expected) in [
            ("/v1/a", "/v2/a?tenant=a%26b&x%20y=1"),
            ("/v1/user-7/v1/?q=%2F", "/v2/users/7/v1/?q=%2F&tenant=a%26b&x%20y=1"),
            ("/a?debug=1&tenant=x&b&tenant=y&x+y=2#f", "/a?tenant=a%26b&b&x+y=1#f"),
            ("/a?de%62ug", "/a?tenant=a%26b&x%20y=1"),
            ("http://h:1/v1/b", "http://h:1/v2/b?tenant=a%26b&x%20y=1"),
            ("http://h", "http://h?tenant=a%26b&x%20y=1"),
            ("*", "*"),
            ("/a?u=http://x/v1/", "/a?u=http://x/v1/&tenant=a%26b&x%20y=1"),
        ] {
            let new = retarget(target.as_bytes(), &rules);
            assert_eq!(String::from_utf8_lossy(&new), expected, "{target}");
        }
        let only = rewriting("  query: { debug: null }\n");
        for (target, expected) in
            [("/a?debug", "/a"), ("/a?", "/a?"), ("/a", "/a"), ("/a?b&debug=1&&c", "/a?b&&c")]
        {
            assert_eq!(retarget(target.as_bytes(), &only), expected.as_bytes(), "{target}");
        }
    }

    #[test]
    fn headers_are_left_out_and_targets_that_are_none_are_refused() {
        let rules = rewriting("  headers: { Via: null, x-trace: null }\n");
        let head =
            b"GET /a HTTP/1.1\r\nHost: h\r\nvia: 1\r\nX-Trace: 2\r\n 3\r\nVia : 4\r\nA: b\r\n\r\n";
        let kept = reshaped(head, &rules).unwrap();
        assert_eq!(kept, b"GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n");
        for to in ["' '", "'a b'", "'x'", "''", "\"/a\\r\\nX: y\""] {
            let rules = rewriting(&format!("  paths: [{{ from: '^/a$', to: {to} }}]\n"));
            assert_eq!(reshaped(head, &rules), None, "{to}");
        }
        let unlike = rewriting("  paths: [{ from: '^/b$', to: '' }]\n");
        assert_eq!(reshaped(head, &unlike).as_deref(), Some(&head[..]));
    }
}
