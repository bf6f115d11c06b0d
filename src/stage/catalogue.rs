//! What production answered to each request, so that the stage answers alike.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hasher};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::bytes::Bytes;
use http::{StatusCode, Uri};
use hyper::body::{Body, Frame, SizeHint};

use crate::scenario::knobs::OtherAnswers;

/// One answer for each method and target.
#[derive(Debug)]
pub struct Catalogue {
    answers: HashMap<Key, Candidate>,
    max_entries: usize,
    beyond_bound: u64,
}

/// What the stage answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Final status.
    pub status: StatusCode,
    /// Bytes of the body.
    pub body_bytes: u64,
}

/// A method and a target, hashed. The host is no part of it: a rehearsal rewrites hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(in crate::stage) u64);

/// Methods and targets kept; further ones are counted and answered as unknown. A million is above
/// the distinct targets of a peak hour, and takes some tens of MB.
pub const MAX_ENTRIES: usize = 1 << 20;

/// Largest body the stage sends. Recorded lengths are not trusted: a damaged one must not keep a
/// rehearsal busy for hours.
pub const MAX_BODY_BYTES: u64 = 256 << 20;

/// The answer to what is not in the catalogue.
pub const UNKNOWN: Answer = Answer { status: StatusCode::OK, body_bytes: 512 };

impl Catalogue {
    /// An empty catalogue, by which everything is unknown.
    pub fn new() -> Self {
        Self { answers: HashMap::new(), max_entries: MAX_ENTRIES, beyond_bound: 0 }
    }

    /// Notes one recorded answer.
    ///
    /// Where production answered one target with several statuses, the majority wins (Boyer and
    /// Moore's vote, one candidate at a time), with the latest size seen with it: a rare error of
    /// production is not repeated.
    ///
    /// A status that cannot be final (below 200, above 999) becomes 200: the stage does not
    /// switch protocols, and HTTP/0.9 has no status. Statuses that forbid a body get none.
    pub fn add(&mut self, method: &str, target: &str, status: u16, body_bytes: u64) {
        let answer = Answer::allowed(status, body_bytes);
        let bound_reached = self.answers.len() >= self.max_entries;
        match self.answers.entry(Key::of_text(method, target)) {
            Entry::Occupied(mut occupied) => occupied.get_mut().vote(answer),
            Entry::Vacant(_) if bound_reached => self.beyond_bound += 1,
            Entry::Vacant(vacant) => {
                vacant.insert(Candidate { answer, votes: 1 });
            }
        }
    }

    /// The answer to a request, [`UNKNOWN`] where none was noted.
    pub fn answer(&self, key: Key) -> Answer {
        self.answers.get(&key).map_or(UNKNOWN, |candidate| candidate.answer)
    }

    /// The same as a stage gives it whose answers are others: to about half of all targets, since
    /// the keys are hashes.
    pub(in crate::stage) fn other_answer(&self, key: Key, others: OtherAnswers) -> Answer {
        let answer = self.answer(key);
        match others {
            _ if key.0 % 2 == 1 => answer,
            OtherAnswers::Redirected => Answer { status: StatusCode::FOUND, body_bytes: 0 },
            OtherAnswers::Halved => Answer { body_bytes: answer.body_bytes / 2, ..answer },
        }
    }

    /// Methods and targets known.
    pub fn entries(&self) -> usize {
        self.answers.len()
    }

    /// Recorded answers not kept because of [`MAX_ENTRIES`].
    pub fn beyond_bound(&self) -> u64 {
        self.beyond_bound
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    fn allowed(status: u16, body_bytes: u64) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| !status.is_informational())
            .unwrap_or(StatusCode::OK);
        let bodiless = matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        );
        Self { status, body_bytes: if bodiless { 0 } else { body_bytes.min(MAX_BODY_BYTES) } }
    }
}

impl Key {
    /// The key of a request as the stage received it.
    pub fn of(method: &str, uri: &Uri) -> Self {
        match uri.path_and_query() {
            Some(path_and_query) => Self::hash(method, path_and_query.as_str()),
            // `CONNECT host:port` has an authority only.
            None => Self::hash(method, uri.authority().map_or("", |authority| authority.as_str())),
        }
    }

    /// The key of a recorded request: read by the parser the stage reads requests with, so that
    /// both mean the same by a target with a host or a fragment.
    fn of_text(method: &str, target: &str) -> Self {
        match target.parse() {
            Ok(uri) => Self::of(method, &uri),
            Err(_) => Self::hash(method, target),
        }
    }

