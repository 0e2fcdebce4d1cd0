//! Tables as text and on the screen.

use std::fmt::Write;

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Row, Table};

/// A column: its title, and whether it is of numbers.
pub(super) type Column = (&'static str, bool);

/// Rows below their titles, each column as wide as it needs. Numbers end where their title does.
pub(super) fn columns(titles: &[Column], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = titles.iter().map(|(title, _)| (*title).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..titles.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for ((cell, width), (_, number)) in row.iter().zip(&widths).zip(titles) {
            let _ = match number {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:<width$}  "),
            };
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

/// Where a table on the screen is.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Scroll {
    /// By how many rows it is scrolled.
    row: usize,
    /// How many rows of it were on the screen.
    room: usize,
}

impl Scroll {
    /// A key was pressed for it.
    pub(super) fn key(&mut self, key: KeyCode) {
        let page = self.room.max(1);
        match key {
            KeyCode::Up => self.row = self.row.saturating_sub(1),
            KeyCode::Down => self.row += 1,
            KeyCode::PageUp => self.row = self.row.saturating_sub(page),
            KeyCode::PageDown => self.row += page,
            KeyCode::Home => self.row = 0,
            _ => {}
        }
    }

    /// The first of `rows` that is shown where there is room for so many: never so far down that room is left.
    pub(super) fn first_row(&mut self, rows: usize, room: usize) -> usize {
        self.room = room;
        self.row = self.row.min(rows.saturating_sub(room));
        self.row
    }
}

/// Draws a table, from the row on to which it was scrolled. `title`: with whether its keys are for this table.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    scroll: &mut Scroll,
    (title, chosen): (String, bool),
    titles: &[Column],
    rows: Vec<Vec<String>>,
) {
    // The title and the head of the table take two lines.
    let room = usize::from(area.height.saturating_sub(2));
    let first = scroll.first_row(rows.len(), room);
    let widths: Vec<_> = (0..titles.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            let width = cells.max().unwrap_or(0).max(titles[column].0.len());
            Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX))
        })
        .collect();
    let style = match chosen {
        true => Style::new().add_modifier(Modifier::BOLD),
        false => Style::new(),
    };
    let head = Row::new(titles.iter().map(|(title, _)| *title));
    let table = Table::new(rows.into_iter().skip(first).take(room).map(Row::new), widths)
        .header(head.style(Style::new().add_modifier(Modifier::UNDERLINED)))
        .column_spacing(2)
        .block(Block::new().title(Line::styled(title, style)));
    frame.render_widget(table, area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_scrolled_as_far_as_it_has_rows() {
        let mut scroll = Scroll::default();
        let mut press = |keys: &[KeyCode], rows, room| {
            keys.iter().for_each(|key| scroll.key(*key));
            scroll.first_row(rows, room)
        };
        assert_eq!(press(&[], 10, 4), 0);
        assert_eq!(press(&[KeyCode::Down, KeyCode::PageDown], 10, 4), 5);
        assert_eq!(press(&[KeyCode::PageDown, KeyCode::PageDown], 10, 4), 6);
        assert_eq!(press(&[KeyCode::Up], 10, 4), 5);
        assert_eq!(press(&[], 3, 4), 0, "there are fewer now");
    }
}
