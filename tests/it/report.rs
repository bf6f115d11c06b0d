//! Reports of made-up runs.

mod beside;
mod bounds;
mod colours;
mod contrast;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use peakhour::report::figures::Figures;
use peakhour::report::files::{prepare_folder, write_reports, write_whole};
use peakhour::report::model::{MAX_ROUTES, Mark, Report, RouteRow, SecondRow};
use peakhour::report::terminal::{Style, line, render};
use peakhour::report::{html, json};

use crate::report_sample::full::probe;
use crate::report_sample::{failing, invalid, passing, with_routes};

const PLAIN: Style = Style { colour: false, width: 80 };

fn on_terminal(report: &Report) -> String {
    let written = ["reports/run/report.html", "reports/run/run.json"].map(PathBuf::from);
    render(report, PLAIN, &written)
}

/// Compares with a golden file; `UPDATE=1` rewrites it.
pub(crate) fn assert_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs; UPDATE=1 rewrites it");
}

#[test]
fn a_passing_run_on_a_terminal() {
    assert_golden("pass.txt", &on_terminal(&passing()));
}

#[test]
fn a_failing_run_on_a_terminal() {
    assert_golden("fail.txt", &on_terminal(&failing()));
}

#[test]
fn an_invalid_run_on_a_terminal() {
    assert_golden("invalid.txt", &on_terminal(&invalid()));
}

/// For all widths: no line is longer than the terminal, even with text that has no spaces.
#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 120] {
        for mut report in [passing(), failing(), invalid()] {
            report.headline = "x".repeat(300);
            report.findings[0].title = "y".repeat(300);
            let text = render(&report, Style { colour: false, width }, &[]);
            for line in text.lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
            }
        }
    }
}

