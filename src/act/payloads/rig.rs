//! Climbs from size to size: one large request at a time, at random moments.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until, timeout};

use crate::act::Ground;
use crate::act::payloads::bystanders::{PERIOD, Probe, Watch};
use crate::act::payloads::evidence::{
    Attempt, BLOCKED_NS, Big, Boundary, Bystanders, Fate, Rung, Sweep,
};
use crate::act::payloads::sizes::repeats;
use crate::drive::clock::nanoseconds;
use crate::scenario::acts::payloads::PayloadsOptions;
use crate::scenario::endpoint::Endpoint;
use crate::stats::counts::{as_f64, as_index};
use crate::stats::slopes::median;
use crate::units::{format_duration, format_size};

/// What a sweep has at hand.
pub(super) struct Rig<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) options: &'a PayloadsOptions,
    random: ChaCha8Rng,
    /// The time that is left for sizes is over then, and all time.
    ends: [Duration; 2],
}

/// A large request that was sent.
pub(super) struct Sent {
    pub(super) fate: Fate,
    /// Begin and end.
    pub(super) begun_ns: u64,
    pub(super) done_ns: u64,
    /// Where the answer is what is large: its first byte.
    pub(super) first_byte_ns: Option<u64>,
}

/// Sends large requests of one kind.
pub(super) trait Load {
    /// Whatever must be there before requests of a size; the reason why it cannot be had.
    async fn prepare(&mut self, rig: &Rig<'_>, bytes: u64) -> Result<(), String>;
    /// One of them.
    async fn send(&mut self, rig: &Rig<'_>, bytes: u64) -> Sent;
    /// Takes away what `prepare` and `send` left, also after a stop.
    async fn clean(&mut self, rig: &Rig<'_>);
}

/// Behind a large request, while what queued up is served: as long as two small requests are apart.
const DRAIN: Duration = PERIOD;

/// Small requests before the first large one, to know what is usual ...
const FIRST_SEEN: usize = 30;

/// ... and how long they may take together.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Where bystanders wait this many times what they may, larger sizes show nothing new.
const ENOUGH: f64 = 5.0;

/// No single request beyond the ladder may be expected to hold up others for longer.
const LONGEST_EXPECTED: Duration = Duration::from_secs(2);

/// Steps from a gap of any 64 bits to one of a byte.
const MAX_STEPS: usize = 64;

impl<'a> Rig<'a> {
    pub(super) fn new(
        ground: &'a Ground<'a>,
        options: &'a PayloadsOptions,
        time: Duration,
    ) -> Self {
        let now = ground.epoch.now();
        // A quarter is kept for the exact limit.
        let ends = [now.saturating_add(time * 3 / 4), now.saturating_add(time)];
        let random = ChaCha8Rng::seed_from_u64(ground.scenario.seed);
        Self { ground, options, random, ends }
    }

    /// A runtime for one sweep.
    pub(super) fn runtime() -> io::Result<Runtime> {
        Builder::new_current_thread().enable_all().build()
    }

    /// An endpoint of the act, where it listens, and a runtime for its sweep; or why not.
    pub(super) fn endpoint(
        &self,
        name: &str,
    ) -> Result<(&'a Endpoint, SocketAddr, Runtime), String> {
        let endpoint = self.options.endpoints.get(name).ok_or("there is no such endpoint")?;
        let address = self.ground.reach(endpoint).map_err(|error| error.to_string())?;
        let runtime = Self::runtime().map_err(|_| "this machine gave no event loop")?;
        Ok((endpoint, address, runtime))
    }

    pub(super) fn now_ns(&self) -> u64 {
        nanoseconds(self.ground.epoch.now())
    }

    /// No further size is to be begun, or no further request at all (`part` 1).
    fn is_over(&self, part: usize) -> bool {
        self.ground.stop.is_requested() || self.ground.epoch.now() >= self.ends[part]
    }

    /// Awaits something for as long as an answer may take; a stop ends it at once.
    pub(super) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Fate> {
        let mut stop = self.ground.stop.subscribe();
        let left = self.ends[1].saturating_sub(self.ground.epoch.now());
        let patience = self.ground.scenario.limits.response_timeout;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(Fate::Stopped),
            worked = timeout(patience.min(left), work) => worked.map_err(|_| {
                if left < patience { Fate::Stopped } else { Fate::TimedOut }
            }),
        }
    }

    /// Waits for a while, unless it is stopped.
    pub(super) async fn wait(&self, length: Duration) {
        let mut stop = self.ground.stop.subscribe();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = sleep_until(Instant::now() + length) => {}
        }
    }

    /// A moment that has nothing to do with those of the small requests.
    async fn pause(&mut self) {
        let length = PERIOD * 3 + PERIOD.mul_f64(self.random.random_range(0.0..4.0));
        self.wait(length).await;
    }

    /// Waits until bystanders are served; why they are not.
    pub(super) async fn settle(&self, watch: &Watch) -> Result<(), String> {
        let ends = self.ground.epoch.now().saturating_add(FIRST_WAIT);
        loop {
            let (seen, failed) = {
                let seen = watch.seen();
                let failed = seen.requests.iter().filter(|probe| probe.failed).count();
                (seen.requests.len(), failed)
            };
            if seen >= FIRST_SEEN && failed * 2 < seen {
                return Ok(());
            }
            if self.ground.epoch.now() >= ends || self.is_over(1) {
                return Err(format!(
                    "small requests were not served before anything large was sent: {} of {seen} \
                     were answered",
                    seen - failed
                ));
            }
            self.wait(PERIOD).await;
        }
    }

    /// All sizes, from small to large, until one is refused or shows enough.
    pub(super) async fn climb(
        &mut self,
        sweep: &mut Sweep,
        sizes: &[u64],
        watch: &Watch,
        load: &mut impl Load,
    ) {
        if let Err(reason) = self.settle(watch).await {
            sweep.unknown = Some(reason);
            return;
        }
        let mut spans = Vec::new();
        for bytes in sizes.iter().copied() {
            if self.is_over(0) {
                sweep.ended.get_or_insert_with(|| before(bytes, "the time was over"));
                break;
            }
            let rung = match load.prepare(self, bytes).await {
                Ok(()) => self.rung(bytes, sweep.usual().cloned(), watch, load).await,
                Err(reason) => {
                    sweep.ended = Some(before(bytes, &reason));
                    load.clean(self).await;
                    break;
                }
            };
            load.clean(self).await;
            let (rung, windows) = rung;
            spans.push(windows);
            let goes_on = judge(sweep, rung, nanoseconds(self.options.slo));
            if !goes_on {
                break;
            }
        }
        sum_up(sweep, &spans, watch);
    }

    /// Some requests of one size, and the windows in which they were under way.
    async fn rung(
        &mut self,
        bytes: u64,
        usual: Option<Fate>,
        watch: &Watch,
        load: &mut impl Load,
    ) -> (Rung, Vec<(u64, u64)>) {
        let mut rung = Rung { bytes, ..Rung::default() };
        let mut windows = Vec::new();
        let mut refused = 0;
        for _ in 0..repeats(bytes, self.options.repeats) {
            self.pause().await;
            if self.is_over(0) {
                break;
            }
            let sent = load.send(self, bytes).await;
            let window = (sent.begun_ns, sent.done_ns + nanoseconds(DRAIN));
            self.wait(DRAIN * 2).await;
            let seen = watch.seen();
            let own_ends = sent.first_byte_ns.unwrap_or(sent.done_ns);
            let fate = sent.fate;
            rung.requests.push(Big {
                latency_ns: sent.done_ns - sent.begun_ns,
                own_ns: own_ends.saturating_sub(sent.begun_ns),
                worst_ns: worst(&seen.requests, window),
                connect_ns: worst(&seen.connects, window),
                fate: fate.clone(),
            });
            windows.push(window);
            let usual = usual.as_ref().unwrap_or(&rung.requests[0].fate);
            refused += u32::from(fate.refuses(usual) || !fate.is_answer());
            // Twice is no accident.
            if refused == 2 || fate == Fate::Stopped {
                break;
            }
        }
        (rung, windows)
    }

    /// Single requests just below, at and just above known limits.
    pub(super) async fn knock(&mut self, sweep: &mut Sweep, limits: &[u64], load: &mut impl Load) {
        let per_byte = sweep.rungs.last().and_then(|rung| {
            let worst = median_of(rung, |big| big.worst_ns)?;
            Some(worst / as_f64(rung.bytes))
        });
        for limit in limits.iter().filter(|limit| **limit <= self.options.max) {
            let expected = per_byte.unwrap_or(0.0) * as_f64(*limit);
            if expected > as_f64(nanoseconds(LONGEST_EXPECTED)) {
                let reason = "others would be held up for seconds";
                sweep.ended.get_or_insert_with(|| before(*limit, reason));
                return;
            }
            for bytes in [limit - 1, *limit, limit + 1] {
                if sweep.boundary.is_some() || bytes <= sweep.accepted() {
                    continue;
                }
                if self.is_over(1) {
                    sweep.ended.get_or_insert_with(|| before(bytes, "the time was over"));
                    return;
                }
                self.attempt(sweep, bytes, load).await;
            }
        }
    }

    /// Halves the gap between what passed and what was refused, to the byte.
    pub(super) async fn bisect(&mut self, sweep: &mut Sweep, load: &mut impl Load) {
        for _ in 0..MAX_STEPS {
            let (Some(boundary), false) = (&sweep.boundary, self.is_over(1)) else { return };
            if boundary.is_exact() {
                return;
            }
            let middle = boundary.accepted.midpoint(boundary.refused);
            if !self.attempt(sweep, middle, load).await {
                return;
            }
        }
    }

    /// One request of a size; false where it tells nothing.
    async fn attempt(&mut self, sweep: &mut Sweep, bytes: u64, load: &mut impl Load) -> bool {
        let Some(usual) = sweep.usual().cloned() else { return false };
        let mut fate = load.send(self, bytes).await.fate;
        if fate.refuses(&usual) && !matches!(fate, Fate::Status(413)) {
            // Twice is no accident.
            fate = load.send(self, bytes).await.fate;
        }
        load.clean(self).await;
        sweep.attempts.push(Attempt { bytes, fate: fate.clone() });
        if fate.refuses(&usual) {
            let accepted = sweep.accepted().min(bytes);
            sweep.boundary = Some(Boundary { accepted, refused: bytes, fate });
            true
        } else if fate.is_answer() {
            if let Some(boundary) = &mut sweep.boundary {
                boundary.accepted = boundary.accepted.max(bytes);
            }
            true
        } else {
            false
        }
    }
}

/// Adds a rung; false when there is nothing to learn from larger ones.
fn judge(sweep: &mut Sweep, rung: Rung, slo_ns: u64) -> bool {
    let Some(first) = rung.requests.first() else {
        sweep.ended = Some(before(rung.bytes, "the time was over"));
        return false;
    };
    let usual_fate = sweep.usual().cloned().unwrap_or_else(|| first.fate.clone());
    let bytes = rung.bytes;
    let answered =
        rung.requests.iter().any(|big| big.fate.is_answer() && !big.fate.refuses(&usual_fate));
    let refusal = rung.requests.iter().rfind(|big| big.fate.refuses(&usual_fate));
    let refusal = refusal.map(|big| big.fate.clone());
    let worst = median_of(&rung, |big| big.worst_ns);
    let first_fate = first.fate.clone();
    let accepted = sweep.accepted();
    sweep.rungs.push(rung);
    if answered {
        let enough = worst.filter(|worst| *worst > ENOUGH * as_f64(slo_ns));
        if let Some(worst) = enough {
            let waited = format_duration(Duration::from_nanos(as_index(worst) as u64));
            sweep.ended = Some(format!(
                "nothing larger than {} was sent: others waited {waited} already",
                format_size(bytes)
            ));
        }
        return enough.is_none();
    }
    if let Some(fate) = refusal {
        sweep.boundary = Some(Boundary { accepted, refused: bytes, fate });
        return false;
    }
    let what = format!("{} were {}", format_size(bytes), first_fate.told());
    if accepted == 0 {
        sweep.unknown = Some(format!("even {what}"));
    } else {
        sweep.ended = Some(what);
    }
    false
}

fn before(bytes: u64, reason: &str) -> String {
    format!("{} and more were not sent: {reason}", format_size(bytes))
}

/// The longest wait among probes that were under way in a window.
fn worst(probes: &[Probe], window: (u64, u64)) -> Option<u64> {
    // Probes are in the order of time, and those of the window are among the last.
    let late = probes
        .iter()
        .rev()
        .take_while(|probe| probe.planned_ns + nanoseconds(FIRST_WAIT * 4) >= window.0);
    late.filter(|probe| is_inside(probe, window)).map(|probe| probe.took_ns).max()
}

fn is_inside(probe: &Probe, window: (u64, u64)) -> bool {
    probe.planned_ns <= window.1 && probe.planned_ns + probe.took_ns >= window.0
}

fn median_of(rung: &Rung, value: impl Fn(&Big) -> Option<u64>) -> Option<f64> {
    median(rung.requests.iter().filter_map(value).map(as_f64))
}

/// Tells small requests inside and outside of the windows apart.
fn sum_up(sweep: &mut Sweep, spans: &[Vec<(u64, u64)>], watch: &Watch) {
    let seen = watch.seen();
    let mut inside: Vec<Vec<Probe>> = vec![Vec::new(); spans.len()];
    let mut outside = Vec::new();
    let rung_of = |probe: &Probe| {
        spans.iter().position(|windows| windows.iter().any(|window| is_inside(probe, *window)))
    };
    for probe in &seen.requests {
        match rung_of(probe) {
            Some(rung) => inside[rung].push(*probe),
            None => outside.push(*probe),
        }
    }
    let sum = |probes: &[Probe]| {
        let failed = probes.iter().filter(|probe| probe.failed).count() as u64;
        Bystanders::of(probes.iter().map(|probe| probe.took_ns).collect(), failed)
    };
    sweep.outside = sum(&outside);
    let usual = sweep.outside.p50_ns;
    for (rung, probes) in sweep.rungs.iter_mut().zip(&inside) {
        let blocked = probes.iter().filter(|probe| probe.took_ns > usual + BLOCKED_NS);
        rung.blocked = blocked.count() as u64;
        rung.inside = sum(probes);
    }
    let apart = seen.connects.iter().filter(|probe| rung_of(probe).is_none());
    let connect = median(apart.map(|probe| as_f64(probe.took_ns)));
    sweep.connect_outside_ns = connect.map(|connect| as_index(connect) as u64);
}
