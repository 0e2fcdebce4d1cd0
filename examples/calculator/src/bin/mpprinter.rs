//! Prints lines.

use std::process::ExitCode;

use calculator::generated::init::{InitInterface, InitInterfaceClient};
use calculator::generated::printer::{PrinterInterface, PrinterInterfaceClient};
use multiprocess::Result;

struct Printer;

impl PrinterInterface for Printer {
    fn print(&self, text: String) -> Result<()> {
        println!("mpprinter: {text}");
        Ok(())
    }
}

struct PrinterInit;

impl InitInterface for PrinterInit {
    fn make_printer(&self) -> Result<PrinterInterfaceClient> {
        Ok(PrinterInterfaceClient::new(Printer))
    }
}

fn main() -> ExitCode {
    calculator::serve_parent("mpprinter", InitInterfaceClient::new(PrinterInit))
}
