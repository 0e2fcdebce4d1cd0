//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::work::Work;

pub(crate) const USAGE: &str = "\
Usage: cargo bench --bench compare -- [OPTIONS] [ROW]...

  ROW            only rows whose name contains this
  --json         one JSON object a line instead of the table
  --peer PATH    a further column: our client, and PATH, started as PATH -ipcfd N, as server
  --steps        another table: where the time of one call goes, step by step (never as JSON)
  --update-docs  both tables and the plots, into docs/PERFORMANCE.md and docs/performance/
  --rounds N     rounds of 60 ms for each cell (21)
  --quick        3 rounds of 20 ms, and no count of system calls";

pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) slice: Duration,
    pub(crate) peer: Option<PathBuf>,
    pub(crate) names: Vec<String>,
}

pub(crate) enum Mode {
    Help,
    Table,
    Json,
    Steps,
    UpdateDocs,
    /// For the bench itself, which runs itself so under strace, and for `tests/guard/run`: makes
    /// that many of our calls of one row.
    Count(String, usize),
    /// For `tests/guard/run`: counts the system calls of one of our calls of one row, from a run of
    /// that many calls and one of twice as many.
    SystemCalls(String, usize),
    /// For the bench itself: measures the memory of that many connections or handles of a row, on
    /// one side, in processes that do nothing else.
    Memory(String, String, usize),
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            mode: Mode::Table,
            // Figures of a debug build mean nothing; `cargo test --benches` only checks that the
            // bench runs.
            quick: cfg!(debug_assertions),
            rounds: 21,
            slice: Duration::from_millis(60),
            peer: None,
            names: Vec::new(),
        };
        let mut rounds = None;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} takes a value"));
            match arg.as_str() {
                "--bench" => {} // cargo's own
                "--test" | "--quick" => options.quick = true,
                "--json" => options.mode = Mode::Json,
                "--steps" => options.mode = Mode::Steps,
                "--update-docs" => options.mode = Mode::UpdateDocs,
                "--peer" => options.peer = Some(value()?.into()),
                "--rounds" => rounds = Some(number(&value()?)?),
                "--count" => options.mode = Mode::Count(value()?, number(&value()?)?),
                "--system-calls" => options.mode = Mode::SystemCalls(value()?, number(&value()?)?),
                "--memory" => options.mode = Mode::Memory(value()?, value()?, number(&value()?)?),
                "-h" | "--help" => options.mode = Mode::Help,
                _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
                _ => options.names.push(arg),
            }
        }
        if options.quick {
            options.rounds = if cfg!(debug_assertions) { 1 } else { 3 };
            options.slice = Duration::from_millis(20);
        }
        options.rounds = rounds.unwrap_or(options.rounds);
        let known = |name: &String| Work::TABLE.iter().any(|work| work.name().contains(name));
        let unknown = options.names.iter().find(|name| !known(name));
        // Arguments of `cargo test` are meant for all tests.
        if let (Some(unknown), false) = (unknown, cfg!(debug_assertions)) {
            return Err(format!("no row's name contains {unknown}"));
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or(format!("{text} is not a number above 0"))
}
