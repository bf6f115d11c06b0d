//! The zone of times that were written without one.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::capture::access_log::stamp::offset_seconds;

/// A zone by its name or its offset from UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// As the user wrote it.
    pub name: String,
    zone: TimeZone,
}

impl Zone {
    /// A zone as people name it: `Europe/Berlin`, by the database of this machine, or an offset
    /// such as `+02:00`, or `Z`. The error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let offset = if text.eq_ignore_ascii_case("utc") { Some(0) } else { offset_seconds(text) };
        let zone = match offset {
            Some(seconds) => i32::try_from(seconds)
                .ok()
                .and_then(|seconds| Offset::from_seconds(seconds).ok())
                .map(TimeZone::fixed)
                .ok_or_else(|| format!("`{text}` is further from UTC than any clock"))?,
            None => TimeZone::get(text).map_err(|_| {
                format!(
                    "`{text}` is no zone of this machine's database (/usr/share/zoneinfo, of the \
                     package tzdata); write a name such as Europe/Berlin or an offset such as \
                     +02:00"
                )
            })?,
        };
        Ok(Self { name: text.to_owned(), zone })
    }

    /// The moment of a clock that showed `local_ns`, which counts as if it were UTC; and whether
    /// it showed that twice, where summer time ends: it is the first then. A time that was skipped
    /// is as much later.
    pub fn moment(&self, local_ns: i64) -> (i64, bool) {
        let shown = Timestamp::from_nanosecond(i128::from(local_ns)).map(|at| {
            let ambiguous = self.zone.to_ambiguous_timestamp(Offset::UTC.to_datetime(at));
            let is_twice = ambiguous.is_ambiguous();
            (ambiguous.compatible(), is_twice)
        });
        match shown {
            Ok((Ok(at), is_twice)) => {
                (i64::try_from(at.as_nanosecond()).unwrap_or(local_ns), is_twice)
            }
            _ => (local_ns, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::access_log::stamp::iso;

    fn moment(zone: &str, local: &str) -> (i64, bool) {
        Zone::parse(zone).unwrap().moment(iso(local.as_bytes()).unwrap().ns)
    }

    #[test]
    fn offsets_are_taken_off() {
        let noon = iso(b"2024-07-01T12:00:00Z").unwrap().ns;
        assert_eq!(moment("+02:00", "2024-07-01T14:00:00"), (noon, false));
        assert_eq!(moment("-0330", "2024-07-01T08:30:00"), (noon, false));
        assert_eq!(moment("utc", "2024-07-01T12:00:00"), (noon, false));
        for text in ["+99:00", "Nowhere/At_All", "", "2"] {
            assert!(Zone::parse(text).is_err(), "{text}");
        }
    }

    /// Summer time in Berlin began on 31 March 2024 at 1:00 UTC and ended on 27 October at 1:00.
    #[test]
    fn a_named_zone_has_summer_time() {
        if Zone::parse("Europe/Berlin").is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI=true, but tzdata is not installed");
            return;
        }
        let at = |text: &str| iso(text.as_bytes()).unwrap().ns;
        for (local, utc, is_twice) in [
            ("2024-01-15T12:00:00", "2024-01-15T11:00:00Z", false),
            ("2024-07-15T12:00:00", "2024-07-15T10:00:00Z", false),
            ("2024-03-31T02:30:00", "2024-03-31T01:30:00Z", true), // Skipped: shown as 3:30.
            ("2024-10-27T02:30:00", "2024-10-27T00:30:00Z", true), // The first of two.
            ("2024-10-27T03:30:00", "2024-10-27T02:30:00Z", false),
        ] {
            assert_eq!(moment("Europe/Berlin", local), (at(utc), is_twice), "{local}");
        }
    }
}
