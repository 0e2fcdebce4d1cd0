//! `bitcoin-ipc top`: what it shows of whom, to whom, and over the loss of a server.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Output, Stdio};

use bitcoin_regtest::RegtestNode;
use rustix::process::Signal;
use rustix::termios::LocalModes;
use serde_json::Value;
use tempfile::TempDir;

use super::relay::relay_at;
use crate::running::{Running, node, socket_in};
use crate::terminal::OnTerminal;
use crate::{IPC, wait_until};

fn top(socket: &Path, args: &[&str]) -> Command {
    let mut top = Command::new(IPC);
    top.args(["top", "--connect"]).arg(format!("unix:{}", socket.display())).args(args);
    top
}

fn once(socket: &Path) -> Value {
    let output = top(socket, &["--once", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The item of a list for which this holds.
#[track_caller]
fn item(list: &Value, holds: impl Fn(&Value) -> bool) -> &Value {
    let items = list.as_array().unwrap();
    items.iter().find(|it| holds(it)).unwrap_or_else(|| panic!("{list:#}"))
}

/// It fails, with this in its one line.
#[track_caller]
fn is_refused(output: &Output, why: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.contains(why), "{error}");
}

#[test]
fn it_shows_who_is_connected_and_what_is_called() {
    let dir = TempDir::new().unwrap();
    socket_in(dir.path());
    let (socket, server) = node(dir.path(), "seen.sock");
    let address = format!("unix:{}", socket.display());
    let waits = Running::ipc(dir.path(), &["--connect", &address, "wait-tip"]);
    let is_wait = |it: &Value| it["method"] == "Mining.waitTipChanged";
    let mut now = Value::Null;
    wait_until("the call is under way", || {
        now = once(&socket);
        now["calls"].as_array().unwrap().iter().any(is_wait)
    });
    assert_eq!((&now["pid"], &now["program"]), (&server.0.id().into(), &"bitcoin-node".into()));
    let call = item(&now["calls"], is_wait);
    assert_eq!(call["side"], "served");
    assert!(call["age"].as_f64().unwrap() >= 0.0, "{call:#}");
    let connection = item(&now["connections"], |it| it["number"] == call["connection"]);
    assert_eq!(connection["pid"], waits.0.id());
    assert_eq!(connection["uid"], rustix::process::geteuid().as_raw());
    assert_eq!(connection["serves"], 1);
    let tip = item(&now["methods"], |it| it["method"] == "Mining.getTip");
    assert_eq!(
        (&tip["side"], &tip["calls"], &tip["failed"]),
        (&"served".into(), &1.into(), &0.into())
    );
    assert!(tip["p50"].as_f64() <= tip["max"].as_f64() && tip["max"].as_f64() > Some(0.0));
    assert!(tip["result_bytes"].as_u64() > Some(32), "{tip:#}");

    // The same as a table.
    let table = top(&socket, &["--once"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    for row in ["CONNECTION  PEER", "\nMining.waitTipChanged  served", "\nMining.getTip "] {
        assert!(table.contains(row), "{table}");
    }
}

#[test]
fn a_server_that_does_not_tell_says_what_to_do() {
    let node = RegtestNode::start().unwrap();
    let output = Command::new(IPC).args(["top", "--once", "--connect", &node.address()]).output();
    let output = output.unwrap();
    is_refused(&output, "does not tell what it is doing: Bitcoin Core has no Monitor");
    is_refused(&output, "bitcoin-ipc relay --connect unix:");
}

#[test]
fn a_socket_of_the_relay_with_rules_shows_others_only_by_a_rule() {
    let (node, dir) = (RegtestNode::start().unwrap(), TempDir::new().unwrap());
    let upstream = node.address();
    let upstream = Path::new(upstream.strip_prefix("unix:").unwrap());
    for (number, (rules, shows)) in
        [("", true), (",read-only", false), (",allow=echo", false), (",read-only,monitor", true)]
            .into_iter()
            .enumerate()
    {
        let socket = dir.path().join(format!("{number}.sock"));
        let relay = relay_at(&socket, upstream, rules);
        if shows {
            assert_eq!(once(&socket)["pid"], relay.0.id());
        } else {
            let output = top(&socket, &["--once"]).output().unwrap();
            is_refused(&output, "a relay's socket with rules only with the rule monitor");
        }
    }
}

#[test]
fn it_goes_on_when_a_server_that_was_lost_is_back() {
    let dir = TempDir::new().unwrap();
    socket_in(dir.path());
    let (socket, first) = node(dir.path(), "lost.sock");
    let mut top = top(&socket, &["--json", "--interval", "0.01"]);
    let mut top = Running(top.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(top.0.stdout.take().unwrap());
    let line_of = |lines: &mut BufReader<ChildStdout>, holds: &dyn Fn(&Value) -> bool| {
        wait_until("it says so", || {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it has ended");
            holds(&serde_json::from_str(&line).unwrap())
        });
    };
    let pid = first.0.id();
    line_of(&mut lines, &|it| it["pid"] == pid);
    drop(first);
    line_of(&mut lines, &|it| it["lost"].is_string());
    let (_, second) = node(dir.path(), "lost.sock");
    let pid = second.0.id();
    line_of(&mut lines, &|it| it["pid"] == pid);
}

#[test]
fn it_takes_the_terminal_and_gives_it_back() {
    let dir = TempDir::new().unwrap();
    socket_in(dir.path());
    let (socket, mut node_process) = node(dir.path(), "screen.sock");
    for signal in [None, Some(Signal::TERM), Some(Signal::INT)] {
        let mut shown = OnTerminal::start(top(&socket, &["--interval", "0.05"]));
        shown.wait_for("bitcoin-node");
        shown.wait_for("UNSENT");
        assert!(!shown.modes().contains(LocalModes::ICANON), "keys come one by one");
        match signal {
            None => shown.terminal.write_all(b"?sq").unwrap(),
            Some(signal) => shown.program.signal(signal),
        }
        let status = shown.program.0.wait().unwrap();
        assert!(status.success(), "{signal:?}: {status}");
        let modes = shown.modes();
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "{signal:?}: {modes:?}");
        // The screen that was there before is shown again.
        shown.wait_for("\x1b[?1049l");
    }
    let shown = OnTerminal::start(top(&socket, &["--interval", "0.05"]));
    shown.wait_for("UNSENT");
    node_process.0.kill().unwrap();
    shown.wait_for("connecting");
}
