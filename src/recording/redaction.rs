//! Replaces secrets by pseudonyms of the same length, before anything is written.
//!
//! Lengths stay, so that sizes and framing stay; names of cookies and parameters stay, since they
//! are what a replay rewrites; the same value has the same pseudonym wherever it stands, so that
//! sessions and cache keys stay. Finding and replacing are apart: what is found by names goes
//! before what is found by patterns. Where a head is ambiguous, such as a folded line, more is
//! replaced rather than less. What is left alone is told in `docs/redaction.md`.

pub mod listed;
pub mod policy;
pub mod key;
mod coding;
mod card;
mod email;
mod address;
mod pseudonym;
pub(crate) mod names;
mod rules;
mod escapes;
mod hit;
mod patterns;
mod urls;
mod cookies;
mod known;
mod heads;
mod json;
mod declared;
mod multipart;
mod drawn;
pub mod bodies;

use std::sync::Arc;

use ::bytes::Bytes;

use crate::protocol::Protocol;
use crate::protocol::http1::chunks::{Places, places};
use crate::recording::redaction::bodies::{MAX_SEARCHED, Unsearched, find_body};
use crate::recording::redaction::heads::find_head;
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::key::Key;
use crate::recording::redaction::known::KnownLines;
use crate::recording::redaction::patterns::{Place, find};
use crate::recording::redaction::policy::Policy;
use crate::recording::redaction::pseudonym::Pseudonyms;
use crate::recording::redaction::rules::Rules;
use crate::recording::redaction::urls::{find_url, find_userinfo};
use crate::recording::stored::Stored;
use crate::recording::{Exchange, Flags};

/// What a filled byte becomes.
const FILLER: u8 = b'x';

/// Where a key came from, which tells what its pseudonyms can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// Drawn for this import and forgotten: no other recording has these pseudonyms.
    Random,
    /// A file of the user: the same in each import with it.
    File,
    /// The capture itself: the same in each import of it.
    Capture,
}

/// What was done to a recording, kept in its footer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Redaction {
    /// The policy's name and version.
    pub policy: String,
    /// Where the key of the pseudonyms came from; the key itself is nowhere.
    pub key: KeySource,
    /// What was replaced, by rule, most often first.
    pub replaced: Vec<Counted>,
    /// Bodies that could not be searched, by reason, and rows left as they came.
    pub not_searched: Vec<Counted>,
}

impl Redaction {
    /// Adds what was done to another recording, if anything was recorded in it, to what was so far.
    pub fn join(all: &mut Option<Self>, more: Option<&Self>) {
        match (all, more.filter(|more| !more.is_of_nothing_recorded())) {
            (_, None) => {}
            (Some(all), Some(more)) => all.merge(more),
            (all, Some(more)) => *all = Some(more.clone()),
        }
    }

    /// Adds what was done to another recording.
    pub fn merge(&mut self, other: &Self) {
        for (all, more) in
            [(&mut self.replaced, &other.replaced), (&mut self.not_searched, &other.not_searched)]
        {
            for counted in more {
                match all.iter_mut().find(|known| known.name == counted.name) {
                    Some(known) => known.count += counted.count,
                    None => all.push(counted.clone()),
                }
            }
        }
        self.replaced.sort_by(|a, b| b.count.cmp(&a.count).then(a.name.cmp(&b.name)));
    }
}

/// How often something was met.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counted {
    /// What it was, such as `header Cookie`, `parameter token`, `field password`, `pattern email`.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// Carries out a policy, with one key, on exchange after exchange.
#[derive(Debug)]
pub struct Redactor {
    policy: String,
    headers: Vec<String>,
    source: KeySource,
    rules: Arc<Rules>,
    pseudonyms: Pseudonyms,
    known: KnownLines,
    hits: Hits,
    /// By number of the rule.
    replaced: Vec<u64>,
    /// By position in [`Unsearched::ALL`].
    unsearched: [u64; Unsearched::ALL.len()],
    left: u64,
}

impl Redactor {
    /// Makes a policy ready.
    pub fn new(policy: &Policy, key: Key, source: KeySource) -> Self {
        let rules = Rules::new(policy);
        Self {
            policy: policy.name.clone(),
            headers: policy.headers.replaced(),
            source,
            replaced: vec![0; rules.labels.len()],
            rules: Arc::new(rules),
            pseudonyms: Pseudonyms::new(key),
            known: KnownLines::default(),
            hits: Hits::default(),
            unsearched: [0; Unsearched::ALL.len()],
            left: 0,
        }
    }

