//! A header list as the text that a recording holds.

use ::bytes::Bytes;

use crate::bytes::fnv1a;
use crate::capture::heads::{self, request_head, response_head};
use crate::capture::line::{Line, text};
use crate::protocol::http1::start::Kind;
use crate::protocol::http2::hpack::{Block, Field};

/// What a header block says, in text. A recording writes heads as those of HTTP/1: names and
/// values as they were sent, pseudo headers as the start line and `Host`.
#[derive(Debug, Default)]
pub(super) struct Fields {
    method: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    /// `:status`, where it is a number of three digits.
    pub(super) status: Option<u16>,
    lines: Vec<heads::Line>,
    /// `content-length`, where it is a number.
    pub(super) length: Option<u64>,
    /// What came of a call of gRPC: 0 is success.
    pub(super) grpc_status: Option<String>,
    /// Fields that were not seen, or not kept.
    pub(super) missing: u64,
    /// The first field is unknown: it may be a pseudo header.
    pub(super) is_role_hidden: bool,
    is_escaped: bool,
}

impl Fields {
    pub(super) fn of(block: &Block) -> Self {
        let mut fields = Self {
            missing: block.unknown + block.left_out + u64::from(!block.whole),
            is_role_hidden: block.fields.first().is_none_or(|first| first.name.is_none()),
            ..Self::default()
        };
        for Field { name, value } in &block.fields {
            if let Some((name, value)) = name.as_ref().zip(value.as_ref()) {
                fields.add(name, value);
            }
        }
        fields
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        let (value, is_escaped) = text(value);
        self.is_escaped |= is_escaped;
        match name {
            b":method" => drop(self.method.get_or_insert(value)),
            b":scheme" => drop(self.scheme.get_or_insert(value)),
            b":authority" => drop(self.authority.get_or_insert(value)),
            b":path" => drop(self.path.get_or_insert(value)),
            b":status" => {
                let status = value.parse().ok().filter(|_| value.len() == 3);
                self.status = self.status.or(status);
            }
            _ => self.add_line(name, value),
        }
    }

    fn add_line(&mut self, name: &[u8], value: String) {
        let (name, _) = text(name);
        let existing = self.lines.iter_mut().find(|line| line.0 == "cookie");
        if let (Some((_, cookies)), "cookie") = (existing, name.as_str()) {
            // Browsers send each cookie as a field of its own, to have most of them by index.
            cookies.push_str("; ");
            cookies.push_str(&value);
            return;
        }
        if name == "content-length" {
            self.length = value.parse().ok();
        }
        if name == "grpc-status" {
            self.grpc_status = Some(value.clone());
        }
        self.lines.push((name, value));
    }

    /// Whose message it is, as pseudo headers tell; trailers have none.
    pub(super) fn role(&self) -> Option<Kind> {
        let of_request = [&self.method, &self.scheme, &self.authority, &self.path];
        if self.status.is_some() {
            Some(Kind::Response)
        } else if of_request.iter().any(|part| part.is_some()) {
            Some(Kind::Request)
        } else {
            None
        }
    }

    /// The text columns of a request, and its head; the head is empty where it would be none.
    pub(super) fn into_request(mut self) -> (Line, Bytes) {
        let method = self.method.unwrap_or_default();
        let host = self.lines.iter().find(|(name, _)| name == "host");
        let authority = self.authority.or_else(|| host.map(|(_, host)| host.clone()));
        let authority = authority.unwrap_or_default();
        // Where the two differ, the pseudo header counts.
        self.lines.retain(|(name, _)| name != "host");
        let target = match self.path {
            Some(path) => path,
            None if method == "CONNECT" => authority.clone(),
            None => String::new(),
        };
        let head =
            request_head([&method, &target, "HTTP/1.1"], &authority, &self.lines, self.length);
        let cookie = self.lines.iter().find(|(name, _)| name == "cookie");
        let line = Line {
            scheme: self.scheme.unwrap_or_else(|| "http".to_owned()),
            cookies: cookie.map(|(_, value)| fnv1a(value.bytes().chain(*b";"))),
            is_escaped: self.is_escaped,
            method,
            authority,
            target,
        };
        (line, head.unwrap_or_default())
    }

