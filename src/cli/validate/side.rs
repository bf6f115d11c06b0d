//! One side of a comparison, from whatever a user names: a recording, a capture, or a saved run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;

use crate::cli::load::load_as_it_is;
use crate::recording::Header;
use crate::recording::file::reader::RecordingReader;
use crate::report::files::RUN_FILE;
use crate::report::json;
use crate::report::model::Report;
use crate::shape::likeness::Side;
use crate::shape::profile::Profile;
use crate::shape::profile::fold::Profiler;
use crate::stats::counts::as_f64;

/// A saved run keeps whole seconds. Nothing is said below ten steps of a clock, so that this step
/// leaves what is of seconds and more.
const RUN_STEP_NS: u64 = 100_000_000;

/// A load that was read.
pub(super) struct Read {
    pub(super) profile: Profile,
    clock_step_ns: u64,
    lost: f64,
    knows_connections: bool,
    handshakes: [u64; 2],
    pub(super) warnings: Vec<String>,
}

impl Read {
    pub(super) fn side(&self) -> Side<'_> {
        Side {
            profile: &self.profile,
            clock_step_ns: self.clock_step_ns,
            lost: self.lost,
            knows_connections: self.knows_connections,
            handshakes: self.handshakes,
        }
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<Read> {
    match run_file(path) {
        Some(file) if file.is_file() => of_run(&json::read(&file)?, path),
        Some(file) => bail!(
            "{}: is a folder without {}; name the folder of a run, a recording or a capture",
            path.display(),
            file.file_name().unwrap_or_default().display()
        ),
        None => of_recording(path),
    }
}

/// The file of a saved run, where the path is one or the folder of one.
fn run_file(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path.join(RUN_FILE));
    }
    (path.file_name()? == RUN_FILE).then(|| path.to_owned())
}

fn of_recording(path: &Path) -> anyhow::Result<Read> {
    let loaded = load_as_it_is(path)?;
    let header = loaded.reader.header();
    let name = path.display();
    let warnings = loaded.warnings.iter().map(|warning| format!("{name}: {warning}"));
    let mut warnings: Vec<String> = warnings.collect();
    let cuts = header.ledger.cuts();
    if !cuts.is_empty() {
        warnings.push(format!("{name}: not all of the input: {}", cuts.join(", ")));
    }
    Ok(Read {
        profile: profile(&loaded.reader)?,
        clock_step_ns: header.clock_resolution_ns,
        lost: lost(header),
        knows_connections: !header.ledger.guesses_connections(),
        handshakes: header.handshakes.counts(),
        warnings,
    })
}

/// The share of messages that came in and became no exchange, and of lines and records that were
/// not read: any of them may have been a request.
fn lost(header: &Header) -> f64 {
    let unread = header.ledger.unread();
    let all = header.ledger.messages.total.saturating_add(unread);
    if all == 0 {
        return 0.0;
    }
    as_f64(all.saturating_sub(header.exchanges)) / as_f64(all)
}

fn profile(reader: &RecordingReader) -> anyhow::Result<Profile> {
    let mut profiler = Profiler::default();
    let mut sights = reader.sights();
    for sight in sights.by_ref() {
        profiler.add(&sight?);
    }
    Ok(profiler.finish(&sights.names()))
}

/// Of what was planned, the share that may not have left where the mix of what did is still taken
/// for the planned one: mixes are then no farther apart than that.
const MOST_UNSENT: f64 = 0.001;

/// What the target received in a run: the seconds, which is all that a saved run keeps, and the mix
/// of what was planned where nearly all of it was sent.
fn of_run(run: &Report, path: &Path) -> anyhow::Result<Read> {
    if run.series.is_empty() {
        bail!("{}: this run replayed nothing, so that it has no load to compare", path.display());
    }
    let seconds: Vec<u64> = run.series.iter().map(|second| second.sent).collect();
    let planned: f64 = run.routes.iter().map(|row| as_f64(row.arrivals)).sum();
    let sent: f64 = seconds.iter().map(|&sent| as_f64(sent)).sum();
    let unknown = if run.other_routes.arrivals > 0 {
        Some("it had more routes than a saved run lists")
    } else if planned - sent > MOST_UNSENT * planned {
        Some("routes are listed as planned, and not all of that was sent")
    } else {
        None
    };
    let listed = if unknown.is_none() { run.routes.as_slice() } else { &[] };
    let routes = listed.iter().map(|row| (Arc::from(row.route.as_str()), row.arrivals));
    let name = path.display();
    let mut warnings = vec![format!(
        "{name}: a saved run keeps whole seconds, and neither sizes nor keys; its own report \
         judged it request by request"
    )];
    warnings.extend(unknown.map(|why| format!("{name}: its mix is not known: {why}")));
    if let Some(scaling) = &run.facts.scaling {
        warnings.push(format!(
            "{name}: this run was another load on purpose, by a scale of {} and a speed of {}: {}",
            scaling.scale,
            scaling.speed,
            scaling.bursts()
        ));
    }
    Ok(Read {
        profile: Profile::of_seconds(&seconds, routes.collect()),
        clock_step_ns: RUN_STEP_NS,
        lost: 0.0,
        knows_connections: true,
        handshakes: [0; 2],
        warnings,
    })
}
