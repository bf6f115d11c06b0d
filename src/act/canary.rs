//! The act `canary`: marked requests, and where they show up.

pub mod heartbeat;

mod dated;
mod open;
mod stream;
mod tail;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::act::Ground;
use crate::act::canary::heartbeat::Beats;
use crate::act::canary::open::{Open, SETTLING, poll};
use crate::act::canary::stream::{DIGITS, Marked};
use crate::act::request::{Server, get};
use crate::act::wall::unix_ns;
use crate::drive::clock::nanoseconds;
use crate::scenario::acts::canary::CanaryOptions;
use crate::scenario::nodes::Node;
use crate::scenario::{Scenario, TargetSpec};

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Canary {
    /// Where marked requests were sent, and how they were answered.
    pub sent: Vec<Sent>,
    /// Every declared stream.
    pub streams: Vec<StreamSeen>,
    /// How long a line may take.
    pub within_ns: u64,
    /// The rehearsal was stopped before the time was over.
    pub stopped: bool,
    /// The marked requests of the rest of the rehearsal; `None` where nothing followed.
    #[serde(default)]
    pub heartbeat: Option<Beats>,
}

/// Marked requests of one kind to one server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// The node; `None` for the target.
    pub node: Option<String>,
    /// They were to fail.
    pub is_error: bool,
    /// How many.
    pub requests: u32,
    /// Those that were answered as they were to be.
    pub as_expected: u32,
    /// Why none was sent.
    pub problem: Option<String>,
}

/// What was seen in a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamSeen {
    /// Its name.
    pub name: String,
    /// Successful requests that had to show up, and those that did.
    pub success: [u32; 2],
    /// Failing requests that had to show up, and those that did.
    pub error: [u32; 2],
    /// One of them is enough: the target may have chosen other nodes for the rest.
    pub any: bool,
    /// Lines, marked or not.
    pub lines: u64,
    /// Marked lines of the requests that had to show up.
    pub marked: u64,
    /// Lines without a word.
    pub blank: u64,
    /// Lines whose marker is cut off, or that hold two different ones.
    #[serde(default)]
    pub torn: u64,
    /// Requests with more than one line.
    #[serde(default)]
    pub repeated: u32,
    /// Requests whose first line is dated more than 2 s off.
    #[serde(default)]
    pub misdated: u32,
    /// How far the worst of them is ahead, or behind where negative.
    #[serde(default)]
    pub skew_ns: i64,
    /// Marked lines with a wrong format, a sentence each.
    pub malformed: Vec<String>,
    /// Lines of a request in the last good release, where that is known.
    pub lines_usual: Option<f64>,
    /// How long it was watched.
    pub waited_ns: u64,
    /// Why it could not be read.
    pub problem: Option<String>,
}

/// Performs the act.
pub fn perform(ground: &Ground<'_>, options: &CanaryOptions) -> Canary {
    let within_ns = nanoseconds(options.within);
    let empty = Canary { within_ns, ..Canary::default() };
    if options.streams.is_empty() {
        return empty;
    }
    let servers = servers(ground, options);
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(watch(ground, options, servers, empty)),
        Err(_) => empty,
    }
}

/// The target, and the nodes that have a URL and a stream.
type Servers = Vec<(Option<String>, Result<Server, String>)>;

fn servers(ground: &Ground<'_>, options: &CanaryOptions) -> Servers {
    let target = ground.target;
    let server = Server {
        authority: target.authority.clone(),
        address: target.address,
        tls: target.tls.clone(),
    };
    let mut servers = vec![(None, Ok(server))];
    for node in &ground.scenario.nodes {
        let has_stream = options.streams.iter().any(|each| each.node.as_ref() == Some(&node.name));
        let Some(url) = node.url.as_ref().filter(|_| has_stream) else { continue };
        let spec = TargetSpec::Http { host: url.host.clone(), port: url.port, tls: None };
        let server = ground
            .reach(url)
            .map(|address| Server { authority: spec.authority(), address, tls: None })
            .map_err(|error| error.to_string());
        servers.push((Some(node.name.clone()), server));
    }
    servers
}

/// A marked request.
struct Mark {
    /// Whom it was sent to; `None` for the target.
    node: Option<String>,
    /// It was to fail.
    is_error: bool,
    /// It was answered as it was to be.
    counts: bool,
    /// When it was sent, since the Unix epoch.
    sent_ns: i64,
}

/// The start of all markers: nobody else can know it.
fn new_prefix() -> String {
    format!("rehearse-{:012x}-", rand::random::<u64>() >> 16)
}

/// What is asked for, and whether it is to fail.
fn paths(options: &CanaryOptions) -> impl Iterator<Item = (&String, bool)> {
    let failing = options.error_request.as_ref().map(|path| (path, true));
    std::iter::once((&options.request, false)).chain(failing)
}

