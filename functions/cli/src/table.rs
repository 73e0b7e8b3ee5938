//! Tables for people: columns two blanks apart, no lines, nothing wrapped, so that they can be
//! read, grepped and cut.

use std::fmt::Write;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use crate::screen::{Screen, shown};

/// Columns that only ever get wider, so that rows printed later stay below earlier ones.
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    widths: Vec<usize>,
}

/// One text, made safe to print.
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn styled(text: &str, style: Style) -> Self {
        Self { text: shown(text), style }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::styled(text, Style::new())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::from(text.as_str())
    }
}

impl Table {
    pub(crate) fn new(header: &[&'static str]) -> Self {
        let widths = header.iter().map(|text| text.width()).collect();
        Self { header: header.to_vec(), rows: Vec::new(), widths }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.header.len(), "a row has a cell per column");
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.text.width());
        }
        self.rows.push(cells.into());
    }

    /// The header and the rows.
    pub(crate) fn render(&mut self, screen: &Screen) -> String {
        let bold = screen.style(Style::new().bold());
        let header: Vec<Cell> =
            self.header.iter().map(|text| Cell { text: (*text).to_owned(), style: bold }).collect();
        self.rows.insert(0, header);
        self.render_rows(screen)
    }

    /// The rows since the last time, without the header.
    pub(crate) fn render_rows(&mut self, screen: &Screen) -> String {
        let mut out = String::new();
        for row in self.rows.drain(..) {
            let last = row.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
            for (index, (cell, width)) in row.iter().zip(&self.widths).enumerate().take(last + 1) {
                let style = screen.style(cell.style);
                let _ = write!(out, "{style}{}{style:#}", cell.text);
                if index < last {
                    out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.text.width()) + 2));
                }
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_seen_and_nothing_hidden_is_printed() {
        let screen = Screen::before_parsing(false);
        let mut table = Table::new(&["NAME", "STATE", "HOSTS"]);
        table.row(["ÄÖ表".into(), "value".into(), "slack.com".into()]);
        table.row(["A\u{1b}[1m".into(), "blocked".into(), "".into()]);
        assert_eq!(
            table.render(&screen),
            "NAME        STATE    HOSTS\nÄÖ表        value    slack.com\nA\\u{1b}[1m  blocked\n"
        );
        table.row(["B".into(), "value".into(), "".into()]);
        assert_eq!(table.render_rows(&screen), "B           value\n");
    }
}