    /// Another one of the same policy and pseudonyms, which has counted nothing yet.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self {
            policy: self.policy.clone(),
            headers: self.headers.clone(),
            source: self.source,
            replaced: vec![0; self.replaced.len()],
            rules: Arc::clone(&self.rules),
            pseudonyms: Pseudonyms::new(self.pseudonyms.key().clone()),
            known: KnownLines::default(),
            hits: Hits::default(),
            unsearched: [0; Unsearched::ALL.len()],
            left: 0,
        }
    }

    /// The default policy with `x` in place of pseudonyms: for showing requests to people.
    pub fn filler() -> Self {
        Self::new(&Policy::default().filled(), Key::from_secret(b""), KeySource::Random)
    }

    /// Replaces what the policy names in heads, target, route, authority and body. No length
    /// changes; [`Flags::REDACTED`] is set when anything was replaced. The session gets another
    /// number, since its own may be a hash of what was replaced. Redacting twice is not redacting
    /// once: a pseudonym is replaced like any other value.
    pub fn redact(&mut self, exchange: &mut Exchange) {
        let is_command = is_command(exchange.protocol);
        let head = (!is_command).then_some(&*exchange.request_head);
        let mut replaced = self.body(head, &mut exchange.request_body);
        if let Some(stored) = &mut exchange.request_stored {
            replaced |= self.stored(head, stored);
        }
        replaced |= self.head(&mut exchange.request_head);
        replaced |= self.chunks(&mut exchange.request_chunks);
        if let Some(response) = &mut exchange.response {
            replaced |= self.head(&mut response.head);
        }
        // What stands in the head was counted there; of a command, the target is part of the body.
        let is_counted =
            exchange.request_head.is_empty() && (!is_command || exchange.request_body.is_empty());
        for (text, is_counted) in [(&mut exchange.target, is_counted), (&mut exchange.route, false)]
        {
            if !is_command {
                find_url(&self.rules, text.as_bytes(), 0..text.len(), &mut self.hits);
            }
            replaced |= self.text(text, is_counted);
        }
        let authority = &mut exchange.authority;
        let range = 0..authority.len();
        find_userinfo(&self.rules, authority.as_bytes(), range, &mut self.hits, 0);
        // As in the header Host: it says where the request goes.
        self.hits.settle();
        replaced |= self.write(authority, false);
        exchange.session = self.pseudonyms.key().session(exchange.session);
        if replaced {
            exchange.flags.insert(Flags::REDACTED);
        }
    }

    /// The same for a row that may come from a recording of before: one that says that it was
    /// redacted is left alone.
    pub fn redact_once(&mut self, exchange: &mut Exchange) {
        if exchange.flags.contains(Flags::REDACTED) {
            self.left += 1;
            // As for the other rows of its session.
            exchange.session = self.pseudonyms.key().session(exchange.session);
        } else {
            self.redact(exchange);
        }
    }

    /// Names of the headers that are replaced, for people.
    pub fn headers(&self) -> Vec<String> {
        self.headers.clone()
    }

    /// What was done so far.
    pub fn account(&self) -> Redaction {
        let labels = self.rules.labels.iter().zip(&self.replaced);
        let mut replaced: Vec<Counted> =
            labels.filter_map(|(name, count)| counted(name, *count)).collect();
        replaced.sort_by(|a, b| b.count.cmp(&a.count).then(a.name.cmp(&b.name)));
        let reasons = Unsearched::ALL.iter().zip(self.unsearched);
        let reasons = reasons.filter_map(|(reason, count)| counted(reason.label(), count));
        let left = counted("request redacted before", self.left);
        Redaction {
            policy: self.policy.clone(),
            key: self.source,
            replaced,
            not_searched: reasons.chain(left).collect(),
        }
    }

    /// A head as it may be shown.
    pub fn shown_head(&mut self, head: &[u8]) -> Vec<u8> {
        find_head(&self.rules, head, &mut self.known, &mut self.hits);
        self.apply(head, false).unwrap_or_else(|| head.to_vec())
    }

    fn head(&mut self, head: &mut Bytes) -> bool {
        find_head(&self.rules, head, &mut self.known, &mut self.hits);
        self.replace(head)
    }

    fn body(&mut self, head: Option<&[u8]>, body: &mut Bytes) -> bool {
        if body.is_empty() {
            return false;
        }
        let left = find_body(&self.rules, head, body, &mut self.hits);
        self.count_unsearched(&left);
        self.replace(body)
    }

    /// The same for one on the disk, whose front is searched like that of a long one in memory.
    fn stored(&mut self, head: Option<&[u8]>, stored: &mut Stored) -> bool {
        let Ok(front) = stored.front(MAX_SEARCHED) else {
            self.count_unsearched(&[Unsearched::Unread]);
            return false;
        };
        let mut left = find_body(&self.rules, head, &front, &mut self.hits);
        let is_looked_at =
            !left.iter().any(|it| matches!(it, Unsearched::Encoded | Unsearched::Binary));
        let goes_on = stored.length() > front.len() as u64;
        left.extend((is_looked_at && goes_on).then_some(Unsearched::Long));
        self.count_unsearched(&left);
        let Some(copy) = self.apply(&front, true) else { return false };
        *stored = stored.changed(&front, &copy);
        true
    }

    fn count_unsearched(&mut self, left: &[Unsearched]) {
        for (reason, count) in Unsearched::ALL.iter().zip(&mut self.unsearched) {
            *count += u64::from(left.contains(reason));
        }
    }

    /// Trailers are headers that come late. What else stands around chunks but their sizes is
    /// filled, and what is broken is not kept: nobody knows what it means.
    fn chunks(&mut self, chunks: &mut Option<Bytes>) -> bool {
        let Some(known) = chunks.as_ref() else { return false };
        let Some(Places { extensions, trailers }) = places(known) else {
            *chunks = None;
            return true;
        };
        let mut copy = known.to_vec();
        let lines = known.get(trailers.clone()).unwrap_or_default();
        // Lines of a head follow its first line.
        let mut head = Bytes::from([&b"-\r\n"[..], lines].concat());
        let mut replaced = !lines.is_empty() && self.head(&mut head);
        if let Some(place) = copy.get_mut(trailers)
            && let Some(lines) = head.get(head.len() - place.len()..)
        {
            place.copy_from_slice(lines);
        }
        for range in extensions {
            let extension = copy.get_mut(range).unwrap_or_default();
            // Without what parts it from the size, it would be one with it.
            let start = extension.iter().position(|byte| *byte == b';').map_or(0, |at| at + 1);
            extension.get_mut(start..).into_iter().for_each(fill);
            replaced = true;
        }
        if replaced {
            *chunks = Some(copy.into());
        }
        replaced
    }

    fn replace(&mut self, bytes: &mut Bytes) -> bool {
        let copy = self.apply(bytes, true);
        let replaced = copy.is_some();
        if let Some(copy) = copy {
            *bytes = copy.into();
        }
        replaced
    }

    fn text(&mut self, text: &mut String, is_counted: bool) -> bool {
        self.hits.settle();
        let place = Place { end: text.len(), ..Place::default() };
        find(&self.rules.patterns, text.as_bytes(), place, &mut self.hits);
        self.write(text, is_counted)
    }

    fn write(&mut self, text: &mut String, is_counted: bool) -> bool {
        let Some(copy) = self.apply(text.as_bytes(), is_counted) else { return false };
        // Values are whole runs between ASCII separators, and pseudonyms of UTF-8 are UTF-8.
        *text =
            String::from_utf8(copy).unwrap_or_else(|error| "x".repeat(error.into_bytes().len()));
        true
    }

    /// A copy in which all hits are replaced, which are forgotten; `None` when there are none.
    fn apply(&mut self, bytes: &[u8], is_counted: bool) -> Option<Vec<u8>> {
        if self.hits.0.is_empty() {
            return None;
        }
        let mut copy = bytes.to_vec();
        for hit in self.hits.0.drain(..) {
            let Some(value) = copy.get_mut(hit.range) else { continue };
            if hit.entry.is_filled {
                fill(value);
            } else {
                self.pseudonyms.replace(value, hit.coding, hit.entry.is_email);
            }
            if is_counted && let Some(count) = self.replaced.get_mut(hit.entry.rule) {
                *count += 1;
            }
        }
        Some(copy)
    }
}

