//! An open connection, and how one is opened for a request.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};

use crate::drive::desk::{InFlight, Run};
use crate::drive::failure;
use crate::drive::place::Place;
use crate::drive::tls::{Idle, Stream};
use crate::record::failures::TlsFailure;
use crate::sample::{Fate, Unsent};

/// An answer that ended less than this ago tells that its connection is open: 50 µs. Whatever comes
/// in so short a time may as well come a moment later.
const FRESH: Duration = Duration::from_micros(50);

/// An open connection.
pub(crate) struct Wire {
    pub(super) stream: Stream,
    /// When its last answer ended, in the time of the run.
    pub(super) answered: Duration,
    _place: Place,
}

impl Wire {
    /// What is spoken on a connection that is open, where that is TLS once hands were shaken.
    async fn new(
        stream: TcpStream,
        request: &mut InFlight,
        place: Place,
        run: &Run,
        until: Instant,
    ) -> Result<Self, Fate> {
        // Fails only on a connection that is broken already, which the first write will tell.
        let _ = stream.set_nodelay(true);
        let Some(tls) = run.dialler.tls(request.arrival.bond.goal) else {
            return Ok(Self::opened(Stream::Plain(stream), place));
        };
        let recorded = request.arrival.recorded.resumed;
        let shaking = Stream::sealed(tls, recorded, stream);
        let shaken = timeout_at(until, shaking).await.unwrap_or(Err(TlsFailure::TooSlow));
        let (stream, is_resumed) = shaken.map_err(|failure| Fate::Tls { failure })?;
        request.connection_secured();
        run.gauges.shook_hands(is_resumed, recorded);
        Ok(Self::opened(stream, place))
    }

    fn opened(stream: Stream, place: Place) -> Self {
        Self { stream, answered: Duration::ZERO, _place: place }
    }

    /// Holds it, in silence, until `closes` in the time of the run, unless the target ends it.
    /// What a target says that speaks another protocol by now is not listened to.
    pub(super) async fn hold(mut self, closes: Option<Duration>, run: &Run) {
        let left = closes.map(|closes| closes.saturating_sub(run.epoch.now()));
        let Some(left) = left.filter(|left| !left.is_zero()) else { return };
        let ended = async {
            while self.stream.disturbed().await == Idle::Spoke && self.stream.skip() {
                // Who never stops speaking must not keep the thread from all others.
                yield_now().await;
            }
        };
        // Either way it is closed now.
        let _ = timeout(left, ended).await;
    }

    /// Gives it back only if it is still open and silent.
    pub(super) fn if_quiet(mut self, run: &Run) -> Option<Self> {
        if run.epoch.now() < self.answered.saturating_add(FRESH) {
            return Some(self);
        }
        let idle = self.stream.look();
        run.oddities.note_idle(idle);
        (idle == Idle::Quiet).then_some(self)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stream.say_goodbye();
    }
}

/// Opens a connection for a request, whose sample tells of the attempt.
pub(super) async fn open(request: &mut InFlight, run: &Arc<Run>) -> Result<Wire, Fate> {
    // Not even for what was already waiting.
    if run.stop.is_requested() {
        return Err(Fate::Unsent { reason: Unsent::Interrupted });
    }
    let Some(place) = Place::take(run) else {
        return Err(Fate::Unsent { reason: Unsent::ConnectionLimit });
    };
    let until = Instant::now() + run.limits.connect_timeout;
    let goal = request.arrival.bond.goal;
    let fate = match timeout_at(until, run.dialler.open(goal)).await {
        Ok(Ok(stream)) => {
            request.connection_opened();
            return Wire::new(stream, request, place, run, until).await;
        }
        Ok(Err(error)) => failure::of_connect(&error),
        Err(_) => Fate::ConnectTimedOut,
    };
    request.connection_failed(&fate);
    Err(fate)
}
