//! One schema that uses everything a schema can say, an object that serves it, and programs that
//! serve and call it.
//!
//! ```text
//! schema/
//!   types, unions   values, grouped by feature
//!   foo             an equivalent of each method of libmultiprocess's own test interface
//!   values          methods that return what they are given
//!   objects         callbacks, functions, interfaces that extend others, generic ones
//!   calls           threads, errors, outputs, waits, names
//!   bare            structs without marks, to send what the marked ones refuse
//!   everything      the bootstrap interface, which extends the four; constants
//! src/
//!   codecs          Rust types that the schema names
//!   server/         one object that serves all of it
//!   asynchronous    the same interface with methods that are futures
//!   samples         one value of each struct
//!   pair            two ends of a connection in one process, and what lies between them
//!   client/         what the program `everything-client` asks of a server, whoever wrote that
//!   bin/            `everything` serves, `everything-client` calls; `everything-complete` serves the latter;
//!                   `everything-process` does either at a path, for `tests/chaos`
//! ```
//!
//! # A stream
//!
//! ```
//! # fn main() -> multiprocess::Result<()> {
//! let (_server, pair) = multiprocess_everything::pair::pair()?;
//! let upload = pair.object.make_upload().wait()?;
//! for byte in 0..200 {
//!     upload.write([byte; 1000]).wait()?; // over when it was sent, or when there is room again
//! }
//! assert_eq!(upload.done().wait()?.count, 200); // sent when all of them are answered
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod asynchronous;
pub mod client;
pub mod codecs;
pub mod generated;
pub mod pair;
pub mod samples;
pub mod server;

use std::process::ExitCode;

use multiprocess::process::inherited_socket;
use multiprocess::{Connection, Result};

use generated::everything::EverythingClient;

/// The whole `main` of a program that a parent starts as `PROGRAM -ipcfd FD`.
pub fn run(program: &str, work: impl FnOnce(&str) -> Result<()>) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [flag, fd] = &args[..] else {
        eprintln!("Usage: {program} -ipcfd FD (another program starts it)");
        return ExitCode::FAILURE;
    };
    let result = if flag == "-ipcfd" {
        work(fd)
    } else {
        eprintln!("{program}: {flag} is not an argument of it");
        return ExitCode::FAILURE;
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves `object` on an inherited socket, until the other side closes it.
///
/// # Errors
/// `fd` is not the number of such a socket.
pub fn serve(fd: &str, object: EverythingClient) -> Result<()> {
    let connection = Connection::builder().serve(object).start(inherited_socket(fd)?)?;
    connection.wait_disconnected();
    connection.drain(std::time::Duration::from_secs(5));
    Ok(())
}
