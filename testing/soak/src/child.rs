//! The other process of a part: this program again, with a role and a socket.

use std::os::unix::net::UnixStream;
use std::thread;

use multiprocess::Connection;
use multiprocess::process::{Child, Command, inherited_socket};

use crate::generated::soak::MillClient;
use crate::mill::MillServer;

/// The ticket of a child's own call of `block`.
pub const TICKET: u64 = 7;

/// What a child does.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Serves a mill until its parent goes.
    Serves,
    /// Calls `block`.
    Calls,
    /// The same, while other threads send as much as they can.
    Writes,
}

impl Role {
    const ALL: [(Role, &'static str); 3] =
        [(Role::Serves, "serves"), (Role::Calls, "calls"), (Role::Writes, "writes")];

    fn name(self) -> &'static str {
        match self {
            Role::Serves => "serves",
            Role::Calls => "calls",
            Role::Writes => "writes",
        }
    }
}

/// Starts a child, and gives this side's end of its socket.
pub fn start(role: Role) -> Result<(Child, UnixStream), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let command = Command::new(program).arg("child").arg(role.name());
    command.spawn().map_err(|error| error.to_string())
}

/// The main function of a child.
pub fn main(role: &str, socket: &str) -> Result<(), String> {
    let named = Role::ALL.iter().find(|(_, name)| *name == role);
    let (role, _) = named.ok_or_else(|| format!("no role {role}"))?;
    run(*role, inherited_socket(socket).map_err(|error| error.to_string())?)
        .map_err(|error| error.to_string())
}

fn run(role: Role, socket: UnixStream) -> multiprocess::Result<()> {
    if matches!(role, Role::Serves) {
        let mill = MillServer::new();
        Connection::builder().serve(mill.client()).start(socket)?.wait_disconnected();
        return Ok(());
    }
    let calling = Connection::new(socket)?;
    let mill: MillClient = calling.bootstrap()?;
    if matches!(role, Role::Writes) {
        for size in [100, 300 << 10] {
            let mill = mill.clone();
            thread::spawn(move || while mill.echo(vec![5; size]).wait().is_ok() {});
        }
    }
    mill.block(TICKET).wait()
}
