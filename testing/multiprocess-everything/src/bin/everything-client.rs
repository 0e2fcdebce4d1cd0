//! Calls everything that the process that starts it serves, and checks every answer.

use std::process::ExitCode;

use multiprocess::Connection;
use multiprocess::process::inherited_socket;
use multiprocess_everything::client;

fn main() -> ExitCode {
    multiprocess_everything::run("everything-client", |fd| {
        let connection = Connection::new(inherited_socket(fd)?)?;
        client::check_all(&connection.bootstrap()?)
    })
}
