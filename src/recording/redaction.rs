//! Replaces credentials by filler of the same length, before anything is written.
//!
//! Lengths stay, so that sizes and framing stay; names of cookies and parameters stay, since they
//! are what a replay rewrites. Where a head is ambiguous, such as a folded line, more is replaced
//! rather than less. Left alone: bodies that are not forms, parameters and headers with names not
//! listed here.

pub mod heads;
pub mod urls;

use ::bytes::Bytes;

use crate::recording::redaction::heads::{is_form, redact_head};
use crate::recording::redaction::urls::{redact_form, redact_url, redact_userinfo};
use crate::recording::{Exchange, Flags};

/// Headers whose values are replaced, in requests and responses; case does not matter.
pub const REDACTED_HEADERS: &[&str] = &[
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "X-Api-Key",
    "X-Auth-Token",
    "X-Access-Token",
    "X-Csrf-Token",
    "X-Xsrf-Token",
    "X-Amz-Security-Token",
];

/// Parameters of URLs and forms whose values are replaced; case does not matter. Of `user[name]`
/// the name in brackets counts.
pub const REDACTED_PARAMETERS: &[&str] = &[
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "authenticity_token",
    "csrf_token",
    "auth",
    "authorization",
    "jwt",
    "api_key",
    "api-key",
    "apikey",
    "password",
    "password_confirmation",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "sig",
    "signature",
    "x-amz-signature",
    "x-amz-security-token",
    "session",
    "session_id",
    "sessionid",
    "jsessionid",
    "phpsessid",
    "sid",
    "otp",
];

/// What a replaced byte becomes.
pub(crate) const FILLER: u8 = b'x';

/// Replaces credentials in heads, target, route, authority and form bodies. No length changes;
/// [`Flags::REDACTED`] is set when anything was replaced. Redacting twice is redacting once.
pub fn redact(exchange: &mut Exchange) {
    let mut replaced = false;
    if is_form(&exchange.request_head) {
        replaced |= redact_bytes(&mut exchange.request_body, redact_form);
    }
    replaced |= redact_bytes(&mut exchange.request_head, redact_head);
    if let Some(response) = &mut exchange.response {
        replaced |= redact_bytes(&mut response.head, redact_head);
    }
    replaced |= redact_text(&mut exchange.target, redact_url);
    replaced |= redact_text(&mut exchange.route, redact_url);
    replaced |= redact_text(&mut exchange.authority, redact_userinfo);
    if replaced {
        exchange.flags.insert(Flags::REDACTED);
    }
}

fn redact_bytes(bytes: &mut Bytes, redact: fn(&mut [u8]) -> bool) -> bool {
    let mut copy = bytes.to_vec();
    let replaced = redact(&mut copy);
    if replaced {
        *bytes = copy.into();
    }
    replaced
}

fn redact_text(text: &mut String, redact: fn(&mut [u8]) -> bool) -> bool {
    let mut copy = text.clone().into_bytes();
    let replaced = redact(&mut copy);
    if replaced {
        // Filler replaces whole runs between ASCII separators, so the rest stays UTF-8.
        *text =
            String::from_utf8(copy).unwrap_or_else(|error| "x".repeat(error.into_bytes().len()));
    }
    replaced
}

/// Replaces every byte that is no white space; tells whether there was any.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    let mut replaced = false;
    for byte in bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace()) {
        *byte = FILLER;
        replaced = true;
    }
    replaced
}
