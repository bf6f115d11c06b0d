//! Access logs from elsewhere, with a clock of seconds: what becomes of each of them is known.

use std::fs;
use std::path::Path;

use peakhour::units::format_count;
use serde_json::Value;

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
