//! A node that has the draft of February 2026, and a wallet process that it starts: every call has the ordinals and
//! structs of that version. The node is this project's, which serves both versions; who calls it here knows only the
//! older one, and gives its chain on.

use std::os::unix::net::UnixStream;

use bitcoin_ipc::bitcoin::Amount;
use bitcoin_ipc_wallet::WalletProcess;
use multiprocess::{Connection, Interface};
use old_draft::init::InitClient;
use old_draft::wallet::WalletLoaderClient;
use serde_json::json;
use tempfile::TempDir;

use crate::split::{LONG, Node, wait_until};

/// Serves an object, and connects to it as one of this type.
fn connect<I: Interface>(object: impl Interface) -> (I, Connection, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let connection = Connection::new(ours).unwrap();
    (connection.bootstrap().unwrap(), connection, serving)
}

/// A wallet process of the node, which has been set up in the order in which a node does it.
struct Process {
    process: WalletProcess,
    loader: WalletLoaderClient,
    to_wallet: Connection,
    serving: Connection,
    // Keeps the way to the chain.
    _to_node: (InitClient, Connection, Connection),
}

impl Process {
    fn start(node: &Node) -> Process {
        let to_node = connect::<InitClient>(bitcoin_split::init(&node.split));
        // Only this version can have made this call, which the node answers with an error: it has no wallet process.
        // (makeChain alone could be makeRpc of July: they have one ordinal and the same parameters.)
        assert!(to_node.0.make_wallet_loader(node.settings(), None).wait().is_err());
        let chain = to_node.0.make_chain().wait().unwrap();
        let process = WalletProcess::new();
        let (init, to_wallet, serving) = connect::<InitClient>(process.init());
        let loader = init.make_wallet_loader(node.settings(), chain).wait().unwrap().unwrap();
        loader.register_rpcs().wait().unwrap();
        assert!(loader.verify().wait().unwrap());
        assert!(loader.load().wait().unwrap());
        loader.start().wait().unwrap();
        Process { process, loader, to_wallet, serving, _to_node: to_node }
    }

    fn lose_node(self) {
        self.to_wallet.disconnect();
        self.serving.wait_disconnected();
        self.process.stop();
    }
}

#[test]
fn a_node_of_february_has_its_wallets() {
    let dir = TempDir::new().unwrap();
    let node = Node::new(dir.path());
    let process = Process::start(&node);
    node.call("createwallet", json!(["w"]));
    let to = node.address().script_pubkey();
    node.mine(1, &to);
    node.mine_empty(100);
    assert_eq!(node.balance(), 50.0);

    // It pays, and the node has that in its memory pool and in a block.
    let address = node.address().to_string();
    let txid = node.call("sendtoaddress", json!([address, 1.5]));
    assert_eq!(node.chain.mempool().len(), 1, "the node has it");
    node.mine_empty(1);
    assert_eq!(node.call("gettransaction", json!([txid]))["confirmations"], json!(1));

    // As a user interface of February sees it.
    let wallet = process.loader.get_wallets().wait().unwrap().remove(0).unwrap();
    assert_eq!(wallet.get_wallet_name().wait().unwrap(), "w");
    let balances = wallet.get_balances().timeout(LONG).wait().unwrap();
    assert!(balances.balance > Amount::from_sat(49_9999_0000), "{}", balances.balance);
    drop(wallet);

    // What it missed, with another branch.
    let place = |txid| node.call("gettransaction", json!([txid]))["blockhash"].clone();
    let before = place(&txid);
    process.lose_node();
    assert!(node.chain.invalidate_block(&node.chain.tip().hash));
    node.mine_empty(3);
    let process = Process::start(&node);
    wait_until("the payment is in a block of the other branch", || {
        let now = place(&txid);
        now.is_string() && now != before
    });
    process.loader.stop().wait().unwrap();
}