#[test]
fn colours_are_only_laid_over_the_same_text() {
    let report = failing();
    let coloured = render(&report, Style { colour: true, width: 80 }, &[]);
    assert!(coloured.starts_with("\u{1b}[1;31mFAIL\u{1b}[0m"));
    let mut stripped = String::new();
    for (index, part) in coloured.split('\u{1b}').enumerate() {
        stripped.push_str(if index == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(stripped, render(&report, PLAIN, &[]));
}

/// A run in which everything foreign attacks the page, the terminal or the size limit.
pub(crate) fn hostile() -> Report {
    let mut report = failing();
    let attack = "</script><img src=x onerror=window.attacked=alert(1)><a href='javascript:1'>\"'&\
                  {{7*7}}\u{1b}[2J\u{202e}";
    let text = || attack.to_owned();
    report.scenario = text();
    report.target = text();
    report.headline = format!("{attack} {}", "very long ".repeat(10_000));
    report.recording.path = text();
    report.recording.origin = text();
    report.labels = BTreeMap::from([(text(), text())]);
    report.marks = vec![Mark { name: text(), from_ns: 0, to_ns: 1_000_000_000 }];
    report.probes = vec![probe(1)];
    report.probes[0].name = text();
    let seen = &mut report.probes[0].series[0];
    (seen.metric, seen.unit) = (text(), text());
    let figures = &mut report.figures;
    figures.moments = report.marks.clone();
    figures.curves[1].name = text();
    figures.sizes[0].name = text();
    figures.parts[0].name = text();
    figures.outcomes[0].name = text();
    report.findings[0].title = text();
    report.findings[0].evidence = vec![attack.repeat(100); 1_000];
    report.expectations[0].text = text();
    let shape = report.shape.as_mut().unwrap();
    shape.statement = text();
    shape.metrics[0].note = text();
    report.advice = vec![attack.to_owned()];
    report.facts.warnings = vec![attack.to_owned(); 1_000];
    report.facts.skipped = (0..10_000).map(|n| (format!("{attack}{n}"), n)).collect();
    report.statuses = (0..=999).map(|status| (status, 1)).collect();
    report.routes = (0..MAX_ROUTES)
        .map(|n| RouteRow { route: attack.repeat(50 + n), ..report.routes[0].clone() })
        .collect();
    report.series = (0..86_400)
        .map(|second| SecondRow {
            second,
            due: 123_456 + second % 7,
            sent: 123_456 - second % 11,
            answered: 123_400,
            errors: second % 1_000,
            p50_ns: Some(1_234_567 + second),
            p99_ns: Some(123_456_789 + second),
            max_lateness_ns: 12_345_678 + second,
        })
        .collect();
    report
}

#[test]
fn the_page_stands_alone_and_is_small() {
    for report in [passing(), failing(), invalid(), hostile()] {
        let page = html::render(&report).unwrap();
        assert!(page == html::render(&report).unwrap(), "equal reports give equal bytes");
        assert!(page.starts_with("<!doctype html>"));
        assert!(page.trim_end().ends_with("</html>"));
        assert!(page.len() < html::MAX_PAGE_BYTES, "{} bytes", page.len());
        let own = without_library(&page);
        for reference in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "url(", "@import"] {
            assert!(!own.contains(reference), "{reference}");
        }
    }
}

#[test]
fn the_page_says_the_verdict_first() {
    let page = html::render(&failing()).unwrap();
    let position = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    let order = [
        "<title>FAIL: checkout peak</title>",
        ">FAIL</p>",
        "<h1>errors 0.233 %",
        "→ raise the target",
        "id=\"shape\"",
        "id=\"expectations\"",
        "id=\"findings\"",
        "id=\"chart-rate\"",
        "id=\"chart-latency\"",
        "id=\"chart-lateness\"",
        "id=\"chart-percentiles\"",
        "id=\"routes\"",
        "id=\"generator\"",
    ];
    assert!(order.map(position).is_sorted());
}

#[test]
fn the_page_says_whether_to_go() {
    for (report, told) in [(passing(), "go"), (failing(), "no go"), (invalid(), "no answer")] {
        let page = html::render(&report).unwrap();
        assert!(page.contains(&format!("<p class=\"go\">{told}</p>")), "{told}");
    }
}

#[test]
fn a_run_in_which_nothing_failed_says_that_nothing_is_to_be_done() {
    let told = |report: &Report| html::render(report).unwrap().contains("Nothing to act on. Keep");
    let mut report = passing();
    assert!(told(&report), "also where there is a warning");
    report.facts.warnings.clear();
    assert!(told(&report));
    assert!(!told(&failing()));
}

/// Drills alone replay nothing, and the page does not say so.
#[test]
fn a_run_of_drills_is_not_told_to_have_replayed() {
    let told = |report: &Report| html::render(report).unwrap().contains("replayed into");
    assert!(told(&passing()));
    let mut drills = passing();
    drills.shape = None;
    assert!(!told(&drills));
    assert!(html::render(&drills).unwrap().contains("not replayed; the target is"));
}

#[test]
fn foreign_text_stays_text() {
    let page = html::render(&hostile()).unwrap();
    let own = without_library(&page);
    assert!(!own.contains("<img"));
    assert!(!own.contains('\u{1b}') && !own.contains('\u{202e}'));
    // The page's own two script elements, and no further end of one.
    assert_eq!(own.matches("</script").count(), 2);
    let text = on_terminal(&hostile());
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
}

/// The page without the chart library, which names servers that only maps contact.
fn without_library(page: &str) -> String {
    let start = page.rfind("plotly.js v").expect("the library is in the page");
    let end = start + page[start..].find("</script>").expect("the library ends");
    format!("{}{}", &page[..start], &page[end..])
}

#[test]
fn a_run_without_seconds_has_a_page() {
    let mut report = invalid();
    report.series.clear();
    report.figures = Figures::default();
    for quantiles in [
        &mut report.latency,
        &mut report.service,
        &mut report.lateness,
        &mut report.connection_wait,
        &mut report.recorded_latency,
    ] {
        *quantiles = None;
    }
    assert!(html::render(&report).unwrap().contains("no second to draw"));
    assert!(on_terminal(&report).contains("latency     –"));
}

#[test]
fn a_saved_run_reads_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    // The invalid run holds an infinite ratio, which JSON cannot express.
    for report in [passing(), failing(), invalid(), hostile()] {
        let path =
            write_whole(folder.path(), "run.json", json::render(&report).unwrap().as_bytes())
                .unwrap();
        let read = json::read(&path).unwrap();
        assert_eq!(json::render(&read).unwrap(), json::render(&report).unwrap());
    }
}

/// For all numbers that a run may measure: `report RUN` writes the same bytes again.
#[test]
fn numbers_of_a_saved_run_are_read_to_the_last_digit() {
    let folder = tempfile::tempdir().unwrap();
    let mut report = failing();
    for step in 1..200_u32 {
        let value = f64::from(step).sqrt() * 0.123_456_789;
        report.shape.as_mut().unwrap().worst_ratio = value;
        report.health.busy_share = Some(1.0 / f64::from(step));
        let text = json::render(&report).unwrap();
        let path = write_whole(folder.path(), "run.json", text.as_bytes()).unwrap();
        assert_eq!(json::render(&json::read(&path).unwrap()).unwrap(), text);
    }
}

#[test]
fn run_json_is_what_it_was() {
    let mut report = failing();
    report.series.truncate(2);
    for group in &mut report.figures.outcomes {
        group.by_second.truncate(2);
    }
    let heat = report.figures.heat.as_mut().unwrap();
    heat.columns.truncate(1);
    heat.columns[0].truncate(3);
    for curve in report.figures.curves.iter_mut().chain(&mut report.figures.sizes) {
        curve.points.truncate(2);
    }
    assert_golden("fail.json", &json::render(&report).unwrap());
}

#[test]
fn totals_reconcile() {
    for report in [passing(), failing(), invalid()] {
        assert_eq!(report.fates.values().sum::<u64>(), report.totals.planned);
        let listed: u64 = report.routes.iter().map(|route| route.arrivals).sum();
        assert_eq!(listed + report.other_routes.arrivals, report.totals.planned);
    }
}

