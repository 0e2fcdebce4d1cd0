//! A `kill -9` of any process at any moment: the others are well, and nothing is left behind.

use std::io::{BufRead, BufReader};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::running::{Running, node, socket_in, status_of};
use crate::wait_until;

/// The moments at which a demonstration is killed, from its node's start to after its end.
fn moments() -> impl Iterator<Item = Duration> {
    (0..20).map(|number| Duration::from_millis(2 * number))
}

#[test]
fn the_demonstration_or_its_node_is_killed() {
    let dir = TempDir::new().unwrap();
    let mut killed_nodes = 0;
    for (moment, kill_node) in moments().flat_map(|moment| [(moment, true), (moment, false)]) {
        let mut demo = Running::ipc(dir.path(), &["demo"]);
        let mut errors = BufReader::new(demo.0.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        let node: u32 = line.trim().rsplit(' ').next().unwrap().parse().expect("a process id");
        demo.0.stderr = Some(errors.into_inner());
        thread::sleep(moment);
        if kill_node {
            // Its parent may have reaped it: then there is nothing to kill.
            let pid = Pid::from_raw(node.try_into().unwrap()).unwrap();
            let _ = kill_process(pid, Signal::KILL);
            let (status, errors) = demo.end();
            if !status.success() {
                killed_nodes += 1;
                assert_eq!(status.code(), Some(1), "{errors}");
                assert_eq!(errors.matches("bitcoin-ipc: error: ").count(), 1, "{errors}");
            }
        } else {
            demo.signal(Signal::KILL);
            demo.end();
        }
        // Who reaps an orphan is the system's business.
        wait_until("the node is gone", || {
            status_of(node, "State").is_none_or(|state| state.starts_with('Z'))
        });
    }
    assert!(killed_nodes > 0, "no demonstration lost its node");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_node_outlives_its_clients_and_another_takes_its_place() {
    let dir = TempDir::new().unwrap();
    let path = socket_in(dir.path());
    let (_, first) = node(dir.path(), "node.sock");
    for moment in moments() {
        let demo = Running::ipc(dir.path(), &["demo", "--connect", "unix"]);
        thread::sleep(moment);
        demo.signal(Signal::KILL);
        demo.end();
        let (status, errors) = Running::ipc(dir.path(), &["tip", "--connect", "unix"]).end();
        assert!(status.success(), "{errors}");
    }
    let waits = Running::ipc(dir.path(), &["wait-tip", "--connect", "unix"]);
    waits.handles_interrupts();
    first.signal(Signal::KILL);
    first.end();
    let (status, errors) = waits.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    // The socket that it left is replaced.
    assert!(path.exists());
    let (_, second) = node(dir.path(), "node.sock");
    let (status, errors) = Running::ipc(dir.path(), &["tip", "--connect", "unix"]).end();
    assert!(status.success(), "{errors}");
    second.signal(Signal::TERM);
    let (status, errors) = second.end();
    assert!(status.success(), "{errors}");
    let left = std::fs::read_dir(dir.path().join("regtest")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}
