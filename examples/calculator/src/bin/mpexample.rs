//! Starts the other two programs and hands over what you type.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use calculator::Process;
use multiprocess::Result;

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
    let printer_process = Process::start("mpprinter")?;
    let calculator_process = Process::start("mpcalculator")?;

    // The printer and the calculator are in different processes: calls from one to the other pass
    // through here.
    let printer = printer_process.init.make_printer().wait()?;
    let calculator = calculator_process.init.make_calculator(printer).wait()?;

    let mut lines = std::io::stdin().lock().lines();
    loop {
        print!("Enter the equation, or \"exit\" to quit: ");
        let _ = std::io::stdout().flush();
        match lines.next() {
            Some(Ok(line)) if line == "exit" => break,
            Some(Ok(line)) => calculator.solve_equation(line).wait()?,
            Some(Err(_)) | None => break,
        }
    }

    calculator.close().wait()?;
    drop(calculator);
    calculator_process.stop()?;
    printer_process.stop()?;
    println!("Bye!");
    Ok(())
}