/// A run of a version that had no figures is reported as far as it goes.
#[test]
fn a_saved_run_without_figures_has_a_page() {
    let mut report = failing();
    report.figures = Figures::default();
    let page = html::render(&report).unwrap();
    for chart in ["chart-situation", "chart-percentiles"] {
        assert!(page.contains(&format!("id=\"{chart}\"")), "{chart}");
    }
    for chart in ["chart-heat", "chart-outcomes", "chart-parts", "chart-sizes"] {
        assert!(!page.contains(&format!("id=\"{chart}\"")), "{chart}");
    }
    let text = json::render(&report).unwrap();
    let mut saved: serde_json::Value = serde_json::from_str(&text).unwrap();
    saved.as_object_mut().unwrap().remove("figures");
    let folder = tempfile::tempdir().unwrap();
    let path = write_whole(folder.path(), "run.json", saved.to_string().as_bytes()).unwrap();
    assert_eq!(json::render(&json::read(&path).unwrap()).unwrap(), text);
}

#[test]
fn groups_of_a_second_are_all_that_was_due_in_it() {
    for report in [passing(), failing(), invalid()] {
        for (second, row) in report.series.iter().enumerate() {
            let groups = report.figures.outcomes.iter().map(|group| group.by_second[second]);
            assert_eq!(groups.map(u64::from).sum::<u64>(), row.due);
        }
    }
}

#[test]
fn a_line_for_scripts_begins_with_the_verdict_and_ends_with_the_page() {
    let written = [PathBuf::from("reports/run/report.html")];
    assert_eq!(
        line(&failing(), &written),
        "FAIL  errors 0.233 %: the target refused connections beyond 64 open at once · \
         82\u{202f}303 of 82\u{202f}495 sent · 192 errors · p99 of answers 64 ms · \
         reports/run/report.html\n"
    );
    assert_eq!(line(&hostile(), &[]).lines().count(), 1);
}

#[test]
fn a_saved_run_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str| {
        let path = write_whole(folder.path(), name, text.as_bytes()).unwrap();
        with_causes(&json::read(&path).unwrap_err())
    };
    assert!(read("a.json", "{\n  nonsense").contains("line 2 column 3"));
    assert!(read("b.json", "{\"schema_version\": 1}").contains("missing field"));
    assert!(read("c.json", "{\"schema_version\": 99}").contains("use the newer program"));
    let mut crowded = failing();
    crowded.figures.heat.as_mut().unwrap().columns = vec![vec![1]; 10_000];
    let crowded = read("d.json", &json::render(&crowded).unwrap());
    assert!(crowded.contains("figures.heat.columns is longer"), "{crowded}");
    let missing = json::read(&folder.path().join("none.json")).unwrap_err().to_string();
    assert!(missing.contains("none.json"));
}

/// An error and its causes, as the program prints them.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn a_run_folder_is_free_plain_and_writable() {
    let base = tempfile::tempdir().unwrap();
    let reports = base.path().join("reports");
    let first = prepare_folder(&reports, "night").unwrap();
    assert_eq!(first, reports.join("night"));
    assert_eq!(prepare_folder(&reports, "night").unwrap(), reports.join("night-2"));
    assert_eq!(prepare_folder(&reports, "night").unwrap(), reports.join("night-3"));
    assert_eq!(fs::read_dir(&first).unwrap().count(), 0, "the probe is gone");
    for name in ["", ".", "..", "a/b", "/etc", "a/", "line\nbreak"] {
        assert!(prepare_folder(&reports, name).is_err(), "{name:?}");
    }
    // A file stands where a folder is needed: refused before a run, by name.
    fs::write(base.path().join("taken"), "").unwrap();
    let error = prepare_folder(&base.path().join("taken"), "night").unwrap_err().to_string();
    assert!(error.contains("taken") && error.contains("choose another folder"), "{error}");
}

#[test]
fn reports_appear_whole() {
    let base = tempfile::tempdir().unwrap();
    let folder = prepare_folder(base.path(), "run").unwrap();
    let written = write_reports(&passing(), &folder).unwrap();
    assert_eq!(written, [folder.join("report.html"), folder.join("run.json")]);
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let whole = ["junit.xml", "report.html", "report.md", "run.json"];
    assert_eq!(names, whole, "nothing in progress is left");
    assert_eq!(fs::read_to_string(&written[1]).unwrap(), json::render(&passing()).unwrap());
}

#[test]
fn routes_beyond_the_list_are_summed_up() {
    let report = with_routes(MAX_ROUTES as u64 + 40);
    assert_eq!(report.routes.len(), MAX_ROUTES);
    assert!(report.routes.is_sorted_by_key(|route| std::cmp::Reverse(route.arrivals)));
    assert_eq!(report.other_routes.routes, 40);
    let listed: u64 = report.routes.iter().map(|route| route.arrivals).sum();
    assert_eq!(listed + report.other_routes.arrivals, report.totals.planned);
    assert!(html::render(&report).unwrap().contains("40 other routes"));
}
