//! How many reads the origin has served, counted once a second while a replay runs: the stage's own
//! counter, or what MySQL and MariaDB say of themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use tokio::runtime::Runtime;

use crate::act::Ground;
use crate::drive::clock::nanoseconds;
use crate::drive::gauges::Gauges;
use crate::scenario::acts::cold::{ColdOptions, Origin};
use crate::scenario::endpoint::Endpoint;
use crate::shape::MAX_SECONDS;

/// Reads of the origin since it started, at moments of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OriginReads {
    /// The moment since the replay's start, and the count.
    pub moments: Vec<(Duration, f64)>,
}

impl OriginReads {
    /// What a counter that others look at grew during a replay: its values, with moments in ns
    /// since the start of the rehearsal, from the last look before `from_ns` to the first after
    /// `to_ns`. A counter that fell was set to zero meanwhile.
    pub fn of_series(points: &[(u64, f64)], from_ns: u64, to_ns: u64) -> Self {
        let first = points.partition_point(|(at, _)| *at <= from_ns).saturating_sub(1);
        let last = (points.partition_point(|(at, _)| *at < to_ns) + 1).min(points.len());
        let (mut grown, mut before) = (0.0, None::<f64>);
        let moments = points[first.min(last)..last].iter().map(|(at, value)| {
            grown +=
                before.map_or(0.0, |before| if *value < before { *value } else { value - before });
            before = Some(*value);
            (Duration::from_nanos(at.saturating_sub(from_ns)), grown)
        });
        Self { moments: moments.collect() }
    }

    /// Reads up to a moment since the first count, between counts in proportion; `None` outside
    /// of what was counted.
    pub fn until(&self, moment: Duration) -> Option<f64> {
        let (_, first) = *self.moments.first()?;
        let after = self.moments.iter().position(|(at, _)| *at >= moment)?;
        let (at, count) = self.moments[after];
        let (before_at, before) = self.moments[after.saturating_sub(1)];
        let between = at.saturating_sub(before_at).as_secs_f64();
        let share = if between > 0.0 {
            moment.saturating_sub(before_at).as_secs_f64() / between
        } else {
            1.0
        };
        Some(before + (count - before) * share.min(1.0) - first)
    }

    /// All reads between the first and the last count.
    pub fn total(&self) -> Option<f64> {
        let ((_, first), (_, last)) = self.moments.first().zip(self.moments.last())?;
        Some((last - first).max(0.0))
    }
}

/// What counts.
pub(super) enum Counter {
    /// The stage counts its store's reads.
    Stage(Arc<dyn Fn() -> u64 + Send + Sync>),
    /// A connection to the server, with the runtime that drives it.
    Mysql(Runtime, Box<Conn>),
}

/// Longest wait for the origin's server, so that a hung one does not hold the act.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two counts.
const INTERVAL: Duration = Duration::from_secs(1);

/// Opens what counts; `None` where nothing is to be counted.
pub(super) fn open(ground: &Ground<'_>, options: &ColdOptions) -> Result<Option<Counter>, String> {
    match (&options.origin, ground.stage) {
        (Some(Origin::Mysql(endpoint)), _) => connect(ground, endpoint).map(Some),
        (Some(Origin::Probe(name)), _) => match watched_reads(ground, name) {
            Some(_) => Ok(None),
            None => Err(format!("nothing that counts reads is watched as `{name}`")),
        },
        (None, Some(stage)) => Ok(Some(Counter::Stage(Arc::clone(&stage.store_reads)))),
        (None, None) => Ok(None),
    }
}

/// What a probe saw of the origin during a replay that began at `from_ns` of the rehearsal and has
/// just ended.
pub(super) fn watched(
    ground: &Ground<'_>,
    options: &ColdOptions,
    from_ns: u64,
) -> Option<OriginReads> {
    let Some(Origin::Probe(name)) = &options.origin else { return None };
    let points = watched_reads(ground, name)?;
    let reads = OriginReads::of_series(&points, from_ns, nanoseconds(ground.epoch.now()));
    Some(reads).filter(|reads| reads.moments.len() > 1)
}

/// Values of the counter of reads of a probe, with moments in ns since the rehearsal's start.
fn watched_reads(ground: &Ground<'_>, name: &str) -> Option<Vec<(u64, f64)>> {
    let records = ground.watching?.snapshot();
    let record = records.iter().find(|record| record.name == *name)?;
    READS.iter().find_map(|metric| Some(record.metric(metric)?.points.clone()))
}

/// Counters of probes that count reads of a store: what MySQL and PostgreSQL call them.
const READS: [&str; 2] = ["Com_select", "xact_commit"];

