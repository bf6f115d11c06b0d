//! A model in the place of a recording: a recording is drawn from it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::model::Model;
use crate::model::draw::exchange::{CUT, HOST, Writer, is_cut};
use crate::model::draw::{Draw, Options};
use crate::model::file::read::load;
use crate::model::file::version_of;
use crate::plan::tally::Counts;
use crate::recording::file::writer::RecordingWriter;
use crate::recording::handshakes::Handshakes;
use crate::recording::ledger::Ledger;
use crate::recording::redaction::Redaction;
use crate::recording::{FORMAT_VERSION, Header, Servers};
use crate::stats::counts::as_f64;
use crate::units::{format_count, format_duration};

/// Bytes at the beginning of a file among which a model says that it is one, and as many where
/// there is nothing but comments among those.
const LOOKED_AT: [u64; 2] = [4_096, 1024 * 1024];

/// A model begins with `model: 2`, behind comments; nothing else does that can be recorded.
pub fn is_model(path: &Path) -> bool {
    LOOKED_AT.into_iter().any(|most| {
        let mut start = Vec::new();
        // What cannot be read is told by whoever reads it next.
        let file = path.is_file().then(|| File::open(path).ok()).flatten();
        let is_read = file.is_some_and(|file| file.take(most).read_to_end(&mut start).is_ok());
        if start.len() as u64 == most {
            // A line that is cut says nothing.
            let end = start.iter().rposition(|byte| *byte == b'\n');
            start.truncate(end.unwrap_or(0));
        }
        is_read && version_of(&String::from_utf8_lossy(&start)).is_some()
    })
}

/// Draws a recording as long as the model says; what is not as it says, a sentence each.
pub(super) fn draw_into(path: &Path, recording: &Path) -> anyhow::Result<Vec<String>> {
    let model = load(path)?;
    let mut writer = RecordingWriter::create(recording)?;
    let options = Options { seed: 1, length: None, scale: 1.0 };
    let origin = format!("drawn from {}, seed 1", path.display());
    let (header, warnings) = drawn(&model, options, origin, &mut writer, None)?;
    writer.finish(header)?;
    Ok(warnings.into_iter().map(|warning| format!("{}: {warning}", path.display())).collect())
}

/// What was drawn otherwise than the model says, a sentence each.
pub fn warnings(draw: &Draw) -> Vec<String> {
    draw.notes().map(|(what, count)| format!("{} {what}", format_count(count))).collect()
}

/// Requests within the length of the model, and beyond it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beyond {
    counts: [u64; 2],
}

impl Beyond {
    /// Times as many requests a second that are worth a word.
    const DENSER: f64 = 1.25;

    /// Counts a request.
    pub(crate) fn count(&mut self, at: Duration, model: &Model) {
        self.counts[usize::from(at.as_secs_f64() >= model.duration)] += 1;
    }

    /// What is drawn behind the end of the model is denser, where its sessions last about as long
    /// as it does: they go on there, while as many as it began with begin anew.
    pub(crate) fn warning(self, draw: &Draw) -> Option<String> {
        let model = draw.model();
        let beyond = draw.length().as_secs_f64() - model.duration;
        let [within, after] = self.counts.map(as_f64);
        // Half a turn at least, and no crowd that is meant to be denser.
        if beyond < model.duration / 2.0 || within < 1.0 || !model.edits.crowds.is_empty() {
            return None;
        }
        let denser = (after / beyond) / (within / model.duration);
        (denser > Self::DENSER).then(|| {
            format!(
                "behind the {} of the model, {denser:.1} times as many requests a second are \
                 drawn: sessions that are longer than it go on there, while others begin anew; \
                 fit a longer recording, or draw no more than its length",
                format_duration(Duration::from_secs_f64(model.duration))
            )
        })
    }
}

