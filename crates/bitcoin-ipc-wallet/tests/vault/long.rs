//! Ten thousand blocks.

use std::fs;
use std::time::Instant;

use super::world::{COIN, World};

/// The memory of this process, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_blocks_without_anything_take_no_memory_and_few_writes() {
    let mut world = World::new();
    world.mine(9_000);
    let own = world.address().script_pubkey();
    world.mine_to(own);
    world.mine(999);
    let (start, before) = (Instant::now(), memory());
    for first in (1..=10_000).step_by(500) {
        let blocks: Vec<_> =
            (first..first + 500).map(|height| (world.block(height), height)).collect();
        let blocks = blocks.iter().map(|(block, height)| (block.as_ref(), *height));
        world.vault().connect_blocks(blocks).unwrap();
    }
    let (took, grown) = (start.elapsed(), memory().saturating_sub(before));
    println!("10,000 blocks: {took:?}, {grown} KiB more");
    assert_eq!(world.balances(), [50 * COIN, 0, 0]);
    assert!(grown < 16 * 1024, "{grown} KiB more");
    world.reopen();
    assert_eq!(world.vault().tip(), world.tip());
    assert_eq!(world.balances(), [50 * COIN, 0, 0]);
}
