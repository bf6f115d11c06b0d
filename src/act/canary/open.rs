//! A stream that is being read: a file, or a command, which is begun again where it ends.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::act::canary::Mark;
use crate::act::canary::stream::{Counter, Marked, Seen};
use crate::act::canary::tail::{Changed, Tail};
use crate::act::shell::{complaint, ending, quoted};
use crate::drive::clock::{monotonic_ns, nanoseconds};
use crate::probe::group::Group;
use crate::scenario::acts::canary::{On, Source, Stream};
use crate::scenario::nodes::Node;

/// Reads all streams now and after a while.
pub(super) async fn poll(open: &mut [Open], length: Duration) {
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
pub(super) struct Open {
    pub(super) stream: Stream,
    /// Its node has no URL: the target chooses which requests it gets.
    pub(super) any: bool,
    lines: Lines,
    counter: Counter,
    /// What was seen since the command was begun.
    seen: Seen,
    /// What was seen before.
    past: Seen,
    /// Why it could not be read, the last time that it could not.
    failure: Option<String>,
    /// How often in a row its command has failed.
    failures: u32,
    /// What was written before this moment may have been missed, as `CLOCK_MONOTONIC` has it.
    missed_until_ns: u64,
}

enum Lines {
    Tail(Tail),
    Running(Box<Running>),
    Ended { command: String, again: Instant },
    Closed,
}

/// A command that goes on.
struct Running {
    command: String,
    shell: Group,
    complaint: JoinHandle<String>,
}

/// A command follows its log after this long at most, also on a busy machine.
pub(super) const SETTLING: Duration = Duration::from_secs(1);

/// A command that failed so often in a row is not waited for.
const FAILURES_MAX: u32 = 3;

impl Open {
    /// Opens a stream. Must be called within a runtime.
    pub(super) fn new(nodes: &[Node], stream: &Stream, prefix: &str) -> Self {
        let node = nodes.iter().find(|node| stream.node.as_ref() == Some(&node.name));
        let lines = match (&stream.source, node) {
            (_, None) if stream.node.is_some() => {
                Err("`nodes` of the scenario has no such node".to_owned())
            }
            (Source::File(path), node) => match node.filter(|node| !node.run.is_empty()) {
                None => Tail::open(path).map(Lines::Tail),
                Some(node) => {
                    let file = quoted(&path.display().to_string());
                    // `tail -F` would wait for a file that may not be read, and never say so.
                    let run = &node.run;
                    start(format!("{run} head -c 1 {file} >/dev/null && {run} tail -n 0 -F {file}"))
                }
            },
            (Source::Command(command), _) => start(command.clone()),
        };
        let (lines, failure) = match lines {
            Ok(lines) => (lines, None),
            Err(problem) => (Lines::Closed, Some(problem)),
        };
        Self {
            any: node.is_some_and(|node| node.url.is_none()),
            counter: Counter::new(prefix, stream.json),
            stream: stream.clone(),
            lines,
            seen: Seen::default(),
            past: Seen::default(),
            failure,
            failures: 0,
            missed_until_ns: 0,
        }
    }

    /// A command reads it.
    pub(super) fn is_by_command(&self) -> bool {
        matches!(self.lines, Lines::Running(_))
    }

    /// Why no more can be expected of it.
    pub(super) fn problem(&self) -> Option<&String> {
        let is_over = matches!(self.lines, Lines::Closed) || self.failures >= FAILURES_MAX;
        self.failure.as_ref().filter(|_| is_over)
    }

    /// Why it could not be read, at least for a while.
    pub(super) fn failure(&self) -> Option<&String> {
        self.failure.as_ref()
    }

    /// What a request left in it that was sent at a moment of `CLOCK_MONOTONIC` may have been
    /// missed.
    pub(super) fn may_miss(&self, sent_ns: u64) -> bool {
        let is_behind = matches!(&self.lines, Lines::Tail(tail) if tail.is_behind());
        is_behind || matches!(self.lines, Lines::Closed) || sent_ns < self.missed_until_ns
    }

    async fn read(&mut self) {
        if let Lines::Ended { command, again } = &self.lines {
            if Instant::now() < *again {
                return;
            }
            match start(command.clone()) {
                Ok(lines) => self.lines = lines,
                Err(problem) => return self.ended(command.clone(), Some(problem)),
            }
            if self.failures > 0 {
                self.missed_until_ns = monotonic_ns().saturating_add(nanoseconds(BEGINNING));
            }
        }
        match &mut self.lines {
            Lines::Tail(tail) => {
                if tail.read(&mut self.counter, &mut self.seen) == Changed::Truncated {
                    self.missed_until_ns = monotonic_ns();
                }
            }
            Lines::Running(running) => {
                if let Some(end) = running.read(&mut self.counter, &mut self.seen).await {
                    let command = std::mem::take(&mut running.command);
                    self.ended(command, end.err());
                }
            }
            Lines::Ended { .. } | Lines::Closed => {}
        }
    }

    /// Its command has ended: it is begun again soon, and later each time that it fails.
    fn ended(&mut self, command: String, failure: Option<String>) {
        self.counter.end(&mut self.seen);
        self.past.merge(std::mem::take(&mut self.seen));
        self.failures = if failure.is_some() { self.failures + 1 } else { 0 };
        let pause = 1_u32 << self.failures.saturating_sub(1).min(5);
        if failure.is_some() {
            // Until it is read again.
            self.missed_until_ns = u64::MAX;
            self.failure = failure;
        }
        let again = Instant::now() + AGAIN * pause;
        self.lines = Lines::Ended { command, again };
    }

    /// A request must show up in it.
    pub(super) fn wants(&self, mark: &Mark) -> bool {
        let kind = match self.stream.on {
            On::Success => !mark.is_error,
            On::Error => mark.is_error,
            On::Both => true,
        };
        let node = self.stream.node.as_ref().filter(|_| !self.any);
        kind && mark.counts && mark.node.as_ref() == node
    }

    /// The lines of a marker.
    pub(super) fn marked(&self, number: u32) -> Option<&Marked> {
        self.past.marks.get(&number).or_else(|| self.seen.marks.get(&number))
    }

    /// Requests of a kind that had to show up, and those that did.
    pub(super) fn counts(&self, marks: &[Mark], is_error: bool) -> [u32; 2] {
        let mut counts = [0, 0];
        for (number, mark) in (0..).zip(marks) {
            if mark.is_error == is_error && self.wants(mark) {
                counts[0] += 1;
                counts[1] += u32::from(self.marked(number).is_some());
            }
        }
        counts
    }

    /// All that had to show up did.
    pub(super) fn is_complete(&self, marks: &[Mark]) -> bool {
        [false, true].iter().all(|kind| {
            let [wanted, seen] = self.counts(marks, *kind);
            if self.any { seen > 0 || wanted == 0 } else { seen == wanted }
        })
    }

    /// Forgets the lines of markers before `number`.
    pub(super) fn forget_before(&mut self, number: u32) {
        for seen in [&mut self.past, &mut self.seen] {
            seen.marks = seen.marks.split_off(&number);
        }
    }

    /// All that was seen.
    pub(super) fn into_seen(mut self) -> Seen {
        self.counter.end(&mut self.seen);
        self.past.merge(self.seen);
        self.past
    }
}

/// A command that has ended is begun again after so long, at the soonest.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a command may take until it follows its log.
const BEGINNING: Duration = Duration::from_secs(2);

fn start(command: String) -> Result<Lines, String> {
    let mut shell = Group::spawn(&command, [(); 3].map(|()| Stdio::piped()))
        .map_err(|error| format!("no shell could be started here: {}", error.kind()))?;
    let errors = shell.child.stderr.take().ok_or("its command has no pipes")?;
    // Read all the time: a command must not wait for somebody to hear its complaints.
    let complaint = tokio::spawn(complaint(errors));
    Ok(Lines::Running(Box::new(Running { command, shell, complaint })))
}

impl Running {
    /// Reads what the command has printed by now. Where it has ended: how.
    async fn read(&mut self, counter: &mut Counter, seen: &mut Seen) -> Option<Result<(), String>> {
        let mut chunk = vec![0; 64 * 1024];
        for _ in 0..64 {
            let output = self.shell.child.stdout.as_mut()?;
            match timeout(Duration::from_millis(2), output.read(&mut chunk)).await {
                Err(_) => return None,
                Ok(Ok(count @ 1..)) => counter.add(seen, &chunk[..count]),
                Ok(_) => return Some(self.end().await),
            }
        }
        None
    }

    async fn end(&mut self) -> Result<(), String> {
        let ended = timeout(Duration::from_millis(500), self.shell.child.wait()).await;
        let status = ended.ok().and_then(Result::ok);
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        let said = timeout(Duration::from_millis(200), &mut self.complaint).await;
        Err(ending(status, &said.ok().and_then(Result::ok).unwrap_or_default()))
    }
}