    /// The head of a response; empty where its status is not known.
    pub(super) fn response_head(&self) -> Bytes {
        self.status.map_or_else(Bytes::new, |status| response_head(status, "", &self.lines))
    }
}

/// A head with one line more at its end.
pub(super) fn with_line(head: &Bytes, name: &str, value: &str) -> Bytes {
    let Some(lines) = head.strip_suffix(b"\r\n") else {
        return head.clone();
    };
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    [lines, format!("{name}: {value}\r\n\r\n").as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(all: &[(&'static str, &'static str)]) -> Fields {
        let known = |part: &'static str| (part != "?").then(|| Bytes::from_static(part.as_bytes()));
        let field = |(name, value): &(&'static str, &'static str)| Field {
            name: known(name),
            value: known(value),
        };
        let fields: Vec<Field> = all.iter().map(field).collect();
        let unknown = fields.iter().filter(|field| !field.is_known()).count() as u64;
        Fields::of(&Block { fields, unknown, left_out: 0, whole: true })
    }

    #[test]
    fn a_request_is_written_as_one_of_http1() {
        let (line, head) = fields(&[
            (":method", "POST"),
            (":scheme", "https"),
            (":path", "/buy?a=b"),
            (":authority", "shop"),
            ("cookie", "a=1"),
            ("content-length", "3"),
            ("cookie", "b=2"),
            ("host", "elsewhere"),
        ])
        .into_request();
        let expected = "POST /buy?a=b HTTP/1.1\r\nHost: shop\r\ncookie: a=1; b=2\r\n\
                        Content-Length: 3\r\n\r\n";
        assert_eq!(head, expected);
        assert_eq!((line.scheme.as_str(), line.authority.as_str()), ("https", "shop"));
        assert_eq!((line.method.as_str(), line.target.as_str()), ("POST", "/buy?a=b"));
        assert_eq!(line.cookies, Some(fnv1a(b"a=1; b=2;".iter().copied())));
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let found = fields(&[("?", "?"), (":path", "/"), ("accept", "?"), ("a", "b")]);
        assert_eq!((found.missing, found.is_role_hidden), (2, true));
        assert_eq!(found.role(), Some(Kind::Request));
        let (line, head) = found.into_request();
        assert_eq!((line.method.as_str(), line.target.as_str()), ("", "/"));
        assert_eq!(head, "", "a head without method is none");
        assert_eq!(fields(&[("?", "?"), ("a", "b")]).response_head(), "");
    }

    #[test]
    fn a_tunnel_goes_to_its_authority_and_a_host_stands_in_for_one() {
        let (line, head) = fields(&[(":method", "CONNECT"), (":authority", "db:1")]).into_request();
        assert_eq!(
            (line.target.as_str(), &head[..23]),
            ("db:1", &b"CONNECT db:1 HTTP/1.1\r\n"[..])
        );
        let all = [(":method", "OPTIONS"), (":path", "*"), ("host", "shop")];
        assert_eq!(fields(&all).into_request().1, "OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n");
    }

    #[test]
    fn a_response_may_get_lines_from_its_trailers() {
        let found = fields(&[(":status", "200"), ("content-type", "application/grpc")]);
        assert_eq!(found.role(), Some(Kind::Response));
        let head = with_line(&found.response_head(), "grpc-status", "5\r\nx: y");
        let expected =
            "HTTP/1.1 200 \r\ncontent-type: application/grpc\r\ngrpc-status: 5x: y\r\n\r\n";
        assert_eq!(head, expected);
        assert_eq!(fields(&[("grpc-status", "0")]).role(), None);
        assert_eq!(fields(&[(":status", "20x")]).status, None);
    }
}
