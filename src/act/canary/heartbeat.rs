//! Marked requests through the rest of the rehearsal: a stream may fall silent under load only.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::JoinHandle;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::act::canary::open::{Open, poll};
use crate::act::canary::stream::DIGITS;
use crate::act::canary::{Mark, headers, new_prefix, open_all, paths, patience, servers};
use crate::act::request::{Server, get};
use crate::act::wall::unix_ns;
use crate::act::{Evidence, Ground, Performed};
use crate::drive::clock::{Epoch, monotonic_ns, nanoseconds};
use crate::drive::stop::Stop;
use crate::scenario::acts::ActName;
use crate::scenario::acts::canary::CanaryOptions;
use crate::scenario::nodes::Node;

/// What became of the heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Beats {
    /// Time from one to the next.
    pub every_ns: u64,
    /// How long a line may take.
    pub within_ns: u64,
    /// Marked requests that were sent.
    pub sent: u64,
    /// Those that were answered as they had to be.
    pub as_expected: u64,
    /// Every stream.
    pub streams: Vec<StreamBeats>,
    /// Why there was none.
    pub problem: Option<String>,
}

/// What showed up in a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamBeats {
    /// Its name.
    pub name: String,
    /// The target chooses which requests it gets: only whether any showed up can be judged.
    pub any: bool,
    /// Marked requests had shown up in it before.
    pub was_alive: bool,
    /// Requests that showed up in time.
    pub seen: u64,
    /// Requests that did not.
    pub lost: u64,
    /// When the first of those was sent, and the last, ns since the start of the rehearsal.
    pub lost_ns: Option<[u64; 2]>,
    /// Requests whose time was not over at the end, or that may have been missed here.
    pub unjudged: u64,
    /// Why it could not be read, at least for a while.
    pub problem: Option<String>,
}

/// A heartbeat that goes on, on a thread of its own.
pub struct Heartbeat {
    finish: Stop,
    abort: Stop,
    thread: Option<JoinHandle<Beats>>,
    given: Beats,
}

impl Heartbeat {
    /// Begins the heartbeat of the act `canary`; `None` where `performed` is another act, and
    /// where nothing follows it.
    pub fn start(ground: &Ground<'_>, performed: &Performed) -> Option<Self> {
        let (Evidence::Canary(canary), Some(options)) =
            (&performed.evidence, &ground.scenario.acts.canary)
        else {
            return None;
        };
        let acts = &ground.scenario.acts;
        let follows = ActName::ALL.iter().any(|act| *act > ActName::Canary && acts.has(*act));
        if !follows || options.streams.is_empty() || ground.stop.is_requested() {
            return None;
        }
        let named = servers(ground, options).into_iter();
        let (finish, abort) = (Stop::new(), Stop::new());
        let given = Beats {
            every_ns: nanoseconds(options.every),
            within_ns: nanoseconds(options.within),
            ..Beats::default()
        };
        let work = Work {
            options: options.clone(),
            headers: headers(ground.scenario, options),
            nodes: ground.scenario.nodes.clone(),
            servers: named.filter_map(|(node, server)| Some((node, server.ok()?))).collect(),
            patience: patience(ground.scenario),
            epoch: ground.epoch,
            stop: ground.stop.clone(),
            finish: finish.clone(),
            abort: abort.clone(),
            was_alive: canary
                .streams
                .iter()
                .map(|seen| seen.success[1] + seen.error[1] > 0)
                .collect(),
        };
        let beats = given.clone();
        let thread = std::thread::Builder::new().name("heartbeat".to_owned());
        let thread = thread.spawn(move || work.run(beats)).ok();
        Some(Self { finish, abort, thread, given })
    }

    /// Ends it: one more request is sent where the rehearsal was not stopped, and what is on its
    /// way is waited for.
    pub fn finish(mut self) -> Beats {
        self.finish.request();
        let beats = self.thread.take().and_then(|thread| thread.join().ok());
        beats.unwrap_or_else(|| Beats {
            problem: Some("its thread could not go on".to_owned()),
            ..self.given.clone()
        })
    }
}

// A rehearsal that ends in an error leaves no thread and no command behind.
impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.abort.request();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread needs, all its own.
struct Work {
    options: CanaryOptions,
    headers: Vec<(String, String)>,
    nodes: Vec<Node>,
    servers: Vec<(Option<String>, Server)>,
    patience: Duration,
    epoch: Epoch,
    stop: Stop,
    finish: Stop,
    abort: Stop,
    was_alive: Vec<bool>,
}

impl Work {
    fn run(self, beats: Beats) -> Beats {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.beat(beats)),
            Err(error) => Beats { problem: Some(format!("no runtime: {}", error.kind())), ..beats },
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_requested() || self.abort.is_requested()
    }

    async fn beat(self, mut beats: Beats) -> Beats {
        let prefix = new_prefix();
        let mut open = open_all(&self.nodes, &self.options, &prefix).await;
        beats.streams = open.iter().zip(&self.was_alive).map(begin).collect();
        let mut sending = Sending::new(prefix);
        let mut next = self.epoch.now();
        while !self.is_stopped() && !self.finish.is_requested() {
            if self.epoch.now() >= next {
                sending.send(&self);
                while next <= self.epoch.now() {
                    next += self.options.every;
                }
            }
            poll(&mut open, POLL).await;
            sending.collect();
            sending.settle((self.epoch.now(), self.options.within), &mut open, &mut beats);
        }
        // What has fallen silent under load is silent after it.
        if !self.is_stopped() {
            sending.send(&self);
        }
        let until = self.epoch.now() + self.options.within.min(LAST_WAIT);
        while self.epoch.now() < until && !self.is_stopped() {
            poll(&mut open, POLL).await;
            sending.collect();
            if sending.is_complete(&open) {
                break;
            }
        }
        sending.settle((self.epoch.now(), self.options.within), &mut open, &mut beats);
        sending.leave(&open, &mut beats);
        for (stream, open) in beats.streams.iter_mut().zip(&open) {
            stream.problem = open.failure().cloned();
        }
        beats.sent = u64::from(sending.number);
        beats.as_expected = sending.as_expected;
        beats
    }
}

