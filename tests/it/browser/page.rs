//! The page as its readers use it: by keyboard, in the dark, on paper, and full of foreign text.

use peakhour::report::html;
use serde_json::json;

use crate::browser::driven::Driven;
use crate::browser::has_browser;
use crate::report::hostile;
use crate::report_sample::full::{full, long};
use crate::report_sample::{failing, invalid, passing, unanswered};

/// Every chart of a run that has everything, and each of its rows.
const CHARTS: [&str; 14] = [
    "chart-situation",
    "chart-rate",
    "chart-latency",
    "chart-lateness",
    "chart-percentiles",
    "chart-heat",
    "chart-outcomes",
    "chart-parts",
    "chart-dispersion",
    "chart-sizes",
    "chart-cold",
    "chart-victims",
    "chart-probe-1",
    "chart-probe-9",
];

#[test]
fn each_chart_of_a_full_run_is_drawn() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&full()).unwrap());
    assert_eq!(page.complaints(), Vec::<String>::new());
    for chart in CHARTS {
        let marks = page.ask(&format!(
            "document.querySelectorAll('#{chart} .scatterlayer path, #{chart} .bars path, \
             #{chart} .hm image').length"
        ));
        assert!(marks.as_u64() > Some(0), "{chart} has something on it: {marks}");
        let told = page.ask(&format!("document.getElementById('{chart}').ariaLabel.length"));
        assert!(told.as_u64() > Some(40), "{chart} is told in words");
    }
    let fits = "(() => { const chart = document.getElementById('chart-situation'); \
                return chart.clientHeight >= chart._fullLayout.height; })()";
    assert_eq!(page.ask(fits), true, "nothing is drawn over what stands below");
    // Load, latency, errors and connections, and a row for each of nine probes.
    let rows = page.ask("document.getElementById('chart-situation')._fullLayout._subplots.yaxis");
    assert_eq!(rows.as_array().map(Vec::len), Some(13), "{rows}");
    let marked = page.ask(
        "[...document.querySelectorAll('#chart-situation .annotation-text')]\
         .map(text => text.textContent).join('|')",
    );
    for mark in ["act cold", "act payloads", "connection-limit", "Held"] {
        assert!(marked.as_str().unwrap().contains(mark), "{mark}: {marked}");
    }
    let shapes = page.ask("document.querySelectorAll('#chart-situation .shapelayer path').length");
    assert_eq!(shapes, 4);
}

#[test]
fn routes_are_sorted_and_searched_by_keyboard() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&failing()).unwrap());
    let told = "document.querySelector('#routes output').textContent";
    let shown = "[...document.querySelectorAll('#routes tbody tr')].filter(row => !row.hidden)\
                 .map(row => row.cells[0].textContent)";
    assert_eq!(page.ask(told), "3 of 3 rows");
    page.ask("document.querySelectorAll('#routes th button')[1].focus()");
    page.press("Enter");
    let sorted = "document.querySelectorAll('#routes thead th')[1].ariaSort";
    assert_eq!(page.ask(sorted), "descending");
    page.press(" ");
    assert_eq!(page.ask(sorted), "ascending");
    assert_eq!(page.ask(shown), json!(["GET /", "POST /cart/*/items", "GET /catalogue/*"]));
    assert_eq!(page.ask(told), "3 of 3 rows, by requests, ascending");
    assert_eq!(page.ask("document.querySelectorAll('#routes thead th')[0].ariaSort"), "none");
    page.ask("document.querySelectorAll('#routes th button')[0].focus()");
    page.press("Enter");
    assert_eq!(page.ask(sorted), "none", "one column at a time is the order");
    page.ask("document.querySelector('#routes input').focus()");
    // All words, in any order and case: one of them alone would leave two rows.
    page.type_in("CAT get");
    assert_eq!(page.ask(shown), json!(["GET /catalogue/*"]));
    assert_eq!(page.ask(told), "1 of 3 rows");
    assert_eq!(page.ask("document.querySelector('#routes output').ariaLive"), "polite");
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[test]
fn the_first_key_leads_past_the_head_of_the_page() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&passing()).unwrap());
    page.press("Tab");
    assert_eq!(page.ask("document.activeElement.className"), "skip");
    let left = page.ask("document.activeElement.getBoundingClientRect().left");
    assert!(left.as_f64() >= Some(0.0), "it is seen once it has the focus: {left}");
    page.press("Enter");
    assert_eq!(page.ask("document.activeElement.id"), "main");
    page.press("Tab");
    assert_eq!(page.ask("document.activeElement.closest('main') !== null"), true);
}

