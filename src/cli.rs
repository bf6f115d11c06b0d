//! Arguments and glue: one file per subcommand.

pub mod exit;
pub mod wall_clock;
pub mod interrupt;
pub mod outputs;
pub mod accounts;
pub mod files;
pub mod redact;
pub mod load;
mod machine;
mod catalogue;
pub mod out;
pub mod record;
pub mod import;
pub mod inspect;
pub mod synth;
pub mod plan;
pub mod run;
pub mod report;
pub mod validate;
pub mod compare;
pub mod history;
pub mod stage;
pub mod help;

use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser as Flag;
use clap::{Parser, Subcommand};

use crate::cli::exit::Exit;
use crate::scenario::problem::Mistake;
use crate::scenario::{Scenario, parse};

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "peakhour",
    version,
    about = "Replays a recorded peak hour against a staging stack, proves that the load shape it \
             produced is the recorded one, and finds what only real users would have found.",
    after_help = "Exit codes: 0 pass, 99 an expectation or a detector failed, 98 run not valid, \
                  104 usage, scenario or input error, 105 interrupted, 1 a bug of ours."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print the result only: no progress, no notes.
    #[arg(short, long, global = true, env = "PEAKHOUR_QUIET", value_parser = Flag::new())]
    pub quiet: bool,
    /// Never use colour, terminal or not (the `NO_COLOR` convention is honoured too).
    #[arg(long, global = true, env = "PEAKHOUR_NO_COLOR", value_parser = Flag::new())]
    pub no_color: bool,
}

/// The subcommands, in the order of the data flow.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record live traffic as a reverse proxy, where nobody may run tcpdump.
    Record(record::Record),
    /// Turn a capture (pcap, pcapng, JSON Lines, access logs; gz and zst) into a recording.
    #[command(after_help = help::IMPORT)]
    Import(import::Import),
    /// Say what is in a recording or capture: shape, mix, sizes, connections, losses.
    #[command(after_help = help::INSPECT)]
    Inspect(inspect::Inspect),
    /// Fit a model to a recording, or draw a recording from a model: the load without the data.
    #[command(after_help = help::SYNTH)]
    Synth(Box<synth::Synth>),
    /// Dry run: what would be sent, where and when; sends nothing.
    #[command(after_help = help::PLAN)]
    Plan(plan::Plan),
    /// Rehearse: replay, verdict, reports.
    Run(Box<run::Run>),
    /// Is the load of one recording or capture that of another one, whatever tool made it?
    #[command(after_help = help::VALIDATE)]
    Validate(validate::Validate),
    /// Is a release worse than the one before it? Saved runs beside those of a baseline.
    Compare(compare::Compare),
    /// Since which run is a metric another one? A folder of runs, one a night.
    History(history::HistoryCommand),
    /// Write the reports of a saved run again.
    #[command(after_help = help::REPORT)]
    Report(report::ReportCommand),
    /// Serve the embedded stack under test, with a knob per fault.
    #[command(after_help = help::STAGE)]
    Stage(stage::StageCommand),
    /// Print the completion script of a shell: bash, zsh, fish, elvish or powershell.
    Completions(help::Completions),
    /// Write pages of the manual into a folder.
    Man(help::Man),
}

/// How to speak to the person or machine that started the program.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    /// Results only.
    pub quiet: bool,
    /// Colour on standard output.
    pub colour: bool,
}

/// Runs one command. An `Err` is a usage, scenario or input error and ends in [`Exit::Input`].
pub fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let voice = Voice {
        quiet: arguments.quiet,
        colour: !arguments.no_color && outputs::stdout_wants_colour(),
    };
    match arguments.command {
        Command::Record(command) => record::record(&command, voice),
        Command::Import(command) => import::import(&command, voice),
        Command::Inspect(command) => inspect::inspect(&command),
        Command::Synth(command) => synth::synth(&command, voice),
        Command::Plan(command) => plan::plan(&command, voice),
        Command::Run(command) => run::run(&command, voice),
        Command::Validate(command) => validate::validate(&command, voice),
        Command::Compare(command) => compare::compare(&command, voice),
        Command::History(command) => history::history(&command, voice),
        Command::Report(command) => report::report(&command, voice),
        Command::Stage(command) => stage::stage(&command, voice),
        Command::Completions(command) => Ok(help::completions(&command)),
        Command::Man(command) => help::man(&command, voice),
    }
}

/// Options that change a scenario for one command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Replay at this speed of time instead of the scenario's (2 is twice as fast).
    #[arg(long, value_name = "FACTOR", env = "PEAKHOUR_SPEED")]
    #[arg(allow_negative_numbers = true, value_parser = checked(parse::speed, "PEAKHOUR_SPEED"))]
    pub speed: Option<f64>,
    /// Keep this share of sessions (below 1) or clone them (above 1).
    #[arg(long, value_name = "FACTOR", env = "PEAKHOUR_SCALE")]
    #[arg(allow_negative_numbers = true, value_parser = checked(parse::scale, "PEAKHOUR_SCALE"))]
    pub scale: Option<f64>,
    /// Seed of every random choice of the plan.
    #[arg(long, value_name = "NUMBER", env = "PEAKHOUR_SEED")]
    #[arg(allow_negative_numbers = true, value_parser = checked(parse::seed, "PEAKHOUR_SEED"))]
    pub seed: Option<u64>,
    /// Replay this capture or recording instead of the scenario's.
    #[arg(long, value_name = "FILE", env = "PEAKHOUR_RECORDING")]
    pub recording: Option<PathBuf>,
}

/// Reads a value as the scenario file does. The error names the variable too, since the value may
/// come from it.
fn checked<T>(
    parse: fn(&str) -> Result<T, Mistake>,
    variable: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| parse(text).map_err(|mistake| format!("{mistake} (here or in {variable})"))
}

impl Overrides {
    /// Loads a scenario and changes it.
    fn apply(&self, path: &Path) -> anyhow::Result<Scenario> {
        let mut scenario = parse::load(path)?;
        scenario.speed = self.speed.unwrap_or(scenario.speed);
        scenario.scale = self.scale.unwrap_or(scenario.scale);
        scenario.seed = self.seed.unwrap_or(scenario.seed);
        if let Some(recording) = &self.recording {
            scenario.recording.clone_from(recording);
        }
        Ok(scenario)
    }
}
