//! The way from a wallet's own tip to the chain's, by asking the node for blocks.

use bitcoin_ipc::bitcoin::Block;
use bitcoin_ipc_draft::chain::FoundBlockParam;

use super::ANSWER;
use super::thread::{Thread, Trouble};
use crate::vault::BlockId;

/// Blocks that are asked for at once, at most: each is one struct deeper in the message.
const MOST_BLOCKS: usize = 15;
/// About how many bytes of blocks one answer shall have.
const BATCH_BYTES: usize = 8 << 20;
/// From how many blocks on it takes long: then its progress is shown, and it can be ended early.
const LONG: u32 = 144;

/// What is asked of a block: whether it is in the active chain, and the `count` blocks after it, whole. They are
/// of one moment, however the chain changes.
fn with_blocks_after(count: usize) -> FoundBlockParam {
    let mut next = None;
    for _ in 0..count {
        let block = FoundBlockParam::default().want_height(true).want_data(true);
        next = Some(Box::new(block.next_block(next)));
    }
    FoundBlockParam::default().want_in_active_chain(true).next_block(next)
}

/// How far a look at the chain is, for those who are shown it.
struct Progress {
    from: u32,
    to: u32,
    shown: Option<i32>,
}

impl Thread {
    /// Follows the chain from the wallet's tip to the chain's. `rescan`: somebody has asked for that, and it counts as
    /// one that takes long in any case.
    pub(super) fn catch_up(&self, rescan: bool) -> Result<(), Trouble> {
        let mut progress = None;
        let done = self.follow_blocks(rescan, &mut progress);
        if let Some(progress) = progress {
            self.show(&progress, 100);
        }
        done
    }

    fn follow_blocks(&self, rescan: bool, progress: &mut Option<Progress>) -> Result<(), Trouble> {
        let mut count = MOST_BLOCKS;
        loop {
            if self.queue.is_stopped() {
                return Err(Trouble::End);
            }
            let tip = self.vault.get()?.tip();
            if progress.is_none() {
                *progress = self.begin(tip.height, rescan)?;
            }
            let found =
                self.chain.find_block(tip.hash, with_blocks_after(count)).timeout(ANSWER).wait()?;
            if !found.result || !found.block.in_active_chain {
                self.step_back()?;
                continue;
            }
            let mut blocks: Vec<(Block, u32)> = Vec::new();
            let mut next = found.block.next_block;
            while let Some(block) = next.filter(|block| block.found) {
                let height = u32::try_from(block.height).unwrap_or_default();
                let data = block.data.ok_or_else(|| {
                    Trouble::Again(format!(
                        "the node cannot read block {height}, which the wallet needs: it may be pruned"
                    ))
                })?;
                blocks.push((data, height));
                next = block.next_block;
            }
            let Some((_, height)) = blocks.last() else { return Ok(()) };
            let height = *height;
            let bytes: usize = blocks.iter().map(|(block, _)| block.total_size()).sum();
            count = (BATCH_BYTES * blocks.len() / bytes.max(1)).clamp(1, MOST_BLOCKS);
            let vault = self.vault.get()?;
            vault.connect_blocks(blocks.iter().map(|(block, height)| (block, *height)))?;
            if vault.tip() == tip {
                return Err(Trouble::Again(
                    "the node gives blocks that the wallet has already: use a node that you trust"
                        .to_owned(),
                ));
            }
            drop(vault);
            if let Some(progress) = progress {
                self.advance(progress, height);
                if self.scan.is_aborted() {
                    return Err(Trouble::Aborted);
                }
            }
        }
    }

    /// Goes back to the last block that is in the active chain.
    fn step_back(&self) -> Result<(), Trouble> {
        let hashes = self.vault.get()?.locator_hashes();
        for hash in hashes {
            let asked = FoundBlockParam::default().want_in_active_chain(true);
            let found = self.chain.find_block(hash, asked).timeout(ANSWER).wait()?;
            if found.result && found.block.in_active_chain {
                let vault = self.vault.get()?;
                // The wallet's own height: it need not rely on the node's.
                return match vault.height_of(hash) {
                    Some(height) => Ok(vault.rewind_to(BlockId { height, hash })?),
                    None => Ok(()),
                };
            }
        }
        Err(Trouble::Again(
            "the node's chain has no block of this wallet's, not even the first: is it another network?"
                .to_owned(),
        ))
    }

    /// Shows that it begins, if it takes long.
    fn begin(&self, from: u32, rescan: bool) -> Result<Option<Progress>, Trouble> {
        let height = self.chain.get_height().timeout(ANSWER).wait()?.unwrap_or(0);
        let to = u32::try_from(height).unwrap_or(0);
        if !rescan && to.saturating_sub(from) < LONG {
            return Ok(None);
        }
        self.scan.begin(rescan);
        // Not everybody waits for that.
        self.queue.wake();
        let progress = Progress { from, to, shown: None };
        self.show(&progress, 0);
        Ok(Some(progress))
    }

    /// Shows how far it is.
    fn advance(&self, progress: &mut Progress, height: u32) {
        let all = progress.to.saturating_sub(progress.from).max(1);
        let done = f64::from(height.saturating_sub(progress.from)) / f64::from(all);
        self.scan.progress(done.min(1.0));
        let percent = (done * 100.0) as i32;
        // 0 begins it and 100 ends it.
        let percent = percent.clamp(1, 99);
        if progress.shown != Some(percent) {
            progress.shown = Some(percent);
            self.show(progress, percent);
        }
    }

    fn show(&self, progress: &Progress, percent: i32) {
        let title = format!("{} Rescanning\u{2026}", self.title());
        if percent == 0 {
            tracing::info!("{title} from block {} to {}", progress.from, progress.to);
        }
        self.events.progress.tell(&(title.clone(), percent));
        // Nothing depends on whether it is shown.
        if let Err(error) = self.chain.show_progress(title, percent, false).timeout(ANSWER).wait() {
            tracing::debug!("the node does not show progress: {error}");
        }
    }
}
