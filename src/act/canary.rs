//! The act `canary`: marked requests, and where they show up.

mod stream;

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep_until, timeout};

use crate::act::Ground;
use crate::act::canary::stream::{Counter, Seen, Tail};
use crate::act::request::{Server, get};
use crate::act::shell::{Shell, complaint, quoted};
use crate::drive::clock::nanoseconds;
use crate::scenario::TargetSpec;
use crate::scenario::acts::canary::{CanaryOptions, On, Source, Stream};

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Canary {
    /// Where marked requests were sent, and how they were answered.
    pub sent: Vec<Sent>,
    /// Every declared stream.
    pub streams: Vec<StreamSeen>,
    /// How long a line may take.
    pub within_ns: u64,
    /// The rehearsal was stopped before the time was over.
    pub stopped: bool,
}

/// Marked requests of one kind to one server.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
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
    /// Marked lines.
    pub marked: u64,
    /// Lines without a word.
    pub blank: u64,
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
    let server = Server { authority: target.authority.clone(), address: target.address };
    let mut servers = vec![(None, Ok(server))];
    for node in &ground.scenario.nodes {
        let has_stream = options.streams.iter().any(|each| each.node.as_ref() == Some(&node.name));
        let Some(url) = node.url.as_ref().filter(|_| has_stream) else { continue };
        let spec = TargetSpec::Http { host: url.host.clone(), port: url.port };
        let server = ground
            .reach(url)
            .map(|address| Server { authority: spec.authority(), address })
            .map_err(|error| error.to_string());
        servers.push((Some(node.name.clone()), server));
    }
    servers
}

/// A marker's request: its position among the servers, and whether it was to fail.
struct Mark {
    node: Option<String>,
    is_error: bool,
    counts: bool,
}

