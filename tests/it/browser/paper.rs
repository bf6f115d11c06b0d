//! The page where it is narrow: on paper and on a small screen. And what sorts, and what a run of a
//! second has.

use peakhour::act::capacity::seen::{Capacity, Outcome as TrialOutcome, Trial};
use peakhour::act::{Evidence, Performed};
use peakhour::report::html;
use peakhour::report::model::Report;
use peakhour::scenario::acts::ActName;
use serde_json::json;

use crate::browser::driven::Driven;
use crate::browser::has_browser;
use crate::browser::page::ends;
use crate::report::hostile;
use crate::report_sample::full::full;
use crate::report_sample::{failing, passing, with_routes};

/// A4 between the margins that the browser leaves, CSS pixels.
const PAPER: u32 = 717;

/// What is shown and reaches beyond the right edge, by name.
const TOO_WIDE: &str = "\
[...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  if (!box.width || !box.height || box.left < -500) return false;
  if (one.closest('.hoverlayer, .modebar-container')) return false;
  return box.right > document.documentElement.clientWidth + 1;
}).slice(0, 9).map(one => one.tagName + '.' + one.className + ' ' + one.textContent.slice(0, 40))";

/// Nothing can be scrolled on paper: what reaches beyond its edge is lost.
#[test]
fn paper_shows_all_of_the_page() {
    if !has_browser() {
        return;
    }
    let runs = [
        ("full", full()),
        ("passing", passing()),
        ("hostile", hostile()),
        ("many", with_routes(300)),
    ];
    for (name, report) in runs {
        let mut page = Driven::open(&html::render(&report).unwrap());
        let drawn = "document.querySelector('#chart-rate .main-svg').getBoundingClientRect().width";
        assert!(page.ask(drawn).as_f64() > Some(900.0), "{name}");
        page.show("print", "dark");
        page.ask("dispatchEvent(new Event('beforeprint'))");
        assert_eq!(page.ask(drawn), 690, "{name}: drawn for paper, and not cut by its edge");
        page.resize(PAPER, 1_000);
        assert_eq!(page.ask(TOO_WIDE), json!([]), "{name}");
        let wide = page.ask("document.documentElement.scrollWidth");
        assert!(wide.as_u64().is_some_and(|wide| wide <= PAPER.into()), "{name}: {wide}");
        let ink = "getComputedStyle(document.querySelector('#chart-rate .xtick text')).fill";
        assert_eq!(page.ask(ink), "rgb(27, 31, 36)", "{name}: dark letters, whatever the screen");
        page.show("screen", "light");
        page.resize(1_280, 900);
        page.ask("dispatchEvent(new Event('afterprint'))");
        let back = page.ask(drawn);
        assert!(back.as_f64() > Some(900.0), "{name}: wide again on the screen: {back}");
    }
}

/// A screen of a telephone: tables and charts may scroll or shrink, and the page does neither.
#[test]
fn a_narrow_screen_needs_no_scrolling_aside() {
    if !has_browser() {
        return;
    }
    for (name, report) in
        [("failing", failing()), ("full", full()), ("hostile", hostile()), ("unbroken", unbroken())]
    {
        let mut page = Driven::open_at(&html::render(&report).unwrap(), 400, 800);
        let wide = page.ask("document.documentElement.scrollWidth");
        assert!(wide.as_u64().is_some_and(|wide| wide <= 400), "{name}: {wide}");
        let ends = page.ask(&ends(".verdict .go"));
        assert!(ends.as_f64().is_some_and(|at| at < 800.0), "{name}: {ends}");
    }
}

/// A run whose words are longer than a line: paths, tokens and digests have no blank to break at.
fn unbroken() -> Report {
    let mut report = failing();
    let word = || "x".repeat(300);
    (report.headline, report.scenario, report.target) = (word(), word(), word());
    let finding = &mut report.findings[0];
    (finding.title, finding.advice) = (word(), word());
    finding.evidence = vec![word()];
    report.expectations[0].text = word();
    report.expectations[0].actual = word();
    report.advice = vec![word()];
    report.facts.warnings = vec![word()];
    report.labels = [(word(), word())].into();
    report.routes[0].route = word();
    report
}

