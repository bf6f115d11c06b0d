//! A recording becomes a model.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::exit::Exit;
use crate::cli::files::check_output;
use crate::cli::load::{Loaded, load};
use crate::cli::outputs::printable;
use crate::cli::synth::Synth;
use crate::cli::{Voice, outputs};
use crate::model::chains::by_session;
use crate::model::check::{Check, DRAWS, FAR, FLOORS, Row, check};
use crate::model::file::read::from_text;
use crate::model::file::write;
use crate::model::fit::{About, Fit, Options, fit as fitted};
use crate::model::leak::copies::{Copies, MORE, STEPS, Tested, tested};
use crate::model::leak::{leaks, told};
use crate::model::observe::{Event, unfit};
use crate::model::statistics::{Point, Tally};
use crate::report::files::write_whole;
use crate::units::{format_count, format_duration, format_share};

pub(super) fn fit(command: &Synth, voice: Voice) -> anyhow::Result<Exit> {
    if let Some(output) = &command.output {
        check_output(output, std::slice::from_ref(&command.input))?;
    }
    let loaded = load(&command.input)?;
    for warning in &loaded.warnings {
        outputs::note(voice.quiet, &printable(&format!("warning: {warning}")));
    }
    let header = loaded.reader.header();
    let about = About {
        length: Duration::from_nanos(header.duration_ns).as_secs_f64(),
        resolution: Duration::from_nanos(header.clock_resolution_ns).as_secs_f64(),
        closings: &header.closings,
    };
    let options = Options { hides_routes: command.hide_routes };
    let mut fit = fitted(&mut || loaded.reader.exchanges(None), about, options)
        .with_context(|| format!("{}: no model can be fitted", command.input.display()))?;
    outputs::note(voice.quiet, &described(&fit));
    private(&write(&fit.model), &mut fit, &loaded, voice)?;
    // What is added now was typed by whoever may know it.
    fit.model.edits.sessions *= command.scale;
    command.edits.apply(&mut fit.model)?;
    let text = write(&fit.model);
    if let Some(output) = &command.output {
        put(output, &text)?;
        outputs::note(voice.quiet, &format!("-> {}", output.display()));
    }
    if command.check {
        let check = checked(&fit, &loaded, about.resolution)?;
        let text = if command.json {
            format!("{}\n", serde_json::to_string_pretty(&check)?)
        } else {
            table(&check)
        };
        outputs::result(&text);
    }
    Ok(Exit::Pass)
}

/// What is private must not get into a file: nothing is written where it does.
fn private(text: &str, fit: &mut Fit, loaded: &Loaded, voice: Voice) -> anyhow::Result<()> {
    // What is written must be there to be read, whatever was recorded.
    from_text(text, "the model that was fitted")?;
    let found = leaks(text, &mut || loaded.reader.exchanges(None))?;
    if !found.found.is_empty() {
        bail!(
            "the model is not written, since something recorded is in it: {found}; --hide-routes \
             puts numbers in the place of words"
        );
    }
    outputs::note(voice.quiet, &told(&found));
    let ranges = by_session(&mut fit.observation.events);
    let events = &fit.observation.events;
    let sessions: Vec<(&[Event], u8)> = ranges
        .iter()
        .zip(&fit.group_of)
        .filter_map(|(range, group)| Some((events.get(range.clone())?, *group)))
        .collect();
    let copied = tested(&sessions, &fit.observation.owners, fit.model.routes.len());
    if let Some((group, worst)) = copied.worst() {
        let whose = match group {
            0 => "all sessions".to_owned(),
            group => format!("group {group}"),
        };
        bail!(
            "the model is not written, since it would repeat what single clients did: of {whose}, \
             {}, which is more than {} apart; record for longer",
            shares(&worst),
            format_share(MORE)
        );
    }
    outputs::note(voice.quiet, &passed(&copied));
    Ok(())
}

/// The sentence for people about a copy test that found nothing.
fn passed(copied: &Tested) -> String {
    let all = copied.all.as_ref().map_or_else(
        || format!("too few clients, or sessions of {STEPS} steps, to tell"),
        |all| format!("of {}", shares(all)),
    );
    let (told, groups) = (copied.groups.iter().flatten().count(), copied.groups.len());
    let of_groups = match groups {
        0 => String::new(),
        _ if told == groups => "; no more of any group".to_owned(),
        _ => format!("; no more of {told} of {groups} groups, whose others are too few to tell"),
    };
    format!("copy test: {all}{of_groups}")
}

fn shares(copied: &Copies) -> String {
    format!(
        "sequences of {STEPS} steps that are drawn, {} are known from the clients that a chain \
         saw, and {} from others",
        format_share(copied.seen),
        format_share(copied.unseen)
    )
}

fn put(output: &Path, text: &str) -> anyhow::Result<PathBuf> {
    let folder = match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = output.file_name().and_then(OsStr::to_str);
    let name = name.with_context(|| format!("cannot write {}", output.display()))?;
    Ok(write_whole(folder, name, text.as_bytes())?)
}

