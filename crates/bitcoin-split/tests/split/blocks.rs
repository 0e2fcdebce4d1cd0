//! Blocks that are looked up.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use bitcoin_ipc_draft::Locator;
use bitcoin_ipc_draft::chain::{FoundBlockParam, FoundBlockResult};
use bitcoin_ipc_draft::values::FilterType;

use crate::support::{Served, serve};

/// The hash and the height are asked for.
fn where_it_is() -> FoundBlockParam {
    FoundBlockParam::default().want_hash(true).want_height(true)
}

fn found(served: &Served, height: u32) -> FoundBlockResult {
    let hash = Some(served.hash(height));
    FoundBlockResult::default().found(true).hash(hash).height(height as i32)
}

/// A node with 20 blocks and, of another branch, one at height 19 that has left the chain.
fn forked() -> (Served, BlockHash) {
    let served = serve();
    served.mine(19);
    let left = served.hash(19);
    served.node.chain().invalidate_block(&left);
    served.mine(2);
    (served, left)
}

#[test]
fn each_thing_is_told_that_is_asked_of_a_block() {
    let served = serve();
    let chain = served.node.chain();
    // Times that fall: the latest one before is another than its own, and the median again another.
    let start = chain.time();
    for time in [10, 20, 30, 100, 80] {
        chain.set_time(Some(start + time));
        served.mine(1);
    }
    let block = chain.block_by_height(5).unwrap();
    served.mine(1);
    let ask = |asked: FoundBlockParam| {
        let found = served.chain.find_block(served.hash(5), asked).wait().unwrap();
        assert!(found.result && found.block.found);
        found.block
    };
    let base = || FoundBlockResult::default().found(true);
    let asked = FoundBlockParam::default;
    assert_eq!(ask(asked()), base());
    assert_eq!(ask(asked().want_hash(true)), base().hash(Some(served.hash(5))));
    assert_eq!(ask(asked().want_height(true)), base().height(5));
    let (time, latest) = (start as i64 + 80, start as i64 + 100);
    assert_eq!(i64::from(block.header.time), time);
    assert_eq!(ask(asked().want_time(true)), base().time(time));
    assert_eq!(ask(asked().want_max_time(true)), base().max_time(latest));
    let median = i64::from(chain.median_time_past(5).unwrap());
    assert!(median != time && median != latest);
    assert_eq!(ask(asked().want_mtp_time(true)), base().mtp_time(median));
    assert_eq!(ask(asked().want_in_active_chain(true)), base().in_active_chain(true));
    let locator = Locator::new((0..=5).rev().map(|height| served.hash(height)));
    assert_eq!(ask(asked().want_locator(true)), base().locator(Some(locator)));
    assert_eq!(ask(asked().want_data(true)), base().data(Some((*block).clone())));
    let next = ask(asked().next_block(Box::new(where_it_is())));
    assert_eq!(next, base().next_block(Box::new(found(&served, 6))));
    // The one after the next, and after the tip.
    let three = asked().next_block(Box::new(where_it_is().next_block(Box::new(where_it_is()))));
    let none = Box::new(FoundBlockResult::default());
    let after = found(&served, 6).next_block(none);
    assert_eq!(ask(three), base().next_block(Box::new(after)));

    let unknown = served.chain.find_block(BlockHash::all_zeros(), where_it_is()).wait().unwrap();
    assert_eq!((unknown.result, unknown.block), (false, FoundBlockResult::default()));
}

#[test]
fn a_block_of_another_branch_is_found_too() {
    let (served, left) = forked();
    let asked = where_it_is().want_in_active_chain(true).next_block(Box::new(where_it_is()));
    let found = served.chain.find_block(left, asked.want_locator(true)).wait().unwrap();
    assert!(found.result && !found.block.in_active_chain);
    assert_eq!((found.block.hash, found.block.height), (Some(left), 19));
    assert!(!found.block.next_block.unwrap().found, "it has none in the chain");
    let locator = found.block.locator.unwrap();
    assert_eq!((locator.hashes()[0], locator.hashes()[1]), (left, served.hash(18)));
}

#[test]
fn a_locator_has_the_heights_of_bitcoin_core() {
    let served = serve();
    served.mine(30);
    let asked = FoundBlockParam::default().want_locator(true);
    let locator = served.chain.find_block(served.hash(30), asked).wait().unwrap().block.locator;
    let heights: Vec<u32> = (20..=30).rev().chain([19, 17, 13, 5, 0]).collect();
    let hashes: Vec<_> = heights.iter().map(|height| served.hash(*height)).collect();
    assert_eq!(locator.unwrap().hashes(), hashes);
}

#[test]
fn the_fork_of_a_locator_is_its_last_block_in_the_chain() {
    let (served, left) = forked();
    let fork = |hashes: &[BlockHash]| {
        served.chain.find_locator_fork(Locator::new(hashes.iter().copied())).wait().unwrap()
    };
    let unknown = BlockHash::all_zeros();
    assert_eq!(fork(&[served.hash(7), served.hash(6)]), Some(7));
    assert_eq!(fork(&[unknown, left, served.hash(18), served.hash(1)]), Some(18));
    assert_eq!(fork(&[unknown]), Some(0));
    assert_eq!(fork(&[]), Some(0));
    // One that builds on the tip and is not in the chain.
    let tip = served.hash(20);
    served.node.chain().invalidate_block(&tip);
    assert_eq!(fork(&[tip]), Some(19));
}

