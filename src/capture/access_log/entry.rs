//! What one line of a log says, whatever its format.

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::capture::access_log::stamp::{Span, Stamp};
use crate::capture::access_log::text::{Text, is_absent, is_token};

/// A line, taken apart. What it does not say is absent or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The moment written in the line.
    pub time: Stamp,
    /// What moment that is.
    pub moment: Moment,
    /// How long the request took.
    pub duration: Option<Span>,
    /// The client's address.
    pub client: Text<'a>,
    /// What tells the client's connections apart: its port, or the server's number of it.
    pub connection: Text<'a>,
    /// Method; empty where the format has none.
    pub method: Text<'a>,
    /// Target as sent.
    pub target: Text<'a>,
    /// `HTTP/1.1`; empty where it is not known.
    pub version: Text<'a>,
    /// The request line had no version: HTTP/0.9.
    pub is_versionless: bool,
    /// `https` where it is known to have been.
    pub scheme: Text<'a>,
    /// The host that was asked.
    pub authority: Text<'a>,
    /// `User-Agent`.
    pub agent: Text<'a>,
    /// `Referer`.
    pub referer: Text<'a>,
    /// Status; `None` where there was no response.
    pub status: Option<u16>,
    /// Bytes of the response's body.
    pub sent: Option<u64>,
    /// Bytes of the request's body.
    pub received: Option<u64>,
    /// The address that answered.
    pub server: Option<SocketAddr>,
}

/// Which moment of a request its line is stamped with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moment {
    /// Its arrival.
    Start,
    /// The end of its response: the arrival was earlier by the duration.
    End,
    /// The format does not tell; taken as the arrival.
    #[default]
    Unknown,
}

/// Why a line is no exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It describes the log, such as `#Fields:`.
    Directive,
    /// A line of the server that is about something else than a request.
    OtherMessage,
    /// It tells of a connection on which no HTTP request came: `-`, or the bytes of TLS.
    NoRequest,
    /// It does not fit the format; the reason is for people, and quotes nothing.
    NotUnderstood(&'static str),
}

/// What became of a line.
pub type Read<'a> = Result<Entry<'a>, Miss>;

impl<'a> Entry<'a> {
    /// Takes a request line apart: method, target and version.
    pub fn request_line(&mut self, line: Text<'a>) -> Result<(), Miss> {
        let line: Text<'a> = match line {
            Cow::Borrowed(line) => Cow::Borrowed(line.trim_ascii()),
            Cow::Owned(line) => Cow::Owned(line.trim_ascii().to_vec()),
        };
        if is_absent(&line) {
            return Err(Miss::NoRequest);
        }
        let Some(blank) = line.iter().position(|byte| *byte == b' ') else {
            return Err(Miss::NoRequest);
        };
        if !is_token(&line[..blank]) {
            return Err(Miss::NoRequest);
        }
        let last = line.iter().rposition(|byte| *byte == b' ').unwrap_or(blank);
        let versioned = last > blank && line[last + 1..].starts_with(b"HTTP");
        let end = if versioned { last } else { line.len() };
        self.method = part(&line, 0, blank);
        self.target = part(&line, blank + 1, end);
        self.version = if versioned { part(&line, last + 1, line.len()) } else { Cow::default() };
        self.is_versionless = !versioned;
        Ok(())
    }

    /// Load balancers write a path as an absolute URL, which is not what the client sent.
    pub fn split_absolute(&mut self) {
        let target = &self.target;
        let Some(colon) = target.windows(3).position(|part| part == b"://") else {
            return;
        };
        if !target[..colon].iter().all(u8::is_ascii_alphabetic) {
            return;
        }
        let after = colon + 3;
        let path = target[after..].iter().position(|byte| b"/?".contains(byte));
        let path = path.map_or(target.len(), |path| after + path);
        let (scheme, authority) = (target[..colon].to_vec(), target[after..path].to_vec());
        let rest = match &target[path..] {
            [] => b"/".to_vec(),
            rest @ [b'?', ..] => [b"/", rest].concat(),
            rest => rest.to_vec(),
        };
        self.scheme = Cow::Owned(scheme);
        if self.authority.is_empty() {
            self.authority = Cow::Owned(authority);
        }
        self.target = Cow::Owned(rest);
    }
}

/// A part of a text, borrowed where the whole is.
fn part<'a>(whole: &Text<'a>, from: usize, to: usize) -> Text<'a> {
    match whole {
        Cow::Borrowed(whole) => Cow::Borrowed(&whole[from..to]),
        Cow::Owned(whole) => Cow::Owned(whole[from..to].to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Entry<'_>, Miss> {
        let mut entry = Entry::default();
        entry.request_line(Cow::Borrowed(text.as_bytes())).map(|()| entry)
    }

    #[test]
    fn a_request_line_has_a_version_or_is_of_http_0_9() {
        let entry = line("GET /a b HTTP/1.1").unwrap();
        assert_eq!((&entry.method[..], &entry.target[..]), (&b"GET"[..], &b"/a b"[..]));
        assert_eq!(&entry.version[..], b"HTTP/1.1");
        let entry = line("GET /old").unwrap();
        assert_eq!((&entry.target[..], entry.is_versionless), (&b"/old"[..], true));
        for none in ["-", "", "\u{16}\u{3}\u{1}", "\u{16}\u{3} \u{1} x", "word"] {
            assert_eq!(line(none), Err(Miss::NoRequest), "{none:?}");
        }
    }

    #[test]
    fn an_absolute_url_of_a_balancer_is_a_host_and_a_path() {
        for (target, parts) in [
            ("https://a.example:443/x?y", "https a.example:443 /x?y"),
            ("http://a.example", "http a.example /"),
            ("http://a.example?q", "http a.example /?q"),
            ("/x?to=http://b/", "  /x?to=http://b/"),
        ] {
            let mut entry = Entry { target: Cow::Borrowed(target.as_bytes()), ..Entry::default() };
            entry.split_absolute();
            let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            let Entry { scheme, authority, target, .. } = &entry;
            assert_eq!(format!("{} {} {}", text(scheme), text(authority), text(target)), parts);
        }
    }
}
