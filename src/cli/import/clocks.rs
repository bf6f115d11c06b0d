//! `import --clock-offset`: files whose clocks did not agree.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::capture::source::Source;
use crate::units::parse_duration;

/// A file, and what is added to its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClockOffset {
    capture: PathBuf,
    ns: i64,
}

/// `node1.log=+250ms` or `node2.pcap=-1.5s`.
pub(super) fn parse(text: &str) -> Result<ClockOffset, String> {
    let written = || format!("`{text}` is no offset; write such as node1.log=+250ms");
    // A file's name may have the sign in it, a duration has not.
    let (capture, offset) = text.rsplit_once('=').ok_or_else(written)?;
    let (sign, duration) = match offset.strip_prefix('-') {
        Some(duration) => (-1, duration),
        None => (1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let duration = parse_duration(duration).map_err(|error| error.to_string())?;
    let ns = i64::try_from(duration.as_nanos()).map_err(|_| written())?;
    if capture.is_empty() {
        return Err(written());
    }
    Ok(ClockOffset { capture: PathBuf::from(capture), ns: sign * ns })
}

/// Sets the clocks of the captures that are named, `sources` being in the order of `captures`.
pub(super) fn apply(
    offsets: &[ClockOffset],
    captures: &[PathBuf],
    sources: &mut [Source],
) -> anyhow::Result<()> {
    for (number, ClockOffset { capture, ns }) in offsets.iter().enumerate() {
        let is_named = |path: &Path| path == capture;
        if offsets.iter().take(number).any(|other| is_named(&other.capture)) {
            bail!("--clock-offset has {} twice", capture.display());
        }
        let mut is_known = false;
        for (path, source) in captures.iter().zip(sources.iter_mut()) {
            if is_named(path) {
                source.shift_clock(*ns);
                is_known = true;
            }
        }
        if !is_known {
            let name = capture.display();
            bail!("--clock-offset names {name}, which is none of the captures: write it as there");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_signed_durations_of_files() {
        for (text, capture, ns) in [
            ("a.log=+250ms", "a.log", 250_000_000),
            ("a=b=-1.5s", "a=b", -1_500_000_000),
            ("-=2us", "-", 2_000),
        ] {
            let offset = ClockOffset { capture: PathBuf::from(capture), ns };
            assert_eq!(parse(text), Ok(offset), "{text}");
        }
        for text in ["a.log", "=1s", "a=", "a=5", "a=+-1s", "a=1d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
