//! Reads replies from whatever bytes arrive, without any I/O.

use crate::protocol::resp::scan::{NotResp, Scan, Sender};

/// Longest line of a reply, in bytes: a status, an error, a number. Long values come as strings,
/// whose bytes are counted and not kept.
pub(crate) const MAX_LINE: u64 = 64 * 1024;

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Its length in bytes, line ends included.
    pub(crate) bytes: u64,
    /// It answers nothing: a message that the server sent of its own accord.
    pub(crate) is_push: bool,
    /// What kind of error it is: its first words.
    pub(crate) error: Option<Vec<u8>>,
}

/// Reads the replies of one connection. Memory is bounded whatever a server claims.
#[derive(Debug)]
pub(crate) struct ReplyReader {
    scan: Scan,
}

impl ReplyReader {
    pub(crate) fn new() -> Self {
        Self { scan: Scan::new(Sender::Server) }
    }

    /// Bytes that have come of the reply that is not whole.
    pub(crate) fn seen(&self) -> u64 {
        self.scan.so_far().bytes
    }

    /// Takes bytes off the front of `input`, until a reply is whole or nothing is left. After an
    /// error the stream is lost.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, NotResp> {
        if self.scan.is_at_boundary()
            && let Some(length) = simple(input)
        {
            *input = input.get(length..).unwrap_or_default();
            return Ok(Some(Reply { bytes: length as u64, is_push: false, error: None }));
        }
        let scanned = self.scan.read(input)?;
        if self.scan.open_line() > MAX_LINE {
            return Err(NotResp::LineTooLong);
        }
        Ok(scanned.map(|scanned| Reply {
            bytes: scanned.bytes,
            is_push: scanned.kind() == b'>',
            error: scanned.is_error().then(|| scanned.head.get(1..).unwrap_or_default().to_vec()),
        }))
    }
}

/// The length of the reply at the front, where it is whole, of the usual kinds, and no error: most
/// replies are, and to look at each byte of them would cost more than all else.
fn simple(input: &[u8]) -> Option<usize> {
    let end = input.iter().take(MAX_SIMPLE).position(|byte| *byte == b'\n')?;
    let line = input.get(1..end)?.strip_suffix(b"\r")?;
    match input.first()? {
        b'+' => Some(end + 1),
        b'$' if line == b"-1" => Some(end + 1),
        b'$' => {
            let is_number = !line.is_empty() && line.iter().all(u8::is_ascii_digit);
            let length: usize = str::from_utf8(line).ok().filter(|_| is_number)?.parse().ok()?;
            let whole = (end + 1).checked_add(length)?.checked_add(2)?;
            input.get(..whole)?.ends_with(b"\r\n").then_some(whole)
        }
        _ => None,
    }
}

/// Longest line that is looked for in advance.
const MAX_SIMPLE: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<(u64, bool, Option<String>)>, NotResp> {
        let (mut reader, mut replies) = (ReplyReader::new(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let Some(reply) = reader.read(&mut rest)? else { break };
                let error = reply.error.map(|it| String::from_utf8_lossy(&it).into_owned());
                replies.push((reply.bytes, reply.is_push, error));
            }
        }
        Ok(replies)
    }

    #[test]
    fn replies_end_where_they_end() {
        let wire = b"+OK\r\n$5\r\na\r\nbc\r\n$-1\r\n:1\r\n*2\r\n*1\r\n+a\r\n$1\r\nb\r\n\
                     -ERR no\r\n>2\r\n+a\r\n:1\r\n_\r\n";
        let lengths: Vec<u64> = read(&[wire]).unwrap().into_iter().map(|it| it.0).collect();
        assert_eq!(lengths, [5, 11, 5, 4, 19, 9, 12, 3]);
        let kinds = read(&[b"-OOM command\r\n>1\r\n:1\r\n!3\r\nERR\r\n"]).unwrap();
        assert_eq!(
            kinds,
            [
                (14, false, Some("OOM command".into())),
                (8, true, None),
                (9, false, Some("3".into()))
            ]
        );
    }

    #[test]
    fn what_never_ends_and_what_is_none_is_refused() {
        let line = [b"+".to_vec(), vec![b'x'; 70_000]].concat();
        assert_eq!(read(&[&line]), Err(NotResp::LineTooLong));
        let inside = [b"*2\r\n-".to_vec(), vec![b'x'; 70_000]].concat();
        assert_eq!(read(&[&inside]), Err(NotResp::LineTooLong));
        assert_eq!(read(&[b"HTTP/1.1 400 Bad Request\r\n"]), Err(NotResp::Kind));
        assert_eq!(read(&[b"$3\r\nabcd\r\n"]), Err(NotResp::Length));
        // What is nested without end costs no memory; the limit of time ends it.
        assert_eq!(read(&[&b"*2\r\n".repeat(10_000)]), Ok(vec![]));
    }

    proptest! {
        /// For all replies and all cuts of them: the same, whichever way they are read.
        #[test]
        fn every_cut_reads_alike(
            parts in prop::collection::vec(prop::sample::select(vec![
                "+OK\r\n", "-E\r\n", ":1\r\n", "$3\r\nabc\r\n", "*2\r\n", "$-1\r\n", "$2\r\n", "\n",
                "x", "*0\r\n", "+\r\n", "$0\r\n\r\n", ">1\r\n", "%1\r\n", "#t\r\n",
            ]), 0..9),
            cut in 0_usize..60,
        ) {
            let wire = parts.concat().into_bytes();
            let (a, b) = wire.split_at(cut.min(wire.len()));
            let bytes: Vec<&[u8]> = wire.chunks(1).collect();
            prop_assert_eq!(read(&[&wire]), read(&bytes));
            prop_assert_eq!(read(&[a, b]), read(&bytes));
        }
    }
}
