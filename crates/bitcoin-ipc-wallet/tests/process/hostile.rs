//! A node that makes things up: amounts, blocks, heights and fee rates. The wallet refuses them, says what to do, and
//! follows on when the node is honest again.

use std::sync::{Arc, Mutex};

use bitcoin_ipc::bitcoin::absolute::LockTime;
use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::transaction::Version;
use bitcoin_ipc::bitcoin::{
    Amount, Block, BlockHash, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid,
};
use bitcoin_ipc::rpc::Value;
use bitcoin_ipc_draft::FeeRate;
use bitcoin_ipc_draft::chain::{
    BlockInfo, Chain, ChainBroadcastTransactionResults, ChainEstimateSmartFeeResults,
    ChainFindBlockResults, ChainHandle, ChainNotificationsClient, ChainstateRole, FoundBlockParam,
    FoundBlockResult, RpcCommand, SettingsUpdateCallbackClient,
};
use bitcoin_ipc_draft::handler::HandlerClient;
use bitcoin_ipc_draft::values::{Broadcast, Replaceability};
use multiprocess::Result;
use serde_json::json;

use super::split::{Node, Process, wait_until};

const OTHER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// What the node makes up.
#[derive(Default)]
struct Lies {
    /// A transaction in each block that is asked for.
    transaction: Option<Transaction>,
    /// After each block comes that block again.
    repeats: bool,
    /// The height of each block that is asked for.
    height: Option<i32>,
    /// All fee rates.
    fee_rate: Option<FeeRate>,
}

/// The node's chain, with lies.
struct Hostile {
    chain: ChainHandle,
    lies: Arc<Mutex<Lies>>,
    /// The wallet's object for notifications.
    ears: Arc<Mutex<Option<ChainNotificationsClient>>>,
}

impl Hostile {
    fn rate(&self, honest: impl FnOnce() -> Result<FeeRate>) -> Result<FeeRate> {
        let made_up = self.lies.lock().unwrap().fee_rate;
        made_up.map_or_else(honest, Ok)
    }
}

impl Chain for Hostile {
    fn get_height(&self) -> Result<Option<i32>> {
        self.chain.get_height().wait()
    }

    fn get_block_hash(&self, height: i32) -> Result<BlockHash> {
        self.chain.get_block_hash(height).wait()
    }

    fn handle_rpc(&self, command: RpcCommand) -> Result<Option<HandlerClient>> {
        self.chain.handle_rpc(command).wait()
    }

    fn find_block(&self, hash: BlockHash, block: FoundBlockParam) -> Result<ChainFindBlockResults> {
        let mut found = self.chain.find_block(hash, block).wait()?;
        let lies = self.lies.lock().unwrap();
        found.block.height = lies.height.unwrap_or(found.block.height);
        if let Some(next) = &mut found.block.next_block
            && next.found
        {
            if let (Some(tx), Some(block)) = (&lies.transaction, &mut next.data) {
                block.txdata.push(tx.clone());
            }
            if lies.repeats {
                let asked = FoundBlockParam::default().want_height(true).want_data(true);
                let itself: FoundBlockResult = self.chain.find_block(hash, asked).wait()?.block;
                **next = itself;
            }
        }
        Ok(found)
    }

