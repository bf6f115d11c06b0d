//! HTTP/2: one task for each recorded connection, and one for each request on it that is under way.
//!
//! ```text
//!   worker ──► serve ──► Link ──► exchange, one task a request ──► desk
//!                ▲         │            │
//!                │         └─ task of the connection ◄──► target
//!                └── done, or to be sent again ◄────────┘
//! ```
//!
//! A request goes out at its moment, whether earlier ones were answered or not, unless the target
//! allows no more streams at once: then it waits for one to end, and the wait is the target's.

mod body;
mod exchange;
mod io;
mod room;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use ::bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::drive::desk::{Desk, InFlight, Run};
use crate::drive::failure;
use crate::drive::http2::exchange::{Carried, Turn, carry};
use crate::drive::http2::io::{Io, Stream};
use crate::drive::http2::room::{FIRST_STREAMS, Room};
use crate::drive::place::Place;
use crate::record::failures::TlsFailure;
use crate::sample::{Fate, Http2Failure, Unsent};

/// Bytes of a response that a target may send before we have taken them, for each stream and for
/// all of a connection: what browsers allow, within their order of magnitude.
const WINDOW: [u32; 2] = [1 << 20, 4 << 20];

/// Longest list of headers of a response, in bytes: as long as heads of HTTP/1 may be.
const MAX_HEADERS: u32 = 256 * 1024;

const INTERRUPTED: Fate = Fate::Unsent { reason: Unsent::Interrupted };

