//! Processes that are killed (SIGKILL) in the middle of a call: while they call and wait, while they
//! are called, and while both sides write.

use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;

use multiprocess::process::Child;
use multiprocess::{Connection, Error};
use rustix::process::{Pid, Signal, kill_process};

use super::text;
use crate::child::{self, Role};
use crate::generated::soak::MillClient;
use crate::mill::{HANGS, MillServer};
use crate::part::Rounds;

pub(super) fn run(rounds: &Rounds) -> Result<(), String> {
    rounds.spread(
        2,
        || (),
        |(), number| match number % 3 {
            0 => kill_a_caller(Role::Calls),
            1 => kill_a_caller(Role::Writes),
            _ => kill_a_server(),
        },
    )
}

/// The child calls `block`, and where it writes, others of its threads send much meanwhile.
fn kill_a_caller(role: Role) -> Result<(), String> {
    let (child, socket) = child::start(role)?;
    let mill = MillServer::new();
    let serving = Connection::builder().serve(mill.client()).start(socket).map_err(text)?;
    mill.wait_runs(child::TICKET)?;
    kill(&child)?;
    mill.wait_idle()?;
    if !serving.drain(HANGS) {
        return Err("a call of a killed process runs on".to_owned());
    }
    serving.wait_disconnected();
    assert_empty(&serving)
}

fn kill_a_server() -> Result<(), String> {
    let (child, socket): (Child, UnixStream) = child::start(Role::Serves)?;
    let calling = Connection::new(socket).map_err(text)?;
    let mill: MillClient = calling.bootstrap().map_err(text)?;
    let calls = [mill.block(1).start(), mill.block(2).start()];
    // When this is answered, the calls before it have arrived.
    mill.echo_inline(vec![1]).wait().map_err(text)?;
    kill(&child)?;
    for call in calls {
        match call.timeout(HANGS).wait() {
            Err(Error::Disconnected { .. }) => {}
            other => return Err(format!("a call of a killed server ended as {other:?}")),
        }
    }
    drop(mill);
    assert_empty(&calling)
}

fn kill(child: &Child) -> Result<(), String> {
    let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(number.ok_or("no pid")?, Signal::KILL).map_err(text)?;
    let status = child.wait().map_err(text)?;
    if status.signal() == Some(Signal::KILL.as_raw()) {
        Ok(())
    } else {
        Err(format!("the child ended before it was killed: {status}"))
    }
}

fn assert_empty(connection: &Connection) -> Result<(), String> {
    match connection.table_sizes() {
        [0, 0, 0, 0, 0] => Ok(()),
        sizes => Err(format!("the tables of an ended connection hold {sizes:?}")),
    }
}
