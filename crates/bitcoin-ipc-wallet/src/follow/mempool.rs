//! A wallet and the node's memory pool: what is in it, and what of the wallet's is to be put there.

use std::sync::{Arc, Mutex, PoisonError};

use bitcoin_ipc::bitcoin::Transaction;
use bitcoin_ipc_draft::chain::{ChainNotifications, ChainNotificationsClient};
use bitcoin_ipc_draft::values::{Broadcast, RemovalReason};
use multiprocess::Result;

use super::ANSWER;
use super::thread::{Thread, Trouble};
use crate::fees::MAX_FEE;
use crate::open::OpenVault;
use crate::vault::{TxState, VaultError};

/// Takes in the transactions of the memory pool while the node goes through them. Not by the queue, which need not
/// have room for all of them.
struct Pool {
    vault: Arc<OpenVault>,
    failed: Arc<Mutex<Option<VaultError>>>,
}

impl ChainNotifications for Pool {
    fn transaction_added_to_mempool(&self, tx: Transaction) -> Result<()> {
        // A wallet that is closed does not want it.
        let Ok(vault) = self.vault.get() else { return Ok(()) };
        if let Err(error) = vault.transaction_added(&tx) {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        Ok(())
    }
}

impl Thread {
    /// Gives the node what is not confirmed, and finds out what is in its memory pool and what is not any more.
    pub(super) fn look_at_mempool(&self) -> std::result::Result<(), Trouble> {
        self.rebroadcast(false)?;
        let failed = Arc::default();
        let pool = Pool { vault: Arc::clone(&self.vault), failed: Arc::clone(&failed) };
        let pool = ChainNotificationsClient::new(pool);
        self.chain.request_mempool_transactions(Some(pool)).timeout(ANSWER).wait()?;
        if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error.into());
        }
        let listed = self.vault.get()?.transactions()?;
        for own in listed.iter().filter(|own| own.state == TxState::InMempool) {
            if !self.chain.is_in_mempool(own.txid).timeout(ANSWER).wait()? {
                // Why it has left is not known any more.
                self.vault.get()?.transaction_removed(own.txid, RemovalReason::Expiry)?;
            }
        }
        Ok(())
    }

    /// Gives the node from time to time what is not confirmed, unless the node still catches up with the network.
    pub(super) fn rebroadcast_if_ready(&self) -> std::result::Result<(), Trouble> {
        match self.chain.is_ready_to_broadcast().timeout(ANSWER).wait()? {
            true => self.rebroadcast(true),
            false => Ok(()),
        }
    }

    /// Gives the node the wallet's own transactions that are neither confirmed nor in its memory pool. `relay`: it
    /// also passes them on to its peers.
    pub(super) fn rebroadcast(&self, relay: bool) -> std::result::Result<(), Trouble> {
        let waiting = self.vault.get()?.unconfirmed_to_rebroadcast()?;
        if waiting.is_empty() {
            return Ok(());
        }
        let how = if relay { Broadcast::MempoolAndAll } else { Broadcast::MempoolOnly };
        for tx in waiting {
            let txid = tx.compute_txid();
            let sent = self.chain.broadcast_transaction(tx.clone(), MAX_FEE, how);
            let sent = sent.timeout(ANSWER).wait()?;
            match sent.result {
                true => self.vault.get()?.transaction_added(&tx)?,
                false => tracing::info!(
                    "{}: the node does not take {txid}: {}",
                    self.title(),
                    sent.error
                ),
            }
        }
        Ok(())
    }
}
