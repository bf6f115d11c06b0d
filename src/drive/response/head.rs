//! The head of a response, and the framing of the body that it announces.

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use crate::drive::response::{Answer, ResponseError};
use crate::protocol::http1::body::Framing;

/// Most headers of a response; browsers and proxies stop at a hundred or two.
pub const MAX_HEADERS: usize = 256;

/// Headers read without allocating; nearly every response has fewer.
const USUAL_HEADERS: usize = 64;

/// Requests whose responses are framed unlike others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Head,
    Connect,
    Other,
}

impl RequestKind {
    pub(crate) fn of(method: &str) -> Self {
        match method {
            "HEAD" => Self::Head,
            "CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// Where the empty line that ends a head ends, looked for from `from` on.
pub(crate) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|at| match bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// What a head begins.
pub(crate) enum Begun {
    /// An interim response, which is over with it; its status.
    Interim(u16),
    Final(Framing, Answer),
}

/// Reads a whole head.
pub(crate) fn read_head(bytes: &[u8], request: RequestKind) -> Result<Begun, ResponseError> {
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
) -> Result<Begun, ResponseError> {
    let mut response = httparse::Response::new(headers);
    // What browsers tolerate is not the target's failure.
    let mut config = ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    let (Status::Complete(_), Some(status), Some(minor)) = (
        config.parse_response(&mut response, bytes).map_err(ResponseError::Head)?,
        response.code,
        response.version,
    ) else {
        // The head is whole; a parser that wants more disagrees about where it ends.
        return Err(ResponseError::Head(httparse::Error::NewLine));
    };
    if (100..200).contains(&status) && status != 101 {
        return Ok(Begun::Interim(status));
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
    Ok(Begun::Final(framing, Answer { status, reusable }))
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
