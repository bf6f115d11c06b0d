//! Access logs from elsewhere, with a clock of seconds: what becomes of each of them is known.

use std::fs;
use std::path::Path;
use std::time::Duration;

use peakhour::recording::Exchange;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::units::format_count;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::written;
use crate::support::{corpus, peakhour};

/// Four days of a small site, the log of its web server.
const SITE: &str = "elastic-examples/Common_Data_Formats__apache_logs__apache_logs";

/// Two days that a program made up, with targets that are no paths.
const MADE_UP: &str = "lnav/docs__tutorials__playground__logs__access_log.gz";

/// A log of three lines.
const SHORT: &str = "lnav/test__logfile_access_log.0";

/// The check of a fit, by name of the statistic.
fn fitted(folder: &Path, log: &Path) -> (String, Vec<Value>) {
    let log = log.display().to_string();
    let ran = peakhour(folder, &["synth", &log, "-o", "m.yaml", "--check", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    println!("{}", ran.stderr);
    (ran.stderr, told["statistics"].as_array().unwrap().clone())
}

fn of<'a>(rows: &'a [Value], name: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row["name"] == name)
}

#[test]
fn logs_of_days_are_fitted_and_what_their_models_lack_is_listed() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (log, requests) in [(SITE, 10_000), (MADE_UP, 2_492)] {
        let (told, rows) = fitted(folder, &corpus.join(log));
        let requests = format!("{} requests of ", format_count(requests));
        assert!(told.contains(&requests) && told.contains("leak test: "), "{told}");
        // Nothing is said below ten steps of the clock.
        assert!(of(&rows, "IDC at 10 s").is_some() && of(&rows, "IDC at 1 s").is_none());
        assert!(of(&rows, "busiest second").is_none(), "{rows:#?}");
        for row in &rows {
            let outside = row["z"].as_f64().is_some_and(|z| z.abs() > 3.0)
                || row["tolerance"]
                    .as_f64()
                    .is_some_and(|limit| row["error"].as_f64() > Some(limit));
            assert!(!outside || row["fits"] == false, "{row}");
            println!(
                "{log}: {} z {} error {} fits {}",
                row["name"], row["z"], row["error"], row["fits"]
            );
        }
        // As many come as came, and ask for as much but for what few of them did.
        for (name, most) in [("sessions", 0.05), ("requests", 0.2)] {
            let error = of(&rows, name).unwrap()["error"].as_f64().unwrap();
            assert!(error < most, "{log}, {name}: {error}");
        }
        let model = fs::read_to_string(folder.join("m.yaml")).unwrap();
        assert!(model.contains("model: 2"), "{model}");
        let ran = peakhour(folder, &["synth", "m.yaml", "-o", "drawn", "-q"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
}

/// The verdict of `validate` in the tier for shared machines, and what failed.
fn validated(folder: &Path, one: &str, other: &str) -> (i32, Value, Vec<String>) {
    let arguments = ["validate", one, other, "--tolerance", "ci", "--json", "-"];
    let ran = peakhour(folder, &arguments);
    let told: Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|_| panic!("{} {}", ran.stdout, ran.stderr));
    let metrics = told["metrics"].as_array().unwrap();
    let failed = metrics.iter().filter(|metric| metric["outcome"] == "fail");
    let failed = failed.map(|metric| metric["name"].as_str().unwrap().to_owned()).collect();
    (ran.code, told["verdict"].clone(), failed)
}

/// What is done to a recording.
type Fault = dyn Fn(&mut Vec<Exchange>);

/// Writes a drawn recording again, with a fault.
fn changed(folder: &Path, from: &str, fault: &Fault) {
    let reader = RecordingReader::open(&folder.join(from)).unwrap();
    let length = Duration::from_nanos(reader.header().duration_ns).as_secs_f64();
    let mut all: Vec<Exchange> = reader.exchanges(None).map(Result::unwrap).collect();
    fault(&mut all);
    all.sort_by_key(|one| one.at);
    written(&folder.join("faulty"), &all, length);
}

/// Requests in the first minute of their hour, counted from the first one on.
fn hurried(all: &mut [Exchange]) {
    for one in all {
        let hour = one.at.as_secs() / 3_600 * 3_600;
        let within = one.at.saturating_sub(Duration::from_secs(hour));
        one.at = Duration::from_secs(hour) + within / 60;
    }
}

/// The gaps between them in another order.
fn shuffled(all: &mut [Exchange]) {
    let moments: Vec<Duration> = all.iter().map(|one| one.at).collect();
    let mut gaps: Vec<Duration> =
        moments.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
    let mut random = ChaCha8Rng::seed_from_u64(9);
    for place in (1..gaps.len()).rev() {
        gaps.swap(place, random.random_range(0..=place));
    }
    let mut at = moments[0];
    for (one, gap) in all.iter_mut().skip(1).zip(gaps) {
        at += gap;
        one.at = at;
    }
}

/// Half of them are missing.
fn halved(all: &mut Vec<Exchange>) {
    let mut number = 0;
    all.retain(|_| {
        number += 1;
        number % 2 == 0
    });
}

/// Days with a request every half a minute are told by three hours, as long as they were and as
/// dense; those with one every eighty seconds where there are six days of them.
#[test]
fn what_is_drawn_of_a_log_is_the_load_of_a_fresh_draw_and_a_fault_is_found() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (log, length) in [(SITE, None), (MADE_UP, Some("144h"))] {
        let path = corpus.join(log).display().to_string();
        let ran = peakhour(folder, &["synth", &path, "-o", "m.yaml", "-q"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        for (output, seed) in [("one", "11"), ("other", "12")] {
            let mut arguments = vec!["synth", "m.yaml", "-o", output, "--seed", seed, "-q"];
            arguments.extend(length.iter().flat_map(|length| ["--duration", length]));
            let ran = peakhour(folder, &arguments);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
        }
        let (code, verdict, failed) = validated(folder, "one", "other");
        assert_eq!(
            (code, &verdict["kind"]),
            (0, &"faithful-where-told".into()),
            "{log} {failed:?}"
        );
        let scale = verdict["scale_ms"].as_u64().unwrap();
        assert!((60_000..=21_600_000).contains(&scale), "{log}: {scale}");
        let faults: [(&str, &Fault); 3] = [
            ("hurried", &|all: &mut Vec<Exchange>| hurried(all)),
            ("shuffled", &|all: &mut Vec<Exchange>| shuffled(all)),
            ("halved", &halved),
        ];
        for (name, fault) in faults {
            // All requests of the site's log are in the first minute of an hour, as it begins; and
            // the gaps of the made-up log are independent of each other: in another order they are
            // another sample of the same law, with the same bursts.
            if (log, name) == (SITE, "hurried") || (log, name) == (MADE_UP, "shuffled") {
                continue;
            }
            changed(folder, "other", fault);
            let (code, verdict, failed) = validated(folder, "one", "faulty");
            assert_eq!(code, 99, "{log}, {name}: {verdict}");
            assert!(!failed.is_empty(), "{log}, {name}");
            println!("{log}, {name}: {verdict} {failed:?}");
        }
    }
}

#[test]
fn a_log_of_a_few_lines_is_refused_with_the_reason() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = corpus.join(SHORT).display().to_string();
    let ran = peakhour(folder.path(), &["synth", &log, "-o", "m.yaml"]);
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    assert!(ran.stderr.contains("3 requests are too few"), "{}", ran.stderr);
    assert!(!folder.path().join("m.yaml").exists());
}
