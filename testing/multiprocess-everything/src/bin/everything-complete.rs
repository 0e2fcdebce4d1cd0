//! As `everything`, with the functions set that `everything-client` has it call. (The foreign tests check
//! what `everything` says without them.)

use std::process::ExitCode;

use multiprocess_everything::server::EverythingServer;

fn main() -> ExitCode {
    multiprocess_everything::run("everything-complete", |fd| {
        let server = EverythingServer::new();
        server.set_functions(|| (), |arg| arg * 2);
        multiprocess_everything::serve(fd, server.client())
    })
}
