//! The reader of saved runs, which needs the whole program: what is read of one is drawn.
//!
//! A target of `fuzz/` calls the same function.

use std::io;
use std::path::Path;

use peakhour::report::measured::measured;
use peakhour::report::model::Report;
use peakhour::report::terminal::{self, Style};
use peakhour::report::{annotations, html, json, junit, markdown};

/// A saved run, `run.json`: what is read is written and read alike, and every report of it can be
/// written.
pub fn run(bytes: &[u8]) {
    let path = Path::new("run.json");
    let Ok(report) = json::parsed(bytes, path) else { return };
    let written = json::render(&report).unwrap();
    let again = json::parsed(written.as_bytes(), path).expect("what is written can be read");
    assert!(json::render(&again).unwrap() == written, "it is another run once it was written");
    drawn(&report);
    // As one of a comparison: a run, or why it is none.
    let _ = measured(&report, "run");
}

fn drawn(report: &Report) {
    html::write(report, &mut io::sink()).unwrap();
    for width in [20, 80] {
        terminal::render(report, Style { width, colour: true }, &[]);
    }
    terminal::line(report, &[]);
    junit::render(report).unwrap();
    markdown::render(report);
    annotations::github(report);
    annotations::gitlab(report).unwrap();
}
