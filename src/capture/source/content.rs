//! What a file holds, told by its first bytes.

use crate::capture::elements::{Pattern, elements};
use crate::capture::gor_header::gor_header;
use crate::capture::monitor_line::is_monitor;
use crate::capture::source::Content;

/// What a file is that begins with `head`.
pub(super) fn told(head: &[u8]) -> Content {
    let first_byte = head.iter().find(|byte| !byte.is_ascii_whitespace());
    match head.first_chunk::<4>() {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => Content::Pcapng,
        Some(b"PAR1") => Content::Parquet,
        Some(magic) if PCAP_MAGICS.contains(&u32::from_be_bytes(*magic)) => Content::Pcap,
        _ if first_byte == Some(&b'{') => json_content(head),
        _ if is_gor(head) => Content::Gor,
        _ if is_monitor(head) => Content::Monitor,
        _ if is_target(head) => Content::Targets,
        _ if is_yaml_of_sessions(head) => Content::Sessions,
        // A byte order mark, as some browsers write it.
        _ => match head.strip_prefix(b"\xef\xbb\xbf") {
            Some(text) if text.trim_ascii_start().starts_with(b"{") => json_content(text),
            _ => Content::Unknown,
        },
    }
}

/// Microseconds, nanoseconds and the variant with longer record heads, in both byte orders.
const PCAP_MAGICS: [u32; 6] =
    [0xa1b2_c3d4, 0xd4c3_b2a1, 0xa1b2_3c4d, 0x4d3c_b2a1, 0xa1b2_cd34, 0x34cd_b2a1];

/// What a JSON object is, by the keys that the head shows. Lines of a log may name a method and a
/// URL as well, but they have a time or a status.
fn json_content(mut head: &[u8]) -> Content {
    const KEYS: &[Pattern] = &[
        &["log"],
        &["sessions"],
        &["meta"],
        &["method"],
        &["url"],
        &["at_ns"],
        &["time"],
        &["ts"],
        &["timestamp"],
        &["@timestamp"],
        &["status"],
    ];
    let mut seen = [false; KEYS.len()];
    // Reading from memory does not fail, and a cut is expected.
    let _ = elements(&mut head, KEYS, &mut |element| seen[element.pattern] = true);
    let [log, sessions, meta, method, url, of_a_log @ ..] = seen;
    match () {
        () if log => Content::Har,
        () if sessions || meta => Content::Sessions,
        () if method && url && !of_a_log.contains(&true) => Content::Targets,
        () => Content::JsonLines,
    }
}

/// The head begins with the header of a `GoReplay` record: type, ID, time and perhaps latency.
fn is_gor(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').next().is_some_and(|line| gor_header(line).is_some())
}

/// The first line that is no comment and no marker of YAML is one of the two keys.
fn is_yaml_of_sessions(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let says = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#") && *line != b"---";
    lines
        .find(says)
        .is_some_and(|line| line.starts_with(b"meta:") || line.starts_with(b"sessions:"))
}

/// The first line that is no comment asks for an absolute URL, without a version behind it.
fn is_target(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let Some(line) = lines.find(|line| !line.is_empty() && !line.starts_with(b"#")) else {
        return false;
    };
    let mut words = line.split(|byte| *byte == b' ');
    let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    method.iter().all(u8::is_ascii_uppercase)
        && (url.starts_with(b"http://") || url.starts_with(b"https://"))
        && words.next().is_none()
}
