//! A wallet that is loaded: its vault, its thread that follows the chain, and those who are told of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bitcoin_ipc::bitcoin::{Transaction, Txid};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::chain::ChainHandle;
use bitcoin_ipc_draft::values::{Broadcast, RemovalReason};
use bitcoin_ipc_draft::wallet::{CoinControl, Recipient};
use multiprocess::Error;

use crate::error::WalletError;
use crate::events::Events;
use crate::fees::{self, ChosenFee, MAX_FEE};
use crate::follow::Follower;
use crate::open::{Closed, InUse, OpenVault};
use crate::timers::{TimerId, Timers};
use crate::vault::{CreatedTransaction, Vault};

/// A wallet that is loaded.
pub(crate) struct LoadedWallet {
    name: String,
    vault: Arc<OpenVault>,
    pub(crate) chain: ChainHandle,
    pub(crate) events: Arc<Events>,
    pub(crate) follower: Follower,
    timers: Arc<Timers>,
    /// Held while the wallet is unlocked or locked, which takes long.
    relock: Mutex<Relock>,
    /// When it is locked again, in seconds since 1970. Nothing is waited for while this is held, so that who holds the
    /// vault may ask for it.
    until: Mutex<Option<u64>>,
}

/// When a wallet that is unlocked is locked again.
#[derive(Debug, Default)]
struct Relock {
    /// Counts the times that this was changed, so that a timer that is late knows that it was replaced.
    changes: u64,
    /// The timer.
    timer: Option<TimerId>,
}

impl LoadedWallet {
    /// Takes a vault over. It does not follow the chain yet.
    pub(crate) fn new(vault: Vault, chain: ChainHandle, timers: Arc<Timers>) -> Arc<LoadedWallet> {
        let events = Arc::new(Events::new());
        vault.set_listener(Some(events.clone()));
        Arc::new(LoadedWallet {
            name: vault.name().to_owned(),
            vault: Arc::new(OpenVault::new(vault)),
            follower: Follower::new(chain.clone()),
            chain,
            events,
            timers,
            relock: Mutex::default(),
            until: Mutex::default(),
        })
    }

    /// Its name; the default wallet's is empty.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its vault, unless it was unloaded. Not to be held while something is waited for that may take long.
    pub(crate) fn vault(&self) -> Result<InUse<'_>, Closed> {
        self.vault.get()
    }

    /// Begins to follow the chain.
    pub(crate) fn follow(&self) -> Result<(), Error> {
        self.follower.start(&self.name, Arc::clone(&self.vault), Arc::clone(&self.events))
    }

    /// Ends it: it is not followed any more, its keys are forgotten, and its file is free.
    pub(crate) fn close(&self) {
        self.follower.stop();
        self.no_relock(&mut self.relock());
        self.vault.close();
        self.events.unload.tell(&());
    }

    // ---- keys

    /// Unlocks it, until it is locked; or, with `until_after`, for so long. A deadline that was set before ends.
    pub(crate) fn unlock(
        self: &Arc<Self>,
        passphrase: &Passphrase,
        until_after: Option<Duration>,
    ) -> Result<(), WalletError> {
        let mut relock = self.relock();
        self.vault()?.unlock(passphrase)?;
        self.no_relock(&mut relock);
        if let Some(after) = until_after {
            let (wallet, change) = (Arc::downgrade(self), relock.changes);
            let until = self.timers.now().saturating_add(after.as_secs());
            self.set_until(Some(until));
            relock.timer = Some(self.timers.after(after, move || lock_again(&wallet, change)));
        }
        Ok(())
    }

    /// Forgets its keys.
    pub(crate) fn lock(&self) -> Result<(), WalletError> {
        let mut relock = self.relock();
        self.no_relock(&mut relock);
        Ok(self.vault()?.lock()?)
    }

    /// When it is locked again, in seconds since 1970; none if that is not said.
    pub(crate) fn unlocked_until(&self) -> Option<u64> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_until(&self, until: Option<u64>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn relock(&self) -> MutexGuard<'_, Relock> {
        self.relock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn no_relock(&self, relock: &mut Relock) {
        relock.changes += 1;
        self.set_until(None);
        if let Some(id) = relock.timer.take() {
            self.timers.cancel(id);
        }
    }

    // ---- paying

    /// Makes a transaction, with a fee rate of the node's where `control` has none.
    pub(crate) fn create(
        &self,
        recipients: &[Recipient],
        control: &CoinControl,
        sign: bool,
        change_pos: Option<u32>,
    ) -> Result<(CreatedTransaction, ChosenFee), WalletError> {
        let network = self.vault()?.network();
        let chosen = fees::choose(&self.chain, network, control)?;
        let control = control.clone().fee_rate(chosen.rate);
        let made = self.vault()?.create_transaction(recipients, &control, sign, change_pos)?;
        Ok((made, chosen))
    }

    /// Stores a transaction and gives it to the node. That the node does not take it now is no error: it is given
    /// again later.
    pub(crate) fn commit(
        &self,
        tx: &Transaction,
        value_map: BTreeMap<String, String>,
        order_form: Vec<(String, String)>,
    ) -> Result<(), WalletError> {
        self.vault()?.commit_transaction(tx, value_map, order_form)?;
        self.give_to_node(tx)
    }

    /// Stores the replacement of a transaction and gives it to the node.
    pub(crate) fn commit_bump(
        &self,
        replaced: Txid,
        tx: &Transaction,
    ) -> Result<Txid, WalletError> {
        let txid = self.vault()?.commit_bump(replaced, tx)?;
        self.give_to_node(tx)?;
        Ok(txid)
    }

    fn give_to_node(&self, tx: &Transaction) -> Result<(), WalletError> {
        let sent = self.chain.broadcast_transaction(tx.clone(), MAX_FEE, Broadcast::MempoolAndAll);
        match sent.wait() {
            Ok(sent) if sent.result => self.is_given(tx),
            Ok(sent) => {
                let txid = tx.compute_txid();
                tracing::warn!(
                    "the node does not take {txid} now, it is given again later: {}",
                    sent.error
                );
                Ok(())
            }
            Err(error) => {
                tracing::warn!(
                    "a transaction is stored and could not be given to the node: {error}"
                );
                Ok(())
            }
        }
    }

    /// Notes that the node has taken it. That it has left the memory pool since, as where another has replaced it, may
    /// have been told before this: so the node is asked.
    fn is_given(&self, tx: &Transaction) -> Result<(), WalletError> {
        self.vault()?.transaction_added(tx)?;
        let txid = tx.compute_txid();
        match self.chain.is_in_mempool(txid).wait() {
            Ok(true) => Ok(()),
            Ok(false) => {
                // Why it has left is not known; what has replaced it is in the memory pool.
                self.vault()?.transaction_removed(txid, RemovalReason::Expiry)?;
                self.follower.look_at_mempool();
                Ok(())
            }
            Err(error) => {
                tracing::warn!("the node does not say whether it still has {txid}: {error}");
                Ok(())
            }
        }
    }
}

