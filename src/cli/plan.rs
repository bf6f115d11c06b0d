//! `peakhour plan`: a dry run. Says what would be sent, where and when; sends nothing.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::exit::Exit;
use crate::cli::load::{listed, load};
use crate::cli::machine::shortages;
use crate::cli::outputs::printable;
use crate::cli::{Overrides, Voice, outputs};
use crate::plan::edit::target;
use crate::plan::facts::Facts;
use crate::plan::needs::Needs;
use crate::plan::outline;
use crate::plan::retarget::parameter_name;
use crate::recording::redaction::{Redactor, fill};
use crate::scenario::acts::ActName;
use crate::scenario::rewriting::Rewriting;
use crate::scenario::target::{check_hosts, check_names};
use crate::scenario::{Scenario, Window};
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
    /// Print this many requests as they would be sent, from the first on. Credentials, and what
    /// the scenario sets, are shown as x.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    requests: usize,
}

/// Runs `plan`.
pub fn plan(command: &Plan, voice: Voice) -> anyhow::Result<Exit> {
    let scenario = command.overrides.apply(&command.scenario)?;
    let loaded = load(&scenario.recording)?;
    for warning in &loaded.warnings {
        outputs::note(voice.quiet, &format!("warning: {warning}"));
    }
    let authority = scenario.target.authority();
    let (mut facts, plan) = outline(&loaded.reader, &scenario, &authority)?;
    let servers = &loaded.reader.header().servers;
    let Scenario { target, hosts, allow, network, .. } = &scenario;
    let checked = check_names(target, allow, servers, network);
    if let Err(refusal) = checked.and_then(|()| check_hosts(hosts, allow, servers, network)) {
        facts.warnings.insert(0, format!("run will refuse this: {refusal}"));
    }
    facts.warnings.extend(shortages(&facts.needs, target, network));
    if command.json {
        outputs::result(&format!("{}\n", serde_json::to_string_pretty(&facts)?));
        return Ok(Exit::Pass);
    }
    let mut text = described(&scenario, &authority, &facts);
    for arrival in plan.take(command.requests) {
        let arrival = arrival?;
        let due = format_duration(arrival.due);
        // The words of a command of Redis may be anybody's data; its name and route are not.
        let head = if scenario.target.redis().is_some() {
            printable(&arrival.route)
        } else {
            shown_head(&arrival.head, &scenario)
        };
        let _ = writeln!(
            text,
            "\n#{} due {due} on connection {}, body {}\n{}",
            arrival.index,
            arrival.connection,
            format_size(arrival.body_bytes()),
            head.trim_end()
        );
    }
    outputs::result(&printable(&text));
    Ok(Exit::Pass)
}

/// A head for people. Values that the scenario sets may come from the environment, and end in the
/// logs of a nightly job; they are filled like credentials.
fn shown_head(head: &[u8], scenario: &Scenario) -> String {
    let set = &scenario.headers;
    let mut head = Redactor::filler().shown_head(head);
    fill_query(&mut head, &scenario.rewriting);
    for line in head.split_mut(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at_mut(colon + 1);
        let name = name[..colon].trim_ascii();
        if set.keys().any(|set| name.eq_ignore_ascii_case(set.as_bytes())) {
            fill(value);
        }
    }
    let lines: Vec<String> =
        String::from_utf8_lossy(&head).replace('\r', "").lines().map(printable).collect();
    lines.join("\n")
}

/// Fills the parameters of the query that the scenario sets, likewise.
fn fill_query(head: &mut [u8], rewriting: &Rewriting) {
    let Some(place) = target(head) else { return };
    let Some(query) = head.get_mut(place).and_then(|it| it.splitn_mut(2, |it| *it == b'?').nth(1))
    else {
        return;
    };
    for part in query.split_mut(|byte| *byte == b'&') {
        let Some(end) = part.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = part.split_at_mut(end + 1);
        let name = parameter_name(name.get(..end).unwrap_or_default());
        if rewriting.query.iter().any(|rule| rule.name == name) {
            fill(value);
        }
    }
}

/// The window, and where the busiest one was found.
fn window(window: Window, facts: &Facts) -> String {
    match window {
        Window::Busiest(_) => {
            let from = format_duration(Duration::from_nanos(facts.window_ns[0]));
            format!("{window}, from {from} on")
        }
        _ => window.to_string(),
    }
}

fn described(scenario: &Scenario, authority: &str, facts: &Facts) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<18} {value}");
    };
    line("scenario", &scenario.name);
    line("recording", &scenario.recording.display().to_string());
    line("window", &window(scenario.window, facts));
    line("target", authority);
    for host in &scenario.hosts {
        line("  of its hosts", &format!("{} at {}", host.recorded(), host.to.authority()));
    }
    line("acts", &acts(scenario));
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
            "{}, at most {} at once (as many file descriptors)",
            format_count(facts.connections),
            format_count(facts.peak_connections)
        ),
    );
    let Needs { ports, sent_a_second, received_a_second, memory, .. } = facts.needs;
    line("local ports", &format!("{} at once", format_count(ports)));
    line(
        "bandwidth",
        &format!(
            "{}/s to send and {}/s of bodies back, at most",
            format_size(sent_a_second),
            format_size(received_a_second)
        ),
    );
    line("memory", &format!("about {}", format_size(memory)));
    line("sessions", &format_count(facts.sessions));
    line("to send", &format_size(facts.request_bytes));
    line("not replayed", &listed(&facts.skipped));
    line("burstiness", "index of dispersion at 10 ms, 100 ms, 1 s, 10 s");
    line("  recorded", &idc(facts.idc_before));
    line("  planned", &idc(facts.idc_after));
    if let Some(scaling) = &facts.scaling {
        line("  not scaled", &idc(scaling.idc_unscaled));
        line("  scaled", &idc(scaling.idc_scaled));
        line("  scaled / not", &idc(scaling.ratios()));
        for sentence in scaling.told() {
            line("scaling", &sentence);
        }
    }
    line("fingerprint", &facts.fingerprint);
    for warning in &facts.warnings {
        line("warning", warning);
    }
    text
}

/// The acts in the order in which they are performed.
fn acts(scenario: &Scenario) -> String {
    let names = ActName::ALL.into_iter().filter(|act| scenario.acts.has(*act)).map(ActName::name);
    match names.collect::<Vec<_>>() {
        names if names.is_empty() => "none: the scenario lists no act".to_owned(),
        names => names.join(", "),
    }
}

/// The dispersion at each of its scales.
pub(super) fn idc(values: [Option<f64>; 4]) -> String {
    let shown = values.map(|value| value.map_or("too short".to_owned(), |v| format!("{v:.2}")));
    shown.join("  ")
}
