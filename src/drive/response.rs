//! Reads one response from whatever bytes arrive, without any I/O.

pub mod head;

use crate::drive::follow::Heard;
use crate::drive::response::head::{Begun, RequestKind, head_end, read_head};
use crate::protocol::http1::body::BodyDecoder;
use crate::recording::contents::Witness;
use crate::sample::MAX_BANNER;

/// Longest accepted response head, in bytes: four times what common servers and proxies can be
/// configured to send, and small enough for ten thousand connections at once. All interim
/// responses together may be as long, too.
pub const MAX_HEAD: usize = 256 * 1024;

/// What every HTTP/1 response starts with.
const PREFIX: &[u8] = b"HTTP/";

/// A whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Another request may follow on the connection.
    pub reusable: bool,
}

/// Why the bytes are no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// They do not start like HTTP/1.
    #[error("the target does not speak HTTP/1; it said {banner:?}")]
    NotHttp {
        /// The first line, printable characters only, at most [`MAX_BANNER`].
        banner: String,
    },
    /// The head cannot be read.
    #[error("the response head is malformed: {0}")]
    Head(httparse::Error),
    /// The head does not end.
    #[error("the response head is longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// `Content-Length` is no number, or several that differ.
    #[error("the response's content length is no number or contradicts itself")]
    ContentLength,
    /// The chunks of the body are broken.
    #[error("the response body is malformed: {0}")]
    Body(#[from] crate::protocol::http1::body::BodyError),
}

/// What the end of the stream means for the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It made the response whole.
    Whole(Answer),
    /// What came was not HTTP.
    NotHttp {
        /// See [`ResponseError::NotHttp`].
        banner: String,
    },
    /// The response is cut off.
    Cut,
}

/// Reads one response. Interim ones (1xx) before it are skipped, except 101, which ends HTTP.
///
/// Body bytes are counted, not kept: memory is bounded by [`MAX_HEAD`].
#[derive(Debug)]
pub struct ResponseReader {
    request: RequestKind,
    state: State,
    seen: u64,
    /// Bytes of the interim responses so far: each is read anew, so there must not be any number.
    interim_bytes: usize,
    gives_leave: bool,
    body_bytes: u64,
    /// What is kept of it, for whoever listens.
    pub(crate) heard: Option<Box<Heard>>,
    /// Sees the body, where production's is known.
    pub(crate) witness: Option<Box<Witness>>,
}

#[derive(Debug)]
enum State {
    Head { bytes: Vec<u8>, scanned: usize },
    Body { decoder: BodyDecoder, answer: Answer },
    Banner(Vec<u8>),
}

impl ResponseReader {
    /// A reader of the response to a request with this method.
    pub fn new(method: &str) -> Self {
        Self {
            request: RequestKind::of(method),
            state: State::empty_head(),
            seen: 0,
            interim_bytes: 0,
            gives_leave: false,
            body_bytes: 0,
            heard: None,
            witness: None,
        }
    }

    /// Bytes pushed so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The body may be sent: a `100 Continue` has come. Other interim responses, such as early
    /// hints, say nothing of it.
    pub fn gives_leave(&self) -> bool {
        self.gives_leave
    }

    /// Bytes of the body so far, de-chunked.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Makes it a reader of the next response on its connection.
    pub fn begin(&mut self, method: &str) {
        *self = Self::new(method);
    }

    /// Takes the next bytes of the stream; the answer once it is whole. Bytes behind it belong to
    /// no request, so they cost the connection. Nothing may be pushed after an answer or an error.
    pub fn push(&mut self, input: &[u8]) -> Result<Option<Answer>, ResponseError> {
        let mut rest = input;
        let answer = self.take(&mut rest)?;
        Ok(answer.map(|answer| Answer { reusable: answer.reusable && rest.is_empty(), ..answer }))
    }

