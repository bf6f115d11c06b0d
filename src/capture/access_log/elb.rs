//! Load balancers of AWS: the application's (ALB) and the classic one.

use std::borrow::Cow;

use crate::capture::access_log::common::status_of;
use crate::capture::access_log::entry::{Entry, Miss, Moment, Read};
use crate::capture::access_log::stamp::{self, SECOND, Span};
use crate::capture::access_log::text::{Fields, Text, number, present};

/// Reads a line of an application load balancer. Its first time is that of the response; the
/// arrival comes later in the line.
pub fn read_alb(line: &[u8]) -> Read<'_> {
    let bad = Miss::NotUnderstood;
    let mut fields = Fields(line);
    let kind = fields.word().ok_or(bad("there is no type"))?;
    if !matches!(kind, b"http" | b"https" | b"h2" | b"grpcs" | b"ws" | b"wss") {
        return Err(bad("the type is no protocol"));
    }
    let mut entry = balancer(&mut fields)?;
    for _ in 0..3 {
        fields.field(); // Cipher, TLS version, target group.
    }
    fields.field(); // Trace.
    let domain = present(fields.field().unwrap_or_default());
    if entry.authority.is_empty() {
        entry.authority = domain;
    }
    fields.field(); // Certificate.
    fields.field(); // Rule.
    let created = fields.field().and_then(|field| stamp::iso(&field));
    match created {
        Some(created) => {
            (entry.time, entry.moment) = (created, Moment::Start);
        }
        None => entry.moment = Moment::End,
    }
    if !matches!(kind, b"http" | b"ws") {
        entry.scheme = Cow::Borrowed(b"https");
    }
    if matches!(kind, b"ws" | b"wss") {
        entry.status = entry.status.or(Some(101));
    }
    Ok(entry)
}

/// Reads a line of a classic load balancer, whose time is that of the arrival.
pub fn read_elb(line: &[u8]) -> Read<'_> {
    let mut entry = balancer(&mut Fields(line))?;
    entry.moment = Moment::Start;
    Ok(entry)
}

/// What both have: `time elb client:port target:port 3 times 2 statuses received sent "request"
/// "agent"`.
fn balancer<'a>(fields: &mut Fields<'a>) -> Read<'a> {
    let bad = Miss::NotUnderstood;
    let word = |fields: &mut Fields<'a>| fields.word().ok_or(bad("fields are missing"));
    let time = stamp::iso(word(fields)?).ok_or(bad("the time is not of ISO 8601"))?;
    let mut entry = Entry { time, ..Entry::default() };
    word(fields)?;
    let client = word(fields)?;
    let colon = client.iter().rposition(|byte| *byte == b':').ok_or(bad("no client:port"))?;
    entry.client = Cow::Borrowed(&client[..colon]);
    entry.connection = Cow::Borrowed(&client[colon + 1..]);
    entry.server = number(word(fields)?);
    let times = [word(fields)?, word(fields)?, word(fields)?];
    entry.duration = sum(times);
    entry.status = status_of(word(fields)?)?;
    word(fields)?;
    // What was received is head and body together: how long the body was is not known.
    word(fields)?;
    entry.sent = number(word(fields)?);
    let request: Text<'a> = fields.quoted().ok_or(bad("there is no \"request\""))?;
    entry.agent = present(fields.quoted().unwrap_or_default());
    if request.starts_with(b"- ") {
        return Err(Miss::NoRequest);
    }
    entry.request_line(request)?;
    entry.split_absolute();
    Ok(entry)
}

/// Waiting, working and answering; a time of -1 says that it did not come to that.
fn sum(times: [&[u8]; 3]) -> Option<Span> {
    let mut total = Span::default();
    for time in times {
        let span = stamp::decimal(time, SECOND)?;
        total.ns = total.ns.checked_add(span.ns)?;
        total.step_ns = total.step_ns.max(span.step_ns);
    }
    Some(total)
}
