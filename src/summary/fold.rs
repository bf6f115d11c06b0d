//! Folds samples into a summary, one at a time and in any order; summaries merge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::plan::Arrival;
use crate::protocol::resp::ERROR_REPLY;
use crate::sample::{Declined, Fate, Sample, Unsent};
use crate::shape::{Shape, bounded_route, counted_moment, second_of};
use crate::stats::histograms::{self, coarse_times, nanoseconds, record_time, times};
use crate::summary::cells::Cells;
use crate::summary::drift::Drift;
use crate::summary::evidence::Evidence;
use crate::summary::evidence::responses::Responses;
use crate::summary::flight::Flight;
use crate::summary::outcomes::{self, GROUPS};
use crate::summary::parts::Parts;
use crate::summary::{AsRecorded, Route, Second, Summary};

impl Summary {
    /// The summary of no samples.
    pub fn new() -> Self {
        Self {
            arrivals: 0,
            run_in: 0,
            fates: BTreeMap::new(),
            statuses: BTreeMap::new(),
            errors: 0,
            status_changes: 0,
            latency: times(),
            service: times(),
            lateness: times(),
            connection_wait: times(),
            recorded_latency: times(),
            overflows: 0,
            planned: Shape::new(),
            offered: Shape::new(),
            sent: Shape::new(),
            seconds: Vec::new(),
            routes: BTreeMap::new(),
            cells: Cells::new(),
            parts: Parts::default(),
            connections_opened: 0,
            handshakes: [0; 2],
            as_recorded: AsRecorded::default(),
            in_flight_ns: 0,
            flight: Flight::default(),
            request_bytes: 0,
            response_bytes: 0,
            evidence: Evidence::default(),
            drift: Drift::default(),
        }
    }

    /// Arrivals that never left this machine.
    pub fn unsent(&self) -> u64 {
        let unsent = self.fates.iter().filter(|(name, _)| name.starts_with("unsent"));
        unsent.map(|(_, count)| count).sum()
    }

    /// Of those, the ones that were left out of the load on purpose.
    pub fn set_aside(&self) -> u64 {
        Unsent::SET_ASIDE.iter().filter_map(|reason| self.fates.get(reason.name())).sum()
    }

