//! Large request and response bodies of the HTTP target.

use std::collections::BTreeMap;

use tokio::net::TcpStream;

use crate::act::payloads::bystanders::{Small, start};
use crate::act::payloads::evidence::{Fate, Recorded, Sweep, What};
use crate::act::payloads::rig::{Load, Rig, Sent};
use crate::act::payloads::sizes::{KNOWN_LIMITS, ladder};
use crate::act::payloads::wire::{Message, Parser, Reply, carry};
use crate::recording::route::route_of;
use crate::scenario::MethodPolicy;

/// Where large bodies are sent.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) route: String,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) path: String,
    pub(super) route: String,
    /// Bytes of the recorded response.
    pub(super) bytes: u64,
}

/// Where to send large bodies: the paths that are named, or the recorded target with the largest.
pub(super) fn places(paths: &[String], largest: Option<Place>) -> Vec<Option<Place>> {
    if paths.is_empty() {
        return vec![largest];
    }
    let place = |path: &String| {
        let recorded = largest.as_ref().filter(|largest| largest.path == *path);
        Some(recorded.cloned().unwrap_or_else(|| Place {
            method: "POST".to_owned(),
            path: path.clone(),
            route: route_of(path),
        }))
    };
    paths.iter().map(place).collect()
}

/// Sizes where nothing is recorded begin here.
const FIRST_SIZE: u64 = 1 << 10;

/// Large request bodies at a place.
pub(super) fn requests(mut rig: Rig<'_>, place: &Place, small: &str, recorded: &Recorded) -> Sweep {
    let shown = format!("{} {}", place.method, place.route);
    let unknown = |reason| Sweep::unknown("target", What::HttpRequest, &shown, reason);
    if let Some(reason) = forbidden(&rig, &[&place.method, "GET"]) {
        return unknown(reason);
    }
    let (from, to) = match recorded.bodies {
        0 => (FIRST_SIZE, rig.options.max),
        _ => (recorded.p50, recorded.max.saturating_mul(4)),
    };
    let sizes = ladder(from, to, rig.options.max);
    let watch = start(small_request(&rig, small), rig.ground.target.address, rig.ground.epoch);
    let (Ok(runtime), Ok(watch)) = (Rig::runtime(), watch) else {
        return unknown("this machine gave no thread or timer".to_owned());
    };
    let mut sweep = Sweep::new("target", What::HttpRequest, &shown);
    let mut load = HttpLoad::Send(place);
    runtime.block_on(async {
        rig.climb(&mut sweep, &sizes, &watch, &mut load).await;
        if sweep.unknown.is_none() && sweep.boundary.is_none() {
            rig.knock(&mut sweep, &KNOWN_LIMITS, &mut load).await;
        }
        rig.bisect(&mut sweep, &mut load).await;
    });
    sweep
}

/// Large response bodies.
pub(super) fn responses(mut rig: Rig<'_>, offers: &[Offer], small: &str) -> Sweep {
    let largest = offers.last().map_or("", |offer| offer.route.as_str());
    let shown = format!("GET {largest}");
    let unknown = |reason| Sweep::unknown("target", What::HttpResponse, &shown, reason);
    if let Some(reason) = forbidden(&rig, &["GET"]) {
        return unknown(reason);
    }
    let watch = start(small_request(&rig, small), rig.ground.target.address, rig.ground.epoch);
    let (Ok(runtime), Ok(watch)) = (Rig::runtime(), watch) else {
        return unknown("this machine gave no thread or timer".to_owned());
    };
    let max = rig.options.max;
    let sizes: Vec<u64> =
        offers.iter().map(|offer| offer.bytes).filter(|bytes| *bytes <= max).collect();
    let mut sweep = Sweep::new("target", What::HttpResponse, &shown);
    let mut load = HttpLoad::Get(offers);
    runtime.block_on(rig.climb(&mut sweep, &sizes, &watch, &mut load));
    sweep
}

/// Why the scenario does not let these methods be sent. The stage is ours.
fn forbidden(rig: &Rig<'_>, methods: &[&str]) -> Option<String> {
    let MethodPolicy::Only(allowed) = &rig.ground.scenario.methods else { return None };
    if rig.ground.target.is_stage {
        return None;
    }
    let missing = methods.iter().find(|method| !allowed.iter().any(|each| each == *method))?;
    Some(format!("the scenario's `methods` do not allow {missing}, so nothing was sent"))
}

