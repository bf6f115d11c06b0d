//! What production sent and got: sizes, and whose the largest are. Read in one pass, in bounded
//! memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::act::payloads::evidence::{Largest, Recorded};
use crate::act::payloads::http::{Offer, Place};
use crate::recording::file::reader::RecordingReader;
use crate::recording::file::rows::BodySizes;
use crate::stats::histograms::sizes;

/// What the target is known to offer.
#[derive(Default)]
pub(super) struct Offers {
    /// The request with the largest body.
    pub(super) largest: Option<Place>,
    /// What is small and was answered the soonest.
    pub(super) small: Option<String>,
    /// Targets to read, each with a response about four times as large as the one before.
    pub(super) responses: Vec<Offer>,
}

/// Clients and routes whose sums are kept.
const MAX_KEPT: usize = 100_000;

/// Largest response that a bystander asks for.
const SMALL: u64 = 16 << 10;

/// Clients and routes told.
const TOLD: usize = 5;

/// Reads the sizes of a recording. A recording that breaks off is told in
/// [`Recorded::problem`].
pub(super) fn read(recording: &RecordingReader) -> (Recorded, Offers) {
    let mut reading = Reading::default();
    let mut histogram = sizes();
    for row in recording.body_sizes() {
        match row {
            Ok(row) => {
                if row.request_bytes > 0 {
                    histogram.saturating_record(row.request_bytes);
                }
                reading.add(&row);
            }
            Err(error) => {
                reading.recorded.problem = Some(format!("the recording breaks off: {error}"));
                break;
            }
        }
    }
    let Reading { mut recorded, clients, largest, small, responses } = reading;
    if recorded.bodies > 0 {
        recorded.p50 = histogram.value_at_quantile(0.5).min(recorded.max);
        recorded.p99 = histogram.value_at_quantile(0.99).min(recorded.max);
    }
    let mut all: Vec<Largest> = clients
        .into_iter()
        .map(|((route, session), (max, bytes))| Largest { route, session, max, bytes })
        .collect();
    all.sort_by_key(|each| Reverse(each.max));
    all.truncate(TOLD);
    recorded.largest = all;
    let small = small.map(|(_, _, path)| path);
    (recorded, Offers { largest, small, responses: responses.into_values().collect() })
}

#[derive(Default)]
struct Reading {
    recorded: Recorded,
    /// By route and client: the largest body, and all bytes.
    clients: BTreeMap<(String, u64), (u64, u64)>,
    largest: Option<Place>,
    /// Time to its first byte, bytes, and the target.
    small: Option<(Duration, u64, String)>,
    /// By size class.
    responses: BTreeMap<u32, Offer>,
}

impl Reading {
    fn add(&mut self, row: &BodySizes) {
        self.add_response(row);
        let bytes = row.request_bytes;
        if bytes == 0 {
            return;
        }
        let recorded = &mut self.recorded;
        recorded.bodies += 1;
        recorded.bytes = recorded.bytes.saturating_add(bytes);
        if bytes > recorded.max && is_plain(&row.target) {
            self.largest = Some(Place {
                method: row.method.clone(),
                path: row.target.clone(),
                route: row.route.clone(),
            });
        }
        recorded.max = recorded.max.max(bytes);
        let is_full = self.clients.len() >= MAX_KEPT;
        match self.clients.entry((row.route.clone(), row.session)) {
            Entry::Occupied(mut entry) => {
                let (max, sum) = entry.get_mut();
                *max = bytes.max(*max);
                *sum = sum.saturating_add(bytes);
            }
            Entry::Vacant(_) if is_full => recorded.beyond_bound += 1,
            Entry::Vacant(entry) => {
                entry.insert((bytes, bytes));
            }
        }
    }

    /// Keeps the largest response of each class of sizes.
    fn add_response(&mut self, row: &BodySizes) {
        let Some(bytes) = row.response_bytes.filter(|bytes| *bytes > 0) else { return };
        self.recorded.response_max = self.recorded.response_max.max(bytes);
        let is_offer = row.method == "GET" && row.status == Some(200) && is_plain(&row.target);
        if !is_offer {
            return;
        }
        let key = (row.first_byte.unwrap_or(Duration::MAX), bytes);
        let best = self.small.as_ref().map(|(time, bytes, _)| (*time, *bytes));
        if bytes <= SMALL && best.is_none_or(|best| key < best) {
            self.small = Some((key.0, key.1, row.target.clone()));
        }
        let offer = || Offer { path: row.target.clone(), route: row.route.clone(), bytes };
        let kept = self.responses.entry(bytes.ilog2() / 2).or_insert_with(offer);
        if bytes > kept.bytes {
            *kept = offer();
        }
    }
}

/// A target that can be written into a request line as it is.
fn is_plain(target: &str) -> bool {
    target.starts_with('/')
        && target.len() <= 2_000
        && target.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(method: &str, target: &str, sizes: (u64, u64), first_byte_ms: u64) -> BodySizes {
        BodySizes {
            session: sizes.0 % 3,
            method: method.to_owned(),
            target: target.to_owned(),
            route: target.to_owned(),
            request_bytes: sizes.0,
            status: Some(200),
            response_bytes: Some(sizes.1),
            first_byte: Some(Duration::from_millis(first_byte_ms)),
        }
    }

    fn reading(rows: &[BodySizes]) -> Reading {
        let mut reading = Reading::default();
        for row in rows {
            reading.add(row);
        }
        reading
    }

    #[test]
    fn the_largest_body_names_the_place() {
        let found = reading(&[
            row("POST", "/a", (10, 5), 1),
            row("PUT", "/b", (900, 5), 1),
            row("POST", "/with blank", (1_000, 5), 1),
        ]);
        let place = found.largest.unwrap();
        assert_eq!((place.method.as_str(), place.path.as_str()), ("PUT", "/b"));
        let recorded = &found.recorded;
        assert_eq!((recorded.bodies, recorded.bytes, recorded.max), (3, 1_910, 1_000));
        assert_eq!(found.clients[&("/b".to_owned(), 0)], (900, 900));
    }

    #[test]
    fn bystanders_ask_for_what_is_small_and_was_quick() {
        let found = reading(&[
            row("GET", "/slow", (0, 10), 9),
            row("GET", "/quick", (0, 2_000), 1),
            row("GET", "/large", (0, 1 << 20), 1),
            row("HEAD", "/head", (0, 1), 0),
        ]);
        assert_eq!(found.small.unwrap().2, "/quick");
    }

    #[test]
    fn responses_are_offered_by_classes_of_four() {
        let rows: Vec<BodySizes> = [4_096, 5_000, 16_384, 100_000, 60_000]
            .map(|bytes| row("GET", &format!("/{bytes}"), (0, bytes), 1))
            .into();
        let offers: Vec<u64> = reading(&rows).responses.values().map(|it| it.bytes).collect();
        assert_eq!(offers, [5_000, 60_000, 100_000]);
    }
}
