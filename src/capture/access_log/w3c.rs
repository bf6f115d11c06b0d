//! The extended log format of the W3C: IIS, `CloudFront` and others. A directive names the fields
//! of the lines that follow it, and may come again with others.

use std::borrow::Cow;

use crate::capture::access_log::common::status_of;
use crate::capture::access_log::entry::{Entry, Miss, Moment, Read};
use crate::capture::access_log::stamp::{self, Known, MILLISECOND, SECOND, Stamp, offset_seconds};
use crate::capture::access_log::text::{Text, is_absent, number, present};

/// Most fields of a line that are looked at.
const MAX_FIELDS: usize = 256;

/// What the directives so far said.
#[derive(Clone, Debug, Default)]
pub struct W3c {
    fields: Vec<String>,
    /// As a directive says; otherwise it is UTC by the rules.
    offset: Option<i64>,
    software: Software,
}

/// Programs whose fields mean something else than those of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Software {
    #[default]
    Other,
    Iis,
    CloudFront,
}

impl W3c {
    /// Reads a line or a directive.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Read<'a> {
        if let Some(directive) = line.strip_prefix(b"#") {
            self.directive(&String::from_utf8_lossy(directive));
            return Err(Miss::Directive);
        }
        if self.fields.is_empty() {
            return Err(Miss::NotUnderstood("no `#Fields:` came before it"));
        }
        let values = values(line);
        if values.len() < self.fields.len().min(MAX_FIELDS) {
            return Err(Miss::NotUnderstood("it has fewer fields than `#Fields:` names"));
        }
        self.entry(values)
    }

    fn directive(&mut self, text: &str) {
        let Some((name, value)) = text.split_once(':') else {
            return;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "fields" => {
                let names = value.split_ascii_whitespace().take(MAX_FIELDS);
                self.fields = names.map(str::to_ascii_lowercase).collect();
                // Its lines have no `#Software:`.
                if self.fields.iter().any(|name| name == "x-edge-location") {
                    self.software = Software::CloudFront;
                }
            }
            "software" if value.contains("Microsoft") || value.contains("IIS") => {
                self.software = Software::Iis;
            }
            "software" => self.software = Software::Other,
            "gmt-offset" => self.offset = offset_seconds(value),
            _ => {}
        }
    }

    fn entry<'a>(&self, values: Vec<Text<'a>>) -> Read<'a> {
        let bad = Miss::NotUnderstood;
        let mut entry = Entry { moment: self.moment(), ..Entry::default() };
        let (mut date, mut clock, mut query) = (Cow::default(), Cow::default(), Cow::default());
        let mut host = Cow::default();
        let (mut address, mut port) = (None, None);
        for (name, value) in self.fields.iter().zip(values) {
            match name.as_str() {
                "date" | "date-local" => date = value,
                "time" | "time-local" => clock = value,
                "c-ip" => entry.client = present(value),
                "c-port" | "cs-connection-id" => entry.connection = present(value),
                "cs-method" => entry.method = present(value),
                "cs-uri-stem" | "cs-uri" => entry.target = present(value),
                "cs-uri-query" => query = present(value),
                "sc-status" if !is_absent(&value) => entry.status = status_of(&value)?,
                // With the head, but that is all there is.
                "sc-bytes" | "bytes" => entry.sent = number(&value),
                "time-taken" | "timetakenms" => entry.duration = self.duration(name, &value),
                "cs(user-agent)" => entry.agent = present(self.plain(value)),
                "cs(referer)" | "cs(referrer)" => entry.referer = present(self.plain(value)),
                // The host of the viewer's request; `cs(Host)` is the distribution's name.
                "x-host-header" => entry.authority = present(value),
                "cs-host" | "cs(host)" => host = present(value),
                "cs-version" | "cs-protocol-version" => entry.version = present(value),
                "cs-protocol" => entry.scheme = present(value),
                "s-ip" => address = number(&value),
                "s-port" => port = number(&value),
                _ => {}
            }
        }
        let time: Option<Stamp> = stamp::date_and_time(&date, &clock, self.offset);
        entry.time = time.ok_or(bad("its date and time are none"))?;
        if entry.time.zone == Known::Not {
            let is_sure = self.software == Software::CloudFront;
            entry.time.zone = if is_sure { Known::Written } else { Known::ByRule };
        }
        if entry.authority.is_empty() {
            entry.authority = host;
        }
        if let (Some(address), Some(port)) = (address, port) {
            entry.server = Some(std::net::SocketAddr::new(address, port));
        }
        if is_absent(&entry.target) {
            return Err(Miss::NoRequest);
        }
        host_of_target(&mut entry);
        if !query.is_empty() {
            entry.target = Cow::Owned([&entry.target[..], b"?", &query[..]].concat());
        }
        Ok(entry)
    }

    /// `CloudFront` and IIS write a line at the end; of others it is not known.
    fn moment(&self) -> Moment {
        match self.software {
            Software::Iis | Software::CloudFront => Moment::End,
            Software::Other => Moment::Unknown,
        }
    }

    fn duration(&self, name: &str, value: &[u8]) -> Option<stamp::Span> {
        let in_ms = self.software == Software::Iis || name == "timetakenms";
        stamp::decimal(value, if in_ms { MILLISECOND } else { SECOND })
    }

    /// IIS writes `+` for blanks, `CloudFront` percent-encodes. Targets stay as they are: a blank
    /// in them was encoded by the client.
    fn plain<'a>(&self, value: Text<'a>) -> Text<'a> {
        match self.software {
            Software::CloudFront => decoded(value),
            Software::Iis if !value.contains(&b' ') && value.contains(&b'+') => Cow::Owned(
                value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect(),
            ),
            _ => value,
        }
    }
}

