//! The common log format and what grew out of it: combined, with the virtual host in front, with
//! a duration between date and request, and Traefik's.
//!
//! nginx and Apache write the same text with opposite meanings of its time, the end of a request
//! and its arrival, so the moment is unknown here.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::capture::access_log::entry::{Entry, Miss, Moment, Read};
use crate::capture::access_log::stamp::{self, MILLISECOND, SECOND};
use crate::capture::access_log::text::{Fields, number, present};

/// Reads `client ident user [date] "request" status bytes "referer" "agent"` and what may follow.
pub fn read(line: &[u8]) -> Read<'_> {
    let open = line.iter().position(|byte| *byte == b'[');
    let open = open.ok_or(Miss::NotUnderstood("there is no [date]"))?;
    let mut entry = Entry::default();
    origin(&line[..open], &mut entry)?;
    let mut fields = Fields(&line[open..]);
    let date = fields.between(b'[', b']').ok_or(Miss::NotUnderstood("the [date] does not end"))?;
    entry.time = stamp::common(date)
        .or_else(|| stamp::iso(date))
        .ok_or(Miss::NotUnderstood("the [date] is none"))?;
    if let Some(taken) = fields.between(b'(', b')') {
        let number = taken.split(|byte| *byte == b' ').next().unwrap_or_default();
        entry.duration = stamp::decimal(number, SECOND);
    }
    let request = fields.quoted().ok_or(Miss::NotUnderstood("there is no \"request\""))?;
    let status = fields.word().ok_or(Miss::NotUnderstood("there is no status"))?;
    entry.status = status_of(status)?;
    entry.sent = match fields.word() {
        None | Some(b"-") => Some(0),
        Some(bytes) => Some(number(bytes).ok_or(Miss::NotUnderstood("the size is no number"))?),
    };
    entry.referer = present(fields.quoted().unwrap_or_default());
    entry.agent = present(fields.quoted().unwrap_or_default());
    traefik(fields, &mut entry);
    entry.request_line(request)?;
    Ok(entry)
}

/// A status of three digits; `None` where there was no response.
pub fn status_of(text: &[u8]) -> Result<Option<u16>, Miss> {
    match text {
        b"-" | b"0" | b"000" | b"-1" => Ok(None),
        _ => match number::<u16>(text) {
            Some(status @ 100..=999) => Ok(Some(status)),
            _ => Err(Miss::NotUnderstood("the status is none")),
        },
    }
}

/// `client ident user`, with a host in front where there are four words.
fn origin<'a>(text: &'a [u8], entry: &mut Entry<'a>) -> Result<(), Miss> {
    let mut fields = Fields(text);
    let mut words = [&b""[..]; 3];
    let mut count = 0;
    while let Some(word) = fields.word() {
        if let Some(place) = words.get_mut(count) {
            *place = word;
        }
        count += 1;
    }
    let is_address = |word: &[u8]| number::<IpAddr>(word).is_some();
    match count {
        0..=2 => return Err(Miss::NotUnderstood("before the [date] are fewer than three words")),
        // A user's name may have blanks, so a fourth word is no proof of a host in front.
        4.. if !is_address(words[0]) && words[0].contains(&b'.') => {
            entry.authority = Cow::Borrowed(words[0]);
            entry.client = Cow::Borrowed(words[1]);
        }
        _ => entry.client = Cow::Borrowed(words[0]),
    }
    Ok(())
}

/// `count "router" "server" 12ms`, which Traefik appends. Its date is that of the arrival.
fn traefik(mut fields: Fields<'_>, entry: &mut Entry<'_>) {
    let count = fields.word().and_then(number::<u64>);
    let (router, server) = (fields.quoted(), fields.quoted());
    let taken = fields.word().and_then(|word| word.strip_suffix(b"ms"));
    if let (Some(_), Some(_), Some(_), Some(taken)) = (count, router, server, taken) {
        entry.duration = stamp::decimal(taken, MILLISECOND);
        entry.moment = Moment::Start;
    }
}
