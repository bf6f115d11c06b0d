//! One piece of a request out, one piece of its response in, neither of which waits; and what the
//! end of either means.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::drive::desk::InFlight;
use crate::drive::failure;
use crate::drive::reading::Reading;
use crate::drive::response::{Answer, Ending, ResponseError, ResponseReader};
use crate::drive::tls::Stream;
use crate::sample::Fate;

/// Most bytes handed to the kernel before other connections get a turn: some ten microseconds of
/// copying.
const PIECE: usize = 64 * 1024;

/// Bytes read at once.
pub(super) const READ_BUFFER: usize = 16 * 1024;

thread_local! {
    /// One for all connections of a thread, so that idle ones hold none, and that it is not filled
    /// with zeros for each answer.
    static BUFFER: RefCell<[u8; READ_BUFFER]> = const { RefCell::new([0; READ_BUFFER]) };
}

/// Calls `with` on the thread's buffer; it must not ask for it again.
pub(super) fn with_buffer<T>(with: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| with(buffer))
}

/// How much of a request was handed to the kernel.
pub(super) struct Outgoing {
    written: usize,
    /// What may be sent for now: the head alone as long as its body waits for leave.
    allowed: usize,
    total: usize,
    /// All of it was.
    pub(super) is_whole: bool,
    /// Why no more can be written. What the target said before can still be read.
    pub(super) error: Option<io::Error>,
    /// Its body, where that is on the disk.
    reading: Option<Box<Reading>>,
}

impl Outgoing {
    pub(super) fn new(request: &InFlight) -> Self {
        let head = request.arrival.head.len();
        let body = usize::try_from(request.arrival.body_bytes()).unwrap_or(usize::MAX);
        let total = head.saturating_add(body);
        let allowed = if request.arrival.recorded.expects { head } else { total };
        let streamed = request.arrival.streamed.clone();
        let reading = streamed.map(|streamed| Box::new(Reading::new(streamed)));
        Self { written: 0, allowed, total, is_whole: false, error: None, reading }
    }

    /// Its body waits until the target lets it come.
    pub(super) fn waits_for_leave(&self) -> bool {
        self.allowed < self.total
    }

    /// Lets the body go.
    pub(super) fn give_leave(&mut self) {
        self.allowed = self.total;
    }

    /// It may hand something to the kernel.
    pub(super) fn is_open(&self, stream: &Stream) -> bool {
        let is_at_hand = self.reading.as_ref().is_none_or(|it| !it.at_hand().is_empty());
        let has_more = self.written < self.allowed && is_at_hand || !stream.is_flushed();
        has_more && !self.is_whole && self.error.is_none()
    }

    /// Reads its body ahead, where that is on the disk.
    pub(super) fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.reading.as_mut().map_or(Poll::Pending, |reading| reading.poll_ahead(context))
    }

    /// The rest of its body cannot be read.
    pub(super) fn is_unread(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.has_failed())
    }

    /// Writes the next piece and returns its length.
    pub(super) fn write_piece(&mut self, stream: &mut Stream, request: &mut InFlight) -> usize {
        let moment = request.run().epoch.now();
        let (head, body) = (&request.arrival.head, &request.arrival.body);
        let body_allowed = self.allowed.saturating_sub(head.len());
        let body_written = self.written.saturating_sub(head.len()).min(body_allowed);
        let head_left = &head[self.written.min(head.len())..];
        let body_left = match &self.reading {
            Some(reading) => reading.at_hand(),
            None => &body[body_written..],
        };
        let body_left = &body_left[..body_left.len().min(body_allowed - body_written)];
        let head_piece = &head_left[..head_left.len().min(PIECE)];
        let body_piece = &body_left[..body_left.len().min(PIECE - head_piece.len())];
        let head_count = head_piece.len();
        match stream.try_write(&[IoSlice::new(head_piece), IoSlice::new(body_piece)]) {
            Ok(count) => {
                if self.written == 0 {
                    request.first_byte_sent(moment);
                }
                self.written += count;
                if let Some(reading) = &mut self.reading {
                    reading.sent(count.saturating_sub(head_count));
                }
                self.is_whole = self.written == self.total && stream.is_flushed();
                if self.is_whole {
                    request.sample.sent_last = Some(request.run().epoch.now());
                    if request.arrival.recorded.half_closes {
                        stream.end_sending();
                    }
                }
                count
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => {
                self.error = Some(error);
                0
            }
        }
    }
}

pub(super) enum Read {
    Nothing,
    More(usize),
    Whole(Answer),
    Malformed,
    Rejected {
        banner: String,
    },
    Broken(io::Error),
    End,
    /// It ended inside of TLS without saying so.
    Torn,
}

pub(super) fn read_piece(
    stream: &mut Stream,
    request: &mut InFlight,
    reader: &mut ResponseReader,
) -> Read {
    with_buffer(|buffer| read_into(buffer, stream, request, reader))
}

fn read_into(
    buffer: &mut [u8],
    stream: &mut Stream,
    request: &mut InFlight,
    reader: &mut ResponseReader,
) -> Read {
    let count = match stream.try_read(buffer) {
        Ok(0) => return Read::End,
        Ok(count) => count,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Read::Nothing,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Read::Torn,
        Err(error) => return Read::Broken(error),
    };
    if request.sample.first_byte.is_none() {
        request.sample.first_byte = Some(request.run().epoch.now());
    }
    let mut rest = &buffer[..count];
    let taken = reader.take(&mut rest);
    reader.tell_head(request);
    match taken {
        Ok(None) => Read::More(count),
        // Bytes behind it belong to no request, so they cost the connection.
        Ok(Some(answer)) => {
            if answer.reusable && !rest.is_empty() {
                request.run().oddities.note_unasked();
            }
            Read::Whole(Answer { reusable: answer.reusable && rest.is_empty(), ..answer })
        }
        Err(ResponseError::NotHttp { banner }) => Read::Rejected { banner },
        Err(_) => Read::Malformed,
    }
}

/// What the target's closing of the connection makes of the response.
pub(super) fn at_end(
    reader: &ResponseReader,
    write_error: Option<&io::Error>,
) -> Result<Answer, Fate> {
    match (reader.end(), write_error) {
        (Ending::Whole(answer), _) => Ok(answer),
        (Ending::NotHttp { banner }, _) => Err(Fate::Rejected { banner }),
        // The write already met the reset, and reading no longer tells.
        (Ending::Cut, Some(error)) if reader.seen() == 0 => Err(failure::of_exchange(error)),
        (Ending::Cut, _) => Err(Fate::ClosedEarly { after_bytes: reader.seen() }),
    }
}

/// The fate of a request whose response stopped coming: a banner without its line end is one.
pub(super) fn cut_off(reader: &ResponseReader, fate: Fate) -> Fate {
    match reader.end() {
        Ending::NotHttp { banner } => Fate::Rejected { banner },
        Ending::Whole(_) | Ending::Cut => fate,
    }
}
