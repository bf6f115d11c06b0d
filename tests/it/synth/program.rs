//! What the program refuses, and that it writes nothing then.

use std::fs;
use std::path::Path;
use std::time::Duration;

use peakhour::model::owners::owner_of;
use peakhour::recording::Exchange;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::law::{Law, recorded};
use super::written;
use crate::support::{Ran, peakhour, root};

const MINUTE: Law = Law { seconds: 60.0, sessions: 16.0, crowd: (160.0, 15.0), again: 0.0 };

fn synth(folder: &Path, arguments: &[&str]) -> Ran {
    peakhour(folder, &[&["synth"], arguments].concat())
}

/// Four hundred sessions that wander among four of eight routes each.
fn wandering(half: &dyn Fn(u64) -> u64) -> Vec<Exchange> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let template = recorded(&Law { seconds: 2.0, ..MINUTE }, 1).remove(0);
    let mut all: Vec<Exchange> = Vec::new();
    for session in 0..400_u64 {
        for step in 0..12_u32 {
            let route = format!("/page{}", 4 * half(session) + random.random_range(0..4));
            all.push(Exchange {
                at: Duration::from_millis(session * 100) + Duration::from_secs(1) * step,
                connection: session,
                session,
                seq: step,
                target: route.clone(),
                route,
                ..template.clone()
            });
        }
    }
    all.sort_by_key(|one| one.at);
    all
}

#[test]
fn a_model_that_would_repeat_single_clients_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Whom the chain of the test is fitted to goes where nobody else goes.
    let apart = wandering(&|session| u64::from(owner_of(session) % 2));
    written(&folder.join("apart"), &apart, 60.0);
    let ran = synth(folder, &["apart", "-o", "m.yaml"]);
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the model is not written, since it would repeat"),
        "{}",
        ran.stderr
    );
    assert!(!folder.join("m.yaml").exists());
    written(&folder.join("alike"), &wandering(&|session| session / 200), 60.0);
    let ran = synth(folder, &["alike", "-o", "m.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("copy test: of sequences of 5 steps"), "{}", ran.stderr);
}

#[test]
fn a_real_capture_of_enough_clients_has_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("captures/nginx-first/peak.pcap.gz").display().to_string();
    let ran = synth(folder.path(), &[&capture, "-o", "m.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains(" of 452 sessions in 30 s: "), "{}", ran.stderr);
    assert_eq!(synth(folder.path(), &["m.yaml", "--dry-run"]).code, 0);
}

#[test]
fn a_recording_without_a_model_is_told_why_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let all = recorded(&MINUTE, 1);
    let one: Vec<Exchange> = all.iter().map(|one| Exchange { session: 7, ..one.clone() }).collect();
    written(&folder.join("one"), &one, MINUTE.seconds);
    written(&folder.join("little"), &all[..100], MINUTE.seconds);
    let short = recorded(&Law { seconds: 8.0, ..MINUTE }, 1);
    written(&folder.join("short"), &short, 8.0);
    for (recording, says) in [
        ("one", "1 clients with 1 visits are too few"),
        ("little", "100 requests are too few"),
        ("short", "its requests span 7."),
    ] {
        let ran = synth(folder, &[recording, "-o", "m.yaml"]);
        assert_eq!(ran.code, 104, "{recording}: {}", ran.stderr);
        let is_told = ran.stderr.contains("no model can be fitted") && ran.stderr.contains(says);
        assert!(is_told, "{recording}: {}", ran.stderr);
        assert!(!folder.join("m.yaml").exists(), "{recording}");
    }
}

#[test]
fn words_of_paths_are_numbers_where_routes_are_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    written(&folder.join("peak"), &recorded(&MINUTE, 1), MINUTE.seconds);
    for (options, is_hidden) in [(&["--hide-routes"][..], true), (&[], false)] {
        let ran = synth(folder, &[&["peak", "-o", "m.yaml"][..], options].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let model = fs::read_to_string(folder.join("m.yaml")).unwrap();
        for word in ["/items/*", "/orders", "/static/pictures.css"] {
            assert_eq!(!model.contains(word), is_hidden, "{word}: {model}");
        }
        assert_eq!(model.contains("\"GET /s1/s2\""), is_hidden, "{model}");
    }
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    written(&folder.join("peak"), &recorded(&MINUTE, 1), MINUTE.seconds);
    assert_eq!(synth(folder, &["peak", "-o", "m.yaml", "-q"]).code, 0);
    // A file that only speaks of models is none.
    fs::write(folder.join("notes.yaml"), "name: x\nmodel: 2\n").unwrap();
    for (arguments, says) in [
        (&["m.yaml", "--check"][..], "are for a recording that a model is fitted to"),
        (&["m.yaml", "-o", "x", "--hide-routes"], "are for a recording"),
        (&["peak", "-o", "x", "--duration", "1m"], "is for a model that a recording is drawn from"),
        (&["peak", "-o", "x", "--new-route", "GET /a=95%"], "0.95 is out of range"),
        (&["notes.yaml", "-o", "x"], "notes.yaml"),
    ] {
        let ran = synth(folder, arguments);
        assert_eq!(ran.code, 104, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("unknown key"), "{arguments:?}: {}", ran.stderr);
        assert!(!folder.join("x").exists(), "{arguments:?}");
    }
}

/// What a scale does to bursts stands beside what is drawn, as for a plan; else nothing does.
#[test]
fn burstiness_before_and_after_is_told_of_what_is_scaled() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let law = Law { seconds: 120.0, ..MINUTE };
    written(&folder.join("peak"), &recorded(&law, 1), law.seconds);
    assert_eq!(synth(folder, &["peak", "-o", "m.yaml", "-q"]).code, 0);
    let ran = synth(folder, &["m.yaml", "-o", "twice", "--scale", "2"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let row = |text: &str, name: &str| -> Vec<f64> {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let numbers = line.trim_start()[name.len()..].split_whitespace();
        numbers.map(|number| number.parse().unwrap()).collect()
    };
    let (before, after) = (row(&ran.stderr, "not scaled"), row(&ran.stderr, "scaled  "));
    assert_eq!((before.len(), after.len()), (4, 4), "{}", ran.stderr);
    // Sessions come in bursts of their own, and twice as many of them in no others.
    assert!(before[1] > 1.5 && (after[1] / before[1] - 1.0).abs() < 0.25, "{before:?} {after:?}");
    assert!(ran.stderr.contains("scaling: "), "{}", ran.stderr);
    let told = synth(folder, &["m.yaml", "--dry-run", "--scale", "2"]).stdout;
    assert_eq!((row(&told, "not scaled"), row(&told, "scaled  ")), (before.clone(), after));
    // The same where the file says it; and what is not scaled is as it was.
    assert_eq!(synth(folder, &["peak", "-o", "m2.yaml", "-q", "--scale", "2"]).code, 0);
    let told = synth(folder, &["m2.yaml", "--dry-run"]).stdout;
    assert_eq!(row(&told, "not scaled"), before);
    let ran = synth(folder, &["m.yaml", "-o", "once"]);
    assert!(!ran.stderr.contains("burstiness"), "{}", ran.stderr);
}
