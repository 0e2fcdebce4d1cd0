//! Compares the cost of calls with this runtime, a raw socket pair, capnp-rpc on tokio, and tarpc.
//!
//! ```text
//! cargo bench --bench compare                      the table, in about two minutes
//! cargo bench --bench compare -- --quick           rougher, in a few seconds
//! cargo bench --bench compare -- --json mapped     one JSON object a line; only rows named "mapped.."
//! cargo bench --bench compare -- --peer PATH       one more column: another program as server
//! cargo bench --bench compare -- --steps           where the time of one call goes
//! cargo bench --bench compare -- --update-docs     writes docs/PERFORMANCE.md's tables and plots
//! ```
//!
//! The sides are measured in turn within each of many short rounds, so that other load on the
//! machine affects all of them alike. A figure is the median over the rounds of each round's median
//! call (or rate); a ratio is the median of the rounds' ratios. The rows are described in [`work`].

mod cpu;
mod docs;
mod json;
mod measure;
mod memory;
mod options;
mod plots;
mod report;
mod rounds;
mod sides;
mod steps;
mod system_calls;
mod table;
mod targets;
mod work;

use std::fmt::Write;
use std::process::ExitCode;

use multiprocess_bench::{Failure, serve_if_peer};

use options::{Mode, Options, USAGE};
use report::Row;
use sides::Column;
use work::{Unit, Work};

fn main() -> ExitCode {
    if serve_if_peer() {
        return ExitCode::SUCCESS;
    }
    let mut options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("compare: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if cfg!(debug_assertions) && options.peer.is_none() {
        // A debug run is a test. It uses the bench itself as the other program.
        options.peer = std::env::current_exe().ok();
    }
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Failure> {
    let columns: Vec<Column> = Column::ALL
        .into_iter()
        .filter(|column| *column != Column::Peer || options.peer.is_some())
        .collect();
    match &options.mode {
        Mode::Help => println!("{USAGE}"),
        Mode::Count(work, calls) => system_calls::print(work, *calls)?,
        Mode::SystemCalls(work, calls) => system_calls::print_count(work, *calls)?,
        Mode::Memory(work, column, count) => memory::print(work, column, *count, options)?,
        Mode::Json => {
            let rows = measure(&columns, options);
            rows.iter().for_each(|row| println!("{}", json::line(row, &columns)));
            return Ok(outcome(&rows));
        }
        Mode::Table => {
            let rows = measure(&columns, options);
            print!("{}", text(&rows, &columns, options));
            return Ok(outcome(&rows));
        }
        Mode::Steps => print!("{}", steps::table(options)?),
        Mode::UpdateDocs => return update_docs(&columns, options),
    }
    Ok(ExitCode::SUCCESS)
}

fn update_docs(columns: &[Column], options: &Options) -> Result<ExitCode, Failure> {
    let rows = measure(columns, options);
    docs::write("table", &text(&rows, columns, options))?;
    docs::write("steps", &steps::table(options)?)?;
    let folder = docs::plots()?;
    if let Some(mapped) = rows.iter().find(|row| row.work == Work::Mapped) {
        plots::latency(&folder.join("latency.svg"), mapped, columns)?;
    }
    plots::threads(&folder.join("threads.svg"), options)?;
    plots::sizes(&folder.join("sizes.svg"), options)?;
    Ok(outcome(&rows))
}

/// Measures the rows that were asked for.
fn measure(columns: &[Column], options: &Options) -> Vec<Row> {
    let asked = |work: &Work| {
        options.names.is_empty() || options.names.iter().any(|part| work.name().contains(part))
    };
    let works: Vec<Work> = Work::TABLE.into_iter().filter(asked).collect();
    let (held, called): (Vec<Work>, Vec<Work>) =
        works.iter().partition(|work| work.unit() == Unit::Bytes);
    // These come first, because a process that uses much memory starts others more slowly.
    let (starts, calls): (Vec<Work>, Vec<Work>) =
        called.into_iter().partition(|work| matches!(work, Work::Spawn | Work::Connect));
    let mut rows = rounds::run(&starts, columns, options);
    rows.extend(rounds::run(&calls, columns, options));
    if !options.quick && system_calls::can_be_counted() {
        for row in &mut rows {
            match system_calls::count(row.work) {
                Ok(counts) => row.system_calls = counts,
                Err(error) => eprintln!("compare: {}: system calls: {error}", row.work.name()),
            }
        }
    }
    for work in held {
        let mut row = Row::new(work);
        memory::fill(&mut row, columns, options);
        rows.push(row);
    }
    rows.sort_by_key(|row| works.iter().position(|work| *work == row.work));
    rows
}

/// The table, with notes about it.
fn text(rows: &[Row], columns: &[Column], options: &Options) -> String {
    let mut text = table::table(rows, columns);
    let _ = writeln!(
        text,
        "\nMedians of {} rounds; p99 of all their calls. Ratios (to ..) are of the time a call \
         takes, or\nof memory: below 1, ours is better; they are the medians of the rounds' own \
         ratios. CPU time and\nsystem calls: of one of our calls, client + server.",
        options.rounds
    );
    if rows.iter().all(|row| row.system_calls.is_none()) {
        text.push_str(
            "System calls are not counted: it takes strace, and is not done with --quick.\n",
        );
    }
    for row in rows {
        for column in columns {
            if let Some(problem) = &row.cell(*column).failure {
                let _ = writeln!(text, "{}, {}: {problem}", column.title(), row.work.name());
            }
        }
    }
    let targets = targets::lines(rows);
    if !targets.is_empty() {
        let _ = write!(text, "\nTargets:\n{targets}");
    }
    text
}

/// The exit code. If a side has failed the bench fails, although the other sides are shown; only a
/// foreign peer may lack methods.
fn outcome(rows: &[Row]) -> ExitCode {
    let failed = |column: &Column| rows.iter().any(|row| row.cell(*column).failure.is_some());
    match Column::ALL.iter().filter(|column| **column != Column::Peer).any(failed) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
