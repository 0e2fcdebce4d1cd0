//! A chain that is served to a wallet over a socket pair: all kinds of methods.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bitcoin_ipc::bitcoin::constants::genesis_block;
use bitcoin_ipc::bitcoin::hashes::Hash;
use bitcoin_ipc::bitcoin::{
    Amount, Block, BlockHash, Network, OutPoint, ScriptBuf, Transaction, TxOut, Txid,
};
use bitcoin_ipc::common::{BilingualStr, UtilResultVoid};
use bitcoin_ipc::rpc::{NodeError, Value, code};
use bitcoin_ipc_draft::chain::{
    ActorCallbackCallResults, ActorCallbackClient, BlockInfo, Chain,
    ChainBroadcastTransactionResults, ChainEstimateSmartFeeResults, ChainFindBlockResults,
    ChainFindCommonAncestorResults, ChainHandle, ChainNotifications, ChainNotificationsClient,
    ChainstateRole, FoundBlockParam, FoundBlockResult, JsonRpcRequest, RpcArg, RpcCommand,
    SettingsUpdateCallbackCallResults, SettingsUpdateCallbackClient,
};
use bitcoin_ipc_draft::handler::{Handler, HandlerClient};
use bitcoin_ipc_draft::init::{Init, InitClient};
use bitcoin_ipc_draft::values::{
    Broadcast, FilterType, RemovalReason, Replaceability, SettingsAction,
};
use bitcoin_ipc_draft::{Coin, CommandError, FeeRate, Locator};
use multiprocess::{Connection, Error, PeerVersion, Result};
use serde_json::json;

fn genesis() -> Block {
    genesis_block(Network::Regtest)
}

fn hash(byte: u8) -> BlockHash {
    BlockHash::from_byte_array([byte; 32])
}

fn outpoint(vout: u32) -> OutPoint {
    OutPoint { txid: Txid::from_byte_array([9; 32]), vout }
}

fn coin() -> Coin {
    let output = TxOut { value: Amount::ONE_BTC, script_pubkey: ScriptBuf::from_bytes(vec![0x51]) };
    Coin { output, height: 7, coinbase: true }
}

/// What the node keeps of its calls.
#[derive(Default)]
struct Kept {
    notifications: Option<ChainNotificationsClient>,
    commands: Vec<RpcCommand>,
    ended: usize,
    noted: Vec<String>,
}

/// A node whose chain is the genesis block, and a block after it that it only knows by its hash.
#[derive(Clone, Default)]
struct Node(Arc<Mutex<Kept>>);

impl Node {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().noted.push(what.into());
    }

    fn found(asked: &FoundBlockParam) -> FoundBlockResult {
        let mut block = FoundBlockResult::default().found(true);
        if asked.want_hash {
            block = block.hash(Some(genesis().block_hash()));
        }
        if asked.want_height {
            block = block.height(3);
        }
        if asked.want_time {
            block = block.time(i64::from(u32::MAX) + 1);
        }
        if asked.want_locator {
            block = block.locator(Some(Locator::new([hash(1), hash(2)])));
        }
        if asked.want_data {
            block = block.data(Some(genesis()));
        }
        match asked.next_block.as_deref() {
            Some(next) => {
                let next = Node::found(next).in_active_chain(next.want_in_active_chain);
                block.next_block(Box::new(next))
            }
            None => block,
        }
    }
}

struct Registered(Node);

impl Handler for Registered {
    fn disconnect(&self) -> Result<()> {
        self.0.0.lock().unwrap().ended += 1;
        Ok(())
    }
}

impl Chain for Node {
    fn get_height(&self) -> Result<Option<i32>> {
        Ok(None)
    }

    fn get_prune_height(&self) -> Result<Option<i32>> {
        Ok(Some(0))
    }

    fn get_block_hash(&self, height: i32) -> Result<BlockHash> {
        match height {
            0 => Ok(genesis().block_hash()),
            _ => Err(Error::failed("there is no such block")),
        }
    }

    fn find_locator_fork(&self, locator: Locator) -> Result<Option<i32>> {
        Ok((locator.hashes() == [hash(1)]).then_some(5))
    }