fn small_request(rig: &Rig<'_>, path: &str) -> Small {
    Small::Http(head(rig, "GET", path, None))
}

/// A request's head with the scenario's headers.
fn head(rig: &Rig<'_>, method: &str, path: &str, body_bytes: Option<u64>) -> Vec<u8> {
    let headers: &BTreeMap<String, String> = &rig.ground.scenario.headers;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", rig.ground.target.authority);
    let mut add = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    let own = [
        ("User-Agent", Some("peakhour".to_owned())),
        ("Accept", Some("*/*".to_owned())),
        ("Content-Type", body_bytes.map(|_| "application/octet-stream".to_owned())),
        ("Content-Length", body_bytes.map(|bytes| bytes.to_string())),
    ];
    for (name, value) in own {
        let given = headers.keys().any(|header| header.eq_ignore_ascii_case(name));
        if let (Some(value), false) = (value, given) {
            add(name, &value);
        }
    }
    for (name, value) in headers {
        add(name, value);
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Sends bodies to a place, or asks for those on offer.
enum HttpLoad<'a> {
    Send(&'a Place),
    Get(&'a [Offer]),
}

impl Load for HttpLoad<'_> {
    async fn prepare(&mut self, _rig: &Rig<'_>, _bytes: u64) -> Result<(), String> {
        Ok(())
    }

    /// On a connection of its own: one that a server has closed meanwhile would look like a
    /// refusal.
    async fn send(&mut self, rig: &Rig<'_>, bytes: u64) -> Sent {
        let (method, path, filler) = match self {
            Self::Send(place) => (place.method.as_str(), place.path.as_str(), bytes),
            Self::Get(offers) => {
                let offer = offers.iter().find(|offer| offer.bytes == bytes);
                ("GET", offer.map_or("/", |offer| offer.path.as_str()), 0)
            }
        };
        let is_get = matches!(self, Self::Get(_));
        let head = head(rig, method, path, (!is_get).then_some(filler));
        let opened = rig.within(TcpStream::connect(rig.ground.target.address)).await;
        let begun_ns = rig.now_ns();
        let mut stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) | Err(Fate::TimedOut) => return Sent::at(begun_ns, Fate::NoConnection),
            Err(fate) => return Sent::at(begun_ns, fate),
        };
        // It fails only on a connection that is gone.
        let _ = stream.set_nodelay(true);
        let message = Message { head: &head, filler, tail: &[] };
        let epoch = rig.ground.epoch;
        let carried = rig.within(carry(&mut stream, message, Parser::http(method), epoch)).await;
        let done_ns = rig.now_ns();
        let (fate, first_byte_ns) = match carried {
            Ok(carried) => (fate(carried.reply), carried.first_byte_ns),
            Err(fate) => (fate, None),
        };
        Sent { fate, begun_ns, done_ns, first_byte_ns: first_byte_ns.filter(|_| is_get) }
    }

    async fn clean(&mut self, _rig: &Rig<'_>) {}
}

fn fate(reply: Result<Reply, Fate>) -> Fate {
    match reply {
        Ok(Reply::Http { status, .. }) => Fate::Status(status),
        Ok(Reply::Resp(_)) => Fate::Status(0),
        Err(fate) => fate,
    }
}

impl Sent {
    /// It ended as it began.
    pub(super) fn at(moment_ns: u64, fate: Fate) -> Self {
        Self { fate, begun_ns: moment_ns, done_ns: moment_ns, first_byte_ns: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_named_come_before_the_recorded_one() {
        let largest = Place {
            method: "PUT".to_owned(),
            path: "/sync/7".to_owned(),
            route: "/sync/*".to_owned(),
        };
        let shown = |paths: &[&str], largest: Option<Place>| {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let places = places(&paths, largest).into_iter();
            let shown = places.map(|place| place.map(|it| format!("{} {}", it.method, it.route)));
            shown.map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        assert_eq!(shown(&[], Some(largest.clone())), ["PUT /sync/*"]);
        assert_eq!(shown(&["/a", "/sync/7"], Some(largest)), ["POST /a", "PUT /sync/*"]);
        assert_eq!(shown(&[], None), [""]);
    }
}