    fn handle_notifications(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<Option<HandlerClient>> {
        *self.ears.lock().unwrap() = notifications.clone();
        self.chain.handle_notifications(notifications).wait()
    }

    fn wait_for_notifications(&self) -> Result<()> {
        self.chain.wait_for_notifications().wait()
    }

    fn request_mempool_transactions(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<()> {
        self.chain.request_mempool_transactions(notifications).wait()
    }

    fn is_in_mempool(&self, txid: Txid) -> Result<bool> {
        self.chain.is_in_mempool(txid).wait()
    }

    fn is_rbf_opt_in(&self, tx: Transaction) -> Result<Replaceability> {
        self.chain.is_rbf_opt_in(tx).wait()
    }

    fn broadcast_transaction(
        &self,
        tx: Transaction,
        max_tx_fee: Amount,
        broadcast_method: Broadcast,
    ) -> Result<ChainBroadcastTransactionResults> {
        self.chain.broadcast_transaction(tx, max_tx_fee, broadcast_method).wait()
    }

    fn update_rw_setting(
        &self,
        name: String,
        update: Option<SettingsUpdateCallbackClient>,
    ) -> Result<bool> {
        self.chain.update_rw_setting(name, update).wait()
    }

    fn get_setting(&self, name: String) -> Result<Value> {
        self.chain.get_setting(name).wait()
    }

    fn estimate_smart_fee(
        &self,
        num_blocks: i32,
        conservative: bool,
        want_calc: bool,
    ) -> Result<ChainEstimateSmartFeeResults> {
        let mut told = self.chain.estimate_smart_fee(num_blocks, conservative, want_calc).wait()?;
        told.result = self.rate(|| Ok(told.result))?;
        Ok(told)
    }

    fn mempool_min_fee(&self) -> Result<FeeRate> {
        self.rate(|| self.chain.mempool_min_fee().wait())
    }

    fn relay_min_fee(&self) -> Result<FeeRate> {
        self.rate(|| self.chain.relay_min_fee().wait())
    }
}

/// A node, its lies, and a wallet with 50 bitcoins that can be spent.
struct World {
    node: Node,
    lies: Arc<Mutex<Lies>>,
    ears: ChainNotificationsClient,
    process: Process,
    script: ScriptBuf,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::new(dir.path());
        let (lies, ears) = (Arc::default(), Arc::default());
        let chain = Hostile {
            chain: node.split.chain_handle(),
            lies: Arc::clone(&lies),
            ears: Arc::clone(&ears),
        };
        let process = node.connect_to(ChainHandle::new(chain));
        process.loader.register_rpcs().wait().unwrap();
        process.loader.start().wait().unwrap();
        node.call("createwallet", json!(["a"]));
        let script = node.address().script_pubkey();
        node.mine(1, &script);
        node.mine_empty(100);
        assert_eq!(node.balance(), 50.0);
        let ears = ears.lock().unwrap().clone().unwrap();
        World { node, lies, ears, process, script, _dir: dir }
    }

    fn lie(&self, lies: Lies) {
        *self.lies.lock().unwrap() = lies;
    }

    /// A transaction that pays the wallet this much, from an output that nobody has.
    fn pays(&self, amounts: &[u64]) -> Transaction {
        self.pays_from(0, amounts)
    }

    /// The same, from another such output for each number.
    fn pays_from(&self, number: u32, amounts: &[u64]) -> Transaction {
        let made_up = OutPoint { txid: Txid::from_byte_array([7; 32]), vout: number };
        let output = |amount: &u64| TxOut {
            value: Amount::from_sat(*amount),
            script_pubkey: self.script.clone(),
        };
        Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn { previous_output: made_up, ..TxIn::default() }],
            output: amounts.iter().map(output).collect(),
        }
    }

    /// Tells the wallet of a block after the chain's tip, with these transactions.
    fn tell_block(&self, height: i32, txs: &[Transaction]) {
        let tip = self.node.chain.tip();
        let mut block: Block = (*self.node.chain.block_by_hash(&tip.hash).unwrap()).clone();
        block.header.prev_blockhash = tip.hash;
        block.txdata.extend_from_slice(txs);
        let info = BlockInfo::default()
            .hash(Some(block.block_hash()))
            .prev_hash(Some(tip.hash))
            .height(height)
            .data(Some(block));
        self.ears.block_connected(ChainstateRole::default(), info).wait().unwrap();
    }

    fn height(&self) -> Value {
        self.node.call("getwalletinfo", json!([]))["lastprocessedblock"]["height"].clone()
    }

    /// The error of a rescan.
    fn rescan_error(&self) -> String {
        let (number, text) = self.node.error("/", "rescanblockchain", json!([0]));
        assert_eq!(number, -4, "{text}");
        text
    }

    /// With an honest node the wallet gets to the tip, and has what it had.
    fn follows_on(&self) {
        self.lie(Lies::default());
        self.node.mine_empty(1);
        let tip = json!(self.node.chain.tip().height);
        // A rescan that has failed is done again, and has ended a moment after it has come to the tip.
        wait_until("the wallet is at the tip", || {
            let info = self.node.call("getwalletinfo", json!([]));
            info["lastprocessedblock"]["height"] == tip && info["scanning"] == json!(false)
        });
        assert_eq!(self.node.balance(), 50.0);
        let listed = self.node.call("listtransactions", json!([]));
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    }
}