/// A whole URL, or one without its scheme, has the host in it.
fn host_of_target(entry: &mut Entry<'_>) {
    entry.split_absolute();
    let target = &entry.target;
    if target.starts_with(b"/") || target[..] == *b"*" || !entry.authority.is_empty() {
        return;
    }
    let end = target.iter().position(|byte| *byte == b'/').unwrap_or(target.len());
    if target[..end].contains(&b'.') {
        entry.authority = Cow::Owned(target[..end].to_vec());
        let path = if end == target.len() { b"/".to_vec() } else { target[end..].to_vec() };
        entry.target = Cow::Owned(path);
    }
}

/// Values between tabs or blanks; quotes hold blanks, and a doubled one stands for itself.
fn values(line: &[u8]) -> Vec<Text<'_>> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let (mut values, mut rest) = (Vec::new(), line.trim_ascii());
    while !rest.is_empty() && values.len() < MAX_FIELDS {
        let end = rest.strip_prefix(b"\"").and_then(closing_quote);
        let length = if let Some(end) = end {
            values.push(undoubled(&rest[1..=end]));
            end + 2
        } else {
            let length = rest.iter().position(is_blank).unwrap_or(rest.len());
            values.push(Cow::Borrowed(&rest[..length]));
            length
        };
        rest = &rest[length.min(rest.len())..];
        rest = &rest[rest.iter().take_while(|byte| is_blank(byte)).count()..];
    }
    values
}

/// The quote that ends a value: not one of a pair, and followed by a blank or nothing.
fn closing_quote(inside: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += inside.get(at..)?.iter().position(|byte| *byte == b'"')?;
        match inside.get(at + 1) {
            Some(b'"') => at += 2,
            None | Some(b' ' | b'\t') => return Some(at),
            Some(_) => at += 1,
        }
    }
}

fn undoubled(text: &[u8]) -> Text<'_> {
    if !text.windows(2).any(|pair| pair == b"\"\"") {
        return Cow::Borrowed(text);
    }
    let (mut out, mut last) = (Vec::with_capacity(text.len()), 0);
    for byte in text {
        if *byte == b'"' && last == b'"' {
            last = 0;
            continue;
        }
        out.push(*byte);
        last = *byte;
    }
    Cow::Owned(out)
}

/// Undoes percent-encoding, of which `CloudFront` may have done two layers.
fn decoded(value: Text<'_>) -> Text<'_> {
    if !value.contains(&b'%') {
        return value;
    }
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(value.len()), 0);
    while let Some(byte) = value.get(at) {
        let pair = (digit(value.get(at + 1)), digit(value.get(at + 2)));
        let plain = match (byte, pair) {
            (b'%', (Some(high), Some(low))) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        out.push(plain.unwrap_or(*byte));
        at += if plain.is_some() { 3 } else { 1 };
    }
    Cow::Owned(out)
}
