//! `peakhour plan`: a dry run. Says what would be sent, where and when; sends nothing.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::exit::Exit;
use crate::cli::load::{listed, load};
use crate::cli::outputs::printable;
use crate::cli::{Overrides, outputs};
use crate::plan::facts::Facts;
use crate::plan::outline;
use crate::recording::redaction::heads::redact_head;
use crate::scenario::Scenario;
use crate::units::{format_count, format_duration, format_size};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The scenario to plan.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Changes to the scenario.
    #[command(flatten)]
    overrides: Overrides,
    /// The facts as JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Print this many requests as they would be sent, from the first on; credentials are
    /// shown as x.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    requests: usize,
}

/// Runs `plan`.
pub fn plan(command: &Plan) -> anyhow::Result<Exit> {
    let scenario = command.overrides.apply(&command.scenario)?;
    let loaded = load(&scenario.recording)?;
    let authority = scenario.target.authority();
    let (facts, plan) = outline(&loaded.reader, &scenario, &authority)?;
    if command.json {
        outputs::result(&format!("{}\n", serde_json::to_string_pretty(&facts)?));
        return Ok(Exit::Pass);
    }
    let mut text = described(&scenario, &authority, &facts);
    for arrival in plan.take(command.requests) {
        let arrival = arrival?;
        let due = format_duration(arrival.due);
        let head = shown_head(&arrival.head, &scenario).replace('\r', "");
        let _ = writeln!(
            text,
            "\n#{} due {due} on connection {}, body {}\n{}",
            arrival.index,
            arrival.connection,
            format_size(arrival.body.len() as u64),
            head.trim_end()
        );
    }
    outputs::result(&printable(&text));
    Ok(Exit::Pass)
}

/// A head without credentials: those of a recording that kept them, and the values of
/// `rewrite.headers`, which come from the environment.
fn shown_head(head: &[u8], scenario: &Scenario) -> String {
    let mut head = head.to_vec();
    redact_head(&mut head);
    let text = String::from_utf8_lossy(&head);
    let lines = text.split_inclusive('\n').map(|line| match line.split_once(':') {
        Some((name, value))
            if scenario.headers.keys().any(|set| set.eq_ignore_ascii_case(name)) =>
        {
            let hide = |c: char| if c.is_whitespace() { c } else { 'x' };
            format!("{name}:{}", value.chars().map(hide).collect::<String>())
        }
        _ => line.to_owned(),
    });
    lines.collect()
}

fn described(scenario: &Scenario, authority: &str, facts: &Facts) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<18} {value}");
    };
    line("scenario", &scenario.name);
    line("recording", &scenario.recording.display().to_string());
    line("window", &scenario.window.to_string());
    line("target", authority);
    line(
        "requests",
        &format!(
            "{} of {} exchanges, in {}",
            format_count(facts.arrivals),
            format_count(facts.exchanges),
            format_duration(Duration::from_nanos(facts.duration_ns))
        ),
    );
    line("peak", &format!("{} in a second", format_count(facts.peak_rate)));
    line(
        "connections",
        &format!(
            "{}, at most {} at once (as many ports and file descriptors)",
            format_count(facts.connections),
            format_count(facts.peak_connections)
        ),
    );
    line("sessions", &format_count(facts.sessions));
    line("to send", &format_size(facts.request_bytes));
    line("not replayed", &listed(&facts.skipped));
    line("burstiness", "index of dispersion at 10 ms, 100 ms, 1 s, 10 s");
    line("  recorded", &idc(facts.idc_before));
    line("  planned", &idc(facts.idc_after));
    line("fingerprint", &facts.fingerprint);
    for warning in &facts.warnings {
        line("warning", warning);
    }
    text
}

fn idc(values: [Option<f64>; 4]) -> String {
    let shown = values.map(|value| value.map_or("too short".to_owned(), |v| format!("{v:.2}")));
    shown.join("  ")
}
