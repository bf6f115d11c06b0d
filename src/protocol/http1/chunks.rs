//! What stands around the bytes of a chunked body: size lines with their extensions, the line ends
//! behind chunks, and trailers. Kept beside a body, it makes the same bytes of it again.

use std::ops::Range;

use ::bytes::Bytes;

use crate::protocol::http1::body::{BodyDecoder, Framing};

/// Most bytes kept of what stands around the bytes of one body: thirty thousand chunks, which is a
/// gibibyte as curl cuts it, and trailers as long as any server takes. Of a body with more, only
/// its bytes are known.
pub const MAX_CHUNKS: usize = 256 * 1024;

/// The body as it was on the wire. `None` when `chunks` are those of another body, or do not end
/// where they should: then they would make the target wait, or take bytes for a next request.
pub fn framed(chunks: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut wire = Vec::with_capacity(chunks.len() + body.len());
    let (mut framing, mut data) = (chunks, body);
    walk(chunks, |at, size| {
        let (front, behind) = framing.split_at_checked(at - (chunks.len() - framing.len()))?;
        let (piece, left) = data.split_at_checked(usize::try_from(size).ok()?)?;
        wire.extend_from_slice(front);
        wire.extend_from_slice(piece);
        (framing, data) = (behind, left);
        Some(())
    })?;
    wire.extend_from_slice(framing);
    data.is_empty().then_some(wire)
}

/// The body as one chunk.
pub fn one_chunk(body: &[u8], trailers: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(body.len() + trailers.len() + 32);
    if !body.is_empty() {
        wire.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        wire.extend_from_slice(body);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n");
    wire.extend_from_slice(trailers);
    wire.extend_from_slice(b"\r\n");
    wire
}

/// What stands around a body of this length that is one chunk.
pub fn around_one_chunk(length: u64, trailers: &[u8]) -> Vec<u8> {
    let front = if length > 0 { format!("{length:x}\r\n\r\n") } else { String::new() };
    [front.as_bytes(), b"0\r\n", trailers, b"\r\n"].concat()
}

/// Whether these are the chunks of a body of this length, and end where they should.
pub fn fits(chunks: &[u8], length: u64) -> bool {
    let mut all = Some(0_u64);
    let whole = walk(chunks, |_, size| {
        all = all.and_then(|all| all.checked_add(size));
        all.map(|_| ())
    });
    whole.is_some() && all == Some(length)
}

/// Walks along a chunked body of which only the framing is at hand.
#[derive(Clone, Debug)]
pub struct Around {
    chunks: Bytes,
    /// Bytes of `chunks` that were told.
    told: usize,
    decoder: BodyDecoder,
}

impl Around {
    /// A walk from the start.
    pub fn new(chunks: Bytes) -> Self {
        Self { chunks, told: 0, decoder: BodyDecoder::new(Framing::Chunked) }
    }
}

/// What stands before the next bytes of the body, and how many of those follow; 0 behind the last.
impl Iterator for Around {
    type Item = (Bytes, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.told;
        let rest = self.chunks.get(start..).filter(|rest| !rest.is_empty())?;
        for (at, byte) in (start + 1..).zip(rest) {
            // What is broken was refused before: it is told as it is.
            if self.decoder.decode(std::slice::from_ref(byte)).is_err() {
                break;
            }
            if let Some(size) = self.decoder.known_remaining() {
                self.decoder.skip_lost(size);
                self.told = at;
                return Some((self.chunks.slice(start..at), size));
            }
        }
        self.told = self.chunks.len();
        Some((self.chunks.slice(start..), 0))
    }
}

/// The lines between the last chunk and the empty line that ends a body; none where `chunks` are
/// cut or broken.
pub fn trailers(chunks: &[u8]) -> &[u8] {
    let places = places(chunks).map(|places| places.trailers);
    places.and_then(|trailers| chunks.get(trailers)).unwrap_or_default()
}

/// Where those parts of a framing stand that say more than where the body's bytes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// What follows each size, to the end of its line.
    pub extensions: Vec<Range<usize>>,
    /// See [`trailers`].
    pub trailers: Range<usize>,
}

/// Finds them; `None` where `chunks` are cut or broken.
pub fn places(chunks: &[u8]) -> Option<Places> {
    let (mut extensions, mut behind) = (Vec::new(), 0);
    let mut add = |end: usize| {
        let line = chunks.get(behind..end).unwrap_or_default();
        let blanks = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let digits = line.iter().skip(blanks).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let extension = behind + blanks + digits..end;
        let says = chunks.get(extension.clone()).is_some_and(|it| !it.trim_ascii().is_empty());
        extensions.extend(says.then_some(extension));
        behind = end;
    };
    let start = walk(chunks, |at, _| {
        add(at);
        Some(())
    })?;
    add(start);
    let section = chunks.get(start..)?;
    let lines = section.strip_suffix(b"\r\n").or(section.strip_suffix(b"\n"))?;
    Some(Places { extensions, trailers: start..start + lines.len() })
}

