//! A model becomes a recording.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;

use crate::cli::exit::Exit;
use crate::cli::files::{Unfinished, check_recording};
use crate::cli::load::models::{Beyond, drawn, warnings};
use crate::cli::plan::idc;
use crate::cli::synth::Synth;
use crate::cli::{Voice, outputs};
use crate::model::Model;
use crate::model::draw::exchange::Writer;
use crate::model::draw::{Draw, Options};
use crate::model::file::read::load;
use crate::plan::scaling::Scaling;
use crate::plan::tally::Counts;
use crate::recording::file::writer::RecordingWriter;
use crate::units::{format_count, format_duration, format_size};

pub(super) fn draw(command: &Synth, voice: Voice) -> anyhow::Result<Exit> {
    let mut model = load(&command.input)?;
    command.edits.apply(&mut model)?;
    let options = Options { seed: command.seed, length: command.duration, scale: command.scale };
    let is_scaled = (options.scale * model.edits.sessions - 1.0).abs() > f64::EPSILON;
    if command.dry_run {
        return Ok(counted(&model, options, is_scaled, voice));
    }
    let output = command.output.as_deref().context("name the recording to write with -o FILE")?;
    check_recording(output, std::slice::from_ref(&command.input))?;
    let _unfinished = Unfinished::recording(output)?;
    let mut writer = RecordingWriter::create(output)?;
    let origin = format!("drawn from {}, seed {}", command.input.display(), command.seed);
    let mut counts = Counts::default();
    let (header, warnings) =
        drawn(&model, options, origin, &mut writer, is_scaled.then_some(&mut counts))?;
    let length = Duration::from_nanos(header.duration_ns);
    let header = writer.finish(header)?;
    tell(&warnings, voice);
    outputs::note(
        voice.quiet,
        &format!(
            "{} exchanges on {} connections in {} -> {}",
            format_count(header.exchanges),
            format_count(header.connections),
            format_duration(length),
            output.display()
        ),
    );
    if is_scaled {
        outputs::note(voice.quiet, scaled(&model, options, &counts).trim_end());
    }
    Ok(Exit::Pass)
}

fn tell(warnings: &[String], voice: Voice) {
    for warning in warnings {
        outputs::note(voice.quiet, &format!("warning: {warning}"));
    }
}

/// What more or fewer sessions did to bursts: beside what the same seed draws with as many as were
/// recorded.
fn scaled(model: &Model, options: Options, counts: &Counts) -> String {
    let mut as_recorded = model.clone();
    as_recorded.edits.sessions = 1.0;
    let mut before = Counts::default();
    for one in Draw::new(&as_recorded, Options { scale: 1.0, ..options }) {
        before.count(Duration::from_nanos(one.at_ns));
    }
    let scaling = Scaling {
        scale: options.scale * model.edits.sessions,
        speed: 1.0,
        idc_unscaled: before.dispersion(),
        idc_scaled: counts.dispersion(),
        ..Scaling::default()
    };
    let mut text = String::from("burstiness: index of dispersion at 10 ms, 100 ms, 1 s, 10 s\n");
    for (name, values) in [
        ("not scaled", scaling.idc_unscaled),
        ("scaled", scaling.idc_scaled),
        ("scaled / not", scaling.ratios()),
    ] {
        let _ = writeln!(text, "  {name:<14}{}", idc(values));
    }
    let _ = writeln!(text, "scaling: {}", scaling.bursts());
    text
}

/// What would be drawn.
fn counted(model: &Model, options: Options, is_scaled: bool, voice: Voice) -> Exit {
    let (mut counts, mut beyond) = (Counts::default(), Beyond::default());
    let mut draw = Draw::new(model, options);
    let writer = Writer::new(draw.model());
    let (mut exchanges, mut connections, mut bytes) = (0, 0, 0_u64);
    for one in &mut draw {
        let exchange = writer.exchange(&one);
        beyond.count(exchange.at, model);
        if is_scaled {
            counts.count(exchange.at);
        }
        exchanges += 1;
        connections = connections.max(exchange.connection + 1);
        let size = (exchange.request_head.len() as u64).saturating_add(one.body);
        bytes = bytes.saturating_add(size);
    }
    tell(&warnings(&draw), voice);
    tell(beyond.warning(&draw).as_slice(), voice);
    outputs::result(&format!(
        "{} exchanges on {} connections in {}, {} of requests\n",
        format_count(exchanges),
        format_count(connections),
        format_duration(draw.length()),
        format_size(bytes)
    ));
    if is_scaled {
        outputs::result(&scaled(model, options, &counts));
    }
    Exit::Pass
}