/// Serves a connection until its queue is closed and every request has its fate, then closes it. It
/// is opened again when the target has closed it, or is about to.
pub(crate) async fn serve(
    desk: Arc<Desk>,
    mut queue: UnboundedReceiver<Box<InFlight>>,
    alive: Sender<Infallible>,
) {
    let (back, mut returned) = mpsc::unbounded_channel();
    let mut line = Line {
        run: Arc::clone(&desk.run),
        waiting: VecDeque::new(),
        link: None,
        links: 0,
        running: 0,
        back,
        alive,
    };
    let mut is_open = true;
    while is_open || line.running > 0 || !line.waiting.is_empty() {
        let room = line.link.as_ref().map(|link| Arc::clone(&link.room));
        let changed = async {
            match &room {
                Some(room) => room.changed.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some((number, carried)) = returned.recv() => line.take_back(number, carried),
            next = queue.recv(), if is_open => match next {
                Some(request) => line.waiting.push_back(Turn::first(request)),
                None => is_open = false,
            },
            () = changed => {}
        }
        line.go_on(&mut queue).await;
    }
}

/// The requests of a recorded connection, and the connection that they go to.
struct Line {
    run: Arc<Run>,
    /// Those that were not sent yet.
    waiting: VecDeque<Turn>,
    link: Option<Link>,
    /// Connections opened so far.
    links: u64,
    /// Requests under way, on whatever connection.
    running: usize,
    back: UnboundedSender<(u64, Carried)>,
    alive: Sender<Infallible>,
}

impl Line {
    /// A request is done, or begins once more before all others.
    fn take_back(&mut self, number: u64, carried: Carried) {
        self.running -= 1;
        if let Some(link) = self.link.as_mut().filter(|link| link.number == number) {
            link.running -= 1;
        }
        if let Carried::Again(turn) = carried {
            self.waiting.push_front(turn);
        }
    }

    /// Sends what waits, as far as there is room.
    async fn go_on(&mut self, queue: &mut UnboundedReceiver<Box<InFlight>>) {
        if self.link.as_ref().is_some_and(Link::is_over) {
            // Its requests go on; the next one needs another connection.
            self.link = None;
        }
        while let Some(mut turn) = self.waiting.pop_front() {
            if self.run.stop.is_requested() {
                turn.request.finish(INTERRUPTED);
                continue;
            }
            let link = match self.link.take() {
                Some(link) => link,
                None => match self.open(&mut turn.request).await {
                    Ok(link) => link,
                    Err(fate) => {
                        turn.request.finish(fate.clone());
                        // They were to go on the same connection.
                        while let Ok(request) = queue.try_recv() {
                            self.waiting.push_back(Turn::first(request));
                        }
                        let waiting = self.waiting.drain(..);
                        waiting.for_each(|turn| turn.request.finish(fate.clone()));
                        return;
                    }
                },
            };
            let link = self.link.insert(link);
            if link.running >= link.room.streams() {
                self.waiting.push_front(turn);
                return;
            }
            link.running += 1;
            self.running += 1;
            let (number, is_reused) = (link.number, std::mem::replace(&mut link.is_used, true));
            let carrying = carry(link.send.clone(), Arc::clone(&link.room), turn, is_reused);
            let (back, alive) = (self.back.clone(), self.alive.clone());
            tokio::spawn(async move {
                let carried = carrying.await;
                // Nobody listens any more only where nothing is left to be sent.
                let _ = back.send((number, carried));
                drop(alive);
            });
        }
    }

    async fn open(&mut self, request: &mut InFlight) -> Result<Link, Fate> {
        let mut link = Link::open(request, &self.run, self.alive.clone()).await?;
        self.links += 1;
        link.number = self.links;
        Ok(link)
    }
}

/// An open connection.
pub(crate) struct Link {
    send: SendRequest<Bytes>,
    room: Arc<Room>,
    number: u64,
    running: usize,
    /// A request was sent on it.
    is_used: bool,
}

impl Link {
    /// Opens a connection and begins to speak on it.
    async fn open(
        request: &mut InFlight,
        run: &Arc<Run>,
        alive: Sender<Infallible>,
    ) -> Result<Self, Fate> {
        let Some(place) = Place::take(run) else {
            return Err(Fate::Unsent { reason: Unsent::ConnectionLimit });
        };
        let until = Instant::now() + run.limits.connect_timeout;
        let goal = request.arrival.bond.goal;
        let connected = timeout_at(until, Box::pin(run.dialler.open(goal))).await;
        let fate = match connected {
            Ok(Ok(socket)) => {
                request.connection_opened();
                // In a place of its own, so that idle connections need no room for it.
                let shaking = Box::pin(sealed(socket, request, run));
                let timed_out = Fate::Tls { failure: TlsFailure::TooSlow };
                let stream = timeout_at(until, shaking).await.unwrap_or(Err(timed_out))?;
                return Box::pin(Self::spoken(stream, place, alive)).await;
            }
            Ok(Err(error)) => failure::of_connect(&error),
            Err(_) => Fate::ConnectTimedOut,
        };
        request.connection_failed(&fate);
        Err(fate)
    }

    async fn spoken(stream: Stream, place: Place, alive: Sender<Infallible>) -> Result<Self, Fate> {
        let room = Arc::new(Room::new());
        let io = Io { stream, room: Arc::clone(&room), is_known: false };
        let [of_stream, of_all] = WINDOW;
        let begun = Builder::new()
            .initial_window_size(of_stream)
            .initial_connection_window_size(of_all)
            .max_header_list_size(MAX_HEADERS)
            .initial_max_send_streams(FIRST_STREAMS)
            .enable_push(false)
            .handshake(io)
            .await;
        let (send, mut connection) = begun.map_err(|error| exchange::fate_of(&error, &room, 0))?;
        let shared = Arc::clone(&room);
        tokio::spawn(async move {
            // What ended it is what its streams are told.
            let _ = poll_fn(|context| {
                let polled = Pin::new(&mut connection).poll(context);
                shared.allow(connection.max_concurrent_send_streams());
                polled
            })
            .await;
            shared.end();
            drop((connection, place, alive));
        });
        Ok(Self { send, room, number: 0, running: 0, is_used: false })
    }

    /// Nothing more can be sent on it: it ended, or the target said that it will.
    fn is_over(&self) -> bool {
        self.room.is_over() || !exchange::takes_more(&self.send)
    }
}

/// What HTTP/2 is spoken on.
async fn sealed(socket: TcpStream, request: &mut InFlight, run: &Run) -> Result<Stream, Fate> {
    // Fails only on a connection that is broken already, which the first write will tell.
    let _ = socket.set_nodelay(true);
    let goal = request.arrival.bond.goal;
    let Some(tls) = run.dialler.tls(goal) else { return Ok(Stream::Plain(socket)) };
    let recorded = request.arrival.recorded.resumed;
    let connector = TlsConnector::from(Arc::clone(tls.config(true, recorded)));
    let shaken = connector.connect(tls.name.clone(), socket).await;
    let stream = shaken.map_err(|error| match TlsFailure::of(&error) {
        TlsFailure::NoCommonProtocol => Fate::Http2 { failure: Http2Failure::NotSpoken },
        failure => Fate::Tls { failure },
    })?;
    let session = stream.get_ref().1;
    let is_resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    request.connection_secured();
    run.gauges.shook_hands(is_resumed, recorded);
    if session.alpn_protocol() != Some(b"h2") {
        return Err(Fate::Http2 { failure: Http2Failure::NotSpoken });
    }
    Ok(Stream::Tls(Box::new(stream)))
}

/// A connection of a closed load, which asks one thing after the other.
#[derive(Default)]
pub(crate) struct OneByOne(Option<Link>);

impl OneByOne {
    /// Sends one request and settles it; says whether a whole answer came back.
    pub(crate) async fn carry_out(
        &mut self,
        request: Box<InFlight>,
        run: &Arc<Run>,
        alive: &Sender<Infallible>,
    ) -> bool {
        let mut turn = Turn::first(request);
        loop {
            let mut link = match self.0.take().filter(|link| !link.is_over()) {
                Some(link) => link,
                None => match Link::open(&mut turn.request, run, alive.clone()).await {
                    Ok(link) => link,
                    Err(fate) => {
                        turn.request.finish(fate);
                        return false;
                    }
                },
            };
            let is_reused = std::mem::replace(&mut link.is_used, true);
            match carry(link.send.clone(), Arc::clone(&link.room), turn, is_reused).await {
                Carried::Answered => {
                    self.0 = Some(link);
                    return true;
                }
                Carried::Failed => return false,
                Carried::Again(again) => turn = again,
            }
        }
    }
}
