//! What the files of a recording are called.

use std::path::{Path, PathBuf};

use crate::cli::wall_clock;
use crate::recording::file::writer::unfinished;

/// A name that no file has, at or soon after a moment in milliseconds.
pub(super) fn free_name(output: &Path, mut at_ms: i64) -> (PathBuf, i64) {
    loop {
        let path = named(output, &wall_clock::file_stamp(at_ms.saturating_mul(MS)));
        if !path.exists() && unfinished(&path).is_empty() {
            return (path, at_ms);
        }
        at_ms += 1;
    }
}

/// Nanoseconds of a millisecond.
pub(super) const MS: i64 = 1_000_000;

/// The name of the file that begins at a moment: `peak.parquet` becomes
/// `peak-20261126-103000-250.parquet`.
fn named(output: &Path, stamp: &str) -> PathBuf {
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{stamp}"));
    if let Some(extension) = output.extension() {
        name.push(".");
        name.push(extension);
    }
    output.with_file_name(name)
}

/// Removes what was written of a recording.
pub(super) fn forget(output: &Path) {
    for left in unfinished(output) {
        let _ = std::fs::remove_file(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_when_a_file_began() {
        let stamp = "20261126-103000-250";
        for (output, name) in [
            ("day/peak.parquet", "day/peak-20261126-103000-250.parquet"),
            ("peak", "peak-20261126-103000-250"),
            ("./a.b.parquet", "./a.b-20261126-103000-250.parquet"),
        ] {
            assert_eq!(named(Path::new(output), stamp), Path::new(name));
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("peak.parquet");
        let at_ms = 1_795_689_000_250;
        let (first, _) = free_name(&output, at_ms);
        std::fs::write(&first, "").unwrap();
        let (second, second_ms) = free_name(&output, at_ms);
        std::fs::write(format!("{}.inprogress", second.display()), "").unwrap();
        let (third, third_ms) = free_name(&output, at_ms);
        assert_eq!([second_ms - at_ms, third_ms - at_ms], [1, 2]);
        assert!(first < second && second < third, "{first:?} {second:?} {third:?}");
    }
}
