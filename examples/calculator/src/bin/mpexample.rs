//! Starts the other two programs and hands over what you type.

use std::io::{BufRead, Write};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use calculator::{PATIENCE, Process};
use multiprocess::{Error, Result};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mpexample: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let patience = patience()?;
    let printer_process = Process::start("mpprinter", patience)?;
    let calculator_process = Process::start("mpcalculator", patience)?;

    // The printer and the calculator are in different processes: calls from one to the other pass
    // through here.
    let printer = printer_process.init.make_printer().timeout(patience).wait()?;
    let calculator = calculator_process.init.make_calculator(printer).timeout(patience).wait()?;

    let mut lines = std::io::stdin().lock().lines();
    loop {
        print!("Enter the equation, or \"exit\" to quit: ");
        let _ = std::io::stdout().flush();
        match lines.next() {
            Some(Ok(line)) if line == "exit" => break,
            Some(Ok(line)) => calculator.solve_equation(line).timeout(patience).wait()?,
            Some(Err(_)) | None => break,
        }
    }

    calculator.close().timeout(patience).wait()?;
    drop(calculator);
    calculator_process.stop()?;
    printer_process.stop()?;
    println!("Bye!");
    Ok(())
}

/// How long to wait for the other programs: `--timeout SECONDS`, one at least, if that is among the arguments.
fn patience() -> Result<Duration> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = || Error::failed("Usage: mpexample [--timeout SECONDS]");
    match &args[..] {
        [] => Ok(PATIENCE),
        [flag, seconds] if flag == "--timeout" => {
            let seconds = seconds.parse::<NonZeroU64>().map_err(|_| usage())?;
            Ok(Duration::from_secs(seconds.get()))
        }
        _ => Err(usage()),
    }
}
