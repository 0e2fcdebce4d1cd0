//! A look as text.

use std::fmt::Write;
use std::time::Duration;

use super::view::{ConnectionRow, MethodRow, View};
use crate::tables::{Column, columns};

/// All of it.
pub(super) fn of(view: &View) -> String {
    let mut text = head(view) + "\n\n";
    text += &columns(&CONNECTIONS, view.connections.iter().map(connection));
    text += "\n";
    text += &columns(&CALLS, view.calls.iter().map(call));
    text += "\n";
    text += &columns(&METHODS, view.methods.iter().map(method));
    text
}

/// The process in one line.
pub(super) fn head(view: &View) -> String {
    let View { program, pid, connections, calls, .. } = view;
    let [own, program_s] = view.threads;
    let (connections, calls, time) = (connections.len(), calls.len(), time(view.counted_for));
    let mut text = format!(
        "{program} (process {pid}): connections {connections}, calls under way {calls}, threads {own} + {program_s}, \
         counted for {time}"
    );
    for (limit, times) in &view.limits {
        let _ = write!(text, ", limit {limit} met {times} times");
    }
    if view.busy {
        text += ", busy: not all is here";
    }
    text
}

pub(super) const CONNECTIONS: [Column; 10] = [
    ("CONNECTION", true),
    ("PEER", false),
    ("PID", true),
    ("UID", true),
    ("AGE", true),
    ("SERVES", true),
    ("CALLS", true),
    ("OBJECTS", true),
    ("HELD BYTES", true),
    ("UNSENT", true),
];

pub(super) fn connection(row: &ConnectionRow) -> Vec<String> {
    let known = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
    let mut cells = vec![
        row.number.to_string(),
        row.peer.clone(),
        known(row.pid),
        known(row.uid),
        time(row.age),
    ];
    cells.extend(match &row.inside {
        Some(it) => [
            it.serves.to_string(),
            it.calls.to_string(),
            format!("{} / {}", it.objects, it.held),
            bytes(it.held_bytes),
        ],
        None => ["busy", "busy", "busy", "busy"].map(str::to_owned),
    });
    cells.push(bytes(row.unsent));
    cells
}

pub(super) const CALLS: [Column; 6] = [
    ("UNDER WAY", false),
    ("SIDE", false),
    ("CONNECTION", true),
    ("AGE", true),
    ("THREAD", false),
    ("STATE", false),
];

pub(super) fn call(row: &super::view::CallRow) -> Vec<String> {
    vec![
        row.method.clone(),
        side(row.served),
        row.connection.to_string(),
        time(row.age),
        row.thread.clone(),
        row.state.clone(),
    ]
}

pub(super) const METHODS: [Column; 9] = [
    ("METHOD", false),
    ("SIDE", false),
    ("CALLS", true),
    ("PER SECOND", true),
    ("NOT ANSWERED", true),
    ("P50", true),
    ("P99", true),
    ("MAX", true),
    ("BYTES", true),
];

pub(super) fn method(row: &MethodRow) -> Vec<String> {
    vec![
        row.method.clone(),
        side(row.served),
        row.calls.to_string(),
        format!("{:.1}", row.per_second),
        row.ends.iter().fold(0, |sum: u64, ends| sum.saturating_add(*ends)).to_string(),
        time(row.half),
        time(row.most),
        time(row.longest),
        bytes(row.bytes[0].saturating_add(row.bytes[1])),
    ]
}

fn side(served: bool) -> String {
    if served { "served" } else { "called" }.to_owned()
}

/// A time with three digits and its unit.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        0.0 => return "0".to_owned(),
        s if s < 1e-3 => (s * 1e6, "us"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s if s < 600.0 => (s, "s"),
        s if s < 36_000.0 => (s / 60.0, "min"),
        s => (s / 3600.0, "h"),
    };
    with_digits(value, unit)
}

/// A number of bytes with three digits and its unit.
pub(in super::super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1000 => bytes.to_string(),
        1000..1_000_000 => with_digits(bytes as f64 / 1e3, "kB"),
        1_000_000..1_000_000_000 => with_digits(bytes as f64 / 1e6, "MB"),
        _ => with_digits(bytes as f64 / 1e9, "GB"),
    }
}

fn with_digits(value: f64, unit: &str) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::snapshot;
    use super::*;

    #[test]
    fn all_of_a_look_in_three_tables() {
        let before = snapshot(9, 10, 100);
        let text = of(&View::new(snapshot(9, 12, 110), Some(&before)));
        let expected = "\
bitcoin-node (process 9): connections 1, calls under way 2, threads 0 + 0, counted for 12.0 s

CONNECTION  PEER           PID   UID  AGE  SERVES  CALLS  OBJECTS  HELD BYTES  UNSENT
         4  pool\\u{1b}[2J   77  1000    0       1      1    3 / 0     4.10 kB       0

UNDER WAY              SIDE    CONNECTION     AGE  THREAD  STATE
Rpc.executeRpc         called           4  3.00 s          runs
Mining.waitTipChanged  served           4  2.50 s          runs

METHOD         SIDE    CALLS  PER SECOND  NOT ANSWERED      P50      P99     MAX  BYTES
Mining.getTip  served    110         5.0             0  2.00 us  2.00 us  900 us      0
";
        assert_eq!(text, expected, "{text}");
    }

    #[test]
    fn times_and_bytes_have_three_digits() {
        let nanos = [0, 1_500, 99_940, 12_345_678, 1_000_000_000, 59_000_000_000];
        let times = nanos.map(|nanos| time(Duration::from_nanos(nanos)));
        assert_eq!(times, ["0", "1.50 us", "99.9 us", "12.3 ms", "1.00 s", "59.0 s"]);
        assert_eq!(time(Duration::from_secs(3600)), "60.0 min");
        assert_eq!(time(Duration::from_secs(360_000)), "100 h");
        assert_eq!([0, 999, 1000, 2_500_000].map(bytes), ["0", "999", "1.00 kB", "2.50 MB"]);
        assert_eq!(bytes(12_300_000_000), "12.3 GB");
    }
}