    fn block_filter_matches_any(
        &self,
        filter: FilterType,
        block: BlockHash,
        scripts: Vec<Vec<u8>>,
    ) -> Result<Option<bool>> {
        let known = filter == FilterType::Basic && block == hash(1);
        Ok(known.then_some(scripts == [vec![1], vec![]]))
    }

    fn find_block(&self, hash: BlockHash, asked: FoundBlockParam) -> Result<ChainFindBlockResults> {
        if hash != genesis().block_hash() {
            return Ok(ChainFindBlockResults::default());
        }
        Ok(ChainFindBlockResults::default().block(Node::found(&asked)).result(true))
    }

    fn find_common_ancestor(
        &self,
        _block_hash1: BlockHash,
        _block_hash2: BlockHash,
        ancestor: FoundBlockParam,
        block1: FoundBlockParam,
        block2: FoundBlockParam,
    ) -> Result<ChainFindCommonAncestorResults> {
        Ok(ChainFindCommonAncestorResults::default()
            .ancestor(Node::found(&ancestor))
            .block1(Node::found(&block1))
            .block2(Node::found(&block2))
            .result(true))
    }

    fn find_coins(
        &self,
        coins: Vec<(OutPoint, Option<Coin>)>,
    ) -> Result<Vec<(OutPoint, Option<Coin>)>> {
        Ok(coins.into_iter().map(|(at, _)| (at, (at.vout == 1).then(coin))).collect())
    }

    fn is_rbf_opt_in(&self, tx: Transaction) -> Result<Replaceability> {
        assert_eq!(tx, genesis().txdata[0]);
        Ok(Replaceability::Final)
    }

    fn broadcast_transaction(
        &self,
        tx: Transaction,
        max_tx_fee: Amount,
        method: Broadcast,
    ) -> Result<ChainBroadcastTransactionResults> {
        self.note(format!("{} {max_tx_fee} {method:?}", tx.output.len()));
        Ok(ChainBroadcastTransactionResults::default().error("too low"))
    }

    fn calculate_individual_bump_fees(
        &self,
        outpoints: Vec<OutPoint>,
        target: FeeRate,
    ) -> Result<Vec<(OutPoint, Amount)>> {
        let fee = Amount::from_sat(target.sat_per_kvb().unsigned_abs());
        Ok(outpoints.into_iter().map(|outpoint| (outpoint, fee)).collect())
    }

    fn check_chain_limits(&self, tx: Transaction) -> Result<UtilResultVoid> {
        let error = tx.output.is_empty().then(|| BilingualStr::from("no outputs"));
        Ok(UtilResultVoid::default().error(error))
    }

    fn estimate_smart_fee(
        &self,
        num_blocks: i32,
        _conservative: bool,
        want_calc: bool,
    ) -> Result<ChainEstimateSmartFeeResults> {
        let mut results = ChainEstimateSmartFeeResults::new(FeeRate::from_sat_per_kvb(1234));
        if want_calc {
            let calc = bitcoin_ipc::common::FeeCalculation::default();
            results = results.calc(calc.desired_target(num_blocks));
        }
        Ok(results)
    }

    fn init_error(&self, message: BilingualStr) -> Result<()> {
        self.note(format!("{} / {}", message.original, message.translated));
        Ok(())
    }

    fn handle_notifications(
        &self,
        notifications: Option<ChainNotificationsClient>,
    ) -> Result<Option<HandlerClient>> {
        self.0.lock().unwrap().notifications = notifications;
        Ok(Some(HandlerClient::new(Registered(self.clone()))))
    }

    fn wait_for_notifications(&self) -> Result<()> {
        let told = self.0.lock().unwrap().notifications.clone().expect("a subscription");
        let genesis = genesis();
        let tx = genesis.txdata[0].clone();
        told.transaction_added_to_mempool(tx.clone()).wait()?;
        told.transaction_removed_from_mempool(tx, RemovalReason::Unknown(9)).wait()?;
        let role = ChainstateRole::default().validated(true);
        let block =
            BlockInfo::default().hash(Some(genesis.block_hash())).data(Some(genesis.clone()));
        told.block_connected(role, block).wait()?;
        told.chain_state_flushed(role, Locator::new([hash(3)])).wait()
    }