    /// Takes what belongs to the response off the front of `input`; the answer once it is whole,
    /// and then the rest is the next one's. No byte is copied for being behind an answer.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Answer>, ResponseError> {
        let before = input.len();
        let taken = self.advance(input);
        self.seen += (before - input.len()) as u64;
        taken
    }

    fn advance(&mut self, rest: &mut &[u8]) -> Result<Option<Answer>, ResponseError> {
        loop {
            match &mut self.state {
                State::Banner(bytes) => {
                    let piece = split_off(rest, rest.len());
                    bytes.extend_from_slice(&piece[..piece.len().min(MAX_BANNER - bytes.len())]);
                    if bytes.len() == MAX_BANNER || bytes.contains(&b'\n') {
                        return Err(ResponseError::NotHttp { banner: banner(bytes) });
                    }
                    return Ok(None);
                }
                State::Head { bytes, scanned } => {
                    let head = match take_head(bytes, scanned, rest)? {
                        HeadStep::More => return Ok(None),
                        HeadStep::NotHttp => {
                            bytes.truncate(MAX_BANNER);
                            self.state = State::Banner(std::mem::take(bytes));
                            continue;
                        }
                        HeadStep::Whole(head) => head,
                        HeadStep::Kept => bytes.as_slice(),
                    };
                    let (framing, answer) = match read_head(head, self.request)? {
                        Begun::Final(framing, answer) => (framing, answer),
                        Begun::Interim(status) => {
                            self.gives_leave |= status == 100;
                            self.interim_bytes += head.len();
                            if self.interim_bytes > MAX_HEAD {
                                return Err(ResponseError::HeadTooLong);
                            }
                            self.state = State::empty_head();
                            continue;
                        }
                    };
                    if let Some(heard) = &mut self.heard {
                        heard.head = head.to_vec();
                    }
                    self.state = State::Body { decoder: BodyDecoder::new(framing), answer };
                }
                State::Body { decoder, answer } => {
                    if decoder.is_complete() {
                        return Ok(Some(*answer));
                    }
                    let step = decoder.decode(rest)?;
                    self.body_bytes += (step.data.1 - step.data.0) as u64;
                    if let Some(heard) = &mut self.heard {
                        heard.keep(rest.get(step.data.0..step.data.1).unwrap_or_default());
                    }
                    if let Some(witness) = &mut self.witness {
                        witness.push(rest.get(step.data.0..step.data.1).unwrap_or_default());
                    }
                    split_off(rest, step.consumed);
                    if rest.is_empty() && !step.complete {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// What the response is when the stream ends here.
    pub fn end(&self) -> Ending {
        match &self.state {
            State::Body { decoder, answer } if decoder.is_until_close() => Ending::Whole(*answer),
            State::Banner(bytes) => Ending::NotHttp { banner: banner(bytes) },
            State::Head { .. } | State::Body { .. } => Ending::Cut,
        }
    }
}

impl State {
    fn empty_head() -> Self {
        Self::Head { bytes: Vec::new(), scanned: 0 }
    }
}

enum HeadStep<'i> {
    More,
    NotHttp,
    /// It stands whole in what was given, as nearly every one does.
    Whole(&'i [u8]),
    /// It is whole in what was kept of it.
    Kept,
}

/// Takes a head, or what there is of it, off the front of `rest`; `bytes` keep its beginning until
/// it is whole.
fn take_head<'i>(
    bytes: &mut Vec<u8>,
    scanned: &mut usize,
    rest: &mut &'i [u8],
) -> Result<HeadStep<'i>, ResponseError> {
    let before = bytes.len();
    if before == 0 {
        // Some servers end a body with a line end that is not part of it.
        let stray = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        split_off(rest, stray);
        if let Some(end) = head_end(rest, 0).filter(|end| *end <= MAX_HEAD && is_http(rest)) {
            return Ok(HeadStep::Whole(split_off(rest, end)));
        }
    }
    bytes.extend_from_slice(rest);
    if !is_http(bytes) {
        split_off(rest, rest.len());
        return Ok(HeadStep::NotHttp);
    }
    match head_end(bytes, *scanned) {
        Some(end) if end <= MAX_HEAD => {
            bytes.truncate(end);
            split_off(rest, end - before);
            Ok(HeadStep::Kept)
        }
        _ if bytes.len() > MAX_HEAD => Err(ResponseError::HeadTooLong),
        _ => {
            *scanned = bytes.len().saturating_sub(2);
            split_off(rest, rest.len());
            Ok(HeadStep::More)
        }
    }
}

/// It starts, as far as it goes, like a response.
fn is_http(bytes: &[u8]) -> bool {
    let compared = bytes.len().min(PREFIX.len());
    bytes[..compared] == PREFIX[..compared]
}

/// The first `count` bytes, which are taken off.
fn split_off<'i>(rest: &mut &'i [u8], count: usize) -> &'i [u8] {
    let (piece, behind) = rest.split_at(count.min(rest.len()));
    *rest = behind;
    piece
}

/// The first line of what was sent instead of HTTP.
fn banner(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let printable = line.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
    printable.map(|byte| char::from(*byte)).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
