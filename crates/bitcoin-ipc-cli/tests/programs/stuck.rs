//! Programs whose other side is stuck: they give up in time, Ctrl-C ends them at once, they leave no child
//! behind, and SIGUSR1 has them say what they wait for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::running::{Running, node, socket_in, status_of};
use crate::{process_exists, wait_until};

/// A server whose queue is full and that takes nobody out of it, and who fills it.
fn full_backlog(path: &Path) -> Vec<OwnedFd> {
    let socket = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let address = SocketAddrUnix::new(path).unwrap();
    let mut sockets = vec![socket()];
    rustix::net::bind(&sockets[0], &address).unwrap();
    rustix::net::listen(&sockets[0], 0).unwrap();
    for _ in 0..100 {
        sockets.push(socket());
        if rustix::net::connect(sockets.last().unwrap(), &address).is_err() {
            return sockets;
        }
    }
    panic!("the queue is never full");
}

/// Between the client and a real node: lets the node's first messages through, which are those of the
/// handshake, and then nothing more.
struct StopsAfterHandshake {
    _node: Running,
    /// So many messages have come from the node, and the next would not be passed on.
    stopped: Arc<AtomicBool>,
}

/// The answer to the first question, and that of `construct`.
const HANDSHAKE: usize = 2;

impl StopsAfterHandshake {
    fn start(datadir: &Path) -> StopsAfterHandshake {
        let path = socket_in(datadir);
        let (real, _node) = node(datadir, "real.sock");
        let listener = UnixListener::bind(path).unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stopped);
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = UnixStream::connect(real).unwrap();
            let (mut from_client, mut to_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            let requests = thread::spawn(move || {
                let _ = std::io::copy(&mut from_client, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Both);
            });
            let (mut from_server, mut to_client) = (server, client);
            for _ in 0..HANDSHAKE {
                let Some(message) = read_message(&mut from_server) else { return };
                to_client.write_all(&message).unwrap();
            }
            stops.store(true, Ordering::Release);
            // Both sockets stay open until the client goes.
            let _ = requests.join();
        });
        StopsAfterHandshake { _node, stopped }
    }
}

/// One message of Cap'n Proto, as it is on the wire.
fn read_message(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut message = vec![0; 4];
    from.read_exact(&mut message).ok()?;
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap()) as usize;
    let segments = word(&message) + 1;
    // The sizes, padded to whole words with the number before them.
    let mut sizes = vec![0; (segments / 2 * 2 + 1) * 4];
    from.read_exact(&mut sizes).ok()?;
    let words: usize = sizes.chunks(4).take(segments).map(word).sum();
    let mut content = vec![0; words * 8];
    from.read_exact(&mut content).ok()?;
    message.extend(sizes);
    message.extend(content);
    Some(message)
}

