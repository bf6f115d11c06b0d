//! The body of an OTLP export of metrics over HTTP, in JSON: names in lower camel case, 64-bit
//! integers as strings.

use serde_json::{Value, json};

use crate::report::metrics::{Batch, Metric, Origin, Point};

/// The header that says what the body is.
pub const HEADERS: [(&str, &str); 1] = [("content-type", "application/json")];

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: sums since the counters were 0.
const CUMULATIVE: u8 = 2;

/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`: there is no value from this moment on.
const NO_VALUE: u8 = 1;

/// The body that holds some batches, given by rising moment.
pub fn encode(origin: &Origin, batches: &[Batch]) -> Vec<u8> {
    let mut metrics: Vec<(&'static Metric, Vec<Value>)> = Vec::new();
    for batch in batches {
        for point in &batch.points {
            let value = data_point(batch, point);
            match metrics.iter_mut().find(|(metric, _)| metric.name == point.metric.name) {
                Some((_, points)) => points.push(value),
                None => metrics.push((point.metric, vec![value])),
            }
        }
    }
    let metrics: Vec<Value> =
        metrics.into_iter().map(|(metric, points)| described(metric, &points)).collect();
    let body = json!({ "resourceMetrics": [{
        "resource": { "attributes": attributes(origin) },
        "scopeMetrics": [{
            "scope": { "name": "peakhour", "version": origin.version },
            "metrics": metrics,
        }],
    }]});
    body.to_string().into_bytes()
}

fn described(metric: &Metric, points: &[Value]) -> Value {
    let data = if metric.is_counter {
        json!({
            "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points,
        })
    } else {
        json!({ "dataPoints": points })
    };
    let kind = if metric.is_counter { "sum" } else { "gauge" };
    json!({
        "name": metric.name, "unit": metric.unit, "description": metric.help, kind: data,
    })
}

fn data_point(batch: &Batch, point: &Point) -> Value {
    let (since, at) = (batch.since_unix_ns.to_string(), batch.unix_ns.to_string());
    match point.value {
        Some(value) => {
            json!({ "startTimeUnixNano": since, "timeUnixNano": at, "asDouble": value })
        }
        None => json!({ "startTimeUnixNano": since, "timeUnixNano": at, "flags": NO_VALUE }),
    }
}

/// How many numbers a receiver says that it did not keep, of a request that it took.
pub fn refused(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let refused = &answer["partialSuccess"]["rejectedDataPoints"];
    // 64-bit integers are strings, and numbers are to be understood as well.
    refused.as_u64().or_else(|| refused.as_str()?.parse().ok()).unwrap_or(0)
}

fn attributes(origin: &Origin) -> Vec<Value> {
    let ours = [
        ("service.name", "peakhour"),
        // What tells the series of one run from those of another where only this and the name do.
        ("service.instance.id", &origin.run),
        ("service.version", &*origin.version),
        ("peakhour.scenario", &origin.scenario),
        ("peakhour.run", &origin.run),
    ];
    let ours = ours.into_iter().map(|(key, value)| (key.to_owned(), value));
    let theirs = origin.labels.iter().map(|(key, value)| (format!("label.{key}"), &**value));
    let attribute =
        |(key, value): (String, &str)| json!({ "key": key, "value": { "stringValue": value } });
    ours.chain(theirs).map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metrics::tests::{batch, origin};

    #[test]
    fn counters_are_sums_and_the_rest_are_gauges() {
        let body = encode(&origin(), &[batch(2_000_000_000, 10), batch(7_000_000_000, 25)]);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let resource = &body["resourceMetrics"][0];
        let attributes = resource["resource"]["attributes"].as_array().unwrap();
        let commit = attributes.iter().find(|each| each["key"] == "label.git.commit").unwrap();
        assert_eq!(commit["value"]["stringValue"], "4f1c2aa");
        let metrics = resource["scopeMetrics"][0]["metrics"].as_array().unwrap();
        for metric in metrics {
            let is_counter = metric["name"].as_str().unwrap().ends_with("_total");
            assert_eq!(metric.get("sum").is_some(), is_counter, "{metric}");
            assert_eq!(metric.get("gauge").is_some(), !is_counter, "{metric}");
        }
        let of = |key: &str| attributes.iter().find(|each| each["key"] == key).unwrap();
        assert_eq!(of("service.instance.id")["value"]["stringValue"], origin().run);
        let latency = metrics.iter().find(|metric| {
            metric["unit"] == "s" && metric["name"].as_str().unwrap().contains("latency")
        });
        let untold = &latency.unwrap()["gauge"]["dataPoints"][1];
        assert_eq!((untold.get("asDouble"), &untold["flags"]), (None, &json!(1)), "{untold}");
        let due = &metrics[0]["sum"];
        assert_eq!(
            (&due["aggregationTemporality"], &due["isMonotonic"]),
            (&json!(2), &json!(true))
        );
        let points = due["dataPoints"].as_array().unwrap();
        assert_eq!(points.len(), 2);
        assert_eq!(points[1]["asDouble"], 25.0);
        assert_eq!(points[1]["timeUnixNano"], "7000000000");
        assert_eq!(points[1]["startTimeUnixNano"], "1000000000");
    }

    #[test]
    fn what_a_receiver_did_not_keep_is_understood() {
        for (answer, count) in [
            (r#"{"partialSuccess":{"rejectedDataPoints":"12","errorMessage":"no"}}"#, 12),
            (r#"{"partialSuccess":{"rejectedDataPoints":12}}"#, 12),
            (r#"{"partialSuccess":{"rejectedDataPoints":-1}}"#, 0),
            (r#"{"partialSuccess":{}}"#, 0),
            ("{}", 0),
            ("", 0),
            ("[1]", 0),
            ("no JSON", 0),
        ] {
            assert_eq!(refused(answer.as_bytes()), count, "{answer}");
        }
    }
}
