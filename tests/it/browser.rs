//! The page in a real headless browser. Its proxy is a closed port of this machine, so nothing
//! leaves it; what the page asked for is in the browser's own network log.

mod driven;
mod page;
mod paper;

use std::fs;
use std::path::Path;
use std::process::Command;

use peakhour::report::html;
use serde_json::Value;

use crate::report::hostile;
use crate::report_sample::{failing, passing};

const CHROMIUM: &str = "/usr/bin/chromium";

#[test]
fn charts_are_drawn_without_a_network() {
    if !has_browser() {
        return;
    }
    for (name, report) in [("passing", passing()), ("failing", failing()), ("hostile", hostile())] {
        let seen = open(&html::render(&report).unwrap());
        assert_eq!(seen.console, Vec::<String>::new(), "{name}: the console is silent");
        assert_eq!(seen.requests, Vec::<String>::new(), "{name}: nothing is asked of a network");
        // Four charts, each of which plotly.js draws as stacked drawings of this class.
        for chart in ["chart-rate", "chart-latency", "chart-lateness", "chart-percentiles"] {
            let element = element(&seen.dom, chart);
            assert!(element.contains("class=\"main-svg\""), "{name}: {chart} is drawn");
            assert!(element.contains("<path class=\"js-line\""), "{name}: {chart} has a line");
            assert!(!element.contains("stroke: rgb(0, 0, 0)"), "{name}: {chart} has our colours");
        }
    }
}

/// The test above proves something only if the trap catches what it should.
#[test]
fn a_page_that_asks_a_network_is_caught() {
    if !has_browser() {
        return;
    }
    let seen = open(
        "<!doctype html><title>t</title><img src=\"http://peakhour.invalid/x.png\">\
         <script>console.error('trap'); undefinedFunction()</script>",
    );
    assert!(seen.requests.iter().any(|line| line.contains("peakhour.invalid")));
    assert!(seen.console.iter().any(|line| line.contains("trap")));
    assert!(seen.console.iter().any(|line| line.contains("undefinedFunction")));
}

/// A script that got into the page would be kept from the network by the page's own policy.
#[test]
fn the_policy_of_the_page_stops_requests() {
    if !has_browser() {
        return;
    }
    let page = html::render(&passing()).unwrap();
    let smuggled = "<img src=\"http://peakhour.invalid/x.png\"></body>";
    let seen = open(&page.replace("</body>", smuggled));
    assert_eq!(seen.requests, Vec::<String>::new());
    assert!(seen.console.iter().any(|line| line.contains("Content Security Policy")));
}

/// Clicks on a column's title sort the rows below it, and say so.
#[test]
fn routes_are_sorted_by_a_click() {
    if !has_browser() {
        return;
    }
    let page = html::render(&failing()).unwrap();
    let click = "<script>{ const button = document.querySelectorAll('#routes th button')[1]; \
                 button.click(); button.click(); }</script></body>";
    let seen = open(&page.replace("</body>", click));
    let routes = element(&seen.dom, "routes");
    assert!(routes.contains("aria-sort=\"ascending\""));
    let order = ["GET /<", "POST /cart/*/items<", "GET /catalogue/*<"]
        .map(|route| routes.find(route).expect("the route is in the table"));
    assert!(order.is_sorted(), "the route with fewest requests comes first");
}

/// A page is opened without a complaint, asks nothing of a network, and draws these charts.
pub(crate) fn draws(page: &str, charts: &[&str]) {
    if !has_browser() {
        return;
    }
    let seen = open(page);
    assert_eq!(seen.console, Vec::<String>::new(), "the console is silent");
    assert_eq!(seen.requests, Vec::<String>::new(), "nothing is asked of a network");
    for chart in charts {
        let element = element(&seen.dom, chart);
        assert!(element.contains("class=\"main-svg\""), "{chart} is drawn");
        assert!(!element.contains("stroke: rgb(0, 0, 0)"), "{chart} has our colours");
    }
}

struct Seen {
    /// The document after its scripts have run.
    dom: String,
    /// What the page wrote to the console, policy violations and uncaught errors included.
    console: Vec<String>,
    /// Addresses that the page asked for.
    requests: Vec<String>,
}

/// Opens a page from a file, with a fresh profile.
fn open(page: &str) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    fs::write(&file, page).unwrap();
    let network = folder.path().join("network.json");
    let output = command(folder.path(), &network).arg(&file).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the browser failed: {log}");
    Seen {
        dom: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect(),
        requests: requests(&network),
    }
}

fn command(folder: &Path, network: &Path) -> Command {
    // Whatever hangs is ended.
    let mut command = Command::new("timeout");
    command.args(["180", CHROMIUM]);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-sync",
        "--enable-logging=stderr",
        "--v=0",
        "--virtual-time-budget=5000",
        "--proxy-server=127.0.0.1:1",
        "--dump-dom",
    ]);
    command.arg(format!("--log-net-log={}", network.display()));
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command
}

/// The addresses that the page asked for, other than itself. The browser's own errands (updates,
/// time, accounts) are told from the page's by their initiator, which is not an origin.
fn requests(log: &Path) -> Vec<String> {
    let log: Value = serde_json::from_slice(&fs::read(log).unwrap()).unwrap();
    let events = log["events"].as_array().unwrap().iter().map(|event| &event["params"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    events
        .filter_map(|params| Some((text(&params["initiator"])?, text(&params["url"])?)))
        .filter(|(initiator, _)| initiator != "not an origin")
        .map(|(_, url)| url)
        .collect()
}

/// The document from an element's start to the next section or figure.
fn element<'a>(dom: &'a str, id: &str) -> &'a str {
    let start = dom.find(&format!(" id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
    let rest = &dom[start..];
    let end = ["<figure>", "<section"].iter().filter_map(|tag| rest.find(tag)).min();
    &rest[..end.unwrap_or(rest.len())]
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has_browser() -> bool {
    let there = Path::new(CHROMIUM).exists();
    assert!(
        there || std::env::var_os("CI").is_none(),
        "{CHROMIUM} is missing; install the Debian package `chromium`"
    );
    if !there {
        eprintln!("skipped: {CHROMIUM} is missing");
    }
    there
}
