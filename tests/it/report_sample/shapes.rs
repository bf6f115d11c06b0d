//! Made-up distances between the planned and the produced load.

use peakhour::shape::{Fault, Metric, MetricOutcome, ShapeReport, ShapeVerdict};

pub(super) fn faithful() -> ShapeReport {
    ShapeReport {
        verdict: ShapeVerdict::Faithful,
        statement: "the recorded load was produced at every time-scale from 10 ms up".to_owned(),
        worst_ratio: 0.62,
        worst_metric: "IDC ratio 100 ms".to_owned(),
        tier: "standard".to_owned(),
        metrics: metrics(MetricOutcome::Pass, 1.04, 0.4, 0.034),
    }
}

pub(super) fn degraded() -> ShapeReport {
    ShapeReport {
        verdict: ShapeVerdict::Degraded { faithful_from_ms: 1_000 },
        statement: "the recorded load was produced at time-scales of 1 s and above".to_owned(),
        worst_ratio: 1.9,
        worst_metric: "IDC ratio 100 ms".to_owned(),
        tier: "standard".to_owned(),
        metrics: metrics(MetricOutcome::Fail, 0.81, 1.9, 0.034),
    }
}

pub(super) fn late_shape() -> ShapeReport {
    let mut metrics = metrics(MetricOutcome::Fail, 0.61, 3.9, 21.0);
    metrics[1].outcome = MetricOutcome::Fail;
    metrics[1].ratio = Some(2.1);
    "this machine was late itself".clone_into(&mut metrics[1].note);
    ShapeReport {
        verdict: ShapeVerdict::Invalid { fault: Fault::Generator },
        statement: "the recorded load was not produced: this machine was late by 21 ms at p99"
            .to_owned(),
        worst_ratio: f64::INFINITY,
        worst_metric: "lateness p99".to_owned(),
        tier: "standard".to_owned(),
        metrics,
    }
}

fn metrics(burst: MetricOutcome, idc: f64, ratio: f64, lateness_ms: f64) -> Vec<Metric> {
    let metric = |name: &str, value: Option<f64>, unit: &str, limit: &str| Metric {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
        limit: limit.to_owned(),
        ratio: Some(0.1),
        outcome: MetricOutcome::Pass,
        note: String::new(),
    };
    vec![
        metric("completeness", Some(100.0), "%", "≥ 99.9 %"),
        metric("lateness p99", Some(lateness_ms), "ms", "≤ 10 ms"),
        metric("WAPE 1 s", Some(0.21), "%", "≤ 1 %"),
        metric("max cumulative lag", Some(0.002), "s", "≤ 0.2 s"),
        Metric {
            outcome: burst,
            ratio: Some(ratio),
            note: if burst == MetricOutcome::Fail {
                "bursts were flattened".to_owned()
            } else {
                String::new()
            },
            ..metric("IDC ratio 100 ms", Some(idc), "", "0.90–1.10")
        },
        metric("mix TVD", Some(0.0), "", "≤ 0.005"),
        Metric {
            outcome: MetricOutcome::Report,
            ratio: None,
            ..metric("IDC ratio 10 ms", Some(1.21), "", "")
        },
        Metric {
            outcome: MetricOutcome::NotEvaluable,
            ratio: None,
            note: "the window is shorter than 20 bins".to_owned(),
            ..metric("IDC ratio 10 s", None, "", "0.90–1.10")
        },
    ]
}
