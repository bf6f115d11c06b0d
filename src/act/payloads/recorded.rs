//! What production sent and got: sizes, and whose the largest are. Read in one pass, in bounded
//! memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

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
    /// Targets to read, each with a response about four times as large as the one before.
    pub(super) responses: Vec<Offer>,
}

/// Clients and routes whose sums are kept.
const MAX_KEPT: usize = 100_000;

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
    let Reading { mut recorded, clients, largest, responses } = reading;
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
    (recorded, Offers { largest, responses: responses.into_values().collect() })
}

#[derive(Default)]
struct Reading {
    recorded: Recorded,
    /// By route and client: the largest body, and all bytes.
    clients: BTreeMap<(String, u64), (u64, u64)>,
    largest: Option<Place>,
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