/// A program that runs these lines of shell.
fn script(dir: &Path, lines: &str) -> String {
    let path = dir.join("script");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn a_server_that_does_not_accept() {
    let dir = TempDir::new().unwrap();
    let _full = full_backlog(&socket_in(dir.path()));
    Running::ipc(dir.path(), &["--timeout", "0.5", "tip"]).gives_up("does not accept");
    Running::ipc(dir.path(), &["--connect", "unix", "wait-tip"]).ends_on_interrupt();
}

#[test]
fn a_server_that_stops_after_the_handshake() {
    for args in [&["tip"][..], &["echo", "x"], &["template"], &["rpc", "getblockcount"]] {
        let dir = TempDir::new().unwrap();
        let stops = StopsAfterHandshake::start(dir.path());
        let ipc = Running::ipc(dir.path(), &[&["--timeout", "1"], args].concat());
        wait_until("the handshake is over", || stops.stopped.load(Ordering::Acquire));
        let error = ipc.gives_up("no answer within 1s");
        // Whether it is the first call that stays without an answer, or the last message of the handshake.
        let peer = format!("[{}]", std::process::id());
        assert!(error.contains(&peer) && error.contains("allow more with --timeout"), "{error}");
    }
    for args in [&["tip"][..], &["wait-tip"], &["demo"]] {
        let dir = TempDir::new().unwrap();
        let stops = StopsAfterHandshake::start(dir.path());
        let ipc = Running::ipc(dir.path(), args);
        wait_until("the handshake is over", || stops.stopped.load(Ordering::Acquire));
        ipc.ends_on_interrupt();
    }
}

/// It can end once it goes on, which it does when its parent has ended.
#[test]
fn a_child_that_stops_itself() {
    let dir = TempDir::new().unwrap();
    let pid = dir.path().join("pid");
    let stops = script(dir.path(), &format!("echo $$ > {}; kill -STOP $$", pid.display()));
    let child = || std::fs::read_to_string(&pid).ok()?.trim().parse::<u32>().ok();

    Running::ipc(dir.path(), &["--timeout", "1", "--node", &stops, "tip"])
        .gives_up("no answer within 1s");
    assert!(!process_exists(child().unwrap()), "it is reaped");

    std::fs::remove_file(&pid).unwrap();
    let ipc = Running::ipc(dir.path(), &["--node", &stops, "tip"]);
    let stopped = |pid| status_of(pid, "State").is_some_and(|state| state.starts_with('T'));
    wait_until("the child is stopped", || child().is_some_and(stopped));
    ipc.ends_on_interrupt();
    wait_until("the child is gone", || !process_exists(child().unwrap()));
}

/// The node that the command line starts itself ends with it even if it is stopped and the command line
/// killed.
#[test]
fn the_own_node_does_not_outlive_the_program() {
    let dir = TempDir::new().unwrap();
    // The commands are quick: until one is stopped in time.
    for _ in 0..200 {
        let mut ipc = Running::ipc(dir.path(), &["demo"]);
        let mut line = String::new();
        BufReader::new(ipc.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let pid: u32 = line.trim().rsplit(' ').next().unwrap().parse().expect("a process id");
        let raw = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        // It is not reaped before its parent has ended, which is stopped first: so the number is its own.
        ipc.signal(Signal::STOP);
        wait_until("the program is stopped", || {
            ipc.status("State").is_none_or(|state| state.starts_with(['T', 'Z']))
        });
        let _ = kill_process(raw, Signal::STOP);
        let state = status_of(pid, "State").unwrap_or_default();
        if !state.starts_with('T') {
            continue;
        }
        ipc.signal(Signal::KILL);
        wait_until("the node is gone", || !process_exists(pid));
        return;
    }
    panic!("no node was ever stopped");
}

/// Has the program dump what it does until a line of that begins and goes on so.
fn dumped(program: &mut Running, begins: &str, goes_on: &str) {
    let mut errors = BufReader::new(program.0.stderr.take().unwrap());
    let (lines, written) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        while errors.read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = lines.send(std::mem::take(&mut line));
        }
    });
    wait_until(&format!("{begins}… {goes_on}"), || {
        // The call may not have arrived yet, or no thread have taken it.
        program.signal(Signal::USR1);
        let line = written.recv_timeout(Duration::from_millis(20)).ok();
        let mut lines = line.into_iter().chain(written.try_iter());
        lines.any(|line| line.starts_with(begins) && line.contains(goes_on))
    });
}

#[test]
fn sigusr1_prints_the_call_that_waits() {
    let dir = TempDir::new().unwrap();
    socket_in(dir.path());
    let (path, mut node) = node(dir.path(), "node.sock");
    assert!(path.exists());
    let mut ipc = Running::ipc(dir.path(), &["wait-tip"]);
    wait_until("it handles SIGUSR1", || ipc.handles(Signal::USR1));
    dumped(&mut node, "  serves Mining.waitTipChanged for ", " s: runs (thread ");
    dumped(
        &mut ipc,
        "  calls Mining.waitTipChanged for ",
        " s: a thread waits for the answer (thread \"main-",
    );
}
