//! What is drawn of a model is the load that the model has, and that of the recording but for what
//! is listed.

use std::path::Path;

use peakhour::model::check::{FAR, FLOORS};
use peakhour::model::file::read::from_text;
use peakhour::model::file::write;
use peakhour::stats::counts::as_f64;
use serde_json::Value;

use super::law::{Law, recorded};
use super::{checked, drawn, fitted, written};
use crate::support::peakhour;

/// A load where items that somebody looked at are looked at again.
const LAW: Law = Law { seconds: 240.0, sessions: 16.0, crowd: (160.0, 15.0), again: 0.35 };

/// The verdict of `validate` in the tier for shared machines.
fn validated(folder: &Path, one: &str, other: &str) -> (i32, Value) {
    let arguments = ["validate", one, other, "--tolerance", "ci", "--json", "-"];
    let ran = peakhour(folder, &arguments);
    let told = serde_json::from_str(&ran.stdout);
    (ran.code, told.unwrap_or_else(|_| panic!("{} {}", ran.stdout, ran.stderr)))
}

fn miss_curve(told: &Value) -> f64 {
    let metrics = told["metrics"].as_array().unwrap();
    let curve = metrics.iter().find(|metric| metric["name"] == "miss-ratio curve MAE").unwrap();
    curve["value"].as_f64().unwrap()
}

#[test]
fn a_drawn_recording_is_the_load_of_a_fresh_draw_of_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    written(&folder.join("peak"), &recorded(&LAW, 1), LAW.seconds);
    let ran = peakhour(folder, &["synth", "peak", "-o", "m.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for (seed, output) in [("11", "one"), ("12", "other"), ("13", "twice")] {
        let mut arguments = vec!["synth", "m.yaml", "-o", output, "--seed", seed];
        if output == "twice" {
            arguments.extend(["--scale", "1.3"]);
        }
        let ran = peakhour(folder, &arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let (code, told) = validated(folder, "one", "other");
    assert_eq!((code, &told["verdict"]["kind"]), (0, &"faithful".into()), "{told:#}");
    assert!(told["worst_ratio"].as_f64().unwrap() < 1.0, "{told:#}");
    // The broken twin: another load of the same model.
    let (code, told) = validated(folder, "one", "twice");
    assert_eq!((code, &told["verdict"]["kind"]), (99, &"degraded".into()), "{told:#}");

    // Keys of the recording come again as soon as they do in what is drawn of it: within what two
    // recordings may differ by, without any allowance for chance.
    let (_, told) = validated(folder, "peak", "one");
    assert!(miss_curve(&told) <= 0.02, "{told:#}");
    let model = std::fs::read_to_string(folder.join("m.yaml")).unwrap();
    let popular: String = model
        .lines()
        .map(|line| match line.find("recent: [[") {
            Some(at) => format!("{}recent: [] }}\n", &line[..at]),
            None => format!("{line}\n"),
        })
        .collect();
    assert_ne!(popular, model);
    std::fs::write(folder.join("popular.yaml"), popular).unwrap();
    let ran = peakhour(folder, &["synth", "popular.yaml", "-o", "popular", "--seed", "11"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (_, told) = validated(folder, "peak", "popular");
    assert!(miss_curve(&told) > 0.02, "popularity alone does not do it: {}", miss_curve(&told));
}

/// Every statistic of the recording lies among those of what is drawn, or is listed as outside.
#[test]
fn what_of_a_recording_its_model_does_not_have_is_listed() {
    let exchanges = recorded(&LAW, 3);
    let mut fit = fitted(&exchanges, LAW.seconds, 1e-6).unwrap();
    let told = checked(&fit, &exchanges, 30);
    for row in &told.statistics {
        let limit = row.tolerance.unwrap_or(f64::INFINITY);
        let is_within = row.z.is_none_or(|z| z.abs() <= FAR) && row.error <= limit;
        assert_eq!(row.fits, is_within, "{row:?}");
        // No limit is wider than what the table of tolerances has, or what chance does.
        let spread = 1.001 * FLOORS * row.deviation;
        let is_chance = row.tolerance.is_none_or(|limit| limit <= spread.max(spread / row.mean));
        assert!(limit <= 0.25 || is_chance, "{row:?}");
    }
    let outside: Vec<&str> =
        told.statistics.iter().filter(|row| !row.fits).map(|row| row.name).collect();
    assert!(outside.len() <= 6, "{outside:?} {told:#?}");
    for name in ["IDC at 1 s", "session length p90", "mix (TVD)", "held for 1 s at most (M/G/∞)"]
    {
        assert!(!outside.contains(&name), "{outside:?} {told:#?}");
    }
    // The broken twin: a model whose sessions are another one's.
    fit.model.rate.iter_mut().for_each(|level| level.sessions *= 1.5);
    let told = checked(&fit, &exchanges, 30);
    let requests = &told.statistics[0];
    assert!(requests.name == "requests" && !requests.fits, "{requests:?}");
    assert!(!told.envelope.unwrap().fits, "{:?}", told.envelope);
}

/// What is drawn of a model that was read again is what is drawn of the model that was written.
#[test]
fn a_model_that_is_read_again_draws_the_same() {
    let law = Law { seconds: 60.0, ..LAW };
    let model = fitted(&recorded(&law, 2), law.seconds, 1e-6).unwrap().model;
    let again = from_text(&write(&model), "m.yaml").unwrap();
    assert_eq!(drawn(&model, 5, None), drawn(&again, 5, None));
    let keys = model.routes.iter().filter_map(|route| route.keys.as_ref());
    let shares = keys.map(|keys| keys.recent.iter().map(|(_, share)| share).sum::<f64>());
    assert!(shares.fold(0.0, f64::max) > 0.2, "{:?}", as_f64(model.fitted.requests));
}