    /// Folds one arrival and what became of it. Samples may come in any order.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let error = is_error(arrival, sample);
        self.arrivals += 1;
        *self.fates.entry(sample.fate.name()).or_default() += 1;
        self.errors += u64::from(error);
        self.connections_opened += u64::from(sample.opened);
        self.response_bytes = self.response_bytes.saturating_add(sample.response_bytes);
        if let Fate::Answered { status } = sample.fate {
            *self.statuses.entry(status).or_default() += 1;
            let changed = arrival.recorded.status.is_some_and(|recorded| recorded != status);
            self.status_changes += u64::from(changed);
        }
        if arrival.turn.is_some() {
            self.drift.add(sample.drift);
        }
        self.add_shapes(arrival, sample);
        self.add_times(arrival, sample, error);
        self.cells.add(arrival, sample);
        self.parts.add(sample);
        self.evidence.add(arrival, sample, error);
    }

    /// Adds the summary of another part of the same run: its moments have the same start.
    pub fn merge(&mut self, other: &Self) {
        self.arrivals += other.arrivals;
        self.run_in += other.run_in;
        for (&name, &count) in &other.fates {
            *self.fates.entry(name).or_default() += count;
        }
        for (&status, &count) in &other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.errors += other.errors;
        self.status_changes += other.status_changes;
        histograms::merge(&mut self.latency, &other.latency);
        histograms::merge(&mut self.service, &other.service);
        histograms::merge(&mut self.lateness, &other.lateness);
        histograms::merge(&mut self.connection_wait, &other.connection_wait);
        histograms::merge(&mut self.recorded_latency, &other.recorded_latency);
        self.overflows += other.overflows;
        self.planned.merge(&other.planned);
        self.offered.merge(&other.offered);
        self.sent.merge(&other.sent);
        self.offered.keep_routes(&self.planned.mix);
        self.sent.keep_routes(&self.planned.mix);
        for (index, second) in other.seconds.iter().enumerate() {
            self.second(index).merge(second);
        }
        for (route, row) in &other.routes {
            self.route(route).merge(row);
        }
        self.connections_opened += other.connections_opened;
        let add = |these: [u64; 2], those: [u64; 2]| [0, 1].map(|at| these[at] + those[at]);
        self.handshakes = add(self.handshakes, other.handshakes);
        let AsRecorded { recorded, not_resumed } = &mut self.as_recorded;
        *recorded = add(*recorded, other.as_recorded.recorded);
        *not_resumed += other.as_recorded.not_resumed;
        self.in_flight_ns = self.in_flight_ns.saturating_add(other.in_flight_ns);
        self.flight.merge(&other.flight);
        self.request_bytes = self.request_bytes.saturating_add(other.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(other.response_bytes);
        self.cells.merge(&other.cells);
        self.parts.merge(&other.parts);
        self.evidence.merge(&other.evidence);
        self.drift.merge(&other.drift);
    }

    fn add_shapes(&mut self, arrival: &Arrival, sample: &Sample) {
        if sample.fate.is_set_aside() {
            return;
        }
        let bytes = request_bytes(arrival);
        // The planned mix decides for all three shapes which routes are told apart, so that they
        // can be compared route by route.
        let route = bounded_route(&self.planned.mix, &arrival.route);
        self.planned.add(sample.due, &route, bytes);
        if arrival.seq == 0 {
            self.planned.open(sample.due);
        }
        if let Some(dispatched) = sample.dispatched {
            // What earlier answers moved, this machine did not: to it the session's pace is the
            // plan, and the target gets what comes of it.
            let moment = counted_moment(sample.due, dispatched.saturating_sub(sample.drift));
            if offered(sample) {
                self.offered.add(moment, &route, bytes);
                if arrival.seq == 0 {
                    self.offered.open(moment);
                }
            }
            // The target sees a connection when its opening begins, whatever comes of it.
            if sample.opened {
                self.sent.open(counted_moment(sample.due, dispatched));
            }
        }
        if let Some(sent) = sample.sent {
            self.sent.add(counted_moment(sample.due, sent), &route, bytes);
            self.request_bytes = self.request_bytes.saturating_add(bytes);
        }
    }

    fn add_times(&mut self, arrival: &Arrival, sample: &Sample, error: bool) {
        let answered = matches!(sample.fate, Fate::Answered { .. });
        let ready = sample.ready();
        let latency = sample.done.filter(|_| answered).map(|done| between(ready, done));
        let lateness = sample.dispatched.map(|dispatched| between(ready, dispatched));
        let service = sample.sent.zip(sample.done).filter(|_| answered);
        let wait = sample.dispatched.zip(sample.connected);
        let recorded = arrival.recorded.latency.filter(|_| answered).map(nanoseconds);
        if let Some((from, to)) = sample.dispatched.zip(sample.done) {
            self.in_flight_ns = self.in_flight_ns.saturating_add(between(from, to));
            self.flight.add(from, to);
        } else if let (Some(from), true) = (sample.dispatched, was_in_flight(&sample.fate)) {
            self.flight.add_endless(from);
        }
        for (histogram, value) in [
            (&mut self.latency, latency),
            (&mut self.lateness, lateness),
            (&mut self.service, service.map(|(sent, done)| between(sent, done))),
            (&mut self.connection_wait, wait.map(|(from, to)| between(from, to))),
            (&mut self.recorded_latency, recorded),
        ] {
            if let Some(ns) = value {
                self.overflows += u64::from(record_time(histogram, ns));
            }
        }

        let is_unsent = matches!(sample.fate, Fate::Unsent { .. });
        let second = self.second(second_of(sample.due));
        second.due += 1;
        second.errors += u32::from(error);
        second.unsent += u32::from(is_unsent);
        second.set_aside += u32::from(sample.fate.is_set_aside());
        second.outcomes[outcomes::group(sample)] += 1;
        second.max_lateness_ns = second.max_lateness_ns.max(lateness.unwrap_or(0));
        second.lateness_ns = second.lateness_ns.saturating_add(lateness.unwrap_or(0));
        let route = self.route(&arrival.route);
        route.arrivals += 1;
        route.errors += u64::from(error);
        route.lost += u64::from(error && is_lost(&sample.fate));
        route.unsent += u64::from(is_unsent);
        route.set_aside += u64::from(sample.fate.is_set_aside());
        route.responses.add(arrival, sample);
        if let Some(ns) = recorded {
            record_time(&mut route.recorded_latency, ns);
        }
        if let Some(ns) = latency {
            record_time(&mut route.latency, ns);
            record_time(&mut self.second(second_of(sample.due)).latency, ns);
        }
        if let Some(sent) = sample.sent {
            self.second(second_of(sent)).sent += 1;
        }
        if let Some(done) = sample.done.filter(|_| answered) {
            self.second(second_of(done)).answered += 1;
        }
    }

    fn second(&mut self, index: usize) -> &mut Second {
        if self.seconds.len() <= index {
            self.seconds.resize_with(index + 1, Second::new);
        }
        &mut self.seconds[index]
    }

    pub(super) fn route(&mut self, route: &Arc<str>) -> &mut Route {
        let route = bounded_route(&self.routes, route);
        self.routes.entry(route).or_default()
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}

impl Second {
    fn new() -> Self {
        let latency = coarse_times();
        let (due, sent, answered, errors, unsent, set_aside) = (0, 0, 0, 0, 0, 0);
        let outcomes = [0; GROUPS];
        let (max_lateness_ns, lateness_ns) = (0, 0);
        Self {
            due,
            sent,
            answered,
            errors,
            unsent,
            set_aside,
            outcomes,
            latency,
            max_lateness_ns,
            lateness_ns,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.answered += other.answered;
        self.errors += other.errors;
        self.unsent += other.unsent;
        self.set_aside += other.set_aside;
        for (count, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *count += more;
        }
        histograms::merge(&mut self.latency, &other.latency);
        self.max_lateness_ns = self.max_lateness_ns.max(other.max_lateness_ns);
        self.lateness_ns = self.lateness_ns.saturating_add(other.lateness_ns);
    }
}

impl Default for Route {
    fn default() -> Self {
        Self::new()
    }
}

impl Route {
    /// None at all.
    pub(crate) fn new() -> Self {
        Self {
            arrivals: 0,
            errors: 0,
            lost: 0,
            unsent: 0,
            set_aside: 0,
            latency: coarse_times(),
            recorded_latency: coarse_times(),
            responses: Responses::default(),
        }
    }

    /// Adds others.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.arrivals += other.arrivals;
        self.errors += other.errors;
        self.lost += other.lost;
        self.unsent += other.unsent;
        self.set_aside += other.set_aside;
        histograms::merge(&mut self.latency, &other.latency);
        histograms::merge(&mut self.recorded_latency, &other.recorded_latency);
        self.responses.merge(&other.responses);
    }
}

/// Whether users were worse off than in production: no whole answer, or an answer of an error
/// class (4xx, 5xx) above the recorded one. Without a recorded status only 5xx counts, since a 404
/// may well be right. What was never sent is no error of the target: completeness counts it.
pub fn is_error(arrival: &Arrival, sample: &Sample) -> bool {
    match (&sample.fate, arrival.recorded.status) {
        (Fate::Answered { status }, Some(recorded)) => {
            *status >= 400 && status / 100 > recorded / 100
        }
        (Fate::Answered { status }, None) => *status >= 500,
        (Fate::GrpcFailed, _) => !arrival.recorded.failed,
        (Fate::Unsent { .. }, _) => false,
        // Clients of a cluster are sent on now and then, and go there.
        (Fate::Declined { reason: Declined::Moved | Declined::Ask }, recorded) => {
            recorded != Some(ERROR_REPLY)
        }
        _ => true,
    }
}

/// Nothing that could be held against a recorded answer came back.
fn is_lost(fate: &Fate) -> bool {
    !matches!(fate, Fate::Answered { .. } | Fate::Declined { .. } | Fate::GrpcFailed)
}

/// Bytes of the request on the wire, head and body.
pub fn request_bytes(arrival: &Arrival) -> u64 {
    arrival.head.len() as u64 + arrival.body_bytes()
}

/// Whether a dispatched arrival left for the target as far as this machine is concerned. What was
/// lost to our own resources or to the user was not offered, so that the target is not blamed. What
/// could not be written because earlier answers were outstanding was.
fn offered(sample: &Sample) -> bool {
    use Unsent::{BodyUnread, Interrupted, LocalResources};
    let is_ours =
        matches!(sample.fate, Fate::Unsent { reason: LocalResources | Interrupted | BodyUnread });
    !is_ours
}

/// A request without an end had begun, and the run did not wait for it.
fn was_in_flight(fate: &Fate) -> bool {
    match fate {
        Fate::Unsent { reason } => matches!(
            reason,
            Unsent::RunEnded
                | Unsent::Interrupted
                | Unsent::LocalResources
                | Unsent::ConnectionLimit
                | Unsent::BodyUnread
                | Unsent::NotInHttp2
        ),
        _ => true,
    }
}

/// From one moment to a later one, in nanoseconds; 0 when the order is reversed.
fn between(from: Duration, to: Duration) -> u64 {
    nanoseconds(to.saturating_sub(from))
}

#[cfg(test)]
mod tests;
