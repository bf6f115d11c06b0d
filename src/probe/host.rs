//! A machine: its `/proc`, through a shell that stays open, since under load no new one may start.

use std::collections::BTreeMap;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use crate::probe::client::Failure;
use crate::probe::group::Group;
use crate::probe::record::{Readings, SeriesKind, UNSEEN};

pub(crate) struct Host {
    group: Group,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Busy and all time of the processors at the last look.
    processors: Option<(f64, f64)>,
}

/// Most bytes of one answer.
const MAX_ANSWER: u64 = 256 << 10;

/// Where an answer ends.
const END: &str = "== end";

/// A line, so that the shell at the other end acts on it at once.
const SCRIPT: &str = "for f in loadavg meminfo net/sockstat net/netstat; do cat /proc/$f; done \
                      2>/dev/null; grep '^cpu ' /proc/stat 2>/dev/null; echo '== end'\n";

impl Host {
    pub(crate) fn open(prefix: &str) -> Result<Self, Failure> {
        let mut group = Group::spawn(
            &format!("exec {prefix} sh"),
            [Stdio::piped(), Stdio::piped(), Stdio::null()],
        )?;
        let (input, output) = (group.child.stdin.take(), group.child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Failure::passing("the command has no input and output"));
        };
        Ok(Self { group, input, output: BufReader::new(output), processors: None })
    }

    pub(crate) async fn look(&mut self) -> Result<Readings, Failure> {
        // Where the command has ended this fails; the empty answer tells how it ended.
        let _ = self.input.write_all(SCRIPT.as_bytes()).await;
        let mut answer = (&mut self.output).take(MAX_ANSWER);
        let (mut lines, mut bytes) = (Vec::new(), Vec::new());
        loop {
            bytes.clear();
            if answer.read_until(b'\n', &mut bytes).await? == 0 {
                if answer.limit() == 0 {
                    return Err(Failure::passing("the answer is endless"));
                }
                return Err(Failure::passing(self.group.fate().await));
            }
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if line == END {
                break;
            }
            lines.push(line);
        }
        let figures = figures(&lines);
        if figures.is_empty() {
            return Err(Failure::passing("there is no /proc to read"));
        }
        Ok(self.readings(&figures))
    }

    fn readings(&mut self, figures: &BTreeMap<String, f64>) -> Readings {
        let mut readings = Readings::default();
        let mut unseen = Vec::new();
        for &(metric, kind, unit) in METRICS {
            match figures.get(metric) {
                Some(value) => readings.values.push((metric.into(), kind, unit, *value)),
                None => unseen.push(metric),
            }
        }
        let times = (figures.get("busy"), figures.get("all"));
        if let (Some(&busy), Some(&all)) = times {
            if let Some((busy_before, all_before)) = self.processors
                && all > all_before
            {
                let share = (busy - busy_before) / (all - all_before) * 100.0;
                readings.values.push(("busy".into(), SeriesKind::Gauge, "%", share));
            }
            self.processors = Some((busy, all));
        }
        let unseen = unseen.join(", ");
        let told = if unseen.is_empty() { unseen } else { format!("/proc tells no {unseen}") };
        readings.facts.push((UNSEEN, told));
        readings
    }
}

const METRICS: &[(&str, SeriesKind, &str)] = &[
    ("load", SeriesKind::Gauge, ""),
    ("MemTotal", SeriesKind::Gauge, "bytes"),
    ("MemAvailable", SeriesKind::Gauge, "bytes"),
    ("sockets in use", SeriesKind::Gauge, ""),
    ("sockets in TIME-WAIT", SeriesKind::Gauge, ""),
    ("ListenOverflows", SeriesKind::Counter, ""),
    ("ListenDrops", SeriesKind::Counter, ""),
];

/// What the lines of all files tell.
fn figures(lines: &[String]) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let mut tell = |name: &str, text: Option<&str>, factor: f64| {
        if let Some(value) = text.and_then(|text| text.parse::<f64>().ok()) {
            figures.insert(name.to_owned(), value * factor);
        }
    };
    let mut names: Option<Vec<&str>> = None;
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["TcpExt:", values @ ..] => match names.take() {
                Some(names) => {
                    for (name, value) in names.into_iter().zip(values) {
                        if name == "ListenOverflows" || name == "ListenDrops" {
                            tell(name, Some(value), 1.0);
                        }
                    }
                }
                None => names = Some(values.to_vec()),
            },
            [name @ ("MemTotal:" | "MemAvailable:"), kilobytes, ..] => {
                tell(name.trim_end_matches(':'), Some(kilobytes), 1024.0);
            }
            ["TCP:", rest @ ..] => {
                let after = |name| rest.iter().skip_while(|word| **word != name).nth(1).copied();
                tell("sockets in use", after("inuse"), 1.0);
                tell("sockets in TIME-WAIT", after("tw"), 1.0);
            }
            ["cpu", times @ ..] => {
                // The last two are part of the first two.
                let times = times.iter().take(8).map(|time| time.parse::<f64>().unwrap_or(0.0));
                let times: Vec<f64> = times.collect();
                let (all, idle) = (times.iter().sum::<f64>(), times.iter().skip(3).take(2));
                tell("busy", Some(&(all - idle.sum::<f64>()).to_string()), 1.0);
                tell("all", Some(&all.to_string()), 1.0);
            }
            [load, _, _, tasks, _] if tasks.contains('/') => tell("load", Some(load), 1.0),
            _ => {}
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read_and_foreign_lines_are_passed_over() {
        let text = "0.52 0.58 0.59 1/389 12345\nMemTotal: 100 kB\nMemAvailable: 40 kB\n\
                    TCP: inuse 5 orphan 0 tw 7 alloc 8 mem 1\nTcpExt: A ListenOverflows \
                    ListenDrops\nTcpExt: 1 2 3\ncpu 1 2 3 10 20 4 5 6 7 8\n\u{1b}[2J x\ncpu x\n";
        let lines: Vec<String> = text.lines().take(7).map(str::to_owned).collect();
        let told = |name: &str| format!("{:?}", figures(&lines).get(name));
        let seen = ["load", "MemAvailable", "sockets in TIME-WAIT", "ListenDrops", "busy", "all"];
        let expected = ["0.52", "40960.0", "7.0", "3.0", "21.0", "51.0"];
        for (name, value) in seen.into_iter().zip(expected) {
            assert_eq!(told(name), format!("Some({value})"), "{name}");
        }
        assert!(figures(&["hello".to_owned(), String::new(), "TcpExt:".to_owned()]).is_empty());
    }
}
