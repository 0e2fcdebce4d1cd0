//! Solves equations, and has the answers printed by whatever printer it was given.

use std::process::ExitCode;

use calculator::arithmetic::evaluate;
use calculator::generated::calculator::{CalculatorInterface, CalculatorInterfaceClient};
use calculator::generated::init::{InitInterface, InitInterfaceClient};
use calculator::generated::printer::PrinterInterfaceClient;
use multiprocess::Result;

struct Calculator {
    printer: PrinterInterfaceClient,
}

impl CalculatorInterface for Calculator {
    fn solve_equation(&self, eqn: String) -> Result<()> {
        let answer = match evaluate(&eqn) {
            Ok(value) => format!("{eqn} = {value}"),
            Err(problem) => format!("{eqn}? {problem}"),
        };
        self.printer.print(answer).wait()
    }
}

struct CalculatorInit;

impl InitInterface for CalculatorInit {
    fn make_calculator(&self, print: PrinterInterfaceClient) -> Result<CalculatorInterfaceClient> {
        Ok(CalculatorInterfaceClient::new(Calculator { printer: print }))
    }
}

fn main() -> ExitCode {
    calculator::serve_parent("mpcalculator", InitInterfaceClient::new(CalculatorInit))
}
