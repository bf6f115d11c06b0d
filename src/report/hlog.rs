//! The latencies of a run as an `HdrHistogram` log, which every tool of that family reads: a line
//! for each window, route and class of status, with the route and the class in its tag.

use std::io;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use jiff::Timestamp;

use crate::report::model::Report;
use crate::summary::cells::{Cells, Key};

/// Name of the log within the folder of a run.
pub const HLOG_FILE: &str = "latency.hlog";

/// Writes the log of a run, whose moments are those of its replay. Values are nanoseconds; the
/// column of the largest value is in milliseconds.
pub fn write(report: &Report, cells: &Cells, mut out: &mut dyn io::Write) -> io::Result<()> {
    let started = report.started.parse::<Timestamp>().map_or(SystemTime::UNIX_EPOCH, Into::into);
    let started = started + Duration::from_nanos(report.replay_started_ns.unwrap_or(0));
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("latency (due to done) in nanoseconds; tags are ROUTE|CLASS")
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(1_000_000.0)
        .begin_log_with(&mut out, &mut serializer)?;
    let window = cells.window();
    for (key, times) in cells.all() {
        let tag = tag(key);
        // Since the base time.
        let start = window.saturating_mul(key.window);
        log.write_histogram(times, start, window, Tag::new(&tag))
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
    }
    Ok(())
}

/// Tags have no blanks and no commas.
fn tag(key: &Key) -> String {
    let text = format!("{}|{}", key.route, key.class.name());
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    text.chars().map(|c| if is_bad(c) { '_' } else { c }).collect()
}
