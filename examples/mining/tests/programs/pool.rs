//! A test of somebody else's pool, as its own CI would run it: whatever program mines blocks over a node's IPC
//! socket. To test yours, have `start` start it.

use std::process::{Child, Command, Stdio};

use bitcoin_regtest::RegtestNode;

use crate::node::{node, wait_until};

/// Starts the pool, or what belongs to it, and whoever mines for it: here a program that does both.
fn start(node: &RegtestNode) -> Pool {
    let mut pool = Command::new(env!("CARGO_BIN_EXE_solo-miner"));
    // The script of an address that pays to nobody, and more blocks than any test takes.
    pool.arg(node.datadir()).args(["6a04706f6f6c", "1000000"]);
    Pool(pool.stdout(Stdio::null()).spawn().unwrap())
}

/// A program that ends with its test.
struct Pool(Child);

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the pool has found some blocks. The node has checked them.
fn wait_for_blocks(node: &RegtestNode) {
    let before = node.chain().tip().height;
    wait_until("the pool finds blocks", || node.chain().tip().height >= before + 3);
}

#[test]
fn it_finds_blocks_that_pay_its_script() {
    let node = node();
    let _pool = start(&node);
    wait_for_blocks(&node);
    // The first is the test's own.
    let block = node.chain().block_by_height(3).unwrap();
    assert_eq!(block.txdata[0].output[0].script_pubkey.to_hex_string(), "6a04706f6f6c");
}

#[test]
fn it_goes_on_when_others_are_faster() {
    let node = node();
    let _pool = start(&node);
    for _ in 0..5 {
        wait_for_blocks(&node);
        node.mine(1).unwrap();
    }
    wait_for_blocks(&node);
}

#[test]
fn it_goes_on_when_the_node_comes_back() {
    let node = node();
    let _pool = start(&node);
    for _ in 0..3 {
        wait_for_blocks(&node);
        node.go_away();
        node.mine(1).unwrap();
        node.come_back().unwrap();
    }
    wait_for_blocks(&node);
}

#[test]
fn it_waits_for_a_node_that_comes_late() {
    let node = node();
    node.go_away();
    let _pool = start(&node);
    node.come_back().unwrap();
    wait_for_blocks(&node);
}
