//! Bodies that are read from the disk while they are sent.

use ::bytes::Bytes;

use crate::protocol::http1::chunks::{around_one_chunk, fits, trailers};
use crate::recording::stored::Stored;

/// A body that is not held in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// Its bytes.
    pub body: Stored,
    /// What stands around them where they are chunked: whole, and of a body of this length.
    pub around: Option<Bytes>,
}

impl Streamed {
    /// A body whose length is announced.
    pub(crate) fn of_length(body: &Stored) -> Self {
        Self { body: body.clone(), around: None }
    }

    /// A chunked body: in the chunks that were recorded with it, where they are known, and else in
    /// one, with the trailers that there are.
    pub(crate) fn chunked(body: &Stored, recorded: Option<&[u8]>) -> Self {
        let around = match recorded {
            Some(chunks) if fits(chunks, body.length()) => Bytes::copy_from_slice(chunks),
            _ => around_one_chunk(body.length(), recorded.map_or(&[], trailers)).into(),
        };
        Self { body: body.clone(), around: Some(around) }
    }

    /// Bytes on the wire of HTTP/1.
    pub fn wire_bytes(&self) -> u64 {
        self.body.length().saturating_add(self.held() as u64)
    }

    /// Bytes of it that are held in memory.
    pub fn held(&self) -> usize {
        self.around.as_ref().map_or(0, Bytes::len)
    }
}
