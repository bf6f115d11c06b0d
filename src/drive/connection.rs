//! One task for each recorded connection: opens it, sends its requests in order, and reads their
//! responses.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};

use crate::drive::desk::{Desk, InFlight, Run};
use crate::drive::failure;
use crate::drive::place::Place;
use crate::drive::response::{Answer, Ending, ResponseError, ResponseReader};
use crate::drive::tls::Stream;
use crate::record::failures::TlsFailure;
use crate::sample::{Fate, Unsent};

/// Most bytes handed to the kernel, or taken from it, before other connections get a turn: some
/// ten microseconds of copying.
const PIECE: usize = 64 * 1024;

/// Bytes read at once.
const READ_BUFFER: usize = 16 * 1024;

thread_local! {
    /// One for all connections of a thread, so that idle ones hold none, and that it is not filled
    /// with zeros for each answer.
    static BUFFER: RefCell<[u8; READ_BUFFER]> = const { RefCell::new([0; READ_BUFFER]) };
}

/// An answer that ended less than this ago tells that its connection is open: 50 µs. Whatever comes
/// in so short a time may as well come a moment later.
const FRESH: Duration = Duration::from_micros(50);

const INTERRUPTED: Fate = Fate::Unsent { reason: Unsent::Interrupted };

/// Serves a connection until its queue is closed and empty, then closes it. The next request waits
/// for the previous response, and opens the connection again when the target has closed it.
pub(crate) async fn serve(
    desk: Arc<Desk>,
    mut queue: UnboundedReceiver<Box<InFlight>>,
    _alive: Sender<Infallible>,
) {
    let mut idle: Option<Wire> = None;
    loop {
        let next = match &mut idle {
            None => queue.recv().await,
            Some(wire) => tokio::select! {
                biased;
                next = queue.recv() => next,
                () = wire.stream.disturbed() => {
                    idle = None;
                    continue;
                }
            },
        };
        let Some(request) = next else { return };
        idle = carry_out(request, idle, &desk.run).await.wire;
    }
}

/// What is left when a request was carried out.
pub(crate) struct CarriedOut {
    /// The connection, if it may be used again.
    pub(crate) wire: Option<Wire>,
    /// A whole answer came back.
    pub(crate) answered: bool,
}

/// Nothing came of it, and the connection is of no more use.
const FAILED: CarriedOut = CarriedOut { wire: None, answered: false };

/// Sends one request and settles it.
///
/// A target that closes an idle connection may do so just as a request is on its way. Browsers
/// and clients then repeat a request that is safe to repeat, and so do we, once: otherwise the
/// run would report errors that no user sees. It is counted.
pub(crate) async fn carry_out(
    mut request: Box<InFlight>,
    idle: Option<Wire>,
    run: &Arc<Run>,
) -> CarriedOut {
    let mut idle = idle.and_then(|wire| wire.if_quiet(run));
    loop {
        let reused = idle.is_some();
        let mut wire = match idle.take() {
            Some(wire) => wire,
            None => match open(&mut request, run).await {
                Ok(wire) => wire,
                Err(fate) => {
                    request.finish(fate);
                    return FAILED;
                }
            },
        };
        if run.stop.is_requested() {
            request.finish(INTERRUPTED);
            return FAILED;
        }
        request.sample.connected = Some(run.epoch.now());
        request.prepare();
        let mut reader = ResponseReader::new(&request.arrival.method);
        if let Some(follow) = &run.follow {
            reader.heard = Some(Box::new(follow.listen(&request.arrival)));
        }
        let exchange = exchange(&mut wire.stream, &mut request, &mut reader);
        let answer = match timeout(run.limits.response_timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(cut_off(&reader, Fate::TimedOut)),
        };
        request.sample.response_bytes = reader.body_bytes();
        if let (Some(follow), Some(heard)) = (&run.follow, &reader.heard) {
            follow.hear_body(&request.arrival, heard);
        }
        match answer {
            Ok(answer) => {
                let now = run.epoch.now();
                wire.answered = now;
                request.finish_at(Fate::Answered { status: answer.status }, now);
                return CarriedOut { wire: answer.reusable.then_some(wire), answered: true };
            }
            Err(fate) if reused && reader.seen() == 0 && may_repeat(&request, &fate) => {
                request.take_back();
                run.gauges.sent_again();
            }
            Err(fate) => {
                request.finish(fate);
                return FAILED;
            }
        }
    }
}

