//! Reads one response from whatever bytes arrive, without any I/O.

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use crate::protocol::http1::body::{BodyDecoder, Framing};
use crate::sample::MAX_BANNER;

/// Longest accepted response head, in bytes: four times what common servers and proxies can be
/// configured to send, and small enough for ten thousand connections at once.
pub const MAX_HEAD: usize = 256 * 1024;

/// Most headers of a response; browsers and proxies stop at a hundred or two.
pub const MAX_HEADERS: usize = 256;

/// Headers read without allocating; nearly every response has fewer.
const USUAL_HEADERS: usize = 64;

/// What every HTTP/1 response starts with.
const PREFIX: &[u8] = b"HTTP/";

/// A whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Another request may follow on the connection.
    pub reusable: bool,
}

/// Why the bytes are no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// They do not start like HTTP/1.
    #[error("the target does not speak HTTP/1; it said {banner:?}")]
    NotHttp {
        /// The first line, printable characters only, at most [`MAX_BANNER`].
        banner: String,
    },
    /// The head cannot be read.
    #[error("the response head is malformed: {0}")]
    Head(httparse::Error),
    /// The head does not end.
    #[error("the response head is longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// `Content-Length` is no number, or several that differ.
    #[error("the response's content length is no number or contradicts itself")]
    ContentLength,
    /// The chunks of the body are broken.
    #[error("the response body is malformed: {0}")]
    Body(#[from] crate::protocol::http1::body::BodyError),
}

/// What the end of the stream means for the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It made the response whole.
    Whole(Answer),
    /// What came was not HTTP.
    NotHttp {
        /// See [`ResponseError::NotHttp`].
        banner: String,
    },
    /// The response is cut off.
    Cut,
}

/// Reads one response. Interim ones (1xx) before it are skipped, except 101, which ends HTTP.
///
/// Body bytes are counted, not kept: memory is bounded by [`MAX_HEAD`].
#[derive(Debug)]
pub struct ResponseReader {
    request: RequestKind,
    state: State,
    seen: u64,
    body_bytes: u64,
}

/// Requests whose responses are framed unlike others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestKind {
    Head,
    Connect,
    Other,
}

#[derive(Debug)]
enum State {
    Head { bytes: Vec<u8>, scanned: usize },
    Body { decoder: BodyDecoder, answer: Answer },
    Banner(Vec<u8>),
}

impl ResponseReader {
    /// A reader of the response to a request with this method.
    pub fn new(method: &str) -> Self {
        let request = match method {
            "HEAD" => RequestKind::Head,
            "CONNECT" => RequestKind::Connect,
            _ => RequestKind::Other,
        };
        Self { request, state: State::empty_head(), seen: 0, body_bytes: 0 }
    }

