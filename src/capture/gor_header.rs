//! The header line of a `GoReplay` record, by which such files are known, too.

/// Longest header line, in bytes.
pub(super) const HEADER_BYTES_MAX: usize = 256;

/// What a header line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// 1 is a request, 2 its response, 3 the response to a replay of it.
    pub(super) kind: u8,
    pub(super) id: &'a [u8],
    pub(super) time: i64,
    /// The fourth field; `None` where there is none.
    pub(super) latency: Option<i64>,
}

/// Reads a header line without its line feed; further fields do not matter.
pub(super) fn gor_header(line: &[u8]) -> Option<Header<'_>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > HEADER_BYTES_MAX || !line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let mut fields = line.split(|byte| *byte == b' ');
    let kind = match fields.next()? {
        b"1" => 1,
        b"2" => 2,
        b"3" => 3,
        _ => return None,
    };
    let id = fields.next().filter(|id| !id.is_empty())?;
    let time = number(fields.next()?)?;
    let latency = match fields.next() {
        Some(field) => Some(number(field)?),
        None => None,
    };
    Some(Header { kind, id, time, latency })
}

fn number(field: &[u8]) -> Option<i64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_three_fields_or_four() {
        let header = gor_header(b"2 abc 17 -1 more\r").unwrap();
        assert_eq!(header, Header { kind: 2, id: b"abc", time: 17, latency: Some(-1) });
        assert_eq!(gor_header(b"1 a 17").unwrap().latency, None);
        for line in [&b"4 a 17"[..], b"1 a", b"1  17", b"1 a x", b"GET / HTTP/1.1", b"1 \xff 1"] {
            assert_eq!(gor_header(line), None);
        }
    }
}
