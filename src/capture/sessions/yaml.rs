//! Sessions in YAML, made into the JSON that they could have been written as.

use std::io::{self, BufRead, Read};

use crate::capture::source::Source;

/// Longest YAML file read, in bytes. It is held whole, and takes some ten times as much while it
/// is taken apart; people write such files by hand. JSON has no such limit.
pub(super) const YAML_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most values in it: a transaction has about fifty.
const YAML_NODES_MAX: usize = 4_000_000;

/// Most values that aliases may repeat, in all.
const YAML_REPEATED_MAX: usize = 1_000_000;

/// The first byte that is not blank opens no JSON object.
pub(super) fn is_yaml(source: &mut Source) -> io::Result<bool> {
    let head = source.fill_buf()?;
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    Ok(head.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte != b'{'))
}

/// The same document as JSON, or what is wrong with it.
pub(super) fn json_of(source: &mut Source) -> io::Result<Result<Vec<u8>, String>> {
    let mut text = Vec::new();
    source.take(YAML_BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
    if text.len() > YAML_BYTES_MAX {
        return Ok(Err("is longer than 16 MiB, too long for YAML: write it as JSON".to_owned()));
    }
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: YAML_NODES_MAX,
            max_documents: 1,
        },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: YAML_REPEATED_MAX },
        with_snippet: false,
    };
    let value = serde_yaml::from_slice_with_options::<serde_json::Value>(&text, options);
    Ok(match value {
        Ok(value) => serde_json::to_vec(&value).map_err(|error| error.to_string()),
        Err(error) => Err(format!("is no YAML of sessions: {}", plain(&error.to_string()))),
    })
}

/// The first line of an error's text.
fn plain(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
