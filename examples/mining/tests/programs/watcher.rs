//! `template-watcher`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use bitcoin_ipc::bitcoin::Amount;
use bitcoin_regtest::RegtestNode;

use crate::node::{LONG, node, wait_until};

struct Watcher {
    child: Child,
    lines: Receiver<String>,
}

impl Watcher {
    fn start(node: &RegtestNode) -> Watcher {
        let mut command = Command::new(env!("CARGO_BIN_EXE_template-watcher"));
        command.arg(node.datadir()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Watcher { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(LONG).expect("it prints a line")
    }

    /// It prints nothing more, and ends.
    fn ends(&mut self) -> ExitStatus {
        assert_eq!(self.lines.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
        self.child.wait().unwrap()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it prints of a template on the present tip.
fn told(node: &RegtestNode, transactions: usize, fees: u64, why: &str) -> String {
    let (tip, fees) = (node.chain().tip(), Amount::from_sat(fees));
    let height = tip.height + 1;
    format!("{height} on {}: {transactions} transactions, {fees} in fees ({why})", tip.hash)
}

#[test]
fn it_tells_each_template_and_why_it_came_over_the_end_of_the_node() {
    let node = node();
    node.mine(101).unwrap();
    node.go_away();
    // It waits for the node.
    let mut watcher = Watcher::start(&node);
    node.come_back().unwrap();
    assert_eq!(watcher.line(), told(&node, 1, 0, "the first"));
    node.pay_fee(Amount::from_sat(1_500)).unwrap();
    assert_eq!(watcher.line(), told(&node, 2, 1_500, "more in fees"));
    node.mine(1).unwrap();
    assert_eq!(watcher.line(), told(&node, 1, 0, "another tip"));
    for _ in 0..2 {
        node.go_away();
        let lost = watcher.line();
        assert!(lost.starts_with("no template: disconnected: "), "{lost}");
        node.come_back().unwrap();
        assert_eq!(watcher.line(), told(&node, 1, 0, "the first"));
    }
    wait_until("it waits in the node", || node.chain().waiters() == 1);
    // One template is kept, on which it waits.
    assert_eq!(node.live_templates(), 1);
    drop(watcher.child.stdin.take());
    assert!(watcher.ends().success());
    wait_until("nothing is left", || node.chain().waiters() == 0 && node.live_templates() == 0);
}

#[test]
fn an_old_tip_is_told() {
    let node = node();
    node.chain().set_time(Some(node.chain().time() + 3_600));
    let watcher = Watcher::start(&node);
    assert_eq!(watcher.line(), told(&node, 1, 0, "the first"));
    assert_eq!(watcher.line(), told(&node, 1, 0, "an old tip"));
}

#[test]
fn an_error_of_the_node_ends_it() {
    let node = node();
    node.faults().fail("Mining.createNewBlock", 1, "no disk");
    let mut watcher = Watcher::start(&node);
    assert!(!watcher.ends().success());
}