/// Draws all of a recording into a writer, and counts its requests where that is wanted; its
/// header, and what is not as the model says.
pub(crate) fn drawn(
    model: &Model,
    options: Options,
    origin: String,
    recording: &mut RecordingWriter,
    mut counts: Option<&mut Counts>,
) -> anyhow::Result<(Header, Vec<String>)> {
    let mut draw = Draw::new(model, options);
    let writer = Writer::new(draw.model());
    let mut ledger = Ledger::default();
    let (mut exchanges, mut connections, mut last) = (0, 0, Duration::ZERO);
    let (mut cut, mut beyond) = (0, Beyond::default());
    for one in &mut draw {
        cut += u64::from(is_cut(&one));
        let exchange = writer.exchange(&one);
        beyond.count(exchange.at, model);
        if let Some(counts) = &mut counts {
            counts.count(exchange.at);
        }
        exchanges += 1;
        connections = connections.max(one.connection + 1);
        let took = exchange.response.as_ref().and_then(|response| response.last_byte);
        last = last.max(exchange.at.saturating_add(took.unwrap_or_default()));
        ledger.messages.enter(1);
        ledger.messages.end("exchange", 1);
        recording.push(exchange)?;
    }
    for (what, count) in draw.notes() {
        ledger.note(what, count);
    }
    ledger.note(CUT, cut);
    let mut warnings = warnings(&draw);
    if cut > 0 {
        warnings.push(format!("{} {CUT}", format_count(cut)));
    }
    warnings.extend(beyond.warning(&draw));
    let length = draw.length().max(last);
    let header = Header {
        format_version: FORMAT_VERSION,
        origin,
        started_unix_ns: 0,
        duration_ns: u64::try_from(length.as_nanos()).unwrap_or(u64::MAX),
        clock_resolution_ns: 1,
        exchanges,
        connections,
        servers: Servers { authorities: vec![HOST.to_owned()], addresses: Vec::new() },
        redacted_headers: Vec::new(),
        redaction: Some(Redaction::of_nothing_recorded()),
        ledger,
        // What is open at its end was not closed.
        closings: draw.closings().until(length),
        handshakes: Handshakes::default(),
        part: None,
    };
    Ok((header, warnings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::file::read::from_text;

    #[test]
    fn a_model_is_known_behind_many_comments_and_wherever_a_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.yaml");
        let is = |text: &str| {
            std::fs::write(&path, text).unwrap();
            is_model(&path)
        };
        let model = "model: 2\nname: x\n";
        for comments in [0, 4_080, 4_088, 4_094, 4_095, 4_096, 100_000, 1_000_000] {
            let text = format!("# {}\n{model}", "c".repeat(comments));
            assert!(is(&text), "{comments}");
            assert!(!is(&text.replace("model: 2", "name: 2")), "{comments}");
        }
        assert!(is("model: 2"), "without a line end");
        assert!(!is(&format!("# {}\n{model}", "c".repeat(2 << 20))), "the bound holds");
    }

    /// A model of a minute whose sessions last for many is denser behind its end; one whose
    /// sessions are short is not.
    #[test]
    fn what_is_denser_behind_the_end_of_a_model_is_told() {
        let text = include_str!("../../../tests/it/hostile/model.yaml");
        let mut model = from_text(text, "m.yaml").unwrap();
        // A crowd is meant to be denser.
        model.edits.crowds.clear();
        let folder = tempfile::tempdir().unwrap();
        let told = |longer: f64| {
            let mut writer = RecordingWriter::create(&folder.path().join("r.parquet")).unwrap();
            let length = Some(Duration::from_secs_f64(model.duration * longer));
            let options = Options { seed: 1, length, scale: 1.0 };
            drawn(&model, options, String::new(), &mut writer, None).unwrap().1
        };
        let is_told = |warnings: &[String]| warnings.iter().any(|it| it.contains("times as many"));
        assert!(!is_told(&told(1.0)));
        let beyond = |counts: [u64; 2]| {
            let length = Some(Duration::from_secs_f64(model.duration * 3.0));
            let draw = Draw::new(&model, Options { seed: 1, length, scale: 1.0 });
            Beyond { counts }.warning(&draw)
        };
        assert_eq!(beyond([1_000, 2_100]), None, "as dense in both");
        let said = beyond([1_000, 6_000]).unwrap();
        assert!(said.contains("3.0 times as many requests a second"), "{said}");
    }

    #[test]
    fn heads_that_are_cut_are_told() {
        let text = include_str!("../../../tests/it/hostile/model.yaml");
        let folder = tempfile::tempdir().unwrap();
        let drawn_of = |text: &str| {
            let model = from_text(text, "m.yaml").unwrap();
            let mut writer = RecordingWriter::create(&folder.path().join("r.parquet")).unwrap();
            let options = Options { seed: 1, length: None, scale: 1.0 };
            drawn(&model, options, String::new(), &mut writer, None).unwrap()
        };
        let heads = ["[[0, 100], [1, 300]]", "[[0, 70000], [1, 70001]]"]
            .map(|points| format!("head: {{ points: {points} }}"));
        for (text, is_cut) in [(text, false), (&text.replacen(&heads[0], &heads[1], 1), true)] {
            let (header, warnings) = drawn_of(text);
            assert_eq!(header.ledger.notes.contains_key(CUT), is_cut, "{:?}", header.ledger);
            assert_eq!(warnings.iter().any(|it| it.ends_with(CUT)), is_cut, "{warnings:?}");
        }
    }
}
