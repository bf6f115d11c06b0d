//! `peakhour synth`: a recording becomes a model with nothing private in it, and a model becomes a
//! recording.

mod draw;
mod edits;
mod fit;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use crate::cli::exit::Exit;
use crate::cli::load::models::is_model;
use crate::cli::synth::edits::EditOptions;
use crate::cli::{Voice, checked};
use crate::scenario::parse;
use crate::units::parse_duration;

/// Arguments of `synth`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
pub struct Synth {
    /// A recording, or a capture (which is imported to a scratch file first), to fit a model to;
    /// or a model to draw a recording from.
    #[arg(value_name = "RECORDING|MODEL")]
    input: PathBuf,
    /// The model, or the recording, to write.
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["check", "dry_run"])]
    output: Option<PathBuf>,
    /// Fit or draw, say what came out, and write nothing.
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,
    /// Draw 50 recordings of the model that is fitted, and tell where the recording lies among
    /// them.
    #[arg(long)]
    check: bool,
    /// The table of `--check` as JSON for programs.
    #[arg(long, requires = "check")]
    json: bool,
    /// Put numbers in the place of the words of paths, too.
    #[arg(long)]
    hide_routes: bool,
    /// Seed of every random choice of a recording that is drawn.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, env = "PEAKHOUR_SEED")]
    #[arg(allow_negative_numbers = true, value_parser = checked(parse::seed, "PEAKHOUR_SEED"))]
    seed: u64,
    /// Draw a recording of this length instead of the model's.
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Draw so many times as many sessions.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    #[arg(allow_negative_numbers = true, value_parser = scale)]
    scale: f64,
    /// What if.
    #[command(flatten)]
    edits: EditOptions,
}

/// Runs `synth`.
pub fn synth(command: &Synth, voice: Voice) -> anyhow::Result<Exit> {
    if is_model(&command.input) {
        if command.check || command.hide_routes {
            bail!("--check and --hide-routes are for a recording that a model is fitted to");
        }
        draw::draw(command, voice)
    } else {
        if command.duration.is_some() {
            bail!("--duration is for a model that a recording is drawn from");
        }
        fit::fit(command, voice)
    }
}

/// A factor; it is no variable of the environment, which would count for the fit and for the draw.
fn scale(text: &str) -> Result<f64, String> {
    parse::scale(text).map_err(|mistake| mistake.to_string())
}
