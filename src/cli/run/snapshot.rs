//! Keeps what was found of the nodes, for the next release to be compared with.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::act::fingerprint::snapshot::content;
use crate::act::{Evidence, Performed};
use crate::report::files::write_whole;
use crate::scenario::Scenario;

/// Prepares a scenario whose run makes a snapshot: it must look at the nodes, and compares them
/// with no older one.
pub(super) fn prepare(scenario: &mut Scenario, file: &Path) -> anyhow::Result<()> {
    let Some(options) = &mut scenario.acts.fingerprint else {
        anyhow::bail!(
            "--save-snapshot {}: the scenario has no act `fingerprint`; add it to its `acts`",
            file.display()
        );
    };
    options.snapshot = None;
    split(file).map(drop)
}

/// Writes the snapshot, whole or not at all.
pub(super) fn save(acts: &[Performed], file: &Path) -> anyhow::Result<PathBuf> {
    let seen = acts.iter().find_map(|performed| match &performed.evidence {
        Evidence::Fingerprint(seen) => Some(seen),
        _ => None,
    });
    let content = seen
        .ok_or_else(|| "the act `fingerprint` was not performed".to_owned())
        .and_then(content)
        .map_err(|problem| {
            anyhow::anyhow!("no snapshot was saved in {}: {problem}", file.display())
        })?;
    let (folder, name) = split(file)?;
    Ok(write_whole(folder, name, content.as_bytes())?)
}

fn split(file: &Path) -> anyhow::Result<(&Path, &str)> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("--save-snapshot {}: no file", file.display()))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        anyhow::bail!("--save-snapshot {}: there is no such folder", file.display());
    }
    Ok((folder, name))
}