/// A row of it holds no URL, and its body is a text.
fn is_command(protocol: Protocol) -> bool {
    match protocol {
        Protocol::Redis | Protocol::Mysql | Protocol::Postgres => true,
        Protocol::Http1 | Protocol::Http2 | Protocol::Http3 => false,
    }
}

fn counted(name: &str, count: u64) -> Option<Counted> {
    (count > 0).then(|| Counted { name: name.to_owned(), count })
}

/// Replaces every byte that is no white space by filler.
pub(crate) fn fill(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace()) {
        *byte = FILLER;
    }
}

#[cfg(test)]
impl Redactor {
    /// Pseudonyms of one key.
    pub(crate) fn example() -> Self {
        Self::new(&Policy::default(), Key::from_secret(b"example"), KeySource::Random)
    }

    pub(crate) fn shown_url(&mut self, url: &str) -> String {
        find_url(&self.rules, url.as_bytes(), 0..url.len(), &mut self.hits);
        let mut shown = url.to_owned();
        self.text(&mut shown, false);
        shown
    }

    pub(crate) fn shown_body(&mut self, body: &str) -> String {
        let mut bytes = Bytes::from(body.to_owned());
        self.body(Some(b"POST / HTTP/1.1\r\nContent-Type: application/json\r\n\r\n"), &mut bytes);
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}
