//! A node to order, as its clients see it.

use std::time::Duration;

use bitcoin::Amount;
use bitcoin_ipc::Error;
use bitcoin_ipc::ipc::{Ipc, IpcOptions};
use bitcoin_ipc::mining::{BlockCreateOptions, MiningClient};
use bitcoin_regtest::RegtestNode;

const LONG: Duration = Duration::from_secs(20);

fn mining(node: &RegtestNode) -> MiningClient {
    let ipc = Ipc::new(IpcOptions::client("test").datadir(node.datadir()));
    let init = ipc.connect_address("unix").unwrap().unwrap();
    init.make_mining().wait().unwrap().unwrap()
}

#[test]
fn it_goes_away_and_comes_back_with_its_chain() {
    let node = RegtestNode::start().unwrap();
    node.mine(3).unwrap();
    let before = mining(&node);
    let tip = before.get_tip().wait().unwrap().unwrap();
    let waits = before.wait_tip_changed(tip.hash, LONG).start();
    node.go_away();
    assert!(waits.wait().unwrap_err().is_disconnect());
    assert!(!node.socket().exists());
    node.come_back().unwrap();
    assert_eq!(mining(&node).get_tip().wait().unwrap(), Some(tip));
    let dir = node.datadir().to_owned();
    drop(node);
    assert!(!dir.exists(), "nothing is left");
}

#[test]
fn templates_are_counted() {
    let node = RegtestNode::start().unwrap();
    let mining = mining(&node);
    let options = BlockCreateOptions::default;
    let held: Vec<_> = (0..3)
        .map(|_| mining.create_new_block(options(), false).wait().unwrap().unwrap())
        .collect();
    assert_eq!(node.live_templates(), 3);
    held[0].close().wait().unwrap();
    assert_eq!(node.live_templates(), 2);
    drop(held);
    // The last call of this thread comes after their ends.
    let end = std::time::Instant::now() + LONG;
    while node.live_templates() > 0 {
        assert!(std::time::Instant::now() < end, "{} are left", node.live_templates());
        mining.is_test_chain().wait().unwrap();
    }
}

#[test]
fn delays_and_errors_to_order() {
    let node = RegtestNode::start().unwrap();
    let mining = mining(&node);
    node.faults().fail("Mining.getTip", 2, "no disk");
    for _ in 0..2 {
        let failed = mining.get_tip().wait().unwrap_err();
        assert!(
            matches!(&failed, Error::Remote { message, .. } if message == "no disk"),
            "{failed}"
        );
    }
    mining.get_tip().wait().unwrap();
    node.faults().delay("Mining.getTip", LONG);
    let moment = Duration::from_millis(30);
    assert!(matches!(mining.get_tip().timeout(moment).wait(), Err(Error::Timeout(_))));
    node.faults().clear();
    assert_eq!(node.faults().calls("Mining.getTip"), 4);
}

#[test]
#[should_panic(expected = "the node has no method Mining.tip; it has Init.makeEcho")]
fn a_fault_of_a_method_that_does_not_exist_is_told() {
    RegtestNode::start().unwrap().faults().fail("Mining.tip", 1, "");
}

#[test]
fn fees_and_reorganisations_to_order() {
    let node = RegtestNode::start().unwrap();
    let fee = Amount::from_sat(700);
    let none = node.pay_fee(fee).unwrap_err();
    assert!(none.to_string().contains("mine more blocks (100 at the first time)"), "{none}");
    node.mine(101).unwrap();
    let mining = mining(&node);
    let more = Amount::from_sat(900);
    // Each spends another reward, and does not take the place of one that pays less.
    let paid = [node.pay_fee(fee).unwrap(), node.pay_fee(more).unwrap()];
    assert!(node.pay_fee(more * 2).is_err(), "two rewards are old enough");
    let found = mining.get_transactions_by_tx_id(paid.to_vec()).wait().unwrap();
    assert!(found.iter().all(Option::is_some));
    let template =
        mining.create_new_block(BlockCreateOptions::default(), false).wait().unwrap().unwrap();
    assert_eq!(template.get_tx_fees().wait().unwrap(), [more, fee]);
    assert_eq!(template.get_coinbase_merkle_path().wait().unwrap().len(), 2);

    let mined = node.mine(1).unwrap();
    let new = node.reorganize(1).unwrap();
    assert_eq!((new.len(), node.chain().tip().height), (2, 103));
    assert_eq!((node.chain().height_of(&mined[0]), node.chain().tip().hash), (None, new[1]));
    assert_eq!(node.chain().block_by_hash(&new[0]).unwrap().txdata.len(), 3);
    for blocks in [0, 104] {
        let refused = node.reorganize(blocks).unwrap_err().to_string();
        assert!(refused.contains("out of a chain of 103"), "{refused}");
    }
}
