//! The other process of a part: this program again, with a role and a socket.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use multiprocess::Connection;
use multiprocess::process::{Child, Command, inherited_socket};

use crate::beside;
use crate::generated::soak::MillClient;
use crate::mill::MillServer;

/// The ticket of a child's own call of `block`.
pub(crate) const TICKET: u64 = 7;

/// A bootstrap message, with question 1, as it is sent: one segment of 5 words; the root, a message
/// of kind 8, whose only pointer leads to the question's number.
pub(crate) const BOOTSTRAP: [u8; 48] = [
    0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0,
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// What a child does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Serves a mill until its parent goes.
    Serves,
    /// Calls `block`.
    Calls,
    /// The same, while other threads send as much as they can.
    Writes,
    /// Serves a mill at a path until its parent goes.
    ServesAt,
    /// Does harm to the server at a path.
    Hostile,
}

impl Role {
    const ALL: [Role; 5] = [Role::Serves, Role::Calls, Role::Writes, Role::ServesAt, Role::Hostile];

    fn name(self) -> &'static str {
        match self {
            Role::Serves => "serves",
            Role::Calls => "calls",
            Role::Writes => "writes",
            Role::ServesAt => "serves-at",
            Role::Hostile => "hostile",
        }
    }
}

/// Starts a child, and gives this side's end of its socket.
pub(crate) fn start(role: Role) -> Result<(Child, UnixStream), String> {
    start_at(role, Path::new(""), "")
}

/// The same with a path, and the kind of harm.
pub(crate) fn start_at(role: Role, path: &Path, kind: &str) -> Result<(Child, UnixStream), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let command = Command::new(program).arg("child").arg(role.name()).arg(path).arg(kind);
    command.spawn().map_err(|error| error.to_string())
}

/// The main function of a child.
pub(crate) fn main(role: &str, path: &Path, kind: &str, socket: &str) -> Result<(), String> {
    let named = Role::ALL.iter().find(|known| known.name() == role);
    let role = *named.ok_or_else(|| format!("no role {role}"))?;
    let socket = inherited_socket(socket).map_err(|error| error.to_string())?;
    match role {
        Role::ServesAt => beside::serve(socket, path),
        Role::Hostile => beside::attack(path, kind),
        _ => run(role, socket).map_err(|error| error.to_string()),
    }
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
