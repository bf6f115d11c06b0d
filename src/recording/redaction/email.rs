//! E-mail addresses in texts and URLs.

use std::ops::Range;

/// Longest parts before and behind the `@`, in bytes as written.
const LOCAL: usize = 192;
const DOMAIN: usize = 255;

/// Endings of files that follow an `@` in names such as `logo@2x.png`, and are no domains.
const FILES: &[&str] = &[
    "apk",
    "avi",
    "avif",
    "bmp",
    "cjs",
    "css",
    "csv",
    "doc",
    "docx",
    "eot",
    "exe",
    "flac",
    "gif",
    "gz",
    "heic",
    "heif",
    "htm",
    "html",
    "ico",
    "jar",
    "jpeg",
    "jpg",
    "js",
    "json",
    "jsx",
    "less",
    "log",
    "map",
    "mjs",
    "mkv",
    "mov",
    "mpeg",
    "mpg",
    "ogg",
    "otf",
    "pdf",
    "php",
    "png",
    "pptx",
    "psd",
    "rar",
    "scss",
    "svg",
    "tar",
    "tgz",
    "tif",
    "tiff",
    "ts",
    "tsx",
    "ttf",
    "txt",
    "vue",
    "wasm",
    "wav",
    "webm",
    "webmanifest",
    "webp",
    "woff",
    "xls",
    "xlsx",
    "xml",
    "xz",
    "yaml",
    "yml",
    "zip",
    "zst",
];

/// The address around an `@` that stands at `at`, `width` bytes wide (three as `%40`); no byte
/// before `done` is taken.
pub(crate) fn around(text: &[u8], at: usize, width: usize, done: usize) -> Option<Range<usize>> {
    let floor = done.max(at.saturating_sub(LOCAL));
    let mut start = at;
    while start > floor {
        let escape = start.checked_sub(3).filter(|from| *from >= floor).and_then(|from| {
            let [b'%', high, low] = text.get(from..start)? else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
        });
        let (byte, width) = match (escape, text.get(start - 1)) {
            (Some(byte), _) => (byte, 3),
            (None, byte) => (byte.copied().unwrap_or_default(), 1),
        };
        if !is_local(byte) {
            break;
        }
        start -= width;
    }
    let start = past_marks(text, character(text, start));
    let behind = text.get(at + width..).unwrap_or_default();
    let behind = behind.get(..DOMAIN).unwrap_or(behind);
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let length = behind.iter().take_while(|byte| is_domain(byte)).count();
    let domain = behind.get(..length).unwrap_or_default();
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    (start < at && ending(domain).is_some()).then(|| start..at + width + domain.len())
}

/// Longest top-level domain that stays: a longer one may be anything.
const KEPT: usize = 6;

/// Bytes at the end of an address that stay: the top-level domain.
pub(crate) fn kept(value: &[u8]) -> usize {
    let Some(at) = value.iter().rposition(|byte| *byte == b'@') else {
        return 0;
    };
    let domain = value.get(at + 1..).unwrap_or_default();
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let is_address = at > 0 && domain.iter().all(is_domain);
    ending(domain).filter(|ending| is_address && *ending <= KEPT).map_or(0, |ending| ending + 1)
}

/// Length of a domain's last name, which is of letters and follows another.
fn ending(domain: &[u8]) -> Option<usize> {
    let dot = domain.iter().rposition(|byte| *byte == b'.')?;
    let (front, last) = (domain.get(..dot)?, domain.get(dot + 1..)?);
    let is_file = FILES.iter().any(|file| last.eq_ignore_ascii_case(file.as_bytes()));
    let is_name = last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic) && !is_file;
    let is_scale = matches!(front, [b'0'..=b'9', b'x' | b'X']);
    let is_front = front.last().is_some_and(u8::is_ascii_alphanumeric) && !is_scale;
    (is_name && is_front).then_some(last.len())
}

/// The next start of a character or an escape, from a position on that may be inside one.
fn character(text: &[u8], mut start: usize) -> usize {
    let is_escape = |at: Option<usize>| {
        let escape = at.and_then(|at| text.get(at..at + 3));
        matches!(escape, Some([b'%', high, low])
            if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    };
    if is_escape(start.checked_sub(1)) {
        start += 2;
    } else if is_escape(start.checked_sub(2)) {
        start += 1;
    }
    let is_further = |byte: &&u8| matches!(byte, 0x80..=0xbf);
    start + text.get(start..).unwrap_or_default().iter().take_while(is_further).take(3).count()
}

/// A name begins with a letter or a digit: marks in front are quotes of SQL, or ends of sentences.
fn past_marks(text: &[u8], mut start: usize) -> usize {
    let is_mark = |byte: &u8| b".+-'!$*~".contains(byte);
    while let Some(rest) = text.get(start..) {
        start += match rest {
            [b'%', b'2', b'1' | b'4' | b'7' | b'A' | b'a' | b'B' | b'b' | b'D' | b'd', ..] => 3,
            [mark, ..] if is_mark(mark) => 1,
            _ => break,
        };
    }
    start
}

/// What names are made of in practice. The other characters that are allowed end a name in URLs,
/// JSON and texts.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"._+-'!$*~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_and_what_looks_like_one_is_not() {
        for (text, expected, why) in [
            ("anna@shop.example", "anna@shop.example", "alone"),
            ("to=anna.b+c@mail.shop.example&x", "anna.b+c@mail.shop.example", "in a form"),
            ("to=%22anna%40shop.example%22", "anna%40shop.example", "escaped"),
            ("to=anna%2Bb%40shop.example", "anna%2Bb%40shop.example", "an escape in the name"),
            ("\"jürgen@shop.example.\"", "jürgen@shop.example", "other letters, a full stop"),
            ("e='anna@shop.example'", "anna@shop.example", "between quotes of SQL"),
            ("e=%27o'anna%40shop.example", "o'anna%40shop.example", "and escaped ones"),
            ("/img/logo@2x.png", "", "a file"),
            ("/img/photo@3x.heic", "", "another"),
            ("/img/photo@3x.xyz", "", "of any kind, by its scale"),
            ("/a/b@c.zip", "", "a file of another name"),
            ("lodash@4.17.21", "", "a version"),
            ("@shop.example", "", "no name"),
            ("anna@localhost", "", "no dot"),
            ("anna@.example", "", "no domain"),
            ("anna@", "", "the end"),
        ] {
            let bytes = text.as_bytes();
            let width = if text.contains("%40") { 3 } else { 1 };
            let at = text.find("%40").or_else(|| text.find('@')).unwrap();
            let found = around(bytes, at, width, 0).map_or("", |range| &text[range]);
            assert_eq!(found, expected, "{why}");
        }
        let long = "팀".repeat(70) + "a@shop.example";
        let found = around(long.as_bytes(), 211, 1, 0).unwrap();
        assert!(long.is_char_boundary(found.start) && found.start > 0, "cut between characters");
        for front in ["", "b", "bc"] {
            let long = front.to_owned() + &"%61".repeat(70) + "@shop.example";
            let found = around(long.as_bytes(), 210 + front.len(), 1, 0).unwrap();
            assert!(long[found].starts_with("%61"), "cut between escapes");
        }
        assert_eq!(around(b"anna@shop.example", 4, 1, 2), Some(2..17), "not what was taken");
        assert_eq!((kept(b"anna@b.museum"), kept(b"@b.cd"), kept(b"a@b/c.de")), (7, 0, 0));
        assert_eq!(kept(b"P@ss.correcthorsebattery"), 0, "no domain is that long");
    }
}
