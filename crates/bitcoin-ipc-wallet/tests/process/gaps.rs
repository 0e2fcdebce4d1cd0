//! A node whose notifications get lost: the wallet finds out by itself what it has missed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bitcoin_ipc::bitcoin::{BlockHash, Transaction};
use bitcoin_ipc_draft::Passphrase;
use bitcoin_ipc_draft::chain::{
    BlockInfo, Chain, ChainFindBlockResults, ChainHandle, ChainNotifications,
    ChainNotificationsClient, ChainstateRole, FoundBlockParam, RpcCommand,
    SettingsUpdateCallbackClient,
};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::values::{OutputType, RemovalReason};
use multiprocess::{Error, Result};

use serde_json::json;

use super::split::{Node, nobody, wait_until};

/// The node's chain, whose next notifications of blocks are lost.
struct Lossy {
    chain: ChainHandle,
    lose: Arc<AtomicUsize>,
    ears: Ears,
    subscriptions: Arc<AtomicUsize>,
    /// A block that is told as the one at each height.
    wrong: Arc<Mutex<Option<BlockHash>>>,
}

/// The wallet's object for notifications, while the node keeps it.
type Ears = Arc<Mutex<Option<ChainNotificationsClient>>>;

/// Passes on what is not lost.
struct Passing {
    to: Ears,
    lose: Arc<AtomicUsize>,
}

impl Passing {
    fn to(&self) -> Result<ChainNotificationsClient> {
        self.to.lock().unwrap().clone().ok_or_else(|| Error::failed("it was let go".to_owned()))
    }

    fn is_lost(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }
}

impl ChainNotifications for Passing {
    fn transaction_added_to_mempool(&self, tx: Transaction) -> Result<()> {
        self.to()?.transaction_added_to_mempool(tx).wait()
    }

    fn transaction_removed_from_mempool(&self, tx: Transaction, why: RemovalReason) -> Result<()> {
        self.to()?.transaction_removed_from_mempool(tx, why).wait()
    }

    fn block_connected(&self, role: ChainstateRole, block: BlockInfo) -> Result<()> {
        if self.is_lost() { Ok(()) } else { self.to()?.block_connected(role, block).wait() }
    }

    fn block_disconnected(&self, block: BlockInfo) -> Result<()> {
        if self.is_lost() { Ok(()) } else { self.to()?.block_disconnected(block).wait() }
    }

    fn updated_block_tip(&self) -> Result<()> {
        self.to()?.updated_block_tip().wait()
    }
}

impl Chain for Lossy {
    fn get_height(&self) -> Result<Option<i32>> {
        self.chain.get_height().wait()
    }

    fn get_block_hash(&self, height: i32) -> Result<BlockHash> {
        let wrong = self.wrong.lock().unwrap().take();
        wrong.map_or_else(|| self.chain.get_block_hash(height).wait(), Ok)
    }

    fn handle_rpc(&self, command: RpcCommand) -> Result<Option<HandlerClient>> {
        self.chain.handle_rpc(command).wait()
    }

    fn find_block(&self, hash: BlockHash, block: FoundBlockParam) -> Result<ChainFindBlockResults> {
        self.chain.find_block(hash, block).wait()
    }

    fn handle_notifications(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<Option<HandlerClient>> {
        self.subscriptions.fetch_add(1, Ordering::SeqCst);
        *self.ears.lock().unwrap() = Some(notifications.expect("ears"));
        let passing = Passing { to: Arc::clone(&self.ears), lose: Arc::clone(&self.lose) };
        self.chain.handle_notifications(Some(ChainNotificationsClient::new(passing))).wait()
    }

    fn request_mempool_transactions(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<()> {
        self.chain.request_mempool_transactions(notifications).wait()
    }

    fn update_rw_setting(
        &self,
        name: String,
        update: Option<SettingsUpdateCallbackClient>,
    ) -> Result<bool> {
        self.chain.update_rw_setting(name, update).wait()
    }
}

#[test]
fn blocks_that_the_wallet_was_not_told_of_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::new(dir.path());
    let lose = Arc::new(AtomicUsize::new(0));
    let wrong = Arc::new(Mutex::new(None));
    let (ears, subscriptions) = (Ears::default(), Arc::new(AtomicUsize::new(0)));
    let chain = Lossy {
        chain: node.split.chain_handle(),
        lose: Arc::clone(&lose),
        ears: Arc::clone(&ears),
        subscriptions: Arc::clone(&subscriptions),
        wrong: Arc::clone(&wrong),
    };
    let process = node.connect_to(ChainHandle::new(chain));
    process.loader.start().wait().unwrap();
    let made = process.loader.create_wallet("a", Passphrase::default(), 0).wait().unwrap();
    let wallet = made.result.into_result().unwrap().unwrap();
    let own = wallet.get_new_destination(OutputType::Bech32, "").wait().unwrap();
    let own = own.into_result().unwrap().script().unwrap();
    let is_at_tip = || {
        let block = wallet.try_get_balances().wait().unwrap().block_hash;
        block == Some(node.chain.tip().hash)
    };
    let immature = || wallet.get_balances().wait().unwrap().immature_balance.to_btc();
    node.mine(1, &own);
    wait_until("the first block", is_at_tip);

    // Two with a payment are lost; the third does not follow.
    lose.store(2, Ordering::SeqCst);
    let blocks = node.mine(2, &own);
    wait_until("both are lost", || lose.load(Ordering::SeqCst) == 0);
    assert!(!is_at_tip());
    node.mine(1, &nobody());
    wait_until("the blocks after the gap", is_at_tip);
    assert_eq!(immature(), 150.0);

    // That they leave the chain is lost, and so is the first block in their place.
    lose.store(4, Ordering::SeqCst);
    assert!(node.chain.invalidate_block(&blocks[0]));
    node.mine(1, &nobody());
    wait_until("all of it is lost", || lose.load(Ordering::SeqCst) == 0);
    assert!(!is_at_tip());
    node.mine(1, &nobody());
    wait_until("the blocks of the other branch", is_at_tip);
    assert_eq!(immature(), 50.0);

    // A node that lets the wallet go, as one does that waits too long: the wallet subscribes again.
    assert_eq!(subscriptions.load(Ordering::SeqCst), 1);
    for again in 2..4 {
        drop(ears.lock().unwrap().take());
        wait_until("another subscription", || subscriptions.load(Ordering::SeqCst) == again);
        for _ in 0..2 {
            node.mine(1, &nobody());
            wait_until("the blocks after that", is_at_tip);
        }
    }
    assert_eq!(subscriptions.load(Ordering::SeqCst), 3, "none too many");

    // A rescan that cannot begin where the node says, as its chain is another by now, fails; the wallet follows on.
    process.loader.register_rpcs().wait().unwrap();
    *wrong.lock().unwrap() = Some(blocks[0]);
    let error = node.error("/", "rescanblockchain", json!([3]));
    assert!(error.1.contains("Rescan failed") && error.1.contains("not the wallet's"), "{error:?}");
    node.mine(1, &nobody());
    wait_until("the block after a rescan that failed", is_at_tip);
}