    fn handle_rpc(&self, command: RpcCommand) -> Result<Option<HandlerClient>> {
        self.0.lock().unwrap().commands.push(command);
        Ok(Some(HandlerClient::new(Registered(self.clone()))))
    }

    fn get_setting(&self, name: String) -> Result<Value> {
        Ok(if name == "prune" { json!(550) } else { Value::Null })
    }

    fn get_settings_list(&self, name: String) -> Result<Vec<Value>> {
        Ok(vec![json!(name), json!(false)])
    }

    fn update_rw_setting(
        &self,
        name: String,
        update: Option<SettingsUpdateCallbackClient>,
    ) -> Result<bool> {
        let new = update.expect("an update").call(json!(["a"])).wait()?;
        let action = new.result.map(SettingsAction::from);
        self.note(format!("{name} = {} {action:?}", new.value));
        Ok(true)
    }
}

/// The node in the place of a process that is connected to.
struct NodeProcess(Node);

impl Init for NodeProcess {
    fn make_chain(&self) -> Result<Option<ChainHandle>> {
        Ok(Some(ChainHandle::new(self.0.clone())))
    }
}

/// A served chain, and what it keeps.
fn serve() -> (ChainHandle, Node, Connection) {
    let node = Node::default();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let init = InitClient::new(NodeProcess(node.clone()));
    let serving = Connection::builder().serve(init).start(theirs).unwrap();
    let init: InitClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    PeerVersion::assume(&init, "2026-07").unwrap();
    (init.make_chain().wait().unwrap().unwrap(), node, serving)
}

fn noted(node: &Node) -> Vec<String> {
    std::mem::take(&mut node.0.lock().unwrap().noted)
}

#[test]
fn a_block_is_found_with_what_is_asked_of_it_and_of_the_next() {
    let (chain, _node, _serving) = serve();
    let next = FoundBlockParam::default().want_in_active_chain(true).want_locator(true);
    let asked =
        FoundBlockParam::default().want_hash(true).want_data(true).next_block(Box::new(next));
    let found = chain.find_block(genesis().block_hash(), asked).wait().unwrap();
    assert!(found.result);
    let next = FoundBlockResult::default()
        .found(true)
        .in_active_chain(true)
        .locator(Some(Locator::new([hash(1), hash(2)])));
    let block = FoundBlockResult::default()
        .found(true)
        .hash(Some(genesis().block_hash()))
        .data(Some(genesis()))
        .next_block(Box::new(next));
    assert_eq!(found.block, block);

    let none = chain.find_block(hash(1), FoundBlockParam::default()).wait().unwrap();
    assert_eq!(none, ChainFindBlockResults::default());
    assert!(!none.block.found && none.block.hash.is_none() && none.block.next_block.is_none());
}

#[test]
fn three_blocks_travel_both_ways_in_one_call() {
    let (chain, _node, _serving) = serve();
    let ask = FoundBlockParam::default;
    let asked = (ask().want_hash(true), ask().want_height(true), ask().want_time(true));
    let found = chain.find_common_ancestor(hash(1), hash(2), asked.0, asked.1, asked.2);
    let found = found.wait().unwrap();
    let block = || FoundBlockResult::default().found(true);
    assert_eq!(found.ancestor, block().hash(Some(genesis().block_hash())));
    assert_eq!(found.block1, block().height(3));
    assert_eq!(found.block2, block().time(i64::from(u32::MAX) + 1));
}

#[test]
fn what_may_be_absent_is_none() {
    let (chain, _node, _serving) = serve();
    assert_eq!(chain.get_height().wait().unwrap(), None);
    assert_eq!(chain.get_prune_height().wait().unwrap(), Some(0));
    assert_eq!(chain.find_locator_fork(Locator::new([hash(1)])).wait().unwrap(), Some(5));
    assert_eq!(chain.find_locator_fork(Locator::default()).wait().unwrap(), None);
    let matches = |filter| {
        let scripts = vec![vec![1], vec![]];
        chain.block_filter_matches_any(filter, hash(1), scripts).wait().unwrap()
    };
    assert_eq!(matches(FilterType::Basic), Some(true));
    assert_eq!(matches(FilterType::Unknown(1)), None);
    assert_eq!(chain.get_block_hash(0).wait().unwrap(), genesis().block_hash());
    assert!(chain.get_block_hash(1).wait().unwrap_err().to_string().contains("no such block"));
}

