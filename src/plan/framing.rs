//! The body of a request as it stood on the wire.

use ::bytes::Bytes;

use crate::protocol::http1::chunks::{framed, one_chunk, trailers};

/// A chunked body: in the chunks and with the trailers that were recorded with it. Where those are
/// not known, or belong to a body of another length, it is one chunk, with the trailers that there
/// are: a trailer tells something of its own, and says nothing of chunks.
pub(crate) fn chunked(body: &[u8], recorded: Option<&[u8]>) -> Bytes {
    let wire = recorded.and_then(|chunks| framed(chunks, body));
    let wire = wire.unwrap_or_else(|| one_chunk(body, recorded.map_or(&[], trailers)));
    Bytes::from(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_another_length_is_one_chunk_with_its_trailers() {
        let chunks = &b"1\r\n\r\n2\r\n\r\n0\r\nX: y\r\n\r\n"[..];
        let of = |body: &[u8], chunks| String::from_utf8(chunked(body, chunks).to_vec()).unwrap();
        assert_eq!(of(b"abc", Some(chunks)), "1\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n");
        assert_eq!(of(b"abcd", Some(chunks)), "4\r\nabcd\r\n0\r\nX: y\r\n\r\n");
        assert_eq!(of(b"abc", Some(&chunks[..9])), "3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(of(b"0123456789abcdef", None), "10\r\n0123456789abcdef\r\n0\r\n\r\n");
        assert_eq!(of(b"", None), "0\r\n\r\n");
    }
}
