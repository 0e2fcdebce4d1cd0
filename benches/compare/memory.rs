//! How much memory a connection or a handle takes.
//!
//! Each is measured in a client process of its own, which has no freed memory from earlier work,
//! and in its server. The first few are not counted, because most of their memory is shared by all.

use std::process::Command;

use multiprocess_bench::Failure;

use crate::options::Options;
use crate::report::Row;
use crate::sides::Column;
use crate::work::{Unit, Work};

/// Fills a row of [`Unit::Bytes`].
pub(crate) fn fill(row: &mut Row, columns: &[Column], options: &Options) {
    let count = match (row.work, options.quick) {
        (Work::Handle, false) => 20_000,
        (Work::Handle, true) => 1_000,
        (_, false) => 200,
        (_, true) => 20,
    };
    for column in columns {
        match in_a_process(row.work, *column, count, options) {
            Ok(Some(bytes)) => row.cell_mut(*column).add_figure(bytes),
            Ok(None) => {}
            Err(error) => row.cell_mut(*column).failure = Some(error.to_string()),
        }
    }
}

fn in_a_process(
    work: Work,
    column: Column,
    count: usize,
    options: &Options,
) -> Result<Option<f64>, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--memory", &work.name(), column.title(), &count.to_string()]);
    if let Some(peer) = &options.peer {
        command.arg("--peer").arg(peer);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    match String::from_utf8(output.stdout)?.trim() {
        "-" => Ok(None),
        number => Ok(Some(number.parse()?)),
    }
}

/// The work of that client process: prints the bytes that one of `count` takes in both processes.
pub(crate) fn print(
    work: &str,
    column: &str,
    count: usize,
    options: &Options,
) -> Result<(), Failure> {
    let work = Work::named(work).filter(|work| work.unit() == Unit::Bytes).ok_or("no such row")?;
    let column = Column::ALL.into_iter().find(|of| of.title() == column).ok_or("no such column")?;
    let mut side = column.side(options.peer.as_deref());
    let Some(server) = side.hold(work, count / 10)? else {
        println!("-");
        return Ok(());
    };
    let before = resident("self")? + resident(&server.to_string())?;
    side.hold(work, count)?;
    let after = resident("self")? + resident(&server.to_string())?;
    println!("{}", after.saturating_sub(before) / count as u64);
    Ok(())
}

/// Bytes of a process that are in memory.
fn resident(process: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("no Rss there")?;
    Ok(line.trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}
