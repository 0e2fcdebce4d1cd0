//! What the node answers.

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxIn, TxOut, transaction};
use bitcoin_ipc::common::GlobalArgs;
use bitcoin_ipc::rpc::code;
use bitcoin_ipc_draft::CommandError;
use bitcoin_ipc_draft::chain::{ActorCallbackCallResults, ActorCallbackClient, RpcCommand};
use bitcoin_regtest::{Chain, anyone_can_spend};
use bitcoin_split::SplitNode;
use multiprocess::Error;
use serde_json::json;

use crate::support::{Served, serve};

#[test]
fn it_tells_where_its_chain_is() {
    let served = serve();
    let node = served.ui_node();
    assert!(node.is_initial_block_download().wait().unwrap());
    assert_eq!(node.get_num_blocks().wait().unwrap(), 0);
    served.mine(7);
    let tip = served.node.chain().tip();
    let time = served.node.chain().block_by_height(7).unwrap().header.time;
    assert_eq!(node.get_num_blocks().wait().unwrap(), 7);
    assert_eq!(node.get_best_block_hash().wait().unwrap(), tip.hash);
    assert_eq!(node.get_last_block_time().wait().unwrap(), i64::from(time));
    let header = node.get_header_tip().wait().unwrap();
    assert_eq!((header.height, header.block_time, header.result), (7, i64::from(time), true));
    assert_eq!(node.get_verification_progress().wait().unwrap(), 1.0);
    assert!(!node.is_initial_block_download().wait().unwrap());
    assert!(!node.is_loading_blocks().wait().unwrap());
    assert_eq!(node.get_dust_relay_fee().wait().unwrap().sat_per_kvb(), 3_000);
}

/// A user interface may take it for a node that it has started itself.
#[test]
fn it_is_started_already() {
    let served = serve();
    let node = served.ui_node();
    served.mine(3);
    node.init_logging().wait().unwrap();
    node.init_parameter_interaction().wait().unwrap();
    assert!(node.base_initialize(GlobalArgs::default()).wait().unwrap());
    let started = node.app_init_main().wait().unwrap();
    let info = started.tip_info;
    assert!(started.result);
    assert_eq!((info.block_height, info.header_height, info.verification_progress), (3, 3, 1.0));
    assert_eq!(node.get_exit_status().wait().unwrap(), 0);
}

#[test]
fn it_has_no_peers() {
    let node = serve().ui_node_alone();
    let node = &node.0;
    assert_eq!(node.get_node_count(3).wait().unwrap(), 0);
    let stats = node.get_nodes_stats().wait().unwrap();
    assert!(stats.result && stats.stats.is_empty());
    let banned = node.get_banned().wait().unwrap();
    assert!(banned.result);
    assert_eq!(banned.banmap.json, json!([]));
    assert!(!node.disconnect_by_id(1).wait().unwrap());
    assert!(node.get_net_local_addresses().wait().unwrap().is_empty());
    assert_eq!(node.get_total_bytes_recv().wait().unwrap(), 0);
    assert!(!node.get_proxy(0).wait().unwrap().result);
    // It cannot ban, and says so.
    let error = node.ban(vec![], 5).wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
}

impl Served {
    /// With what must stay while it is used.
    fn ui_node_alone(self) -> (bitcoin_ipc_draft::node::NodeClient, Served) {
        (self.ui_node(), self)
    }
}

/// Spends the reward of the first block with this fee.
fn paying(served: &Served, fee: u64) -> Transaction {
    let block = served.node.chain().block_by_height(1).unwrap();
    let reward = &block.txdata[0];
    let coin = OutPoint { txid: reward.compute_txid(), vout: 0 };
    let value = reward.output[0].value - Amount::from_sat(fee);
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn { previous_output: coin, sequence: Sequence::MAX, ..TxIn::default() }],
        output: vec![TxOut { value, script_pubkey: anyone_can_spend() }],
    }
}

#[test]
fn it_takes_transactions_and_says_by_bitcoin_cores_numbers_why_not() {
    let served = serve();
    served.mine(101);
    let node = served.ui_node();
    let send = |transaction: &Transaction, most: u64| {
        let sent = node.broadcast_transaction(transaction.clone(), Amount::from_sat(most));
        let sent = sent.wait().unwrap();
        (sent.result, sent.error)
    };
    let dear = paying(&served, 50_000);
    let (number, why) = send(&dear, 49_999);
    assert_eq!(number, 5, "{why}");
    assert_eq!(node.get_mempool_size().wait().unwrap(), 0);
    assert_eq!(send(&dear, 50_000), (0, String::new()));
    assert_eq!(send(&dear, 0), (0, String::new()), "it is there already");
    assert_eq!(node.get_mempool_size().wait().unwrap(), 1);
    assert_eq!(node.get_mempool_dynamic_usage().wait().unwrap(), dear.total_size() as u64);

    let mut unknown = dear.clone();
    unknown.input[0].previous_output.vout = 5;
    assert_eq!(send(&unknown, 0).0, 1);
    let (number, why) = send(&paying(&served, 50_001), 0);
    assert_eq!(number, 3, "{why}");

    // What the memory pool spends is still unspent in the chain.
    let spent = dear.input[0].previous_output;
    let coin = node.get_unspent_output(spent).wait().unwrap().unwrap();
    assert_eq!((coin.height, coin.coinbase), (1, true));
    assert_eq!(coin.output.script_pubkey, anyone_can_spend());
    served.mine(1);
    assert!(node.get_unspent_output(spent).wait().unwrap().is_none());
    let new = OutPoint { txid: dear.compute_txid(), vout: 0 };
    assert_eq!(node.get_unspent_output(new).wait().unwrap().unwrap().height, 102);
    assert_eq!(send(&dear, 0).0, 2);
}

