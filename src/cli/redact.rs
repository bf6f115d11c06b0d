//! What `import` and `record` are told about secrets, and what they tell of them.

mod file;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::recording::redaction::key::Key;
use crate::recording::redaction::policy::Policy;
use crate::recording::redaction::{Counted, KeySource, Redaction, Redactor};
use crate::units::format_count;

/// Options about secrets.
#[derive(Debug, clap::Args)]
pub struct Secrets {
    /// Keep credentials (cookies, Authorization, tokens) as they are. The recording then holds
    /// secrets of your users.
    #[arg(long)]
    pub keep_secrets: bool,
    /// Change what is replaced by this policy file; without one, the defaults are replaced by
    /// pseudonyms.
    #[arg(long, value_name = "FILE", conflicts_with = "keep_secrets")]
    redact: Option<PathBuf>,
    /// Draw pseudonyms with the secret in this file, so that several recordings have the same;
    /// otherwise with a key that is forgotten.
    #[arg(long, value_name = "FILE", conflicts_with = "keep_secrets")]
    redact_key: Option<PathBuf>,
}

impl Secrets {
    /// What carries out the policy; `None` when secrets are kept.
    pub fn redactor(&self) -> anyhow::Result<Option<Redactor>> {
        if self.keep_secrets {
            return Ok(None);
        }
        let policy = match &self.redact {
            Some(path) => file::load(path)?,
            None => Policy::default(),
        };
        let (key, source) = match &self.redact_key {
            Some(path) => (key_of(path)?, KeySource::File),
            None => (random()?, KeySource::Random),
        };
        Ok(Some(Redactor::new(&policy, key, source)))
    }
}

/// The default policy for a capture that a scenario names. Its key is made of the capture, so that
/// each run of it plans the same requests; whoever has not got the capture cannot make it.
pub fn redactor_of(capture: &Path) -> anyhow::Result<Redactor> {
    let is_file = capture.is_file();
    let (key, source) = if is_file {
        let mut start = Vec::new();
        let read = File::open(capture).and_then(|file| file.take(KEY_OF).read_to_end(&mut start));
        read.with_context(|| format!("cannot read {}", capture.display()))?;
        (Key::from_secret(&start), KeySource::Capture)
    } else {
        (random()?, KeySource::Random)
    };
    Ok(Redactor::new(&Policy::default(), key, source))
}

/// Bytes of a capture that make a key: moments, ports and sequence numbers of some thousand frames.
const KEY_OF: u64 = 1 << 20;

/// A key that nobody has.
fn random() -> anyhow::Result<Key> {
    let mut secret = [0; 32];
    File::open(RANDOM)
        .and_then(|mut file| file.read_exact(&mut secret))
        .with_context(|| format!("cannot draw a key for pseudonyms from {RANDOM}"))?;
    Ok(Key::from_secret(&secret))
}

const RANDOM: &str = "/dev/urandom";

/// Fewest and most bytes of a key file: sixteen random ones cannot be guessed; a larger file is
/// more likely a mistake than a key.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=4_096;

fn key_of(path: &Path) -> anyhow::Result<Key> {
    let shown = path.display();
    let advice = "make one with: head -c 32 /dev/urandom | base64 > FILE";
    let mut secret = Vec::new();
    File::open(path)
        .and_then(|file| file.take(*KEY_BYTES.end() as u64 + 1).read_to_end(&mut secret))
        .with_context(|| format!("cannot read the key file {shown}; {advice}"))?;
    let secret = secret.trim_ascii();
    if !KEY_BYTES.contains(&secret.len()) {
        bail!(
            "{shown}: a key file has {} to {} bytes; {advice}",
            KEY_BYTES.start(),
            format_count(*KEY_BYTES.end() as u64)
        );
    }
    Ok(Key::from_secret(secret))
}

/// What was done to secrets, as a sentence for whoever made a recording.
pub fn told(redaction: &Redaction) -> String {
    let all: u64 = redaction.replaced.iter().map(|counted| counted.count).sum();
    let replaced = match redaction.replaced.as_slice() {
        [] => "nothing was found that is a secret by its name or its look".to_owned(),
        [one] => {
            let were = if all == 1 { "secret was" } else { "secrets were" };
            format!("{} {were} replaced ({})", format_count(all), one.name)
        }
        most => {
            format!("{} secrets were replaced (most often {})", format_count(all), first(most))
        }
    };
    let left = match redaction.not_searched.as_slice() {
        [] => String::new(),
        left => format!("; not searched: {}", listed(left)),
    };
    format!("{replaced}{left}; secrets with other names are kept: --redact FILE adds them")
}

fn first(counted: &[Counted]) -> String {
    counted.iter().take(3).map(|counted| counted.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn listed(counted: &[Counted]) -> String {
    let each = counted.iter().map(|it| format!("{} {}", format_count(it.count), it.name));
    each.collect::<Vec<_>>().join(", ")
}

/// How the pseudonyms of a recording were drawn, for people.
pub fn drawn(source: KeySource) -> &'static str {
    match source {
        KeySource::Random => "with a key that was drawn for it and forgotten",
        KeySource::File => "with the key of a file",
        KeySource::Capture => "with a key made of the capture",
    }
}
