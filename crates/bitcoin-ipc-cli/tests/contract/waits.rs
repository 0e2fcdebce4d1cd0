//! Waits: how they begin, and all the ways in which they end.

use std::time::{Duration, Instant};

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash};
use bitcoin_ipc::Error;
use bitcoin_ipc::codec::FOREVER;
use bitcoin_ipc::mining::{BlockCreateOptions, BlockWaitOptions};

use crate::Test;
use crate::nodes::{LONG, Node};

pub(crate) const TESTS: &[Test] = &[
    ("a_fresh_chain_catches_up", a_fresh_chain_catches_up),
    ("waits_for_a_tip", waits_for_a_tip),
    ("interrupts_of_mining", interrupts_of_mining),
    ("interrupts_of_templates", interrupts_of_templates),
    ("the_next_template_on_a_new_tip", the_next_template_on_a_new_tip),
    ("the_next_template_on_an_old_tip", the_next_template_on_an_old_tip),
    ("the_next_template_with_more_fees", the_next_template_with_more_fees),
];

const MOMENT: Duration = Duration::from_millis(200);

/// With `cooldown` there is no template before the first block of today.
fn a_fresh_chain_catches_up(node: &Node) {
    let mining = &node.mining;
    let template = |cooldown| mining.create_new_block(BlockCreateOptions::default(), cooldown);
    assert!(mining.is_test_chain().wait().unwrap());
    assert!(mining.is_initial_block_download().wait().unwrap());
    assert!(template(false).wait().unwrap().is_some());
    let late = template(true).timeout(MOMENT).wait();
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    // Each of these is another client's: Core answers an interrupt once.
    let other = node.init.make_mining().wait().unwrap().unwrap();
    let waits = other.create_new_block(BlockCreateOptions::default(), true).timeout(LONG).start();
    node.mine(1);
    let made = waits.wait().unwrap().unwrap();
    let header = made.get_block_header().wait().unwrap();
    assert_eq!(header.prev_blockhash, mining.get_tip().wait().unwrap().unwrap().hash);
    assert!(!mining.is_initial_block_download().wait().unwrap());
}

fn waits_for_a_tip(node: &Node) {
    let mining = &node.mining;
    let tip = mining.get_tip().wait().unwrap().unwrap();
    let unchanged = mining.wait_tip_changed(tip.hash, MOMENT).wait().unwrap();
    assert_eq!(unchanged, Some(tip), "the time is over");
    let other = mining.wait_tip_changed(BlockHash::from_byte_array([1; 32]), FOREVER);
    assert_eq!(other.timeout(LONG).wait().unwrap(), Some(tip), "it is another one already");
    let waits = mining.wait_tip_changed(tip.hash, FOREVER).timeout(LONG).start();
    let hash = node.mine(1)[0];
    let new = waits.wait().unwrap().unwrap();
    assert_eq!((new.hash, new.height), (hash, 1));
}

/// An interrupt without a wait ends the next one, and only that.
fn interrupts_of_mining(node: &Node) {
    let mining = &node.mining;
    let tip = mining.get_tip().wait().unwrap().unwrap();
    mining.interrupt().wait().unwrap();
    let ended = mining.wait_tip_changed(tip.hash, FOREVER).timeout(LONG).wait().unwrap();
    assert_eq!(ended, None);
    assert_eq!(mining.wait_tip_changed(tip.hash, MOMENT).wait().unwrap(), Some(tip));
    mining.interrupt().wait().unwrap();
    let none = mining.create_new_block(BlockCreateOptions::default(), true);
    assert!(none.timeout(LONG).wait().unwrap().is_none());
    let other = node.init.make_mining().wait().unwrap().unwrap();
    mining.interrupt().wait().unwrap();
    assert_eq!(other.wait_tip_changed(tip.hash, MOMENT).wait().unwrap(), Some(tip));
}

fn interrupts_of_templates(node: &Node) {
    node.mine(1);
    let template = node.template();
    let waits = || template.wait_next(BlockWaitOptions::default().timeout(LONG)).timeout(LONG);
    template.interrupt_wait().wait().unwrap();
    let start = Instant::now();
    assert!(waits().wait().unwrap().is_none());
    assert!(start.elapsed() < LONG / 2, "it did not wait for its time");
    let short = BlockWaitOptions::default().timeout(MOMENT);
    assert!(template.wait_next(short).wait().unwrap().is_none(), "the time is over");
}

fn the_next_template_on_a_new_tip(node: &Node) {
    node.mine(1);
    let template = node.template();
    let waits = template.wait_next(BlockWaitOptions::default()).timeout(LONG).start();
    let hash = node.mine(1)[0];
    let next = waits.wait().unwrap().unwrap();
    assert_eq!(next.get_block_header().wait().unwrap().prev_blockhash, hash);
    // At once, where it is so already.
    let next = template.wait_next(BlockWaitOptions::default()).timeout(LONG).wait().unwrap();
    assert_eq!(next.unwrap().get_block_header().wait().unwrap().prev_blockhash, hash);
}

/// On a test network a block after 20 minutes may have the least difficulty: there is always a new template.
fn the_next_template_on_an_old_tip(node: &Node) {
    let template = node.template();
    let next = template.wait_next(BlockWaitOptions::default()).timeout(LONG).wait().unwrap();
    let next = next.expect("the genesis block is old");
    assert_eq!(
        next.get_block_header().wait().unwrap().prev_blockhash,
        template.get_block_header().wait().unwrap().prev_blockhash
    );
    let short = BlockWaitOptions::default().timeout(MOMENT);
    assert!(template.wait_next(short).wait().unwrap().is_some(), "also when the time is over");
}

fn the_next_template_with_more_fees(node: &Node) {
    node.mine(102);
    let template = node.template();
    let fee = Amount::from_sat(10_000);
    let with = |threshold| BlockWaitOptions::default().timeout(MOMENT).fee_threshold(threshold);
    let waits = |threshold| template.wait_next(with(threshold)).timeout(LONG).wait().unwrap();
    assert!(waits(fee).is_none(), "there are no fees");
    assert!(waits(Amount::ZERO).is_some(), "none is no less than none");
    node.spend(1, fee);
    assert!(waits(fee + Amount::ONE_SAT).is_none());
    let next = waits(fee).expect("enough in fees");
    assert_eq!(next.get_tx_fees().wait().unwrap(), [fee]);
    // Without a threshold only another tip counts.
    let plain = BlockWaitOptions::default().timeout(MOMENT);
    assert!(template.wait_next(plain).timeout(LONG).wait().unwrap().is_none());
    // The next one's fees are counted from its own.
    assert!(next.wait_next(with(fee)).timeout(LONG).wait().unwrap().is_none());
    node.spend(2, fee);
    assert!(next.wait_next(with(fee)).timeout(LONG).wait().unwrap().is_some());
}
