//! One request of the stage: its body is read, its answer looked up and waited for.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, sleep_until};

use crate::scenario::knobs::StageKnobs;
use crate::stage::cache::{Cache, Lookup};
use crate::stage::catalogue::{Answer, Catalogue, Filler, Key};
use crate::stage::counters::Gauges;
use crate::stage::faults::{Brake, LONGEST_STALL, block_of};

/// What the connections of a stage share.
#[derive(Debug)]
pub(in crate::stage) struct Shared {
    pub(in crate::stage) knobs: StageKnobs,
    pub(in crate::stage) gauges: Gauges,
    pub(in crate::stage) brake: Brake,
    catalogue: Catalogue,
    cache: Mutex<Cache>,
    started: Instant,
    stall_is_set: AtomicBool,
    /// Requests that wait for their answer now.
    waiting: AtomicU32,
    is_storming: AtomicBool,
    /// When the last answer that was promised is due, where there is a capacity.
    promised: Mutex<Duration>,
}

/// A request that waits; it ends with its connection, too.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    /// One more than there may be begins the storm.
    fn begin(shared: &'a Shared) -> Self {
        let waiting = shared.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        if shared.knobs.retry_storm.is_some_and(|storm| waiting > storm.beyond) {
            shared.is_storming.store(true, Ordering::Relaxed);
        }
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub(in crate::stage) fn new(knobs: StageKnobs, catalogue: Catalogue) -> Self {
        Self {
            gauges: Gauges::default(),
            brake: Brake::default(),
            catalogue,
            cache: Mutex::new(Cache::new(&knobs.cache)),
            started: Instant::now(),
            stall_is_set: AtomicBool::new(false),
            waiting: AtomicU32::new(0),
            is_storming: AtomicBool::new(false),
            promised: Mutex::new(Duration::ZERO),
            knobs,
        }
    }

    /// The moment, since the stage started.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn instant(&self, moment: Duration) -> Instant {
        self.started + moment.min(END_OF_TIME)
    }

    /// Empties the cache; see [`Cache::empty`].
    pub(in crate::stage) fn empty_cache(&self) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).empty();
    }

    /// What the storm adds to an answer.
    fn storm(&self) -> Duration {
        let is_storming = self.is_storming.load(Ordering::Relaxed);
        self.knobs.retry_storm.filter(|_| is_storming).map_or(Duration::ZERO, |storm| storm.adds)
    }

    /// When a request is answered that comes at a moment: behind all that came before, each of
    /// which takes its share of a second.
    fn turn(&self, moment: Duration) -> Duration {
        let Some(capacity) = self.knobs.capacity else { return moment };
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        *promised = promised.max(moment).saturating_add(Duration::from_secs(1) / capacity.max(1));
        *promised
    }

    async fn wait_until(&self, moment: Duration) {
        sleep_until(self.instant(moment)).await;
    }
}

/// No stage runs for thirty years, and no clock overflows by them.
const END_OF_TIME: Duration = Duration::from_hours(30 * 365 * 24);

/// Answers one request.
pub(in crate::stage) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Response<Filler> {
    shared.gauges.requests.count();
    set_stall_once(&shared);
    let (head, body) = request.into_parts();
    let awaits_continue = head.headers.contains_key(EXPECT);
    match receive(body, awaits_continue, shared.knobs.body_limit).await {
        Received::Whole(bytes) => block(&shared, bytes),
        Received::TooLarge => {
            shared.gauges.bodies_refused.count();
            return farewell(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Received::Broken => {
            shared.gauges.bodies_broken.count();
            return farewell(StatusCode::BAD_REQUEST);
        }
    }
    let key = Key::of(head.method.as_str(), &head.uri);
    wait_for_answer(&shared, key, &head.method).await;
    respond(match shared.knobs.answers {
        None => shared.catalogue.answer(key),
        Some(others) => shared.catalogue.other_answer(key, others),
    })
}

/// Lets the one stall happen at its time after the first request. Before it, nobody would notice.
fn set_stall_once(shared: &Arc<Shared>) {
    let Some(stall) = shared.knobs.stall else { return };
    if shared.stall_is_set.swap(true, Ordering::Relaxed) {
        return;
    }
    let shared = Arc::clone(shared);
    let begins = shared.instant(shared.now().saturating_add(stall.at));
    tokio::spawn(async move {
        sleep_until(begins).await;
        shared.gauges.stalled.count();
        shared.brake.hold(stall.length.min(LONGEST_STALL));
    });
}

/// What became of a request body.
enum Received {
    /// Read to its end; bytes.
    Whole(u64),
    /// Above the limit.
    TooLarge,
    /// Cut off, or not framed as it claims.
    Broken,
}

/// Reads a body and throws it away. One above the limit is read on for a while, because a client
/// that is cut off while it sends may lose the answer; one that was only announced is not asked
/// for.
async fn receive(mut body: Incoming, awaits_continue: bool, limit: Option<u64>) -> Received {
    let limit = limit.unwrap_or(u64::MAX);
    let announced = body.size_hint().lower();
    if awaits_continue && announced > limit {
        return Received::TooLarge;
    }
    let mut bytes: u64 = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Err(_) if bytes > limit => break,
            Err(_) => return Received::Broken,
        }
        if bytes > limit.saturating_add(DRAINED_BYTES) {
            break;
        }
    }
    if bytes > limit { Received::TooLarge } else { Received::Whole(bytes) }
}