/// Tells of each chunk where its data belongs and how long it is; returns where trailers begin,
/// once the body is whole.
fn walk(chunks: &[u8], mut chunk: impl FnMut(usize, u64) -> Option<()>) -> Option<usize> {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let mut trailers = None;
    for (at, byte) in chunks.iter().enumerate() {
        if decoder.is_complete() {
            return None;
        }
        // Nothing of it is data: that is elsewhere.
        decoder.decode(std::slice::from_ref(byte)).ok()?;
        if let Some(size) = decoder.known_remaining() {
            chunk(at + 1, size)?;
            decoder.skip_lost(size);
        } else if decoder.is_in_trailers() {
            trailers.get_or_insert(at + 1);
        }
    }
    trailers.filter(|_| decoder.is_complete())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(chunks: &str, body: &str) -> Option<String> {
        framed(chunks.as_bytes(), body.as_bytes()).map(|wire| String::from_utf8(wire).unwrap())
    }

    #[test]
    fn chunks_and_body_make_what_was_on_the_wire() {
        for (chunks, body, expected) in [
            ("0\r\n\r\n", "", "0\r\n\r\n"),
            ("3\r\n\r\n0\r\n\r\n", "abc", "3\r\nabc\r\n0\r\n\r\n"),
            (
                "1\r\n\r\n0002;a=\"b\"\r\n\r\n00;end\r\nX: y\r\nZ:\r\n\r\n",
                "abc",
                "1\r\na\r\n0002;a=\"b\"\r\nbc\r\n00;end\r\nX: y\r\nZ:\r\n\r\n",
            ),
            ("A\n\n0\n\n", "0123456789", "A\n0123456789\n0\n\n"),
        ] {
            assert_eq!(wire(chunks, body).as_deref(), Some(expected));
        }
    }

    /// Both ways make the same wire.
    #[test]
    fn a_walk_along_the_framing_meets_every_byte() {
        let body = b"0123456789";
        for chunks in [
            "A;x\r\n\r\n0\r\n\r\n",
            "1\r\n\r\n0002;a=\"b\"\r\n\r\n7\r\n\r\n00;end\r\nX: y\r\n\r\n",
            "A\n\n0\n\n",
        ] {
            assert!(fits(chunks.as_bytes(), 10) && !fits(chunks.as_bytes(), 11), "{chunks:?}");
            let (mut made, mut left) = (Vec::new(), &body[..]);
            for (front, size) in Around::new(chunks.as_bytes().into()) {
                let (piece, behind) = left.split_at(usize::try_from(size).unwrap());
                made.extend_from_slice(&front);
                made.extend_from_slice(piece);
                left = behind;
            }
            assert_eq!(Some(made), framed(chunks.as_bytes(), body));
        }
        for chunks in ["", "5\r\n", "a\r\n\r\n0\r\n", "a\r\n\r\n0\r\n\r\nGET /"] {
            assert!(!fits(chunks.as_bytes(), 10), "{chunks:?}");
        }
        assert!(!fits(b"7fffffffffffffff\r\n\r\n7fffffffffffffff\r\n\r\n4\r\n\r\n0\r\n\r\n", 2));
        let one = around_one_chunk(1 << 30, b"A: b\r\n");
        assert_eq!(one, b"40000000\r\n\r\n0\r\nA: b\r\n\r\n");
        assert!(fits(&one, 1 << 30) && fits(&around_one_chunk(0, b""), 0));
    }

    #[test]
    fn chunks_of_another_body_make_nothing() {
        for (chunks, body) in [
            ("3\r\n\r\n0\r\n\r\n", "ab"),
            ("3\r\n\r\n0\r\n\r\n", "abcd"),
            ("3\r\n\r\n0\r\n", "abc"),
            ("3\r\n\r\n", "abc"),
            ("", ""),
            ("0\r\n\r\nGET / HTTP/1.1\r\n\r\n", ""),
            ("zz\r\n", ""),
            ("7fffffffffffffff\r\n\r\n0\r\n\r\n", "abc"),
        ] {
            assert_eq!(wire(chunks, body), None, "{chunks:?}");
        }
    }

    #[test]
    fn trailers_are_the_lines_before_the_end() {
        let of = |chunks: &str| String::from_utf8(trailers(chunks.as_bytes()).to_vec()).unwrap();
        assert_eq!(of("1\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n"), "A: b\r\nC: d\r\n");
        assert_eq!(of("0\r\n\r\n"), "");
        assert_eq!(of("0\r\nA: b\r\n"), "", "cut");
        assert_eq!(one_chunk(b"ab", b"A: b\r\n"), b"2\r\nab\r\n0\r\nA: b\r\n\r\n");
        assert_eq!(one_chunk(b"", b""), b"0\r\n\r\n");
    }

    proptest! {
        /// For all bytes: no panic, and what is made is one whole chunked body with these bytes.
        #[test]
        fn what_is_made_is_one_body(
            chunks in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "([0-3]{1,2}(;[a-c])?\r?\n\r?\n){0,4}0\r\n(A: b\r\n)?\r\n".prop_map(Vec::from),
            ],
            body in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Some(wire) = framed(&chunks, &body) {
                let mut decoder = BodyDecoder::new(Framing::Chunked);
                let (mut rest, mut data) = (&wire[..], Vec::new());
                while !decoder.is_complete() {
                    let step = decoder.decode(rest).unwrap();
                    prop_assert!(step.consumed > 0);
                    data.extend_from_slice(&rest[step.data.0..step.data.1]);
                    rest = &rest[step.consumed..];
                }
                prop_assert!(rest.is_empty());
                prop_assert_eq!(data, body);
            }
        }
    }
}
