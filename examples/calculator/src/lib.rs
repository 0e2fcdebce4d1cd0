//! Three processes that calculate together, as a program of your own would look.
//!
//! `mpexample` starts `mpcalculator` and `mpprinter`, gets a printer from the one, gives it to the
//! other, and then hands over what you type. The calculator calls the printer through `mpexample`,
//! which is the only one that knows both.
//!
//! ```text
//! mpexample --socketpair--> mpcalculator     solve_equation("1 + 2")
//!     |                          |
//!     |  <------- print("1 + 2 = 3") -------'
//!     '-----socketpair--> mpprinter          print("1 + 2 = 3")
//! ```
//!
//! The interfaces are in `schema/`, and `build.rs` makes the proxies; the three programs are in
//! `src/bin/`. Each can be exchanged with its counterpart in libmultiprocess's C++ example, which
//! uses the same messages.

#![forbid(unsafe_code)]

pub mod arithmetic;
pub mod generated;

use std::process::ExitCode;
use std::time::Duration;

use generated::init::InitInterfaceClient;
use multiprocess::process::{Child, Command, ignore_sigint, inherited_socket, sibling_executable};
use multiprocess::{Connection, Result};

/// How long a program that was started may take for its first answer, and for each further one.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A program that was started, and its bootstrap object.
pub struct Process {
    /// Its bootstrap object.
    pub init: InitInterfaceClient,
    child: Child,
}

impl Process {
    /// Starts the program `name` from the directory of this one. It ends with this one, even if it is
    /// stuck then.
    ///
    /// # Errors
    /// It is not there, or does not answer within `patience`.
    pub fn start(name: &str, patience: Duration) -> Result<Process> {
        let command = Command::new(sibling_executable(name)?).parent_death_signal(true);
        let (child, socket) = command.spawn()?;
        let init = Connection::new(socket)?.bootstrap_ready(patience)?;
        Ok(Process { init, child })
    }

    /// Disconnects from the program, which ends it, and waits until it has ended. One that is stuck is
    /// killed after a few seconds.
    ///
    /// # Errors
    /// The system cannot wait for it.
    pub fn stop(self) -> Result<()> {
        drop(self.init);
        self.child.end()?;
        Ok(())
    }
}

/// The whole `main` of a started program: serves `init` on the socket that the parent passed, until
/// the parent disconnects.
pub fn serve_parent(program: &str, init: InitInterfaceClient) -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let [_, fd] = &args[..] else {
        eprintln!("Usage: {program} FD (another program starts it)");
        return ExitCode::FAILURE;
    };
    match serve(fd, init) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(fd: &str, init: InitInterfaceClient) -> Result<()> {
    let socket = inherited_socket(fd)?;
    ignore_sigint()?;
    let connection = Connection::builder().serve(init).start(socket)?;
    connection.wait_disconnected();
    connection.drain(Duration::from_secs(5));
    Ok(())
}
