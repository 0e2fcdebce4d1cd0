//! Programs that run beside the test.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::{IPC, LONG, NODE, wait_until};

/// A program that is ended with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub(crate) fn ipc(datadir: &Path, args: &[&str]) -> Running {
        let mut command = Command::new(IPC);
        command.args(["--chain", "regtest", "--datadir"]).arg(datadir).args(args);
        Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for its end: its status and what it wrote to stderr.
    pub(crate) fn end(mut self) -> (std::process::ExitStatus, String) {
        let mut status = None;
        wait_until("the program has ended", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        let mut stderr = self.0.stderr.take().unwrap();
        let (read, errors) = mpsc::channel();
        // On a thread of its own: a child that was left behind would keep it open for ever.
        thread::spawn(move || {
            let mut errors = String::new();
            let _ = read.send(stderr.read_to_string(&mut errors).map(|_| errors));
        });
        let errors = errors.recv_timeout(LONG).expect("a child still has the program's stderr");
        (status.unwrap(), errors.unwrap())
    }

    /// It gives up by itself, and says why in its last line, but for what a thread that watches a child logs at the same
    /// moment. The line is returned.
    pub(crate) fn gives_up(self, why: &str) -> String {
        let (status, errors) = self.end();
        assert_eq!(status.code(), Some(1), "{errors}");
        let logged = |line: &&str| line.contains(" WARN ") && line.contains(" ended with ");
        let last = errors.lines().rev().find(|line| !logged(line)).unwrap_or_default();
        assert!(last.starts_with("bitcoin-ipc: error: ") && last.contains(why), "{errors}");
        last.to_owned()
    }

    /// Ctrl-C ends it.
    pub(crate) fn ends_on_interrupt(self) {
        self.handles_interrupts();
        self.signal(Signal::INT);
        let (status, errors) = self.end();
        assert_eq!(status.code(), Some(130), "{errors}");
    }

    /// Waits until it does something about Ctrl-C.
    pub(crate) fn handles_interrupts(&self) {
        wait_until("it handles SIGINT", || self.handles(Signal::INT));
    }

    pub(crate) fn handles(&self, signal: Signal) -> bool {
        self.status("SigCgt").is_some_and(|set| {
            let set = u64::from_str_radix(&set, 16).unwrap();
            set >> (signal.as_raw() - 1) & 1 == 1
        })
    }

    pub(crate) fn status(&self, field: &str) -> Option<String> {
        status_of(self.0.id(), field)
    }
}

/// A field of `/proc/PID/status`.
pub(crate) fn status_of(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Where the node of a data directory listens. The directory is made.
pub(crate) fn socket_in(datadir: &Path) -> PathBuf {
    let directory = datadir.join("regtest");
    std::fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
    directory.join("node.sock")
}

/// A node that listens at `name` in the data directory of the chain, and the path.
pub(crate) fn node(datadir: &Path, name: &str) -> (PathBuf, Running) {
    let mut node = Command::new(&*NODE);
    node.arg(format!("-ipcbind=unix:{name}")).arg(format!("-datadir={}", datadir.display()));
    let mut node = Running(node.stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let mut errors = BufReader::new(node.0.stderr.take().unwrap());
    errors.read_line(&mut line).unwrap();
    assert!(line.contains(name), "{line}");
    node.0.stderr = Some(errors.into_inner());
    (datadir.join("regtest").join(name), node)
}