/// The connection was lost without an answer, and the method is safe (RFC 9110, 9.2.1).
fn may_repeat(request: &InFlight, fate: &Fate) -> bool {
    matches!(fate, Fate::Reset | Fate::ClosedEarly { .. })
        && matches!(&*request.arrival.method, "GET" | "HEAD" | "OPTIONS")
}

async fn open(request: &mut InFlight, run: &Arc<Run>) -> Result<Wire, Fate> {
    // Not even for what was already waiting.
    if run.stop.is_requested() {
        return Err(INTERRUPTED);
    }
    let Some(place) = Place::take(run) else {
        return Err(Fate::Unsent { reason: Unsent::ConnectionLimit });
    };
    let until = Instant::now() + run.limits.connect_timeout;
    // In a place of its own, so that idle connections need no room for it.
    let connect = Box::pin(run.dialler.open(request.arrival.bond.goal));
    let fate = match timeout_at(until, connect).await {
        Ok(Ok(stream)) => {
            request.sample.opened = true;
            let goal = request.arrival.bond.goal;
            return Wire::new((stream, goal), place, run, until).await;
        }
        Ok(Err(error)) => failure::of_connect(&error),
        Err(_) => Fate::ConnectTimedOut,
    };
    // The target has seen the attempt, unless it failed on this machine.
    request.sample.opened = !matches!(fate, Fate::Unsent { .. });
    Err(fate)
}

/// Writes the request and reads the response, both as fast as they go: a target may answer before
/// it has read everything. A body does not wait for a `100 Continue`.
async fn exchange(
    stream: &mut Stream,
    request: &mut InFlight,
    reader: &mut ResponseReader,
) -> Result<Answer, Fate> {
    let mut outgoing = Outgoing::new(request);
    loop {
        let interest = if outgoing.is_open() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let ready = stream.ready(interest).await.map_err(|error| failure::of_exchange(&error))?;
        let mut moved = 0;
        if outgoing.is_open() && (ready.is_writable() || ready.is_write_closed()) {
            moved += outgoing.write_piece(stream, request);
        }
        if ready.is_readable() || ready.is_read_closed() {
            match read_piece(stream, request, reader) {
                Read::Nothing => {}
                Read::More(count) => moved += count,
                // An answer to half a request leaves the other half in the way of the next.
                Read::Whole(answer) => {
                    let reusable = answer.reusable && outgoing.is_whole;
                    return Ok(Answer { reusable, ..answer });
                }
                Read::Malformed => return Err(Fate::Malformed),
                Read::Rejected { banner } => return Err(Fate::Rejected { banner }),
                Read::Broken(error) => {
                    return Err(cut_off(reader, failure::of_exchange(&error)));
                }
                Read::End => return at_end(reader, outgoing.error.as_ref()),
                Read::Torn => {
                    // Only its announcement tells the end of such an answer from a cut.
                    let ended = at_end(reader, outgoing.error.as_ref());
                    return ended.and(Err(Fate::Truncated));
                }
            }
        }
        if moved >= READ_BUFFER {
            yield_now().await;
        }
    }
}

/// What the target's closing of the connection makes of the response.
fn at_end(reader: &ResponseReader, write_error: Option<&io::Error>) -> Result<Answer, Fate> {
    match (reader.end(), write_error) {
        (Ending::Whole(answer), _) => Ok(answer),
        (Ending::NotHttp { banner }, _) => Err(Fate::Rejected { banner }),
        // The write already met the reset, and reading no longer tells.
        (Ending::Cut, Some(error)) if reader.seen() == 0 => Err(failure::of_exchange(error)),
        (Ending::Cut, _) => Err(Fate::ClosedEarly { after_bytes: reader.seen() }),
    }
}

/// The fate of a request whose response stopped coming: a banner without its line end is one.
fn cut_off(reader: &ResponseReader, fate: Fate) -> Fate {
    match reader.end() {
        Ending::NotHttp { banner } => Fate::Rejected { banner },
        Ending::Whole(_) | Ending::Cut => fate,
    }
}

