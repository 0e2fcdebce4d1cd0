//! Blocks that are looked up.

use bitcoin::{Block, BlockHash};
use bitcoin_ipc_draft::Locator;
use bitcoin_ipc_draft::chain::{FoundBlockParam, FoundBlockResult};
use bitcoin_regtest::View;

/// A height as it is sent. Heights of such a chain are far below 2^31.
pub(super) fn number(height: u32) -> i32 {
    i32::try_from(height).unwrap_or(i32::MAX)
}

/// What is asked of a block, as Bitcoin Core's FillBlock tells it. Without a block, or with one that is not known, the
/// default, where `found` is false.
pub(super) fn fill(
    view: &View<'_>,
    hash: Option<BlockHash>,
    asked: &FoundBlockParam,
) -> FoundBlockResult {
    let Some(block) = hash.and_then(|hash| view.block(&hash)) else {
        return FoundBlockResult::default();
    };
    let in_chain = view.is_in_chain(&block.hash);
    let mut found = FoundBlockResult::default().found(true);
    if asked.want_hash {
        found.hash = Some(block.hash);
    }
    if asked.want_height {
        found.height = number(block.height);
    }
    if asked.want_time {
        found.time = i64::from(block.block.header.time);
    }
    if asked.want_max_time {
        found.max_time = i64::from(block.max_time);
    }
    if asked.want_mtp_time {
        found.mtp_time = i64::from(view.median_time_past(&block.hash));
    }
    if asked.want_in_active_chain {
        found.in_active_chain = in_chain;
    }
    if asked.want_locator {
        found.locator = Some(locator(view, &block.hash));
    }
    if let Some(asked) = &asked.next_block {
        let next = view.hash_at(block.height + 1).filter(|_| in_chain);
        found.next_block = Some(Box::new(fill(view, next, asked)));
    }
    if asked.want_data {
        found.data = Some(Block::clone(&block.block));
    }
    found
}

/// The hashes of a block and of those before it: twelve, then with gaps that double, and the genesis block's. Empty if the
/// block is not known.
pub(super) fn locator(view: &View<'_>, hash: &BlockHash) -> Locator {
    let mut hashes = Vec::new();
    let mut step = 1;
    let mut next = view.block(hash);
    while let Some(block) = next {
        hashes.push(block.hash);
        if block.height == 0 {
            break;
        }
        let ancestor = view.ancestor(&block.hash, block.height.saturating_sub(step));
        next = ancestor.and_then(|hash| view.block(&hash));
        if hashes.len() > 10 {
            step = step.saturating_mul(2);
        }
    }
    Locator::new(hashes)
}

/// The height of the last block of the chain that a locator names: the genesis block's if it names none, as in Bitcoin
/// Core.
pub(super) fn fork(view: &View<'_>, locator: &Locator) -> u32 {
    let tip = view.tip();
    for hash in locator.hashes() {
        let Some(block) = view.block(hash) else { continue };
        if view.is_in_chain(hash) {
            return block.height;
        }
        // A block that builds on the tip, such as one that was invalidated.
        if view.ancestor(hash, tip.height) == Some(tip.hash) {
            return tip.height;
        }
    }
    0
}

/// The first block of the chain from this height on whose latest time (of it and those before it) is not earlier.
pub(super) fn first_since(view: &View<'_>, min_time: i64, min_height: i32) -> Option<BlockHash> {
    let late = |height: u32| {
        let block = view.hash_at(height).and_then(|hash| view.block(&hash));
        block.is_some_and(|block| i64::from(block.max_time) >= min_time)
    };
    // The latest times never fall, so half of what is left is always out of the question.
    let (mut low, mut high) = (u32::try_from(min_height).unwrap_or(0), view.tip().height + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if late(middle) { high = middle } else { low = middle + 1 }
    }
    view.hash_at(low)
}

/// How many of the chain's transactions are in it up to this block: 0 to 1. 0 if the block is not known.
pub(super) fn progress(view: &View<'_>, hash: &BlockHash) -> f64 {
    let count = |hash: &BlockHash| view.block(hash).map_or(0, |block| block.transactions) as f64;
    (count(hash) / count(&view.tip().hash)).min(1.0)
}
