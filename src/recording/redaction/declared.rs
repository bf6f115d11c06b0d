//! What a head says of its body, and how a text begins that is JSON.

/// What a head says of its body.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) kind: Kind,
    pub(crate) is_encoded: bool,
}

/// What a body is; of several that are declared, the last of this order counts, of which more is
/// searched.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A text or a file of another kind, in which there are no parameters.
    Other,
    /// The head says nothing that tells.
    #[default]
    Unknown,
    Json,
    Form,
    /// Parts between lines with this boundary.
    Parts(Vec<u8>),
}

/// Longest boundary, in bytes, by RFC 2046.
pub(crate) const MAX_BOUNDARY: usize = 70;

impl Declared {
    pub(crate) fn by(head: &[u8]) -> Self {
        let (mut kind, mut is_encoded) = (None, false);
        for line in head.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let name = name.trim_ascii();
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            if name.eq_ignore_ascii_case(b"Content-Encoding") {
                is_encoded |= !value.eq_ignore_ascii_case(b"identity") && !value.is_empty();
            } else if name.eq_ignore_ascii_case(b"Content-Type") {
                kind = kind.max(Some(Kind::by(value)));
            }
        }
        Self { kind: kind.unwrap_or_default(), is_encoded }
    }
}

impl Kind {
    fn by(content_type: &[u8]) -> Self {
        let lower = content_type.to_ascii_lowercase();
        let has = |text: &[u8]| lower.windows(text.len()).any(|window| window == text);
        let is_parts = lower.starts_with(b"multipart/");
        match boundary(content_type).filter(|_| is_parts) {
            Some(boundary) => Self::Parts(boundary),
            None if has(b"x-www-form-urlencoded") => Self::Form,
            None if has(b"json") => Self::Json,
            None if lower.is_empty() || is_parts || has(b"text/plain") => Self::Unknown,
            None => Self::Other,
        }
    }
}

/// The parameter of this name: no other's name ends so.
fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"boundary=";
    let mut rest = content_type;
    loop {
        let semicolon = rest.iter().position(|byte| *byte == b';')?;
        rest = rest.get(semicolon + 1..)?.trim_ascii_start();
        if !rest.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            continue;
        }
        let value = rest.get(NAME.len()..)?;
        let boundary = match value.strip_prefix(b"\"") {
            Some(quoted) => quoted.split(|byte| *byte == b'"').next()?,
            None => value.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next()?,
        };
        return (1..=MAX_BOUNDARY).contains(&boundary.len()).then(|| boundary.to_vec());
    }
}

/// A text that begins as no form does. A quote begins the rest of JSON whose own beginning is
/// missing.
pub(crate) fn begins_like_json(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let Some((first, rest)) = text.split_first() else { return false };
    let rest = rest.trim_ascii_start();
    let second = rest.first();
    match first {
        b'"' => true,
        b'{' => matches!(second, None | Some(b'"' | b'}')),
        b'[' => {
            let is_word =
                [&b"true"[..], b"false", b"null"].iter().any(|word| rest.starts_with(word));
            is_word || matches!(second, None | Some(b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_its_head_says() {
        let parts = |boundary: &str| Kind::Parts(boundary.as_bytes().to_vec());
        let form = "application/x-www-form-urlencoded";
        let long = "-".repeat(71);
        for (content_type, expected, why) in [
            ("multipart/form-data; boundary=xy", parts("xy"), "parts"),
            ("Multipart/Mixed;BOUNDARY=\"x;y\"; a=b", parts("x;y"), "between quotes"),
            ("multipart/form-data; xboundary=zz; boundary=xy", parts("xy"), "another's name"),
            (&format!("multipart/a; boundary={long}"), Kind::Unknown, "longer than allowed"),
            ("text/xml; boundary=xy", Kind::Other, "no parts"),
            ("", Kind::Unknown, "empty"),
            (form, Kind::Form, "a form"),
            (&format!("{form}\r\nContent-Type: image/png"), Kind::Form, "two of them"),
            (&format!("image/png\r\nContent-Type: {form}"), Kind::Form, "the other way round"),
            (&format!("a/json\r\nContent-Type: {form}"), Kind::Form, "both are searched"),
            ("application/vnd.x+json", Kind::Json, "JSON"),
        ] {
            let head = format!("POST / HTTP/1.1\r\nContent-Type: {content_type}\r\n\r\n");
            assert_eq!(Declared::by(head.as_bytes()).kind, expected, "{why}");
        }
        assert_eq!(Declared::by(b"POST / HTTP/1.1\r\n\r\n").kind, Kind::Unknown);
    }

    #[test]
    fn a_text_is_json_by_how_it_begins() {
        for text in ["{\"a", " [ 1", "{", "{ }", "[", "[[", "[true", "\"a", "\u{feff}{}"] {
            assert!(begins_like_json(text.as_bytes()), "{text}");
        }
        for text in ["", "a=b", "[a]=b", "{a}=b", "1"] {
            assert!(!begins_like_json(text.as_bytes()), "{text}");
        }
    }
}
