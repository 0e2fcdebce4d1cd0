//! One small table: what work costs here, over a raw socket pair, and with capnp-rpc on tokio.
//!
//! ```text
//! cargo bench --bench compare                      the table, in less than a minute
//! cargo bench --bench compare -- --quick           rougher, in a few seconds
//! cargo bench --bench compare -- --json mapped     one JSON object a line; only rows named "mapped.."
//! ```
//!
//! The three are measured in turn within each of many short rounds, so that what else the machine
//! does meets all of them. A figure is the median over the rounds of the median call of each (or of
//! the rate in each); a ratio is the median of the rounds' ratios. What each row does is said at
//! its function in [`rows`].

mod measure;
mod report;
mod rows;

use std::process::ExitCode;
use std::time::Duration;

use multiprocess_bench::{Failure, serve_if_peer};

use report::Report;
use rows::{Row, Side};

const USAGE: &str = "\
Usage: cargo bench --bench compare -- [OPTIONS] [ROW]...

  ROW          only rows whose name contains this
  --json       one JSON object a line instead of the table
  --rounds N   rounds of 60 ms for each cell (25)
  --quick      3 rounds of 20 ms";

struct Options {
    json: bool,
    rounds: usize,
    slice: Duration,
    names: Vec<String>,
}

fn main() -> ExitCode {
    if serve_if_peer() {
        return ExitCode::SUCCESS;
    }
    match options(std::env::args().skip(1)) {
        Ok(Some(options)) => match run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("compare: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("compare: {problem}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// None where help is asked for.
fn options(args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options =
        Options { json: false, rounds: 25, slice: Duration::from_millis(60), names: Vec::new() };
    // Figures of a debug build mean nothing: `cargo test --benches` is to see that it runs.
    let mut quick = cfg!(debug_assertions);
    let mut rounds = None;
    let mut args = args;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {} // cargo's own
            "--test" | "--quick" => quick = true,
            "--json" => options.json = true,
            "--rounds" => {
                let number = args.next().and_then(|number| number.parse().ok());
                rounds =
                    Some(number.filter(|number| *number > 0).ok_or("--rounds takes a number")?);
            }
            "-h" | "--help" => return Ok(None),
            _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
            _ => options.names.push(arg),
        }
    }
    if quick {
        options.rounds = 3;
        options.slice = Duration::from_millis(20);
    }
    options.rounds = rounds.unwrap_or(options.rounds);
    Ok(Some(options))
}

fn run(options: &Options) -> Result<(), Failure> {
    let asked = |name: &str| {
        options.names.is_empty() || options.names.iter().any(|part| name.contains(part))
    };
    let mut all = rows::all()?;
    let mut rows: Vec<&mut Row> = all.rows.iter_mut().filter(|row| asked(row.name)).collect();
    let mut reports: Vec<Report> = rows.iter().map(|row| Report::new(row.name, row.unit)).collect();
    // Round 0 warms up.
    for round in 0..=options.rounds {
        for (row, report) in rows.iter_mut().zip(&mut reports) {
            let mut figures = [0.0; 3];
            for turn in 0..3 {
                let side = (round + turn) % 3;
                figures[side] = row.measure(Side::ALL[side], options.slice)?;
            }
            if round > 0 {
                report.add(figures);
            }
        }
    }
    if options.json {
        reports.iter().for_each(|report| println!("{}", report.json()));
    } else {
        print!("{}", report::table(&reports, options.rounds));
    }
    Ok(())
}
