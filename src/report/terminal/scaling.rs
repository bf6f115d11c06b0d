//! What scaling did to the load, apart from what became of it in the run.

use crate::plan::facts::Facts;
use crate::report::terminal::grid::Grid;
use crate::report::text::{clean, number};

/// The section; empty where nothing was scaled.
pub(super) fn scaling(facts: &Facts, width: u16) -> String {
    let Some(scaling) = &facts.scaling else { return String::new() };
    let mut grid = Grid::new(width).right(&[1, 2, 3, 4]);
    grid.row(&["IDC", "10 ms", "100 ms", "1 s", "10 s"].map(str::to_owned));
    let rows = [
        ("recorded", facts.idc_before),
        ("planned", facts.idc_after),
        ("not scaled", scaling.idc_unscaled),
        ("scaled", scaling.idc_scaled),
        ("scaled / not", scaling.ratios()),
    ];
    for (name, values) in rows {
        let [a, b, c, d] = values.map(|it| it.map_or("–".to_owned(), |value| number(value, 3)));
        grid.row(&[name.to_owned(), a, b, c, d]);
    }
    let mut told = Grid::new(width);
    for sentence in scaling.told() {
        told.row(&["·".to_owned(), clean(&sentence, super::MAX_SENTENCE)]);
    }
    format!("Scaling\n{}{}", grid.render(4), told.render(2))
}
