//! Moments and durations as servers write them, in whole nanoseconds and with their steps.

use std::str;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;

use crate::capture::access_log::text::number;

/// A moment, and the step of the clock that it was written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since the Unix epoch.
    pub ns: i64,
    /// Smallest difference that the text can show, in nanoseconds.
    pub step_ns: u64,
    /// How `ns` is known to be UTC.
    pub zone: Known,
}

/// How the zone of a time is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// It is not: `ns` is what a clock showed, taken for UTC.
    #[default]
    Not,
    /// By the rules of the format, which servers may break.
    ByRule,
    /// It is written beside the time, or there can be only one.
    Written,
}

/// A duration, and the step that it was written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its length in nanoseconds.
    pub ns: u64,
    /// Smallest difference that the text can show, in nanoseconds.
    pub step_ns: u64,
}

/// A second.
pub const SECOND: u64 = 1_000_000_000;

/// A millisecond.
pub const MILLISECOND: u64 = 1_000_000;

/// `17/May/2015:10:05:03 +0000`, with or without a fraction of the second; without an offset it
/// is UTC.
pub fn common(text: &[u8]) -> Option<Stamp> {
    let text = str::from_utf8(text).ok()?;
    let (clock, offset) = match text.split_once(' ') {
        Some((clock, offset)) => (clock, Some(offset_seconds(offset.trim())?)),
        None => (text, None),
    };
    let mut parts = clock.splitn(2, ':');
    let mut date = parts.next()?.split('/');
    let (day, month, year) = (date.next()?, month(date.next()?)?, date.next()?);
    let date = Date::new(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    at(date, parts.next()?, offset)
}

/// `2020-01-01T00:55:04.127531Z`, a blank instead of the `T` too; without an offset it is UTC.
pub fn iso(text: &[u8]) -> Option<Stamp> {
    let text = str::from_utf8(text).ok()?;
    let (date, clock) = text.split_at_checked(10)?;
    let clock = clock.strip_prefix(['T', 't', ' ', '_'])?;
    let zone = clock.find(['Z', 'z', '+', '-', ' ']);
    let (clock, offset) = match zone {
        Some(zone) => (&clock[..zone], Some(offset_seconds(clock[zone..].trim())?)),
        None => (clock, None),
    };
    at(date_of(date)?, clock, offset)
}

/// A date and a time of day of two fields: `2012-04-01`, or `28/Jun/2017`, and `00:00:13.363`.
pub fn date_and_time(date: &[u8], clock: &[u8], offset: Option<i64>) -> Option<Stamp> {
    at(date_of(str::from_utf8(date).ok()?)?, str::from_utf8(clock).ok()?, offset)
}

/// Seconds since the epoch, with or without a fraction; milliseconds, microseconds or nanoseconds
/// where the number is too large for seconds.
pub fn epoch(text: &[u8]) -> Option<Stamp> {
    let whole = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let unit = match whole {
        ..=11 => SECOND,
        12..=14 => MILLISECOND,
        15..=17 => 1_000,
        _ => 1,
    };
    let span = decimal(text, unit)?;
    Some(Stamp { ns: i64::try_from(span.ns).ok()?, step_ns: span.step_ns, zone: Known::Written })
}

/// Whatever is a moment: of the common log format, of ISO 8601, or seconds since the epoch.
pub fn any(text: &[u8]) -> Option<Stamp> {
    common(text).or_else(|| iso(text)).or_else(|| epoch(text))
}

/// A moment by a pattern of strftime.
pub fn patterned(pattern: &str, text: &[u8]) -> Option<Stamp> {
    let parsed = BrokenDownTime::parse(pattern, text).ok()?;
    let date = parsed.to_datetime().ok()?;
    let offset = parsed.offset().map(|offset| i64::from(offset.seconds()));
    let step_ns = if pattern.contains('f') || pattern.contains('N') { 1_000 } else { SECOND };
    stamp(date, offset, step_ns)
}

/// A decimal number of units of `unit` nanoseconds, by its digits and never as a float. Digits
/// after the point say how fine its clock is, in thousands: a zero at the end may be left out.
pub fn decimal(text: &[u8], unit: u64) -> Option<Span> {
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if !digits(whole) || !digits(fraction) || text.len() > 40 || whole.is_empty() {
        return None;
    }
    let mut ns = number::<u64>(whole)?.checked_mul(unit)?;
    let mut step = unit;
    for digit in fraction {
        step /= 10;
        ns = ns.checked_add(u64::from(digit - b'0') * step)?;
    }
    let thousands = u32::try_from(fraction.len().div_ceil(3)).ok()?;
    let step_ns = 1_000_u64.checked_pow(thousands).map_or(1, |parts| (unit / parts).max(1));
    Some(Span { ns, step_ns })
}

fn date_of(text: &str) -> Option<Date> {
    if text.contains('/') {
        let mut parts = text.split('/');
        let (day, month, year) = (parts.next()?, month(parts.next()?)?, parts.next()?);
        return Date::new(year.parse().ok()?, month, day.parse().ok()?).ok();
    }
    let mut parts = text.splitn(3, '-');
    let mut next = || parts.next();
    let (year, month, day) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
    Date::new(year, month, day).ok()
}

/// A time of day on a date, as far from UTC as `offset` says.
fn at(date: Date, clock: &str, offset: Option<i64>) -> Option<Stamp> {
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let (hour, minute) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    // A leap second is the last of its minute.
    let second: i8 = parts.next()?.parse::<i8>().ok()?.min(59);
    if parts.next().is_some() || fraction.len() > 9 {
        return None;
    }
    let of_second = decimal(&[b"0.", fraction.as_bytes()].concat(), SECOND)?;
    let nanoseconds = i32::try_from(of_second.ns).ok()?;
    let time = Time::new(hour, minute, second, nanoseconds).ok()?;
    stamp(date.to_datetime(time), offset, of_second.step_ns)
}

fn stamp(date: DateTime, offset: Option<i64>, step_ns: u64) -> Option<Stamp> {
    let utc: Timestamp = Offset::UTC.to_timestamp(date).ok()?;
    let ns = utc.as_nanosecond() - i128::from(offset.unwrap_or(0)) * i128::from(SECOND);
    let zone = if offset.is_some() { Known::Written } else { Known::Not };
    Some(Stamp { ns: i64::try_from(ns).ok()?, step_ns, zone })
}

/// `Z`, `+02:00`, `-0730` or `+02`, in seconds.
pub fn offset_seconds(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = text.split_at_checked(1)?;
    let digits: String = digits.chars().filter(|letter| *letter != ':').collect();
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let seconds = hours.parse::<u32>().ok()? * 3_600 + minutes.parse::<u32>().ok()? * 60;
    match sign {
        "+" => Some(i64::from(seconds)),
        "-" => Some(-i64::from(seconds)),
        _ => None,
    }
}

fn month(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let position = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    i8::try_from(position + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_every_format_are_the_same_one() {
        let zone = Known::Written;
        let second = |ns| Some(Stamp { ns, step_ns: SECOND, zone });
        let ns = 1_431_857_103_000_000_000;
        assert_eq!(common(b"17/May/2015:10:05:03 +0000"), second(ns));
        // The same moment in summer time, and west of Greenwich by half an hour more.
        assert_eq!(common(b"17/May/2015:12:05:03 +0200"), second(ns));
        assert_eq!(common(b"17/May/2015:06:35:03 -0330"), second(ns));
        assert_eq!(iso(b"2015-05-17T12:05:03+02:00"), second(ns));
        assert_eq!(epoch(b"1431857103"), second(ns));
        assert_eq!(date_and_time(b"2015-05-17", b"10:05:03", Some(0)), second(ns));
        let finer = |ns, step_ns| Some(Stamp { ns, step_ns, zone });
        assert_eq!(iso(b"2015-05-17T10:05:03.127531Z"), finer(ns + 127_531_000, 1_000));
        let unknown = Stamp { ns: ns + 584_000_000, step_ns: MILLISECOND, zone: Known::Not };
        assert_eq!(common(b"17/May/2015:10:05:03.584"), Some(unknown));
        assert_eq!(epoch(b"1431857103.12"), finer(ns + 120_000_000, MILLISECOND));
        assert_eq!(epoch(b"1431857103584"), finer(ns + 584_000_000, MILLISECOND));
        assert_eq!(epoch(b"1431857103.1234567"), finer(ns + 123_456_700, 1));
        assert_eq!(patterned("%d/%b/%Y:%T %z", b"17/May/2015:12:05:03 +0200"), second(ns));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in ["", "-", "31/Feb/2015:10:05:03 +0000", "17/May/2015:25:05:03", "1e9", "1.2.3"]
        {
            assert_eq!(any(text.as_bytes()), None, "{text}");
        }
        assert_eq!(epoch(b"99999999999999999999999"), None);
        assert_eq!(offset_seconds("+1"), None);
    }
}
