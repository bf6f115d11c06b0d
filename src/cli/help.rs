//! Help where people look for it: completion in their shell, pages of the manual, and an example or
//! two behind each command's options.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::exit::Exit;
use crate::cli::{Arguments, Voice, outputs};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

/// Prints what a shell needs in order to complete commands and options.
pub fn completions(command: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Arguments::command(), NAME, &mut script);
    outputs::result(&String::from_utf8_lossy(&script));
    Exit::Pass
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder, which is there already.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes a page for the program and for each of its commands.
pub fn man(command: &Man, voice: Voice) -> anyhow::Result<Exit> {
    let folder = &command.folder;
    clap_mangen::generate_to(Arguments::command(), folder).with_context(|| {
        format!("cannot write into {}; make the folder, or name another one", folder.display())
    })?;
    let hint = format!("read them with `man -l {}/{NAME}.1`", folder.display());
    outputs::note(voice.quiet, &hint);
    Ok(Exit::Pass)
}

const NAME: &str = env!("CARGO_PKG_NAME");

/// Examples of `import`.
pub const IMPORT: &str = "Examples:
  peakhour import peak.pcap.gz -o peak.parquet
  peakhour import node1.pcap node2.pcap -o peak.parquet --keylog tls-secrets.txt
  peakhour import access.log -o peak.parquet
  tcpdump -i any -s 0 -w - port 80 | peakhour import - -o peak.parquet
  peakhour import peak.pcap --jsonl - | head";

/// Examples of `inspect`.
pub const INSPECT: &str = "Examples:
  peakhour inspect peak.parquet
  peakhour inspect peak.pcap --json | jq .shape";

/// Examples of `synth`.
pub const SYNTH: &str = "Examples:
  peakhour synth peak.parquet -o peak.yaml
  peakhour synth peak.yaml -o drawn.parquet --seed 7
  peakhour synth peak.parquet -o peak.yaml --check";

/// Examples of `plan`.
pub const PLAN: &str = "Examples:
  peakhour plan scenario.yaml
  peakhour plan scenario.yaml --requests 3
  peakhour plan scenario.yaml --scale 2";

/// Examples of `validate`.
pub const VALIDATE: &str = "Examples:
  peakhour validate peak.parquet at-the-target.pcap
  peakhour validate peak.parquet reports/latest --html likeness.html
  peakhour validate peak.parquet k6-run.pcap --tolerance ci";

/// Examples of `report`.
pub const REPORT: &str = "Examples:
  peakhour report reports/checkout-peak-20260102-030405
  peakhour report reports/latest/run.json --out junit=junit.xml --out github=-";

/// Examples of `stage`.
pub const STAGE: &str = "Examples:
  peakhour stage --listen 127.0.0.1:8080
  peakhour stage --listen 127.0.0.1:8080 --fault cold-cache";