/// Locks a wallet when its time is over.
fn lock_again(wallet: &Weak<LoadedWallet>, change: u64) {
    let Some(wallet) = wallet.upgrade() else { return };
    let mut relock = wallet.relock();
    if relock.changes != change {
        return;
    }
    relock.timer = None;
    wallet.set_until(None);
    if let Ok(vault) = wallet.vault()
        && let Err(error) = vault.lock()
    {
        tracing::error!("the wallet {:?} could not be locked again: {error}", wallet.name);
    }
}

impl fmt::Debug for LoadedWallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedWallet").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::WalletsDir;
    use bitcoin_ipc::bitcoin::Network;
    use bitcoin_ipc_draft::chain::Chain;
    use tempfile::TempDir;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A chain that is never asked.
    struct NoChain;

    impl Chain for NoChain {}

    fn open() -> Passphrase {
        Passphrase::from("open".to_owned())
    }

    /// A wallet with the passphrase "open", which is locked.
    fn wallet() -> (TempDir, Arc<LoadedWallet>) {
        let datadir = tempfile::tempdir().unwrap();
        let dir = WalletsDir::open(datadir.path(), Network::Regtest).unwrap();
        let vault = Vault::create(&dir, "a", &open(), 0, None).unwrap();
        let timers = Arc::new(Timers::start().unwrap());
        (datadir, LoadedWallet::new(vault, ChainHandle::new(NoChain), timers))
    }

    fn is_locked(wallet: &LoadedWallet) -> bool {
        wallet.vault().unwrap().is_locked()
    }

    #[test]
    fn a_timer_that_comes_too_late_locks_nothing() {
        let (_datadir, wallet) = wallet();
        wallet.unlock(&open(), Some(HOUR)).unwrap();
        let late = wallet.relock().changes;
        wallet.unlock(&open(), Some(HOUR)).unwrap();
        lock_again(&Arc::downgrade(&wallet), late);
        assert!(!is_locked(&wallet) && wallet.unlocked_until().is_some());
        let current = wallet.relock().changes;
        lock_again(&Arc::downgrade(&wallet), current);
        assert!(is_locked(&wallet));
        assert_eq!(wallet.unlocked_until(), None);
    }

    #[test]
    fn who_asks_for_the_deadline_does_not_wait_for_who_unlocks() {
        let (_datadir, wallet) = wallet();
        let vault = wallet.vault().unwrap();
        let unlocking = wallet.relock();
        let (sender, told) = std::sync::mpsc::channel();
        let asks = Arc::clone(&wallet);
        // One that waits while it has the vault would have who unlocks wait for the vault.
        std::thread::spawn(move || sender.send(asks.unlocked_until()).unwrap());
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(None));
        drop(unlocking);
        drop(vault);
    }

    #[test]
    fn a_timer_that_was_replaced_is_gone() {
        let (_datadir, wallet) = wallet();
        assert!(wallet.unlock(&Passphrase::from("opem".to_owned()), Some(HOUR)).is_err());
        assert_eq!(wallet.timers.waiting(), 0);
        for _ in 0..2 {
            wallet.unlock(&open(), Some(HOUR)).unwrap();
            assert_eq!(wallet.timers.waiting(), 1);
        }
        assert!(wallet.unlock(&Passphrase::from("opem".to_owned()), None).is_err());
        assert_eq!(wallet.timers.waiting(), 1, "the deadline of the one before stays");
        wallet.unlock(&open(), None).unwrap();
        assert_eq!((wallet.timers.waiting(), wallet.unlocked_until()), (0, None));
        wallet.unlock(&open(), Some(HOUR)).unwrap();
        wallet.lock().unwrap();
        assert_eq!((wallet.timers.waiting(), wallet.unlocked_until()), (0, None));
        wallet.unlock(&open(), Some(HOUR)).unwrap();
        wallet.close();
        assert_eq!(wallet.timers.waiting(), 0);
    }
}
