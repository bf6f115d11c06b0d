//! What was drawn, written out as a request and a response of HTTP/1.1.

use std::fmt::Write;
use std::time::Duration;

use ::bytes::Bytes;

use crate::model::draw::Drawn;
use crate::model::{Model, OTHER};
use crate::protocol::Protocol;
use crate::recording::file::CELL_BYTES_MAX;
use crate::recording::{Exchange, Flags, Response};
use crate::stats::counts::as_index;

/// The host that drawn requests ask for: a name that can never be anybody's (RFC 2606).
pub const HOST: &str = "synthetic.invalid";

/// The path of [`OTHER`].
const OTHER_PATH: &str = "/other/*";

/// Longest head that is written out.
const MAX_HEAD: usize = 64 << 10;

/// Writes requests and responses out.
#[derive(Debug)]
pub struct Writer {
    routes: Vec<Named>,
    /// What bodies are cut out of: one piece of memory for all of them.
    filler: Bytes,
}

#[derive(Debug)]
struct Named {
    method: String,
    path: String,
}

impl Writer {
    /// Writes what is drawn from a model whose edits were carried out.
    pub fn new(model: &Model) -> Self {
        let named = |name: &str| {
            let name = if name == OTHER { format!("GET {OTHER_PATH}") } else { name.to_owned() };
            let (method, path) = name.split_once(' ').unwrap_or(("GET", &name));
            Named { method: method.to_owned(), path: path.to_owned() }
        };
        let recorded = model.routes.iter().map(|route| as_index(route.body.most));
        let outliers =
            model.edits.outliers.iter().map(|it| usize::try_from(it.bytes).unwrap_or(usize::MAX));
        let largest = recorded.chain(outliers).max().unwrap_or(0).min(CELL_BYTES_MAX);
        Self {
            routes: model.routes.iter().map(|route| named(&route.name)).collect(),
            filler: Bytes::from(vec![b'x'; largest]),
        }
    }

    /// One exchange.
    pub fn exchange(&self, drawn: &Drawn) -> Exchange {
        let (method, path) = self
            .routes
            .get(drawn.route)
            .map_or(("GET", OTHER_PATH), |named| (&*named.method, &*named.path));
        let target = target(path, drawn.key);
        let body_length = usize::try_from(drawn.body).unwrap_or(usize::MAX);
        let request_body = self.filler.slice(..body_length.min(self.filler.len()));
        let mut flags = Flags::SYNTHESISED;
        if request_body.len() < body_length {
            flags.insert(Flags::REQUEST_TRUNCATED);
        }
        if drawn.pipelined {
            flags.insert(Flags::PIPELINED);
        }
        Exchange {
            at: Duration::from_nanos(drawn.at_ns),
            connection: drawn.connection,
            session: drawn.session,
            seq: drawn.seq,
            stream: None,
            protocol: Protocol::Http1,
            method: method.to_owned(),
            scheme: "http".to_owned(),
            authority: HOST.to_owned(),
            request_head: head(method, &target, drawn),
            target,
            route: path.to_owned(),
            request_body,
            request_body_bytes: drawn.body,
            request_stored: None,
            request_chunks: None,
            response: drawn.answer.map(|answer| Response {
                status: answer.status,
                head: answer_head(answer.status, answer.bytes),
                body_bytes: Some(answer.bytes),
                digest: None,
                shape: None,
                first_byte: answer.first_ns.map(Duration::from_nanos),
                last_byte: answer.last_ns.map(Duration::from_nanos),
            }),
            flags,
        }
    }
}

/// The note on what [`is_cut`].
pub(crate) const CUT: &str = "heads of requests are longer than the 64 KiB that are drawn of them";

/// Its head is longer than what is written out of it.
pub(crate) fn is_cut(drawn: &Drawn) -> bool {
    drawn.head > MAX_HEAD as u64
}

/// A path with a number in the place of each star, or behind it.
fn target(path: &str, key: Option<u64>) -> String {
    let mut target = String::with_capacity(path.len() + 12);
    let key = match (key, path.contains('*')) {
        (Some(key), false) => {
            let _ = write!(target, "{path}?k={key}");
            return target;
        }
        (key, _) => key.unwrap_or(1),
    };
    for (index, part) in path.split('*').enumerate() {
        if index > 0 {
            let _ = write!(target, "{key}");
        }
        target.push_str(part);
    }
    target
}

/// A request's head, filled up to the size that was drawn.
fn head(method: &str, target: &str, drawn: &Drawn) -> Bytes {
    const FILL: &str = "X-Fill: ";
    let wanted = usize::try_from(drawn.head).unwrap_or(usize::MAX).min(MAX_HEAD);
    let mut head = String::with_capacity(wanted.max(96));
    let _ = write!(head, "{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n");
    if drawn.body > 0 {
        let _ = write!(
            head,
            "Content-Type: application/octet-stream\r\nContent-Length: {}\r\n",
            drawn.body
        );
    }
    let line = FILL.len() + 2 + 2;
    if let Some(missing) = wanted.checked_sub(head.len() + line).filter(|missing| *missing > 0) {
        head.push_str(FILL);
        head.extend(std::iter::repeat_n('x', missing));
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    Bytes::from(head)
}

fn answer_head(status: u16, bytes: u64) -> Bytes {
    let known = http::StatusCode::from_u16(status).ok();
    let reason = known.and_then(|status| status.canonical_reason()).unwrap_or("");
    Bytes::from(format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {bytes}\r\n\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_where_stars_are_or_behind_the_path() {
        assert_eq!(target("/cart/*/items", Some(17)), "/cart/17/items");
        assert_eq!(target("/search", Some(17)), "/search?k=17");
        assert_eq!(target("/a/*/b/*", None), "/a/1/b/1");
        assert_eq!(target("/", None), "/");
    }

    #[test]
    fn a_head_has_the_size_that_was_drawn_and_frames_its_body() {
        let drawn = Drawn {
            at_ns: 0,
            session: 0,
            connection: 0,
            seq: 0,
            pipelined: false,
            route: 0,
            key: None,
            head: 300,
            body: 7,
            answer: None,
        };
        let head = head("POST", "/a", &drawn);
        let text = String::from_utf8(head.to_vec()).unwrap();
        assert_eq!(text.len(), 300);
        assert!(text.starts_with("POST /a HTTP/1.1\r\nHost: synthetic.invalid\r\n"), "{text}");
        assert!(
            text.contains("\r\nContent-Length: 7\r\n") && text.ends_with("x\r\n\r\n"),
            "{text}"
        );
        let short = super::head("GET", "/a", &Drawn { head: 5, body: 0, ..drawn });
        assert_eq!(&short[..], b"GET /a HTTP/1.1\r\nHost: synthetic.invalid\r\n\r\n");
    }
}
