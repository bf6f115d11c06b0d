//! A model becomes a recording.

use std::time::Duration;

use anyhow::Context;

use crate::cli::exit::Exit;
use crate::cli::files::{Unfinished, check_recording};
use crate::cli::load::models::{drawn, warnings};
use crate::cli::synth::Synth;
use crate::cli::{Voice, outputs};
use crate::model::Model;
use crate::model::draw::exchange::Writer;
use crate::model::draw::{Draw, Options};
use crate::model::file::read::load;
use crate::recording::file::writer::RecordingWriter;
use crate::units::{format_count, format_duration, format_size};

pub(super) fn draw(command: &Synth, voice: Voice) -> anyhow::Result<Exit> {
    let mut model = load(&command.input)?;
    command.edits.apply(&mut model)?;
    let options = Options { seed: command.seed, length: command.duration, scale: command.scale };
    if command.dry_run {
        return Ok(counted(&model, options, voice));
    }
    let output = command.output.as_deref().context("name the recording to write with -o FILE")?;
    check_recording(output, std::slice::from_ref(&command.input))?;
    let _unfinished = Unfinished::recording(output)?;
    let mut writer = RecordingWriter::create(output)?;
    let origin = format!("drawn from {}, seed {}", command.input.display(), command.seed);
    let (header, warnings) = drawn(&model, options, origin, &mut writer)?;
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
    Ok(Exit::Pass)
}

fn tell(warnings: &[String], voice: Voice) {
    for warning in warnings {
        outputs::note(voice.quiet, &format!("warning: {warning}"));
    }
}

/// What would be drawn.
fn counted(model: &Model, options: Options, voice: Voice) -> Exit {
    let mut draw = Draw::new(model, options);
    let writer = Writer::new(draw.model());
    let (mut exchanges, mut connections, mut bytes) = (0, 0, 0_u64);
    for one in &mut draw {
        let exchange = writer.exchange(&one);
        exchanges += 1;
        connections = connections.max(exchange.connection + 1);
        let size = (exchange.request_head.len() as u64).saturating_add(one.body);
        bytes = bytes.saturating_add(size);
    }
    tell(&warnings(&draw), voice);
    outputs::result(&format!(
        "{} exchanges on {} connections in {}, {} of requests\n",
        format_count(exchanges),
        format_count(connections),
        format_duration(draw.length()),
        format_size(bytes)
    ));
    Exit::Pass
}
