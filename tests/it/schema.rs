//! The published schema of `run.json`, and a foreign reader that holds runs against it.

use std::fs;
use std::path::Path;
use std::process::Command;

use peakhour::report::json;
use peakhour::report::model::Report;
use serde_json::Value;

use crate::report_sample::full::full;
use crate::report_sample::{failing, invalid, passing};
use crate::support::{peakhour, program, root};

const FILE: &str = "docs/run.schema.json";

/// `UPDATE=1` rewrites it.
#[test]
fn the_published_schema_is_that_of_the_program() {
    let path = root().join(FILE);
    let schema = json::schema().unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == schema, "{FILE} is another one; UPDATE=1 rewrites it");
    let printed = peakhour(Path::new("/"), &["report", "--schema"]);
    assert_eq!((printed.code, printed.stdout), (0, schema));
}

/// What Python's jsonschema finds wrong with some runs, a line each; `None` where it is not there.
fn mistakes(runs: &[Value]) -> Option<Vec<String>> {
    const READER: &str = "\
import json, sys
from jsonschema import Draft202012Validator as Validator
schema = json.load(open(sys.argv[1]))
Validator.check_schema(schema)
for run in json.load(open(sys.argv[2])):
    for error in Validator(schema).iter_errors(run):
        print('/'.join(map(str, error.absolute_path)), error.message[:200])
";
    let python = program("python3")?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.json");
    fs::write(&file, serde_json::to_vec(runs).unwrap()).unwrap();
    let mut command = Command::new(python);
    let read = command.arg("-c").arg(READER).arg(root().join(FILE)).arg(file).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    Some(String::from_utf8_lossy(&read.stdout).lines().map(str::to_owned).collect())
}

/// A real run is as the schema says; tests of what runs hold ask for it. `Null` is none.
pub(crate) fn holds(run: &Value) {
    if !run.is_null() {
        let found = mistakes(std::slice::from_ref(run)).unwrap_or_default();
        assert_eq!(found, Vec::<String>::new());
    }
}

fn value(report: &Report) -> Value {
    serde_json::from_str(&json::render(report).unwrap()).unwrap()
}

#[test]
fn runs_are_as_the_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = "scenarios/first-rehearsal.yaml";
    let reports = folder.path().to_str().unwrap();
    let arguments = ["run", scenario, "--reports", reports, "--stage-fault", "cold-cache"];
    let ran = peakhour(root(), &[&arguments[..], &["--quiet"]].concat());
    let run = fs::read_dir(folder.path()).unwrap().flatten().next();
    let run = run.unwrap_or_else(|| panic!("{}", ran.stderr)).path().join("run.json");
    let run: Value = serde_json::from_slice(&fs::read(run).unwrap()).unwrap();
    let samples = [passing(), failing(), invalid(), full()];
    let runs: Vec<Value> = samples.iter().map(value).chain([run]).collect();
    let Some(mistakes) = mistakes(&runs) else { return };
    assert_eq!(mistakes, Vec::<String>::new());
}

#[test]
fn what_is_no_run_is_not_as_the_schema_says() {
    let whole = value(&passing());
    let damaged = |pointer: &str, to: Value| {
        let mut run = whole.clone();
        *run.pointer_mut(pointer).unwrap() = to;
        run
    };
    let mut without = whole.clone();
    without.as_object_mut().unwrap().remove("totals");
    let runs = [
        damaged("/verdict", "fine".into()),
        damaged("/totals/sent", "many".into()),
        damaged("/series/0/due", Value::Null),
        without,
    ];
    for run in runs {
        let Some(found) = mistakes(&[run]) else { return };
        assert!(!found.is_empty());
    }
}
