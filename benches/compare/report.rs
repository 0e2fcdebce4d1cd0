//! What was measured, as a table or as JSON.

use std::fmt::Write;

use crate::measure::median;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds a call.
    Time,
    /// Calls in a second.
    Rate,
}

/// The rounds of one row: ours, raw, capnp-rpc in each.
pub(crate) struct Report {
    name: &'static str,
    unit: Unit,
    rounds: Vec<[f64; 3]>,
}

impl Report {
    pub(crate) fn new(name: &'static str, unit: Unit) -> Report {
        Report { name, unit, rounds: Vec::new() }
    }

    pub(crate) fn add(&mut self, round: [f64; 3]) {
        self.rounds.push(round);
    }

    /// One line. Figures are whole numbers.
    pub(crate) fn json(&self) -> String {
        let unit = match self.unit {
            Unit::Time => "ns",
            Unit::Rate => "per_s",
        };
        let [ours, raw, capnp_rpc] = [0, 1, 2].map(|side| self.figure(side));
        format!(
            r#"{{"work":"{}","ours_{unit}":{ours:.0},"raw_{unit}":{raw:.0},"capnp_rpc_{unit}":{capnp_rpc:.0}}}"#,
            self.name
        )
    }

    fn figure(&self, side: usize) -> f64 {
        median(self.rounds.iter().map(|round| round[side]).collect())
    }

    /// Our time for a call as a multiple of the other side's.
    fn ratio(&self, side: usize) -> f64 {
        let of = |round: &[f64; 3]| match self.unit {
            Unit::Time => round[0] / round[side],
            Unit::Rate => round[side] / round[0],
        };
        median(self.rounds.iter().map(of).collect())
    }

    fn cell(&self, side: usize) -> String {
        let figure = self.figure(side);
        match self.unit {
            Unit::Rate => format!("{:.1} k/s", figure / 1e3),
            Unit::Time if figure >= 1e6 => format!("{:.2} ms", figure / 1e6),
            Unit::Time => format!("{:.1} us", figure / 1e3),
        }
    }
}

pub(crate) fn table(reports: &[Report], rounds: usize) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 6]| {
        let [work, ours, raw, capnp_rpc, to_raw, to_capnp_rpc] = cells;
        let _ = writeln!(
            text,
            "{work:<20}{ours:>12}{raw:>16}{capnp_rpc:>18}{to_raw:>10}{to_capnp_rpc:>16}"
        );
    };
    line(["", "ours", "raw socketpair", "capnp-rpc, tokio", "ours/raw", "ours/capnp-rpc"]);
    for report in reports {
        let [ours, raw, capnp_rpc] = [0, 1, 2].map(|side| report.cell(side));
        let [to_raw, to_capnp_rpc] = [1, 2].map(|side| format!("{:.2}", report.ratio(side)));
        line([report.name, &ours, &raw, &capnp_rpc, &to_raw, &to_capnp_rpc]);
    }
    let _ = writeln!(
        text,
        "\nMedians of {rounds} rounds. Ratios are of the time a call takes: below 1, ours is faster."
    );
    text
}