#[test]
fn coins_transactions_and_fees_travel() {
    let (chain, node, _serving) = serve();
    let asked = vec![(outpoint(0), None), (outpoint(1), None)];
    let coins = chain.find_coins(asked).wait().unwrap();
    assert_eq!(coins, [(outpoint(0), None), (outpoint(1), Some(coin()))]);

    let tx = genesis().txdata[0].clone();
    assert_eq!(chain.is_rbf_opt_in(tx.clone()).wait().unwrap(), Replaceability::Final);
    let sent = chain.broadcast_transaction(tx.clone(), Amount::ONE_BTC, Broadcast::MempoolOnly);
    let sent = sent.wait().unwrap();
    assert_eq!((sent.result, sent.error.as_str()), (false, "too low"));
    assert_eq!(noted(&node), ["1 1 BTC MempoolOnly"]);
    assert_eq!(chain.check_chain_limits(tx.clone()).wait().unwrap().error, None);
    let empty = Transaction { output: vec![], ..tx };
    let error = chain.check_chain_limits(empty).wait().unwrap().error;
    assert_eq!(error, Some(BilingualStr::from("no outputs")));

    let target = FeeRate::from_sat_per_kvb(300);
    let fees = chain.calculate_individual_bump_fees(vec![outpoint(4)], target).wait().unwrap();
    assert_eq!(fees, [(outpoint(4), Amount::from_sat(300))]);
    let fee = chain.estimate_smart_fee(6, true, true).wait().unwrap();
    assert_eq!(fee.result, FeeRate::from_sat_per_kvb(1234));
    assert_eq!(fee.calc.unwrap().desired_target, 6);
    assert_eq!(chain.estimate_smart_fee(6, true, false).wait().unwrap().calc, None);
}

#[test]
fn settings_and_messages_travel() {
    let (chain, node, _serving) = serve();
    assert_eq!(chain.get_setting("prune").wait().unwrap(), json!(550));
    assert_eq!(chain.get_setting("other").wait().unwrap(), Value::Null);
    assert_eq!(chain.get_settings_list("a").wait().unwrap(), [json!("a"), json!(false)]);
    let update = SettingsUpdateCallbackClient::from_fn(|old| {
        let new = json!([old, 2]);
        Ok(SettingsUpdateCallbackCallResults::new(new).result(1))
    });
    assert!(chain.update_rw_setting("wallet", Some(update)).wait().unwrap());
    let message = BilingualStr::default().original("no disk").translated("pas de disque");
    chain.init_error(message).wait().unwrap();
    let told = ["wallet = [[\"a\"],2] Some(SkipWrite)", "no disk / pas de disque"];
    assert_eq!(noted(&node), told);
}

/// Notes what it is told.
#[derive(Clone, Default)]
struct Wallet(Arc<Mutex<Vec<String>>>);

impl Wallet {
    fn note(&self, what: String) -> Result<()> {
        self.0.lock().unwrap().push(what);
        Ok(())
    }
}

impl ChainNotifications for Wallet {
    fn transaction_added_to_mempool(&self, tx: Transaction) -> Result<()> {
        self.note(format!("added {}", tx == genesis().txdata[0]))
    }

    fn transaction_removed_from_mempool(&self, _: Transaction, why: RemovalReason) -> Result<()> {
        self.note(format!("removed {why:?}"))
    }

    fn block_connected(&self, role: ChainstateRole, block: BlockInfo) -> Result<()> {
        assert_eq!(block.hash, Some(genesis().block_hash()));
        assert_eq!((block.prev_hash, block.undo_data), (None, None));
        let whole = block.data == Some(genesis());
        self.note(format!(
            "connected {whole} {} {} {} {}",
            role.validated, role.historical, block.height, block.file_number
        ))
    }