async fn watch(
    ground: &Ground<'_>,
    options: &CanaryOptions,
    servers: Servers,
    mut canary: Canary,
) -> Canary {
    let prefix = format!("rehearse-{:012x}", rand::random::<u64>() >> 16);
    let mut open: Vec<Open> = Vec::new();
    for stream in &options.streams {
        open.push(Open::new(ground, stream, &prefix));
    }
    // A command needs a moment until it follows its log.
    if options.streams.iter().any(|each| matches!(each.source, Source::Command(_))) {
        poll(&mut open, Duration::from_millis(500)).await;
    }
    let begun = ground.epoch.now();
    let mut marks: Vec<Mark> = Vec::new();
    for (node, server) in servers {
        for (path, is_error) in
            [(Some(&options.request), false), (options.error_request.as_ref(), true)]
        {
            let Some(path) = path else { continue };
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
    canary.streams = open.into_iter().map(|each| each.into_seen(&marks, waited_ns)).collect();
    canary
}

async fn send(
    ground: &Ground<'_>,
    options: &CanaryOptions,
    (server, path): (&Server, &str),
    (prefix, sent, marks): (&str, &mut Sent, &mut Vec<Mark>),
) {
    let patience = ground.scenario.limits.response_timeout.min(Duration::from_secs(5));
    for _ in 0..options.requests {
        if ground.stop.is_requested() {
            return;
        }
        let own = |name: &String| !name.eq_ignore_ascii_case(&options.header);
        let given = ground.scenario.headers.iter().filter(|(name, _)| own(name));
        let mut headers: Vec<(String, String)> =
            given.map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.push((options.header.clone(), format!("{prefix}{:04}", marks.len())));
        let answer = get(server, path, &headers, patience).await;
        let counts = answer.is_some_and(|answer| (answer.status >= 400) == sent.is_error);
        sent.requests += 1;
        sent.as_expected += u32::from(counts);
        marks.push(Mark { node: sent.node.clone(), is_error: sent.is_error, counts });
        if answer.is_none() && sent.as_expected == 0 && sent.requests >= 3 {
            return;
        }
    }
}

async fn poll(open: &mut [Open], length: Duration) {
    let until = Instant::now() + length;
    for each in &mut *open {
        each.read().await;
    }
    sleep_until(until).await;
    for each in open {
        each.read().await;
    }
}

/// A stream that is being read.
struct Open {
    stream: Stream,
    /// Its node has no URL: the target chooses which requests it gets.
    any: bool,
    lines: Lines,
    counter: Counter,
    seen: Seen,
}

enum Lines {
    Tail(Tail),
    Shell(Box<Shell>),
    Closed,
}

impl Open {
    fn new(ground: &Ground<'_>, stream: &Stream, prefix: &str) -> Self {
        let mut seen = Seen::default();
        let node =
            ground.scenario.nodes.iter().find(|node| stream.node.as_ref() == Some(&node.name));
        let lines = match (&stream.source, node) {
            (_, None) if stream.node.is_some() => {
                Err("`nodes` of the scenario has no such node".to_owned())
            }
            (Source::File(path), node) => match node.filter(|node| !node.run.is_empty()) {
                None => Tail::open(path).map(Lines::Tail),
                Some(node) => {
                    let file = quoted(&path.display().to_string());
                    start(&format!("{} tail -n 0 -F {file}", node.run))
                }
            },
            (Source::Command(command), _) => start(command),
        };
        let lines = lines.unwrap_or_else(|problem| {
            seen.problem = Some(problem);
            Lines::Closed
        });
        Self {
            any: node.is_some_and(|node| node.url.is_none()),
            counter: Counter::new(prefix, stream.json),
            stream: stream.clone(),
            lines,
            seen,
        }
    }

    fn problem(&self) -> Option<&String> {
        self.seen.problem.as_ref()
    }

    async fn read(&mut self) {
        match &mut self.lines {
            Lines::Tail(tail) => tail.read(&mut self.counter, &mut self.seen),
            Lines::Shell(shell) => {
                let ended = read_shell(shell, &mut self.counter, &mut self.seen).await;
                if let Some(problem) = ended {
                    self.seen.problem = Some(problem);
                    self.lines = Lines::Closed;
                }
            }
            Lines::Closed => {}
        }
    }

    /// Requests of a kind that had to show up, and those that did.
    fn counts(&self, marks: &[Mark], is_error: bool) -> [u32; 2] {
        let wanted = match self.stream.on {
            On::Success => !is_error,
            On::Error => is_error,
            On::Both => true,
        };
        let node = self.stream.node.as_ref().filter(|_| !self.any);
        let mut counts = [0, 0];
        for (number, mark) in (0..).zip(marks) {
            if wanted && mark.counts && mark.is_error == is_error && mark.node.as_ref() == node {
                counts[0] += 1;
                counts[1] += u32::from(self.seen.marks.contains_key(&number));
            }
        }
        counts
    }

    fn is_complete(&self, marks: &[Mark]) -> bool {
        [false, true].iter().all(|kind| {
            let [wanted, seen] = self.counts(marks, *kind);
            if self.any { seen > 0 || wanted == 0 } else { seen == wanted }
        })
    }

    fn into_seen(self, marks: &[Mark], waited_ns: u64) -> StreamSeen {
        let malformed = self.seen.malformed.iter();
        StreamSeen {
            success: self.counts(marks, false),
            error: self.counts(marks, true),
            any: self.any,
            lines: self.seen.lines,
            marked: self.seen.marks.values().map(|(count, _)| count).sum(),
            blank: self.seen.blank,
            malformed: malformed.map(|(wrong, count)| format!("{count} × {wrong}")).collect(),
            lines_usual: self.stream.lines,
            waited_ns,
            problem: self.seen.problem,
            name: self.stream.name,
        }
    }
}

fn start(command: &str) -> Result<Lines, String> {
    let shell = Shell::start(command).map_err(|error| error.to_string())?;
    Ok(Lines::Shell(Box::new(shell)))
}

/// Reads what a command has printed by now; why it ended, where it has.
async fn read_shell(shell: &mut Shell, counter: &mut Counter, seen: &mut Seen) -> Option<String> {
    let mut chunk = vec![0; 64 * 1024];
    for _ in 0..64 {
        let output = shell.child.stdout.as_mut()?;
        match timeout(Duration::from_millis(2), output.read(&mut chunk)).await {
            Err(_) => return None,
            Ok(Ok(count @ 1..)) => counter.add(seen, &chunk[..count]),
            Ok(_) => {
                let errors = shell.child.stderr.take()?;
                let said = timeout(Duration::from_secs(1), complaint(errors)).await;
                let said = said.unwrap_or_default();
                return Some(format!("its command ended: {said}"));
            }
        }
    }
    None
}
