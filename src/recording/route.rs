//! The template of a target: the path with its changing parts as `*`, which a report groups by.

pub mod statements;

use crate::protocol::Protocol;
use crate::recording::route::statements::route_of_statement;

/// Shortest run of hexadecimal digits that is taken for an identifier.
const MIN_HEX: usize = 8;

/// Shortest run of letters and digits mixed that is taken for a token: longer than words with a
/// version number in them, such as `oauth2-callback`.
const MIN_TOKEN: usize = 20;

/// What a report groups requests of a protocol by.
pub fn route_for(protocol: Protocol, target: &str) -> String {
    match protocol {
        Protocol::Redis => route_of_key(target),
        Protocol::Mysql => route_of_statement(target, true),
        Protocol::Postgres => route_of_statement(target, false),
        Protocol::Http1 | Protocol::Http2 | Protocol::Http3 => route_of(target),
    }
}

/// The route of a request target: its path without query and fragment, in which numbers, UUIDs,
/// long hexadecimal and base64-like segments are replaced by `*`. Of an absolute target the
/// scheme and authority are left out; a target that is no path (`*`, `host:443`) stays as it is.
pub fn route_of(target: &str) -> String {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => {
            rest.find(['/', '?', '#']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let path = if end == 0 { "/" } else { &path[..end] };
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let segments: Vec<&str> =
        path.split('/').map(|segment| if is_variable(segment) { "*" } else { segment }).collect();
    segments.join("/")
}

/// The route of a key of Redis: its parts between `:` or `/` as those of a path, so that
/// `cart:17:items` is `cart:*:items`.
pub fn route_of_key(key: &str) -> String {
    let mut route = String::with_capacity(key.len());
    for part in key.split_inclusive([':', '/']) {
        let end = part.trim_end_matches([':', '/']).len();
        route.push_str(if is_variable(&part[..end]) { "*" } else { &part[..end] });
        route.push_str(&part[end..]);
    }
    route
}

/// The segment names one thing out of many.
pub(crate) fn is_variable(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    let has_letter = bytes.iter().any(u8::is_ascii_alphabetic);
    let is_number =
        has_digit && !has_letter && bytes.iter().all(|byte| b"0123456789-_.,:".contains(byte));
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let digits = bytes.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    let is_id = has_digit && digits >= MIN_HEX && bytes.iter().all(is_hex);
    is_number || is_id || is_token(bytes, has_digit)
}

/// Long, of one alphabet, and with more digits or changes of case than words have.
fn is_token(bytes: &[u8], has_digit: bool) -> bool {
    let is_of_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_=+~%".contains(byte);
    let has_upper = bytes.iter().any(u8::is_ascii_uppercase);
    let has_lower = bytes.iter().any(u8::is_ascii_lowercase);
    let separators = bytes.iter().filter(|byte| matches!(byte, b'-' | b'_')).count();
    bytes.len() >= MIN_TOKEN
        && has_digit
        && (has_upper && has_lower || separators == 0)
        && separators <= bytes.len() / 10
        && bytes.iter().all(is_of_alphabet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_routes_too() {
        for (key, route) in [
            ("cart:17:items", "cart:*:items"),
            ("session:9f8e7d6c5b4a", "session:*"),
            ("config", "config"),
            ("", ""),
            (":1", ":*"),
        ] {
            assert_eq!(route_of_key(key), route, "{key}");
        }
    }

    #[test]
    fn what_changes_becomes_a_star() {
        for (target, route) in [
            ("/", "/"),
            ("", "/"),
            ("/cart/17", "/cart/*"),
            ("/cart/17/items/", "/cart/*/items/"),
            ("/cart?id=17", "/cart"),
            ("/cart#top", "/cart"),
            ("?id=17", "/"),
            ("http://shop.example/cart/17?a=b", "/cart/*"),
            ("http://shop.example", "/"),
            ("/login?next=http://shop.example/", "/login"),
            ("/users/123e4567-e89b-12d3-a456-426614174000", "/users/*"),
            ("/blobs/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/blobs/*"),
            ("/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "/t/*"),
            ("/2024-05-01/report", "/*/report"),
            ("/api/v2/facade/decade", "/api/v2/facade/decade"),
            ("/app.9f8e7d.js", "/app.9f8e7d.js"),
            ("/terms-and-conditions-of-2024-sale", "/terms-and-conditions-of-2024-sale"),
            ("*", "*"),
            ("shop.example:443", "shop.example:443"),
        ] {
            assert_eq!(route_of(target), route, "{target}");
        }
    }
}