fn connect(ground: &Ground<'_>, endpoint: &Endpoint) -> Result<Counter, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let servers = &ground.recording.header().servers;
    let connected = runtime.block_on(async {
        // It is only watched: to name it is leave enough.
        let address =
            endpoint.resolve(None, servers).await.map_err(|error| format!("{error:#}"))?;
        let options: Opts = OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(endpoint.user.clone())
            .pass(endpoint.password.clone())
            .prefer_socket(false)
            .into();
        match tokio::time::timeout(PATIENCE, Conn::new(options)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(format!("{endpoint} refused: {}", brief(&error))),
            Err(_) => Err(format!("{endpoint} did not answer for 5 s")),
        }
    });
    Ok(Counter::Mysql(runtime, Box::new(connected?)))
}

/// An error in a line; a server's own words name the user at most.
fn brief(error: &mysql_async::Error) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

impl Counter {
    /// The reads so far; `None` when the server does not say, or no more.
    fn count(&mut self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 reads")]
            Self::Stage(reads) => Some(reads() as f64),
            Self::Mysql(runtime, connection) => runtime.block_on(async {
                let asked = connection
                    .query_first::<(String, String), _>("SHOW GLOBAL STATUS LIKE 'Com_select'");
                let row = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()??;
                row.1.parse().ok()
            }),
        }
    }
}

/// Counts on a thread of its own, from before a replay's start until after its end.
pub(super) struct Recorder {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<(OriginReads, Option<Counter>)>,
}

impl Recorder {
    /// Counts once, and then once a second by the replay's own clock.
    pub(super) fn start(mut counter: Counter, gauges: &Arc<Gauges>) -> Result<Self, String> {
        let ended = Arc::new(AtomicBool::new(false));
        let (stop, gauges) = (Arc::clone(&ended), Arc::clone(gauges));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let first = counter.count();
        let thread = thread::Builder::new()
            .name("origin".to_owned())
            .spawn(move || {
                let mut reads = OriginReads::default();
                reads.moments.extend(first.map(|count| (Duration::ZERO, count)));
                let mut next = INTERVAL;
                loop {
                    let is_last = stop.load(Ordering::Acquire);
                    let now = gauges.snapshot().elapsed;
                    if is_last || now >= next {
                        next = now + INTERVAL;
                        let Some(count) = counter.count() else { return (reads, None) };
                        if reads.moments.len() <= MAX_SECONDS {
                            reads.moments.push((now, count));
                        }
                    }
                    if is_last {
                        return (reads, Some(counter));
                    }
                    let moment = tokio::time::Instant::now() + INTERVAL / 50;
                    runtime.block_on(async { tokio::time::sleep_until(moment).await });
                }
            })
            .map_err(|error| error.to_string())?;
        Ok(Self { ended, thread })
    }

    /// Counts a last time, and gives the counter back if it still counts.
    pub(super) fn finish(self) -> (OriginReads, Option<Counter>) {
        self.ended.store(true, Ordering::Release);
        // A panic of the counter is a bug of ours, and goes on here.
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_others_look_at_is_cut_to_the_replay() {
        let points: Vec<(u64, f64)> = [7.0, 10.0, 30.0, 2.0, 5.0, 9.0]
            .into_iter()
            .zip(0..)
            .map(|(value, second)| (second * 1_000_000_000, value))
            .collect();
        let reads = OriginReads::of_series(&points, 1_000_000_000, 4_000_000_000);
        let counts: Vec<f64> = reads.moments.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [0.0, 20.0, 22.0, 25.0], "it was set to zero in the fourth second");
        assert_eq!(reads.moments[3].0, Duration::from_secs(3));
        assert_eq!(OriginReads::of_series(&[], 0, 5), OriginReads::default());
        assert_eq!(OriginReads::of_series(&points, u64::MAX, u64::MAX).moments.len(), 1);
        assert_eq!(OriginReads::of_series(&points, 5_000_000_000, 0).moments.len(), 0);
    }

    #[test]
    fn reads_between_two_counts_are_in_proportion() {
        let second = Duration::from_secs;
        let reads = OriginReads {
            moments: vec![(second(0), 100.0), (second(1), 150.0), (second(3), 250.0)],
        };
        for (moment, expected) in [(0, 0.0), (500, 25.0), (1_000, 50.0), (2_000, 100.0)] {
            let found = reads.until(Duration::from_millis(moment)).unwrap();
            assert!((found - expected).abs() < 1e-9, "{moment}: {found}");
        }
        assert_eq!(reads.until(second(4)), None, "nobody counted then");
        assert_eq!(reads.total(), Some(150.0));
        assert_eq!(OriginReads::default().total(), None);
    }
}
