//! The rounds.

use crate::measure::Amount;
use crate::options::Options;
use crate::report::Row;
use crate::sides::{Column, Side};
use crate::work::Work;

/// Measures each work on each side, all in turn within each round, so that other load on the
/// machine affects all of them alike. A work that has failed on a side is not repeated there.
pub(crate) fn run(works: &[Work], columns: &[Column], options: &Options) -> Vec<Row> {
    let mut sides: Vec<(Column, Box<dyn Side>)> =
        columns.iter().map(|column| (*column, column.side(options.peer.as_deref()))).collect();
    let mut rows: Vec<Row> = works.iter().copied().map(Row::new).collect();
    let count = sides.len();
    // Round 0 warms up.
    for round in 0..=options.rounds {
        for row in &mut rows {
            for turn in 0..count {
                let (column, side) = &mut sides[(round + turn) % count];
                let work = row.work;
                let cell = row.cell_mut(*column);
                if cell.failure.is_some() {
                    continue;
                }
                match side.measure(work, Amount::Time(options.slice)) {
                    Ok(Some(sample)) if round > 0 => cell.add(work.unit(), sample),
                    Ok(_) => {}
                    Err(error) => cell.failure = Some(error.to_string()),
                }
            }
        }
    }
    rows
}
