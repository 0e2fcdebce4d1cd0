//! The programs from outside: what they print, their exit codes, what they leave behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{IPC, NODE, WALLET, process_exists, wait_until};

/// Runs `bitcoin-ipc` with a data directory in which no node runs, unless one was started there.
fn ipc(datadir: &Path, args: &[&str]) -> Output {
    Command::new(IPC)
        .args(["--chain", "regtest", "--datadir"])
        .arg(datadir)
        .args(args)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A node in the background, stopped like a person would.
struct Node(Child);

impl Node {
    fn start(datadir: &Path) -> Node {
        Node::start_with(Command::new(&*NODE), datadir)
    }

    /// With a command that runs the node.
    fn start_with(mut node: Command, datadir: &Path) -> Node {
        let mut child = node
            .arg("-ipcbind=unix")
            .arg(format!("-datadir={}", datadir.display()))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("node.sock"), "{line}");
        Node(child)
    }

    fn stop(mut self) {
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::INT,
        )
        .unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

/// Where the umask lets the group write, the node makes a data directory that it accepts itself.
#[test]
fn data_directory_is_the_users_own_under_any_umask() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let datadir = dir.path().join("data");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "umask 000; exec \"$@\"", "sh", &*NODE]);
    let node = Node::start_with(shell, &datadir);
    let mode = std::fs::metadata(datadir.join("regtest")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    node.stop();
}

