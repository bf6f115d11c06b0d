//! The fields that an index can mean: sixty-one fixed ones, then those sent before, newest first.

use std::collections::VecDeque;

use ::bytes::Bytes;

use crate::protocol::http2::hpack::{Field, MAX_TABLE};

/// What an entry counts beside its name and value, in bytes.
const OVERHEAD: usize = 32;

/// The fields sent before on one side of a connection, as far as they were seen.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Field>,
    size: usize,
    limit: usize,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), size: 0, limit: limit.min(MAX_TABLE) }
    }

    /// The field of an index; without name and value where it was not seen.
    pub(super) fn get(&self, index: u64) -> Field {
        let Some(at) = usize::try_from(index).ok().and_then(|index| index.checked_sub(1)) else {
            return Field::UNKNOWN;
        };
        match STATIC.get(at) {
            Some((name, value)) => Field {
                name: Some(Bytes::from_static(name.as_bytes())),
                value: Some(Bytes::from_static(value.as_bytes())),
            },
            None => self.entries.get(at - STATIC.len()).cloned().unwrap_or(Field::UNKNOWN),
        }
    }

    /// Keeps a field as the newest one.
    pub(super) fn insert(&mut self, field: Field) {
        self.size += size(&field);
        self.entries.push_front(field);
        self.evict();
    }

    /// The sender says how large the table is from here on.
    pub(super) fn resize(&mut self, limit: u64) {
        self.limit = usize::try_from(limit).unwrap_or(MAX_TABLE).min(MAX_TABLE);
        self.evict();
    }

    /// Bytes held, the overhead of entries included.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            let Some(oldest) = self.entries.pop_back() else {
                self.size = 0;
                return;
            };
            self.size = self.size.saturating_sub(size(&oldest));
        }
    }
}

/// What a field counts. Of an unknown part nothing is known but that it is not shorter than
/// nothing, so entries may stay here longer than at the sender; it does no harm, because the
/// sender names them no more.
pub(super) fn size(field: &Field) -> usize {
    let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    length(&field.name) + length(&field.value) + OVERHEAD
}

/// The fixed entries; the first has index 1.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
