//! Programs that systemd starts: with sockets that it has made, and readiness that it is told. The test is systemd.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_regtest::RegtestNode;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::running::Running;
use crate::{IPC, LONG, NODE};

/// The service manager: where it makes its sockets, and what it is told.
struct Manager {
    dir: TempDir,
    told: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let dir = TempDir::new().unwrap();
        let told = UnixDatagram::bind(dir.path().join("notify.sock")).unwrap();
        told.set_read_timeout(Some(LONG)).unwrap();
        Manager { dir, told }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn listen(&self, name: &str) -> OwnedFd {
        UnixListener::bind(self.path(name)).unwrap().into()
    }

    /// Starts a program with two descriptors, as 3 and 4.
    fn start(&self, program: &str, args: &[&str], sockets: [OwnedFd; 2]) -> Running {
        self.start_for("$$", program, args, sockets)
    }

    /// The same for the process `pid`.
    fn start_for(&self, pid: &str, program: &str, args: &[&str], [a, b]: [OwnedFd; 2]) -> Running {
        let script = format!(
            "exec 3<&0 4<&1 0</dev/null 1>&0; LISTEN_PID={pid} LISTEN_FDS=2 LISTEN_FDNAMES=one:two exec \"$@\""
        );
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, "sh", program]).args(args);
        command.env("NOTIFY_SOCKET", self.path("notify.sock"));
        command.env_remove("BITCOIN_IPC_LOG");
        command.stdin(Stdio::from(a)).stdout(Stdio::from(b)).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    /// The next thing that it is told.
    fn next(&self) -> String {
        let mut text = [0; 64];
        let count = self.told.recv(&mut text).expect("the program tells it something");
        String::from_utf8_lossy(&text[..count]).trim_end().to_owned()
    }

    fn heard_nothing(&self) -> bool {
        self.told.set_nonblocking(true).unwrap();
        self.told.recv(&mut [0]).is_err()
    }

    fn node(&self, addresses: &[&str]) -> Vec<String> {
        let datadir = format!("-datadir={}", self.path("data").display());
        let bind = addresses.iter().map(|address| format!("-ipcbind={address}"));
        [datadir].into_iter().chain(bind).collect()
    }
}

fn connect(path: &Path) -> InitClient {
    let ipc = Ipc::new(IpcOptions::client("client").connect_timeout(LONG));
    ipc.connect_address(&format!("unix:{}", path.display())).unwrap().unwrap()
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn a_node_serves_at_the_sockets_that_it_is_given() {
    let manager = Manager::new();
    let sockets = [manager.listen("a.sock"), manager.listen("b.sock")];
    // Who connects before it runs waits in the socket's queue.
    let early = connect(&manager.path("a.sock"));
    let echo = early.make_echo().start();
    let node =
        manager.start(&NODE, &strs(&manager.node(&["fd:two", "unix:own.sock", "fd:0"])), sockets);
    assert_eq!(manager.next(), "READY=1");
    let own = manager.path("data/regtest/own.sock");
    let echo = echo.wait().unwrap().unwrap();
    assert_eq!(echo.echo("x").wait().unwrap(), "x");
    for path in [&manager.path("b.sock"), &own] {
        let echo = connect(path).make_echo().wait().unwrap().unwrap();
        assert_eq!(echo.echo("y").wait().unwrap(), "y");
    }
    node.signal(Signal::TERM);
    assert_eq!(manager.next(), "STOPPING=1");
    let (status, errors) = node.end();
    assert!(status.success(), "{errors}");
    // What systemd made is its own.
    assert!(manager.path("a.sock").exists() && manager.path("b.sock").exists());
    assert!(!own.exists());
}

#[test]
fn a_relay_has_rules_for_each_socket_that_it_is_given() {
    let (node, manager) = (RegtestNode::start().unwrap(), Manager::new());
    let sockets = [manager.listen("a.sock"), manager.listen("b.sock")];
    let address = node.address();
    let args =
        ["--connect", &address, "relay", "--listen", "fd:two", "--listen", "fd:one,allow=echo"];
    let relay = manager.start(IPC, &args, sockets);
    assert_eq!(manager.next(), "READY=1");
    let tip = |socket: &str| {
        let mining = connect(&manager.path(socket)).make_mining().wait().unwrap().unwrap();
        mining.get_tip().wait()
    };
    crate::wait_until("it has a node", || tip("b.sock").is_ok());
    let error = tip("a.sock").unwrap_err().to_string();
    let path = manager.path("a.sock");
    assert!(error.contains(&format!("getTip is not allowed at {}", path.display())), "{error}");
    relay.signal(Signal::TERM);
    assert_eq!(manager.next(), "STOPPING=1");
    let (status, errors) = relay.end();
    assert!(status.success(), "{errors}");
    assert!(path.exists());
}

/// It ends with one line that says `why`, and does not say that it is ready.
#[track_caller]
fn gives_up(manager: &Manager, program: Running, why: &str) {
    let (status, errors) = program.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    let last = errors.lines().last().unwrap_or_default();
    assert!(last.contains(": error: ") && last.contains(why), "{errors}");
    assert!(manager.heard_nothing());
}

#[test]
fn what_is_wrong_with_the_sockets_is_told() {
    let manager = Manager::new();
    let two = |name: &str| {
        let other = format!("{name}.two");
        [manager.listen(name), manager.listen(&other)]
    };
    let start = |addresses: &[&str], sockets| {
        manager.start(&NODE, &strs(&manager.node(addresses)), sockets)
    };
    let unused = "a socket was passed to this process that it does not serve: serve it at the address fd:two";
    gives_up(&manager, start(&["fd:one"], two("a")), unused);
    gives_up(&manager, start(&["fd:one", "fd:0"], two("b")), "fd:0 is given twice");
    let unknown = "fd:three is no socket that was passed to this process (there are: 0 one, 1 two)";
    gives_up(&manager, start(&["fd:three"], two("c")), unknown);
    gives_up(&manager, start(&["fd:2"], two("d")), "fd:2 is no socket");
    let (connected, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let sockets = [connected.into(), manager.listen("e")];
    gives_up(&manager, start(&["fd:0", "fd:1"], sockets), "descriptor 3 does not listen");
    // They are for another process, such as the one that has started this one.
    let args = manager.node(&["fd:0"]);
    let other = manager.start_for("1", &NODE, &strs(&args), two("f"));
    gives_up(&manager, other, "(none was: start this by systemd with a .socket file)");
    // The same for the relay.
    let args = ["--connect", "unix:/nowhere", "relay", "--listen", "fd:one"];
    gives_up(&manager, manager.start(IPC, &args, two("g")), unused);
}
