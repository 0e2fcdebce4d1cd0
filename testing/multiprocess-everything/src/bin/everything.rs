//! Serves everything to the process that starts it.

use std::process::ExitCode;

use multiprocess_everything::server::EverythingServer;

fn main() -> ExitCode {
    multiprocess_everything::run("everything", |fd| {
        multiprocess_everything::serve(fd, EverythingServer::new().client())
    })
}
