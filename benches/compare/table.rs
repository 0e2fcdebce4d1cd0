//! The table.

use std::fmt::Write;

use crate::report::Row;
use crate::sides::Column;
use crate::work::Unit;

pub(crate) fn table(rows: &[Row], columns: &[Column]) -> String {
    let mut lines = vec![heading(columns)];
    lines.extend(rows.iter().map(|row| cells(row, columns)));
    aligned(&lines)
}

/// The sides with which ours is compared.
fn others(columns: &[Column]) -> impl Iterator<Item = Column> {
    columns.iter().copied().filter(|column| *column != Column::Ours)
}

fn heading(columns: &[Column]) -> Vec<String> {
    let mut cells = vec![String::new()];
    for column in columns {
        cells.push(column.title().into());
        if *column == Column::Ours {
            cells.push("p99".into());
        }
    }
    cells.extend(others(columns).map(|column| format!("to {}", column.title())));
    cells.extend(["CPU".into(), "system calls".into()]);
    cells
}

fn cells(row: &Row, columns: &[Column]) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let mut cells = vec![row.work.name()];
    for column in columns {
        let cell = row.cell(*column);
        cells.push(match &cell.failure {
            Some(_) => "failed".into(),
            None => or_dash(cell.figure().map(|figure| with_unit(row.work.unit(), figure))),
        });
        if *column == Column::Ours {
            cells.push(or_dash(cell.p99().map(time)));
        }
    }
    for column in others(columns) {
        cells.push(or_dash(row.ratio(column).map(|ratio| format!("{ratio:.2}"))));
    }
    let cpu = row.cell(Column::Ours).cpu();
    cells.push(or_dash(cpu.map(|cpu| format!("{} + {}", time(cpu.client), time(cpu.server)))));
    let calls = row.system_calls.map(|[client, server]| format!("{client:.1} + {server:.1}"));
    cells.push(or_dash(calls));
    cells
}

fn with_unit(unit: Unit, figure: f64) -> String {
    match unit {
        Unit::Rate => format!("{:.1} k/s", figure / 1e3),
        Unit::Time => time(figure),
        Unit::Bytes if figure >= 10e3 => format!("{:.1} KiB", figure / 1024.0),
        Unit::Bytes => format!("{figure:.0} B"),
    }
}

/// Nanoseconds as readable text.
pub(crate) fn time(nanoseconds: f64) -> String {
    match nanoseconds.abs() {
        ..1e6 => format!("{:.1} us", nanoseconds / 1e3),
        1e6..1e7 => format!("{:.2} ms", nanoseconds / 1e6),
        _ => format!("{:.1} ms", nanoseconds / 1e6),
    }
}

/// Aligns the first column to the left, the others to the right.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or_default()
    };
    let mut text = String::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            let width = width(column);
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}
