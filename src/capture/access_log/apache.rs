//! Directives of Apache in a format string. The time is that of the arrival, unless it begins
//! with `end:`.

use crate::capture::access_log::entry::Moment;
use crate::capture::access_log::stamp::{MILLISECOND, SECOND};
use crate::capture::access_log::template::{Field, Piece};

/// The parts of a `LogFormat`.
pub fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let (mut literal, mut rest) = (Vec::new(), text);
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter != '%' {
            literal.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        // `%>s`, `%<s` and `%!200,304{Referer}i`: which request, and for which statuses.
        rest = rest.trim_start_matches(|c: char| matches!(c, '<' | '>' | '!' | ',' | '0'..='9'));
        let (parameter, after) = match rest.strip_prefix('{') {
            Some(inside) => inside.split_once('}').ok_or("a `%{` is not closed")?,
            None => ("", rest),
        };
        // Directives of three characters, such as `%^FB`.
        let after = after.strip_prefix('^').map_or(after, |name| name.get(1..).unwrap_or(""));
        let directive = after.chars().next().ok_or("it ends with a `%`")?;
        rest = &after[directive.len_utf8()..];
        if directive == '%' {
            literal.push(b'%');
            continue;
        }
        let bracketed = directive == 't' && parameter.is_empty();
        if bracketed {
            literal.push(b'[');
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Value(field(directive, parameter)));
        if bracketed {
            literal.push(b']');
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn field(directive: char, parameter: &str) -> Field {
    match (directive, parameter.to_ascii_lowercase().as_str()) {
        ('h' | 'a', _) => Field::Client,
        ('p', "remote") => Field::Connection,
        ('t', _) => time(parameter),
        ('r', _) => Field::Request,
        ('m', _) => Field::Method,
        ('U', _) => Field::Path,
        ('q', _) => Field::Query,
        ('H', _) => Field::Version,
        ('v' | 'V', _) | ('i', "host") => Field::Host,
        ('i', "user-agent") => Field::Agent,
        ('i', "referer") => Field::Referer,
        ('i', "content-length") => Field::Received,
        ('s', _) => Field::Status,
        ('b' | 'B', _) => Field::Sent,
        ('D', _) | ('T', "us") => Field::Duration(1_000),
        ('T', "ms") => Field::Duration(MILLISECOND),
        ('T', _) => Field::Duration(SECOND),
        _ => Field::Ignored,
    }
}

fn time(parameter: &str) -> Field {
    let (moment, form) = match parameter.split_once(':') {
        Some(("begin", form)) => (Moment::Start, form),
        Some(("end", form)) => (Moment::End, form),
        _ => (Moment::Start, parameter),
    };
    match form {
        "" | "sec" | "msec" | "usec" => Field::Time(moment),
        "msec_frac" => Field::Fraction(MILLISECOND),
        "usec_frac" => Field::Fraction(1_000),
        _ => Field::Pattern(form.to_owned(), moment),
    }
}
