//! The project's performance targets, and whether a run met them.

use crate::report::Row;
use crate::sides::Column;
use crate::table::aligned;
use crate::work::Work;

/// A value of the run, and its bound.
struct Target {
    what: &'static str,
    bound: Bound,
    value: fn(&[Row]) -> Option<f64>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
}

impl Bound {
    fn met(self, value: f64) -> bool {
        match self {
            Bound::AtMost(bound) => value <= bound,
            Bound::Below(bound) => value < bound,
            Bound::AtLeast(bound) => value >= bound,
            Bound::Above(bound) => value > bound,
        }
    }

    fn text(self) -> String {
        match self {
            Bound::AtMost(bound) => format!("at most {bound:.2}"),
            Bound::Below(bound) => format!("below {bound:.2}"),
            Bound::AtLeast(bound) => format!("at least {bound:.2}"),
            Bound::Above(bound) => format!("above {bound:.2}"),
        }
    }
}

const LONG: Work = Work::Echo(1 << 20);

const TARGETS: [Target; 10] = [
    Target {
        what: "mapped call: time to raw",
        bound: Bound::AtMost(3.0),
        value: |rows| ratio(rows, Work::Mapped, Column::Raw),
    },
    Target {
        what: "mapped call: time to capnp-rpc",
        bound: Bound::Below(1.0),
        value: |rows| ratio(rows, Work::Mapped, Column::CapnpRpc),
    },
    Target {
        what: "inline call: time to raw",
        bound: Bound::AtMost(2.5),
        value: |rows| ratio(rows, Work::Inline, Column::Raw),
    },
    Target {
        what: "8 threads: rate to capnp-rpc's 64 in flight",
        bound: Bound::AtLeast(0.6),
        value: |rows| {
            let ours = figure(rows, Work::Threads(8), Column::Ours)?;
            Some(ours / figure(rows, Work::InFlight(64), Column::CapnpRpc)?)
        },
    },
    Target {
        what: "64 threads: rate to 8 threads",
        bound: Bound::AtLeast(1.0),
        value: |rows| {
            let ours = figure(rows, Work::Threads(64), Column::Ours)?;
            Some(ours / figure(rows, Work::Threads(8), Column::Ours)?)
        },
    },
    Target {
        what: "64 in flight: rate to capnp-rpc",
        bound: Bound::AtLeast(1.5),
        value: |rows| Some(1.0 / ratio(rows, Work::InFlight(64), Column::CapnpRpc)?),
    },
    Target {
        what: "64 in flight: rate to tarpc",
        bound: Bound::Above(1.0),
        value: |rows| Some(1.0 / ratio(rows, Work::InFlight(64), Column::Tarpc)?),
    },
    Target {
        what: "1 MiB echo: time to raw",
        bound: Bound::AtMost(2.5),
        value: |rows| ratio(rows, LONG, Column::Raw),
    },
    Target {
        what: "1 MiB echo: time to capnp-rpc",
        bound: Bound::Below(1.0),
        value: |rows| ratio(rows, LONG, Column::CapnpRpc),
    },
    Target {
        what: "spawn to first call: time to raw",
        bound: Bound::AtMost(1.3),
        value: |rows| ratio(rows, Work::Spawn, Column::Raw),
    },
];

/// A line for each target whose rows were measured.
pub(crate) fn lines(rows: &[Row]) -> String {
    let mut lines = Vec::new();
    for target in &TARGETS {
        let Some(value) = (target.value)(rows) else { continue };
        let met = if target.bound.met(value) { "met" } else { "missed" };
        let cells = [target.what.into(), target.bound.text(), format!("{value:.2}"), met.into()];
        lines.push(cells.to_vec());
    }
    aligned(&lines)
}

fn row(rows: &[Row], work: Work) -> Option<&Row> {
    rows.iter().find(|row| row.work == work)
}

fn ratio(rows: &[Row], work: Work, to: Column) -> Option<f64> {
    row(rows, work)?.ratio(to)
}

fn figure(rows: &[Row], work: Work, of: Column) -> Option<f64> {
    row(rows, work)?.figure(of)
}
