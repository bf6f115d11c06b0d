//! Asks one node for its facts and its clock, over the user's command.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::time::timeout;

use crate::act::fingerprint::script::Script;
use crate::act::fingerprint::{ClockOffset, NodeFacts};
use crate::act::shell::{complaint, ending};
use crate::act::wall::unix_ns;
use crate::drive::stop::Stop;
use crate::probe::group::Group;
use crate::scenario::nodes::Node;
use crate::units::format_duration;

/// Asks a node; a problem is part of what is returned.
pub(super) async fn ask(node: Node, script: &Script, within: Duration, stop: Stop) -> NodeFacts {
    let mut stopped = stop.subscribe();
    let asked = tokio::select! {
        asked = timeout(within, answer(&node, script)) => asked.unwrap_or_else(|_| {
            Err(format!("it did not answer within {}", format_duration(within)))
        }),
        _ = stopped.wait_for(|requested| *requested) => Err("the rehearsal was stopped".to_owned()),
    };
    let name = node.name;
    match asked {
        Ok((facts, clock)) => NodeFacts { name, facts, clock, problem: None },
        Err(problem) => NodeFacts { name, problem: Some(problem), ..NodeFacts::default() },
    }
}

type Asked = (std::collections::BTreeMap<String, super::Fact>, Option<ClockOffset>);

async fn answer(node: &Node, script: &Script) -> Result<Asked, String> {
    let mut shell = Group::spawn(&format!("{} sh -s", node.run), [(); 3].map(|()| Stdio::piped()))
        .map_err(|error| format!("no shell could be started here: {error}"))?;
    let pipes = (shell.child.stdin.take(), shell.child.stdout.take(), shell.child.stderr.take());
    let (Some(input), Some(output), Some(errors)) = pipes else {
        return Err("its command has no pipes".to_owned());
    };
    let conversation = async {
        let mut reader = Reader { output, kept: Vec::new() };
        let talked = talk(input, &mut reader, script).await;
        (talked, reader)
    };
    let ((talked, reader), complaint) = tokio::join!(conversation, complaint(errors));
    let clock = match talked {
        Ok(clock) => clock,
        Err(Silence::TooMuch) => {
            return Err(format!("it printed more than {} MiB", ANSWER_BYTES_MAX >> 20));
        }
        Err(Silence::Ended) => return Err(reason(&mut shell, &complaint).await),
    };
    match script.read(&String::from_utf8_lossy(&reader.kept)) {
        Some(facts) => Ok((facts, clock)),
        None => Err(reason(&mut shell, &complaint).await),
    }
}

/// Why a node said nothing.
async fn reason(shell: &mut Group, complaint: &str) -> String {
    let ended = timeout(Duration::from_secs(1), shell.child.wait()).await;
    ending(ended.ok().and_then(Result::ok), complaint)
}

/// Why a conversation ended early.
enum Silence {
    Ended,
    TooMuch,
}

/// Asks for the clock a few times, and then for everything else.
async fn talk<R: AsyncRead + Unpin>(
    mut input: ChildStdin,
    reader: &mut Reader<R>,
    script: &Script,
) -> Result<Option<ClockOffset>, Silence> {
    let (mut best, line) = (None::<ClockOffset>, script.clock());
    for _ in 0..CLOCK_QUESTIONS {
        let asked_ns = unix_ns();
        let from = reader.kept.len();
        if input.write_all(line.as_bytes()).await.is_err() {
            return Err(Silence::Ended);
        }
        let answer = reader.line_with(&format!("{} clock ", script.mark), from).await?;
        let seen = offset(&answer, asked_ns, unix_ns());
        // The shortest way there and back says most.
        best = match (best, seen) {
            (Some(best), Some(seen)) if seen.uncertainty_ns > best.uncertainty_ns => Some(best),
            (best, seen) => seen.or(best),
        };
    }
    let text = script.text();
    let written = async {
        // Where the node is gone, reading says so.
        let _ = input.write_all(text.as_bytes()).await;
        drop(input);
    };
    let ((), read) = tokio::join!(written, reader.rest());
    read.map(|()| best)
}

/// The first answer includes the way to the node, and logging in there.
const CLOCK_QUESTIONS: usize = 4;

/// Half the way there and back is taken for the way there, and all of that half may be wrong.
fn offset(answer: &str, asked_ns: i64, answered_ns: i64) -> Option<ClockOffset> {
    let (seconds, fraction) = answer.trim().split_once('.').unwrap_or((answer.trim(), ""));
    let seconds: i64 = seconds.parse().ok()?;
    // Not every `date` knows parts of seconds.
    let nanoseconds = Some(fraction).filter(|digits| digits.len() == 9);
    let nanoseconds = nanoseconds.and_then(|digits| digits.parse::<i64>().ok());
    let (part, coarse) = nanoseconds.map_or((500_000_000, 500_000_000), |part| (part, 0));
    let theirs = seconds.checked_mul(1_000_000_000)?.checked_add(part)?;
    let half = answered_ns.saturating_sub(asked_ns).max(0) / 2;
    Some(ClockOffset {
        offset_ns: theirs.saturating_sub(asked_ns.saturating_add(half)),
        uncertainty_ns: u64::try_from(half.saturating_add(coarse)).unwrap_or(u64::MAX),
    })
}

/// Most bytes of an answer: ten times the package list of a large installation.
const ANSWER_BYTES_MAX: usize = 4 << 20;

struct Reader<R> {
    output: R,
    kept: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Waits for a whole line with `start`, at `from` or later; what follows `start` in it.
    async fn line_with(&mut self, start: &str, from: usize) -> Result<String, Silence> {
        loop {
            let text = String::from_utf8_lossy(&self.kept[from.min(self.kept.len())..]);
            let found = text.split_once(start).and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((answer, _)) = found {
                return Ok(answer.to_owned());
            }
            if self.more().await? == 0 {
                return Err(Silence::Ended);
            }
        }
    }

    async fn rest(&mut self) -> Result<(), Silence> {
        while self.more().await? > 0 {}
        Ok(())
    }

    async fn more(&mut self) -> Result<usize, Silence> {
        if self.kept.len() > ANSWER_BYTES_MAX {
            return Err(Silence::TooMuch);
        }
        let mut chunk = vec![0; 16 * 1024];
        let count = self.output.read(&mut chunk).await.unwrap_or(0);
        self.kept.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_round_trip_is_taken_off() {
        let second = 1_000_000_000;
        let seen = offset("105.500000000\n", 100 * second, 101 * second).unwrap();
        assert_eq!((seen.offset_ns, seen.uncertainty_ns), (5 * second, 500_000_000));
        // A `date` that knows whole seconds only.
        let seen = offset("100.%N", 100 * second, 101 * second).unwrap();
        assert_eq!((seen.offset_ns, seen.uncertainty_ns), (0, 1_000_000_000));
        assert_eq!(offset("no date", 0, 1), None);
    }
}
