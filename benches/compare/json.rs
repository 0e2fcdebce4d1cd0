//! A row as JSON.

use std::fmt::Write;

use crate::report::Row;
use crate::sides::Column;
use crate::work::Unit;

/// A row as one line. Figures that a side does not have are null.
pub(crate) fn line(row: &Row, columns: &[Column]) -> String {
    let unit = match row.work.unit() {
        Unit::Time => "ns",
        Unit::Rate => "per_s",
        Unit::Bytes => "bytes",
    };
    let mut text = format!(r#"{{"work":"{}""#, row.work.name());
    let mut field = |name: String, value: Option<f64>, digits: usize| {
        // Writing to a String does not fail.
        let _ = match value.filter(|value| value.is_finite()) {
            Some(value) => write!(text, r#","{name}":{value:.digits$}"#),
            None => write!(text, r#","{name}":null"#),
        };
    };
    for column in columns {
        field(format!("{}_{unit}", column.key()), row.figure(*column), 0);
    }
    for column in columns.iter().filter(|column| **column != Column::Ours) {
        field(format!("ratio_{}", column.key()), row.ratio(*column), 3);
    }
    for column in columns {
        let (key, cell) = (column.key(), row.cell(*column));
        let cpu = cell.cpu();
        field(format!("{key}_p99_ns"), cell.p99(), 0);
        field(format!("{key}_cpu_ns"), cpu.map(|cpu| cpu.client + cpu.server), 0);
        field(format!("{key}_client_cpu_ns"), cpu.map(|cpu| cpu.client), 0);
        field(format!("{key}_server_cpu_ns"), cpu.map(|cpu| cpu.server), 0);
    }
    field("ours_client_system_calls".into(), row.system_calls.map(|[client, _]| client), 1);
    field("ours_server_system_calls".into(), row.system_calls.map(|[_, server]| server), 1);
    text.push('}');
    text
}
