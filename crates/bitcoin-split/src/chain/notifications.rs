//! Telling other processes what happens.
//!
//! Each subscriber has a thread, `notify`, and a queue. The thread calls the subscriber's object, one call after the
//! other, so a slow process holds up nobody but itself.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bitcoin::{Block, Transaction};
use bitcoin_ipc_draft::chain::{BlockInfo, ChainNotificationsClient, ChainstateRole};
use bitcoin_ipc_draft::handler::{Handler, HandlerClient};
use bitcoin_ipc_draft::values::RemovalReason;
use bitcoin_regtest::{BlockEntry, Chain, Event, Removal, Subscription, SubscriptionControl, Tip};
use multiprocess::{CancelToken, Error, Result, current_call};

use super::blocks;
use crate::split_node::SplitNode;
use crate::tellers;

/// How long `disconnect` waits for a notification that is under way: it may be what disconnects.
const LAST: Duration = Duration::from_secs(1);

/// Tells an object what happens from now on, until the handler ends or its process is gone.
pub(super) fn handle(
    node: &SplitNode,
    notifications: ChainNotificationsClient,
) -> Result<(HandlerClient, SubscriptionControl)> {
    let (_, _, subscription) = node.chain().subscribe(Subscription::LIMIT);
    let control = subscription.control();
    let teller =
        Teller { notifications, chain: Arc::downgrade(node.chain()), patience: node.patience() };
    tellers::start("notify", move || teller.follow(&subscription))?;
    Ok((HandlerClient::new(Subscribed(control.clone())), control))
}

/// Waits until all of these have been told what has happened so far.
pub(super) fn wait(subscribers: &[SubscriptionControl]) -> Result<()> {
    let token = current_call().map(|call| call.cancel_token());
    let cancelled = || token.as_ref().is_some_and(CancelToken::is_cancelled);
    for subscriber in subscribers {
        if let Some(token) = &token {
            let subscriber = subscriber.clone();
            token.on_cancel(move || subscriber.wake());
        }
        if !subscriber.wait_finished(None, &cancelled) {
            return Err(Error::Cancelled);
        }
    }
    Ok(())
}

/// Tells an object of what is in the memory pool now, on the calling thread.
pub(super) fn tell_mempool(
    node: &SplitNode,
    notifications: &ChainNotificationsClient,
) -> Result<()> {
    let transactions: Vec<Arc<Transaction>> =
        node.chain().view().mempool().map(|entry| Arc::clone(&entry.transaction)).collect();
    for transaction in transactions {
        let told = notifications.transaction_added_to_mempool(Transaction::clone(&transaction));
        told.timeout(node.patience()).wait()?;
    }
    Ok(())
}

/// What ends a subscription: by its call, or when it is dropped.
struct Subscribed(SubscriptionControl);

impl Handler for Subscribed {
    fn disconnect(&self) -> Result<()> {
        self.0.end();
        self.0.wait_finished(Some(LAST), &|| false);
        Ok(())
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What a subscriber's thread has.
struct Teller {
    notifications: ChainNotificationsClient,
    chain: Weak<Chain>,
    /// How long a notification may take.
    patience: Duration,
}

impl Teller {
    fn follow(self, subscription: &Subscription) {
        while let Some(event) = subscription.next() {
            match self.tell(event) {
                // It leaves that out.
                Ok(()) | Err(Error::Unimplemented { .. }) => {}
                Err(error) if error.is_disconnect() => {
                    tracing::info!("a process that was told what happens in the chain is gone");
                    break;
                }
                Err(error @ Error::Timeout(_)) => {
                    tracing::warn!(
                        "a process that is told what happens in the chain takes too long, and is let go: {error}"
                    );
                    break;
                }
                Err(error) => {
                    tracing::warn!("a process was told what happens, and failed: {error}")
                }
            }
        }
        // With the last handle its object is destroyed, which tells the process that nothing comes any more.
    }

    fn tell(&self, event: Event) -> Result<()> {
        let told = &self.notifications;
        let call = match event {
            Event::TransactionAdded(tx) => {
                told.transaction_added_to_mempool(Transaction::clone(&tx))
            }
            // The block tells that.
            Event::TransactionRemoved(_, Removal::Block) => return Ok(()),
            Event::TransactionRemoved(tx, why) => {
                told.transaction_removed_from_mempool(Transaction::clone(&tx), reason(why))
            }
            Event::BlockConnected(block) => told.block_connected(role(), info(&block)),
            Event::BlockDisconnected(block) => told.block_disconnected(info(&block)),
            Event::TipChanged(tip) => return self.tell_tip(tip),
            // None that this version has.
            _ => return Ok(()),
        };
        call.timeout(self.patience).wait()
    }

    /// Blocks are on the disk before they are in the chain, so what was flushed is what the tip is.
    fn tell_tip(&self, tip: Tip) -> Result<()> {
        match self.notifications.updated_block_tip().timeout(self.patience).wait() {
            Ok(()) | Err(Error::Unimplemented { .. }) => {}
            Err(error) => return Err(error),
        }
        let Some(chain) = self.chain.upgrade().filter(|chain| chain.is_on_disk()) else {
            return Ok(());
        };
        let locator = blocks::locator(&chain.view(), &tip.hash);
        drop(chain);
        self.notifications.chain_state_flushed(role(), locator).timeout(self.patience).wait()
    }
}

/// The chain is verified from its beginning.
fn role() -> ChainstateRole {
    ChainstateRole::default().validated(true)
}

fn reason(why: Removal) -> RemovalReason {
    match why {
        Removal::Block => RemovalReason::Block,
        Removal::Conflict => RemovalReason::Conflict,
        Removal::Replaced => RemovalReason::Replaced,
        // Also for one that this version does not know: the next block could not have it.
        _ => RemovalReason::Reorg,
    }
}

/// As Bitcoin Core tells of a block: with the whole of it, and without what it spent.
fn info(entry: &BlockEntry) -> BlockInfo {
    let mut info = BlockInfo::default()
        .hash(Some(entry.hash))
        .height(blocks::number(entry.height))
        .chain_time_max(entry.max_time);
    info.prev_hash = Some(entry.block.header.prev_blockhash).filter(|_| entry.height > 0);
    info.data = Some(Block::clone(&entry.block));
    info
}
