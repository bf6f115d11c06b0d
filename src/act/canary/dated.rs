//! The date of a log line, where it says in which zone it is.

use serde_json::Value;

/// Fields that hold the date of a line in JSON.
pub(super) const FIELDS: [&str; 7] =
    ["timestamp", "time", "ts", "@timestamp", "t", "date", "datetime"];

/// Nanoseconds since the Unix epoch of a line in JSON.
pub(super) fn date_of(line: &Value) -> Option<i64> {
    match FIELDS.iter().find_map(|name| line.get(name))? {
        Value::String(text) => dated(text),
        Value::Number(number) => epoch(number.as_f64()?),
        _ => None,
    }
}

/// Nanoseconds since the Unix epoch of the first date in a text: `2026-01-02T03:04:05Z`, or
/// `02/Jan/2026:03:04:05 +0000`.
pub(super) fn dated(text: &str) -> Option<i64> {
    let words = || text.split([' ', '[', ']', '"', '=', '\t']).take(WORDS_MAX);
    let iso = words()
        .filter(|word| word.len() >= 20 && word.starts_with(|c: char| c.is_ascii_digit()))
        .find_map(|word| word.parse::<jiff::Timestamp>().ok());
    let common = || {
        words().zip(words().skip(1)).find_map(|(date, zone)| {
            let format = "%d/%b/%Y:%H:%M:%S %z";
            let is_date = date.len() == 20 && zone.len() == 5;
            let text = is_date.then(|| format!("{date} {zone}"))?;
            jiff::Zoned::strptime(format, &text).ok().map(|zoned| zoned.timestamp())
        })
    };
    i64::try_from(iso.or_else(common)?.as_nanosecond()).ok()
}

/// Dates stand at the start of a line.
const WORDS_MAX: usize = 40;

/// A number of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by its
/// size: as seconds, each would be after the year 5000.
fn epoch(number: f64) -> Option<i64> {
    let scale = match number {
        1e9..1e11 => 1e9,
        1e11..1e14 => 1e6,
        1e14..1e17 => 1e3,
        1e17..9e18 => 1.0,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "at most 1e20, saturating")]
    Some((number * scale) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_767_323_045_000_000_000;

    #[test]
    fn dates_with_a_zone_are_read_and_others_are_left_alone() {
        assert_eq!(dated("INFO 2026-01-02T03:04:05Z GET /"), Some(AT));
        assert_eq!(dated("time=2026-01-02T05:04:05+02:00 level=info"), Some(AT));
        assert_eq!(
            dated("127.0.0.1 - - [02/Jan/2026:03:04:05 +0000] \"GET / HTTP/1.1\""),
            Some(AT)
        );
        assert_eq!(dated("2026-01-02T03:04:05 GET /"), None);
        assert_eq!(dated("2026-01-02 03:04:05 GET /"), None);
        assert_eq!(dated(""), None);
    }

    #[test]
    fn dates_in_json_are_texts_or_numbers_of_any_unit() {
        let read = |text: &str| date_of(&serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"{"ts":"2026-01-02T03:04:05Z"}"#), Some(AT));
        for number in ["1767323045", "1767323045000", "1767323045000000"] {
            assert_eq!(read(&format!("{{\"time\":{number}}}")), Some(AT), "{number}");
        }
        assert_eq!(read(r#"{"time":7}"#), None);
        assert_eq!(read(r#"{"time":null}"#), None);
        assert_eq!(read("[]"), None);
    }
}