/// A program whose parent ignores SIGCHLD ignores it, too, and cannot learn how the node ends.
#[cfg(target_os = "linux")]
#[test]
fn commands_work_where_sigchld_is_ignored() {
    let dir = TempDir::new().unwrap();
    // Of coreutils: not every shell can ignore this signal.
    let output = Command::new("env")
        .args(["--ignore-signal=CHLD", IPC, "--chain", "regtest", "--datadir"])
        .arg(dir.path())
        .args(["--connect", "auto", "echo", "hello"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "hello\n");
    assert!(stderr(&output).contains("its status is unknown"), "{}", stderr(&output));
}

#[test]
fn the_demonstration_runs_to_its_end() {
    let dir = TempDir::new().unwrap();
    let output = ipc(dir.path(), &[]);
    let (out, err) = (stdout(&output), stderr(&output));
    assert!(output.status.success(), "{out}{err}");
    let pid: u32 = err
        .rsplit("started bitcoin-node as process ")
        .next()
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    for step in [
        "Init",
        "Echo",
        "Hello",
        "tip is block 0",
        "template",
        "solved",
        "accepted",
        "has it: block 1",
        "exit status: 0",
    ] {
        assert!(out.contains(step), "no step {step:?} in\n{out}");
    }
    assert!(!out.contains('\x1b'), "colours only on a terminal");
    assert!(!process_exists(pid));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no file left behind");
}

#[test]
fn commands_with_a_child() {
    let dir = TempDir::new().unwrap();
    let run = |args: &[&str]| {
        let output = ipc(dir.path(), &[&["--connect", "auto"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("started bitcoin-node"), "a note says what was started");
        stdout(&output)
    };
    assert_eq!(run(&["echo", "häuser"]), "häuser\n");
    assert!(
        run(&["tip"]).contains("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206")
    );
    let tip: Value = serde_json::from_str(&run(&["tip", "--json"])).unwrap();
    assert_eq!(tip["height"], 0);
    assert!(run(&["template"]).contains("50 BTC"));
    let template: Value = serde_json::from_str(&run(&["template", "--json"])).unwrap();
    assert_eq!(
        (&template["height"], &template["reward"]),
        (&Value::from(1), &Value::from(5_000_000_000_u64))
    );
    let info: Value = serde_json::from_str(&run(&["rpc", "getblockchaininfo"])).unwrap();
    assert_eq!(info["chain"], "regtest");
    assert!(run(&["rpc", "getblockhash", "0"]).starts_with("0f9188f1"));
}

#[test]
fn a_running_node_is_used_and_its_blocks_arrive() {
    let dir = TempDir::new().unwrap();
    let node = Node::start(dir.path());
    let output = ipc(dir.path(), &["tip"]);
    assert!(stderr(&output).contains("using the node at"), "{}", stderr(&output));

    let mut waiter = Command::new(IPC)
        .args(["--chain", "regtest", "--datadir"])
        .arg(dir.path())
        .args(["wait-tip", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Blocks are made until the waiter has seen one, because the first may come before it waits.
    wait_until("the waiter has seen a block", || {
        let mine =
            ["rpc", "generatetoaddress", "1", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"];
        let mined = ipc(dir.path(), &mine);
        assert!(mined.status.success(), "{}", stderr(&mined));
        waiter.try_wait().unwrap().is_some()
    });
    let waited = waiter.wait_with_output().unwrap();
    assert!(waited.status.success());
    let tip: Value = serde_json::from_slice(&waited.stdout).unwrap();
    assert!(tip["height"].as_u64().unwrap() >= 1, "{tip}");

    let output = ipc(dir.path(), &["wait-tip", "--timeout", "0.01"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did not change in time"), "{}", stderr(&output));

    let socket = dir.path().join("regtest/node.sock");
    assert!(socket.exists());
    node.stop();
    assert!(!socket.exists(), "the socket is removed");
}

#[test]
fn wrong_input_gets_one_line_and_a_status() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let file = format!("unix:{}", dir.path().join("file").display());
    for (args, told) in [
        (&["--connect", "tcp:1", "tip"][..], "give unix, unix:PATH or auto"),
        (&["--connect", "unix", "tip"], "no socket at"),
        (&["--connect", "unix:/nowhere/x.sock", "tip"], "/nowhere/x.sock"),
        (&["--connect", &file, "tip"], "not a socket"),
        (&["--connect", "0", "tip"], "no connection"),
        (&["--node", "/nowhere/node", "tip"], "os error 2"),
        (&["--node", "/bin/false", "tip"], "exit status: 1"),
        (&["wait-tip"], "no node at"),
        // An empty chain is not shown in place of a certain node's.
        (&["tip"], "no node at"),
        (&["mine"], "no node at"),
        (&["--connect", "auto", "rpc", "nosuchmethod"], "Method not found"),
        (&["--connect", "auto", "rpc", "getblockhash", "7"], "out of range"),
    ] {
        let output = ipc(dir.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert_eq!(stdout(&output), "", "{args:?}");
        let errors = stderr(&output);
        // The log may say on another thread that the child has ended.
        let mut lines = errors.lines().filter(|line| line.starts_with("bitcoin-ipc: error: "));
        let line = lines.next().unwrap_or_default();
        assert!(line.contains(told) && lines.next().is_none(), "{args:?}: {errors}");
    }
    for (args, told) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["wait-tip", "--timeout", "soon"], "a number of seconds greater than 0"),
        (&["--timeout", "0", "tip"], "a number of seconds greater than 0"),
        (&["--chain", "moon", "tip"], "--chain"),
    ] {
        let output = ipc(dir.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(told), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn wrong_ipcfd_gets_one_line_and_a_status() {
    for args in [
        &["-ipcfd", "x"][..],
        &["-ipcfd", "999"],
        &["-ipcfd", "0"],
        &["-ipcfd", "3", "4"],
        &["-ipcfd"],
        &["-nonsense"],
        &[],
    ] {
        for program in [&*NODE, &*WALLET] {
            let output = Command::new(program).args(args).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{program} {args:?}");
            assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
        }
    }
}

#[test]
fn help_says_what_the_node_is_not() {
    let output = Command::new(&*NODE).arg("--help").output().unwrap();
    assert!(output.status.success());
    assert!(stdout(&output).contains("NOT a validating node"));
    let output = Command::new(IPC).arg("--help").output().unwrap();
    assert!(stdout(&output).contains("--connect"));
    let output = Command::new(IPC).args(["completions", "bash"]).output().unwrap();
    assert!(stdout(&output).contains("wait-tip"));
}