/// What was fitted, in a few lines.
fn described(fit: &Fit) -> String {
    let model = &fit.model;
    let mut text = format!(
        "{} requests of {} sessions in {}: {} routes, {} groups of sessions, {} stretches of the \
         rate",
        format_count(model.fitted.requests),
        format_count(model.fitted.sessions),
        format_duration(Duration::try_from_secs_f64(model.duration).unwrap_or_default()),
        model.routes.len(),
        model.groups.len(),
        model.rate.len()
    );
    if let Some(tests) = fit.arrivals.tests {
        let verdict = if tests.pass() { "a Poisson process" } else { "no Poisson process" };
        let _ = write!(
            text,
            "\nsessions begin as {verdict} whose rate changes (distances {:.3} and {:.3}, \
             5% above {:.3})",
            tests.uniform, tests.lewis, tests.limit
        );
    }
    let dispersion: Vec<String> = fit
        .arrivals
        .dispersion
        .iter()
        .map(|(window, index)| format!("{index:.2} at {window} s"))
        .collect();
    if !dispersion.is_empty() {
        let bursts = if model.bursts.is_some() { "the rate switches" } else { "no bursts" };
        let _ = write!(text, "\nbeginnings (IDC): {}; {bursts}", dispersion.join(", "));
    }
    for (reason, count) in &fit.left_out {
        let _ = write!(text, "\nleft out: {} {reason}", format_count(*count));
    }
    for (what, count) in &fit.observation.beyond {
        let _ = write!(text, "\nbeyond what is kept: {} {what}", format_count(*count));
    }
    text
}

fn checked(fit: &Fit, loaded: &Loaded, resolution: f64) -> anyhow::Result<Check> {
    let mut recorded = Tally::default();
    for exchange in loaded.reader.exchanges(None) {
        let exchange = exchange?;
        if unfit(&exchange).is_none() {
            recorded.add(&Point::recorded(&exchange, &fit.observation.table));
        }
    }
    // The check is of what was fitted, not of what was changed.
    let mut model = fit.model.clone();
    model.edits = crate::model::edit::Edits::default();
    Ok(check(&model, &recorded, resolution, DRAWS))
}

/// The check as a table, with a picture of where the recording lies among those drawn.
fn table(check: &Check) -> String {
    let rows = &check.statistics;
    let mut text = format!(
        "check of the fit: the recording among {DRAWS} drawn\n{:<28} {:>10} {:>10} {:>9} {:>6} \
         {:>7} {:>7} {:>5}  {}\n",
        "", "recorded", "drawn", "±", "z", "error", "limit", "rank", "-3σ   drawn   +3σ"
    );
    for row in rows {
        let z = row.z.map_or("-".to_owned(), |z| format!("{z:.1}"));
        let note = if row.fits { "" } else { "  outside" };
        let _ = writeln!(
            text,
            "{:<28} {:>10} {:>10} {:>9} {:>6} {:>7} {:>7} {:>5}  {}{note}",
            row.name,
            digits(row.recorded),
            digits(row.mean),
            digits(row.deviation),
            z,
            digits(row.error),
            row.tolerance.map_or("-".to_owned(), digits),
            format!("{:.0}/{}", row.rank, row.draws),
            picture(row)
        );
    }
    let outside = rows.iter().filter(|row| !row.fits).count();
    let _ = writeln!(
        text,
        "{outside} of {} statistics are outside what the model gives (|z| above {FAR}, or an error \
         above its limit: the tolerance on shared machines, or {FLOORS} times what those drawn are \
         apart)",
        rows.len()
    );
    if !check.left_out.is_empty() {
        let _ = writeln!(
            text,
            "not checked, since fewer than two of those drawn have it: {}",
            check.left_out.join(", ")
        );
    }
    if let Some(all) = check.envelope {
        let verdict = if all.fits { "within" } else { "outside of" };
        let _ = writeln!(
            text,
            "all {} together: {verdict} the global rank envelope (most extreme rank {}, p {:.2})",
            all.statistics, all.rank, all.p
        );
    }
    text
}

fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 1e7 => format!("{value:.3e}"),
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Half of the places of a picture; each is a third of a standard deviation.
const HALF: i32 = 9;

fn picture(row: &Row) -> String {
    let place = row.z.map_or(0.0, |z| (z * 3.0).round());
    let cell = |at: i32| {
        let at = f64::from(at);
        let is_end = at.abs() >= f64::from(HALF);
        if (place - at).abs() < 0.5 || (is_end && place * at.signum() > at.abs()) {
            'o'
        } else if is_end || at.abs() < 0.5 {
            '|'
        } else {
            '·'
        }
    };
    (-HALF..=HALF).map(cell).collect()
}

#[cfg(test)]
mod tests;
