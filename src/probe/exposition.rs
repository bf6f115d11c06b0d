//! Reads the text format of Prometheus and OpenMetrics: `name{label="value"} 3.5`.

use std::collections::{BTreeMap, BTreeSet};

use crate::probe::client::Failure;
use crate::probe::record::{Readings, SeriesKind, UNSEEN};
use crate::scenario::watch::MAX_SERIES;

/// Longest name of a series with its labels.
const MAX_NAME: usize = 300;

/// The asked series of a page; where none is asked for, those of its process.
pub(crate) fn readings(page: &str, asked: &[String]) -> Result<Readings, Failure> {
    let (mut readings, mut types) = (Readings::default(), BTreeMap::new());
    let (mut seen, mut is_page, mut left_out) = (BTreeSet::new(), false, 0_u64);
    let mut max_fds = None;
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            if let (Some("TYPE"), Some(name), Some(kind)) =
                (words.next(), words.next(), words.next())
            {
                types.insert(name, kind);
            }
            continue;
        }
        let Some((name, labels, value)) = sample(line) else { continue };
        is_page = true;
        if name == "process_max_fds" {
            max_fds = Some(value);
        }
        let is_asked = match asked {
            [] => name.starts_with("process_"),
            asked => asked.iter().any(|one| one == name),
        };
        if !is_asked {
            continue;
        }
        seen.insert(name);
        if readings.values.len() == MAX_SERIES || name.len() + labels.len() > MAX_NAME {
            left_out += 1;
            continue;
        }
        let shown: String = name.chars().chain(labels.chars()).map(plain).collect();
        readings.values.push((shown.into(), kind(name, &types), "", value));
    }
    if !is_page {
        return Err(Failure::passing("the page has no metrics"));
    }
    if let Some(limit) = max_fds {
        readings.limits.push(("process_open_fds", limit));
    }
    let absent: Vec<&str> =
        asked.iter().map(String::as_str).filter(|one| !seen.contains(one)).collect();
    let told = match (absent.as_slice(), left_out) {
        ([], 0) if seen.is_empty() => "the page has no series of its process".to_owned(),
        ([], 0) => String::new(),
        ([], count) => format!("{count} series of the page are left out: they are too many"),
        (absent, _) => format!("the page has no {}", absent.join(", ")),
    };
    readings.facts.push((UNSEEN, told));
    Ok(readings)
}

/// Name, labels with their braces, value. A moment after the value is passed over.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let line = line.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (name, rest) = line.split_at(line.find(|c| !is_name(c))?);
    if name.is_empty() {
        return None;
    }
    let (labels, rest) = rest.split_at(if rest.starts_with('{') { closed(rest)? } else { 0 });
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (labels.len() + rest.len() > 0).then_some((name, labels, value))
}

/// Where the labels end: a brace may stand in a value, and a quote behind a backslash.
fn closed(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Parts of a histogram or summary only grow; OpenMetrics types a counter without its `_total`.
fn kind(name: &str, types: &BTreeMap<&str, &str>) -> SeriesKind {
    let of = |name: &str| types.get(name).copied();
    let is_counter = of(name) == Some("counter")
        || ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| {
            let family = name.strip_suffix(suffix).and_then(of);
            matches!(family, Some("counter" | "histogram" | "summary"))
        });
    if is_counter { SeriesKind::Counter } else { SeriesKind::Gauge }
}

/// A page goes to terminals as well.
fn plain(c: char) -> char {
    if c.is_control() { '?' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(page: &str, asked: &[&str]) -> Result<Vec<String>, String> {
        let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
        let readings = readings(page, &asked).map_err(|failure| failure.reason)?;
        let shown = readings.values.iter().map(|(name, kind, _, value)| {
            format!("{name} {} {value}", if *kind == SeriesKind::Counter { "c" } else { "g" })
        });
        let unseen = readings.facts.into_iter().map(|(_, told)| told);
        Ok(shown.chain(unseen.filter(|told| !told.is_empty())).collect())
    }

    #[test]
    fn series_keep_their_labels_and_their_type() {
        let page = "# HELP up x\n# TYPE hits counter\nhits_total{a=\"}\\\" \",b=\"2\"} 7 1700\n\
                    # TYPE open gauge\nopen 3.5e1\r\n# TYPE t histogram\nt_bucket{le=\"+Inf\"} 2\n\
                    other 1\n# EOF\n";
        assert_eq!(
            read(page, &["hits_total", "open", "t_bucket"]).unwrap(),
            ["hits_total{a=\"}\\\" \",b=\"2\"} c 7", "open g 35", "t_bucket{le=\"+Inf\"} c 2"]
        );
        assert_eq!(read(page, &["open", "nope"]).unwrap(), ["open g 35", "the page has no nope"]);
        assert_eq!(read(page, &[]).unwrap(), ["the page has no series of its process"]);
    }

    #[test]
    fn a_page_without_metrics_and_one_with_too_many_are_told() {
        for page in ["", "<html>\n<p>hello</p>", "x{a=\"", "x", "x nothing", "{} 3", "\u{1b}[2J 3"]
        {
            assert_eq!(read(page, &["x"]), Err("the page has no metrics".to_owned()), "{page:?}");
        }
        let line = |number: u32| format!("x{{n=\"{number}\"}} 1\n");
        let page = (0..100).map(line).collect::<Vec<String>>().concat();
        let read = read(&page, &["x"]).unwrap();
        assert_eq!(read.len(), MAX_SERIES + 1);
        assert!(read[MAX_SERIES].starts_with("36 series of the page are left out"));
    }
}