/// More than all bitcoin there are: in one amount, and in their sum.
fn too_much() -> [Vec<u64>; 3] {
    let most = Amount::MAX_MONEY.to_sat();
    [vec![most + 1], vec![most, 1], vec![u64::MAX, u64::MAX]]
}

#[test]
fn made_up_transactions_and_blocks_are_refused_and_the_wallet_follows_on() {
    let world = World::new();
    for amounts in too_much() {
        let tx = world.pays(&amounts);
        world.ears.transaction_added_to_mempool(tx.clone()).wait().unwrap();
        let balances = world.node.call("getbalances", json!([]));
        assert_eq!(balances["mine"]["untrusted_pending"], json!(0.0));
        world.tell_block(102, &[tx]);
        assert_eq!(world.height(), json!(101));
    }
    world.follows_on();
    for height in [i32::MIN, -1, 0, i32::MAX] {
        world.tell_block(height, &[]);
        assert_eq!(world.height(), json!(102));
    }
    world.follows_on();

    // Where the wallet asks for blocks itself.
    world.lie(Lies { transaction: Some(world.pays(&too_much()[0])), ..Lies::default() });
    let error = world.rescan_error();
    assert!(error.contains("block at height 1 cannot be valid"), "{error}");
    assert!(error.contains("use a node that you trust"), "{error}");
    world.follows_on();
    world.lie(Lies { repeats: true, ..Lies::default() });
    let error = world.rescan_error();
    assert!(error.contains("has already") && error.contains("use a node"), "{error}");
    world.follows_on();
}

#[test]
fn sums_of_made_up_amounts_are_told_and_forgotten() {
    let world = World::new();
    let most = Amount::MAX_MONEY.to_sat();
    let count = u32::try_from(u64::MAX / most + 1).unwrap();
    let payments: Vec<_> = (0..count).map(|number| world.pays_from(number, &[most])).collect();
    world.tell_block(102, &payments);
    assert_eq!(world.height(), json!(102));
    let call = |name, params| world.node.call(name, params);
    assert_eq!(call("getbalance", json!([])), json!(21_000_000.0));
    assert_eq!(call("getbalance", json!(["*", 1])), json!(21_000_000.0));
    assert_eq!(call("listtransactions", json!([])).as_array().unwrap().len(), 10);
    let (number, text) = world.node.error("/", "sendtoaddress", json!([OTHER, 1]));
    assert!(number == -4 && text.contains("use a node that you trust"), "{number} {text}");

    // None of it is in the chain that an honest node has; what heights it tells does not matter.
    world.lie(Lies { height: Some(7), ..Lies::default() });
    world.node.mine_empty(2);
    let tip = world.node.chain.tip().hash.to_string();
    let hash = || call("getwalletinfo", json!([]))["lastprocessedblock"]["hash"].clone();
    wait_until("the wallet is at the tip", || hash() == json!(tip));
    assert_eq!(world.node.balance(), 50.0);
}

#[test]
fn made_up_fee_rates_are_refused_and_the_wallet_pays_with_honest_ones() {
    let world = World::new();
    let wallet = world.process.wallet("a");
    let pay = || world.node.try_call("/", "sendtoaddress", json!([OTHER, 1]));
    for rate in [i64::MAX, 1 << 40] {
        world.lie(Lies { fee_rate: Some(FeeRate::from_sat_per_kvb(rate)), ..Lies::default() });
        let error = pay().unwrap_err().to_string();
        assert!(error.contains("give a lower fee rate"), "{error}");
        // No amount of bitcoins.
        assert!(wallet.get_required_fee(u32::MAX).wait().is_err());
    }
    for rate in [i64::MIN, -1, 0] {
        world.lie(Lies { fee_rate: Some(FeeRate::from_sat_per_kvb(rate)), ..Lies::default() });
        // What it pays without an estimate.
        let txid = pay().unwrap();
        let fee = world.node.call("gettransaction", json!([txid]))["fee"].as_f64().unwrap();
        assert!((-0.000_05..-0.000_02).contains(&fee), "{fee}");
        assert_eq!(wallet.get_required_fee(1_000).wait().unwrap(), Amount::from_sat(1_000));
    }
    world.lie(Lies::default());
    pay().unwrap();
}
