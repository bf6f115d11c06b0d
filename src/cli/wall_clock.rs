//! The one place where the wall clock is read: to name a run and to date its report.

use jiff::Timestamp;

/// The moment something starts, for people and file names; no measurement uses it.
#[derive(Clone, Copy, Debug)]
pub struct Moment(Timestamp);

/// Now.
pub fn now() -> Moment {
    Moment(Timestamp::now())
}

impl Moment {
    /// RFC 3339 in UTC, whole seconds.
    pub fn rfc3339(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Nanoseconds since the Unix epoch, to date what is recorded.
    pub fn unix_ns(self) -> i64 {
        i64::try_from(self.0.as_nanosecond()).unwrap_or(i64::MAX)
    }

    /// A part of a file name that sorts by time: `20261122-103000`.
    pub fn file_name(self) -> String {
        self.0.strftime("%Y%m%d-%H%M%S").to_string()
    }
}

/// A moment in nanoseconds since the Unix epoch as a part of a file name that sorts by time, to
/// the millisecond, in UTC: `20261122-103000-250`.
pub fn file_stamp(unix_ns: i64) -> String {
    let stamp =
        |at: Timestamp| format!("{}-{:03}", at.strftime("%Y%m%d-%H%M%S"), at.subsec_millisecond());
    Timestamp::from_nanosecond(i128::from(unix_ns)).map_or_else(|_| unix_ns.to_string(), stamp)
}

/// A recorded moment, nanoseconds since the Unix epoch, as RFC 3339 in UTC.
pub fn recorded(unix_ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(unix_ns)).map_or_else(
        |_| format!("{unix_ns} ns"),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_sort_by_time() {
        assert_eq!(file_stamp(1_795_689_000_250_000_000), "20261126-103000-250");
        assert_eq!(file_stamp(1_795_689_000_000_999_999), "20261126-103000-000");
    }
}
