//! The three documented steps of a spawned process, one test each (see `bitcoin_ipc::ipc`).

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use bitcoin_ipc::echo::{Echo, EchoClient};
use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{
    AddCleanup, Context, Ipc, IpcInterface, IpcOptions, SpawnProcess, StartSpawnedProcess,
};
use bitcoin_ipc::{Connection, Error, Result};
use multiprocess::process::{Command, FdArgs};

use crate::{LONG, NODE, WALLET, process_exists, wait_until};

fn client() -> Ipc {
    Ipc::new(IpcOptions::client("steps"))
}

/// Step 1: the parent starts a program by its name and gets its Init.
///
/// Programs are looked up in the directory of the parent's program, so the parent is this test's
/// program, started again under a name in the programs' directory.
#[test]
fn step_1_spawn() {
    const INSIDE: &str = "STEPS_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        let beside = Path::new(&*NODE).with_file_name("steps");
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .arg0(beside)
            .args(["steps::step_1_spawn", "--exact"])
            .env(INSIDE, "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let ipc = client();
    let init = ipc.spawn_process("bitcoin-node").unwrap();
    let echo = init.make_echo().wait().unwrap().unwrap();
    assert_eq!(echo.echo("from another process").wait().unwrap(), "from another process");

    let error = ipc.spawn_process("bitcoin-nowhere").unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("bitcoin-nowhere") && text.contains("os error 2"), "{text}");
}

/// Step 2: the child serves its parent on the socket that it was given, until the parent closes it,
/// and exits with status 0.
#[test]
fn step_2_serve() {
    for program in [NODE.as_str(), WALLET.as_str()] {
        let (child, socket) =
            Command::new(program).fd_args(FdArgs::Flag("-ipcfd")).spawn().unwrap();
        let connection = Connection::new(socket).unwrap();
        let init: InitClient = connection.bootstrap_ready(LONG).unwrap();
        let echo = init.make_echo().pipelined();
        assert_eq!(echo.echo(program).wait().unwrap(), program);
        drop((echo, init, connection));
        let status = child.wait_timeout(LONG).unwrap().expect("the child exits");
        assert_eq!(status.code(), Some(0), "{program}");
    }
    // It ignores arguments that are not those of a spawned process.
    let args = |args: &[&str]| args.iter().map(|&arg| arg.to_owned().into()).collect::<Vec<_>>();
    assert_eq!(client().start_spawned_process(&args(&["node"])).unwrap(), None);
    assert_eq!(client().start_spawned_process(&args(&["node", "-ipcbind=unix"])).unwrap(), None);
    assert!(client().start_spawned_process(&args(&["node", "-ipcfd", "many"])).is_err());
}

/// Step 3: the parent makes further objects through the Init; when it has dropped the last handle,
/// the child exits by itself and is reaped.
#[test]
fn step_3_further_objects_then_drop() {
    let ipc = client();
    let spawned = ipc.spawn(Path::new(&*NODE)).unwrap();
    let pid = spawned.child.id();
    let init = spawned.init.clone();
    drop(spawned);

    let mining = init.make_mining().wait().unwrap().unwrap();
    drop(init);
    assert!(mining.is_test_chain().wait().unwrap(), "one handle keeps the process");

    let (cleaned, cleanup) = mpsc::channel();
    let first = cleaned.clone();
    ipc.add_cleanup(&mining, move || first.send("added first, runs last").unwrap());
    ipc.add_cleanup(&mining, move || cleaned.send("added last, runs first").unwrap());
    let template = mining.create_new_block(Default::default(), false).wait().unwrap().unwrap();
    drop(mining);
    assert_eq!(
        cleanup.iter().collect::<Vec<_>>(),
        ["added last, runs first", "added first, runs last"]
    );

    assert_eq!(template.get_block_header().wait().unwrap().nonce, 0, "a template keeps it, too");
    drop(template);
    wait_until("the child has exited and is reaped", || !process_exists(pid));
}

/// The child can call the object that the parent serves. Here both are in this process.
#[test]
fn the_parent_serves_its_own_init() {
    struct Shout;
    impl Echo for Shout {
        fn echo(&self, echo: String) -> Result<String> {
            Ok(echo.to_uppercase())
        }
    }
    let ipc = Ipc::new(IpcOptions::client("shouter"));
    assert_eq!(ipc.context().program(), "shouter");
    fn takes_the_whole_interface(_: &impl IpcInterface) {}
    takes_the_whole_interface(&ipc);
    assert_eq!(EchoClient::new(Shout).echo("hey").wait().unwrap(), "HEY");
}

#[test]
fn programs_that_do_not_serve() {
    // Programs that end say so at once, whatever the deadline is: it is long, so that a busy
    // machine reports the end and not the deadline.
    let patient = Ipc::new(IpcOptions::client("steps").spawn_timeout(Duration::from_secs(60)));
    let hasty = Ipc::new(IpcOptions::client("steps").spawn_timeout(Duration::from_millis(300)));
    let spawn_by = |ipc: &Ipc, program: &str, args: &[&str]| {
        let command = args.iter().fold(Command::new(program), |command, arg| command.arg(*arg));
        let spawned = match ipc.spawn_command(command, Path::new(program)) {
            Ok(spawned) => spawned,
            Err(error) => return error.to_string(),
        };
        // The first call gets the explanation, in whichever way it is made, and so does every
        // other.
        let error = spawned.init.make_echo().wait().unwrap_err();
        assert!(matches!(error, Error::Spawn { .. }), "{error}");
        assert_eq!(spawned.init.make_mining().wait().unwrap_err().to_string(), error.to_string());
        assert_eq!(spawned.connection.end_reason().unwrap().to_string(), error.to_string());
        assert!(!process_exists(spawned.child.id()), "it is reaped");
        error.to_string()
    };
    let spawn = |program: &str, args: &[&str]| spawn_by(&patient, program, args);
    let error = spawn("/nowhere/node", &[]);
    assert!(error.contains("/nowhere/node") && error.contains("os error 2"), "{error}");
    let error = spawn("/etc/passwd", &[]);
    assert!(error.contains("/etc/passwd") && error.contains("os error 13"), "{error}");
    let error = spawn("/bin/sh", &["-c", "exit 7"]);
    assert!(error.contains("exit status: 7"), "{error}");
    let error = spawn("/bin/sh", &["-c", "kill -SEGV $$"]);
    assert!(error.contains("SIGSEGV"), "{error}");
    // A program that never answers is killed after the deadline.
    let error = spawn_by(&hasty, "/bin/sh", &["-c", "echo $$ >&2; exec sleep 1000"]);
    assert!(error.contains("no answer within") && error.contains("killed"), "{error}");
    // A program that sends something else: `$1` is the socket's number, of which sh may take one digit only.
    let error = spawn(
        "/bin/bash",
        &["-c", "head -c 64 /dev/zero | tr '\\0' '\\377' >&\"$1\"; exec sleep 1000"],
    );
    assert!(error.contains("broke the protocol") && error.contains("killed"), "{error}");
}
