//! What is known of the clients of a run.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Read;

use ::bytes::Bytes;
use regex::bytes::Regex;

use crate::drive::follow::SHARDS;
use crate::drive::follow::jar::Jar;
use crate::plan::edit::fields;

/// Clients remembered at most; beyond them, those are forgotten that were idle for the longest
/// time.
pub(crate) const MAX_CLIENTS: usize = 512 * 1024;

/// Bytes of what is known of all of them: some kilobytes each of a hundred thousand users.
pub(crate) const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Learned values of a client: those of its last requests.
pub(crate) const MAX_VALUES: usize = 256;

/// Bytes that a client costs besides what is in it.
const OVERHEAD: usize = 256;

/// Some of the clients.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    clients: HashMap<u64, Known>,
    /// Clients by when they were looked at last.
    order: BTreeMap<u64, u64>,
    clock: u64,
    bytes: usize,
}

/// What is known of a client.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) jar: Jar,
    learned: HashMap<u64, Bytes>,
    /// Learned values, the oldest first.
    ages: VecDeque<u64>,
    declared: Vec<Option<Bytes>>,
    bytes: usize,
    looked_at: u64,
}

impl Shard {
    /// What is known of a client.
    pub(crate) fn of(&mut self, client: u64) -> Option<&Known> {
        self.touch(client);
        self.clients.get(&client)
    }

    /// Changes what is known of a client.
    pub(crate) fn change(&mut self, client: u64, change: impl FnOnce(&mut Known)) {
        let known = self.clients.entry(client).or_insert_with(|| {
            self.bytes += OVERHEAD;
            Known::default()
        });
        let before = known.bytes();
        change(known);
        self.bytes = (self.bytes + known.bytes()).saturating_sub(before);
        self.touch(client);
    }

    /// Forgets clients until there is room; says how many.
    pub(crate) fn shrink(&mut self) -> u64 {
        let mut forgotten = 0;
        while self.clients.len() > MAX_CLIENTS / SHARDS || self.bytes > MAX_BYTES / SHARDS {
            let Some((_, client)) = self.order.pop_first() else { break };
            if let Some(known) = self.clients.remove(&client) {
                self.bytes = self.bytes.saturating_sub(known.bytes() + OVERHEAD);
                forgotten += 1;
            }
        }
        forgotten
    }

    fn touch(&mut self, client: u64) {
        if let Some(known) = self.clients.get_mut(&client) {
            self.order.remove(&known.looked_at);
            self.clock += 1;
            known.looked_at = self.clock;
            self.order.insert(self.clock, client);
        }
    }
}

/// What a cookie takes besides its text: four texts of their own, and their record.
const COOKIE_BYTES: usize = 256;

impl Known {
    /// The target's value in place of production's.
    pub(crate) fn learned(&self, id: u64) -> Option<&Bytes> {
        self.learned.get(&id)
    }

    /// The latest value of a declared token.
    pub(crate) fn declared(&self, number: usize) -> Option<&Bytes> {
        self.declared.get(number)?.as_ref()
    }

    pub(crate) fn learn(&mut self, id: u64, value: Bytes) {
        self.bytes += value.len();
        if let Some(old) = self.learned.insert(id, value) {
            self.bytes = self.bytes.saturating_sub(old.len());
            self.ages.retain(|known| *known != id);
        }
        // What was given last is forgotten last.
        self.ages.push_back(id);
        if self.ages.len() > MAX_VALUES
            && let Some(old) = self.ages.pop_front().and_then(|id| self.learned.remove(&id))
        {
            self.bytes = self.bytes.saturating_sub(old.len());
        }
    }

    pub(crate) fn declare(&mut self, number: usize, value: Bytes) {
        if self.declared.len() <= number {
            self.declared.resize(number + 1, None);
        }
        if let Some(place) = self.declared.get_mut(number) {
            self.bytes += value.len();
            let old = place.replace(value).map_or(0, |old| old.len());
            self.bytes = self.bytes.saturating_sub(old);
        }
    }

    fn bytes(&self) -> usize {
        let cells = (self.learned.len() + self.declared.len()) * size_of::<[u64; 8]>();
        self.jar.bytes() + self.jar.len() * COOKIE_BYTES + self.bytes + cells
    }
}