#[test]
fn it_runs_the_methods_of_all_processes() {
    let served = serve();
    served.mine(2);
    let node = served.ui_node();
    assert_eq!(node.execute_rpc("getblockcount", json!([]), "").wait().unwrap(), 2);
    let named = node.execute_rpc("getblockhash", json!({ "height": 1 }), "").wait().unwrap();
    assert_eq!(named, json!(served.node.chain().hash_at(1).unwrap().to_string()));

    let actor = ActorCallbackClient::from_fn(|request, _response, _last| match request.uri {
        uri if uri == "/wallet/a" => Ok(ActorCallbackCallResults::new(json!(uri)).result(true)),
        _ => Err(CommandError::Failed("no wallet".to_owned()).into()),
    });
    let command = RpcCommand::default().category("wallet").name("whichwallet").actor(actor);
    let _registered = served.node.commands().register(command);
    let answer = node.execute_rpc("whichwallet", json!([]), "/wallet/a").wait().unwrap();
    assert_eq!(answer, "/wallet/a");

    // Each error comes with its number.
    for (method, params, number, text) in [
        ("whichwallet", json!([]), code::MISC_ERROR, "no wallet"),
        ("getblockhash", json!([9]), code::INVALID_PARAMETER, "out of range"),
        ("nope", json!([]), code::METHOD_NOT_FOUND, "not found"),
    ] {
        let error = node.execute_rpc(method, params, "/wallet/b").wait().unwrap_err();
        let Ok(CommandError::Rpc(error)) = CommandError::try_from(error) else {
            panic!("{method} has another error")
        };
        assert_eq!(error.code, number, "{method}: {}", error.message);
        assert!(error.message.contains(text), "{method}: {}", error.message);
    }

    let names = node.list_rpc_commands().wait().unwrap();
    for name in ["getblockcount", "help", "whichwallet"] {
        assert_eq!(names.iter().filter(|it| *it == name).count(), 1, "{name}: {names:?}");
    }
    assert!(names.is_sorted() && names.iter().all(|name| !name.contains(['=', ' '])), "{names:?}");
}

#[test]
fn settings_are_those_of_the_node() {
    let served = serve();
    let node = served.ui_node();
    node.update_rw_setting("language", json!("de")).wait().unwrap();
    assert_eq!(node.get_persistent_setting("language").wait().unwrap(), json!("de"));
    assert!(!node.is_setting_ignored("language").wait().unwrap());
    node.force_setting("language", json!("fr")).wait().unwrap();
    assert!(node.is_setting_ignored("language").wait().unwrap());
    assert_eq!(served.node.settings().get("language"), json!("fr"));
    node.force_setting("language", json!(null)).wait().unwrap();
    assert!(!node.is_setting_ignored("language").wait().unwrap());

    // It is in the file, and so there after a start.
    let again = SplitNode::new(Chain::regtest(), served.dir.path().to_owned()).unwrap();
    assert_eq!(again.settings().get("language"), json!("de"));
    node.reset_settings().wait().unwrap();
    assert_eq!(node.get_persistent_setting("language").wait().unwrap(), json!(null));
    let again = SplitNode::new(Chain::regtest(), served.dir.path().to_owned()).unwrap();
    assert_eq!(again.settings().get("language"), json!(null));
    // A user can still have them back.
    let copy = std::fs::read_to_string(served.dir.path().join("settings.json.bak")).unwrap();
    assert!(copy.contains("\"de\""), "{copy}");
}

#[test]
fn a_setting_that_is_not_written_is_not_acknowledged() {
    let served = serve();
    let node = served.ui_node();
    std::fs::remove_dir_all(served.dir.path()).unwrap();
    let error = node.update_rw_setting("a", json!(1)).wait().unwrap_err().to_string();
    assert!(error.contains("could not be written"), "{error}");
}

#[test]
fn it_stops_when_a_user_interface_asks_and_only_once() {
    let served = serve();
    let node = served.ui_node();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counts = asked.clone();
    served.node.on_shutdown(move || {
        counts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(!node.shutdown_requested().wait().unwrap());
    node.start_shutdown().wait().unwrap();
    node.app_shutdown().wait().unwrap();
    assert!(node.shutdown_requested().wait().unwrap());
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
}
