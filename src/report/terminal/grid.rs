//! Columns without lines, and colours laid over them.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Rows of cells that wrap within a width.
pub(crate) struct Grid {
    table: Table,
    width: u16,
    right: Vec<usize>,
}

impl Grid {
    /// A grid as wide as the terminal.
    pub(crate) fn new(width: u16) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        Self { table, width, right: Vec::new() }
    }

    /// Aligns these columns, numbered from 0, to the right.
    pub(crate) fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.table.add_row(cells.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Lines that begin after `indent` spaces, each with its newline; empty without rows.
    pub(crate) fn render(mut self, indent: u16) -> String {
        if self.table.is_empty() {
            return String::new();
        }
        self.table.set_width(self.width - indent);
        for (index, column) in self.table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.right.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut lines = String::new();
        for line in self.table.trim_fmt().lines() {
            lines.extend(std::iter::repeat_n(' ', indent.into()));
            lines.push_str(line);
            lines.push('\n');
        }
        lines
    }
}

/// Lays colours over a finished page: the verdict's word, the mark at the start of a line, and the
/// titles of sections. Layout is done by then, so colours cannot disturb it.
pub(crate) fn paint(page: &str, verdict: &str) -> String {
    let mut painted = String::with_capacity(page.len() + page.len() / 8);
    for (index, line) in page.lines().enumerate() {
        let text = line.trim_start();
        painted.push_str(&line[..line.len() - text.len()]);
        let first_width = text.chars().next().map_or(0, char::len_utf8);
        let (first, rest) = text.split_at(first_width);
        if index == 0
            && let Some(rest) = text.strip_prefix(verdict)
        {
            push_coloured(&mut painted, verdict_colour(verdict), verdict);
            painted.push_str(rest);
        } else if let Some(colour) = mark_colour(first) {
            push_coloured(&mut painted, colour, first);
            painted.push_str(rest);
        } else if index > 0 && text.len() == line.len() && !text.is_empty() {
            push_coloured(&mut painted, BOLD, text);
        } else {
            painted.push_str(text);
        }
        painted.push('\n');
    }
    painted
}

fn push_coloured(painted: &mut String, colour: &str, text: &str) {
    painted.push_str(colour);
    painted.push_str(text);
    painted.push_str(RESET);
}

fn verdict_colour(verdict: &str) -> &'static str {
    match verdict {
        "PASS" | "NO REGRESSION" | "IMPROVEMENT" => "\u{1b}[1;32m",
        "FAIL" | "REGRESSION" => "\u{1b}[1;31m",
        _ => "\u{1b}[1;33m",
    }
}

fn mark_colour(mark: &str) -> Option<&'static str> {
    match mark {
        "✓" => Some("\u{1b}[32m"),
        "✗" => Some("\u{1b}[31m"),
        "?" | "!" => Some("\u{1b}[33m"),
        "→" => Some("\u{1b}[36m"),
        _ => None,
    }
}

const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_wrap_within_the_width() {
        let mut grid = Grid::new(20);
        grid.row(&["✓".to_owned(), "words that do not fit".to_owned()]);
        assert_eq!(grid.render(2), "  ✓  words that do\n     not fit\n");
    }

    #[test]
    fn paint_changes_nothing_but_colours() {
        let page = "PASS  fine\n\nNumbers\n  ✓  a ✗ in a sentence\n";
        let painted = paint(page, "PASS");
        assert!(painted.starts_with("\u{1b}[1;32mPASS\u{1b}[0m  fine\n\n\u{1b}[1mNumbers"));
        assert!(painted.contains("  \u{1b}[32m✓\u{1b}[0m  a ✗ in a sentence"));
    }
}