#[test]
fn a_dark_screen_makes_a_dark_page_and_dark_charts() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&failing()).unwrap());
    let paper = "getComputedStyle(document.body).backgroundColor";
    let line = "document.querySelector('#chart-rate .trace:nth-of-type(2) .js-line')\
                .style.stroke";
    page.show("screen", "light");
    let light = (page.ask(paper), page.ask(line));
    page.show("screen", "dark");
    let dark = (page.ask(paper), page.ask(line));
    assert_eq!(light.0, "rgb(255, 255, 255)");
    assert_eq!(dark.0, "rgb(20, 23, 28)");
    assert_eq!((light.1, dark.1), (json!("rgb(11, 107, 203)"), json!("rgb(90, 169, 255)")));
    let wanted = "getComputedStyle(document.documentElement).getPropertyValue('--hot')";
    assert_eq!(page.ask(wanted), "#ffd0a6");
    assert_eq!(
        page.ask("document.getElementById('chart-heat').data[0].colorscale[2][1]"),
        "#ffd0a6"
    );
}

#[test]
fn paper_has_no_buttons_and_all_metrics() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&passing()).unwrap());
    let shown = |what: &str| format!("getComputedStyle(document.querySelector('{what}')).display");
    page.show("screen", "dark");
    for what in ["nav", ".tools", "details.numbers", "#shape summary"] {
        assert_ne!(page.ask(&shown(what)), "none", "{what}");
    }
    page.show("print", "dark");
    for what in ["nav", ".tools", "details.numbers", "#shape summary"] {
        assert_eq!(page.ask(&shown(what)), "none", "{what}");
    }
    page.show("", "dark");
    // What is folded on a screen, and white paper, are seen from inside of the print.
    page.ask(
        "addEventListener('beforeprint', () => { window.seen = [\
         document.querySelector('#shape details').open, \
         getComputedStyle(document.body).backgroundColor] })",
    );
    assert!(page.print() > 10_000);
    assert_eq!(page.ask("window.seen"), json!([true, "rgb(255, 255, 255)"]));
    assert_eq!(page.ask("document.querySelector('#shape details').open"), false);
}

#[test]
fn foreign_names_do_nothing_in_a_browser() {
    if !has_browser() {
        return;
    }
    let mut page = Driven::open(&html::render(&hostile()).unwrap());
    assert_eq!(page.complaints(), Vec::<String>::new());
    assert_eq!(page.ask("document.querySelectorAll('img[onerror], a[href^=java]').length"), 0);
    assert_eq!(page.ask("typeof window.attacked"), "undefined");
    // The names are there, as text: in the table of routes, of labels, and above a probe's row.
    let text = page.ask("document.getElementById('routes').textContent.includes('<img src=x')");
    assert_eq!(text, true);
    let row = page.ask(
        "[...document.querySelectorAll('#chart-situation .annotation-text')]\
         .some(text => text.textContent.includes('<img src=x'))",
    );
    assert_eq!(row, true);
    assert_eq!(page.ask("document.querySelectorAll('svg a').length"), 0, "no name is a link");
}

/// Where an element ends below the top of the page; `null` where it is not shown.
pub(super) fn ends(what: &str) -> String {
    format!(
        "(() => {{ const box = document.querySelector('{what}').getBoundingClientRect(); \
         return box.height > 0 ? box.bottom : null; }})()"
    )
}

/// Go or no-go, the first reason, the evidence and the advice lie within the first 900 pixels.
#[test]
fn the_first_screen_says_why_and_what_to_do() {
    if !has_browser() {
        return;
    }
    for (name, report, evidence) in [
        ("passing", passing(), "2 of 2 expectations hold"),
        ("failing", failing(), "the plan needs 118 at once"),
        ("invalid", invalid(), "lateness p99 is 21 ms"),
        ("unanswered", unanswered(), "the recording has no latencies"),
    ] {
        let mut page = Driven::open(&html::render(&report).unwrap());
        for what in [
            ".verdict .word",
            ".verdict .go",
            ".verdict h1",
            "#why h3",
            "#why li:last-child",
            "#next",
        ] {
            let ends = page.ask(&ends(what));
            assert!(ends.as_f64().is_some_and(|at| at <= 900.0), "{name}: {what} ends at {ends}");
        }
        let why = page.ask("document.getElementById('why').textContent");
        assert!(why.as_str().unwrap().contains(evidence), "{name}: {why}");
    }
}

/// How long a page of an hour takes to open is told, and never judged.
#[test]
#[expect(clippy::print_stderr, reason = "a measurement")]
fn an_hour_opens() {
    if !has_browser() {
        return;
    }
    let html = html::render(&long()).unwrap();
    assert!(html.len() < html::MAX_PAGE_BYTES, "{} bytes", html.len());
    let mut page = Driven::open(&html);
    let times = page.ask(
        "(() => { const paint = performance.getEntriesByName('first-contentful-paint')[0]; \
         return [paint ? paint.startTime : 0, \
         performance.getEntriesByType('navigation')[0].domInteractive, \
         performance.getEntriesByName('charts-drawn')[0].startTime]; })()",
    );
    eprintln!(
        "a report of an hour: {} bytes; ms until seen, read, and all charts drawn: {times}",
        html.len()
    );
    assert_eq!(page.complaints(), Vec::<String>::new());
}
