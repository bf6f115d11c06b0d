//! Access logs from elsewhere, with a clock of seconds: what becomes of them is known for each.

use std::fs;

use serde_json::Value;

use crate::support::{corpus, peakhour};

/// Four days of a small site, a web server's log.
const APACHE: &str = "elastic-examples/Common_Data_Formats__apache_logs__apache_logs";

/// A log that a program made up, with targets that are no paths.
const MADE_UP: &str = "lnav/docs__tutorials__playground__logs__access_log.gz";

#[test]
fn a_log_of_days_is_fitted_and_what_its_model_lacks_is_listed() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = corpus.join(APACHE).display().to_string();
    let ran = peakhour(folder.path(), &["synth", &log, "-o", "m.yaml", "--check", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = told["statistics"].as_array().unwrap();
    println!("{}\n{}", ran.stderr, ran.stdout);
    for row in rows {
        assert!(row["fits"].is_boolean() && row["error"].is_number(), "{row}");
    }
    // Nothing is said below ten steps of its clock.
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"IDC at 10 s") && !names.contains(&"IDC at 1 s"), "{names:?}");
    let model = fs::read_to_string(folder.path().join("m.yaml")).unwrap();
    assert!(model.contains("model: 2"), "{model}");
    let draw = |seed: &str, output: &str| {
        let ran = peakhour(folder.path(), &["synth", "m.yaml", "-o", output, "--seed", seed, "-q"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    };
    draw("1", "one");
    draw("2", "other");
    let arguments = ["validate", "one", "other", "--tolerance", "ci"];
    let ran = peakhour(folder.path(), &arguments);
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
}

#[test]
fn a_log_of_few_clients_is_refused_with_the_reason() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = corpus.join(MADE_UP).display().to_string();
    let ran = peakhour(folder.path(), &["synth", &log, "-o", "m.yaml"]);
    println!("{}", ran.stderr);
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    assert!(!folder.path().join("m.yaml").exists());
}
