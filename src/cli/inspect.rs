//! `peakhour inspect`: what is in a recording or a capture, and what became of every packet.

mod chart;
mod caches;
mod options;
mod text;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::accounts::accounts;
use crate::cli::exit::Exit;
use crate::cli::inspect::options::CacheOptions;
use crate::cli::load::load;
use crate::cli::outputs::printable;
use crate::cli::redact::drawn;
use crate::cli::{outputs, wall_clock};
use crate::protocol::Protocol;
use crate::recording::Header;
use crate::recording::file::reader::RecordingReader;
use crate::recording::redaction::Counted;
use crate::shape::contents::{Contents, Facts};
use crate::shape::forecast::{Forecast, forecast};
use crate::shape::reads::Reads;
use crate::units::{format_count, format_duration, format_share, format_size};

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// The recording, or a capture (which is imported to a scratch file first).
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,
    /// The footer, under `contents` what was counted, and under `caches` what a cache would do, as
    /// JSON for programs.
    #[arg(long)]
    json: bool,
    /// The cache that is forecast.
    #[command(flatten)]
    cache: CacheOptions,
}

/// Runs `inspect`.
pub fn inspect(command: &Inspect) -> anyhow::Result<Exit> {
    let loaded = load(&command.recording)?;
    let header = loaded.reader.header();
    let (contents, reads) = count(&loaded.reader)?;
    let caches = forecast(&reads, &command.cache.assumed());
    drop(reads);
    command.cache.write_ramp(&caches)?;
    let length = Duration::from_nanos(header.duration_ns);
    let facts = contents.facts(length, Duration::from_nanos(header.clock_resolution_ns));
    if command.json {
        let partial = header.ledger.cuts();
        let [in_full, resumed] = header.handshakes.counts();
        let tls_handshakes = (in_full + resumed > 0).then_some(Handshakes { in_full, resumed });
        let document =
            Document { header, partial, tls_handshakes, contents: &facts, caches: &caches };
        outputs::result(&format!("{}\n", serde_json::to_string_pretty(&document)?));
        return Ok(Exit::Pass);
    }
    let mut text = described(header, &contents, &facts, &caches);
    for warning in &loaded.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    outputs::result(&printable(&text));
    Ok(Exit::Pass)
}

/// What `--json` prints: the footer's fields, and what was counted.
#[derive(serde::Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    header: &'a Header,
    /// Why not all of the input was read; empty where all of it was.
    partial: Vec<&'static str>,
    /// Of connections with exchanges; absent where none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_handshakes: Option<Handshakes>,
    contents: &'a Facts,
    /// What a cache would do with the recorded reads.
    caches: &'a Forecast,
}

/// How connections began to speak TLS.
#[derive(serde::Serialize)]
struct Handshakes {
    in_full: u64,
    resumed: u64,
}

/// Rows of a table.
const SHOWN: usize = 10;

/// Characters of a name in a table: a statement may have thousands.
const NAME: usize = 120;

fn count(reader: &RecordingReader) -> anyhow::Result<(Contents, Reads)> {
    let (mut contents, mut reads) = (Contents::default(), Reads::default());
    for exchange in reader.exchanges(None) {
        let exchange = exchange?;
        contents.add(&exchange);
        reads.add_exchange(&exchange);
    }
    Ok((contents, reads))
}

fn described(header: &Header, contents: &Contents, facts: &Facts, caches: &Forecast) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<20} {value}");
    };
    line("origin", &header.origin);
    // JSON Lines have offsets only, and no clock that they were read from.
    let has_clock = header.started_unix_ns != 0;
    let started = has_clock.then(|| wall_clock::recorded(header.started_unix_ns));
    line("started", started.as_deref().unwrap_or("not known"));
    line("length", &format_duration(Duration::from_nanos(header.duration_ns)));
    line(
        "clock",
        &format!("steps of {}", format_duration(Duration::from_nanos(header.clock_resolution_ns))),
    );
    if !header.ledger.cuts().is_empty() {
        line("partial", &format!("not all of the input: {}", header.ledger.cuts().join(", ")));
    }
    line("exchanges", &format_count(header.exchanges));
    line("connections", &format_count(header.connections));
    if !header.handshakes.is_empty() {
        let [in_full, resumed] = header.handshakes.counts().map(format_count);
        line("tls handshakes", &format!("{in_full} in full, {resumed} resumed a session"));
    }
    line("request bytes", &format_size(facts.request_bytes));
    line("largest request", &format_size(facts.largest_request_body_bytes));
    line("response bodies", &format_size(facts.response_bytes));
    line("servers", &first_of(&header.servers.authorities));
    if header.redacted_headers.is_empty() && header.redaction.is_none() {
        line("redacted", "nothing: it may hold secrets");
    } else {
        line("redacted", &of_policy(header));
    }
    text += &chart::chart(&contents.series, Duration::from_nanos(header.duration_ns));
    text += &text::told(facts);
    if facts.protocols.keys().any(|name| name != Protocol::Http1.name()) {
        table(&mut text, "protocols", &facts.protocols, header.exchanges);
    }
    table(&mut text, "statuses", &facts.statuses, header.exchanges);
    table(&mut text, "routes", &facts.routes, header.exchanges);
    text += &caches::told(caches, header);
    if let Some(redaction) = &header.redaction {
        counted(&mut text, "replaced", &redaction.replaced);
        counted(&mut text, "not searched for secrets", &redaction.not_searched);
    }
    text + &accounts(&header.ledger)
}

/// By which policy, and how. Recordings of before there were policies have filler.
fn of_policy(header: &Header) -> String {
    match &header.redaction {
        Some(redaction) if redaction.is_of_nothing_recorded() => {
            "nothing: it was drawn from a model, and holds what nobody ever sent".to_owned()
        }
        Some(redaction) => {
            format!("policy {}; pseudonyms drawn {}", redaction.policy, drawn(redaction.key))
        }
        None => format!(
            "{}, and such parameters of URLs and forms; other bodies are kept, JSON too",
            header.redacted_headers.join(", ")
        ),
    }
}

/// How often each was met; nothing where nothing was.
fn counted(text: &mut String, title: &str, counted: &[Counted]) {
    if counted.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for Counted { name, count } in counted {
        let _ = writeln!(text, "{:>12}  {}", format_count(*count), printable(name));
    }
}

fn first_of(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {} more", format_count(more as u64)),
    }
}

/// The most frequent entries, and how many more there are.
fn table(text: &mut String, title: &str, counts: &BTreeMap<String, u64>, all: u64) {
    let mut rows: Vec<(&String, &u64)> = counts.iter().collect();
    rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let _ = writeln!(text, "\n{title}");
    #[expect(clippy::cast_precision_loss, reason = "shares are printed with three digits")]
    for (name, count) in rows.iter().take(SHOWN) {
        let share = format_share(**count as f64 / (all.max(1)) as f64);
        let name: String = printable(name).chars().take(NAME).collect();
        let _ = writeln!(text, "{:>12}  {share:>7}  {name}", format_count(**count));
    }
    if rows.len() > SHOWN {
        let _ = writeln!(text, "{:>12}  more", format_count((rows.len() - SHOWN) as u64));
    }
}
