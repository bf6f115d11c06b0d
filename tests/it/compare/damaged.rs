//! Aim: a saved run that contradicts itself is never compared, whatever is in it.

use std::fs;

use peakhour::compare::Options;
use peakhour::compare::judge::judge;
use peakhour::report::json;
use peakhour::report::measured::measured;
use peakhour::report::model::Report;

use crate::compare::{compare, flat, release, run, save, shown};
use crate::mutations::{Random, mutate};
use crate::support::peakhour;

#[test]
fn damaged_files_and_wrong_arguments_are_refused() {
    type Change = fn(&mut Report);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    release(folder, 100);
    let whole = fs::read_to_string(folder.join("new-1/run.json")).unwrap();
    let put = |text: &str| fs::write(folder.join("new-1/run.json"), text).unwrap();
    let refused = |told: &str| {
        let ran = compare(folder, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (104, ""), "{told}: {}", shown(&ran));
        assert!(flat(&ran.stderr).contains(told), "{told}: {}", ran.stderr);
    };
    put(&whole[..whole.len() / 2]);
    refused("new-1/run.json is not a saved run, or a damaged one");
    put(&whole.replace("\"schema_version\": 1", "\"schema_version\": 2"));
    refused("new-1/run.json has schema version 2, this program reads up to 1");
    put(&whole.replace("\"schema_version\": 1", "\"schema_version\": 0"));
    refused("new-1: schema_version is 0, this program reads 1");
    let mut report = run(11, 100);
    report.fates.insert("answered".into(), 5);
    put(&json::render(&report).unwrap());
    refused("new-1: fates come to 5, but totals.planned is");
    let mut report = run(11, 100);
    report.latency.as_mut().unwrap().p99_ns = 1;
    put(&json::render(&report).unwrap());
    refused("new-1: latency has quantiles that fall");
    let contradictions: [(Change, &str); 6] = [
        (|run| run.started = "yesterday".into(), "started is `yesterday` and no moment such as"),
        (|run| run.totals.answered -= 1, "totals.answered counts"),
        (|run| run.totals.unsent += 1, "totals.unsent counts 1, but fates 0"),
        (|run| run.latency.as_mut().unwrap().count -= 1, "latency counts"),
        (|run| run.latency = None, "latency counts 0, but totals.answered"),
        (|run| *run.statuses.values_mut().next().unwrap() -= 1, "statuses counts"),
    ];
    for (change, told) in contradictions {
        let mut report = run(11, 100);
        change(&mut report);
        put(&json::render(&report).unwrap());
        refused(&format!("new-1: {told}"));
    }
    fs::write(folder.join("new-1/run.json"), [&b"{\"scenario\": \"\xff"[..], b"\"}"].concat())
        .unwrap();
    refused("new-1/run.json is not a saved run, or a damaged one");
    let mut report = run(11, 100);
    report.totals.errors = u64::MAX;
    put(&json::render(&report).unwrap());
    refused("new-1: totals.errors is");
    save(folder, "new-1", &run(3, 100));
    refused("new-1 is the same run as old-3");
    fs::remove_file(folder.join("new-1/run.json")).unwrap();
    refused("new-1: is a folder without run.json");
    fs::remove_dir(folder.join("new-1")).unwrap();
    refused("cannot read new-1");
    let ran = peakhour(folder, &["compare", "old-0", "--", "new-0", "--quiet"]);
    assert_eq!(ran.code, 104, "{}", shown(&ran));
    assert!(ran.stderr.contains("options stand before `--`"), "{}", ran.stderr);
    let ran = compare(folder, &["--least-change", "40%"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (104, ""), "{}", shown(&ran));
    assert!(
        ran.stderr.contains("--least-change 40 % is not below --unseen 30 %"),
        "{}",
        ran.stderr
    );
    for arguments in [&["compare", "old-0"][..], &["compare", "--", "old-0"], &["compare"]] {
        assert_eq!(peakhour(folder, arguments).code, 104, "{arguments:?}");
    }
}

/// Whatever a file says: no panic, and the same twice.
#[test]
fn any_bytes_are_a_run_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let seeds = [run(1, 100), crate::report_sample::failing(), crate::report::hostile()]
        .map(|report| json::render(&Report { series: vec![], ..report }).unwrap().into_bytes());
    let base = [measured(&run(2, 100), "base").unwrap()];
    let read = || {
        let report = json::read(&file).ok()?;
        let run = measured(&report, "damaged").ok()?;
        let despite = peakhour::compare::conditions::Condition::ALL.to_vec();
        let options = Options { despite, ..Options::default() };
        Some((run.clone(), judge(&base, &[run], &options).map_err(|error| error.to_string())))
    };
    let mut understood = 0;
    for number in 0..400 {
        let mut random = Random::of(number);
        let seed = seeds[random.below(seeds.len())].clone();
        let bytes = if number < 3 { seed } else { mutate(seed, &mut random) };
        fs::write(&file, bytes).unwrap();
        let first = read();
        understood += usize::from(first.is_some());
        assert_eq!(format!("{first:?}"), format!("{:?}", read()), "{number}");
    }
    assert!(understood > 3, "some damage leaves a run: {understood}");
}
