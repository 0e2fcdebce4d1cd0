//! What the node calls: puts it into the wallet's queue and returns at once.

use std::sync::{Arc, Weak};

use bitcoin_ipc::bitcoin::Transaction;
use bitcoin_ipc_draft::Locator;
use bitcoin_ipc_draft::chain::{BlockInfo, ChainNotifications, ChainstateRole};
use bitcoin_ipc_draft::values::RemovalReason;
use multiprocess::Result;

use super::queue::{Event, Queue};

/// A wallet's ears. It does not keep the wallet: what comes after its end is dropped.
pub(super) struct Notifications {
    queue: Weak<Queue>,
    /// Which of the wallet's subscriptions it is for.
    subscription: u64,
}

impl Notifications {
    /// For the next subscription of the wallet with this queue.
    pub(super) fn new(queue: &Arc<Queue>) -> Notifications {
        Notifications { subscription: queue.new_subscription(), queue: Arc::downgrade(queue) }
    }

    fn push(&self, event: Event) -> Result<()> {
        if let Some(queue) = self.queue.upgrade() {
            queue.push(event);
        }
        Ok(())
    }

    fn catch_up(&self) -> Result<()> {
        if let Some(queue) = self.queue.upgrade() {
            queue.catch_up(false);
        }
        Ok(())
    }
}

/// The node has let it go: because the wallet took too long or was too far behind, or because the node is gone.
impl Drop for Notifications {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.upgrade() {
            queue.unsubscribed(self.subscription);
        }
    }
}

impl ChainNotifications for Notifications {
    fn transaction_added_to_mempool(&self, tx: Transaction) -> Result<()> {
        self.push(Event::Added(tx))
    }

    fn transaction_removed_from_mempool(
        &self,
        tx: Transaction,
        reason: RemovalReason,
    ) -> Result<()> {
        self.push(Event::Removed(tx, reason))
    }

    fn block_connected(&self, role: ChainstateRole, block: BlockInfo) -> Result<()> {
        if role.historical {
            // The history of a snapshot, which is not the active chain.
            return Ok(());
        }
        match block.data {
            Some(data) => self.push(Event::Connected { block: data, height: block.height }),
            // Not told whole: it can be asked for.
            None => self.catch_up(),
        }
    }

    fn block_disconnected(&self, block: BlockInfo) -> Result<()> {
        match (block.hash, block.prev_hash) {
            (Some(hash), Some(previous)) => self.push(Event::Disconnected { hash, previous }),
            _ => self.catch_up(),
        }
    }

    fn updated_block_tip(&self) -> Result<()> {
        Ok(())
    }

    fn chain_state_flushed(&self, _role: ChainstateRole, _locator: Locator) -> Result<()> {
        // The wallet notes its own tip with each block of its own.
        Ok(())
    }
}
