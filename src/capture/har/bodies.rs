//! Bodies of HAR entries, as far as they are there.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::capture::har::entry::{Answer, Pair, PostData, Request};
use crate::capture::heads::Line;
use crate::recording::ledger::Ledger;

/// The body, its length on the wire, and its type where `postData` tells one. A body that the
/// entry only mentions is empty here and longer on the wire.
pub(super) fn request_body<'a>(
    request: &'a Request,
    ledger: &mut Ledger,
) -> (Vec<u8>, u64, Option<&'a str>) {
    let declared = declared_length(request);
    let Some(data) = &request.post_data else {
        return (Vec::new(), declared.unwrap_or(0), None);
    };
    let mime_type = Some(data.mime_type.0.as_str()).filter(|mime_type| !mime_type.is_empty());
    let Some(body) = body_of(data, declared) else {
        // Its length is not known either: one byte more than there is makes it not whole.
        ledger.note("request bodies that cannot be put together", 1);
        return (Vec::new(), declared.unwrap_or(0).max(1), mime_type);
    };
    let length = body.len() as u64;
    if declared.is_some_and(|declared| declared != length) {
        ledger.note("request bodies of another length than they say, taken as they are", 1);
    }
    (body, length, mime_type)
}

/// What `Content-Length` or `bodySize` says, where it says that there is something.
fn declared_length(request: &Request) -> Option<u64> {
    let headers = request.headers.as_ref().map_or(&[][..], |headers| &headers.0);
    let is_length = |pair: &&Pair| pair.name.0.eq_ignore_ascii_case("content-length");
    let header = headers.iter().find(is_length).and_then(|pair| pair.value.0.trim().parse().ok());
    header.or_else(|| request.body_size.and_then(whole)).filter(|length| *length < 1 << 62)
}

/// `None` when the entry has its parts only, and they do not tell the bytes.
fn body_of(data: &PostData, declared: Option<u64>) -> Option<Vec<u8>> {
    let params = data.params.as_ref().map_or(&[][..], |params| &params.0);
    match data.text.as_deref() {
        Some(text) if data.encoding.0.eq_ignore_ascii_case("base64") => {
            STANDARD.decode(text.trim()).ok()
        }
        Some(text) if !text.is_empty() || params.is_empty() => Some(bytes_of(text, declared)),
        _ if params.is_empty() => Some(Vec::new()),
        _ if data.mime_type.0.starts_with("multipart/") => None,
        _ => Some(form_of(params).into_bytes()),
    }
}

/// Chrome writes bytes as characters from U+0000 to U+00FF where a body is not UTF-8: the length
/// tells that from text.
fn bytes_of(text: &str, declared: Option<u64>) -> Vec<u8> {
    let is_bytes = declared.is_some_and(|declared| declared != text.len() as u64)
        && declared == Some(text.chars().count() as u64);
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.filter(|_| is_bytes).unwrap_or_else(|| text.as_bytes().to_vec())
}

fn form_of(params: &[Pair]) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|pair| format!("{}={}", form_word(&pair.name.0), form_word(&pair.value.0)))
        .collect();
    pairs.join("&")
}

/// Some tools write parameters decoded, others as on the wire: an escape is kept.
fn form_word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => word.push('+'),
            b'&' | b'=' | b'#' | 0..0x20 | 0x7f.. => drop(write!(word, "%{byte:02X}")),
            _ => word.push(char::from(byte)),
        }
    }
    word
}

/// Bytes of the response's body on the wire. Browsers know the length after decompression best,
/// and write -1 or 0 for the other.
pub(super) fn response_bytes(
    answer: &Answer,
    status: u16,
    method: &str,
    lines: &[Line],
) -> Option<u64> {
    if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
        return Some(0);
    }
    let named = |wanted: &str| lines.iter().find(|line| line.0.eq_ignore_ascii_case(wanted));
    let header = named("content-length").and_then(|line| line.1.trim().parse().ok());
    let header = header.filter(|length: &u64| *length < 1 << 62);
    let content = answer.content.as_ref();
    let size = content.and_then(|content| content.size).and_then(whole);
    let compression = content.and_then(|content| content.compression).unwrap_or(0.0);
    let is_plain = named("content-encoding").is_none();
    header
        .or_else(|| answer.body_size.and_then(whole).filter(|size| *size > 0))
        .or_else(|| size?.checked_sub(whole(compression).filter(|saved| *saved > 0)?))
        .or(size.filter(|_| is_plain))
}

/// A number of bytes; negative ones mean that it is not known.
fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    (0.0..4e18).contains(&number).then_some(number as u64)
}