/// The headers of the scenario but for the one that carries the marker.
fn headers(scenario: &Scenario, options: &CanaryOptions) -> Vec<(String, String)> {
    let own = |name: &String| !name.eq_ignore_ascii_case(&options.header);
    let given = scenario.headers.iter().filter(|(name, _)| own(name));
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// How long an answer may take.
fn patience(scenario: &Scenario) -> Duration {
    scenario.limits.response_timeout.min(Duration::from_secs(5))
}

/// Opens all streams.
async fn open_all(nodes: &[Node], options: &CanaryOptions, prefix: &str) -> Vec<Open> {
    let streams = options.streams.iter();
    let mut open: Vec<Open> = streams.map(|stream| Open::new(nodes, stream, prefix)).collect();
    // A command needs a moment until it follows its log; files of a node are read by one, too.
    if open.iter().any(Open::is_by_command) {
        poll(&mut open, SETTLING).await;
    }
    open
}

async fn watch(
    ground: &Ground<'_>,
    options: &CanaryOptions,
    servers: Servers,
    mut canary: Canary,
) -> Canary {
    let prefix = new_prefix();
    let mut open = open_all(&ground.scenario.nodes, options, &prefix).await;
    let begun = ground.epoch.now();
    let mut marks: Vec<Mark> = Vec::new();
    for (node, server) in servers {
        for (path, is_error) in paths(options) {
            let mut sent = Sent { node: node.clone(), is_error, ..Sent::default() };
            match &server {
                Ok(server) => {
                    send(ground, options, (server, path), (&prefix, &mut sent, &mut marks)).await;
                }
                Err(problem) => sent.problem = Some(problem.clone()),
            }
            canary.sent.push(sent);
        }
    }
    let until = ground.epoch.now() + options.within;
    while ground.epoch.now() < until && !ground.stop.is_requested() {
        poll(&mut open, Duration::from_millis(100)).await;
        if open.iter().all(|each| each.problem().is_some() || each.is_complete(&marks)) {
            break;
        }
    }
    // What is written twice is written at once.
    poll(&mut open, Duration::from_millis(200)).await;
    canary.stopped = ground.stop.is_requested();
    let waited_ns = nanoseconds(ground.epoch.now().saturating_sub(begun));
    canary.streams = open.into_iter().map(|each| seen(each, &marks, waited_ns)).collect();
    canary
}

async fn send(
    ground: &Ground<'_>,
    options: &CanaryOptions,
    (server, path): (&Server, &str),
    (prefix, sent, marks): (&str, &mut Sent, &mut Vec<Mark>),
) {
    let mut headers = headers(ground.scenario, options);
    headers.push((options.header.clone(), String::new()));
    for _ in 0..options.requests {
        if ground.stop.is_requested() {
            return;
        }
        if let Some((_, marker)) = headers.last_mut() {
            *marker = format!("{prefix}{:0DIGITS$}", marks.len());
        }
        let sent_ns = unix_ns();
        let answer = get(server, path, &headers, patience(ground.scenario)).await;
        let counts = answer.is_some_and(|answer| (answer.status >= 400) == sent.is_error);
        sent.requests += 1;
        sent.as_expected += u32::from(counts);
        marks.push(Mark { node: sent.node.clone(), is_error: sent.is_error, counts, sent_ns });
        if answer.is_none() && sent.as_expected == 0 && sent.requests >= 3 {
            return;
        }
    }
}

fn seen(open: Open, marks: &[Mark], waited_ns: u64) -> StreamSeen {
    // A command that failed for a while, and still showed everything, is fine.
    let problem = open.failure().filter(|_| !open.is_complete(marks)).cloned();
    let (success, error) = (open.counts(marks, false), open.counts(marks, true));
    let (stream, any) = (open.stream.clone(), open.any);
    let wanted: Vec<bool> = marks.iter().map(|mark| open.wants(mark)).collect();
    let seen = open.into_seen();
    // Other requests may have left lines here as well, such as those to the target of this node.
    let own: Vec<(&Mark, &Marked)> = (0..)
        .zip(marks)
        .zip(wanted)
        .filter(|(_, wanted)| *wanted)
        .filter_map(|((number, mark), _)| Some((mark, seen.marks.get(&number)?)))
        .collect();
    let skews: Vec<i64> =
        own.iter().filter_map(|(mark, marked)| marked.skew_ns(mark.sent_ns)).collect();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let malformed = seen.malformed.iter();
    StreamSeen {
        name: stream.name,
        success,
        error,
        any,
        lines: seen.lines,
        marked: own.iter().map(|(_, marked)| marked.count).sum(),
        blank: seen.blank,
        torn: seen.torn,
        repeated: count(own.iter().filter(|(_, marked)| marked.count > 1).count()),
        misdated: count(skews.len()),
        skew_ns: skews.into_iter().max_by_key(|skew| skew.unsigned_abs()).unwrap_or_default(),
        malformed: malformed.map(|(wrong, count)| format!("{count} × {wrong}")).collect(),
        lines_usual: stream.lines,
        waited_ns,
        problem,
    }
}
