//! Dates of cookies, as RFC 6265, section 5.1.1 reads them: whatever has a time, a day, a month and
//! a year, in any order. Servers write them in many ways, such as that of C's `asctime`.

use jiff::civil::DateTime;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// Seconds since the Unix epoch of a date; a zone is not looked at, as browsers do not.
pub(super) fn seconds_of(text: &str) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.as_bytes().split(|byte| is_delimiter(*byte)) {
        if time.is_none() {
            time = time_in(token);
            if time.is_some() {
                continue;
            }
        }
        if day.is_none() {
            day = number(token, 1..=2).map(|(day, _)| day);
            if day.is_some() {
                continue;
            }
        }
        if month.is_none() {
            month = month_in(token);
            if month.is_some() {
                continue;
            }
        }
        year = year.or_else(|| number(token, 2..=4).map(|(year, _)| year));
    }
    let year = match year? {
        short @ 70..=99 => short + 1_900,
        short @ 0..=69 => short + 2_000,
        1_601.. => year?,
        _ => return None,
    };
    let [hour, minute, second] = time?.map(|part| i8::try_from(part).ok());
    let day = i8::try_from(day?).ok()?;
    let moment = DateTime::new(year, month?, day, hour?, minute?, second?, 0).ok()?;
    // Up to the end of the year 9999, which many servers write and no timestamp reaches.
    Some(moment.duration_since(EPOCH).as_secs())
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// The number at the front that has so many digits, and what follows.
fn number(token: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<(i16, &[u8])> {
    let count = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (front, rest) = token.split_at_checked(count).filter(|_| digits.contains(&count))?;
    Some((str::from_utf8(front).ok()?.parse().ok()?, rest))
}

/// `8:49:37`, whatever follows it.
fn time_in(token: &[u8]) -> Option<[i16; 3]> {
    let (hour, rest) = number(token, 1..=2)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?, 1..=2)?;
    let (second, _) = number(rest.strip_prefix(b":")?, 1..=2)?;
    Some([hour, minute, second])
}

fn month_in(token: &[u8]) -> Option<i8> {
    let name = token.get(..3)?.to_ascii_lowercase();
    (1..).zip(MONTHS).find(|(_, month)| month[..] == name).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_however_it_is_written() {
        let moment = Some(784_111_777);
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 6 NOVEMBER 1994 8:49:37",
            "1994 08:49:37 6 nov",
            "6/Nov/1994;08:49:37+0100",
            "Tue, 06 Nov 1994 08:49:37.5 CET",
            "06 Nov 94 08:49:37th",
        ] {
            assert_eq!(seconds_of(text), moment, "{text}");
        }
        assert_eq!(seconds_of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds_of("1 jan 69 00:00:00"), seconds_of("1 jan 2069 0:0:0"));
        assert_eq!(seconds_of("1 jan 70 00:00:00"), Some(0));
        assert_eq!(seconds_of("31 Dec 9999 23:59:59 GMT"), Some(253_402_300_799));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "soon",
            "06 Nov 1994",
            "06 Nov 08:49:37",
            "Nov 1994 08:49:37",
            "06 1994 08:49:37",
            "32 Nov 1994 08:49:37",
            "0 Nov 1994 08:49:37",
            "30 Feb 1994 08:49:37",
            "06 Nov 1600 08:49:37",
            "06 Nov 194 08:49:37",
            "06 Nov 19945 08:49:37",
            "06 Nov 1994 24:49:37",
            "06 Nov 1994 08:60:37",
            "06 Nov 1994 08:49:60",
            "06 Nov 1994 08:49",
            "06 Nov 1994 008:49:37",
            "06 N\u{f6}v 1994 08:49:37",
        ] {
            assert_eq!(seconds_of(text), None, "{text}");
        }
    }
}
