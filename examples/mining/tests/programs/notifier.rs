//! `tip-notifier`.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use bitcoin_regtest::RegtestNode;

use crate::node::{node, wait_until};

struct Notifier {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Notifier {
    fn start(node: &RegtestNode) -> Notifier {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tip-notifier"));
        command.arg(node.datadir()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Notifier { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it prints a line").unwrap()
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_tells_each_tip_and_each_loss_and_ends_in_order() {
    let node = node();
    node.go_away();
    // It waits for the node.
    let mut notifier = Notifier::start(&node);
    node.come_back().unwrap();
    let told = |tip: bitcoin_regtest::Tip| format!("block {} {}", tip.height, tip.hash);
    assert_eq!(notifier.line(), told(node.chain().tip()));
    for _ in 0..2 {
        node.mine(1).unwrap();
        assert_eq!(notifier.line(), told(node.chain().tip()));
        node.go_away();
        assert!(notifier.line().starts_with("lost the node: disconnected: "));
        node.mine(1).unwrap();
        node.come_back().unwrap();
        assert_eq!(notifier.line(), told(node.chain().tip()));
    }
    wait_until("it waits in the node", || node.chain().waiters() == 1);
    drop(notifier.child.stdin.take());
    assert_eq!(notifier.line(), "ended in order: true");
    assert!(notifier.child.wait().unwrap().success());
    wait_until("its wait has ended", || node.chain().waiters() == 0);
}
