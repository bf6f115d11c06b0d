//! The facts of the last good release, as a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::act::fingerprint::{Fact, Fingerprint, Nodes, Snapshot};

/// A snapshot as it stands in its file.
#[derive(serde::Serialize, serde::Deserialize)]
struct Saved {
    /// Says what the file is.
    format: String,
    /// Of the layout.
    version: u32,
    /// The facts of each node.
    nodes: Nodes,
}

const FORMAT: &str = "peakhour-snapshot";
const VERSION: u32 = 1;

/// Largest file that is read, in bytes: 64 nodes with all their packages.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Reads a snapshot; what is wrong with it is part of what is returned.
pub(super) fn read(path: &Path) -> Snapshot {
    let shown = path.display().to_string();
    match read_file(path) {
        Ok(nodes) => Snapshot { path: shown, nodes, problem: None },
        Err(problem) => Snapshot { path: shown, nodes: BTreeMap::new(), problem: Some(problem) },
    }
}

fn read_file(path: &Path) -> Result<Nodes, String> {
    let mut text = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("there is no such file".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    }
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err("it is too large to be a snapshot".to_owned());
    }
    let saved: Saved =
        serde_json::from_slice(&text).map_err(|_| "it is no snapshot of peakhour's".to_owned())?;
    if saved.format != FORMAT {
        return Err("it is no snapshot of peakhour's".to_owned());
    }
    if saved.version != VERSION {
        return Err(format!(
            "it has version {} of the format, and this peakhour reads version {VERSION}",
            saved.version
        ));
    }
    Ok(saved.nodes)
}

/// The facts as the content of a snapshot; an error where a node was not heard, since a snapshot
/// with holes would make the next release look right.
pub fn content(seen: &Fingerprint) -> Result<String, String> {
    let mut nodes = BTreeMap::new();
    for node in &seen.nodes {
        if let Some(problem) = &node.problem {
            return Err(format!("node {} was not heard: {problem}", node.name));
        }
        let failed = node.facts.iter().find(|(_, fact)| matches!(fact, Fact::Failed(_)));
        if let Some((name, Fact::Failed(problem))) = failed {
            return Err(format!("node {} could not tell {name}: {problem}", node.name));
        }
        nodes.insert(node.name.clone(), node.facts.clone());
    }
    let saved = Saved { format: FORMAT.to_owned(), version: VERSION, nodes };
    serde_json::to_string_pretty(&saved).map(|text| text + "\n").map_err(|error| error.to_string())
}