    /// Bytes pushed so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Bytes of the body so far, de-chunked.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Takes the next bytes of the stream; the answer once it is whole. Bytes behind it belong to
    /// no request, so they cost the connection. Nothing may be pushed after an answer or an error.
    pub fn push(&mut self, input: &[u8]) -> Result<Option<Answer>, ResponseError> {
        self.seen += input.len() as u64;
        let mut rest = input;
        loop {
            match &mut self.state {
                State::Banner(bytes) => {
                    bytes.extend_from_slice(&rest[..rest.len().min(MAX_BANNER - bytes.len())]);
                    if bytes.len() == MAX_BANNER || bytes.contains(&b'\n') {
                        return Err(ResponseError::NotHttp { banner: banner(bytes) });
                    }
                    return Ok(None);
                }
                State::Head { bytes, scanned } => {
                    match take_head(bytes, scanned, rest)? {
                        HeadStep::More => return Ok(None),
                        HeadStep::NotHttp => {
                            bytes.truncate(MAX_BANNER);
                            self.state = State::Banner(std::mem::take(bytes));
                            rest = &[];
                            continue;
                        }
                        HeadStep::Whole { consumed } => rest = &rest[consumed..],
                    }
                    self.state = match head(bytes, self.request)? {
                        Some((framing, answer)) => {
                            State::Body { decoder: BodyDecoder::new(framing), answer }
                        }
                        None => State::empty_head(),
                    };
                }
                State::Body { decoder, answer } => {
                    if decoder.is_complete() {
                        let reusable = answer.reusable && rest.is_empty();
                        return Ok(Some(Answer { reusable, ..*answer }));
                    }
                    let step = decoder.decode(rest)?;
                    self.body_bytes += (step.data.1 - step.data.0) as u64;
                    rest = &rest[step.consumed..];
                    if rest.is_empty() && !step.complete {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// What the response is when the stream ends here.
    pub fn end(&self) -> Ending {
        match &self.state {
            State::Body { decoder, answer } if decoder.is_until_close() => Ending::Whole(*answer),
            State::Banner(bytes) => Ending::NotHttp { banner: banner(bytes) },
            State::Head { .. } | State::Body { .. } => Ending::Cut,
        }
    }
}

impl State {
    fn empty_head() -> Self {
        Self::Head { bytes: Vec::new(), scanned: 0 }
    }
}

enum HeadStep {
    More,
    NotHttp,
    Whole { consumed: usize },
}

/// Adds `input` to a head; `bytes` is exactly the head once it is whole.
fn take_head(
    bytes: &mut Vec<u8>,
    scanned: &mut usize,
    input: &[u8],
) -> Result<HeadStep, ResponseError> {
    let before = bytes.len();
    // Some servers end a body with a line end that is not part of it.
    let skipped = if before == 0 {
        input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
    } else {
        0
    };
    bytes.extend_from_slice(&input[skipped..]);
    let compared = bytes.len().min(PREFIX.len());
    if bytes[..compared] != PREFIX[..compared] {
        return Ok(HeadStep::NotHttp);
    }
    match head_end(bytes, *scanned) {
        Some(end) if end <= MAX_HEAD => {
            bytes.truncate(end);
            Ok(HeadStep::Whole { consumed: skipped + end - before })
        }
        _ if bytes.len() > MAX_HEAD => Err(ResponseError::HeadTooLong),
        _ => {
            *scanned = bytes.len().saturating_sub(2);
            Ok(HeadStep::More)
        }
    }
}

/// Where the empty line that ends a head ends, looked for from `from` on.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|at| match bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Reads a whole head: framing and answer, or `None` for an interim response.
fn head(
    bytes: &[u8],
    request: RequestKind,
) -> Result<Option<(Framing, Answer)>, ResponseError> {
    let mut usual = [EMPTY_HEADER; USUAL_HEADERS];
    match parse_head(bytes, &mut usual, request) {
        Err(ResponseError::Head(httparse::Error::TooManyHeaders)) => {
            parse_head(bytes, &mut vec![EMPTY_HEADER; MAX_HEADERS], request)
        }
        other => other,
    }
}

fn parse_head<'b>(
    bytes: &'b [u8],
    headers: &mut [Header<'b>],
    request: RequestKind,
) -> Result<Option<(Framing, Answer)>, ResponseError> {
    let mut response = httparse::Response::new(headers);
    // What browsers tolerate is not the target's failure.
    let mut config = ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    let (Status::Complete(_), Some(status), Some(minor)) =
        (config.parse_response(&mut response, bytes).map_err(ResponseError::Head)?, response.code, response.version)
    else {
        // The head is whole; a parser that wants more disagrees about where it ends.
        return Err(ResponseError::Head(httparse::Error::NewLine));
    };
    if (100..200).contains(&status) && status != 101 {
        return Ok(None);
    }
    let framing = framing(request, status, response.headers)?;
    let persistent = match minor {
        0 => has_token(response.headers, "connection", "keep-alive"),
        _ => !has_token(response.headers, "connection", "close"),
    };
    let tunnel = status == 101 || (request == RequestKind::Connect && status / 100 == 2);
    let smuggling = has(response.headers, "transfer-encoding")
        && (minor == 0 || has(response.headers, "content-length"));
    let reusable = persistent && !tunnel && !smuggling && framing != Framing::UntilClose;
    Ok(Some((framing, Answer { status, reusable })))
}

/// RFC 9112, section 6.3.
fn framing(
    request: RequestKind,
    status: u16,
    headers: &[Header<'_>],
) -> Result<Framing, ResponseError> {
    let bodiless = request == RequestKind::Head
        || (request == RequestKind::Connect && status / 100 == 2)
        || matches!(status, 101 | 204 | 304);
    if bodiless {
        return Ok(Framing::None);
    }
    if let Some(coding) = values(headers, "transfer-encoding").last() {
        let chunked = coding.eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Framing::Chunked } else { Framing::UntilClose });
    }
    let mut length = None;
    for value in values(headers, "content-length") {
        let parsed = decimal(value).ok_or(ResponseError::ContentLength)?;
        if length.is_some_and(|length| length != parsed) {
            return Err(ResponseError::ContentLength);
        }
        length = Some(parsed);
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    // `parse` alone would accept a leading plus.
    let digits = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

fn has(headers: &[Header<'_>], name: &str) -> bool {
    headers.iter().any(|header| header.name.eq_ignore_ascii_case(name))
}

fn has_token(headers: &[Header<'_>], name: &str, token: &str) -> bool {
    values(headers, name).any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
}

/// The elements of all fields of this name, as if they were one list.
fn values<'h>(headers: &'h [Header<'_>], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .flat_map(|header| header.value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// The first line of what was sent instead of HTTP.
fn banner(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let printable = line.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
    printable.map(|byte| char::from(*byte)).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Status, body bytes, reusable; or what the end of the stream, or the error, makes of it.
    fn read(method: &str, pieces: &[&[u8]]) -> Result<(u16, u64, bool), String> {
        let mut reader = ResponseReader::new(method);
        for piece in pieces {
            match reader.push(piece) {
                Ok(Some(answer)) => {
                    return Ok((answer.status, reader.body_bytes(), answer.reusable));
                }
                Ok(None) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        match reader.end() {
            Ending::Whole(answer) => Ok((answer.status, reader.body_bytes(), answer.reusable)),
            ending => Err(format!("{ending:?} after {}", reader.seen())),
        }
    }

    #[test]
    fn the_body_is_framed_by_method_status_and_headers() {
        let table: &[(&str, &str, (u16, u64, bool), &str)] = &[
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", (200, 3, true), "length"),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", (200, 3, true), "twice the same"),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, 0, true), "empty"),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", (200, 0, true), "HEAD has no body"),
            ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", (304, 0, true), "nor has 304"),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n", (204, 0, true), "nor has 204"),
            ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: t\r\n\r\n", (200, 2, true), "chunked with trailer"),
            ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n", (200, 1, false), "both: chunked wins, not reused"),
            ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", (200, 3, false), "a coding that is not chunked ends with the stream"),
            ("GET", "HTTP/1.1 200 OK\r\n\r\nabcd", (200, 4, false), "until close"),
            ("GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\na", (200, 1, false), "asked to close"),
            ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", (200, 1, false), "1.0 closes"),
            ("GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na", (200, 1, true), "unless kept alive"),
            ("CONNECT", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, 0, false), "a tunnel"),
            ("GET", "HTTP/1.1 101 Switching Protocols\r\n\r\n\x01\x02", (101, 0, false), "an upgrade"),
            ("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", (201, 0, true), "interim responses are skipped"),
            ("GET", "\r\nHTTP/1.1 200 OK\nContent-Length: 1\n\na", (200, 1, true), "bare line feeds"),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", (200, 1, false), "bytes nobody asked for"),
        ];
        for (method, wire, expected, why) in table {
            assert_eq!(read(method, &[wire.as_bytes()]), Ok(*expected), "{why}");
        }
    }

    #[test]
    fn what_is_no_response_is_named() {
        let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; MAX_HEAD]].concat();
        let table: &[(&[u8], &str)] = &[
            (b"-ERR max number of clients reached\r\nmore", "the target does not speak HTTP/1; it said \"-ERR max number of clients reached\""),
            (b"SSH-2.0-x", "NotHttp { banner: \"SSH-2.0-x\" } after 9"),
            (b"HTT\x00P\n", "the target does not speak HTTP/1; it said \"HTTP\""),
            (b"HTTP/1.1 2x0 OK\r\n\r\n", "the response head is malformed: invalid response status"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", "the response's content length is no number or contradicts itself"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "the response's content length is no number or contradicts itself"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "the response body is malformed: chunk size is not a hexadecimal number below 2^63"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "Cut after 40"),
            (b"HT", "Cut after 2"),
            (b"", "Cut after 0"),
            (&long, "the response head is longer than 262144 bytes"),
        ];
        for (wire, expected) in table {
            assert_eq!(read("GET", &[wire]), Err((*expected).to_owned()));
        }
    }

    #[test]
    fn headers_are_accepted_up_to_the_limit() {
        let with = |count: usize| {
            let headers = "X: y\r\n".repeat(count);
            read("GET", &[format!("HTTP/1.1 204 No Content\r\n{headers}\r\n").as_bytes()])
        };
        assert_eq!(with(MAX_HEADERS), Ok((204, 0, true)));
        assert!(with(MAX_HEADERS + 1).is_err());
    }

    #[test]
    fn a_banner_is_bounded_and_printable() {
        let noise = [b"\x00ab\x1b[31m".to_vec(), vec![b'z'; 500]].concat();
        let Err(ResponseError::NotHttp { banner }) = ResponseReader::new("GET").push(&noise) else {
            panic!("noise is not HTTP");
        };
        assert!(banner.starts_with("ab[31mz") && banner.len() <= MAX_BANNER, "{banner}");
    }

    fn wire() -> impl Strategy<Value = Vec<u8>> {
        let parts = prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.0 404 No\r\n", "\r\n", "\n",
            "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
            "hello", "3\r\nabc\r\n", "0\r\n\r\n", "-ERR no\r\n", "HTT",
        ]);
        let spoken = prop::collection::vec(parts, 0..8).prop_map(|parts| parts.concat().into());
        prop_oneof![4 => spoken, 1 => prop::collection::vec(any::<u8>(), 0..200)]
    }

    proptest! {
        /// For all bytes and all cuts of them: no panic, and the same status and body, or the same
        /// error, as in one piece. (Whether bytes follow an answer is known only in one piece, and
        /// how much was seen before an error depends on the cut.)
        #[test]
        fn every_cut_reads_alike(wire in wire(), cuts in prop::collection::vec(0_usize..200, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
            let known = |read: Result<(u16, u64, bool), String>| read.map(|read| (read.0, read.1));
            for method in ["GET", "HEAD"] {
                prop_assert_eq!(known(read(method, &[&wire])), known(read(method, &pieces)));
            }
        }
    }
}
