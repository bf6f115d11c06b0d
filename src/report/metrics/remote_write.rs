//! The body of a Prometheus remote write, version 1.0: a `WriteRequest` in protobuf, compressed as
//! one block of Snappy.

use std::collections::BTreeMap;

use prost::Message;

use crate::report::metrics::{Batch, Origin};

/// The headers that say what the body is.
pub const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

/// Samples of many series.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// The series, each with another set of labels.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

/// Samples of one series.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Its labels, by rising name; the metric's name is that of `__name__`.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Its samples, by rising moment.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

/// A label of a series.
#[derive(Clone, PartialEq, Message)]
pub struct Label {
    /// Its name: letters, digits and `_`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// One number.
#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    /// The number.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// What Prometheus writes where a series has no value from a moment on. It is one of the many bit
/// patterns that are no number.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The body that holds some batches, given by rising moment.
pub fn encode(origin: &Origin, batches: &[Batch]) -> Result<Vec<u8>, snap::Error> {
    let body = request(origin, batches).encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&body)
}

fn request(origin: &Origin, batches: &[Batch]) -> WriteRequest {
    let mut series: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    for batch in batches {
        let timestamp = i64::try_from(batch.unix_ns / 1_000_000).unwrap_or(i64::MAX);
        for point in &batch.points {
            let value = point.value.unwrap_or(f64::from_bits(STALE));
            let sample = Sample { value, timestamp };
            series.entry(point.metric.name).or_default().push(sample);
        }
    }
    let common = labels(origin);
    let timeseries = series.into_iter().map(|(name, samples)| {
        let mut labels = common.clone();
        labels.insert("__name__".to_owned(), name.to_owned());
        let labels = labels.into_iter().map(|(name, value)| Label { name, value }).collect();
        TimeSeries { labels, samples }
    });
    WriteRequest { timeseries: timeseries.collect() }
}

/// What is the same of all series. No label of the user replaces one of ours, nor another one of
/// theirs whose name becomes the same: it gets a name in front.
fn labels(origin: &Origin) -> BTreeMap<String, String> {
    let ours = [("job", "peakhour"), ("run", &origin.run), ("scenario", &origin.scenario)];
    let ours = ours.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut labels: BTreeMap<String, String> = ours.collect();
    for (key, value) in &origin.labels {
        let mut name = label_name(key);
        while labels.contains_key(&name) {
            name.insert_str(0, "label_");
        }
        labels.insert(name, value.clone());
    }
    labels.retain(|_, value| !value.is_empty());
    labels
}

/// Names hold letters, digits and `_` only, begin with no digit, and two `_` in front are the
/// server's own.
fn label_name(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(plain).collect();
    let name = name.trim_start_matches('_');
    if name.starts_with(|first: char| first.is_ascii_digit()) || name.is_empty() {
        return format!("label_{name}");
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metrics::tests::{batch, origin};

    #[test]
    fn every_series_has_its_samples_in_order_and_its_labels_sorted() {
        let batches = [batch(2_000_000_000, 10), batch(7_000_000_000, 25)];
        let body = encode(&origin(), &batches).unwrap();
        let body = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let read = WriteRequest::decode(&*body).unwrap();
        assert_eq!(read.timeseries.len(), batches[0].points.len());
        for series in &read.timeseries {
            let names: Vec<&str> = series.labels.iter().map(|label| &*label.name).collect();
            assert_eq!(names, ["__name__", "git_commit", "job", "run", "scenario"]);
            let moments: Vec<i64> = series.samples.iter().map(|each| each.timestamp).collect();
            assert_eq!(moments, [2_000, 7_000]);
        }
        let due = read.timeseries.iter().find(|series| series.labels[0].value.contains("due"));
        let due: Vec<f64> = due.unwrap().samples.iter().map(|sample| sample.value).collect();
        assert_eq!(due, [10.0, 25.0]);
        let latency = |name: &str| {
            let of_name = |series: &&TimeSeries| series.labels[0].value.contains(name);
            let series = read.timeseries.iter().find(of_name).unwrap();
            series.samples.iter().map(|sample| sample.value.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(latency("latency"), [STALE; 2], "nothing was answered");
        assert_eq!(latency("lateness"), [0.002_f64.to_bits(); 2]);
    }

    #[test]
    fn no_label_is_one_that_a_server_refuses_or_one_of_ours() {
        for (key, name) in [
            ("git.commit", "git_commit"),
            ("__name__", "name__"),
            ("9am", "label_9am"),
            ("---", "label_"),
        ] {
            assert_eq!(label_name(key), name);
        }
        let alike = ["run", "git.commit", "git-commit", "git_commit"];
        let given = alike.map(|key| (key.to_owned(), format!("of {key}")));
        let mut given: BTreeMap<String, String> = given.into();
        given.insert("empty".to_owned(), String::new());
        let labels = labels(&Origin { labels: given, ..origin() });
        assert!(!labels.contains_key("empty"), "a label without a value is none: {labels:?}");
        assert_eq!(labels["run"], origin().run);
        assert_eq!(labels["label_run"], "of run");
        let values: Vec<&str> = labels.values().map(String::as_str).collect();
        for key in alike {
            assert!(values.contains(&&*format!("of {key}")), "{key} is lost: {labels:?}");
        }
    }
}
