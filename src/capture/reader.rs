//! Where one side of a connection stands: before a message, inside a body, or lost.

use crate::capture::detect::{
    database, may_become_database, may_become_other, other_in_the_middle, other_protocol,
};
use crate::capture::tcp::Mark;
use crate::protocol::http1::body::{BodyDecoder, Framing};
use crate::protocol::http1::head::{Progress, Scan, read};
use crate::protocol::http1::start::Kind;

/// The reader of one side.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) state: State,
    /// The front of a head that is not whole yet, or of a body whose framing is in doubt.
    pub(super) buffer: Vec<u8>,
    /// Where `buffer` begins.
    pub(super) first: Option<Mark>,
    pub(super) scan: Scan,
    /// What `buffer` was taken for.
    pub(super) kind: Option<Kind>,
    /// Bytes are missing since the last message.
    pub(super) after_loss: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// A message begins here.
    Boundary,
    /// In front of a body that is chunked if it begins with a chunk size, and is framed like
    /// this otherwise.
    Doubt(Framing),
    /// Inside a body.
    Body(BodyDecoder),
    /// Until the next certain start line at the front of a segment; bytes end in the bucket.
    Seeking(&'static str),
    /// Nothing is read any more; bytes end in the bucket.
    Over(&'static str),
}

/// What the front of a message amounts to.
pub(super) enum Front<'a> {
    /// A head, and the buffered and new bytes it takes.
    Head(Progress<'a>),
    /// Another protocol.
    Other(&'static str),
    /// Not to be told yet.
    Unknown,
}

impl Reader {
    pub(super) fn new(state: State) -> Self {
        let (buffer, scan) = (Vec::new(), Scan::default());
        Self { state, buffer, first: None, scan, kind: None, after_loss: false }
    }

    /// Bytes are missing, or make no sense: look for the next message.
    pub(super) fn seek(&mut self, bucket: &'static str) {
        self.state = State::Seeking(bucket);
        self.after_loss = true;
        self.clear();
    }

    /// Nothing more is to be read.
    pub(super) fn stop(&mut self, bucket: &'static str) {
        self.state = State::Over(bucket);
        self.clear();
    }

    /// Forgets the head that was being collected.
    pub(super) fn clear(&mut self) {
        self.buffer = Vec::new();
        (self.scan, self.kind) = (Scan::default(), None);
        self.first = None;
    }
}

/// Looks at the front of a segment somewhere in a connection.
pub(super) fn look_in_the_middle(kind: Kind, bytes: &[u8]) -> Front<'_> {
    match other_in_the_middle(bytes) {
        Some(name) => Front::Other(name),
        None => look(kind, bytes, &mut Scan::default(), true),
    }
}

/// Looks at the front of a message. Only in front of the first one of a connection is it certain
/// enough that a database is spoken to.
pub(super) fn look<'a>(kind: Kind, bytes: &'a [u8], scan: &mut Scan, is_first: bool) -> Front<'a> {
    let of_first = || if is_first { database(kind, bytes) } else { None };
    if let Some(name) = other_protocol(bytes).or_else(of_first) {
        return Front::Other(name);
    }
    match read(kind, bytes, scan) {
        Progress::NotHttp if may_become_other(bytes) => Front::Unknown,
        Progress::NotHttp if is_first && may_become_database(kind, bytes) => Front::Unknown,
        Progress::Partial => Front::Unknown,
        progress => Front::Head(progress),
    }
}