/// How much of a request was handed to the kernel.
struct Outgoing {
    written: usize,
    total: usize,
    /// All of it was.
    is_whole: bool,
    /// Why no more can be written. What the target said before can still be read.
    error: Option<io::Error>,
}

impl Outgoing {
    fn new(request: &InFlight) -> Self {
        let total = request.arrival.head.len() + request.arrival.body.len();
        Self { written: 0, total, is_whole: false, error: None }
    }

    fn is_open(&self) -> bool {
        !self.is_whole && self.error.is_none()
    }

    /// Writes the next piece and returns its length.
    fn write_piece(&mut self, stream: &mut Stream, request: &mut InFlight) -> usize {
        let moment = request.run().epoch.now();
        let (head, body) = (&request.arrival.head, &request.arrival.body);
        let head_left = &head[self.written.min(head.len())..];
        let body_left = &body[self.written.saturating_sub(head.len())..];
        let head_piece = &head_left[..head_left.len().min(PIECE)];
        let body_piece = &body_left[..body_left.len().min(PIECE - head_piece.len())];
        match stream.try_write(&[IoSlice::new(head_piece), IoSlice::new(body_piece)]) {
            Ok(count) => {
                if self.written == 0 {
                    request.first_byte_sent(moment);
                }
                self.written += count;
                self.is_whole = self.written == self.total && stream.is_flushed();
                if self.is_whole {
                    request.sample.sent_last = Some(request.run().epoch.now());
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

enum Read {
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

fn read_piece(stream: &mut Stream, request: &mut InFlight, reader: &mut ResponseReader) -> Read {
    BUFFER.with_borrow_mut(|buffer| read_into(buffer, stream, request, reader))
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
    let pushed = reader.push(&buffer[..count]);
    if let (Some(heard), Some(follow)) = (&mut reader.heard, &request.run().follow) {
        follow.hear(&request.arrival, heard);
    }
    match pushed {
        Ok(None) => Read::More(count),
        Ok(Some(answer)) => Read::Whole(answer),
        Err(ResponseError::NotHttp { banner }) => Read::Rejected { banner },
        Err(_) => Read::Malformed,
    }
}

/// An open connection.
pub(crate) struct Wire {
    stream: Stream,
    /// When its last answer ended.
    answered: Duration,
    _place: Place,
}

impl Wire {
    /// What is spoken on a connection that is open, where that is TLS once hands were shaken.
    async fn new(
        (stream, goal): (TcpStream, u16),
        place: Place,
        run: &Run,
        until: Instant,
    ) -> Result<Self, Fate> {
        // Fails only on a connection that is broken already, which the first write will tell.
        let _ = stream.set_nodelay(true);
        let Some(tls) = run.dialler.tls(goal) else {
            return Ok(Self {
                stream: Stream::Plain(stream),
                answered: Duration::ZERO,
                _place: place,
            });
        };
        // In a place of its own, so that plain connections need no room for it.
        let shaking = Box::pin(Stream::sealed(tls, stream));
        let shaken = timeout_at(until, shaking).await.unwrap_or(Err(TlsFailure::TooSlow));
        let (stream, is_resumed) = shaken.map_err(|failure| Fate::Tls { failure })?;
        run.gauges.shook_hands(is_resumed);
        Ok(Self { stream, answered: Duration::ZERO, _place: place })
    }

    /// Gives it back only if it is still open and silent.
    fn if_quiet(mut self, run: &Run) -> Option<Self> {
        let is_fresh = run.epoch.now() < self.answered.saturating_add(FRESH);
        (is_fresh || self.stream.is_quiet()).then_some(self)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stream.say_goodbye();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{channel, unbounded_channel};

    use super::*;
    use crate::drive::desk::tests::run_against;
    use crate::drive::http2;

    /// Thousands of them wait at once: what they need only now and then has a place of its own.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let desk = Arc::new(Desk::new(Arc::new(run_against(nowhere, 1))));
        let (_requests, queue) = unbounded_channel();
        let (_more, other) = unbounded_channel();
        let (alive, _ended) = channel(1);
        let http1 = serve(Arc::clone(&desk), queue, alive.clone());
        assert!(size_of_val(&http1) <= 768, "{}", size_of_val(&http1));
        let http2 = http2::serve(desk, other, alive);
        assert!(size_of_val(&http2) <= 1024, "{}", size_of_val(&http2));
    }
}
