//! Variables of nginx in a format string. All of its lines are written at the end of a request.

use crate::capture::access_log::entry::Moment;
use crate::capture::access_log::stamp::SECOND;
use crate::capture::access_log::template::{Field, Piece};

/// The parts of a `log_format`.
pub fn pieces(text: &str) -> Vec<Piece> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let start = rest.find('$').unwrap_or(rest.len());
        if start > 0 {
            pieces.push(Piece::Literal(rest.as_bytes()[..start].to_vec()));
        }
        let Some(variable) = rest[start..].strip_prefix('$') else {
            break;
        };
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let braced = variable.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let (name, after) = braced.unwrap_or_else(|| {
            variable.split_at(variable.find(|c| !is_of_name(c)).unwrap_or(variable.len()))
        });
        pieces.push(Piece::Value(field(name)));
        rest = after;
    }
    pieces
}

fn field(name: &str) -> Field {
    match name {
        "remote_addr" => Field::Client,
        "connection" | "remote_port" => Field::Connection,
        "time_local" | "time_iso8601" | "msec" => Field::Time(Moment::End),
        "request_time" => Field::Duration(SECOND),
        "request" => Field::Request,
        "request_method" => Field::Method,
        "request_uri" => Field::Target,
        "uri" | "document_uri" => Field::Path,
        "args" | "query_string" => Field::Query,
        "server_protocol" => Field::Version,
        "scheme" => Field::Scheme,
        "host" | "http_host" | "server_name" => Field::Host,
        "http_user_agent" => Field::Agent,
        "http_referer" => Field::Referer,
        "status" => Field::Status,
        "body_bytes_sent" => Field::Sent,
        "content_length" => Field::Received,
        _ => Field::Ignored,
    }
}