    fn hash(method: &str, target: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(method.as_bytes());
        hasher.write_u8(b' '); // No method contains a space: the two cannot run into each other.
        hasher.write(target.as_bytes());
        Self(hasher.finish())
    }
}

/// The answer that is ahead in the vote, and by how much.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    answer: Answer,
    votes: u32,
}

impl Candidate {
    fn vote(&mut self, answer: Answer) {
        if self.answer.status == answer.status {
            self.votes = self.votes.saturating_add(1);
            self.answer = answer;
        } else if self.votes > 1 {
            self.votes -= 1;
        } else {
            *self = Self { answer, votes: 1 };
        }
    }
}

/// A body of filler, made while it is sent: its size costs no memory.
#[derive(Clone, Copy, Debug)]
pub struct Filler {
    remaining: u64,
}

impl Filler {
    /// A body of this many bytes.
    pub fn new(bytes: u64) -> Self {
        Self { remaining: bytes }
    }
}

static FILLER: [u8; 64 * 1024] = [b'.'; 64 * 1024];

impl Body for Filler {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size =
            usize::try_from(self.remaining).map_or(FILLER.len(), |all| all.min(FILLER.len()));
        if size == 0 {
            return Poll::Ready(None);
        }
        self.remaining = self.remaining.saturating_sub(size as u64);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&FILLER[..size])))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(catalogue: &Catalogue, method: &str, target: &str) -> (u16, u64) {
        let answer = catalogue.answer(Key::of(method, &target.parse().unwrap()));
        (answer.status.as_u16(), answer.body_bytes)
    }

    fn one(status: u16, body_bytes: u64) -> (u16, u64) {
        let mut catalogue = Catalogue::new();
        catalogue.add("GET", "/", status, body_bytes);
        answered(&catalogue, "GET", "/")
    }

    #[test]
    fn recorded_answers_become_possible_ones() {
        assert_eq!(one(200, 7), (200, 7));
        assert_eq!(one(503, 7), (503, 7));
        assert_eq!(one(0, 7), (200, 7)); // HTTP/0.9 has no status.
        assert_eq!(one(101, 7), (200, 7)); // The stage does not switch protocols.
        assert_eq!(one(1000, 7), (200, 7)); // Four digits cannot be written.
        assert_eq!(one(999, 7), (999, 7)); // Odd, and seen in the wild.
        assert_eq!(one(204, 7), (204, 0)); // These forbid a body.
        assert_eq!(one(205, 7), (205, 0));
        assert_eq!(one(304, 7), (304, 0));
        assert_eq!(one(200, u64::MAX), (200, MAX_BODY_BYTES)); // A length nobody sent.
    }

    #[test]
    fn a_target_means_the_same_in_every_form() {
        let mut catalogue = Catalogue::new();
        catalogue.add("GET", "http://shop.example/a?b=c", 404, 1);
        catalogue.add("OPTIONS", "*", 404, 2);
        catalogue.add("CONNECT", "shop.example:443", 404, 3);
        catalogue.add("GET", "/f#fragment", 404, 4);
        assert_eq!(answered(&catalogue, "GET", "/a?b=c"), (404, 1));
        assert_eq!(answered(&catalogue, "GET", "http://other.example/a?b=c"), (404, 1));
        assert_eq!(answered(&catalogue, "OPTIONS", "*"), (404, 2));
        assert_eq!(answered(&catalogue, "CONNECT", "shop.example:443"), (404, 3));
        assert_eq!(answered(&catalogue, "GET", "/f"), (404, 4));
        assert_eq!(answered(&catalogue, "HEAD", "/a?b=c"), (200, 512)); // Another method.
        assert_eq!(answered(&catalogue, "GET", "/a"), (200, 512)); // Another query.
    }

    #[test]
    fn the_majority_of_statuses_wins_with_its_latest_size() {
        let mut catalogue = Catalogue::new();
        for (status, body_bytes) in [(500, 1), (200, 2), (200, 3), (404, 4), (200, 5)] {
            catalogue.add("GET", "/", status, body_bytes);
        }
        assert_eq!(answered(&catalogue, "GET", "/"), (200, 5));
        assert_eq!(catalogue.entries(), 1);
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted() {
        let mut catalogue = Catalogue { max_entries: 2, ..Catalogue::new() };
        for target in ["/0", "/1", "/2", "/3", "/1", "/2"] {
            catalogue.add("GET", target, 404, 1);
        }
        assert_eq!((catalogue.entries(), catalogue.beyond_bound()), (2, 3));
        assert_eq!(answered(&catalogue, "GET", "/1"), (404, 1));
        assert_eq!(answered(&catalogue, "GET", "/2"), (200, 512));
    }
}