#[test]
fn the_first_block_since_a_time_and_a_height_is_found() {
    let served = serve();
    let chain = served.node.chain();
    let start = chain.time();
    for time in [10, 20, 15, 30, 40] {
        chain.set_time(Some(start + time));
        served.mine(1);
    }
    let first = |time: i64, height: i32| {
        let time = start as i64 + time;
        let asked = where_it_is();
        let found =
            served.chain.find_first_block_with_time_and_height(time, height, asked).wait().unwrap();
        found.result.then_some(found.block.height)
    };
    assert_eq!(first(i64::MIN / 2, -5), Some(0));
    assert_eq!(first(10, 0), Some(1));
    assert_eq!(first(11, 0), Some(2));
    assert_eq!(first(20, 3), Some(3), "its own time is earlier, the latest before it is not");
    assert_eq!(first(21, 0), Some(4));
    assert_eq!(first(0, 5), Some(5));
    assert_eq!((first(41, 0), first(0, 6)), (None, None));
}

#[test]
fn ancestors_are_found_by_height_and_by_hash() {
    let (served, left) = forked();
    let unknown = BlockHash::all_zeros();
    let by_height = |hash, height| {
        let asked = where_it_is();
        let found = served.chain.find_ancestor_by_height(hash, height, asked).wait().unwrap();
        assert_eq!(found.result, found.ancestor.found);
        found.ancestor.hash
    };
    assert_eq!(by_height(served.hash(20), 3), Some(served.hash(3)));
    assert_eq!(by_height(served.hash(20), 20), Some(served.hash(20)));
    assert_eq!(by_height(left, 19), Some(left));
    assert_eq!(by_height(left, 18), Some(served.hash(18)));
    assert_eq!(
        (by_height(left, 20), by_height(left, -1), by_height(unknown, 0)),
        (None, None, None)
    );

    let by_hash = |hash, ancestor| {
        let asked = where_it_is();
        let found = served.chain.find_ancestor_by_hash(hash, ancestor, asked).wait().unwrap();
        assert_eq!(found.result, found.ancestor.found);
        found.ancestor.height
    };
    assert_eq!(by_hash(left, served.hash(18)), 18);
    assert_eq!(by_hash(left, left), 19);
    for (hash, ancestor) in [
        (left, served.hash(19)),
        (served.hash(20), left),
        (unknown, served.hash(3)),
        (left, unknown),
    ] {
        assert_eq!(by_hash(hash, ancestor), 0);
    }

    let common = |first, second| {
        let [one, two, three] = [where_it_is(), where_it_is(), where_it_is()];
        served.chain.find_common_ancestor(first, second, one, two, three).wait().unwrap()
    };
    let both = common(left, served.hash(20));
    assert!(both.result);
    assert_eq!(both.ancestor, found(&served, 18));
    assert_eq!((both.block1.hash, both.block2), (Some(left), found(&served, 20)));
    assert_eq!(common(served.hash(4), served.hash(9)).ancestor, found(&served, 4));
    let one = common(left, unknown);
    assert_eq!(
        (one.result, one.ancestor.found, one.block1.found, one.block2.found),
        (false, false, true, false)
    );
}

#[test]
fn what_the_chain_is() {
    let (served, left) = forked();
    let chain = &served.chain;
    assert_eq!(chain.get_height().wait().unwrap(), Some(20));
    assert_eq!(chain.get_block_hash(20).wait().unwrap(), served.hash(20));
    for height in [21, -1] {
        let error = chain.get_block_hash(height).wait().unwrap_err().to_string();
        assert!(error.contains(&format!("the chain has no block at height {height}")), "{error}");
        assert!(!chain.have_block_on_disk(height).wait().unwrap());
    }
    assert!(chain.have_block_on_disk(20).wait().unwrap());
    let progress = |hash| chain.guess_verification_progress(hash).wait().unwrap();
    // 11 of 21 transactions, of which each block has one.
    assert!((progress(served.hash(10)) - 11.0 / 21.0).abs() < 1e-9);
    assert_eq!((progress(served.hash(20)), progress(BlockHash::all_zeros())), (1.0, 0.0));
    assert!(chain.has_blocks(left, 0, Some(19)).wait().unwrap());
    assert!(!chain.has_blocks(BlockHash::all_zeros(), 0, None).wait().unwrap());
    assert!(!chain.has_block_filter_index(FilterType::Basic).wait().unwrap());
    let filter = chain.block_filter_matches_any(FilterType::Basic, left, vec![vec![1]]);
    assert_eq!(filter.wait().unwrap(), None);
    assert!(!chain.have_pruned().wait().unwrap());
    assert_eq!(chain.get_prune_height().wait().unwrap(), None);
    assert!(!chain.has_assumed_valid_chain().wait().unwrap());
    assert!(chain.is_ready_to_broadcast().wait().unwrap());
    assert!(!chain.is_initial_block_download().wait().unwrap());
    assert!(!chain.shutdown_requested().wait().unwrap());
    served.node.start_shutdown();
    assert!(chain.shutdown_requested().wait().unwrap());
    let fresh = serve();
    assert!(fresh.chain.is_initial_block_download().wait().unwrap());
    assert!(!fresh.chain.is_ready_to_broadcast().wait().unwrap());
}