fn searched() -> Report {
    let mut report = full();
    let trial = |load: f64, sent_rate: f64, latency_ns| Trial {
        load,
        planned: load,
        sent_rate,
        latency_ns,
        outcome: TrialOutcome::Held,
        ..Trial::default()
    };
    let times = |ns| Some([ns; 4]);
    let trials = vec![
        trial(1.0, 999.0, times(900_000)),
        trial(1.2, 1_200.0, None),
        trial(1.15, 1_150.0, times(1_100_000)),
        trial(1.5, 12_000.0, times(20_000_000)),
    ];
    let capacity = Capacity { trials, ..Capacity::default() };
    report.acts = vec![Performed {
        act: ActName::Capacity,
        started_ns: 0,
        ended_ns: 1,
        evidence: Evidence::Capacity(Box::new(capacity)),
    }];
    report
}

/// As text, 1.2 comes before 1.15, and 12 000 before 999.
#[test]
fn figures_sort_by_their_value_and_none_comes_last() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&searched()).unwrap());
    let mut sorted = |column: usize, presses: u32| {
        page.ask(&format!(
            "window.table = [...document.querySelectorAll('#acts table.sortable')]\
             .find(table => table.caption.textContent.startsWith('The trials'))\
             , table.querySelectorAll('th button')[{column}].focus()"
        ));
        for _ in 0..presses {
            page.press("Enter");
        }
        page.ask("[...table.tBodies[0].rows].map(row => row.cells[0].textContent)")
    };
    assert_eq!(sorted(0, 1), json!(["1.5 ×", "1.2 ×", "1.15 ×", "1 ×"]));
    assert_eq!(sorted(3, 2), json!(["1 ×", "1.15 ×", "1.2 ×", "1.5 ×"]));
    assert_eq!(sorted(6, 1), json!(["1.5 ×", "1.15 ×", "1 ×", "1.2 ×"]));
    assert_eq!(sorted(6, 1), json!(["1 ×", "1.15 ×", "1.5 ×", "1.2 ×"]), "without a value, last");
}

/// The sum of what is not listed is no route: it stays below them, and is not counted.
#[test]
fn the_sum_of_other_routes_stays_below() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&with_routes(300)).unwrap());
    let last = "[...document.querySelectorAll('#routes tbody tr')].at(-1).cells[0].textContent";
    assert_eq!(page.ask(last), "100 other routes");
    assert_eq!(page.ask("document.querySelector('#routes output').textContent"), "200 of 200 rows");
    for column in [0, 1] {
        page.ask(&format!("document.querySelectorAll('#routes th button')[{column}].focus()"));
        for _ in 0..2 {
            page.press(" ");
            assert_eq!(page.ask(last), "100 other routes", "by column {column}");
        }
    }
}

/// A line through one point is not seen: it is marked.
#[test]
fn a_run_of_a_second_is_seen() {
    if !has_browser() {
        return;
    }
    let mut report = passing();
    report.series.truncate(1);
    for group in &mut report.figures.outcomes {
        group.by_second.truncate(1);
    }
    let heat = report.figures.heat.as_mut().unwrap();
    heat.columns.truncate(1);
    let mut page = Driven::open(&html::render(&report).unwrap());
    assert_eq!(page.complaints(), Vec::<String>::new());
    for chart in ["chart-situation", "chart-rate", "chart-outcomes", "chart-heat"] {
        let marks = page.ask(&format!(
            "document.querySelectorAll('#{chart} .points path, #{chart} .hm image').length"
        ));
        assert!(marks.as_u64() > Some(0), "{chart}");
    }
}

/// A heatmap's columns and rows lie where their seconds and latencies are.
#[test]
fn a_heatmap_is_to_scale() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&passing()).unwrap());
    let layout = page.ask(
        "(() => { const { xaxis, yaxis } = \
         document.getElementById('chart-heat')._fullLayout; \
         return [xaxis.range, yaxis.range.map(at => 10 ** at), yaxis.type]; })()",
    );
    let range = |axis: usize, end: usize| layout[axis][end].as_f64().unwrap();
    // A hundred and twenty seconds, each around its number; from 0.9 ms to 70.8 ms.
    assert!((range(0, 0) + 0.5).abs() < 1e-6 && (range(0, 1) - 119.5).abs() < 1e-6, "{layout}");
    assert!((0.7..0.91).contains(&range(1, 0)), "{layout}");
    assert!((70.8..100.0).contains(&range(1, 1)), "{layout}");
    assert_eq!(layout[2], "log");
}
