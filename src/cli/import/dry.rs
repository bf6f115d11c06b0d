//! `import --dry-run`: what would be imported, and what became of every packet.

use crate::capture::import::read_capture_with;
use crate::capture::source::{Content, Source};
use crate::cli::accounts::{accounts, partial};
use crate::cli::files::Scratch;
use crate::cli::load::Options;
use crate::cli::outputs::printable;
use crate::cli::{Voice, load, outputs};
use crate::recording::redaction::Redactor;
use crate::units::format_count;

/// Reads captures and tells their ledger. Packets are read and paired, and nothing is written; of
/// other formats, which are put in order on disk, a scratch file comes and goes, without secrets.
pub(super) fn read_only(
    sources: Vec<Source>,
    options: &Options,
    redactor: Option<Redactor>,
    voice: Voice,
) -> anyhow::Result<()> {
    let is_packets = |source: &Source| matches!(source.content(), Content::Pcap | Content::Pcapng);
    let (exchanges, connections, ledger, warnings) =
        if options.format.is_none() && sources.iter().all(is_packets) {
            let read = read_capture_with(sources, options.keys.clone(), None, false, &mut |_| {})?;
            (read.exchanges, read.connections, read.ledger, read.warnings)
        } else {
            let scratch = Scratch::create()?;
            let read = load::import(sources, &scratch.recording(), redactor, options)?;
            (read.header.exchanges, read.header.connections, read.header.ledger, read.warnings)
        };
    for warning in &warnings {
        outputs::note(voice.quiet, &format!("warning: {warning}"));
    }
    let found = format!(
        "{} exchanges on {} connections; nothing was written\n{}",
        format_count(exchanges),
        format_count(connections),
        partial(&ledger).map_or(String::new(), |sentence| sentence + "\n")
    );
    outputs::result(&printable(&(found + &accounts(&ledger))));
    Ok(())
}