/// How often the streams are read.
const POLL: Duration = Duration::from_millis(200);

/// What is on its way at the end is waited for so long, at most.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// A line is read up to this late.
const SLACK: Duration = Duration::from_secs(1);

/// Most requests that wait for their answers: a target that hangs must not fill this machine.
const IN_FLIGHT_MAX: usize = 256;

fn begin((open, was_alive): (&Open, &bool)) -> StreamBeats {
    StreamBeats {
        name: open.stream.name.clone(),
        any: open.any,
        was_alive: *was_alive,
        ..StreamBeats::default()
    }
}

/// A request that was answered as it had to be.
struct Beat {
    mark: Mark,
    sent: Duration,
    sent_ns: u64,
    answered_ns: u64,
    answered: Duration,
}

/// The requests: those under way, and those whose lines are waited for.
struct Sending {
    prefix: String,
    number: u32,
    as_expected: u64,
    tasks: JoinSet<(u32, Beat)>,
    in_flight: BTreeSet<u32>,
    waiting: BTreeMap<u32, Beat>,
}

impl Sending {
    fn new(prefix: String) -> Self {
        Self {
            prefix,
            number: 0,
            as_expected: 0,
            tasks: JoinSet::new(),
            in_flight: BTreeSet::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Sends a request of each kind to each server, on connections of their own.
    fn send(&mut self, work: &Work) {
        for (node, server) in &work.servers {
            for (path, is_error) in paths(&work.options) {
                if self.tasks.len() >= IN_FLIGHT_MAX {
                    return;
                }
                let number = self.number;
                self.number += 1;
                self.in_flight.insert(number);
                let marker = format!("{}{number:0DIGITS$}", self.prefix);
                let mut headers = work.headers.clone();
                headers.push((work.options.header.clone(), marker));
                let (node, server, path) = (node.clone(), server.clone(), path.clone());
                let (patience, epoch) = (work.patience, work.epoch);
                self.tasks.spawn(async move {
                    let (sent, sent_ns, sent_unix_ns) = (epoch.now(), monotonic_ns(), unix_ns());
                    let answer = get(&server, &path, &headers, patience).await;
                    let counts = answer.is_some_and(|answer| (answer.status >= 400) == is_error);
                    let mark = Mark { node, is_error, counts, sent_ns: sent_unix_ns };
                    let (answered, answered_ns) = (epoch.now(), monotonic_ns());
                    (number, Beat { mark, sent, sent_ns, answered_ns, answered })
                });
            }
        }
    }

    /// Takes in what was answered.
    fn collect(&mut self) {
        while let Some(joined) = self.tasks.try_join_next() {
            let Ok((number, beat)) = joined else { continue };
            self.in_flight.remove(&number);
            if beat.mark.counts {
                self.as_expected += 1;
                self.waiting.insert(number, beat);
            }
        }
    }

    /// Nothing is under way, and everything has shown up.
    fn is_complete(&self, open: &[Open]) -> bool {
        let shown = |number: u32, beat: &Beat| {
            let wants = |each: &&Open| each.wants(&beat.mark) && each.problem().is_none();
            open.iter().filter(wants).all(|each| each.any || each.marked(number).is_some())
        };
        self.tasks.is_empty() && self.waiting.iter().all(|(number, beat)| shown(*number, beat))
    }

    /// Judges what has had its time.
    fn settle(
        &mut self,
        (now, within): (Duration, Duration),
        open: &mut [Open],
        beats: &mut Beats,
    ) {
        let patience = within + SLACK;
        let is_due = |beat: &Beat| beat.answered + patience <= now;
        while let Some(entry) = self.waiting.first_entry().filter(|entry| is_due(entry.get())) {
            let (number, beat) = entry.remove_entry();
            for (each, stream) in open.iter().zip(&mut beats.streams) {
                if each.wants(&beat.mark) {
                    count(stream, each, (number, &beat), Some(patience));
                }
            }
        }
        let first = [self.in_flight.first(), self.waiting.keys().next()];
        let first = first.into_iter().flatten().min().copied().unwrap_or(self.number);
        for each in open {
            each.forget_before(first);
        }
    }

    /// Judges the rest: what has not shown up still had time.
    fn leave(&self, open: &[Open], beats: &mut Beats) {
        for (number, beat) in &self.waiting {
            for (each, stream) in open.iter().zip(&mut beats.streams) {
                if each.wants(&beat.mark) {
                    count(stream, each, (*number, beat), None);
                }
            }
        }
    }
}

/// Counts a request in a stream: its time is over after `patience`, or not yet.
fn count(
    stream: &mut StreamBeats,
    open: &Open,
    (number, beat): (u32, &Beat),
    patience: Option<Duration>,
) {
    let until_ns = patience.map(|patience| beat.answered_ns.saturating_add(nanoseconds(patience)));
    match (open.marked(number), until_ns) {
        (Some(marked), until_ns) if until_ns.is_none_or(|until| marked.read_ns <= until) => {
            stream.seen += 1;
        }
        (_, Some(_)) if open.any => {}
        (_, Some(_)) if !open.may_miss(beat.sent_ns) => {
            let sent_ns = nanoseconds(beat.sent);
            stream.lost += 1;
            stream.lost_ns = Some([stream.lost_ns.map_or(sent_ns, |[first, _]| first), sent_ns]);
        }
        _ => stream.unjudged += 1,
    }
}
