//! How the generator's own machine was doing: evidence for whose fault lateness is.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drive::census::Seen;

/// Facts about this machine during a run. A fact that the system does not offer is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Logical processors that this process may use.
    pub processors: u32,
    /// Share of all processor time that the hypervisor took away (`/proc/stat`, steal), 0 to 1.
    pub steal_share: Option<f64>,
    /// Share of all processor time that was in use by anybody, 0 to 1.
    pub busy_share: Option<f64>,
    /// Processor seconds used by this process.
    pub own_cpu_seconds: Option<f64>,
    /// Seconds that the driver's threads, ready to run, waited for a processor
    /// (`/proc/self/task/*/schedstat`).
    pub run_queue_wait_seconds: Option<f64>,
    /// Soft limit on open files after it was raised; `u64::MAX` for none.
    pub open_files_limit: Option<u64>,
    /// Length of the run in seconds.
    pub seconds: f64,
    /// What it could do just before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Arrivals that were read from the plan only after their moment.
    #[serde(default)]
    pub read_late: u64,
    /// How often the reader of the plan had to wait because as much as may be was in memory.
    #[serde(default)]
    pub reader_waits: u64,
    /// The sum of the times that requests were in flight, as it was counted at both of their ends;
    /// seconds. [`crate::summary::Summary::in_flight_ns`] has it from the samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_seconds: Option<f64>,
    /// Requests in flight as they were looked at, by [`crate::summary::flight::BIN`]; what it comes
    /// to is in the findings.
    #[serde(skip)]
    pub seen: Vec<Seen>,
}

/// What this machine did before a run, sending to a sink on itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Requests a second that were asked of it: twice the plan's peak.
    pub asked_rate: u64,
    /// Requests that it sent ...
    pub sent: u64,
    /// ... in so many nanoseconds.
    pub took_ns: u64,
    /// Median of its lateness (due to dispatched).
    pub lateness_p50_ns: u64,
    /// 99th percentile of its lateness.
    pub lateness_p99_ns: u64,
}

impl Calibration {
    /// Requests a second that it sent, the fraction left out.
    pub fn sent_rate(&self) -> u64 {
        let a_second = u128::from(self.sent) * 1_000_000_000 / u128::from(self.took_ns.max(1));
        u64::try_from(a_second).unwrap_or(u64::MAX)
    }

    /// The finest time-scale that it resolves (science: ten times the 99th percentile), in
    /// nanoseconds.
    pub fn resolves_ns(&self) -> u64 {
        self.lateness_p99_ns.saturating_mul(10)
    }
}

/// The counters at the start of a run.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    processor_ticks: Option<ProcessorTicks>,
    own_cpu: Duration,
    open_files_limit: u64,
}

/// Processor time of the whole machine since it started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcessorTicks {
    total: u64,
    idle: u64,
    steal: u64,
}

/// Reads the counters, and raises the limit on open files as far as this process may.
pub(crate) fn before() -> Before {
    Before {
        open_files_limit: raise_open_files_limit(),
        processor_ticks: processor_ticks(),
        own_cpu: own_cpu(),
    }
}

/// Reads the counters again. `run_queue_wait` is what the driver's threads saw of it.
pub(crate) fn after(before: &Before, length: Duration, run_queue_wait: Option<Duration>) -> Health {
    let shares = before.processor_ticks.zip(processor_ticks());
    let share = |of: fn(&ProcessorTicks) -> u64| {
        let (before, after) = shares?;
        let total = after.total.checked_sub(before.total).filter(|total| *total > 0)?;
        // A counter may run backwards by a tick between processors.
        Some(ratio(of(&after).saturating_sub(of(&before)).min(total), total))
    };
    Health {
        processors: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        steal_share: share(|ticks| ticks.steal),
        busy_share: share(|ticks| ticks.total - ticks.idle - ticks.steal),
        own_cpu_seconds: Some(own_cpu().saturating_sub(before.own_cpu).as_secs_f64()),
        run_queue_wait_seconds: run_queue_wait.map(|wait| wait.as_secs_f64()),
        open_files_limit: Some(before.open_files_limit),
        seconds: length.as_secs_f64(),
        ..Health::default()
    }
}

/// Time that the calling thread waited for a processor since it began. A thread takes its figure
/// with it when it ends, so each reads its own.
pub(crate) fn run_queue_wait_of_this_thread() -> Option<Duration> {
    parse_run_queue_wait(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// Raises the soft limit on open files as far as this process may, and tells it.
pub(crate) fn raise_open_files_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // The old limit still stands when it may not be raised, and is what gets reported.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn own_cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(used.tv_sec).unwrap_or(0), u32::try_from(used.tv_nsec).unwrap_or(0))
}

fn processor_ticks() -> Option<ProcessorTicks> {
    parse_processor_ticks(&fs::read_to_string("/proc/stat").ok()?)
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
fn parse_processor_ticks(stat: &str) -> Option<ProcessorTicks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut ticks = [0_u64; 8];
    let mut fields = line.split_ascii_whitespace();
    for tick in &mut ticks {
        *tick = fields.next()?.parse().ok()?;
    }
    let total = ticks.iter().try_fold(0_u64, |sum, tick| sum.checked_add(*tick))?;
    Some(ProcessorTicks { total, idle: ticks[3] + ticks[4], steal: ticks[7] })
}

/// The second number: nanoseconds spent waiting on a run queue.
fn parse_run_queue_wait(schedstat: &str) -> Option<Duration> {
    let wait = schedstat.split_ascii_whitespace().nth(1)?;
    wait.parse().ok().map(Duration::from_nanos)
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a run are far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_from_the_first_line() {
        let stat = "cpu  10 1 5 80 4 0 1 3 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        let ticks = ProcessorTicks { total: 104, idle: 84, steal: 3 };
        assert_eq!(parse_processor_ticks(stat), Some(ticks));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        for stat in ["", "cpu 1 2 3", "cpu a b c d e f g h", "intr 1\n"] {
            assert_eq!(parse_processor_ticks(stat), None);
        }
        let huge = format!("cpu {0} {0} 0 0 0 0 0 0", u64::MAX);
        assert_eq!(parse_processor_ticks(&huge), None);
        assert_eq!(parse_run_queue_wait(""), None);
        assert_eq!(parse_run_queue_wait("339 106478 1"), Some(Duration::from_nanos(106_478)));
    }

    #[test]
    fn shares_are_of_the_time_between_two_readings() {
        let mut before = before();
        before.processor_ticks = None;
        let health = after(&before, Duration::from_secs(2), None);
        assert_eq!((health.steal_share, health.busy_share), (None, None));
        assert_eq!((health.seconds, health.run_queue_wait_seconds), (2.0, None));
        before.processor_ticks = Some(ProcessorTicks { total: 0, idle: 0, steal: 0 });
        let health = after(&before, Duration::ZERO, Some(Duration::from_millis(1500)));
        assert!(health.busy_share.is_none_or(|share| (0.0..=1.0).contains(&share)));
        assert_eq!(health.run_queue_wait_seconds, Some(1.5));
    }

    #[test]
    fn the_limit_on_open_files_is_as_high_as_it_may_be() {
        let raised = raise_open_files_limit();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX));
    }
}
