//! `HAProxy`'s `httplog`, old and new, behind a syslog prefix or not.

use std::borrow::Cow;

use crate::capture::access_log::common::status_of;
use crate::capture::access_log::entry::{Entry, Miss, Moment, Read};
use crate::capture::access_log::stamp::{self, MILLISECOND, Span};
use crate::capture::access_log::text::{Fields, number, unescape};

/// Reads `client:port [date] frontend backend/server timers status bytes cookies state
/// connections queues {captured} "request"`. The date has no zone, so it counts as UTC; it is the
/// arrival of the request's first byte, or of its connection in the oldest versions.
pub fn read(line: &[u8]) -> Read<'_> {
    let bad = Miss::NotUnderstood;
    let open = find(line, b" [").filter(|open| line[..*open].contains(&b':'));
    // A syslog prefix has the number of a process in brackets, before the client.
    let open = match open {
        Some(open) if line[open + 2..].iter().take(12).any(|byte| *byte == b'/') => open,
        _ => return Err(Miss::OtherMessage),
    };
    let client = line[..open].rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let colon = client.iter().rposition(|byte| *byte == b':').ok_or(bad("no client:port"))?;
    let mut fields = Fields(&line[open..]);
    let date = fields.between(b'[', b']').ok_or(bad("the [date] does not end"))?;
    let time = stamp::common(date).ok_or(bad("the [date] is none"))?;
    let mut entry = Entry { time, moment: Moment::Start, ..Entry::default() };
    entry.client = Cow::Borrowed(&client[..colon]);
    entry.connection = Cow::Borrowed(&client[colon + 1..]);
    let mut word = || fields.word().ok_or(Miss::OtherMessage);
    let frontend = word()?;
    let _backend = word()?;
    let timers = word()?;
    if timers.split(|byte| *byte == b'/').count() < 4 {
        return Err(Miss::OtherMessage);
    }
    entry.status = status_of(word()?)?;
    // A sign stands before sizes and times that were still growing.
    entry.sent = number(word()?.trim_ascii_start());
    entry.duration = total(timers);
    if frontend.ends_with(b"~") {
        entry.scheme = Cow::Borrowed(b"https");
    }
    let quote = fields.0.iter().position(|byte| *byte == b'"').ok_or(Miss::OtherMessage)?;
    // The request comes last and is cut where the line would be too long.
    let request = &fields.0[quote + 1..];
    let end = request.iter().rposition(|byte| *byte == b'"').unwrap_or(request.len());
    entry.request_line(unescape(&request[..end]))?;
    entry.split_absolute();
    Ok(entry)
}

/// The last timer is all of the request's time; before 1.5 it counted from the connection.
fn total(timers: &[u8]) -> Option<Span> {
    let last = timers.rsplit(|byte| *byte == b'/').next()?;
    let last = last.strip_prefix(b"+").unwrap_or(last);
    stamp::decimal(last, MILLISECOND)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