    fn chain_state_flushed(&self, _: ChainstateRole, locator: Locator) -> Result<()> {
        self.note(format!("flushed {}", locator.hashes() == [hash(3)]))
    }
}

#[test]
fn a_wallet_is_told_what_happens_until_it_ends_that() {
    let (chain, node, _serving) = serve();
    let wallet = Wallet::default();
    let notifications = ChainNotificationsClient::new(wallet.clone());
    let handler = chain.handle_notifications(Some(notifications)).wait().unwrap().unwrap();
    chain.wait_for_notifications().wait().unwrap();
    let told = wallet.0.lock().unwrap().clone();
    let expected =
        ["added true", "removed Unknown(9)", "connected true true false -1 -1", "flushed true"];
    assert_eq!(told, expected);
    handler.disconnect().wait().unwrap();
    assert_eq!(node.0.lock().unwrap().ended, 1);
}

#[test]
fn a_command_is_answered_or_fails_in_each_way() {
    let (chain, node, _serving) = serve();
    let actor = ActorCallbackClient::from_fn(|request: JsonRpcRequest, response, last| {
        assert_eq!((response, last), (json!({"so": "far"}), true));
        assert_eq!((request.id, request.uri.as_str()), (json!(5), "/wallet/a"));
        Err(match request.params[0].as_str() {
            Some("failed") => CommandError::Failed("bad alloc".to_owned()),
            Some("rpc") => {
                CommandError::Rpc(NodeError::new(code::WALLET_INSUFFICIENT_FUNDS, "no money"))
            }
            Some("type") => CommandError::Type("not a number".to_owned()),
            Some("help") => CommandError::Help("getbalance".to_owned()),
            _ => return Ok(ActorCallbackCallResults::new(json!([1, null])).result(true)),
        }
        .into())
    });
    let names = vec![RpcArg::default().name("dummy|other").named_only(true)];
    let command = RpcCommand::default().name("getbalance").category("wallet").actor(actor);
    let command = command.arg_names(names.clone()).unique_id(-7);
    chain.handle_rpc(command).wait().unwrap().unwrap();

    let command = node.0.lock().unwrap().commands.remove(0);
    assert_eq!((command.name.as_str(), command.category.as_str()), ("getbalance", "wallet"));
    assert_eq!((command.arg_names, command.unique_id), (names, -7));
    let actor = command.actor.unwrap();
    let ask = |how: &str| {
        let request = JsonRpcRequest::default().id(json!(5)).uri("/wallet/a").params(json!([how]));
        actor.call(request, json!({"so": "far"}), true).wait()
    };
    let answer = ask("answer").unwrap();
    assert_eq!((answer.response, answer.result), (json!([1, null]), true));
    for (how, error) in [
        ("failed", CommandError::Failed("bad alloc".to_owned())),
        ("rpc", CommandError::Rpc(NodeError::new(-6, "no money"))),
        ("type", CommandError::Type("not a number".to_owned())),
        ("help", CommandError::Help("getbalance".to_owned())),
    ] {
        assert_eq!(CommandError::try_from(ask(how).unwrap_err()).unwrap(), error);
    }
}

#[test]
fn what_is_not_served_says_so_with_its_name() {
    let (chain, _node, _serving) = serve();
    for (error, name) in [
        (chain.has_assumed_valid_chain().wait().unwrap_err(), "Chain.hasAssumedValidChain"),
        (chain.get_rw_setting("a").wait().unwrap_err(), "Chain.getRwSetting"),
    ] {
        assert!(
            matches!(&error, Error::Unimplemented { method, .. } if method.contains(name)),
            "{error}"
        );
    }
}

#[test]
fn a_commands_arguments_are_not_shown() {
    let request = JsonRpcRequest::default().method("walletpassphrase").params(json!(["open", 60]));
    let shown = format!("{request:?}");
    assert!(shown.contains("walletpassphrase") && shown.contains("<redacted>"), "{shown}");
    assert!(!shown.contains("open"), "{shown}");
}