/// What a pattern finds first: its first group, or all of the match.
pub(crate) fn capture(pattern: &Regex, text: &[u8]) -> Option<Bytes> {
    let found = pattern.captures(text)?;
    let value = found.get(1).or_else(|| found.get(0))?.as_bytes();
    // A copy of its own: the text may be a whole page.
    (!value.is_empty()).then(|| Bytes::copy_from_slice(value))
}

/// A body without its coding; `None` where that is not known here. Of a body that was cut, what is
/// there.
pub(crate) fn plain(head: &[u8], body: &[u8], most: usize) -> Option<Vec<u8>> {
    let coding = fields(head).filter(|field| field.is_named(head, "Content-Encoding"));
    let coding = coding.last().and_then(|field| head.get(field.value)).unwrap_or_default();
    let coding = String::from_utf8_lossy(coding).to_ascii_lowercase();
    let mut reader: Box<dyn Read> = match coding.as_str() {
        "" | "identity" => return Some(body.to_vec()),
        "gzip" | "x-gzip" => Box::new(flate2::read::GzDecoder::new(body)),
        "deflate" => Box::new(flate2::read::ZlibDecoder::new(body)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(body).ok()?),
        _ => return None,
    };
    let (mut out, mut buffer) = (Vec::new(), [0; 8192]);
    while out.len() < most {
        match reader.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => out.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn clients_that_were_idle_longest_are_forgotten() {
        let mut shard = Shard::default();
        let most = u64::try_from(MAX_CLIENTS / SHARDS).unwrap();
        for client in 0..most {
            shard.change(client, |known| known.learn(1, Bytes::from_static(b"a")));
        }
        assert_eq!(shard.shrink(), 0);
        assert!(shard.of(0).is_some());
        shard.change(most, |known| known.declare(0, Bytes::from_static(b"a")));
        assert_eq!(shard.shrink(), 1);
        assert!(shard.of(0).is_some() && shard.of(1).is_none() && shard.of(most).is_some());
        // So are those of large values.
        let large = Bytes::from(vec![b'x'; MAX_BYTES / SHARDS / 4]);
        for id in 0..5 {
            shard.change(most + 1, |known| known.learn(id, large.clone()));
        }
        assert!(shard.shrink() > most);
        assert_eq!((shard.clients.len(), shard.bytes, shard.order.len()), (0, 0, 0));
    }

    #[test]
    fn values_of_a_client_are_bounded() {
        let mut known = Known::default();
        for id in 0..1_000 {
            known.learn(id, Bytes::from_static(b"abcd"));
            known.learn(id, Bytes::from_static(b"abcdef"));
        }
        assert_eq!((known.learned.len(), known.bytes), (MAX_VALUES, MAX_VALUES * 6));
        assert!(known.learned(999).is_some() && known.learned(0).is_none());
        known.declare(2, Bytes::from_static(b"x"));
        assert!(known.declared(1).is_none() && known.declared(2).is_some());
    }

    #[test]
    fn bodies_are_read_in_their_coding_also_when_they_are_cut() {
        let page = b"<input value=\"t0k3n\">".repeat(200);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&page).unwrap();
        let gzip = gzip.finish().unwrap();
        let head = |coding: &str| format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\n\r\n");
        let read = |coding: &str, body: &[u8]| plain(head(coding).as_bytes(), body, 1 << 20);
        assert_eq!(read("GZip", &gzip).as_deref(), Some(&page[..]));
        let zstd = zstd::encode_all(&page[..], 1).unwrap();
        assert_eq!(read("zstd", &zstd).as_deref(), Some(&page[..]));
        assert_eq!(read("identity", &page).as_deref(), Some(&page[..]));
        assert_eq!(plain(b"HTTP/1.1 200 OK\r\n\r\n", &page, 10).as_deref(), Some(&page[..]));
        assert_eq!(read("br", &page), None);
        assert_eq!(read("gzip", b"no gzip"), None);
        assert!(plain(head("gzip").as_bytes(), &gzip, 16).unwrap().len() <= 8192);
        let pattern = Regex::new("value=\"([^\"]+)\"").unwrap();
        assert_eq!(capture(&pattern, &page).as_deref(), Some(&b"t0k3n"[..]));
        assert_eq!(capture(&Regex::new("t.k").unwrap(), &page).as_deref(), Some(&b"t0k"[..]));
        assert_eq!(capture(&Regex::new("nothing").unwrap(), &page), None);
    }
}