/// Bytes read of a body beyond its limit before the connection is given up.
const DRAINED_BYTES: u64 = 16 << 20;

/// Blocks the event loop, and so everybody, for as long as a body of this size takes.
fn block(shared: &Shared, body_bytes: u64) {
    let length = block_of(body_bytes, shared.knobs.block_ns_per_byte);
    if length > Duration::ZERO {
        let begun = shared.now();
        shared.brake.hold(length);
        let blocked = shared.now().saturating_sub(begun).as_nanos();
        shared.gauges.blocked_ns.add(u64::try_from(blocked).unwrap_or(u64::MAX));
    }
}

/// Waits for the cache or the store, then for the service time. Others are served meanwhile.
async fn wait_for_answer(shared: &Shared, key: Key, method: &Method) {
    let gauges = &shared.gauges;
    let mut moment = shared.now();
    let _waiting = Waiting::begin(shared);
    if matches!(*method, Method::GET | Method::HEAD) {
        let found = {
            let mut cache = shared.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.look_up(key, moment)
        };
        match found {
            Lookup::Hit => gauges.cache_hits.count(),
            Lookup::Miss { ready, duplicate } => {
                gauges.cache_misses.count();
                gauges.cache_stampedes.add(u64::from(duplicate));
                shared.wait_until(ready).await;
                gauges.store_reads.count();
                moment = ready;
            }
            Lookup::Partial { ready, read } => {
                if read {
                    gauges.cache_misses.count();
                } else {
                    gauges.cache_hits.count();
                }
                shared.wait_until(ready).await;
                gauges.store_reads.add(u64::from(read));
                moment = ready;
            }
        }
    }
    let turn = shared.turn(moment);
    if turn > moment {
        shared.wait_until(turn).await;
        moment = turn;
    }
    let storm = shared.storm();
    gauges.stormed.add(u64::from(storm > Duration::ZERO));
    let service = shared.knobs.service.saturating_add(storm);
    if service > Duration::ZERO {
        shared.wait_until(moment.saturating_add(service)).await;
    }
}

fn respond(answer: Answer) -> Response<Filler> {
    let mut response = Response::new(Filler::new(answer.body_bytes));
    *response.status_mut() = answer.status;
    response
}

/// An empty answer after which the connection is closed.
fn farewell(status: StatusCode) -> Response<Filler> {
    let mut response = Response::new(Filler::new(0));
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_capacity_gives_each_its_turn_behind_those_before_it() {
        let with = |capacity| {
            let knobs = StageKnobs { capacity, ..StageKnobs::default() };
            Shared::new(knobs, Catalogue::new())
        };
        let four = with(Some(4));
        assert_eq!([(); 3].map(|()| four.turn(S)), [S + S / 4, S + S / 2, S + 3 * S / 4]);
        // What nobody asked for is not kept for later.
        assert_eq!(four.turn(10 * S), 10 * S + S / 4);
        // The twin without one.
        let any = with(None);
        assert_eq!([(); 2].map(|()| any.turn(S)), [S, S]);
    }
}
