//! Envoy's default format.

use crate::capture::access_log::common::status_of;
use crate::capture::access_log::entry::{Entry, Miss, Moment, Read};
use crate::capture::access_log::stamp::{self, MILLISECOND};
use crate::capture::access_log::text::{Fields, number, present};

/// Reads `[start] "METHOD path proto" status flags received sent duration upstream "forwarded for"
/// "agent" "request id" "authority" "upstream host"`. Newer versions have more after the flags.
pub fn read(line: &[u8]) -> Read<'_> {
    let bad = Miss::NotUnderstood;
    let mut fields = Fields(line);
    let start = fields.between(b'[', b']').ok_or(bad("it does not begin with a [date]"))?;
    let time = stamp::iso(start).ok_or(bad("the [date] is not of ISO 8601"))?;
    let mut entry = Entry { time, moment: Moment::Start, ..Entry::default() };
    let request = fields.quoted().ok_or(bad("there is no \"request\""))?;
    entry.status = status_of(fields.word().ok_or(bad("there is no status"))?)?;
    fields.word().ok_or(bad("there are no response flags"))?;
    // Newer versions put details of the response here, which may be quoted.
    let mut numbers = [None; 3];
    let mut filled = 0;
    while filled < numbers.len() {
        let field = fields.field().ok_or(bad("sizes and duration are missing"))?;
        if let Some(value) = number::<u64>(&field) {
            numbers[filled] = Some(value);
            filled += 1;
        } else if filled > 0 {
            return Err(bad("sizes and duration are missing"));
        }
    }
    entry.received = numbers[0];
    entry.sent = numbers[1];
    entry.duration = numbers[2].and_then(|ms| {
        let ns = ms.checked_mul(MILLISECOND)?;
        Some(stamp::Span { ns, step_ns: MILLISECOND })
    });
    fields.word();
    entry.client = present(fields.quoted().unwrap_or_default());
    entry.agent = present(fields.quoted().unwrap_or_default());
    fields.quoted();
    entry.authority = present(fields.quoted().unwrap_or_default());
    let upstream = fields.quoted().unwrap_or_default();
    entry.server = number(&upstream);
    entry.request_line(request)?;
    Ok(entry)
}
